"""Notices in a message client's vault: people's choices of notices, staffed hours, and pending notices.

A notice says only that there is something to read, so nothing of any message is stored here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.vault.database.session import call
from samdrift.vault.mailmarks import MailMarking
from samdrift.vault.mailrecords import Content, opened, sealed

_KEEP_CHOICE, _KEEP_MANNING = call("keep_notice_choice", 2), call("keep_manning", 3)
_CHOICES = "SELECT id, sealed FROM notice_choices ORDER BY id"
_MANNING = "SELECT id, sealed FROM manning WHERE cardinality($1::text[]) = 0 OR id = ANY($1) ORDER BY id"
_WATCHES = (
    "SELECT mailbox, due_at, looked_at, escalated FROM watches WHERE due_at <= $1 ORDER BY due_at LIMIT $2"
)
_KEEP_WATCH = call("keep_watch", 5)
_UNREAD = """
SELECT min(m.at), max(m.at) FROM messages m JOIN conversations c ON c.id = m.conversation
WHERE c.mailbox = $1 AND m.direction = 'in' AND m.opened_at IS NULL
"""
_UNOPENED = """
SELECT count(*) OVER (), m.conversation FROM conversations c JOIN messages m ON m.conversation = c.id
WHERE c.mailbox = $1 AND c.unread > 0 AND m.direction = 'in' AND m.opened_at IS NULL AND m.at <= $2
ORDER BY m.at, m.id LIMIT 1
"""
_NEW_TO = """
SELECT EXISTS (
    SELECT FROM messages m JOIN conversations c ON c.id = m.conversation
    WHERE c.mailbox = ANY($2::text[]) AND m.direction = 'in' AND m.at >= $3 AND NOT EXISTS (
        SELECT FROM readings r WHERE r.message = m.id AND r.person = $1 AND r.act = 'read'
    )
)
"""
_STARTED = """
SELECT m.at, m.id FROM messages m JOIN conversations c ON c.id = m.conversation
WHERE c.home = $1 AND c.messages = 1 AND m.direction = 'in' AND m.stage = 'arrived'
  AND (m.at, m.id) > ($2, $3)
  AND NOT EXISTS (SELECT FROM arrivals WHERE m.at < coalesce(done_at, 'infinity'))
