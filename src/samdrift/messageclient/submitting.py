"""Submission of drafts: review, a second person's approval, the undo window, and the outbox.

A draft that is sent becomes one message for each recipient in one transaction, each with its own
``messageId``, and can then no longer be changed. Submitting it again returns the result of the first time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4, uuid5

from samdrift.contracts.addressbook import Listing
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Purpose
from samdrift.messageclient import content, drafts
from samdrift.messageclient.desk import (
    Changed,
    ConversationMoved,
    DraftClosed,
    DraftTaken,
    NotHere,
    NotReady,
    OwnApproval,
    TooLate,
)
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import (
    Act,
    Caution,
    Draft,
    DraftContent,
    DraftStage,
    Message,
    Party,
    Problem,
    ProblemCode,
    Recipient,
    RecipientCheck,
    Review,
    Stage,
    Submitted,
)
from samdrift.messageclient.reading import fitting, messages_of
from samdrift.messageclient.scope import OF_DRAFTS, Scope
from samdrift.messageclient.writing import (
    change_draft,
    changed_meanwhile,
    require_version,
    require_writer,
    shown,
)
from samdrift.rights import Right
from samdrift.vault.bodies import new_id
from samdrift.vault.mailrecords import (
    AddressRecord,
    DraftRecord,
    FileRecord,
    MailboxRecord,
    MailRecord,
    NewMail,
)
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.sdkmessage.rules import MAX_BYTES

OUTBOX_DEADLINE = timedelta(hours=24)
"""Time after the undo window within which the message service must have accepted a message."""
_MAX_WAITING = 200
_MAX_REASON = 1_000
"""Maximum number of characters in the reason for returning a draft."""
_UNANSWERED = 2
"""Number of messages to an address since its last receipt from which a warning is shown."""
_SENT = frozenset({DraftStage.WINDOW, DraftStage.SENT})


class SubmittingDesk:
    """The part of a desk for sending; methods as in :class:`~samdrift.messageclient.desk.Desk`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def review(self, draft: str) -> Review:
        """Return the draft as it would be sent, with the problems that prevent it."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            found = await scope.draft(vault, draft, *OF_DRAFTS)
            files = await vault.files_of([found.id])
            mailbox = await _mailbox(vault, found.mailbox)
            home, answered = await self._answered(vault, found, mailbox)
            people = await scope.people(vault)
            used = await vault.addresses()
            typed = drafts.typed(found.content)
            asked = typed.recipients[: drafts.MAX_RECIPIENTS]
            senders = [(await _place(vault, found, mailbox, home, one, answered))[0] for one in asked]
            vault.record(MKEvent.MK_READING_DRAFT, draft=found.id)
        known = {content.address_key(content.recipient_of(one.content)): one for one in used}
        wrote = {_from(answered)} if answered and answered.direction is Direction.IN else set()
        checks = [
            await self._check(one, known, wrote, "" if sender == mailbox else sender.name)
            for one, sender in zip(asked, senders, strict=True)
        ]
        gone = [_gone(one.recipient) for one in checks if Caution.NOT_LISTED in one.cautions]
        elsewhere = (*gone, *_ended(mailbox, home), *await scope.uncovered())
        return Review(
            draft=drafts.draft_shown(found, files, people),
            problems=tuple(dict.fromkeys((*drafts.problems(typed, files), *elsewhere))),
            recipients=tuple(checks),
            needs_approval=mailbox.needs_approval or home.needs_approval,
            undo_seconds=mailbox.undo_seconds,
            max_size=MAX_BYTES,
        )

    async def _check(
        self,
        recipient: Recipient,
        known: Mapping[tuple[str, str], AddressRecord],
        wrote: Container[tuple[str, str]],
        sent_from: str,
    ) -> RecipientCheck:
        """Return the cautions for a recipient; ``wrote`` are the addresses that the draft answers."""
        key = content.address_key(recipient)
        used = known.get(key)
        cautions = set()
        if used is None:
            if key not in wrote:
                cautions.add(Caution.FIRST_TIME)
        elif used.unanswered >= _UNANSWERED:
            cautions.add(Caution.NO_RECEIPT_LATELY)
        if await self._listing(recipient) is Listing.NOT_LISTED:
            cautions.add(Caution.NOT_LISTED)
        return RecipientCheck(recipient, frozenset(cautions), used.receipt_at if used else None, sent_from)

    async def _vanished(self, draft: str) -> tuple[Problem, ...]:
        """Return recipients that are no longer in the address book, which may take a query for each."""
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            found = await scope.draft(vault, draft, Right.WRITE)
        recipients = () if found.stage in _SENT else drafts.typed(found.content).recipients
        asked = recipients[: drafts.MAX_RECIPIENTS]  # A draft with more recipients is never sent.
        listings = await asyncio.gather(*map(self._listing, asked))
        pairs = zip(asked, listings, strict=True)
        return tuple(_gone(one) for one, listing in pairs if listing is Listing.NOT_LISTED)

    async def _listing(self, recipient: Recipient) -> Listing:
        try:
            participant = ParticipantIdentifier.parse(recipient.organisation)
        except ValueError:
            return Listing.NOT_LISTED
        return await self._scope.book.listing(participant, recipient.address)

    # --- a second person ----------------------------------------------------------------------------------

    async def ask_approval(self, draft: str, version: int) -> int:
        """Ask a second person for approval; the draft cannot be changed until they have answered."""
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            found = await scope.draft(vault, draft, Right.WRITE)
            require_writer(scope, found, await scope.people(vault))
            require_version(found, version)
            _require_ready(found, await vault.files_of([found.id]))
            asked = replace(
                found,
                stage=DraftStage.APPROVAL.value,
                asked_by=scope.person.id,
                approved_by=None,
                content=dict(found.content) | {"declined": ""},
            )
            return await change_draft(vault, asked, "approval-asked")

    async def approve(self, draft: str, version: int) -> int:
        """Approve a draft that another person submitted for approval."""
        return await self._decide(draft, version, "")

    async def decline(self, draft: str, version: int, reason: str) -> int:
        """Return a draft to its writer, with a reason."""
        return await self._decide(draft, version, reason[:_MAX_REASON] or "-")

    async def _decide(self, draft: str, version: int, declined: str) -> int:
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            found = await scope.draft(vault, draft, Right.APPROVE)
            _require_asked(found, version)
            if scope.person.id in (found.writer, found.asked_by) and not declined:
                raise OwnApproval
            decided = replace(
                found,
                stage=(DraftStage.OPEN if declined else DraftStage.APPROVED).value,
                approved_by=None if declined else scope.person.id,
                content=dict(found.content) | {"declined": declined},
            )
            return await change_draft(vault, decided, "declined" if declined else "approved")

    async def withdraw(self, draft: str, version: int) -> int:
        """Withdraw the request for a second person's approval; the draft can be changed again."""
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            found = await scope.draft(vault, draft, Right.WRITE)
            _require_asked(found, version)
            if found.writer != scope.person.id:
                raise DraftTaken((await scope.people(vault))[found.writer], found.saved_at)
            changeable = replace(found, stage=DraftStage.OPEN.value, asked_by=None)
            return await change_draft(vault, changeable, "approval-withdrawn")

    # --- sending ------------------------------------------------------------------------------------------

    async def submit(self, draft: str, version: int) -> Submitted:
        """Send a draft: it can no longer be changed, and for a short time sending can be undone."""
        scope = self._scope
        refused = (*await self._vanished(draft), *await scope.uncovered())
        try:
            async with scope.open(Purpose.COMPOSE) as vault:
                found = await scope.draft(vault, draft, Right.WRITE)
                require_writer(scope, found, await scope.people(vault))
                require_version(found, version)
                if refused:
                    raise NotReady(refused)
                moved = await self._moved(vault, found)
                if moved is None:
                    return await self._submit(vault, found)
            raise moved  # After the commit, so that the log records that what is new was read.
        except DraftClosed as closed:
            if closed.stage not in _SENT:
                raise
        async with scope.open(Purpose.COMPOSE) as vault:  # It has already been submitted.
            return await _submitted(vault, await scope.draft(vault, draft, Right.WRITE))

    async def _submit(self, vault: MessageClientVault, draft: DraftRecord) -> Submitted:
        now = self._scope.now()
        files = await vault.files_of([draft.id])
        mailbox = await _mailbox(vault, draft.mailbox)
        _require_ready(draft, files)
        home, answered = await self._answered(vault, draft, mailbox)
        if ended := _ended(mailbox, home):
            raise NotReady(ended)
        asks = mailbox.needs_approval or home.needs_approval  # Moving a conversation must not avoid it.
        if asks and draft.stage != DraftStage.APPROVED:
            raise NotReady([Problem(ProblemCode.NOT_APPROVED, "approval")])
        until = now + timedelta(seconds=mailbox.undo_seconds)
        closed = replace(draft, stage=DraftStage.WINDOW.value, until=until)
        if not await vault.keep_draft(closed):
            await changed_meanwhile(vault, draft)
        typed = drafts.typed(draft.content)
        messages = []
        conversation = ""
        for recipient in typed.recipients:
            sender, thread = await _place(vault, draft, mailbox, home, recipient, answered)
            new = await self._message(vault, draft, sender, thread, recipient, files, answered, until)
            stored = await vault.store_mail(new, sender.id, [], [])
            assert stored is not None  # It is only ``None`` for a known messageId.
            await _require_within(vault, draft, stored)
            conversation = conversation or stored
            messages.append(new.record.id)
            vault.record(
                MKEvent.MK_MESSAGE_SUBMITTED,
                message=new.message_id,
                draft=draft.id,
                mailbox=draft.mailbox,
                until=until.isoformat(),
            )
        return Submitted(draft.id, tuple(messages), conversation, until)

    async def _moved(self, vault: MessageClientVault, draft: DraftRecord) -> ConversationMoved | None:
        """Return an error with the messages that the writer of a reply has not seen yet, one page at a time.

        They are in order of arrival here, by id, because another client's message may bear an earlier time.
        """
        scope, seen = self._scope, draft.seen or 0
        for found in await vault.conversations_by_id([draft.conversation or ""]):
            if found.messages > seen:
                came = sorted(await vault.mail_of(found.id), key=lambda one: one.id)
                new = came[seen:] if scope.may(Right.READ, found.mailbox) else []
                first = new[: await fitting(vault, new)]
                news = await messages_of(scope, vault, first, await scope.people(vault), Act.READ)
                more = len(new) - len(first)
                vault.record(
                    MKEvent.MK_READING_CONVERSATION,
                    conversation=found.id,
                    case=found.id,
                    mailbox=found.mailbox,
                    messages=str(len(news)),
                )
                return ConversationMoved(found.version, news, found.messages - more, more)
        return None

    async def _answered(
        self, vault: MessageClientVault, draft: DraftRecord, mailbox: MailboxRecord
    ) -> tuple[MailboxRecord, MailRecord | None]:
        """Return the mailbox at whose address the draft's conversation began, and the message it answers."""
        for found in await vault.conversations_by_id([draft.conversation or ""]):
            answered = await vault.mail([draft.reply_to or ""])
            return await _mailbox(vault, found.home), answered[0] if answered else None
        return mailbox, None

    async def _message(
        self,
        vault: MessageClientVault,
        draft: DraftRecord,
        sender: MailboxRecord,
        thread: str,
        recipient: Recipient,
        files: Sequence[FileRecord],
        answered: MailRecord | None,
        until: datetime,
    ) -> NewMail:
        now, typed, message_id = self._scope.now(), drafts.typed(draft.content), str(uuid4())
        refers_to = str(answered.content["message_id"]) if answered else None
        writer = vault.new_body()
        await writer.write(_documents(typed, files))
        head = {
            "remote_id": message_id,
            "message_id": message_id,
            "conversation_id": thread,
            "refers_to": refers_to,
            "subject": typed.subject,
            "sender": content.party_content(_sender(self._scope.organisation.value, sender, typed)),
            "recipient": content.party_content(_receiver(recipient, typed)),
        }
        record = MailRecord(
            id=new_id(),
            conversation=new_id(),
            direction=Direction.OUT,
            stage=Stage.WINDOW.value,
            status=None,
            draft=draft.id,
            author=self._scope.person.id,
            at=now,
            dated_at=None,
            since=now,
            confidential=typed.confidential,
            due_at=until,
            deadline=until + OUTBOX_DEADLINE,
            attempts=0,
            opened_at=None,
            files=len(files),
            content=head,
            delivery={},
        )
        known_by = content.thread_of(thread, recipient.organisation)
        return NewMail(record, message_id, known_by, await writer.finish(), None, refers_to)

    async def undo(self, draft: str) -> Draft:
        """Undo sending and return the draft as it was; raises :class:`TooLate`."""
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            found = await scope.draft(vault, draft, Right.WRITE)
            seen = await _seen_without(vault, found)
            if not await vault.undo_sending(found.id):
                raise TooLate
            for other, messages in seen:
                await vault.see_news(other.id, other.writer, messages)
            vault.record(MKEvent.MK_MESSAGE_UNDONE, draft=found.id, mailbox=found.mailbox)
            return await shown(scope, vault, await scope.draft(vault, draft, Right.WRITE))

    async def outbox(self, mailbox: str | None = None) -> tuple[Message, ...]:
        """Return messages that have not been handed over yet, or could not be, the latest first."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            if mailbox is None:
                chosen = [one.id for one in await scope.mailboxes(vault, Right.READ)]
            else:
                chosen = [(await scope.mailbox(vault, mailbox, Right.READ)).id]
            mail = await vault.mail(await vault.waiting(chosen, _MAX_WAITING))
            latest = sorted(mail, key=lambda one: (one.at, one.id), reverse=True)
            messages = await messages_of(scope, vault, latest, await scope.people(vault), None)
            vault.record(
                MKEvent.MK_READING_LIST, folder="outbox", mailbox=mailbox or "", lines=str(len(messages))
            )
        return messages


def _new_thread(draft: DraftRecord, recipient: Recipient) -> str:
    """Return the id of the conversation that a draft begins with a recipient, however often it is undone.

    What was noted or registered while sending could be undone belongs to the message that is sent at last.
    """
    return str(uuid5(UUID(draft.id), content.address_mark(recipient)))


def _gone(recipient: Recipient) -> Problem:
    return Problem(ProblemCode.UNKNOWN_RECIPIENT, "recipients", recipient=recipient)


def _require_ready(draft: DraftRecord, files: Sequence[FileRecord]) -> None:
    wrong = drafts.problems(drafts.typed(draft.content), files)
    if wrong:
        raise NotReady(wrong)


def _require_asked(draft: DraftRecord, version: int) -> None:
    """Raise :class:`DraftClosed` or :class:`Changed` unless this version of a draft awaits approval."""
    if draft.stage != DraftStage.APPROVAL:
        raise DraftClosed(DraftStage(draft.stage))
    require_version(draft, version)


def _ended(*mailboxes: MailboxRecord) -> tuple[Problem, ...]:
    ended = any(one.retired for one in mailboxes)
    return (Problem(ProblemCode.ENDED_MAILBOX, "mailbox"),) if ended else ()


async def _seen_without(vault: MessageClientVault, undone: DraftRecord) -> list[tuple[DraftRecord, int]]:
    """Return other drafts whose writers have seen messages that are being undone, with corrected counts.

    The count is the number of messages seen without these, so that whatever is sent instead counts as new.
    """
    messages = frozenset(await vault.messages_of_draft(undone.id))
    others = await vault.drafts_in([undone.conversation or ""], most=None)
    here = sorted(one.id for one in await vault.mail_of(undone.conversation or "")) if others else []
    found = []
    for other in others:
        came = here[: other.seen or 0]
        if known := messages.intersection(came):
            found.append((other, len(came) - len(known)))
    return found


async def _place(
    vault: MessageClientVault,
    draft: DraftRecord,
    mailbox: MailboxRecord,
    home: MailboxRecord,
    recipient: Recipient,
    answered: MailRecord | None,
) -> tuple[MailboxRecord, str]:
    """Return the mailbox from whose address a recipient is written to, and the ``conversationId``.

    A conversation that was moved keeps its original address, because the other side writes to that one. An
    organisation with which there is no conversation in the draft's mailbox is written to from that mailbox's
    own address, under an id that leads to no conversation elsewhere: neither the message nor an answer to it
    appears in a mailbox whose readers are others.
    """
    new, known = _new_thread(draft, recipient), None
    thread = str(answered.content["conversation_id"]) if answered else new
    for place in dict.fromkeys((home, mailbox) if answered else ()):
        known = await vault.conversation_with(place.id, content.thread_of(thread, recipient.organisation))
        if known is not None and known.mailbox == mailbox.id:
            return place, thread
    return mailbox, thread if known is None else new


async def _require_within(vault: MessageClientVault, draft: DraftRecord, conversation: str) -> None:
    """Raise :class:`Changed` if a conversation is not in the draft's mailbox, because it was just moved."""
    for one in await vault.conversations_by_id([conversation]):
        if one.mailbox != draft.mailbox:
            raise Changed(draft.version)


