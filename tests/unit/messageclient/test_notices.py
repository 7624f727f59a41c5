"""Notices by mail: recipients, times, each once, without content; and mailboxes that stay unread."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
import pytest_asyncio

from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.emergency import announce
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.fetching import Fetching
from samdrift.messageclient.mail import Folder
from samdrift.messageclient.notices.acknowledging import FIRST_LINE, SUBJECT
from samdrift.messageclient.notices.manning import Manning
from samdrift.messageclient.notices.worker import Notices, NoticeSettings, Vaults
from samdrift.messageclient.permissions import Assignments, person_subject
from samdrift.net.smtp import MailRefused, MailServerUnavailable
from samdrift.rights import Ended, Given, Right, Rights, Scope, Statement, Subject, SubjectKind
from samdrift.rights.consentfold import Consent
from samdrift.vault.mail import ConversationFilter
from samdrift.vault.mailrecords import MailRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.people import Identity
from samdrift.vault.portability.departure import MessageClientDeparture
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import ADDRESS, ALL, Office
from tests.unit.rights.test_consents import OLA, PIA, emergency
from tests.unit.vault.portability.test_moving import everything, take_in
from tests.vaults import Installation

ROLES = [Role.MESSAGE_CLIENT]
ORIGIN = "https://habo.sdk.example.se"
WORDS = ("Orosanmälan", "mullsjo", "Socialtjänst", "inkorg", "Hej", "registrator")


@dataclass
class Post:
    """A mail server in memory."""

    sent: list[tuple[str, EmailMessage]] = field(default_factory=list)
    failure: Exception | None = None

    async def send(self, mail: EmailMessage, recipient: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append((recipient, mail))


@dataclass
class House:
    """An office, a mail server, and the worker between them."""

    office: Office
    post: Post
    assignments: Assignments
    noted: list[str] = field(default_factory=list)
    anna: str = ""

    def worker(self, *, post: bool = True) -> Notices:
        gate = self.office.installation.gate
        settings = NoticeSettings("samdrift@example.se", {self.office.organisation: ORIGIN})
        return Notices(
            gate.worker("notices", Role.MESSAGE_CLIENT),
            self.assignments,
            settings,
            self.post if post else None,
            self.office.clock,
            self.noted.append,
        )

    async def turn(self) -> None:
        await self.worker().turn(self.office.organisation)

    async def choose(self, how: str = "soon", box: str = "box") -> None:
        async with self.office.vault() as vault:
            choice = {"address": "anna@habo.se", "mailboxes": {box: how}, "hour": 8}
            vault.keep_notice_choice(self.anna, choice)

    async def man(self, manning: Manning) -> None:
        async with self.office.vault() as vault:
            vault.keep_manning("box", manning.content(), now=self.office.now)

    async def read_all(self) -> None:
        """Let Anna read everything."""
        desk = self.office.desk(self.anna)
        for line in (await desk.lines(Folder.OPEN, "box")).lines:
            await desk.conversation(line.id)

    async def events(self, event: AuditEvent) -> list[dict[str, str]]:
        return [ids for name, ids in await self.office.events() if name == event]

    async def state(self, act: object, by: str = "boss") -> str:
        self.office.pass_by(2)
        stated = await self.assignments.state(
            self.office.organisation,
            Subject(SubjectKind.PERSON, by) if by != "boss" else self.boss,
            "test",
            lambda at: act(at),  # type: ignore[operator]
        )
        self.office.pass_by(2)
        return stated.digest

    @property
    def boss(self) -> Subject:
        return Subject(SubjectKind.CUSTODIAN, "kim")


@pytest_asyncio.fixture
async def house(installation: Installation, organisation: ParticipantIdentifier) -> House:
    """Return a house where Anna reads a mailbox by a right that an administrator granted."""
    office = await Office(installation, organisation).opened()
    assignments = Assignments(installation.gate.worker("rights", Role.MESSAGE_CLIENT), office.clock)
    opened = House(office, Post(), assignments)
    async with office.vault() as vault:
        opened.anna = await vault.know_person(Identity("https://login.test", "anna", "Anna Ek"))
        boss = await vault.know_person(Identity("https://login.test", "eva", "Eva Ek"))
    from samdrift.rights import ORGANISATION, Approved

    role = Rights(person_subject(boss), ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    asked = await opened.state(lambda at: Given(role, at, at + timedelta(days=300), asked=True))
    office.pass_by(2)
    other = Subject(SubjectKind.CUSTODIAN, "lo")
    await assignments.state(organisation, other, "test", lambda at: Approved(asked))
    rights = Rights(person_subject(opened.anna), Scope("box"), frozenset({Right.READ, Right.WRITE}))
    opened.given = await opened.state(  # type: ignore[attr-defined]
        lambda at: Given(rights, at, at + timedelta(days=300), asked=False), boss
    )
    opened.eva = boss  # type: ignore[attr-defined]
    office.given[opened.anna, "box"] = ALL
    return opened


async def test_a_person_is_told_once_of_all_that_is_new_and_of_nothing_that_it_says(house: House) -> None:
    await house.choose()
    await house.office.receives()
    await house.turn()
    ((recipient, mail),) = house.post.sent
    text = mail.as_string() + mail.get_content()
    assert recipient == "anna@habo.se"
    assert ORIGIN in mail.get_content()
    assert not [word for word in WORDS if word.lower() in text.lower()]
    assert mail["Auto-Submitted"] == "auto-generated"
    await house.turn()
    for _ in range(3):
        await house.office.receives()
        await house.turn()
    assert len(house.post.sent) == 1
    house.office.pass_by(15 * 60)
    await house.turn()
    assert len(house.post.sent) == 2
    assert [ids["outcome"] for ids in await house.events(MKEvent.MK_NOTICE_ENDED)] == ["sent", "sent"]
    assert await house.worker().turn(house.office.organisation) is None


async def test_one_who_chose_so_is_told_once_a_day_at_their_hour(house: House) -> None:
    """The office opens at ten Swedish time, so the next eight o'clock is tomorrow."""
    await house.choose("daily")
    await house.office.receives()
    await house.office.receives()
    due = await house.worker().turn(house.office.organisation)
    assert house.post.sent == []
    assert due is not None
    assert due > house.office.now
    house.office.now = due
    await house.turn()
    assert len(house.post.sent) == 1


