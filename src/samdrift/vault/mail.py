"""Messages in an organisation's message client: mailboxes, conversations, notes, and records of reading.

Rights to mailboxes are not checked here but by the desk of a person (``messageclient``). Ids and addresses
that other parties choose are looked up by a keyed mark.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from samdrift.contracts.messages import Direction
from samdrift.vault.bodies import Body, BodyReader, body_values
from samdrift.vault.database.session import Row, Value, call
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.mailbonds import (
    conversation_bond,
    file_bond,
    mail_bond,
    mailbox_place,
    note_place,
    require_bond,
)
from samdrift.vault.mailrecords import (
    Content,
    ConversationRecord,
    FileRecord,
    HeadRecord,
    MailboxCounts,
    MailboxRecord,
    MailRecord,
    NewMail,
    NoteRecord,
    ReadingRecord,
    opened,
    sealed,
)
from samdrift.vault.people import StatementKeeping
from samdrift.vault.sealing import Sealer

_KEEP_MAILBOX = call("keep_mailbox", 5)
_MAILBOXES = "SELECT id, needs_approval, undo_seconds, sealed FROM mailboxes"
_MAILBOX_USED = "SELECT EXISTS (SELECT FROM conversations WHERE mailbox = $1 OR home = $1)"
_COUNTS = """
SELECT m.id, c.*, d.*, o.* FROM unnest($1::text[]) AS m (id)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE unread > 0),
           count(*) FILTER (WHERE NOT done AND (
               handler = $2
               OR handler IN (SELECT a.of FROM unnest($3::text[], $4::text[]) a (at, of) WHERE a.at = m.id)
           )),
           count(*) FILTER (WHERE handler IS NULL AND NOT done), count(*) FILTER (WHERE NOT done),
           count(*) FILTER (WHERE done), count(*) FILTER (WHERE sent_at IS NOT NULL)
    FROM conversations WHERE mailbox = m.id AND messages > 0
) AS c
CROSS JOIN LATERAL (SELECT count(*) FROM drafts WHERE mailbox = m.id AND stage NOT IN ('window', 'sent')) AS d
CROSS JOIN LATERAL (
    SELECT count(*) FROM messages o JOIN conversations p ON p.id = o.conversation
    WHERE p.mailbox = m.id AND o.due_at IS NOT NULL AND o.stage IN ('window', 'outbox')
) AS o
"""
_CONVERSATIONS = """
SELECT id, home, mailbox, version, handler, done, confidential, latest_at, sent_at, messages, files, unread,
       unreadable, bound FROM conversations
"""
_THEIRS = "(handler = ${} OR (mailbox, handler) IN (SELECT * FROM unnest(${}::text[], ${}::text[])))"
_MESSAGES = """
SELECT id, conversation, direction, stage, status, draft, author, at, dated_at, since, confidential, due_at,
       deadline, attempts, opened_at, files, sealed, delivery, body, bound FROM messages