async def _mailbox(vault: MessageClientVault, mailbox: str) -> MailboxRecord:
    for found in await vault.mailboxes():
        if found.id == mailbox:
            return found
    raise NotHere("mailbox", mailbox)


async def _submitted(vault: MessageClientVault, draft: DraftRecord) -> Submitted:
    """Return the result of sending a draft earlier; its undo window may be over."""
    messages = await vault.messages_of_draft(draft.id)
    mail = await vault.mail(messages[:1])
    return Submitted(draft.id, messages, mail[0].conversation if mail else "", draft.until or draft.saved_at)


def _documents(typed: DraftContent, files: Sequence[FileRecord]) -> bytes:
    texts = (typed.text,) if typed.text.strip() else ()
    document = content.DocumentText(drafts.DOCUMENT_NAME, texts, ())
    return content.document_content_bytes([content.document_content(document, [one.id for one in files])])


def _sender(organisation: str, mailbox: MailboxRecord, typed: DraftContent) -> Party:
    return Party(
        organisation,
        mailbox.address,
        address_name=mailbox.name,
        persons=typed.persons,
        references=typed.references,
    )


def _receiver(recipient: Recipient, typed: DraftContent) -> Party:
    return Party(
        recipient.organisation,
        recipient.address,
        recipient.organisation_name,
        recipient.address_name,
        typed.recipient_persons,
        typed.recipient_references,
    )


def _from(mail: MailRecord) -> tuple[str, str]:
    """Return the key of the address that a message came from."""
    sender = content.party(mail.content["sender"])
    return content.address_key(Recipient(sender.organisation, sender.address))