async def test_what_was_read_meanwhile_and_what_may_not_be_read_any_more_is_told_to_nobody(
    house: House,
) -> None:
    await house.choose("daily")
    for ends in (house.read_all, lambda: _end(house)):
        await house.office.receives()
        due = await house.worker().turn(house.office.organisation)
        assert due is not None
        await ends()
        house.office.now = max(due, house.office.now)
        await house.turn()
    await house.office.receives()
    assert await house.worker().turn(house.office.organisation) is None
    assert house.post.sent == []
    assert await house.events(MKEvent.MK_NOTICE_ENDED) == []


async def test_one_who_may_not_read_a_mailbox_is_not_told_of_it(house: House) -> None:
    """The choice was made while the person had access; no notice is queued, not even for a while."""
    await house.choose("daily", "other")
    await house.office.receives(to="miljo:0203:habo.se")
    assert await house.worker().turn(house.office.organisation) is None


async def _end(house: House) -> None:
    given = house.given  # type: ignore[attr-defined]
    await house.state(lambda at: Ended(of=given), house.eva)  # type: ignore[attr-defined]


async def test_a_mail_server_that_is_gone_is_tried_again_and_ends_with_a_reason(house: House) -> None:
    await house.choose()
    await house.office.receives()
    house.post.failure = MailServerUnavailable("no answer in time")
    tries = 0
    while (due := await house.worker().turn(house.office.organisation)) is not None:
        tries += 1
        house.office.now = due
        assert tries < 100
    assert 10 < tries < 50
    (ended,) = await house.events(MKEvent.MK_NOTICE_ENDED)
    assert (ended["outcome"], ended["reason"]) == ("not-sent", "no answer in time")
    assert set(house.noted) == {"no answer in time"}
    await house.office.receives()
    house.post.failure = None
    await house.turn()
    assert house.noted[-1] == ""
    assert len(house.post.sent) == 1


async def test_a_mail_that_is_refused_is_not_tried_again(house: House) -> None:
    await house.choose()
    await house.office.receives()
    house.post.failure = MailRefused(550)
    assert await house.worker().turn(house.office.organisation) is None
    (ended,) = await house.events(MKEvent.MK_NOTICE_ENDED)
    assert ended["outcome"] == "refused"


