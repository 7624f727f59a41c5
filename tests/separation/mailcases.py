"""Every operation on a message client's mail, attempted with another organisation's identifiers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

import pytest

from samdrift.contracts.messages import Direction
from samdrift.vault.bodies import new_id
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.mail import ConversationFilter
from samdrift.vault.maildeletion import BackupRecord, DeletionCounts
from samdrift.vault.maildisposal import DisposalRule
from samdrift.vault.mailpresets import PresetKind, PresetRecord
from samdrift.vault.mailrecords import (
    ConversationRecord,
    DraftRecord,
    FileRecord,
    MailboxRecord,
    MailRecord,
    NewMail,
    NoteRecord,
)
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.noticing import NoticeRecord, WatchRecord
from tests.vaults import MINUTE, NOW, body

ADDRESS, PERSON, TOKEN, SETTING = "inkorg:0203:offer.se", "their-person", "their-token", "their-setting"
EVERYTHING = (NOW + 1000 * MINUTE, "")
_END = NOW + 100 * MINUTE
_FAR = NOW + 10_000_000 * MINUTE
"""Later than the database's clock, which records the time at which a conversation was marked as done."""


@dataclass(frozen=True)
class TheirMail:
    """Everything that could be known about the other organisation's mail."""

    mailbox: str
    conversation: str
    came_in: str
    sent: str
    file: str
    body: str
    draft: str
    sent_draft: str
    message_id: str
    preset: str
    disposal: str
    """A finished disposal; :func:`proposed` names one that is only proposed."""
    unread: str
    """A mailbox with a message that has not been opened."""
    read: str
    """A mailbox with messages that may be deleted at the message service."""
    deleting: str
    """A message that is being deleted there."""
    disposed_in: str
    """A mailbox with a message that was disposed of, and that the message service may still have."""
    disposed: str
    """The message that was disposed of."""


class Knowing(Protocol):
    """An object that knows the other organisation's mail."""

    @property
    def mail(self) -> TheirMail: ...


Case = Callable[[MessageClientVault, Any], Awaitable[object]]


def a_message(direction: Direction, stage: str, content: Mapping[str, Any], **more: Any) -> MailRecord:
    """Return a message with a new id."""
    return replace(
        MailRecord(
            id=new_id(),
            conversation=new_id(),
            direction=direction,
            stage=stage,
            status=None,
            draft=None,
            author=None,
            at=NOW,
            dated_at=None,
            since=NOW,
            confidential=True,
            due_at=None,
            deadline=None,
            attempts=0,
            opened_at=None,
            files=0,
            content=content,
            delivery={},
        ),
        **more,
    )


def a_draft(mailbox: str, content: Mapping[str, Any], **more: Any) -> DraftRecord:
    """Return a draft with a new id."""
    draft = DraftRecord(new_id(), mailbox, None, None, 1, 0, "open", PERSON, NOW, None, None, None, content)
    return replace(draft, **more)


def a_notice(name: str, content: Mapping[str, Any], person: str | None = PERSON) -> NoticeRecord:
    """Return a notice that waits to be sent."""
    return NoticeRecord(name, "new", person, NOW, _END, 0, None, None, content)


