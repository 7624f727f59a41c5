"""Messages of a sparse message service, fetched into the organisation's own store (api-mt-mk 4.2)."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from samdrift.client.errors import Unreachable
from samdrift.contracts.clock import Clock
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Role
from samdrift.messageclient import fetching
from samdrift.messageclient.content import is_left_at_service
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.fetching import Fetching, NotHandedOut
from samdrift.vault.mail import ConversationFilter
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.sparse import SparseService
from tests.vaults import NOW, Installation

ROLES = (Role.MESSAGE_CLIENT,)
ADDRESS = "inkorg01:0203:habo.se"
UNREADABLE = MKEvent.MK_MESSAGE_UNREADABLE
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 2000


@dataclass
class Moment:
    """A clock that a test moves on."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, *, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)


def fetcher(
    installation: Installation,
    organisation: ParticipantIdentifier,
    service: object,
    clock: Clock = lambda: NOW,
) -> Fetching:
    vaults = installation.gate.worker("fetching", Role.MESSAGE_CLIENT)
    return Fetching(vaults, organisation, service, clock)  # type: ignore[arg-type]


async def with_mailbox(installation: Installation, organisation: ParticipantIdentifier) -> None:
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
        assert await vault.keep_mailbox(MailboxRecord("box", ADDRESS, "Socialtjänst"))


