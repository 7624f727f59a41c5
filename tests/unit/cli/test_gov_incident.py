"""`samdrift gov incident`, as officers and the operator's staff use it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.governance.incidents import IncidentEvent
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.programs import requires
from tests.unit.cli import test_gov_signing
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.cli.test_gov_signing import Desk, opened
from tests.unit.cli.test_gov_who import consent
from tests.vaults import Installation

pytestmark = requires("ssh-keygen", "openssh-client")
config, two = test_gov_signing.config, test_gov_signing.two
WHY = ("--by", "eva", "--reason", "test")


def ago(hours: float) -> str:
    moment = datetime.now(UTC) - timedelta(hours=hours)
    return moment.replace(microsecond=0).isoformat()


async def test_an_officer_opens_tells_attaches_drafts_and_closes(
    installation: Installation, config: Path, two: list[str], tmp_path: Path
) -> None:
    desk = await opened(installation, config, two, tmp_path)
    opening = ("incident open", "--title", "Obehörig läsning", "--aware", ago(7), "--began", ago(8))
    first = await desk.state("kim", *opening, "--clocks", "concerned,personal-data", "--by", "kim")
    (row,) = json.loads(await desk.run("incident list", "--json"))["incidents"]
    clocks = {each["clock"]: each for each in row["clocks"]}
    assert (clocks["concerned"]["late"], clocks["personal-data"]["late"]) == (True, False)
    assert 64 * 3600 < clocks["personal-data"]["left_seconds"] <= 65 * 3600
    assert "over" in await desk.run("incident list")

    number = str(first["statement"])
    (tmp_path / "section.zip").write_bytes(b"a section of the log")
    await desk.state("kim", "incident attach", number, tmp_path / "section.zip", "--by", "kim")
    telling = ("incident tell", number, "concerned", "--reference", "telefon", "--at", ago(6.5))
    await desk.state("kim", *telling, "--by", "kim")
    (row,) = json.loads(await desk.run("incident list", "--json"))["incidents"]
    assert {each["clock"]: each["late"] for each in row["clocks"]}["concerned"] is False
    with pytest.raises(Unusable):
        await desk.signed("kim", *telling, "--by", "kim")

    with pytest.raises(Unusable, match="no consent covers that"):
        await desk.run("incident reached", "1", "--by", "ola")
    await consent(desk)
    reached = json.loads(await desk.run("incident reached", "1", "--by", "ola", "--json"))["deeds"]
    assert "person:kim" in {each["who"] for each in reached}
    await desk.run("incident draft", "1", "personal-data", "--out", tmp_path / "imy.txt")
    text = (tmp_path / "imy.txt").read_text()
    assert "IMY: anmälan" in text
    assert "person:kim" not in text
    await desk.state("kim", "incident close", number, "--by", "kim")
    (row,) = json.loads(await desk.run("incident list", "--json"))["incidents"]
    assert row["closed"] is not None
    assert row["open"] is True, "the incident must stay open while a clock runs"


async def test_an_incident_of_the_operators_is_told_to_each_apart_from_the_others(
    installation: Installation, config: Path, tmp_path: Path
) -> None:
    theirs = await installation.organisation([Role.MESSAGE_SERVICE, Role.GOVERNANCE])
    others = await installation.organisation([Role.MESSAGE_SERVICE])
    third = await installation.organisation([Role.GOVERNANCE])
    desk = Desk(config, theirs, tmp_path)
    named = [word for each in (theirs, others) for word in ("--organisation", str(each))]
    shared = ("--title", "Avbrott", "--aware", ago(1), *WHY)
    made = await desk.run("incident shared open", *named, *shared, "--json", whose=False)
    identifier = json.loads(made)["incident"]
    assert json.loads(made)["untold"] == []
    for organisation, known in ((theirs, 1), (others, 1), (third, 0)):
        found = json.loads(await Desk(config, organisation, tmp_path).run("incident list", "--json"))
        assert len(found["incidents"]) == known
        text = json.dumps(found)
        assert not [str(each) for each in (theirs, others, third) if str(each) in text]
    for role in (Role.MESSAGE_SERVICE, Role.GOVERNANCE):  # Governance's pages read only governance's log.
        async with installation.open(theirs, role) as vault:
            log = [each for each in await vault.log(limit=1000) if each.event in tuple(IncidentEvent)]
        assert [each.event for each in log] == [IncidentEvent.GOV_INCIDENT_OPENED]
        assert str(others) not in str(log[0].ids)

    telling = ("incident shared tell", identifier[:8], "concerned", "--reference", "mejl", *WHY)
    assert str(others) in await desk.run(*telling, whose=False)
    with pytest.raises(Unusable, match="already been stopped"):
        await desk.run(*telling, whose=False)
    await desk.run("incident shared note", identifier[:8], *WHY, "--clocks", "federation", whose=False)
    await desk.run("incident shared close", identifier[:8], *WHY, whose=False)
    listed = json.loads(await desk.run("incident shared list", *WHY, "--json", whose=False))["incidents"]
    (row,) = [each for each in listed if each["incident"] == identifier]
    assert row["organisations"] == sorted(map(str, (theirs, others)))
    assert (row["open"], len(row["clocks"])) == (False, 2)
    (row,) = json.loads(await Desk(config, others, tmp_path).run("incident list", "--json"))["incidents"]
    assert row["closed"] is not None


async def test_who_must_be_notified_by_other_means_is_named(installation: Installation, config: Path) -> None:
    """Locked vaults keep no other organisation from having it in its log."""
    roles = [Role.MESSAGE_SERVICE]
    first, second = sorted([await installation.organisation(roles) for _ in range(2)], key=str)
    (vault,) = [one.vault for one in installation.gate.registry.all() if one.organisation == first]
    open_keys(installation.settings).relock(vault, b"a long passphrase of an officer")
    whose = ("--organisation", str(first), "--organisation", str(second), "--config", config)

    async def shared(*words: str | Path) -> Ended:
        return await asyncio.to_thread(in_process, "gov", "incident", "shared", *words, *WHY)

    made = await shared("open", "--title", "Avbrott", *whose)
    identifier, untold = made.output.splitlines()
    advice = "a vault of it is locked or cannot be reached now: notify it by other means"
    assert (made.status, untold) == (1, f"{first}: not recorded in its log, because {advice}")
    noted = await shared("note", identifier[:8], "--config", config)
    assert noted.output.splitlines() == [f"{second}: in its log", untold]
    await installation.forget()
    closed = await shared("close", identifier[:8], "--config", config)
    assert (noted.status, closed.status) == (1, 0)
    text = "in the operator's log: none of the organisations that it concerns is here any more\n"
    assert closed.output == text


@pytest.mark.parametrize(
    "words",
    [
        ("open", "--title", "X", "--organisation", "0203:nowhere.se"),
        ("note", "0" * 64),
        ("tell", "0" * 64, "concerned", "--reference", "X"),
        ("tell", "0" * 64, "yesterday", "--reference", "X"),
        ("close", "ab"),
    ],
)
async def test_what_is_not_there_is_refused_with_the_reason(
    installation: Installation, config: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    desk = Desk(config, await installation.organisation([Role.GOVERNANCE]), tmp_path)
    command, *rest = words
    with pytest.raises(Unusable):
        await desk.run(f"incident shared {command}", *rest, *WHY, whose=False)


async def test_bad_words_for_a_statement_are_refused(
    installation: Installation, config: Path, tmp_path: Path
) -> None:
    desk = Desk(config, ParticipantIdentifier("0203:nowhere.se"), tmp_path)
    signed = ("--by", "kim", "--why", "x", "--out", tmp_path / "x")
    for words in (
        ("incident open", "--title", "X", "--aware", "2026-03-03"),
        ("incident open", "--title", "X", "--clocks", "soon"),
        ("incident tell", "1", "soon", "--reference", "X"),
        ("incident attach", "1", tmp_path / "missing"),
    ):
        with pytest.raises(Unusable):
            await desk.run(*words, *signed)
