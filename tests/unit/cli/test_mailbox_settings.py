"""`samdrift mailbox`: each change of a mailbox's settings is in the log with the person and the reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from samdrift.cli.mailbox import app
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.messageclient.permissions import Assignments, person_subject
from samdrift.net.clock import system_clock
from samdrift.rights import ORGANISATION, Right, Rights, Scope, Subject, SubjectKind
from samdrift.rights.statements import Approved, Given
from samdrift.vault.people import Identity
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.sizes import sampled
from tests.unit.cli import test_org_commands
from tests.unit.cli.test_mailbox_commands import ISSUER, mailbox, served
from tests.vaults import Installation

MK = Role.MESSAGE_CLIENT
WHY = ("--by", "kim", "--reason", "dnr 7")
config = test_org_commands.config


@dataclass
class Desk:
    """The operator's terminal, at one organisation with one mailbox, `sdk.soc`."""

    installation: Installation
    organisation: ParticipantIdentifier
    config: Path

    async def run(self, *words: str) -> str:
        """Run a command; the words before the first option or address are its name."""
        name, *more = words[0].split(" "), *words[1:]
        if "--reason" not in words:
            more += WHY
        return await mailbox(self.config, *name, str(self.organisation), *more)

    async def json(self, *words: str) -> Any:
        return json.loads(await self.run(*words, "--json"))

    async def logged(self, event: str) -> list[dict[str, str]]:
        async with self.installation.open(self.organisation, MK) as vault:
            return [dict(each.ids) for each in await vault.log() if each.event == event]


@pytest_asyncio.fixture
async def desk(installation: Installation, config: Path) -> AsyncIterator[Desk]:
    organisation = await installation.organisation([MK])
    served(config, organisation)
    opened = Desk(installation, organisation, config)
    await opened.run("add", "sdk.soc", "Socialtjänsten")
    yield opened


async def test_a_verified_backup_is_in_the_log_with_who_and_why_and_never_of_a_time_to_come(
    desk: Desk,
) -> None:
    taken = datetime(2026, 3, 1, 2, tzinfo=UTC)
    assert (await desk.json("deletion"))["backup"] is None
    await desk.run("backup-verified", "--taken-at", taken.isoformat(), *WHY)
    await desk.run("backup-verified", "--taken-at", (taken - timedelta(days=1)).isoformat(), *WHY)
    ahead = (system_clock() + timedelta(hours=1)).isoformat()
    with pytest.raises(Unusable, match="must not be in the future"):
        await desk.run("backup-verified", "--taken-at", ahead, *WHY)
    shown = await desk.json("deletion")
    assert (shown["after_days"], shown["backup"]) == (None, taken.isoformat()), (
        "an older backup must not replace the latest"
    )
    assert shown["addresses"] == [{"address": "sdk.soc", "state": "kept"}]
    first, second = await desk.logged("mk:backup:verified")
    assert (first["by"], first["reason"], first["taken_at"]) == ("kim", "dnr 7", taken.isoformat())
    assert second["before"] == taken.isoformat()


async def test_the_state_of_deletion_says_what_it_waits_for(desk: Desk) -> None:
    text = desk.config.read_text() + (
        '\n[organisations.message_service]\ninterface = "https://mt.test/v1"\nclient_id = "mk"\n'
        'token_endpoint = "https://mt.test/token"\ndelete_after_days = 90\n'
    )
    desk.config.write_text(text)
    shown = await desk.json("deletion")
    assert (shown["after_days"], shown["addresses"]) == (90, [{"address": "sdk.soc", "state": "unconfirmed"}])
    assert "deleted there after 90 days\nverified backup  none" in await desk.run("deletion")


async def test_a_rule_for_disposal_names_its_decision(desk: Desk) -> None:
    rule = ("--since", "done", "--days", "730", "--decision", "KS 2026/9")
    await desk.run("disposal-rule", "sdk.soc", *rule, *WHY)
    (one,) = (await desk.json("disposals"))["mailboxes"]
    assert one["rule"] == {"since": "done", "days": 730, "decision": "KS 2026/9"}
    (entry,) = await desk.logged("mk:disposal:ruled")
    assert (entry["by"], entry["reason"], entry["days"]) == ("kim", "dnr 7", "730")
    with pytest.raises(Unusable, match="no mailbox with that address"):
        await desk.run("disposal-rule", "sdk.elsewhere", *rule, *WHY)