async def their_mail(vault: MessageClientVault, marker: str) -> TheirMail:
    """Store a record of each kind in the victim's vault."""
    content = {"subject": marker, "text": marker, "organisation": "0203:offer.se", "address": ADDRESS}
    ids = {"message_id": "their-message", "remote_id": "their-remote", "refers_to": None}
    box = MailboxRecord(f"box {marker}", ADDRESS, marker)
    assert await vault.keep_mailbox(box)
    came_in = a_message(Direction.IN, "arrived", content | ids, files=1)
    large = await body(vault, marker.encode() * 10_000)
    file = FileRecord(new_id(), came_in.id, 0, large.size, large.id, {"name": marker, "type": ""})
    new = NewMail(came_in, "their-message", "their-thread", await body(vault), "their-remote")
    conversation = await vault.store_mail(new, box.id, [file], [large])
    assert conversation is not None
    assert await vault.add_note(NoteRecord(new_id(), conversation, PERSON, NOW, content))
    await vault.note_reading([came_in.id], PERSON, "read", now=NOW)
    draft = a_draft(box.id, content, conversation=conversation)
    sent_draft = a_draft(box.id, content, stage="window", until=_END)
    for each in (draft, sent_draft):
        assert await vault.keep_draft(each)
    ids = {"message_id": "their-sent", "remote_id": "their-sent", "refers_to": "their-message"}
    out = a_message(Direction.OUT, "window", content | ids, draft=sent_draft.id, due_at=_END)
    reply = NewMail(out, "their-sent", "their-thread", await body(vault), None, "their-message")
    assert await vault.store_mail(reply, box.id, [], []) == conversation
    (known,) = await vault.conversations_by_id([conversation])
    assert await vault.keep_registration(known, PERSON, {"number": marker}, now=NOW) > 0
    (known,) = await vault.conversations_by_id([conversation])
    assert await vault.keep_hold(known, PERSON, {"reason": marker}, now=NOW) > 0
    disposal = await their_disposal(vault, marker)
    (gone,) = await vault.disposed(disposal, "", 1)
    vault.keep_search(TOKEN, PERSON, content, now=NOW)
    vault.use_address(f"0203:offer.se {ADDRESS}", content, now=NOW)
    vault.keep_favourite(PERSON, f"0203:offer.se {ADDRESS}", content)
    vault.keep_mail_setting(SETTING, content)
    vault.keep_notice_choice(PERSON, content)
    vault.keep_manning(box.id, content, now=NOW)
    told = a_notice("their-told-notice", content)
    vault.add_notice(told)
    vault.move_notice(told, due=None, outcome="sent", now=NOW, reason="")
    vault.add_notice(a_notice("their-notice", content))
    unread = MailboxRecord(f"unread {marker}", f"unread-{ADDRESS}", marker)
    assert await vault.keep_mailbox(unread)
    ids = {"message_id": "their-unread", "remote_id": "their-unread", "refers_to": None}
    waiting_message = a_message(Direction.IN, "arrived", content | ids)
    of_its_own = NewMail(waiting_message, "their-unread", "their-unread", await body(vault), "their-unread")
    assert await vault.store_mail(of_its_own, unread.id, [], []) is not None
    read, deleting = await their_deletions(vault, marker)
    vault.keep_sole_reader(box.id, PERSON, content, now=NOW)
    preset = PresetRecord(new_id(), PresetKind.TEXT, box.id, content)
    assert await vault.keep_preset(preset)
    return TheirMail(
        mailbox=box.id,
        conversation=conversation,
        came_in=came_in.id,
        sent=out.id,
        file=file.id,
        body=large.id,
        draft=draft.id,
        sent_draft=sent_draft.id,
        message_id=new.message_id,
        preset=preset.id,
        disposal=disposal,
        unread=unread.id,
        read=read,
        deleting=deleting,
        disposed_in=old_box(marker),
        disposed=gone.id,
    )


async def their_deletions(vault: MessageClientVault, marker: str) -> tuple[str, str]:
    """Store two messages that may be deleted at the message service, and begin to delete one."""
    content, box = {"text": marker}, MailboxRecord(f"read {marker}", f"read-{ADDRESS}", marker)
    assert await vault.keep_mailbox(box)
    for number in range(2):
        name = f"their-read-{number}"
        ids = {"message_id": name, "remote_id": name, "refers_to": None}
        one = a_message(Direction.IN, "arrived", content | ids)
        assert await vault.store_mail(NewMail(one, name, name, await body(vault), name), box.id, [], [])
        await vault.note_reading([one.id], PERSON, "read", now=NOW)
    backup = BackupRecord(vault.note_backup(_END, content, now=NOW), _END, NOW, content)
    (claimed,) = await vault.claim_deletions(
        [box.id], backup, stored_before=_FAR, now=NOW, lease=MINUTE, limit=1
    )
    return box.id, claimed


async def their_disposal(vault: MessageClientVault, marker: str) -> str:
    """Complete one disposal in a mailbox of its own, and propose another."""
    box = MailboxRecord(old_box(marker), f"old {marker}:0203:offer.se", marker)
    assert await vault.keep_mailbox(box)
    disposal, rule = await disposed_of_one(vault, box, marker)
    await old_conversation(vault, box, proposed(disposal))
    assert await vault.propose_disposal(proposed(disposal), rule, _FAR, PERSON, now=NOW)
    return disposal