async def test_a_message_is_stored_whole_once_and_its_conversation_is_unread(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Files, texts as HTML, parties with references, ids of both kinds.

    api-mt-mk 4.2 step 3, step 6, content-specification 4.2 sentence 1
    """
    await with_mailbox(installation, organisation)
    service = SparseService()
    service.receives(message_id="m-1", files=(("beslut.pdf", "application/pdf", PDF), ("x.txt", "", b"")))
    async with service.running() as client:
        fetch = fetcher(installation, organisation, client)
        assert (await fetch.look()).stored == 1
        assert (await fetch.look()).stored == 0
        assert (await fetch.look(whole=False)).stored == 0
    assert service.asked.count("GET resource-1") == 1
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
        (conversation,) = await vault.conversations(["box"], ConversationFilter(unread=True), limit=10)
        (mail,) = await vault.mail_of(conversation.id)
        stored = json.loads(await (await vault.mail_body(mail.id)).read_all())
        files = await vault.files_of([mail.id])
        assert await (await vault.file_body(files[0].id, mail.id)).read_all() == PDF
        assert await (await vault.file_body(files[1].id, mail.id)).read_all() == b""
        events = [entry.event for entry in await vault.log()]
    assert (conversation.messages, conversation.files, conversation.unread) == (1, 2, 1)
    assert mail.content["remote_id"] == "resource-1"
    assert mail.content["sender"]["references"] == [["dnr", "SN 2026-1", "Dnr"]]
    (document,) = stored["documents"]
    assert document["html"] == ["<p><strong>Hej</strong><br>\nvi ses</p>\n"]
    assert document["files"] == [file.id for file in files]
    assert [file.content["type"] for file in files] == ["application/pdf", "application/octet-stream"]
    assert events.count(MKEvent.MK_MESSAGE_STORED) == 1


async def test_what_is_known_is_looked_for_in_the_vault_once(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that stays new at the message service does not open a vault at each look."""
    await with_mailbox(installation, organisation)
    service = SparseService()
    service.receives()
    asked = 0
    known_mail = MessageClientVault.known_mail

    async def counted(vault: MessageClientVault, *what: Any) -> Any:
        nonlocal asked
        asked += 1
        return await known_mail(vault, *what)

    monkeypatch.setattr(MessageClientVault, "known_mail", counted)
    async with service.running() as client:
        assert (await fetcher(installation, organisation, client).look()).stored == 1
        fetch = fetcher(installation, organisation, client)
        asked = 0
        for _ in range(3):
            assert (await fetch.look()).stored == 0
        assert asked == 1
        service.receives()
        assert (await fetch.look()).stored == 1
        assert (await fetch.look()).stored == 0
        assert asked == 2


async def test_a_list_is_read_in_batches_and_to_its_end_only_when_asked(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short look stops at known messages; the next whole one finds the older messages that it missed."""
    monkeypatch.setattr(fetching, "_BATCH", 2)
    await with_mailbox(installation, organisation)
    service = SparseService()
    for _ in range(5):
        service.receives(files=(("a.txt", "text/plain", b"a"),))
    async with service.running() as client:
        fetch = fetcher(installation, organisation, client)
        first = service.messages.pop("resource-1")
        assert (await fetch.look()).stored == 4
        service.messages = {"resource-0": first, **service.messages}
        assert (await fetch.look(whole=False)).stored == 0
        assert (await fetch.look()).stored == 1


async def test_a_message_that_cannot_be_read_is_kept_as_it_came_and_never_fetched_again(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Other messages are fetched; sender and time of this one are those of the list."""
    await with_mailbox(installation, organisation)
    service = SparseService()
    for _ in range(4):
        service.receives()
    documents = (
        b'[{"contentFiles": [{"content": "%"}]}]',
        b"null",
        b'[{"contentFiles": [{"fileName": "x"}]}]',
    )
    broken = {
        f"resource-{number}": b'{"data": {"attributes": {"digitalDocument": %b}}}' % each
        for number, each in enumerate(documents, 1)
    }
    service.raw |= broken
    async with service.running() as client:
        fetch = fetcher(installation, organisation, client)
        done = await fetch.look()
        assert (done.stored, done.unreadable) == (4, 3)
        asked = len(service.asked)
        assert (await fetch.look()).stored == 0
        assert len(service.asked) == asked + 1, "only the list may be requested"
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
        found = await vault.conversations(["box"], ConversationFilter(), limit=10)
        mail = [one for each in found for one in await vault.mail_of(each.id)]
        unreadable = {one.content["remote_id"]: one for one in mail if one.stage == "unreadable"}
        raw = {remote: await (await vault.mail_body(one.id)).read_all() for remote, one in unreadable.items()}
    assert raw == broken
    assert {one.content["sender"]["organisation"] for one in unreadable.values()} == {"0203:mullsjo.se"}
    assert sum(each.unreadable for each in found) == 3


async def test_a_message_that_is_too_large_is_listed_as_such_and_asked_for_once(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part that arrived may be unreadable; other messages are fetched, and nothing of it is stored."""
    monkeypatch.setattr("samdrift.client.mailbox._LARGE", 20_000)
    await with_mailbox(installation, organisation)
    service = SparseService()
    for text in ("a" * 30_000, "hej", "hej"):
        service.receives(text=text)
    service.raw["resource-2"] = (
        b'{"data": {"attributes": {"digitalDocument": [{"contentFiles": [{"content": "%"'
    )
    service.raw["resource-2"] += b" " * 30_000
    async with service.running() as client:
        fetch = fetcher(installation, organisation, client)
        done = await fetch.look()
        assert (done.stored, done.unreadable) == (3, 2)
        asked = len(service.asked)
        assert (await fetch.look()).stored == 0
        assert len(service.asked) == asked + 1, "only the list may be requested"
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
        found = await vault.conversations(["box"], ConversationFilter(), limit=10)
        mail = {one.content["remote_id"]: one for each in found for one in await vault.mail_of(each.id)}
        left = {remote for remote, one in mail.items() if is_left_at_service(one)}
        reasons = [dict(each.ids)["reason"] for each in await vault.log() if each.event == UNREADABLE]
    assert left == {"resource-1", "resource-2"}
    assert {mail[each].stage for each in left} == {"unreadable"}
    assert mail["resource-1"].content["sender"]["organisation"] == "0203:mullsjo.se"
    assert reasons == ["the message service responds with more than 0 MiB"] * 2


async def test_what_is_no_message_at_all_is_asked_for_again_and_kept_as_it_came_in_the_end(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """An intermediary may have answered instead; after ten minutes the answer counts as the message."""
    await with_mailbox(installation, organisation)
    service, moment = SparseService(), Moment()
    for _ in range(3):
        service.receives()
    service.raw |= {"resource-1": b"no JSON", "resource-2": b'{"data": ["cut off'}
    async with service.running() as client:
        fetch = fetcher(installation, organisation, client, moment)
        for _ in range(3):
            with pytest.raises(NotHandedOut):
                await fetch.look()
        del service.raw["resource-2"]
        with pytest.raises(NotHandedOut):
            await fetch.look()
        moment.pass_(minutes=11)
        done = await fetch.look()
        assert (done.stored, done.unreadable) == (1, 1)
        asked = service.asked.count("GET resource-1")
        await fetch.look()
        assert service.asked.count("GET resource-1") == asked
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
        found = await vault.conversations(["box"], ConversationFilter(), limit=10)
        mail = {one.content["remote_id"]: one for each in found for one in await vault.mail_of(each.id)}
        raw = await (await vault.mail_body(mail["resource-1"].id)).read_all()
        events = [entry.event for entry in await vault.log()]
    assert {remote: one.stage for remote, one in mail.items()} == {
        "resource-1": "unreadable",
        "resource-2": "arrived",
        "resource-3": "arrived",
    }
    assert raw == b"no JSON"
    assert events.count(MKEvent.MK_MESSAGE_NOT_FETCHED) == 2


async def test_many_that_are_not_handed_out_hold_up_no_other_and_are_asked_for_ever_more_rarely(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """The oldest are requested first, but a few that always fail do not keep all others waiting."""
    await with_mailbox(installation, organisation)
    service, moment = SparseService(), Moment()
    for _ in range(5):
        service.receives()
    service.failing = {f"resource-{number}": 500 for number in range(1, 5)} | {"resource-4": 404}
    async with service.running() as client:
        fetch = fetcher(installation, organisation, client, moment)
        for _ in range(3):
            with pytest.raises(Unreachable):
                await fetch.look()
        assert service.asked.count("GET resource-5") == 1
        for _ in range(3):
            assert (await fetch.look()).stored == 0
        asked = len(service.asked)
        assert (await fetch.look()).stored == 0
        assert len(service.asked) == asked + 1, "only the list may be requested"
        for _ in range(20):
            moment.pass_(minutes=10)
            with contextlib.suppress(Unreachable):
                await fetch.look()
        assert 5 < service.asked.count("GET resource-1") < 15
        service.failing.clear()
        moment.pass_(minutes=61)
        assert (await fetch.look()).stored == 4
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
        (*found,) = await vault.conversations(["box"], ConversationFilter(), limit=10)
        events = [entry.event for entry in await vault.log()]
    assert len(found) == 5
    assert events.count(MKEvent.MK_MESSAGE_NOT_FETCHED) == 4


async def test_what_failed_while_the_clock_was_ahead_is_fetched_when_it_is_right(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await with_mailbox(installation, organisation)
    service, moment = SparseService(), Moment()
    service.receives()
    service.failing = {"resource-1": 500}
    async with service.running() as client:
        fetch = fetcher(installation, organisation, client, moment)
        moment.pass_(minutes=24 * 60)
        for _ in range(3):
            with pytest.raises(Unreachable):
                await fetch.look()
        service.failing.clear()
        moment.pass_(minutes=-24 * 60)
        assert (await fetch.look()).stored == 1


async def test_what_is_no_message_is_kept_ten_minutes_after_a_clock_that_was_ahead_is_right(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await with_mailbox(installation, organisation)
    service, moment = SparseService(), Moment()
    service.receives()
    service.raw |= {"resource-1": b"no JSON"}
    async with service.running() as client:
        fetch = fetcher(installation, organisation, client, moment)
        moment.pass_(minutes=24 * 60)
        for _ in range(3):
            with pytest.raises(NotHandedOut):
                await fetch.look()
        moment.pass_(minutes=-24 * 60)
        with pytest.raises(NotHandedOut):
            await fetch.look()
        moment.pass_(minutes=11)
        unreadable = 0
        with contextlib.suppress(NotHandedOut):
            unreadable = (await fetch.look()).unreadable
        assert unreadable == 1


async def test_a_look_that_has_taken_its_time_goes_on_at_the_next(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Each look fetches one message at least, so that it comes to an end."""
    await with_mailbox(installation, organisation)
    service = SparseService()
    for _ in range(3):
        service.receives()
    async with service.running() as client:
        fetch = fetcher(installation, organisation, client)
        looks = [await fetch.look(seconds=0) for _ in range(4)]
        for _ in range(2):
            service.receives(from_=ADDRESS, to="x:0203:mullsjo.se", messageStatus="ACCEPTED")
        sent = [await fetch.look_sent(ADDRESS, seconds=0) for _ in range(3)]
    assert [(one.stored, one.over) for one in looks] == [(1, True), (1, True), (1, False), (0, False)]
    assert [(one.stored, one.over) for one in sent] == [(1, True), (1, False), (0, False)]


async def test_a_message_to_an_address_without_a_mailbox_is_kept_and_nobody_has_a_right_to_it(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    service = SparseService()
    service.receives(to="okand:0203:habo.se")
    async with service.running() as client:
        assert (await fetcher(installation, organisation, client).look()).stored == 1
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
        (mailbox,) = await vault.mailboxes()
    assert (mailbox.address, mailbox.name) == ("okand:0203:habo.se", "Inkorg")


async def test_one_conversation_of_one_address(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A new message reopens a done conversation; another address with the same id is another conversation.

    content-specification 4.3.2 sentence 5
    """
    await with_mailbox(installation, organisation)
    service = SparseService()
    service.receives(message_id="m-1", conversation="c")
    async with service.running() as client:
        fetch = fetcher(installation, organisation, client)
        await fetch.look()
        async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
            (before,) = await vault.conversations(["box"], ConversationFilter(), limit=10)
            done = await vault.change_conversation(before, handler=None, done=True, mailbox="box")
        service.receives(message_id="m-2", conversation="c", refToMessageId="m-1")
        service.receives(message_id="m-3", conversation="c", to="annan:0203:habo.se")
        await fetch.look()
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
        (after,) = await vault.conversations(["box"], ConversationFilter(), limit=10)
        mail = await vault.mail_of(after.id)
        refers = await vault.referred([one.id for one in mail])
    assert after.id == before.id
    assert (after.done, after.messages, after.version) == (False, 2, done + 1)
    assert refers == {mail[1].id: mail[0].id}


async def test_what_another_client_sent_shows_as_sent(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await with_mailbox(installation, organisation)
    service = SparseService()
    service.receives(from_=ADDRESS, to="x:0203:mullsjo.se", messageStatus="ACCEPTED")
    async with service.running() as client:
        fetch = fetcher(installation, organisation, client)
        assert (await fetch.look_sent(ADDRESS)).stored == 1
        assert (await fetch.look_sent(ADDRESS)).stored == 0
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
        (conversation,) = await vault.conversations(["box"], ConversationFilter(sent=True), limit=10)
        (mail,) = await vault.mail_of(conversation.id)
    assert (mail.direction, mail.status, conversation.unread) == (Direction.OUT, "ACCEPTED", 0)
    assert mail.at <= NOW + timedelta(0)