ORDER BY m.at, m.id LIMIT $4
"""
_ACKNOWLEDGE = call("begin_acknowledging", 3)
_ADD, _MOVE = call("add_notice", 6), call("move_notice", 5)
_CLAIM = "SELECT * FROM claim_notices($1, $2, $3)"
_NOTICES = """
SELECT id, kind, person, began_at, due_at, attempts, outcome, ended_at, sealed FROM notices
WHERE id = ANY($1::text[]) ORDER BY id
"""
_LAST_SENT = """
SELECT person, max(ended_at) FROM notices WHERE outcome = 'sent' AND person IS NOT NULL GROUP BY person
"""
_NEXT = "SELECT least((SELECT min(due_at) FROM watches), (SELECT min(due_at) FROM notices))"
_AT_ONCE = 50
"""Maximum number of records that one query returns; the next one returns more."""

Place = tuple[datetime, str]
"""The place of a message in the order of arrival: its time of arrival, and its id where times are equal."""


@dataclass(frozen=True, slots=True)
class WatchRecord:
    """A mailbox to be checked for unread messages, and when."""

    mailbox: str
    due_at: datetime
    looked_at: datetime
    escalated: bool


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """A notice, which is pending until it has an outcome."""

    id: str
    kind: str
    person: str | None
    began_at: datetime
    due_at: datetime | None
    attempts: int
    outcome: str | None
    ended_at: datetime | None
    content: Content


class Noticing(MailMarking):
    """The part of a message client's vault for notices."""

    async def notice_choices(self) -> dict[str, Content]:
        """Return each person's choice of notices, by the person's id."""
        rows = await self._work.peek(_CHOICES)
        return {person: opened(value, f"notice choice {person}", self._sealer) for person, value in rows}

    def keep_notice_choice(self, person: str, content: Content) -> None:
        """Store a person's choice of notices."""
        self._work.later(_KEEP_CHOICE, person, sealed(content, f"notice choice {person}", self._sealer))

    async def manning(self, *mailboxes: str) -> dict[str, Content]:
        """Return the hours at which the given mailboxes, or all, are staffed, by the mailbox's id."""
        rows = await self._work.peek(_MANNING, list(mailboxes))
        return {mailbox: opened(value, f"manning {mailbox}", self._sealer) for mailbox, value in rows}

    def keep_manning(self, mailbox: str, content: Content, *, now: datetime) -> None:
        """Store the hours at which a mailbox is staffed, and make a check of it due now."""
        value = sealed(content, f"manning {mailbox}", self._sealer)
        self._work.later(_KEEP_MANNING, mailbox, value, now)

    async def due_watches(self, *, now: datetime) -> tuple[WatchRecord, ...]:
        """Return mailboxes that are due for a check; this query alone leaves no log entry."""
        return tuple(WatchRecord(*row) for row in await self._work.peek(_WATCHES, now, _AT_ONCE))

    def hold_watch(self, watch: WatchRecord) -> None:
        """Let messages that arrive in a mailbox wait until this opening ends.

        Later queries return all that arrived before. What waits makes the mailbox due for a check again,
        after :meth:`keep_watch`.
        """
        unchanged = (watch.due_at, watch.due_at, watch.looked_at, watch.escalated)
        self._work.arrange(_KEEP_WATCH, watch.mailbox, *unchanged)

    def keep_watch(
        self, watch: WatchRecord, *, due: datetime | None, looked: datetime, escalated: bool
    ) -> None:
        """Record that a mailbox was checked, and when the next check is due."""
        self._work.arrange(_KEEP_WATCH, watch.mailbox, watch.due_at, due, looked, escalated)

    async def unread_in(self, mailbox: str) -> tuple[datetime, datetime] | None:
        """Return the arrival times of the oldest and the latest message not opened by anyone, if any."""
        ((oldest, latest),) = await self._work.look(_UNREAD, mailbox)
        return None if oldest is None else (oldest, latest)

    async def unopened_in(self, mailbox: str, since: datetime) -> tuple[int, str] | None:
        """Return the number of unopened messages that arrived by a moment, and the oldest's conversation.

        Returns ``None`` if there are none.
        """
        rows = await self._work.look(_UNOPENED, mailbox, since)
        return next(((int(count), conversation) for count, conversation in rows), None)

    async def started_conversations(self, mailbox: str, after: Place) -> tuple[Place, ...]:
        """Return a page of the messages that arrived at an address and are alone in their conversation.

        Messages that the organisation brought from another installation did not arrive here. The page begins
        after the place ``after``.
        """
        return tuple(map(tuple, await self._work.look(_STARTED, mailbox, *after, _AT_ONCE)))

    async def begin_acknowledging(self, address: str, *, now: datetime, before: datetime) -> bool:
        """Record an automatic acknowledgement to an address; return false if one went since ``before``."""
        ((may,),) = await self._work.look(_ACKNOWLEDGE, self._sealer.mark(address), now, before)
        return bool(may)

    async def has_new(self, person: str, mailboxes: Collection[str], since: datetime) -> bool:
        """Return whether the given mailboxes have a message since a moment that a person has not opened."""
        ((new,),) = await self._work.look(_NEW_TO, person, list(mailboxes), since)
        return bool(new)

    def add_notice(self, notice: NoticeRecord) -> None:
        """Store a notice; if the person already has a pending one, only bring that one's time forward."""
        value = sealed(notice.content, f"notice {notice.id}", self._sealer)
        facts = (notice.kind, notice.person, notice.began_at, notice.due_at)
        self._work.arrange(_ADD, notice.id, *facts, value)

    async def claim_notices(self, *, now: datetime, lease: timedelta) -> tuple[str, ...]:
        """Claim notices that are due to be sent."""
        return tuple(each for (each,) in await self._work.look(_CLAIM, now, now + lease, _AT_ONCE))

    async def notices(self, notices: Collection[str]) -> tuple[NoticeRecord, ...]:
        """Return those of the given notices that exist."""
        rows = await self._work.look(_NOTICES, list(notices))
        return tuple(
            NoticeRecord(*(*row, opened(value, f"notice {row[0]}", self._sealer))) for *row, value in rows
        )

    def move_notice(
        self, notice: NoticeRecord, *, due: datetime | None, outcome: str | None, now: datetime, reason: str
    ) -> None:
        """Schedule another attempt to send a notice, or end it with an outcome and a reason."""
        content = dict(notice.content) | ({"reason": reason} if reason else {})
        value = sealed(content, f"notice {notice.id}", self._sealer)
        self._work.arrange(_MOVE, notice.id, due, outcome, now, value)

    async def last_notices(self) -> dict[str, datetime]:
        """Return when each person was sent the latest notice."""
        return dict(await self._work.look(_LAST_SENT))

    async def next_notice(self) -> datetime | None:
        """Return when the next check or notice is due; this query alone leaves no log entry."""
        due: datetime | None = (await self._work.peek(_NEXT))[0][0]
        return due
