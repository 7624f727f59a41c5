"""Reading: mailboxes, lists, conversations, files, and their readers. Access to content is logged first."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from samdrift.audit.events import AuditEvent
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Purpose
from samdrift.messageclient import content
from samdrift.messageclient.desk import NotHere, ReasonAsked
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import (
    Act,
    Conversation,
    Delivery,
    Document,
    DraftMark,
    File,
    FileContent,
    Folder,
    Hold,
    Identifier,
    Line,
    Lines,
    Mailbox,
    Message,
    Note,
    Party,
    Reading,
    Reason,
    Registration,
    Stage,
)
from samdrift.messageclient.notices.manning import Manning, Overdue
from samdrift.messageclient.presets import views_of
from samdrift.messageclient.scope import OF_MAILBOX, People, Scope, is_id
from samdrift.rights import Right
from samdrift.vault.bodies import BodyReader
from samdrift.vault.mail import ConversationFilter
from samdrift.vault.mailrecords import (
    ConversationRecord,
    DraftRecord,
    FileRecord,
    MailRecord,
    RegistrationRecord,
)
from samdrift.vault.messageclient import MessageClientVault

_MAX_LINES = 200
_MAX_SHOWN, _MAX_BYTES = 200, 4 << 20
"""Maximum numbers of messages and of bytes on a page of a conversation, since other requests wait for it."""
_REASON_LASTS, _NEVER = timedelta(hours=1), datetime.min.replace(tzinfo=UTC)
_WATCHED = (Folder.UNREAD, Folder.UNHANDLED, Folder.OPEN)
"""Views that report messages left unread for too long."""
_MAX_UNREADABLE = 200
"""Maximum number of messages examined to find out why conversations in a list cannot be read."""
_RAW = File("raw", "meddelande.json", "application/json", 0)

_READ_AS = {
    Act.READ: MKEvent.MK_READING_CONVERSATION,
    Act.PRINTED: MKEvent.MK_READING_PRINTED,
}


class ReadingDesk:
    """The part of a desk for reading; methods as in :class:`~samdrift.messageclient.desk.Desk`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def mailboxes(self) -> tuple[Mailbox, ...]:
        """Return the mailboxes, not logged as reading; see :class:`~samdrift.messageclient.desk.Desk`."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            found = await scope.mailboxes(vault, *OF_MAILBOX)
            ids = [one.id for one in found]
            counts = await vault.mailbox_counts(ids, scope.person.id, scope.substitutes_for(ids))
            await views_of(scope, vault)
        counted = {one.mailbox: one for one in counts}
        shown = [
            Mailbox(
                id=one.id,
                name=one.name,
                address=one.address,
                rights=frozenset(right for right in Right if scope.may(right, one.id)),
                counts={folder: getattr(counted[one.id], folder.value) for folder in Folder},
                drafts=counted[one.id].drafts,
                outbox=counted[one.id].outbox,
                needs_approval=one.needs_approval,
                undo_seconds=one.undo_seconds,
                retired=one.retired,
            )
            for one in found
        ]
        return tuple(sorted(shown, key=lambda one: (one.name.casefold(), one.id)))

    async def lines(
        self, folder: Folder, mailbox: str | None = None, *, after: str = "", limit: int = 50
    ) -> Lines:
        """Return conversations, latest first; see :class:`~samdrift.messageclient.desk.Desk`."""
        scope, limit = self._scope, max(1, min(limit, _MAX_LINES))
        async with scope.open(Purpose.READ) as vault:
            if mailbox is None:
                chosen = [one.id for one in await scope.mailboxes(vault, Right.READ)]
            else:
                chosen = [(await scope.mailbox(vault, mailbox, Right.READ)).id]
            found = await vault.conversations(
                chosen, _filter(scope, folder, chosen), limit=limit + 1, before=place_of(after)
            )
            shown, more = found[:limit], len(found) > limit
            lines = await lines_of(scope, vault, shown)
            overdue = await _overdue(vault, mailbox, scope.now()) if mailbox and folder in _WATCHED else None
            vault.record(
                MKEvent.MK_READING_LIST,
                folder=folder.value,
                mailbox=mailbox or "",
                lines=str(len(lines)),
            )
        last = (shown[-1].sent_at if folder is Folder.SENT else shown[-1].latest_at) if more else None
        return Lines(lines, next_place(last, shown[-1].id) if last else "", overdue)

    async def conversation(self, conversation: str, before: str = "") -> Conversation:
        """Open a conversation for reading; see :class:`~samdrift.messageclient.desk.Desk`."""
        return await self._conversation(conversation, before, Act.READ)

    async def printed(self, conversation: str, before: str = "") -> Conversation:
        """Open a conversation for printing; see :class:`~samdrift.messageclient.desk.Desk`."""
        return await self._conversation(conversation, before, Act.PRINTED)

    async def way(self, message: str) -> Message:
        """Return a message for its delivery progress; see :class:`~samdrift.messageclient.desk.Desk`."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            mail, case = await scope.message(vault, message, Right.READ)
            await require_reason(scope, vault, case)
            (shown,) = await messages_of(scope, vault, [mail], await scope.people(vault), None)
            _recorded(vault, MKEvent.MK_READING_WAY, mail, case)
        return shown

    async def file(self, message: str, file: str) -> FileContent:
        """Open a file of a message; see :class:`~samdrift.messageclient.desk.Desk`."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            mail, case = await scope.message(vault, message, Right.READ)
            await require_reason(scope, vault, case)
            owner = mail.draft or mail.id
            found = next((one for one in await vault.files_of([owner]) if one.id == file), None)
            if found is None:
                raise NotHere("file", file)
            body = await vault.file_body(file, owner)
            await vault.note_reading([mail.id], scope.person.id, Act.FILE.value, now=scope.now())
            _recorded(vault, MKEvent.MK_READING_FILE, mail, case, file=file)
        return FileContent(content.file_of(found), body)

    async def raw(self, message: str) -> FileContent:
        """Open the raw data of a message; see :class:`~samdrift.messageclient.desk.Desk`."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            mail, case = await scope.message(vault, message, Right.READ)
            await require_reason(scope, vault, case)
            if mail.stage != Stage.UNREADABLE or content.is_left_at_service(mail):
                raise NotHere("raw", message)
            body = await vault.mail_body(mail.id)
            await vault.note_reading([mail.id], scope.person.id, Act.RAW.value, now=scope.now())
            _recorded(vault, MKEvent.MK_READING_RAW, mail, case)
        return FileContent(File(_RAW.id, _RAW.name, _RAW.media_type, body.size), body)

    async def readers(self, message: str) -> tuple[Message, tuple[Reading, ...]]:
        """Return the people who have seen a message; see :class:`~samdrift.messageclient.desk.Desk`."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            mail, case = await scope.message(vault, message, Right.READ)
            await require_reason(scope, vault, case)
            people = await scope.people(vault)
            (shown,) = await messages_of(scope, vault, [mail], people, None)
            found = await vault.readings([mail.id])
            _recorded(vault, MKEvent.MK_READING_READERS, mail, case)
        readings = (Reading(people[one.person], Act(one.act), one.first_at, one.last_at) for one in found)
        return shown, tuple(readings)

    async def say_why(self, conversation: str, reason: Reason) -> None:
        """Record why a conversation is opened; see :class:`~samdrift.messageclient.desk.Desk`."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            found = await scope.conversation(vault, conversation, Right.READ)
            mail = await vault.mail_of(found.id)
            ids = [one.id for one in mail]
            await vault.note_reading(ids, scope.person.id, Act.WHY.value, now=scope.now())
            names = {one.content["conversation_id"] for one in mail}
            vault.record(
                MKEvent.MK_READING_REASON,
                conversation=min(names, default=""),
                mailbox=found.mailbox,
                reason=reason.value,
            )

    async def _conversation(self, conversation: str, before: str, act: Act) -> Conversation:
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            found = await scope.conversation(vault, conversation, Right.READ)
            await require_reason(scope, vault, found)
            mail = await vault.mail_of(found.id)
            people = await scope.people(vault)
            part = await _part(vault, mail, before)
            shown = await conversation_of(scope, vault, found, mail, people, act, part)
            names = {one.content["conversation_id"] for one in mail}
            vault.record(
                _READ_AS[act],
                conversation=min(names, default=""),
                case=found.id,
                mailbox=found.mailbox,
                messages=str(len(part)),
            )
        return shown