def old_box(marker: str) -> str:
    """Return the id of the mailbox in which something was disposed of."""
    return f"old {marker}"


async def disposed_of_one(
    vault: MessageClientVault, box: MailboxRecord, marker: str
) -> tuple[str, DisposalRule]:
    """Receive a conversation and dispose of it; return the disposal and the mailbox's disposal rule."""
    rule, disposal = DisposalRule(box.id, "done", 1, PERSON, NOW, {"decision": marker}), new_id()
    vault.keep_disposal_rule(rule)
    conversation = await old_conversation(vault, box, disposal)
    assert await vault.propose_disposal(disposal, rule, _FAR, PERSON, now=NOW)
    assert await vault.decide_disposal(disposal, PERSON, agreed=True, now=NOW)
    (one,) = await vault.mail_of(conversation)
    known = {"message_id": marker, "remote_id": marker, "home": box.id}
    assert await vault.dispose(disposal, conversation, [one], {one.id: known}, now=NOW)
    assert await vault.end_disposal(disposal, now=NOW)
    return disposal, rule


async def old_conversation(vault: MessageClientVault, box: MailboxRecord, name: str) -> str:
    """Store a conversation that was read and is marked as done."""
    ids = {"message_id": f"old {name}", "remote_id": f"old {name}", "refers_to": None}
    one = a_message(Direction.IN, "arrived", ids)
    new = NewMail(one, f"old {name}", f"old {name}", await body(vault), f"old {name}")
    conversation = await vault.store_mail(new, box.id, [], [])
    assert conversation is not None
    await vault.note_reading([one.id], PERSON, "read", now=NOW)
    (known,) = await vault.conversations_by_id([conversation])
    await vault.change_conversation(known, handler=None, done=True, mailbox=box.id)
    return conversation


def proposed(disposal: str) -> str:
    """Return the id of the proposed disposal that accompanies a finished one."""
    return f"{disposal}-proposed"


async def unknown(attempt: Awaitable[object]) -> None:
    with pytest.raises(UnknownRecord):
        await attempt


async def is_(expected: object, attempt: Awaitable[object]) -> None:
    assert await attempt == expected


# --- cases ------------------------------------------------------------------------------------------------


async def keep_mailbox(vault: MessageClientVault, victim: Knowing) -> object:
    """An address that another organisation has is available here, and its use there is not revealed."""
    return await is_(True, vault.keep_mailbox(MailboxRecord("mine", ADDRESS, "mine")))


async def mailboxes(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.mailboxes())


