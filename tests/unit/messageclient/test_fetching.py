"""Messages of a message service into the organisation's own store (api-mt-mk 4.2), from a sparse service."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from samdrift.client.errors import Unreachable
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Role
from samdrift.messageclient import fetching
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.fetching import Fetching
from samdrift.vault.mail import ConversationFilter
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.sparse import SparseService
from tests.vaults import NOW, Installation

ROLES = (Role.MESSAGE_CLIENT,)
ADDRESS = "inkorg01:0203:habo.se"
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 2000


def fetcher(installation: Installation, organisation: ParticipantIdentifier, service: object) -> Fetching:
    vaults = installation.gate.worker("fetching", Role.MESSAGE_CLIENT)
    return Fetching(vaults, organisation, service, lambda: NOW)  # type: ignore[arg-type]


async def with_mailbox(installation: Installation, organisation: ParticipantIdentifier) -> None:
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
        assert await vault.keep_mailbox(MailboxRecord("box", ADDRESS, "Socialtjänst"))


async def test_a_message_is_stored_whole_once_and_its_conversation_is_unread(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """api-mt-mk 4.2 step 3, step 6: files, texts as HTML, parties with references, ids of both kinds."""
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
    """A message that stays new at the message service opens no vault at each of many looks."""
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
    """What a short look passes by, since newer messages are known, the next whole one finds."""
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
    """Others go on; sender and time are those of the list."""
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
        assert len(service.asked) == asked + 1, "only the list"
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as vault:
        found = await vault.conversations(["box"], ConversationFilter(), limit=10)
        mail = [one for each in found for one in await vault.mail_of(each.id)]
        unreadable = {one.content["remote_id"]: one for one in mail if one.stage == "unreadable"}
        raw = {remote: await (await vault.mail_body(one.id)).read_all() for remote, one in unreadable.items()}
    assert raw == broken
    assert {one.content["sender"]["organisation"] for one in unreadable.values()} == {"0203:mullsjo.se"}
    assert sum(each.unreadable for each in found) == 3


async def test_one_that_is_not_handed_out_holds_up_no_other(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await with_mailbox(installation, organisation)
    service = SparseService()
    for _ in range(3):
        service.receives()
    service.raw["resource-2"] = b"no JSON"
    async with service.running() as client:
        with pytest.raises(Unreachable):
            await fetcher(installation, organisation, client).look()
        del service.raw["resource-2"]
        assert (await fetcher(installation, organisation, client).look()).stored == 1


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
    """A new message opens one that was done; another address with the same id is another conversation."""
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
