"""Checkpoints of the logs of a process: witnessed, refused, and each on its own."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.administration.logexport import write_tree
from samdrift.audit.logverifying import LogVerifier
from samdrift.audit.merkle import MemoryTree
from samdrift.audit.notes import Algorithm, Checkpoint, SignedCheckpoint, VerifierKey
from samdrift.audit.policies import Member, Policy
from samdrift.audit.proofs import WitnessRequest
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.evidence.logexport import verify_log
from samdrift.installation.health import Dependency, Health
from samdrift.installation.logkeeping import (
    OPERATORS,
    LogKeeper,
    LogMetrics,
    PolicyUnusable,
    note_pauses,
    read_policy,
)
from samdrift.installation.logturns import LogPlace, LogTurns
from samdrift.keystore.keyfiles import HsmUnavailable, KeyFault, KeyStoreError
from samdrift.keystore.software import SoftwareKeyStore
from samdrift.net.client import Fetched, FetchLimits, HttpFault, NoAnswer
from samdrift.transparency.witness import Witness
from samdrift.transparency.witnessstate import WitnessState
from samdrift.vault.database.session import Session
from samdrift.vault.errors import VaultDenied, VaultError, VaultUnavailable
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.logtree import LogShortened, LogTree, SigningStopped, TreeState
from samdrift.vault.logtree import WitnessState as Answered
from samdrift.vault.registry import RegistrationState
from samdrift.wire.crypto.softwarekeys import SoftwareLogKey
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.audit.signing import ONE, TWO
from tests.vaults import NOW, WORKER, Installation, until

AP = Role.ACCESS_POINT
ROLES = (AP,)
MEMBER = Member(ONE.key, "https://witness.example.se")
PLACE = f"witness {ONE.name} at witness.example.se"
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
OUTSIDER = Principal(PrincipalKind.SYSTEM, "outside", "0203:elsewhere.se")


@dataclass
class Scene:
    """A keeper, and a real witness behind the address that it calls."""

    installation: Installation
    place: LogPlace
    state: WitnessState
    now: datetime = NOW
    logs: dict[str, list[VerifierKey]] = field(default_factory=dict)
    members: tuple[Member, ...] = (MEMBER,)
    asked: list[WitnessRequest] = field(default_factory=list)
    away: bool = False
    ahead: timedelta = timedelta()
    """Time by which the witness's clock is ahead."""
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """A function that runs while the witness is asked."""
    noted: list[tuple[str, str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin again as another process would."""
        gate = self.installation.gate
        self.keeper = LogKeeper(
            gate,
            lambda _: self.members,
            self,
            lambda: self.now,
            MINUTE,
            lambda *noted: self.noted.append(noted[:3]),
        )

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        assert url == "https://witness.example.se/add-checkpoint"
        assert content is not None
        if self.away:
            raise NoAnswer(HttpFault.UNREACHABLE)
        self.asked.append(WitnessRequest.parse(content))
        if self.meanwhile is not None:
            await self.meanwhile()
        reply = self.witness.add_checkpoint(content)
        return Fetched(reply.status, reply.content_type, reply.body)

    @property
    def witness(self) -> Witness:
        return Witness(ONE.key, ONE.private.sign, self.logs, self.state, lambda: self.now + self.ahead)

    @property
    def organisation(self) -> ParticipantIdentifier:
        assert self.place.organisation is not None
        return self.place.organisation

    async def known(self) -> None:
        """Register the log with the witness, with the key that it announces."""
        self.members = ()
        state = await self.keeper.round(self.place)
        state = await self.keeper.round(self.place)
        assert state.key is not None
        self.logs[state.origin] = [VerifierKey.parse(state.key)]
        self.members = (MEMBER,)

    async def log(self, entries: int) -> None:
        async with self.installation.open(self.organisation, AP) as vault:
            for number in range(entries):
                vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=str(number))

    async def stands(self) -> tuple[TreeState, tuple[Answered, ...]]:
        async with self.installation.open(self.organisation, AP) as vault:
            return await vault.tree.state(), await vault.tree.witnesses()

    async def shown_elsewhere(self, size: int) -> None:
        """Show the witness another history, signed with the log's own key: an earlier life of the log."""
        async with self.installation.open(self.organisation, AP) as vault:
            (key,) = vault._room.keys.log_keys(vault._room.vault)
            origin = (await vault.tree.state()).origin
        other = Checkpoint(origin, size, MemoryTree(bytes([each]) * 32 for each in range(size)).root())
        line = VerifierKey(origin, Algorithm.ED25519, key.public).line(other.text, key.sign)
        request = WitnessRequest(0, (), other.signed([line]))
        assert self.witness.add_checkpoint(bytes(request)).status == 200


@pytest.fixture
def scene(installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path) -> Iterator[Scene]:
    with WitnessState(tmp_path / "state.sqlite", ONE.key, new=True) as state:
        yield Scene(installation, LogPlace(organisation, AP), state)


async def test_a_log_is_cosigned_as_it_grows_and_while_it_is_silent(scene: Scene) -> None:
    await scene.known()
    policy = Policy(witnesses={"one": MEMBER}, quorum="one")
    policy.logs = [Member(key) for (key,) in scene.logs.values()]
    for new in (0, 300, 0, 5):
        await scene.log(new)
        scene.now += MINUTE
        await scene.keeper.round(scene.place)
        state, (answer,) = await scene.stands()
        async with scene.installation.open(scene.organisation, AP) as vault:
            note = await vault.tree.published()
        assert note is not None
        opened = policy.open(note)
        assert opened.checkpoint.size == state.size == state.signed == answer.size
        assert opened.cosigned == {ONE.key: int(scene.now.timestamp())}
        assert (answer.fault, answer.cosigned_at) == ("", int(scene.now.timestamp()))
    assert [(request.old, bool(request.proof)) for request in scene.asked] == [
        (0, False),
        (2, True),
        (302, False),
        (302, True),
    ], "one request for each round, and no proof if the log has not grown"
    scene.restart()
    await scene.keeper.round(scene.place)
    assert scene.asked[-1].old == 307, "the cosigned size must be known after a restart"


async def test_a_witness_whose_address_is_none_or_has_a_password_keeps_no_other_from_cosigning(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy is the organisation's own, and the operator sees the reason."""
    asked = scene.fetch

    async def fetch(url: str, limits: FetchLimits, **more: Any) -> Fetched:
        if url.startswith(str(MEMBER.address)):
            return await asked(url, limits, **more)
        raise NoAnswer(HttpFault.FORBIDDEN)

    monkeypatch.setattr(scene, "fetch", fetch)
    await scene.known()
    for address, place in (
        ("https://[", ""),
        ("https://two.example.se:port", ""),
        ("https://user:hemligt@two.example.se", ""),
        ("https://two.example.se:8443/log", " at two.example.se:8443"),
    ):
        scene.members = (MEMBER, Member(TWO.key, address))
        await scene.log(1)
        scene.now += MINUTE
        await scene.keeper.round(scene.place)
        state, answers = await scene.stands()
        assert {each.witness: each.size for each in answers}[str(ONE.key)] == state.size
        assert scene.noted[-1] == ("log", f"witness {TWO.name}{place}", "forbidden")


async def test_silence_leaves_no_entry_and_no_checkpoint(scene: Scene) -> None:
    await scene.known()
    before, _ = await scene.stands()
    for _ in range(3):
        scene.now += MINUTE
        await scene.keeper.round(scene.place)
    after, _ = await scene.stands()
    assert (after.size, after.note, after.checked_at) == (before.size, before.note, scene.now)
    async with scene.installation.open(scene.organisation, AP) as vault:
        assert len(await vault.tree.checkpoints()) == 2


async def test_a_witness_that_is_away_is_asked_again_and_its_age_stays_known(scene: Scene) -> None:
    await scene.known()
    await scene.keeper.round(scene.place)
    scene.away, cosigned = True, scene.now
    await scene.log(3)
    scene.now += MINUTE
    await scene.keeper.round(scene.place)
    state, (answer,) = await scene.stands()
    assert (answer.cosigned_at, answer.size, answer.fault) == (
        int(cosigned.timestamp()),
        2,
        "has not answered: unreachable",
    )
    assert state.signed == state.size == 5
    (age,) = [
        each
        for each in LogMetrics([scene.keeper.health], lambda: scene.now).collect()
        if "oldest" in each.name
    ]
    assert age.samples[0].value == MINUTE.total_seconds()
    scene.away = False
    await scene.keeper.round(scene.place)
    await scene.keeper.round(scene.place)
    assert scene.noted == [("log", PLACE, "unreachable"), *[("log", PLACE, "")] * 2]
    assert (await scene.stands())[1][0].size == 5


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("away", "unreachable"),
        ("busy", "it answers 503"),
        ("ahead", "the time of its cosignature is impossible; compare the clocks"),
    ],
)
async def test_a_witness_that_is_away_is_noted_once_for_all_logs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str, words: str
) -> None:
    """With 300 organisations, there was a line for each of their logs."""
    other = LogPlace(await scene.installation.organisation([AP]), AP)
    first, places = scene.place, (scene.place, other)
    for scene.place in places:
        await scene.known()
    scene.place, health, asked = first, Health(lambda: scene.now, elapsed=lambda: 0), scene.fetch
    monkeypatch.setattr(scene.keeper._away, "_note", health.note)

    async def busy(url: str, limits: FetchLimits, **more: Any) -> Fetched:
        return Fetched(503, "text/plain", b"")

    for change, value in {"away": ("away", True), "busy": ("fetch", busy), "ahead": ("ahead", DAY)}.items():
        if change == fault:
            monkeypatch.setattr(scene, *value)
    for _ in range(2):
        for place in places:
            await scene.keeper.round(place)
        scene.now += MINUTE
    (gone,) = [one for one in health.conditions() if one.gone_since]
    assert (gone.dependency, gone.at, gone.reason) == ("log", PLACE, words)
    scene.away, scene.ahead = False, timedelta()
    monkeypatch.setattr(scene, "fetch", asked)
    scene.now += 2 * DAY
    for place in places:
        await scene.keeper.round(place)
    assert [line.partition(" since")[0] for line in caplog.messages] == [
        f"log {PLACE}: gone",
        f"log {PLACE}: back after 0 s",
    ]