async def test_manning_is_shown_and_changed_in_part(desk: Desk) -> None:
    before = await desk.run("manning", "sdk.soc")
    assert "mon  08:00-17:00" in before
    assert "sat  closed" in before
    changes = ("--hours", "mon-thu=07:30-16:00", "--hours", "sat=10:00-12:00", "--hours", "fri=closed")
    await desk.run("manning", "sdk.soc", *changes, "--closed", "2026-07-06/2026-07-08", *WHY)
    told = ("--escalate-after", "8", "--escalate-to", "chef@habo.se", "--open-on-holidays")
    await desk.run("manning", "sdk.soc", *told, *WHY)
    found = (await desk.json("manning", "sdk.soc"))["manning"]
    assert found["hours"] == [[450, 960]] * 4 + [None, [600, 720], None]
    assert found["closed"] == ["2026-07-06", "2026-07-07", "2026-07-08"]
    assert (found["holidays"], found["escalate_after"], found["escalate_to"]) == (False, 8, "chef@habo.se")
    assert "chef@habo.se" not in await desk.run("manning", "sdk.soc"), (
        "the terminal must not show a person's address"
    )
    await desk.run("manning", "sdk.soc", "--open-again", "--closed", "2026-12-23", *WHY)
    assert (await desk.json("manning", "sdk.soc"))["manning"]["closed"] == ["2026-12-23"]
    entries = [each for each in await desk.logged("mk:mailbox:changed") if each["action"] == "manning"]
    assert [(each["by"], each["reason"]) for each in entries] == [("kim", "dnr 7")] * 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    sampled(
        [
            (("--hours", "monday"), "--hours is written like"),
            (("--hours", "fri-mon=08:00-17:00"), "in their order"),
            (("--hours", "mon=17:00-08:00"), "the later one last"),
            (("--hours", "mon=08:70-17:00"), "from 00:00 to 24:00"),
            (("--closed", "juli"), "--closed is written like"),
            (("--closed", "2026-07-31/2026-07-06"), "its first day first"),
            (("--escalate-to", "chef@habo.se"), "after how many hours"),
            (("--escalate-after", "8", "--escalate-to", "chef"), "not a mail address"),
            (("--escalate-after", "999"), "1 to 200"),
            (("--acknowledge", "x" * 3000), "at most 2000"),
        ]
    ),
)
async def test_what_cannot_be_is_refused_and_nothing_changes(
    desk: Desk, wrong: Sequence[str], said: str
) -> None:
    before = await desk.run("manning", "sdk.soc")
    with pytest.raises(Unusable, match=said):
        await desk.run("manning", "sdk.soc", *wrong, *WHY)
    assert await desk.run("manning", "sdk.soc") == before


async def test_every_command_has_a_reason_which_is_in_the_log_before_anything_is_done(desk: Desk) -> None:
    for words in (("manning", "sdk.soc", "--open-on-holidays"), ("text list", "sdk.soc"), ("deletion",)):
        name, more = words[0].split(" "), words[1:]
        arguments = [*name, str(desk.organisation), *more, "--reason", " ", "--config", str(desk.config)]
        refused = await asyncio.to_thread(CliRunner().invoke, app, arguments, standalone_mode=False)
        assert isinstance(refused.exception, Unusable)
        await desk.run(*words)
    ran = [each for each in await desk.logged("org:command:run") if each["command"] != "mailbox add"]
    assert [each["command"] for each in ran] == ["mailbox manning", "mailbox text list", "mailbox deletion"]
    assert {(each["by"], each["reason"]) for each in ran} == {("kim", "dnr 7")}


async def test_notices_are_listed_without_addresses_and_ended(desk: Desk) -> None:
    async with desk.installation.open(desk.organisation, MK) as vault:
        (box,) = await vault.mailboxes()
        choice = {"address": "anna@habo.se", "mailboxes": {box.id: "soon"}, "hour": 8}
        vault.keep_notice_choice("person-1", choice)
    assert await desk.json("notices") == {
        "notices": [{"person": "person-1", "mailboxes": {"sdk.soc": "soon"}}]
    }
    with pytest.raises(Unusable, match="no person with that id"):
        await desk.run("notices", "--stop", "person-2", *WHY)
    assert await desk.run("notices", "--stop", "person-1", *WHY) == ""
    async with desk.installation.open(desk.organisation, MK) as vault:
        assert (await vault.notice_choices())["person-1"]["address"] == ""
    (entry,) = await desk.logged("mk:notice:chosen")
    assert (entry["person"], entry["by"], entry["reason"]) == ("person-1", "kim", "dnr 7")


