"""Time stamps of a log: daily, kept and exported, verified by us and by OpenSSL, and carried on."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.administration.logexport import write_tree
from samdrift.audit.events import LogEvent
from samdrift.audit.logverifying import LogVerifier
from samdrift.config.logs import LogsConfig
from samdrift.config.toml import ConfigError
from samdrift.contracts.principals import Role
from samdrift.evidence.logstamps import LogStamp, judge_stamps, read_stamps
from samdrift.installation.health import Dependency
from samdrift.installation.timestamping import Stamper, stamper
from samdrift.transparency.timestamps import Trusted
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.programs import requires
from tests.tsa import TimeStamps
from tests.unit.cli.commandline import in_process
from tests.vaults import Installation

pytestmark = requires("openssl", "openssl")
AP = Role.ACCESS_POINT
ROLES = (AP,)
DAY = timedelta(days=1)


@dataclass
class Scene:
    """The log of a vault, and the service that stamps it."""

    installation: Installation
    organisation: ParticipantIdentifier
    authority: TimeStamps
    folder: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    noted: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        trusted = Trusted((self.authority.root,))
        self.stamper = Stamper(
            self.authority,
            "https://tsa.example.se:8080/",
            lambda: trusted,
            lambda: self.now,
            lambda *noted: self.noted.append(noted),
        )

    async def stamp(self, entries: int = 1) -> bool:
        """Add entries, sign them, and let the service look at the log."""
        async with self.installation.open(self.organisation, AP) as vault:
            for number in range(entries):
                vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=str(number))
        for _ in range(2):
            async with self.installation.open(self.organisation, AP) as vault:
                await vault.tree.sign(self.now)
        return await self.stamper.stamp(lambda: cast(Any, self._tree()))

    def _tree(self) -> Any:
        scene = self

        class Opened:
            async def __aenter__(self) -> Any:
                self.vault = scene.installation.open(scene.organisation, AP)
                return (await self.vault.__aenter__()).tree

            async def __aexit__(self, *error: Any) -> Any:
                return await self.vault.__aexit__(*error)

        return Opened()

    async def export(self, name: str) -> Path:
        async with self.installation.open(self.organisation, AP) as vault:
            await vault.tree.sign(self.now)
        async with self.installation.open(self.organisation, AP) as vault:
            await write_tree(
                vault.tree, vault.log_origin.hash, f"{self.organisation.value} ap", self.folder / name
            )
            keys = [each.key for each in await vault.tree.keys()]
        (self.folder / "policy").write_text(f"log {keys[0]}\nquorum none\n")
        return self.folder / name

    def verify(self, path: Path, *more: str | Path) -> Any:
        return in_process(
            "log", "verify", path, "--policy", self.folder / "policy", "--max-age", "0", "--json", *more
        )


@pytest.fixture
async def scene(installation: Installation, tmp_path: Path) -> Scene:
    return Scene(installation, await installation.organisation(ROLES), TimeStamps(tmp_path / "tsa"), tmp_path)


async def test_a_log_is_stamped_once_a_day_and_not_while_it_is_silent(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await scene.stamp()
    assert not await scene.stamp(), "a log must be stamped only once a day"
    async with scene.installation.open(scene.organisation, AP) as vault:
        (entry,) = [one for one in await vault.log(0, 100) if one.event == LogEvent.LOG_STAMPED]
        (kept,) = await vault.tree.stamps()
    assert entry.ids["size"] == str(kept[0])
    assert scene.noted == [(Dependency.TIME_STAMPS, "tsa.example.se", "")]
    scene.now += DAY + timedelta(minutes=1)
    with monkeypatch.context() as patch:
        patch.setattr("samdrift.transparency.stamping._AHEAD", timedelta(days=9))
        assert await scene.stamp(3), "a log that has grown must be stamped a day later"
        scene.now += DAY + timedelta(minutes=1)
        async with scene.installation.open(scene.organisation, AP) as vault:
            await vault.tree.sign(scene.now)
        assert not await scene.stamp(0), "the stamp's own entry must not cause another stamp"


async def test_an_authority_that_is_away_is_noted_and_asked_again(scene: Scene) -> None:
    """The next turn of that log asks; an outage of seconds used to be reported as three minutes."""
    present = scene.now
    scene.now = present - timedelta(seconds=31)
    scene.authority.away = True
    assert not await scene.stamp()
    assert not await scene.stamp(), "no log may ask again within half a minute"
    assert scene.authority.asked == 1
    assert scene.noted == [(Dependency.TIME_STAMPS, "tsa.example.se", "tsa.example.se:8080: unreachable")]
    scene.authority.away = False
    scene.now = present
    assert await scene.stamp()
    assert scene.noted[-1][2] == ""


@pytest.mark.parametrize("away", [False, True])
async def test_a_log_looked_at_while_the_clock_was_ahead_is_stamped_when_it_is_right(
    scene: Scene, away: bool
) -> None:
    """The authority's own clock is right, so that it gives a clock that is ahead no usable stamp."""
    right, scene.now = scene.now, scene.now + 30 * DAY
    if away:
        assert not await scene.stamp()
        assert scene.noted[-1][2]
    else:
        assert not await scene.stamper.stamp(lambda: cast(Any, scene._tree())), "nothing is signed yet"
    scene.now = right
    assert await scene.stamp()