async def mailbox_used(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(False, vault.mailbox_used(victim.mail.mailbox))


async def mailbox_counts(vault: MessageClientVault, victim: Knowing) -> object:
    (counts,) = await vault.mailbox_counts([victim.mail.mailbox], PERSON)
    assert (counts.open, counts.drafts, counts.outbox) == (0, 0, 0)
    return None


async def conversations(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.conversations([victim.mail.mailbox], ConversationFilter(), limit=1000))


async def conversations_by_id(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.conversations_by_id([victim.mail.conversation]))


def their_conversation(victim: Knowing) -> ConversationRecord:
    theirs, box = victim.mail.conversation, victim.mail.mailbox
    return ConversationRecord(theirs, box, box, 1, None, False, True, NOW, None, 1, 0, 0, 0)


async def conversation_with(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(None, vault.conversation_with(victim.mail.mailbox, "their-thread"))


async def change_conversation(vault: MessageClientVault, victim: Knowing) -> object:
    known, box = their_conversation(victim), victim.mail.mailbox
    return await unknown(vault.change_conversation(known, handler="me", done=True, mailbox=box))


async def keep_registration(vault: MessageClientVault, victim: Knowing) -> object:
    return await unknown(vault.keep_registration(their_conversation(victim), "me", None, now=NOW))


async def keep_hold(vault: MessageClientVault, victim: Knowing) -> object:
    return await unknown(vault.keep_hold(their_conversation(victim), "me", None, now=NOW))


async def holds(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_({}, vault.holds([victim.mail.conversation]))


def their_rule(victim: Knowing) -> DisposalRule:
    old = victim.mail.mailbox.replace("box", "old", 1)
    return DisposalRule(old, "done", 1, "me", NOW, {"decision": "mine"})


async def keep_disposal_rule(vault: MessageClientVault, victim: Knowing) -> None:
    """Keep a rule for one's own mailbox, because the other organisation's does not exist in this vault."""
    await vault.keep_mailbox(MailboxRecord(their_rule(victim).mailbox, "own:0203:x.se", "own"))
    vault.keep_disposal_rule(their_rule(victim))


async def disposal_rules(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_({}, vault.disposal_rules([their_rule(victim).mailbox]))


async def disposable(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.disposable(their_rule(victim).mailbox, "done", _FAR))


async def propose_disposal(vault: MessageClientVault, victim: Knowing) -> object:
    await vault.decide_disposal(proposed(victim.mail.disposal), "me", agreed=False, now=NOW)
    return await is_(False, vault.propose_disposal(new_id(), their_rule(victim), _FAR, "me", now=NOW))


async def decide_disposal(vault: MessageClientVault, victim: Knowing) -> object:
    theirs = proposed(victim.mail.disposal)
    return await is_(False, vault.decide_disposal(theirs, "me", agreed=True, now=NOW))


async def disposals(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.disposals([their_rule(victim).mailbox]))


async def agreed_disposals(vault: MessageClientVault, victim: Knowing) -> object:
    await vault.decide_disposal(proposed(victim.mail.disposal), "me", agreed=True, now=NOW)
    return await is_((), vault.agreed_disposals())


async def disposal_items(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.disposal_items(proposed(victim.mail.disposal), "", 100))


async def dispose(vault: MessageClientVault, victim: Knowing) -> object:
    """Agree here to the disposal that is proposed there, and try to carry it out."""
    return await is_(False, disposed_of_theirs(vault, victim))


async def disposed_of_theirs(vault: MessageClientVault, victim: Knowing) -> bool:
    theirs = proposed(victim.mail.disposal)
    await vault.decide_disposal(theirs, "me", agreed=True, now=NOW)
    conversation = next(iter(await vault.disposal_items(theirs, "", 1)), victim.mail.conversation)
    mail = await vault.mail_of(conversation)
    contents = {one.id: {"message_id": "mine"} for one in mail}
    return await vault.dispose(theirs, conversation, mail, contents, now=NOW)


async def end_disposal(vault: MessageClientVault, victim: Knowing) -> object:
    """Try to end the other organisation's disposal after trying to dispose of its last conversation."""
    await disposed_of_theirs(vault, victim)
    return await is_(False, vault.end_disposal(proposed(victim.mail.disposal), now=NOW))


async def disposed(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.disposed(victim.mail.disposal, "", 100))


async def registrations(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_({}, vault.registrations([victim.mail.conversation]))


async def new_to(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(frozenset(), vault.new_to("another", [victim.mail.conversation]))


async def add_note(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(False, vault.add_note(NoteRecord(new_id(), victim.mail.conversation, "me", NOW, {})))


async def notes(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.notes(victim.mail.conversation))


async def notes_of(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(0, vault.notes_of(PERSON, victim.mail.conversation))


async def store_mail(vault: MessageClientVault, victim: Knowing) -> object:
    """A message that another organisation has can be stored here, and its presence there is not revealed."""
    assert await vault.keep_mailbox(MailboxRecord("own", "own:0203:x.se", "own"))
    new = a_message(Direction.IN, "arrived", {})
    mail = NewMail(new, victim.mail.message_id, "their-thread", await body(vault), "their-remote")
    return await is_(new.conversation, vault.store_mail(mail, "own", [], []))


async def known_mail(vault: MessageClientVault, victim: Knowing) -> object:
    ids = ({victim.mail.message_id}, {"their-remote"})
    return await is_((frozenset(), frozenset()), vault.known_mail(*ids, Direction.IN))


async def mail(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.mail([victim.mail.came_in, victim.mail.sent]))


async def mail_of(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.mail_of(victim.mail.conversation))


async def latest_mail(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.latest_mail([victim.mail.conversation]))


async def mail_at_stage(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.mail_at_stage([victim.mail.conversation], "arrived", 1000))


async def mail_before(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.mail_before([victim.mail.mailbox], EVERYTHING, 1000))


async def count_mail(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(0, vault.count_mail([victim.mail.mailbox]))


async def referred(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_({}, vault.referred([victim.mail.sent]))


async def mail_body(vault: MessageClientVault, victim: Knowing) -> object:
    return await unknown(vault.mail_body(victim.mail.came_in))


async def mail_bodies(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_({}, vault.mail_bodies([victim.mail.came_in]))


async def files_of(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.files_of([victim.mail.came_in]))


async def file_body(vault: MessageClientVault, victim: Knowing) -> object:
    return await unknown(vault.file_body(victim.mail.file, victim.mail.came_in))


async def note_reading(vault: MessageClientVault, victim: Knowing) -> object:
    await vault.note_reading([victim.mail.came_in], "me", "read", now=NOW)
    return await is_((), vault.readings([victim.mail.came_in]))


async def readings(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.readings([victim.mail.came_in]))


async def last_readings(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_({}, vault.last_readings(victim.mail.mailbox))


async def mail_setting(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(None, vault.mail_setting(SETTING))


async def keep_mail_setting(vault: MessageClientVault, victim: Knowing) -> None:
    vault.keep_mail_setting(SETTING, {})


async def keep_draft(vault: MessageClientVault, victim: Knowing) -> object:
    known = a_draft(victim.mail.mailbox, {}, id=victim.mail.draft, version=1)
    return await is_(False, vault.keep_draft(known))


async def draft(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(None, vault.draft(victim.mail.draft))


async def drafts(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.drafts([victim.mail.mailbox]))


async def drafts_of(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(0, vault.drafts_of(PERSON, victim.mail.mailbox))


async def drafts_in(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.drafts_in([victim.mail.conversation]))


async def drop_draft(vault: MessageClientVault, victim: Knowing) -> object:
    known = a_draft(victim.mail.mailbox, {}, id=victim.mail.draft, version=1)
    return await is_(False, vault.drop_draft(known))


async def see_news(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(False, vault.see_news(victim.mail.draft, PERSON, 9))


async def add_draft_file(vault: MessageClientVault, victim: Knowing) -> object:
    file = FileRecord(new_id(), victim.mail.draft, 0, 1, victim.mail.body, {})
    return await is_(False, vault.add_draft_file(file, None, PERSON))


async def drop_draft_file(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(False, vault.drop_draft_file(victim.mail.file, victim.mail.draft, PERSON))


async def messages_of_draft(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.messages_of_draft(victim.mail.sent_draft))


async def undo_sending(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(False, vault.undo_sending(victim.mail.sent_draft))


async def end_windows(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.end_windows(now=_END + MINUTE))


async def claim_mail(vault: MessageClientVault, victim: Knowing) -> object:
    """A message sent by the other organisation can be claimed only in its own vault."""
    await is_((), vault.end_windows(now=_END + MINUTE))
    return await is_((), vault.claim_mail(now=_END + MINUTE, lease=timedelta(minutes=1), limit=9))


async def release_claims(vault: MessageClientVault, victim: Knowing) -> object:
    """Claims of the same process on a message and a notice there cannot be released from here."""
    await is_((), vault.end_windows(now=_END + MINUTE))
    await is_((), vault.claim_notices(now=_END, lease=MINUTE))
    return await is_(0, vault.release_claims([victim.claimant], now=_END + MINUTE))


async def move_mail(vault: MessageClientVault, victim: Knowing) -> object:
    await is_((), vault.end_windows(now=_END + MINUTE))
    theirs = a_message(Direction.OUT, "outbox", {}, id=victim.mail.sent)
    moved = vault.move_mail(theirs, stage="refused", status=None, now=NOW, due=None, attempts=1)
    return await is_(False, moved)


async def next_due(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(None, vault.next_due())


async def waiting(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.waiting([victim.mail.mailbox], 1000))


async def marks(vault: MessageClientVault, victim: Knowing) -> object:
    found = await vault.marks([victim.mail.mailbox], [victim.mail.conversation], [b"m" * 32])
    assert (found.lists, found.conversations, found.sessions) == ({}, {}, frozenset())
    return await vault.marks(None, [victim.mail.conversation])


async def arrived_since(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(0, vault.arrived_since([victim.mail.mailbox], NOW - 1000 * MINUTE))


async def hurry_mail(vault: MessageClientVault, victim: Knowing) -> None:
    vault.hurry_mail([victim.mail.message_id, "their-sent"], now=NOW)


async def put_off_mail(vault: MessageClientVault, victim: Knowing) -> None:
    vault.put_off_mail([victim.mail.sent], due=NOW + 1000 * MINUTE)


async def note_backup(vault: MessageClientVault, victim: Knowing) -> None:
    vault.note_backup(NOW + 1000 * MINUTE, {}, now=NOW)


async def last_backup(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(None, vault.last_backup())


async def keep_sole_reader(vault: MessageClientVault, victim: Knowing) -> None:
    vault.keep_sole_reader(victim.mail.mailbox, PERSON, None, now=NOW)


async def sole_readers(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_({}, vault.sole_readers())


async def claim_deletions(vault: MessageClientVault, victim: Knowing) -> object:
    backup = BackupRecord("their-backup", _FAR, NOW, {})
    claimed = vault.claim_deletions(
        [victim.mail.read], backup, stored_before=_FAR, now=NOW, lease=MINUTE, limit=10
    )
    return await is_({}, claimed)


async def end_deletion(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(False, vault.end_deletion(victim.mail.deleting, "deleted", now=NOW))


async def claim_disposed_deletions(vault: MessageClientVault, victim: Knowing) -> object:
    backup, homes = BackupRecord("their-backup", _FAR, NOW, {}), [victim.mail.disposed_in]
    claimed = vault.claim_disposed_deletions(homes, backup, now=_FAR, lease=MINUTE, limit=10)
    return await is_((), claimed)


async def end_disposed_deletion(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(False, vault.end_disposed_deletion(victim.mail.disposed, "deleted", now=NOW))


async def deletion_counts(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(DeletionCounts(0, 0, 0, 0), vault.deletion_counts())


async def notice_choices(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_({}, vault.notice_choices())


async def keep_notice_choice(vault: MessageClientVault, victim: Knowing) -> None:
    vault.keep_notice_choice(PERSON, {})


async def manning(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_({}, vault.manning())


async def keep_manning(vault: MessageClientVault, victim: Knowing) -> None:
    vault.keep_manning(victim.mail.mailbox, {}, now=NOW)


async def due_watches(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.due_watches(now=_END))


async def keep_watch(vault: MessageClientVault, victim: Knowing) -> None:
    watch = WatchRecord(victim.mail.mailbox, NOW, NOW, escalated=False)
    vault.keep_watch(watch, due=None, looked=NOW, escalated=True)


async def hold_watch(vault: MessageClientVault, victim: Knowing) -> None:
    vault.hold_watch(WatchRecord(victim.mail.mailbox, NOW, NOW, escalated=True))


async def unread_in(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(None, vault.unread_in(victim.mail.unread))


async def unopened_in(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(None, vault.unopened_in(victim.mail.unread, NOW + 1000 * MINUTE))


async def started_conversations(vault: MessageClientVault, victim: Knowing) -> object:
    after = NOW - 1000 * MINUTE, ""
    return await is_((), vault.started_conversations(victim.mail.unread, after))


async def begin_acknowledging(vault: MessageClientVault, victim: Knowing) -> object:
    return await vault.begin_acknowledging(f"{victim.mail.mailbox} x", now=NOW, before=NOW - MINUTE)


async def has_new(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(False, vault.has_new("nobody", [victim.mail.mailbox], NOW - 1000 * MINUTE))


async def add_notice(vault: MessageClientVault, victim: Knowing) -> None:
    vault.add_notice(a_notice(f"{new_id()}-notice", {}))


async def claim_notices(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.claim_notices(now=_END, lease=MINUTE))


async def notices(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.notices(["their-notice"]))


async def move_notice(vault: MessageClientVault, victim: Knowing) -> None:
    notice = a_notice("their-notice", {})
    vault.move_notice(notice, due=None, outcome="sent", now=NOW, reason="")


async def last_notices(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_({}, vault.last_notices())


async def next_notice(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(None, vault.next_notice())


async def keep_search(vault: MessageClientVault, victim: Knowing) -> None:
    """Keep a search late enough for older searches to be removed."""
    vault.keep_search(TOKEN, "me", {}, now=NOW + timedelta(days=2))


async def search(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(None, vault.search(TOKEN, PERSON))


async def use_address(vault: MessageClientVault, victim: Knowing) -> None:
    vault.use_address(ADDRESS, {}, now=NOW)


async def address_answered(vault: MessageClientVault, victim: Knowing) -> None:
    vault.address_answered(ADDRESS, at=NOW)


async def addresses(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.addresses())


async def keep_favourite(vault: MessageClientVault, victim: Knowing) -> None:
    vault.keep_favourite(PERSON, ADDRESS, {})


async def drop_favourite(vault: MessageClientVault, victim: Knowing) -> None:
    vault.drop_favourite(PERSON, ADDRESS)


async def favourites(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.favourites(PERSON))


async def presets(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.presets(PresetKind.TEXT, [victim.mail.mailbox]))


async def keep_preset(vault: MessageClientVault, victim: Knowing) -> object:
    """A preset id that another organisation already uses is free here, and its use there is not revealed."""
    taken = PresetRecord(victim.mail.preset, PresetKind.VIEW, victim.mail.mailbox, {})
    return await is_(True, vault.keep_preset(taken))


async def drop_preset(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_(False, vault.drop_preset(victim.mail.preset, PresetKind.TEXT, victim.mail.mailbox))


async def figures(vault: MessageClientVault, victim: Knowing) -> object:
    return await is_((), vault.figures([victim.mail.mailbox], NOW - 1000 * MINUTE))


TELLING_NOTHING = frozenset(
    {
        case.__name__
        for case in (
            keep_mail_setting,
            keep_search,
            use_address,
            address_answered,
            keep_favourite,
            drop_favourite,
            keep_disposal_rule,
            hurry_mail,
            put_off_mail,
            note_backup,
            keep_sole_reader,
            keep_notice_choice,
            keep_manning,
            keep_watch,
            hold_watch,
            add_notice,
            begin_acknowledging,
            move_notice,
        )
    }
)
"""Operations that return nothing: their cases fail by what they would change in the other vault."""

MAIL: dict[str, Case] = {
    case.__name__: case
    for case in (
        *(
            keep_mailbox,
            mailboxes,
            mailbox_used,
            mailbox_counts,
            conversations,
            conversations_by_id,
            conversation_with,
            change_conversation,
        ),
        *(
            new_to,
            marks,
            arrived_since,
            hurry_mail,
            put_off_mail,
            note_backup,
            last_backup,
            keep_sole_reader,
            sole_readers,
            claim_deletions,
            end_deletion,
            claim_disposed_deletions,
            end_disposed_deletion,
            deletion_counts,
            notice_choices,
            keep_notice_choice,
            manning,
            keep_manning,
            due_watches,
            keep_watch,
            hold_watch,
            unread_in,
            unopened_in,
            has_new,
            started_conversations,
            begin_acknowledging,
            add_notice,
            claim_notices,
            notices,
            move_notice,
            last_notices,
            next_notice,
            add_note,
            notes,
            notes_of,
            store_mail,
            known_mail,
            mail,
            mail_of,
            latest_mail,
            mail_at_stage,
            mail_before,
            count_mail,
        ),
        *(
            referred,
            mail_body,
            mail_bodies,
            files_of,
            file_body,
            note_reading,
            readings,
            last_readings,
            mail_setting,
        ),
        *(keep_mail_setting, keep_draft, draft, drafts, drafts_in, drafts_of, drop_draft, see_news),
        *(add_draft_file, drop_draft_file, messages_of_draft, undo_sending, end_windows, claim_mail),
        *(move_mail, next_due, release_claims),
        *(waiting, keep_search, search, use_address, address_answered, addresses, keep_favourite),
        *(drop_favourite, favourites, keep_registration, registrations, keep_hold, holds),
        *(keep_disposal_rule, disposal_rules, disposable, propose_disposal, decide_disposal, disposals),
        *(agreed_disposals, disposal_items, dispose, end_disposal, disposed),
        *(presets, keep_preset, drop_preset, figures),
    )
}