async def test_a_mailbox_that_lies_unread_for_its_manned_hours_is_told_of_once_and_is_in_the_log(
    house: House,
) -> None:
    await house.man(Manning(escalate_after=3, escalate_to="chef@habo.se"))
    await house.office.receives()
    began = house.office.now
    due = await house.worker().turn(house.office.organisation)
    assert house.post.sent == []
    assert due is not None
    assert timedelta(hours=2) < due - began <= timedelta(hours=3)
    house.office.now = due
    await house.turn()
    assert [recipient for recipient, _ in house.post.sent] == ["chef@habo.se"]
    assert "legat oläst" in house.post.sent[0][1].get_content()
    house.office.pass_by(86_400)
    await house.office.receives()
    await house.turn()
    assert len(house.post.sent) == 1, "no second notice before everything has been read"
    assert await house.events(MKEvent.MK_MAILBOX_ESCALATED) == [{"mailbox": "box"}]
    await house.read_all()
    await house.office.receives()
    due = await house.worker().turn(house.office.organisation)
    assert due is not None
    house.office.now = due
    await house.turn()
    assert len(house.post.sent) == 2


@pytest.mark.parametrize("act", ["read", "no limit"])
async def test_what_was_read_in_time_is_not_told(house: House, act: str) -> None:
    await house.man(Manning(escalate_after=3, escalate_to="chef@habo.se"))
    await house.office.receives()
    due = await house.worker().turn(house.office.organisation)
    assert due is not None
    if act == "read":
        await house.read_all()
    else:
        await house.man(Manning())
    house.office.now = due
    assert await house.worker().turn(house.office.organisation) is None
    assert (house.post.sent, await house.events(MKEvent.MK_MAILBOX_ESCALATED)) == ([], [])


async def test_without_a_mail_server_nothing_waits_and_the_log_says_what_lies_unread(house: House) -> None:
    await house.choose()
    await house.man(Manning(escalate_after=1, escalate_to="chef@habo.se"))
    await house.office.receives()
    worker = house.worker(post=False)
    due = await worker.turn(house.office.organisation)
    assert due is not None
    house.office.now = due
    assert await worker.turn(house.office.organisation) is None
    assert len(await house.events(MKEvent.MK_MAILBOX_ESCALATED)) == 1


async def test_the_registry_knows_when_something_is_due(house: House) -> None:
    """A vault is not opened in vain."""
    gate, organisation = house.office.installation.gate, house.office.organisation
    far = house.office.now + timedelta(days=300)
    await house.man(Manning(escalate_after=3))
    await house.office.receives()
    due = await house.worker().turn(organisation)
    assert due is not None
    moments = [when for each, when in await gate.due(Role.MESSAGE_CLIENT, far) if each == organisation]
    assert moments == [due]


# --- automatic acknowledgements -----------------------------------------------------------------------------

TEXT = "Vi läser **vardagar** 8–17."


async def answers(house: House) -> list[MailRecord]:
    """Return the automatic messages that were sent, the oldest first."""
    async with house.office.vault() as vault:
        found = await vault.conversations(["box", "other"], ConversationFilter(), limit=100)
        mail = [one for each in found for one in await vault.mail_of(each.id)]
    return sorted((one for one in mail if one.direction == "out"), key=lambda one: one.at)


async def test_the_first_message_of_a_conversation_is_answered_once_and_marked(house: House) -> None:
    await house.man(Manning(acknowledge=TEXT))
    await house.office.receives(message_id="m-1", conversation="c-1")
    await house.turn()
    await house.office.receives(message_id="m-2", conversation="c-1", refToMessageId="m-1")
    await house.turn()
    (answer,) = await answers(house)
    async with house.office.vault() as vault:
        document = json.loads(await (await vault.mail_body(answer.id)).read_all())["documents"][0]
    assert document["texts"] == [f"{FIRST_LINE}\n\n{TEXT}"]
    assert (answer.stage, answer.author, answer.confidential) == ("outbox", None, True)
    assert answer.content["subject"] == SUBJECT
    assert (answer.content["conversation_id"], answer.content["refers_to"]) == ("c-1", "m-1")
    assert answer.content["recipient"]["address"] == "registrator:0203:mullsjo.se"
    assert answer.content["sender"]["address"] == ADDRESS
    submitted = await house.events(MKEvent.MK_MESSAGE_SUBMITTED)
    assert [(ids["action"], ids["mailbox"]) for ids in submitted] == [("automatic", "box")]


