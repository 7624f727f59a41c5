"""Files that a draft shares with messages, while what has them is disposed of over another connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

import pytest

from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Role
from samdrift.vault.bodies import new_id
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.maildisposal import DisposalRule
from samdrift.vault.mailrecords import FileRecord, MailboxRecord, MailRecord, NewMail
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.mailcases import PERSON, a_draft, a_message
from tests.separation.vaultlogin import superuser, vault_login
from tests.vaults import NOW, Installation, body, until

MK = Role.MESSAGE_CLIENT
ROLES = (MK,)
_LATER = NOW + timedelta(days=36_500)
_KIND = {"name": "bilaga.txt", "type": "text/plain"}


async def stored(vault: MessageClientVault, name: str, draft: str | None = None) -> tuple[MailRecord, str]:
    """Store a message alone in a done conversation of its own mailbox, in a disposal that is agreed to.

    Returns the message and the disposal. A message that was sent has the files of its draft.
    """
    box = MailboxRecord(name, f"{name}@0203:habo.se", name)
    assert await vault.keep_mailbox(box)
    ids = {"message_id": name, "remote_id": name, "refers_to": None}
    way, stage = (Direction.IN, "arrived") if draft is None else (Direction.OUT, "not-sent")
    one = a_message(way, stage, ids, draft=draft)
    large = await body(vault, name.encode() * 1000)
    files = [] if draft else [FileRecord(new_id(), one.id, 0, large.size, large.id, _KIND)]
    new = NewMail(one, name, name, await body(vault), name)
    conversation = await vault.store_mail(new, box.id, files, [large] if files else [])
    assert conversation is not None
    await vault.note_reading([one.id], PERSON, "read", now=NOW)
    (known,) = await vault.conversations_by_id([conversation])
    await vault.change_conversation(known, handler=None, done=True, mailbox=box.id)
    rule, disposal = DisposalRule(box.id, "done", 1, PERSON, NOW, {"decision": name}), new_id()
    vault.keep_disposal_rule(rule)
    assert await vault.propose_disposal(disposal, rule, _LATER, PERSON, now=NOW)
    assert await vault.decide_disposal(disposal, PERSON, agreed=True, now=NOW)
    (found,) = await vault.mail_of(conversation)
    return found, disposal


async def dispose(vault: MessageClientVault, one: MailRecord, disposal: str) -> None:
    known = {"message_id": one.id, "remote_id": one.id, "home": "home"}
    assert await vault.dispose(disposal, one.conversation, [one], {one.id: known}, now=NOW)


async def disposed(
    installation: Installation, organisation: ParticipantIdentifier, one: MailRecord, disposal: str
) -> None:
    async with installation.open(organisation, MK) as vault:
        await dispose(vault, one, disposal)


async def begun(
    installation: Installation, organisation: ParticipantIdentifier, work: Awaitable[None]
) -> asyncio.Future[None]:
    """Begin work over another connection; return when it is done or waits for a lock."""
    task = asyncio.ensure_future(work)
    administrator, login = await superuser(installation), await vault_login(installation, organisation, MK)
    waiting = "SELECT FROM pg_stat_activity WHERE usename = %s AND wait_event_type = 'Lock'"
    await until(lambda: task.done() or bool(administrator.rows(waiting, login.login)))
    return task


async def counted(installation: Installation, organisation: ParticipantIdentifier, question: str) -> int:
    login, administrator = await vault_login(installation, organisation, MK), await superuser(installation)
    ((number,),) = administrator.rows(f"SELECT count(*) FROM {question.format(f'{login.schema}.')}")
    return int(number)


async def test_a_file_that_is_forwarded_while_its_message_is_disposed_of_keeps_its_content(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MK) as vault:
        one, disposal = await stored(vault, "forwarded")
        draft = a_draft("forwarded", {"text": ""})
        assert await vault.keep_draft(draft)
        (file,) = await vault.files_of([one.id])
    async with installation.open(organisation, MK) as vault:
        again = FileRecord(new_id(), draft.id, 0, file.size, file.body, _KIND)
        assert await vault.add_draft_file(again, None, PERSON)
        task = await begun(installation, organisation, disposed(installation, organisation, one, disposal))
    await task
    without = "{0}files f WHERE NOT EXISTS (SELECT FROM {0}bodies b WHERE b.id = f.body)"
    assert await counted(installation, organisation, without) == 0
    assert await counted(installation, organisation, "{0}files") == 1


async def test_a_file_that_was_disposed_of_cannot_be_forwarded(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MK) as vault:
        one, disposal = await stored(vault, "gone")
        draft = a_draft("gone", {"text": ""})
        assert await vault.keep_draft(draft)
        (file,) = await vault.files_of([one.id])
    await disposed(installation, organisation, one, disposal)
    again = FileRecord(new_id(), draft.id, 0, file.size, file.body, _KIND)
    with pytest.raises(UnknownRecord):
        async with installation.open(organisation, MK) as vault:
            await vault.add_draft_file(again, None, PERSON)


async def test_the_files_of_a_draft_go_with_the_last_of_its_messages(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """It was sent to two recipients, and both conversations are disposed of at the same time."""
    async with installation.open(organisation, MK) as vault:
        assert await vault.keep_mailbox(MailboxRecord("sent", "sent@0203:habo.se", "sent"))
        sent = a_draft("sent", {"text": ""})
        assert await vault.keep_draft(sent)
        large = await body(vault, b"file" * 1000)
        file = FileRecord(new_id(), sent.id, 0, large.size, large.id, _KIND)
        assert await vault.add_draft_file(file, large, PERSON)
        one, first = await stored(vault, "one", sent.id)
        other, second = await stored(vault, "other", sent.id)
    async with installation.open(organisation, MK) as vault:
        await dispose(vault, one, first)
        task = await begun(installation, organisation, disposed(installation, organisation, other, second))
    await task
    assert await counted(installation, organisation, "{0}messages") == 0
    for table in ("files", "drafts", "bodies"):
        assert await counted(installation, organisation, f"{{0}}{table}") == 0