async def test_an_export_has_the_stamps_and_they_hold_here_and_for_openssl(scene: Scene) -> None:
    assert await scene.stamp(20)
    path = await scene.export("log")
    ended = scene.verify(path, "--tsa", scene.authority.folder / "root.pem")
    (stamp,) = ended.document["stamps"]
    assert (ended.status, stamp["fault"], stamp["signer_checked"]) == (0, None, True)
    assert stamp["signer"] == "CN=Time Stamps TSA"
    unchecked = scene.verify(path).document["stamps"][0]
    assert (unchecked["fault"], unchecked["signer_checked"]) == (None, False)
    text = in_process("log", "verify", path, "--policy", scene.folder / "policy", "--max-age", "0").output
    assert "1 time stamps hold" in text
    subprocess.run(["tar", "-xf", path], cwd=scene.folder, check=True)
    command = ["openssl", "ts", "-verify", "-data", "stamps/000001.note", "-in", "stamps/000001.tsr"]
    command += ["-CAfile", str(scene.authority.folder / "root.pem")]
    ended = subprocess.run(command, cwd=scene.folder, capture_output=True, check=False)
    assert b"Verification: OK" in ended.stdout


async def test_stamps_of_another_authority_or_over_another_tree_do_not_hold(
    scene: Scene, tmp_path: Path
) -> None:
    assert await scene.stamp()
    other = TimeStamps(tmp_path / "other", name="Other")
    ended = scene.verify(await scene.export("log"), "--tsa", other.folder / "root.pem")
    assert (ended.status, ended.document["holds"]) == (1, False)
    assert "trusted authority" in ended.document["stamps"][0]["fault"]


async def test_entries_that_are_younger_than_a_stamp_over_them_are_named(scene: Scene) -> None:
    """The operator's key can sign any checkpoint, but no authority issues a time stamp for the past."""
    assert await scene.stamp(5)
    path = await scene.export("log")
    trusted = Trusted((scene.authority.root,))
    (stamp,) = read_stamps(path, _keys(scene), trusted)
    assert stamp.checkpoint is not None
    early = int(scene.now.timestamp()) - 86_400
    verifier = LogVerifier(_policy(scene), int(scene.now.timestamp()), (), [(stamp.checkpoint, early)])
    from samdrift.evidence.logexport import verify_log

    verdict = verify_log(path, verifier)
    assert not verdict.holds
    assert verdict.outside == stamp.size
    forged = replace(stamp.checkpoint, root=bytes(32))
    verdict = verify_log(path, LogVerifier(_policy(scene), int(scene.now.timestamp()), (), [(forged, None)]))
    assert verdict.first_wrong is not None
    assert "not those of a known checkpoint" in verdict.first_wrong.why


def _policy(scene: Scene) -> Any:
    from samdrift.audit.policies import Policy

    return Policy.parse((scene.folder / "policy").read_bytes())


def _keys(scene: Scene) -> Any:
    return [member.key for member in _policy(scene).logs]


NOW = datetime(2036, 1, 1, tzinfo=UTC)


def made(size: int, at: int, until: int, digest: str) -> LogStamp:
    """Return a stamp of the first day of year ``at``, with certificates that end on that of ``until``."""
    checkpoint = cast(Any, SimpleNamespace(size=size))
    times = datetime(at, 1, 1, tzinfo=UTC), datetime(until, 1, 1, tzinfo=UTC)
    return LogStamp(1, size, checkpoint, *times, "CN=TSA", digest, True)


@pytest.mark.parametrize(
    ("second", "entry", "holds"),
    [
        ((100, 2029, 2040), 51, True),
        ((100, 2031, 2040), 51, False),
        ((100, 2029, 2035), 51, False),
        ((50, 2029, 2040), 51, False),
        ((100, 2029, 2040), None, False),
    ],
    ids=["carried-on", "too-late", "itself-ended", "not-over-it", "no-entry"],
)
def test_a_stamp_whose_certificates_have_ended_holds_if_a_later_one_was_over_it_in_time(
    second: tuple[int, int, int], entry: int | None, holds: bool
) -> None:
    stamps = [made(50, 2026, 2030, "first"), made(*second, "second")]
    entries = {} if entry is None else {"first": entry}
    first, _ = judge_stamps(stamps, entries, 1, NOW)
    assert (not first.fault) == holds
    if not holds:
        assert "2030-01-01" in first.fault


def test_an_authority_without_certificates_to_trust_is_refused_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match="time_stamps_trust"):
        LogsConfig(time_stamps="https://tsa.example.se/")
    assert stamper(LogsConfig(), cast(Any, None), lambda: NOW, lambda *_: None) is None