@pytest.mark.parametrize(
    "message",
    [
        {"label": "Autosvar: vi är på semester"},
        {"label": "SV: Automatic reply"},
        {"label": "Automatisk bekräftelse"},
        {"label": SUBJECT},
        {"refToMessageId": "m-unknown"},
        {"sender": "ours"},
    ],
    ids=str,
)
async def test_what_is_automatic_an_answer_or_our_own_is_not_answered(
    house: House, message: dict[str, str]
) -> None:
    await house.man(Manning(acknowledge=TEXT))
    if message.get("sender"):
        message = {"sender": house.office.organisation.value}
    await house.office.receives(**message)
    await house.turn()
    assert await answers(house) == []


async def test_two_machines_that_do_not_know_each_other_come_to_an_end(house: House) -> None:
    """A machine that answers in a new conversation each time, without saying what it is, gets one a day."""
    await house.man(Manning(acknowledge=TEXT))
    for _ in range(5):
        await house.office.receives(label="Tack för ert meddelande")
        await house.turn()
    assert len(await answers(house)) == 1
    await house.office.receives(label="En annan", from_="annan:0203:mullsjo.se")
    await house.turn()
    assert len(await answers(house)) == 2
    house.office.pass_by(86_400)
    await house.office.receives(label="Nästa dag")
    await house.turn()
    assert len(await answers(house)) == 3


async def receive_many(house: House, senders: int, *, between: timedelta = timedelta(0)) -> None:
    """Let each of many senders begin a conversation, all of them fetched since the last check."""
    office = house.office
    began = office.now

    def ticking() -> datetime:
        office.now += between
        return office.now

    for number in range(senders):
        office.service.receives(conversation=f"c-{number}", from_=f"r{number}:0203:mullsjo.se")
    vaults = office.installation.gate.worker("fetching", Role.MESSAGE_CLIENT)
    async with office.service.running() as client:
        await Fetching(vaults, office.organisation, client, ticking).look()
    office.now = max(office.now, began) + timedelta(seconds=1)


async def answered(house: House) -> list[str]:
    """Return the addresses that were answered automatically, each as often as it was, in order."""
    async with house.office.vault() as vault:
        found = await vault.conversations(["box"], ConversationFilter(), limit=1000)
        mail = [one for each in found for one in await vault.mail_of(each.id)]
    return sorted(one.content["recipient"]["address"] for one in mail if one.direction == "out")


@pytest.mark.parametrize("between", [timedelta(0), timedelta(milliseconds=1)], ids=["at one time", "later"])
@pytest.mark.parametrize("senders", [50, 51, 120])
async def test_every_conversation_that_began_since_the_last_check_is_answered_once(
    house: House, senders: int, between: timedelta
) -> None:
    await house.man(Manning(acknowledge=TEXT))
    await house.office.receives(from_="first:0203:mullsjo.se")
    await house.turn()
    await receive_many(house, senders, between=between)
    assert await house.worker().turn(house.office.organisation) is None
    wanted = ["first:0203:mullsjo.se", *(f"r{number}:0203:mullsjo.se" for number in range(senders))]
    assert await answered(house) == sorted(wanted)
    house.office.pass_by(60)
    await house.man(Manning(acknowledge=TEXT))
    await house.turn()
    assert await answered(house) == sorted(wanted)


async def test_conversations_that_are_not_answered_do_not_end_the_search_for_others(house: House) -> None:
    await house.man(Manning(acknowledge=TEXT))
    for number in range(60):
        house.office.service.receives(conversation=f"x-{number}", label="Autosvar: semester")
    await receive_many(house, 3)
    await house.turn()
    assert len(await answered(house)) == 3