async def _part(vault: MessageClientVault, mail: Sequence[MailRecord], before: str) -> range:
    """Return the positions of the messages on a page: the last ones, or those before ``before``."""
    end = next((place for place, one in enumerate(mail) if one.id == before), 0) or len(mail)
    return range(end - await fitting(vault, mail[:end][::-1]), end)


async def fitting(vault: MessageClientVault, mail: Sequence[MailRecord]) -> int:
    """Return how many of the messages fit on a page, in the given order; at least one if there are any."""
    first = mail[:_MAX_SHOWN]
    bodies = await vault.mail_bodies([one.id for one in first if one.stage != Stage.UNREADABLE])
    sizes = (bodies[one.id].size if one.id in bodies else 0 for one in first)
    fit = sum(size <= _MAX_BYTES for size in accumulate(sizes))
    return max(fit, 1) if first else 0


async def conversation_of(
    scope: Scope,
    vault: MessageClientVault,
    found: ConversationRecord,
    mail: Sequence[MailRecord],
    people: People,
    act: Act | None,
    part: range | None = None,
) -> Conversation:
    """Return a conversation with some of its messages, for an ``act`` as in :func:`messages_of`.

    ``part`` is the range of their positions in ``mail``, by default all; notes are limited to that time.
    """
    part = range(len(mail)) if part is None else part
    shown, after = mail[part.start : part.stop], mail[part.stop : part.stop + 1]
    messages = in_thread(await messages_of(scope, vault, shown, people, act))
    notes = [
        one
        for one in await vault.notes(found.id)
        if (not part.start or one.at >= shown[0].at) and (not after or one.at < after[0].at)
    ]
    drafts = await vault.drafts_in([found.id])
    registrations = await vault.registrations([found.id])
    held = (await vault.holds([found.id])).get(found.id)
    writers = scope.permissions.holders(Right.WRITE, found.mailbox)
    return Conversation(
        id=found.id,
        version=found.version,
        mailbox=found.mailbox,
        subject=_subject(mail),
        counterpart=_counterpart(scope, mail),
        confidential=found.confidential,
        references=_references(mail),
        handler=people.get(found.handler),
        handler_away=found.handler is not None and found.handler not in writers,
        done=found.done,
        messages=messages,
        notes=tuple(Note(one.id, people[one.author], one.at, one.content["text"]) for one in notes),
        drafts=tuple(draft_mark(one, people) for one in drafts),
        registered=registered(registrations.get(found.id), people),
        held=Hold(held.content["reason"], people[held.person], held.at) if held else None,
        substitutes=people.sorted(scope.substitutes(found.mailbox).get(found.handler or "", ())),
        earlier=shown[0].id if part.start else "",
        later=len(mail) - part.stop,
        others=len(mail) - len(shown),
    )