async def test_templates_and_distribution_lists_are_kept_changed_and_removed(
    desk: Desk, tmp_path: Path
) -> None:
    (file := tmp_path / "template").write_text("Tack för ert meddelande.")
    new = (await desk.run("text keep", "sdk.soc", "--title", "Tack", "--file", str(file), *WHY)).strip()
    file.write_text("Tack.")
    await desk.run("text keep", "sdk.soc", "--title", "Kort", "--file", str(file), "--id", new, *WHY)
    assert (await desk.json("text list", "sdk.soc"))["texts"] == [
        {"id": new, "title": "Kort", "text": "Tack."}
    ]
    with pytest.raises(Unusable):
        await desk.run("text keep", "sdk.soc", "--title", "X", "--file", str(file), "--id", "f" * 32, *WHY)
    await desk.run("text remove", "sdk.soc", new, *WHY)
    with pytest.raises(Unusable):
        await desk.run("text remove", "sdk.soc", new, *WHY)
    assert (await desk.json("text list", "sdk.soc"))["texts"] == []

    to = ("--to", "0203:mullsjo.se sdk.soc.mullsjo", "--to", "0203:nassjo.se sdk.soc.nassjo")
    new = (await desk.run("recipients keep", "sdk.soc", "--name", "Grannar", *to, *WHY)).strip()
    (kept,) = (await desk.json("recipients list", "sdk.soc"))["lists"]
    assert (kept["id"], [each["organisation"] for each in kept["recipients"]]) == (
        new,
        ["0203:mullsjo.se", "0203:nassjo.se"],
    )
    with pytest.raises(Unusable, match="a space"):
        await desk.run("recipients keep", "sdk.soc", "--name", "X", "--to", "0203:mullsjo.se", *WHY)
    await desk.run("recipients remove", "sdk.soc", new, *WHY)
    changed = await desk.logged("mk:preset:changed")
    assert [(each["kind"], each["action"]) for each in changed] == [
        *(("text", "kept"), ("text", "kept"), ("text", "removed")),
        *(("list", "kept"), ("list", "removed")),
    ]
    assert {(each["by"], each["reason"]) for each in changed} == {("kim", "dnr 7")}
    assert "Tack" not in str(changed)


async def test_a_rule_gives_a_handler_who_may_write_and_no_other(desk: Desk) -> None:
    ago = [60]
    """Seconds since each statement, because a statement counts from the second in which it is made."""

    def clock() -> datetime:
        return system_clock() - timedelta(seconds=ago[0])

    assignments = Assignments(desk.installation.gate.worker("test", MK), clock)
    async with desk.installation.open(desk.organisation, MK) as vault:
        (box,) = await vault.mailboxes()
        anna, eva, _ = [
            await vault.know_person(Identity(ISSUER, name, name)) for name in ("anna", "eva", "bo")
        ]
    custodians = [Subject(SubjectKind.CUSTODIAN, name) for name in ("kim", "lo")]
    administers = Rights(person_subject(eva), ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    writes = Rights(person_subject(anna), Scope(box.id), frozenset({Right.READ, Right.WRITE}))
    until, state = timedelta(days=1), assignments.state
    asked = await state(
        desk.organisation, custodians[0], "t", lambda at: Given(administers, at, at + until, asked=True)
    )
    await state(desk.organisation, custodians[1], "t", lambda at: Approved(asked.digest))
    ago[0] = 30
    await state(
        desk.organisation,
        person_subject(eva),
        "t",
        lambda at: Given(writes, at, at + until, asked=False),
    )
    about = ("--from", "Mullsjö", "--subject-has", "orosanmälan")
    for other in ("bo", "nobody"):
        with pytest.raises(Unusable, match="may write in the mailbox"):
            await desk.run("rule add", "sdk.soc", "--handler", other, *about, *WHY)
    with pytest.raises(Unusable, match="an organisation, a subject, or both"):
        await desk.run("rule add", "sdk.soc", "--handler", "anna", *WHY)
    new = (await desk.run("rule add", "sdk.soc", "--handler", "anna", *about, *WHY)).strip()
    (rule,) = (await desk.json("rule list", "sdk.soc"))["rules"]
    assert rule == {"id": new, "organisation": "Mullsjö", "subject": "orosanmälan", "handler": anna}
    await desk.run("rule remove", "sdk.soc", new, *WHY)
    assert (await desk.json("rule list", "sdk.soc"))["rules"] == []