"""
_LATEST = f"""
SELECT m.* FROM unnest($1::text[]) AS c (id) CROSS JOIN LATERAL (
    ({_MESSAGES} WHERE conversation = c.id ORDER BY at DESC, id DESC LIMIT 1)
) AS m
UNION
SELECT m.* FROM unnest($1::text[]) AS c (id) CROSS JOIN LATERAL (
    ({_MESSAGES} WHERE conversation = c.id AND direction = 'out' ORDER BY at DESC, id DESC LIMIT 1)
) AS m
"""  # noqa: S608
"""The inner queries name the columns, and ``m.*`` keeps their order."""
_HEADS = """
SELECT id, conversation, stage, at, sealed, draft, body, bound FROM messages
WHERE (at, id) < ($2, $3) AND conversation IN (SELECT id FROM conversations WHERE mailbox = ANY($1::text[]))
ORDER BY at DESC, id DESC LIMIT $4
"""
_STORE_MAIL = call("store_mail", 5)
_STORE_BODY = call("store_body", 4)
_STORE_FILE = call("store_file", 7)
_KNOWN = """
SELECT false, mark FROM messages WHERE mark = ANY($1::bytea[]) AND direction = $3
UNION ALL SELECT true, remote FROM messages WHERE remote = ANY($2::bytea[]) AND direction = $3
UNION ALL SELECT false, mark FROM disposed WHERE mark = ANY($1::bytea[]) AND direction = $3
UNION ALL SELECT true, remote FROM disposed WHERE remote = ANY($2::bytea[]) AND direction = $3
"""
_BODY = """
SELECT m.id, m.conversation, m.draft, m.bound, b.id, b.size, b.sealed
FROM messages m JOIN bodies b ON b.id = m.body
WHERE m.id = $1
"""
_BODIES = """
SELECT m.id, m.conversation, m.draft, m.bound, b.id, b.size, b.sealed
FROM messages m JOIN bodies b ON b.id = m.body
WHERE m.id = ANY($1::text[])
"""
_COUNT = """
SELECT count(*) FROM messages m JOIN conversations c ON c.id = m.conversation
WHERE c.mailbox = ANY($1::text[])
"""
_FILES = """
SELECT id, owner, place, size, body, sealed, bound FROM files WHERE owner = ANY($1::text[])
ORDER BY owner, place, id
"""
_FILE_BODY = """
SELECT f.id, f.owner, f.bound, b.id, b.size, b.sealed FROM files f JOIN bodies b ON b.id = f.body
WHERE f.id = $1 AND f.owner = $2
"""
_REFERRED = """
WITH m AS MATERIALIZED (
    SELECT id, refers, conversation FROM messages WHERE id = ANY($1::text[]) AND refers IS NOT NULL
)
SELECT m.id, r.id FROM m JOIN conversations c ON c.id = m.conversation
CROSS JOIN LATERAL (SELECT id, conversation, direction FROM messages WHERE mark = m.refers OFFSET 0) AS r
JOIN conversations d ON d.id = r.conversation
WHERE c.mailbox = d.mailbox ORDER BY r.direction
"""
"""Query that uses the index once for each message, whatever number of rows the planner expects."""
_BIND = call("bind_mail", 4)
_CHANGE = call("change_conversation", 6)
_ADD_NOTE = call("add_note", 5)
_NOTES = "SELECT id, conversation, author, at, sealed FROM notes WHERE conversation = $1 ORDER BY at, id"
_NOTES_OF = "SELECT count(*) FROM notes WHERE conversation = $1 AND author = $2"
_NOTE_READING = "SELECT * FROM note_reading($1, $2, $3, $4)"
_READINGS = """
SELECT message, person, act, first_at, last_at FROM readings WHERE message = ANY($1::text[])
ORDER BY last_at DESC, person, act
"""
_LAST_READINGS = """
SELECT r.person, max(r.last_at) FROM readings r JOIN messages m ON m.id = r.message
JOIN conversations c ON c.id = m.conversation WHERE c.mailbox = $1 GROUP BY r.person
"""
_NEW_TO = """
SELECT DISTINCT m.conversation FROM messages m WHERE m.conversation = ANY($1::text[]) AND m.direction = 'in'
AND NOT EXISTS (SELECT FROM readings r WHERE r.message = m.id AND r.person = $2 AND r.act = 'read')
"""
_KEEP_SETTING, _KEEP_FIRST_SETTING = call("keep_setting", 2), call("keep_first_setting", 2)
_SETTING = "SELECT sealed FROM settings WHERE name = $1"


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """A selection of conversations; a field that is empty does not restrict it."""

    unread: bool = False
    handler: str | None = None
    absent: tuple[tuple[str, str], ...] = ()
    """Pairs of a mailbox and an absent handler there, for whom ``handler`` stands in.

    Their conversations are selected too.
    """
    unhandled: bool = False
    done: bool | None = None
    sent: bool = False
    """True for conversations from which a message was sent, ordered by the latest of these."""
    confidential: bool | None = None
    files: bool | None = None
    """True for conversations with files, false for those without."""
    quiet_since: datetime | None = None
    """Moment since which no message has come or gone in them."""


def _columns(pairs: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [one for one, _ in pairs], [other for _, other in pairs]


class Mail(StatementKeeping):
    """The part of a message client's vault for mailboxes, conversations and messages."""

    # --- mailboxes ----------------------------------------------------------------------------------------

    async def keep_mailbox(self, mailbox: MailboxRecord) -> bool:
        """Store or change a mailbox; return false, changing nothing, if another mailbox has its address."""
        content = {
            "address": mailbox.address,
            "name": mailbox.name,
            "asks_why": mailbox.asks_why,
            "retired": mailbox.retired,
        }
        ((kept,),) = await self._work.query(
            _KEEP_MAILBOX,
            mailbox.id,
            self._sealer.mark(mailbox.address),
            mailbox.needs_approval,
            mailbox.undo_seconds,
            sealed(
                content, mailbox_place(mailbox.id, mailbox.needs_approval, mailbox.undo_seconds), self._sealer
            ),
        )
        return bool(kept)

    async def mailboxes(self) -> tuple[MailboxRecord, ...]:
        """Return all mailboxes of the organisation."""
        return tuple(_mailbox(row, self._sealer) for row in await self._work.query(_MAILBOXES))

    async def mailbox_used(self, mailbox: str) -> bool:
        """Return whether any conversation is in a mailbox or began at its address."""
        return bool((await self._work.query(_MAILBOX_USED, mailbox))[0][0])

    async def mailbox_counts(
        self, mailboxes: Sequence[str], person: str, absent: Sequence[tuple[str, str]] = ()
    ) -> tuple[MailboxCounts, ...]:
        """Count the contents of the given mailboxes; ``absent`` is as in :class:`ConversationFilter`."""
        rows = await self._work.query(_COUNTS, list(mailboxes), person, *_columns(absent))
        return tuple(MailboxCounts(*row) for row in rows)

    # --- conversations ------------------------------------------------------------------------------------

    async def conversations(
        self,
        mailboxes: Collection[str],
        chosen: ConversationFilter,
        *,
        limit: int,
        before: tuple[datetime, str] | None = None,
    ) -> tuple[ConversationRecord, ...]:
        """Return conversations in the given mailboxes, the latest first.

        ``before`` is the place of the last conversation on the previous page.
        """
        order = "sent_at" if chosen.sent else "latest_at"
        values: list[Value] = [list(mailboxes)]
        conditions = ["mailbox = ANY($1::text[])", "messages > 0"]
        for condition, value in (
            ("unread > 0", True if chosen.unread else None),
            ("handler = {}", None if chosen.absent else chosen.handler),
            ("handler IS NULL", True if chosen.unhandled else None),
            ("done = {}", chosen.done),
            ("sent_at IS NOT NULL", True if chosen.sent else None),
            ("confidential = {}", chosen.confidential),
            ("(files > 0) = {}", chosen.files),
            ("latest_at < {}", chosen.quiet_since),
        ):
            if value is not None:
                if "{}" in condition:
                    values.append(value)
                conditions.append(condition.format(f"${len(values)}"))
        if chosen.absent:
            number = len(values)
            values += [chosen.handler, *_columns(chosen.absent)]
            conditions.append(_THEIRS.format(number + 1, number + 2, number + 3))
        if before is not None:
            values += before
            conditions.append(f"({order}, id) < (${len(values) - 1}::timestamptz, ${len(values)}::text)")
        values.append(limit)
        query = f"{_CONVERSATIONS} WHERE {' AND '.join(conditions)}"
        rows = await self._work.query(
            f"{query} ORDER BY {order} DESC, id DESC LIMIT ${len(values)}::int", *values
        )
        return tuple(_conversation(row, self._sealer) for row in rows)

    async def conversations_by_id(self, conversations: Sequence[str]) -> tuple[ConversationRecord, ...]:
        """Return those of the given conversations that exist."""
        rows = await self._work.query(f"{_CONVERSATIONS} WHERE id = ANY($1::text[])", list(conversations))
        return tuple(_conversation(row, self._sealer) for row in rows)

    async def conversation_with(self, home: str, thread: str) -> ConversationRecord | None:
        """Return the conversation at ``home`` in which messages of a thread are stored, if there is one."""
        query = f"{_CONVERSATIONS} WHERE home = $1 AND mark = $2"
        rows = await self._work.query(query, home, self._sealer.mark(thread))
        return _conversation(rows[0], self._sealer) if rows else None

    async def change_conversation(
        self, conversation: ConversationRecord, *, handler: str | None, done: bool, mailbox: str
    ) -> int:
        """Change a conversation's handler, state and mailbox; return its new version.

        A negative number means that the conversation has another version, and nothing was changed.
        """
        bound = self._sealer.mark(conversation_bond(conversation.id, conversation.home, mailbox))
        values = (conversation.id, conversation.version, handler, done, mailbox, bound)
        ((version,),) = await self._work.query(_CHANGE, *values)
        if version is None:
            raise UnknownRecord
        self._work.after_commit(self._room.tell)
        return int(version)

    async def new_to(self, person: str, conversations: Sequence[str]) -> frozenset[str]:
        """Return the conversations with messages that the person has not opened."""
        rows = await self._work.query(_NEW_TO, list(conversations), person)
        return frozenset(conversation for (conversation,) in rows)

    async def add_note(self, note: NoteRecord) -> bool:
        """Store a note; return false if its conversation does not exist."""
        place = note_place(note.id, note.conversation, note.author)
        value = sealed(note.content, place, self._sealer)
        values = (note.id, note.conversation, note.author, note.at, value)
        ((added,),) = await self._work.query(_ADD_NOTE, *values)
        self._work.after_commit(self._room.tell)
        return bool(added)

    async def notes(self, conversation: str) -> tuple[NoteRecord, ...]:
        """Return the notes of a conversation, the oldest first."""
        rows = await self._work.query(_NOTES, conversation)
        return tuple(
            NoteRecord(*(*row, opened(value, note_place(*row[:3]), self._sealer))) for *row, value in rows
        )

    async def notes_of(self, author: str, conversation: str) -> int:
        """Return the number of notes that an author has written in a conversation."""
        ((number,),) = await self._work.query(_NOTES_OF, conversation, author)
        return int(number)

    # --- messages -----------------------------------------------------------------------------------------

    async def store_mail(
        self, mail: NewMail, home: str, files: Iterable[FileRecord], bodies: Iterable[Body]
    ) -> str | None:
        """Store a message with its bodies and files; return its conversation, which is one at ``home``.

        Returns ``None``, changing nothing, if a message of that direction with that id is already stored.
        """
        new = mail.record.conversation
        ((conversation,),) = await self._work.query(
            _STORE_MAIL,
            _row_of(mail, self._sealer),
            home,
            self._sealer.mark(mail.thread),
            new,
            sealed({"conversation_id": mail.thread}, f"conversation {new}", self._sealer),
        )
        if conversation is None:
            return None
        mark, one = self._sealer.mark, mail.record.id
        bound = mark(mail_bond(one, conversation, mail.record.draft, mail.body.id))
        self._work.later(_BIND, one, bound, conversation, mark(conversation_bond(conversation, home, home)))
        self._store_body(mail.body)
        for body in bodies:
            self._store_body(body)
        for file in files:
            self._store_file(file)
        self._work.after_commit(self._room.tell)
        return str(conversation)

    async def known_mail(
        self, ids: Collection[str], remote_ids: Collection[str], direction: Direction
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Return which of the given federation and message service ids are of messages known here.

        These are messages that are or were here. The two kinds of id are never compared with each other: a
        sender chooses the federation id, and might guess an id of the message service. This query alone
        leaves no log entry.
        """
        marks = {self._sealer.mark(each): each for each in ids}
        remote = {self._sealer.mark(each): each for each in remote_ids}
        rows = await self._work.peek(_KNOWN, list(marks), list(remote), direction.value)
        return (
            frozenset(marks[bytes(mark)] for is_remote, mark in rows if not is_remote),
            frozenset(remote[bytes(mark)] for is_remote, mark in rows if is_remote),
        )

    async def mail(self, messages: Sequence[str]) -> tuple[MailRecord, ...]:
        """Return those of the given messages that exist."""
        return await self._mail(f"{_MESSAGES} WHERE id = ANY($1::text[])", list(messages))

    async def mail_of(self, conversation: str) -> tuple[MailRecord, ...]:
        """Return the messages of a conversation, the oldest first."""
        return await self._mail(f"{_MESSAGES} WHERE conversation = $1 ORDER BY at, id", conversation)

    async def latest_mail(self, conversations: Sequence[str]) -> tuple[MailRecord, ...]:
        """Return the latest message and the latest sent message of each conversation."""
        return await self._mail(_LATEST, list(conversations))

    async def mail_at_stage(
        self, conversations: Sequence[str], stage: str, limit: int
    ) -> tuple[MailRecord, ...]:
        """Return messages of the given conversations that are at a stage, the latest first."""
        where = "WHERE stage = $2 AND conversation = ANY($1::text[]) ORDER BY at DESC, id DESC LIMIT $3"
        return await self._mail(f"{_MESSAGES} {where}", list(conversations), stage, limit)

    async def mail_before(
        self, mailboxes: Collection[str], before: tuple[datetime, str], limit: int
    ) -> tuple[HeadRecord, ...]:
        """Return messages in the given mailboxes before a place, the latest first, to search in them."""
        rows = await self._work.query(_HEADS, list(mailboxes), *before, limit)
        return tuple(_head(row, self._sealer) for row in rows)

    async def referred(self, messages: Sequence[str]) -> dict[str, str]:
        """Return, for each message, the one that it refers to, if that is in the same mailbox."""
        rows: list[Row] = await self._work.query(_REFERRED, list(messages))
        return {str(message): str(other) for message, other in rows}

    async def mail_body(self, message: str) -> BodyReader:
        """Return the documents of a message; :class:`UnknownRecord` if there is no such message."""
        rows = await self._work.query(_BODY, message)
        if not rows:
            raise UnknownRecord
        return self._bound_body(rows[0], mail_bond)

    async def mail_bodies(self, messages: Sequence[str]) -> dict[str, BodyReader]:
        """Return the documents of those of the given messages that exist, by message."""
        rows = await self._work.query(_BODIES, list(messages))
        return {row[0]: self._bound_body(row, mail_bond) for row in rows}

    async def count_mail(self, mailboxes: Collection[str]) -> int:
        """Count the messages in the given mailboxes."""
        return int((await self._work.query(_COUNT, list(mailboxes)))[0][0])

    async def files_of(self, owners: Sequence[str]) -> tuple[FileRecord, ...]:
        """Return the files of the given messages or drafts, in the order in which each has them."""
        rows = await self._work.query(_FILES, list(owners))
        return tuple(_file(row, self._sealer) for row in rows)

    async def file_body(self, file: str, owner: str) -> BodyReader:
        """Return a file's content; :class:`UnknownRecord` if the message or draft has no such file."""
        rows = await self._work.query(_FILE_BODY, file, owner)
        if not rows:
            raise UnknownRecord
        return self._bound_body(rows[0], file_bond)

    async def note_reading(
        self, messages: Sequence[str], person: str, act: str, *, now: datetime
    ) -> frozenset[str]:
        """Record that a person has seen messages; return the received ones not opened by anyone before."""
        rows = await self._work.query(_NOTE_READING, list(messages), person, act, now)
        return frozenset(message for (message,) in rows)

    async def readings(self, messages: Sequence[str]) -> tuple[ReadingRecord, ...]:
        """Return who has seen the given messages, and how; the latest first."""
        return tuple(ReadingRecord(*row) for row in await self._work.query(_READINGS, list(messages)))

    # --- settings -----------------------------------------------------------------------------------------

    async def last_readings(self, mailbox: str) -> dict[str, datetime]:
        """Return when each person last saw a message in a mailbox."""
        return dict(await self._work.query(_LAST_READINGS, mailbox))

    async def mail_setting(self, name: str) -> dict[str, Any] | None:
        """Return a setting; this query alone leaves no log entry."""
        rows = await self._work.peek(_SETTING, name)
        return opened(rows[0][0], f"setting {name}", self._sealer) if rows else None

    def keep_mail_setting(self, name: str, content: dict[str, Any], *, first: bool = False) -> None:
        """Store a setting; with ``first``, an existing one stays unchanged."""
        value = sealed(content, f"setting {name}", self._sealer)
        self._work.later(_KEEP_FIRST_SETTING if first else _KEEP_SETTING, name, value)

    async def _mail(self, query: str, *values: Value) -> tuple[MailRecord, ...]:
        return tuple(_record(row, self._sealer) for row in await self._work.query(query, *values))

    def _store_body(self, body: Body) -> None:
        self._keep(body)
        self._work.later(_STORE_BODY, *body_values(body))

    def _store_file(self, file: FileRecord) -> None:
        value = sealed(file.content, f"file {file.id}", self._sealer)
        bound = self._sealer.mark(file_bond(file.id, file.owner, file.body))
        self._work.later(_STORE_FILE, file.id, file.owner, file.place, file.size, file.body, value, bound)

    def _bound_body(self, row: Row, bond: Callable[..., str]) -> BodyReader:
        """Return the body in a row, after checking the mark that binds it to the ids in the row."""
        *named, bound, body, size, value = row
        require_bond(bound, bond(*named, body), self._sealer)
        return BodyReader(self._room.shelf, body, size, value)


def _mailbox(row: Row, sealer: Sealer) -> MailboxRecord:
    mailbox, needs_approval, undo_seconds, value = row
    content = opened(value, mailbox_place(mailbox, needs_approval, undo_seconds), sealer)
    return MailboxRecord(
        mailbox,
        content["address"],
        content["name"],
        needs_approval,
        undo_seconds,
        content.get("asks_why", False),
        content.get("retired", False),
    )


def _conversation(row: Row, sealer: Sealer) -> ConversationRecord:
    *facts, bound = row
    require_bond(bound, conversation_bond(*facts[:3]), sealer)
    return ConversationRecord(*facts)


def _file(row: Row, sealer: Sealer) -> FileRecord:
    *facts, value, bound = row
    file, owner, *_, body = facts
    require_bond(bound, file_bond(file, owner, body), sealer)
    return FileRecord(*(*facts, opened(value, f"file {file}", sealer)))


def _content(value: bytes, bond: str, bound: bytes | None, message: str, sealer: Sealer) -> Content:
    require_bond(bound, bond, sealer)
    return opened(value, f"message {message}", sealer)


def _head(row: Row, sealer: Sealer) -> HeadRecord:
    message, conversation, stage, at, value, draft, body, bound = row
    require_bond(bound, mail_bond(message, conversation, draft, body), sealer)
    return HeadRecord(message, conversation, stage, at, sealer.open(value, f"message {message}"))


def _record(row: Row, sealer: Sealer) -> MailRecord:
    *facts, value, delivery, body, bound = row
    message, conversation, direction, *rest = facts
    bond = mail_bond(message, conversation, rest[2], body)
    content = _content(value, bond, bound, message, sealer)
    steps = {} if delivery is None else opened(delivery, f"delivery {message}", sealer)
    return MailRecord(*(message, conversation, Direction(direction), *rest, content, steps))


def _row_of(mail: NewMail, sealer: Sealer) -> str:
    """Return the row of a message, without its conversation."""
    one = mail.record

    def marked(text: str | None) -> str | None:
        return None if text is None else _hex(sealer.mark(text))

    row = {
        "id": one.id,
        "direction": one.direction.value,
        "stage": one.stage,
        "status": one.status,
        "mark": marked(mail.message_id),
        "remote": marked(mail.remote_id),
        "refers": marked(mail.refers_to),
        "draft": one.draft,
        "author": one.author,
        "at": one.at.isoformat(),
        "dated_at": one.dated_at and one.dated_at.isoformat(),
        "since": one.since.isoformat(),
        "confidential": one.confidential,
        "due_at": one.due_at and one.due_at.isoformat(),
        "deadline": one.deadline and one.deadline.isoformat(),
        "attempts": one.attempts,
        "opened_at": one.opened_at and one.opened_at.isoformat(),
        "files": one.files,
        "body": mail.body.id,
        "sealed": _hex(sealed(one.content, f"message {one.id}", sealer)),
        "delivery": _hex(sealed(one.delivery, f"delivery {one.id}", sealer)) if one.delivery else None,
    }
    return json.dumps(row)


def _hex(value: bytes) -> str:
    return f"\\x{value.hex()}"