def in_thread(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return messages by time, but always after the one that they refer to, whatever their order of arrival.

    A message that refers to one that is not here, or is in a circle of references, is placed by its time.

    Clauses: content-specification 4.3.2 sentence 7, sentence 8.
    """
    here, placed = {one.id: one for one in messages}, dict[str, Message]()
    circling = set[str]()  # Messages that lead into a circle, so that no path is followed twice.
    for one in messages:
        chain, each = dict[str, Message](), here.get(one.id)
        while each is not None and not (each.id in placed or each.id in chain or each.id in circling):
            chain[each.id] = each
            each = here.get(each.refers_to or "")
        if each is not None and each.id not in placed:
            circling |= chain.keys()
            chain = {one.id: one}
        placed |= reversed(chain.items())
    return tuple(placed.values())


def _recorded(
    vault: MessageClientVault, event: AuditEvent, mail: MailRecord, case: ConversationRecord, **facts: str
) -> None:
    """Record that a message was seen, with its conversation and mailbox."""
    named = {"message": mail.content["message_id"], "case": case.id, "mailbox": case.mailbox}
    vault.record(event, **named, **facts)


async def require_reason(scope: Scope, vault: MessageClientVault, found: ConversationRecord) -> None:
    """Raise :class:`ReasonAsked` if the mailbox requires a reason and none was given within the hour."""
    if not found.confidential or scope.may(Right.WRITE, found.mailbox):
        return
    if not any(one.asks_why for one in await vault.mailboxes() if one.id == found.mailbox):
        return
    readings = await vault.readings([one.id for one in await vault.mail_of(found.id)])
    said = (one.last_at for one in readings if one.person == scope.person.id and one.act == Act.WHY)
    if max(said, default=_NEVER) < scope.now() - _REASON_LASTS:
        raise ReasonAsked(found.id)


async def _overdue(vault: MessageClientVault, mailbox: str, now: datetime) -> Overdue | None:
    """Return the messages left unread in a mailbox for longer than allowed, if there are any."""
    kept = (await vault.manning(mailbox)).get(mailbox)
    hours = Manning() if kept is None else Manning.read(kept)
    since = hours.overdue_before(now)
    found = None if since is None else await vault.unopened_in(mailbox, since)
    return None if found is None else Overdue(found[0], hours.escalate_after, found[1])


async def lines_of(
    scope: Scope, vault: MessageClientVault, conversations: Sequence[ConversationRecord]
) -> tuple[Line, ...]:
    """Return conversations as entries of a list."""
    ids = [one.id for one in conversations]
    latest: defaultdict[str, list[MailRecord]] = defaultdict(list)
    for mail in await vault.latest_mail(ids):
        latest[mail.conversation].append(mail)
    new = await vault.new_to(scope.person.id, ids)
    drafts: defaultdict[str, list[DraftRecord]] = defaultdict(list)
    for draft in await vault.drafts_in(ids):
        drafts[draft.conversation or ""].append(draft)
    registrations = await vault.registrations(ids)
    people = await scope.people(vault)
    unreadable = [one.id for one in conversations if one.unreadable]
    hidden = await vault.mail_at_stage(unreadable, Stage.UNREADABLE, _MAX_UNREADABLE) if unreadable else ()
    too_large = {each.conversation for each in hidden if content.is_left_at_service(each)}
    broken = {each.conversation for each in hidden if not content.is_left_at_service(each)}
    lines = []
    for one in conversations:
        mail_of = sorted(latest[one.id], key=lambda each: (each.at, each.id))
        sent = [each for each in mail_of if each.direction is Direction.OUT]
        lines.append(
            Line(
                id=one.id,
                version=one.version,
                mailbox=one.mailbox,
                subject=_subject(mail_of[-1:]),
                counterpart=_counterpart(scope, mail_of[-1:]),
                at=one.latest_at,
                confidential=one.confidential,
                references=_references(mail_of[-1:]),
                messages=one.messages,
                files=one.files,
                unread=one.unread > 0,
                new_to_me=one.id in new,
                handler=people.get(one.handler),
                substitutes=people.sorted(scope.substitutes(one.mailbox).get(one.handler or "", ())),
                done=one.done,
                drafts=tuple(draft_mark(each, people) for each in drafts[one.id]),
                delivery=delivery_of(sent[-1]) if sent else None,
                unreadable=one.id in broken,
                too_large=one.id in too_large,
                registered=registered(registrations.get(one.id), people),
            )
        )
    return tuple(lines)


def registered(record: RegistrationRecord | None, people: People) -> Registration | None:
    """Return the number of a conversation in the organisation's own records, if it has one."""
    if record is None:
        return None
    return Registration(record.content["number"], people[record.person], record.at)


async def messages_of(
    scope: Scope, vault: MessageClientVault, mail: Sequence[MailRecord], people: People, act: Act | None
) -> tuple[Message, ...]:
    """Return messages with their full content; they count as seen by the person from now on.

    Without an ``act`` they have no documents, as in a list, and do not count as seen.
    """
    ids = [one.id for one in mail]
    unread = await vault.note_reading(ids, scope.person.id, act.value, now=scope.now()) if act else ()
    refers = await vault.referred(ids)
    readers: defaultdict[str, set[str]] = defaultdict(set)
    for reading in await vault.readings(ids):
        if reading.act == Act.READ:
            readers[reading.message].add(reading.person)
    documents = await documents_of(vault, mail) if act else {}
    return tuple(
        Message(
            id=one.id,
            message_id=one.content["message_id"],
            conversation=one.conversation,
            conversation_id=one.content["conversation_id"],
            direction=one.direction,
            sender=scope.named(content.party(one.content["sender"])),
            recipient=scope.named(content.party(one.content["recipient"])),
            subject=one.content["subject"],
            confidential=one.confidential,
            at=one.at,
            dated_at=one.dated_at,
            documents=documents.get(one.id, ()),
            stage=Stage(one.stage),
            delivery=delivery_of(one) if one.direction is Direction.OUT else None,
            refers_to=refers.get(one.id),
            author=people.get(one.author),
            read_by=len(readers[one.id]),
            was_unread=one.id in unread,
            draft=one.draft,
            too_large=content.is_left_at_service(one),
        )
        for one in mail
    )


async def documents_of(
    vault: MessageClientVault, mail: Sequence[MailRecord]
) -> dict[str, tuple[Document, ...]]:
    """Return the documents of messages, by message; none of a message that cannot be shown."""
    files: defaultdict[str, list[FileRecord]] = defaultdict(list)
    for file in await vault.files_of([one.draft or one.id for one in mail]):
        files[file.owner].append(file)
    bodies = await vault.mail_bodies([one.id for one in mail if one.stage != Stage.UNREADABLE])
    return {one.id: await _documents(bodies.get(one.id), files[one.draft or one.id]) for one in mail}


def delivery_of(mail: MailRecord) -> Delivery:
    """Return the delivery of a sent message."""
    steps = mail.delivery
    return Delivery(
        stage=Stage(mail.stage),
        status=content.status_of(mail.status or ""),
        since=mail.since,
        until=mail.due_at if mail.stage == Stage.WINDOW else mail.deadline,
        reason=steps.get("reason", ""),
        events=content.delivery_events(steps),
    )


def draft_mark(draft: DraftRecord, people: People) -> DraftMark:
    """Return a draft in the form that its conversation shows."""
    return DraftMark(draft.id, people[draft.writer], draft.saved_at)


async def _documents(body: BodyReader | None, files: Sequence[FileRecord]) -> tuple[Document, ...]:
    if body is None:  # It cannot be shown, or was removed during an export of the vault.
        return ()
    stored: Mapping[str, Any] = json.loads(await body.read_all())
    known = {one.id: content.file_of(one) for one in files}
    return tuple(
        Document(
            name=one["name"],
            texts=tuple(one["html"]),
            plain=tuple(one["texts"]),
            files=tuple(known[file] for file in one["files"] if file in known),
        )
        for one in stored["documents"]
    )


def _filter(scope: Scope, folder: Folder, mailboxes: Sequence[str]) -> ConversationFilter:
    match folder:
        case Folder.UNREAD:
            return ConversationFilter(unread=True)
        case Folder.MINE:
            absent = scope.substitutes_for(mailboxes)
            return ConversationFilter(handler=scope.person.id, done=False, absent=absent)
        case Folder.UNHANDLED:
            return ConversationFilter(unhandled=True, done=False)
        case Folder.OPEN:
            return ConversationFilter(done=False)
        case Folder.DONE:
            return ConversationFilter(done=True)
        case Folder.SENT:
            return ConversationFilter(sent=True)


def next_place(at: datetime, conversation: str) -> str:
    """Return the position in a list after a conversation."""
    return f"{at.isoformat()}_{conversation}"


def place_of(after: str) -> tuple[datetime, str] | None:
    """Return the position that ``next`` contained; ``None``, the beginning, for any other text."""
    moment, underscore, last = after.partition("_")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (at, last) if underscore and at.tzinfo is not None and is_id(last) else None


def _subject(mail: Sequence[MailRecord]) -> str:
    return str(mail[-1].content["subject"]) if mail else ""


def _counterpart(scope: Scope, mail: Sequence[MailRecord]) -> Party:
    """Return the other side of the latest message."""
    if not mail:
        return Party("", "")
    side = "sender" if mail[-1].direction is Direction.IN else "recipient"
    return scope.named(content.party(mail[-1].content[side]))


def _references(mail: Sequence[MailRecord]) -> tuple[Identifier, ...]:
    found = (
        identifier
        for one in reversed(mail)
        for side in ("recipient", "sender")
        for identifier in content.identifiers(one.content[side]["references"])
    )
    return tuple(dict.fromkeys(found))