@pytest.mark.parametrize("during", ["started_conversations", "unread_in"])
async def test_a_message_that_arrives_during_a_check_makes_the_mailbox_due_again(
    house: House, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    """It arrives after the check has read the mailbox, and before the check is over."""
    await house.choose()
    await house.man(Manning(acknowledge=TEXT))
    await house.office.receives(from_="first:0203:mullsjo.se")
    read, arriving = getattr(MessageClientVault, during), list[asyncio.Task[None]]()

    async def meanwhile(vault: MessageClientVault, *given: Any) -> Any:
        found = await read(vault, *given)
        if not arriving:
            arriving.append(asyncio.create_task(house.office.receives(from_="late:0203:mullsjo.se")))
            await asyncio.wait(arriving, timeout=1)
        return found

    monkeypatch.setattr(MessageClientVault, during, meanwhile)
    await house.turn()
    await asyncio.gather(*arriving)
    await house.turn()
    assert await answered(house) == ["first:0203:mullsjo.se", "late:0203:mullsjo.se"]


async def test_a_message_that_arrives_during_a_check_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.choose()
    await house.office.receives()
    read, arriving = MessageClientVault.unread_in, list[asyncio.Task[None]]()

    async def meanwhile(vault: MessageClientVault, mailbox: str) -> Any:
        found = await read(vault, mailbox)
        if not arriving:
            arriving.append(asyncio.create_task(house.office.receives()))
            await asyncio.wait(arriving, timeout=1)
        return found

    monkeypatch.setattr(MessageClientVault, "unread_in", meanwhile)
    await house.turn()
    await asyncio.gather(*arriving)
    assert len(house.post.sent) == 1
    house.office.pass_by(15 * 60)
    await house.turn()
    assert len(house.post.sent) == 2


@dataclass
class Killed(Exception):
    """A process was killed."""


@dataclass
class Openings:
    """Openings of vaults for a worker, which is killed before one of them."""

    vaults: Vaults
    before: int = -1
    answers: list[int] = field(default_factory=list)
    """Number of automatic answers that each opening stored."""

    @asynccontextmanager
    async def open(
        self, organisation: ParticipantIdentifier, purpose: Purpose
    ) -> AsyncIterator[MessageClientVault]:
        if len(self.answers) == self.before:
            raise Killed
        self.answers.append(0)
        async with self.vaults.open(organisation, purpose) as vault:
            store = vault.store_mail

            async def counted(*given: Any) -> str | None:
                self.answers[-1] += 1
                return await store(*given)

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(vault, "store_mail", counted)
                yield vault


@pytest.mark.parametrize("before", [1, 2, 3])
async def test_a_process_killed_between_two_pages_leaves_none_unanswered_or_answered_twice(
    house: House, before: int
) -> None:
    await house.choose()
    await house.man(Manning(acknowledge=TEXT))
    await receive_many(house, 120)
    worker = house.worker()
    openings = Openings(worker._vaults, before)
    worker._vaults = openings  # type: ignore[assignment]
    with pytest.raises(Killed):
        await worker.turn(house.office.organisation)
    assert openings.answers == [50, 50, 20][:before], "an opening answers no more than a page"
    assert house.post.sent == []
    house.office.pass_by(10)
    await house.turn()
    assert await answered(house) == sorted(f"r{number}:0203:mullsjo.se" for number in range(120))
    assert len(house.post.sent) == 1
    house.office.pass_by(15 * 60)
    assert await house.worker().turn(house.office.organisation) is None
    assert len(house.post.sent) == 1


async def test_a_mailbox_without_a_text_answers_nothing(house: House) -> None:
    await house.office.receives()
    await house.turn()
    assert await answers(house) == []


async def test_what_an_organisation_brought_from_elsewhere_is_not_answered(
    house: House, installation: Installation
) -> None:
    """Its conversations may be years old."""
    await house.man(Manning(acknowledge=TEXT))
    await receive_many(house, 3, between=timedelta(days=1))
    brought = await everything(installation, house.office.organisation, MessageClientDeparture)
    elsewhere = await installation.organisation()
    house.office.pass_by(1)
    await take_in(installation, elsewhere, MessageClientDeparture, brought, now=house.office.now)
    house.office.pass_by(1)
    house.office.organisation = elsewhere
    await house.turn()
    assert await answered(house) == []
    await house.office.receives(from_="new:0203:mullsjo.se")
    await house.turn()
    assert await answered(house) == ["new:0203:mullsjo.se"]


async def test_officers_hear_of_an_emergency_by_mail_without_a_name_or_a_reason(house: House) -> None:
    """Governance leaves the notice, as when the second of the operator's staff has signed."""
    await house.choose(box="another")
    officer, now = person_subject(house.anna), house.office.now
    gate, organisation = house.office.installation.gate, house.office.organisation
    statement = Statement(organisation.value, OLA, now.replace(microsecond=0), "INC-4712", emergency())
    begun = Consent(statement, emergency(), [(PIA, now, statement.digest)], now)
    told = await announce(gate, organisation, begun, 1, (officer,), now)
    assert (told.roles, told.mailed) == ((Role.MESSAGE_CLIENT,), (house.anna,))
    await house.turn()
    ((recipient, mail),) = house.post.sent
    text = mail.get_content()
    assert recipient == "anna@habo.se"
    assert "utan ert samtycke" in text
    assert "without your consent" in text
    assert not any(word in text for word in ("ola", "pia", "INC-4712", "0d9b6c1e"))