async def test_a_witness_that_one_log_alone_gets_no_answer_of_is_noted_by_that_log(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def another_answer(url: str, limits: FetchLimits, **more: Any) -> Fetched:
        return Fetched(400, "text/plain", b"")

    await scene.known()
    monkeypatch.setattr(scene, "fetch", another_answer)
    state = await scene.keeper.round(scene.place)
    assert scene.noted == [("log", state.origin, f"the {PLACE} has not answered: it answers 400")]


async def test_a_witness_that_was_not_told_of_the_log_stops_nothing(scene: Scene) -> None:
    await scene.keeper._in_its_place(scene.place)
    assert scene.keeper.health.stopped == set()
    state, (answer,) = await scene.stands()
    assert answer.fault == "does not know this log: enter the log's origin and key there"
    scene.logs[state.origin] = [ONE.key]
    await scene.keeper.round(scene.place)
    _, (answer,) = await scene.stands()
    assert answer.fault == "does not accept the log's signature: enter the key in use there"
    await scene.known()
    await scene.keeper.round(scene.place)
    _, (answer,) = await scene.stands()
    assert (answer.fault, answer.size) == ("", 2)


async def test_a_log_that_was_cut_is_an_alarm_and_signed_no_more(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack: delete the newest entries, whose checkpoint stays. The witness has no part in finding that."""
    await scene.log(3)
    await scene.known()
    schema = (await vault_login(scene.installation, scene.organisation, AP)).schema
    cut = f"DELETE FROM {schema}.log WHERE sequence = (SELECT sequence FROM {schema}.log_head) RETURNING 1"
    database = await superuser(scene.installation)
    database.rows(cut)
    database.rows(f"UPDATE {schema}.log_head SET sequence = sequence - 1 RETURNING 1")
    asked = len(scene.asked)
    with caplog.at_level(logging.ERROR, "samdrift"):
        for _ in range(2):
            with pytest.raises(VaultError) as stopped:
                await scene.keeper.round(scene.place)
            assert type(stopped.value) is LogShortened
    state, _ = await scene.stands()
    alarms = [each for each in caplog.messages if each.startswith("ALARM")]
    assert [each.partition(":")[0] for each in alarms] == [f"ALARM the log {state.origin}"], "once"
    assert len(scene.asked) == asked, "no witness may be shown anything"
    assert scene.noted[-1][:2] == (Dependency.LOG, state.origin)
    assert "fewer entries than were signed" in scene.noted[-1][2]


@pytest.mark.parametrize(("size", "reason", "seen"), [(7, "ahead", 7), (2, "contradicted", None)])
async def test_a_witness_that_knows_another_history_ends_the_signing_and_nothing_else(
    scene: Scene, size: int, reason: str, seen: int | None
) -> None:
    """After a backup was restored, the witness knows the entries that the log has lost."""
    await scene.known()
    await scene.shown_elsewhere(size)
    with pytest.raises(SigningStopped):
        await scene.keeper.round(scene.place)
    state, _ = await scene.stands()
    assert state.refusal is not None
    assert (state.refusal.reason, state.refusal.seen, state.refusal.size) == (reason, seen, 2)
    asked = len(scene.asked)
    await scene.log(2)
    for _ in range(2):
        scene.restart()
        with pytest.raises(SigningStopped):
            await scene.keeper.round(scene.place)
    after, _ = await scene.stands()
    assert (after.signed, after.size) == (2, 5), "two unsigned entries, and the one about the refusal"
    assert len(scene.asked) == asked, "no witness may be shown anything"
    assert {name for _, name, _ in scene.noted} == {state.origin}
    assert all("log resolve" in words for *_, words in scene.noted[1:])
    async with scene.installation.open(scene.organisation, AP) as vault:
        await vault.tree.resolve("a backup was restored", "Kim", "Alex", NOW)
    await scene.known()
    renewed = await scene.keeper.round(scene.place)
    _, (answer,) = await scene.stands()
    assert renewed.origin != state.origin
    assert (answer.size, answer.fault) == (renewed.signed, "")


@pytest.mark.parametrize("grows", [False, True])
async def test_a_vault_that_is_put_back_as_a_whole_is_found_by_its_witness(
    scene: Scene, tmp_path: Path, grows: bool
) -> None:
    """All tables of its schema are as in a backup, so nothing inside can show it.

    If it has since grown beyond what the witness has seen, the histories differ.
    """
    scene.now = datetime.now(UTC)  # Entries get the machine's time, so the witness has to use it, too.
    await scene.known()
    await scene.keeper.round(scene.place)
    login = await vault_login(scene.installation, scene.organisation, AP)
    database = await superuser(scene.installation)
    tables = [each for each in database.tables(login.schema) if not each.endswith("_seq")]
    saved = {table: database.rows(f"SELECT t::text FROM {login.schema}.{table} t") for table in tables}
    await scene.log(4)
    await scene.keeper.round(scene.place)
    seen, _ = await scene.stands()
    database.rows(
        "SET session_replication_role = replica; "
        + "; ".join(
            f"DELETE FROM {login.schema}.{table}; INSERT INTO {login.schema}.{table} OVERRIDING SYSTEM VALUE"
            f" SELECT (each::{login.schema}.{table}).* FROM unnest(ARRAY[{_literals(rows)}]::text[]) each"
            for table, rows in saved.items()
        )
        + "; RESET session_replication_role; SELECT 1"
    )
    scene.restart()
    if grows:
        await scene.log(9)
    before, _ = await scene.stands()
    with pytest.raises(SigningStopped):
        await scene.keeper.round(scene.place)
    after, _ = await scene.stands()
    assert after.refusal is not None
    assert after.refusal.reason == ("contradicted" if grows else "ahead")
    assert after.refusal.seen == (None if grows else seen.signed)
    assert (before.origin, before.size > (seen.signed or 0)) == (seen.origin, grows)
    await goes_on_under_another_name(scene, tmp_path, seen)


async def goes_on_under_another_name(scene: Scene, folder: Path, lost: TreeState) -> None:
    """Follow the documented way out; only a verifier that knows what was lost can see the loss."""
    async with scene.installation.open(scene.organisation, AP) as vault:
        renamed = await vault.tree.resolve("the backup of 3 May was restored", "Kim", "Alex", NOW)
    await scene.known()
    await scene.keeper.round(scene.place)
    state, (answer,) = await scene.stands()
    assert (state.origin, answer.fault, answer.size) == (renamed, "", state.signed)
    async with scene.installation.open(scene.organisation, AP) as vault:
        await write_tree(vault.tree, vault.log_origin.hash, "log", folder / "log")
    policy = Policy(witnesses={"one": MEMBER}, quorum="one")
    policy.logs = [Member(key) for key in scene.logs[state.origin]]
    now = int(scene.now.timestamp())
    verdict = verify_log(folder / "log", LogVerifier(policy, now))
    assert (verdict.first_wrong, verdict.size, verdict.origin) == (None, state.signed, renamed)
    known = SignedCheckpoint.parse(lost.note or b"", scene.logs[lost.origin])
    assert not verify_log(folder / "log", LogVerifier(policy, now, [known])).holds


def _literals(rows: list[tuple[object, ...]]) -> str:
    return ", ".join("'" + str(text).replace("'", "''") + "'" for (text,) in rows)


async def test_each_log_gets_its_turns_and_a_witness_that_hangs_holds_up_its_own_alone(scene: Scene) -> None:
    other = await scene.installation.organisation([AP])
    hanging = Member(ONE.key, "https://hangs.example.se")
    rounds: dict[LogPlace, int] = {}

    class Hanging:
        async def fetch(self, url: str, limits: FetchLimits, **_: object) -> Fetched:
            await asyncio.Event().wait()
            raise AssertionError

    def witnesses(place: LogPlace) -> tuple[Member, ...]:
        rounds[place] = rounds.get(place, 0) + 1
        return (hanging,) if place == scene.place else ()

    clock = asyncio.get_running_loop().time
    keeper = LogKeeper(
        scene.installation.gate, witnesses, Hanging(), lambda: NOW + timedelta(seconds=clock()), MINUTE / 200
    )
    task = asyncio.create_task(keeper.keep([OPERATORS], [AP]))
    try:
        await until(lambda: all(rounds.get(each, 0) >= 3 for each in (OPERATORS, LogPlace(other, AP))))
        assert rounds[scene.place] >= 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_log_that_another_process_signs_from_now_on_has_no_state_here(scene: Scene) -> None:
    """The other process reports refusals; this one would never report that the log is accepted again."""
    await scene.known()
    turns = LogTurns(MINUTE)
    scene.keeper._follow(turns, [scene.place], 0)
    scene.logs.clear()
    await scene.keeper.round(scene.place)
    state, _ = await scene.stands()
    scene.keeper._follow(turns, [], 60)
    assert scene.noted[-2:] == [
        ("log", state.origin, f"the {PLACE} does not know this log: enter the log's origin and key there"),
        ("log", state.origin, None),
    ]


async def test_a_log_that_has_not_grown_is_not_opened_in_its_turns(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.members = ()
    gate, opened = scene.installation.gate, Counter[LogPlace]()
    inside = LogKeeper._tree

    def counted(keeper: LogKeeper, place: LogPlace) -> object:
        opened[place] += 1
        return inside(keeper, place)

    monkeypatch.setattr(LogKeeper, "_tree", counted)
    clock = asyncio.get_running_loop().time
    keeper = LogKeeper(
        gate, lambda _: (), scene, lambda: NOW + timedelta(seconds=clock()), timedelta(seconds=0.2)
    )
    task = asyncio.create_task(keeper.keep([OPERATORS], [AP]))
    try:
        await until(lambda: opened[OPERATORS] >= 6)
        assert opened[scene.place] <= 2, "only a start may open it, to look and to sign its key's entry"
        state, _ = await scene.stands()
        assert state.signed == state.size
        before, turns = opened[scene.place], opened[OPERATORS]
        await until(lambda: opened[OPERATORS] >= turns + 4)
        assert opened[scene.place] == before

        await scene.log(1)
        await until(lambda: opened[scene.place] > before)
        async with asyncio.timeout(60):
            while (state := (await scene.stands())[0]).signed != state.size:
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_log_that_grows_after_a_silence_is_signed_by_the_connection_that_wrote_to_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle organisation's vault is logged in to once for an event, and not again to sign it."""
    monkeypatch.setattr("samdrift.installation.logkeeping._BURST_SECONDS", 0.05)
    monkeypatch.setattr("samdrift.installation.logkeeping._LOOK_SECONDS", 0.05)
    scene.members, logins = (), 0
    connect = Session.connect
    assert scene.place.organisation is not None
    registration = scene.installation.gate.registry.find(scene.place.organisation, AP)
    assert registration is not None

    async def counted(address: str, *given: str) -> Session:
        nonlocal logins
        logins += registration.login in address
        return await connect(address, *given)

    monkeypatch.setattr(Session, "connect", counted)
    keeping = asyncio.create_task(scene.keeper.keep([], [AP]))

    async def signed() -> int:
        async with asyncio.timeout(60):
            while (state := (await scene.stands())[0]).signed != state.size or not state.size:
                await asyncio.sleep(0.02)
        return state.size

    try:
        await scene.log(1)
        scene.now += MINUTE  # Its turn comes.
        size = await signed()
        assert logins == 1
        for _ in range(2):
            # Its turns pass without an entry; then the clock stands still, so that it has no further turn.
            scene.now += 2 * MINUTE
            await scene.log(1)
            before = logins
            assert await signed() > size
            assert logins == before
            size += 1
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_a_log_is_looked_at_once_an_hour_over_a_connection_that_something_else_has_opened(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notification of an entry may have been lost, and here none is ever sent."""
    gate = scene.installation.gate
    monkeypatch.setattr("samdrift.installation.logkeeping._LOOK_SECONDS", 0.02)
    monkeypatch.setattr(gate.growth, "committed", lambda _: None)
    monkeypatch.setattr(scene.keeper, "_hear", asyncio.Event().wait)
    scene.members, rounds = (), Counter[LogPlace]()
    rounded = scene.keeper.round

    async def round_(place: LogPlace) -> TreeState:
        rounds[place] += 1
        return await rounded(place)

    monkeypatch.setattr(scene.keeper, "round", round_)
    keeping = asyncio.create_task(scene.keeper.keep([], [AP]))
    try:
        while not rounds[scene.place]:  # Its first turn comes within a cadence.
            scene.now += MINUTE / 12
            await asyncio.sleep(0.02)
        await until(lambda: not scene.keeper._under_way)
        first = rounds[scene.place]
        await scene.log(1)
        for passed, looks in ((28 * MINUTE, 0), (3 * MINUTE, 1)):
            scene.now += passed
            gate.visits._tell((scene.organisation, AP))
            await asyncio.sleep(0.1)  # Leave time for a look that would be too early.
            await until(lambda n=first + looks: rounds[scene.place] == n and not scene.keeper._under_way)
        state, _ = await scene.stands()
        assert state.signed == state.size
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_a_log_that_was_signed_within_a_cadence_waits_for_its_turn_however_it_grows(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samdrift.installation.logkeeping._BURST_SECONDS", -1.0)
    scene.members = ()
    turns, start = LogTurns(MINUTE), NOW.timestamp()
    scene.keeper._follow(turns, [scene.place], start)
    assert scene.keeper._early(turns, start + 59) == []
    assert scene.keeper._early(turns, start + 60) == [scene.place]
    assert scene.keeper._early(turns, start + 60) == [], "a noted entry must make the log due only once"
    turns.opened(scene.place, start + 60)
    await scene.log(1)
    assert scene.keeper._early(turns, start + 119) == []
    assert scene.keeper._early(turns, start + 120) == [scene.place]


async def test_a_log_is_signed_early_only_when_a_burst_has_passed(scene: Scene) -> None:
    scene.members = ()
    turns, start = LogTurns(MINUTE), NOW.timestamp()
    scene.keeper._follow(turns, [scene.place], start)
    assert scene.keeper._early(turns, start + 60) == []


async def test_an_entry_of_another_process_is_signed_within_a_cadence(scene: Scene) -> None:
    """A command writes such an entry, in a process that signs nothing."""
    scene.members = ()
    clock = asyncio.get_running_loop().time
    keeper = LogKeeper(
        scene.installation.gate, lambda _: (), scene, lambda: NOW + timedelta(seconds=clock()), MINUTE / 200
    )
    task = asyncio.create_task(keeper.keep([], [AP]))

    async def signed(at_least: int) -> int:
        for _ in range(1200):
            state, _ = await scene.stands()
            if state.signed == state.size >= at_least:
                return state.size
            await asyncio.sleep(0.05)
        pytest.fail("the log was not signed in time")

    other = await Gate.start(scene.installation.settings)
    try:
        size = await signed(1)
        async with other.open(WORKER, scene.organisation, AP, Purpose.PROCESS) as vault:
            vault.record(APEvent.AP_TRANSFER_QUEUED, envelope="1")
        size = await signed(size + 1)
        assert await other.record_for_organisation(
            WORKER, scene.organisation, APEvent.AP_TRANSFER_QUEUED, {}, [AP]
        )
        size = await signed(size + 1)
        with pytest.raises(VaultDenied):
            async with other.open(OUTSIDER, scene.organisation, AP, Purpose.READ):
                pass
        await signed(size + 1)
    finally:
        await other.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_log_whose_round_failed_is_looked_at_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(keeper: LogKeeper, place: LogPlace) -> None:
        raise VaultUnavailable

    monkeypatch.setattr(LogKeeper, "round", away)
    growth = scene.installation.gate.growth
    growth.take(scene.organisation, AP)
    await scene.keeper._in_its_place(scene.place)
    assert growth.take(scene.organisation, AP)


async def test_a_turn_that_comes_while_a_round_goes_on_waits_for_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two rounds would sign the same entries, and the database refuses the second."""
    await scene.known()
    scene.members = ()
    sign, begun, may_end = LogTree.sign, asyncio.Event(), asyncio.Event()
    signing = 0

    async def slow(tree: LogTree, now: datetime) -> TreeState:
        nonlocal signing
        signing += 1
        begun.set()
        await may_end.wait()
        return await sign(tree, now)

    monkeypatch.setattr(LogTree, "sign", slow)
    growth = scene.installation.gate.growth
    first = asyncio.create_task(scene.keeper._in_its_place(scene.place))
    await begun.wait()
    growth.take(scene.organisation, AP)
    second = asyncio.create_task(scene.keeper._in_its_place(scene.place))
    await until(lambda: second.done() or signing > 1)
    at_once = signing
    may_end.set()
    await asyncio.gather(first, second)
    assert at_once == 1
    assert signing == 2, "the round under way must sign once more"
    assert scene.keeper.health.failures == 0
    assert "unexpected" not in caplog.text


async def test_what_fails_in_one_round_is_counted_and_the_next_one_goes_on(scene: Scene) -> None:
    def unusable(_: LogPlace) -> tuple[Member, ...]:
        raise PolicyUnusable("habo.policy: a policy needs a line that begins with quorum")

    keeper = LogKeeper(scene.installation.gate, unusable, scene, lambda: NOW, MINUTE)
    await keeper._in_its_place(scene.place)
    assert keeper.health.failures == 1
    await scene.known()
    await scene.shown_elsewhere(3)
    await scene.keeper._in_its_place(scene.place)
    assert scene.keeper.health.stopped == {scene.place}
    values = {each.name: each.samples[0].value for each in LogMetrics([scene.keeper.health]).collect()}
    assert values["samdrift_logs_stopped"] == 1


async def test_a_locked_vault_signs_nothing_and_that_is_no_failure(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its database may still be open here from before it was locked, but its keys are not."""
    faults = iter((KeyFault.LOCKED, KeyFault.UNAVAILABLE, KeyFault.MISSING))

    def log_keys(_: object, vault: str) -> None:
        raise KeyStoreError(next(faults), "no key")

    monkeypatch.setattr(SoftwareKeyStore, "log_keys", log_keys)
    for failures in (0, 1):
        await scene.keeper._in_its_place(scene.place)
        assert (scene.keeper.health.failures, caplog.records) == (failures, [])
    await scene.keeper._in_its_place(scene.place)
    assert (scene.keeper.health.failures, len(caplog.records)) == (2, 1)
    assert (await scene.stands())[0].signed is None


@pytest.mark.parametrize("witnessed", [True, False])
async def test_a_log_whose_key_is_in_an_hsm_that_is_away_is_not_silently_unsigned(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, *, witnessed: bool
) -> None:
    await scene.known()
    if not witnessed:
        scene.members = ()
    await scene.log(1)

    def away(_: object, data: bytes) -> bytes:
        raise HsmUnavailable(KeyFault.UNAVAILABLE, "there is no token with the organisation's label")

    with monkeypatch.context() as outage:
        outage.setattr(SoftwareLogKey, "remote", True)
        outage.setattr(SoftwareLogKey, "sign", away)
        await scene.keeper._in_its_place(scene.place)
    state, _ = await scene.stands()
    reason = "there is no token with the organisation's label"
    assert scene.noted == [("log", state.origin, reason)]
    assert (scene.keeper.health.failures, (state.signed or 0) < state.size) == (1, True)
    await scene.keeper._in_its_place(scene.place)
    assert scene.noted[1:] == [("log", state.origin, "")], "the recovery must be reported"
    state, _ = await scene.stands()
    assert state.signed == state.size


async def test_the_operators_log_says_since_when_a_vault_signs_nothing(scene: Scene) -> None:
    installation, organisation = scene.installation, scene.organisation
    registration = installation.gate.registry.find(organisation, AP)
    assert registration is not None

    async def noted() -> list[tuple[str, str | None]]:
        entries, after = [], 0
        while page := await installation.gate.read_operator_log(after):
            entries += [each for each in page if each.event.startswith("log:signing")]
            after = page[-1].sequence
        own = [each for each in entries if each.ids["organisation"] == organisation.value]
        return [(each.event, each.ids.get("reason")) for each in own]

    keys = scene.installation.gate._keys
    task = asyncio.create_task(note_pauses(installation.gate, keys, timedelta(milliseconds=5)))
    expected: list[tuple[str, str | None]] = []
    try:
        for state, entry in (
            (RegistrationState.SUSPENDED, (VaultEvent.LOG_SIGNING_PAUSED, "suspended")),
            (RegistrationState.ACTIVE, (VaultEvent.LOG_SIGNING_CONTINUED, None)),
        ):
            await installation.provisioner.set_state(organisation, AP, state)
            expected.append(entry)
            async with asyncio.timeout(60):
                while await noted() != expected:
                    await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await installation.gate.pause_signing(registration, "locked")
    await installation.gate.pause_signing(registration, "locked")
    assert await noted() == [*expected, (VaultEvent.LOG_SIGNING_PAUSED, "locked")], (
        "each change must be logged only once"
    )


def test_a_policy_that_cannot_be_read_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "habo.policy"
    with pytest.raises(PolicyUnusable, match="cannot be read"):
        read_policy(file)
    file.write_text("witness one key\nquorum one\n")
    with pytest.raises(PolicyUnusable, match=r"habo\.policy: .* \(at line 1\)"):
        read_policy(file)


async def test_a_witness_sees_what_is_committed_and_no_connection_waits_for_it(scene: Scene) -> None:
    """This holds both for a new checkpoint and for that of the round before."""
    await scene.known()
    await scene.log(3)
    gate = scene.installation.gate
    login = (await vault_login(scene.installation, scene.organisation, AP)).login
    seen: list[int | None] = []

    async def look() -> None:
        line = gate._pool._lines[login]
        assert line.open == len(line.idle)
        state, _ = await scene.stands()
        seen.append(state.signed)

    scene.meanwhile = look
    grown = await scene.keeper.round(scene.place)
    idle = await scene.keeper.round(scene.place)
    assert seen == [grown.signed, idle.signed] == [grown.size] * 2
