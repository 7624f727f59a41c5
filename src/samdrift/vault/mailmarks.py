"""Marks of lists and conversations, by which an open page learns that it is out of date.

A mark shows that something has changed, but not what. Reading marks reveals nothing about anyone and leaves
no log entry.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from samdrift.vault.database.session import call
from samdrift.vault.mailwriting import MailWriting

_MARKS = """
SELECT 'list', b.id, b.id, (
    SELECT coalesce(sum(c.version), 0)::text FROM conversations c WHERE c.mailbox = b.id
) FROM mailboxes b WHERE b.id = ANY($1::text[]) OR $1::text[] IS NULL
UNION ALL
SELECT 'conversation', c.id, c.mailbox, c.version || '-' || floor(coalesce(
    (SELECT 1000 * extract(epoch FROM max(m.since)) FROM messages m WHERE m.conversation = c.id), 0
)) FROM conversations c WHERE c.id = ANY($2::text[])
UNION ALL
SELECT 'session', encode(mark, 'hex'), '', '' FROM sessions WHERE mark = ANY($3::bytea[])
UNION ALL
SELECT 'statement', '', '', coalesce(max(number), 0)::text FROM statements
"""
_ARRIVED = """
SELECT count(*) FROM messages m JOIN conversations c ON c.id = m.conversation
WHERE m.at > $2 AND m.direction = 'in' AND c.mailbox = ANY($1::text[])
"""


_HURRY = call("hurry_mail", 2)


@dataclass(frozen=True, slots=True)
class MailMarks:
    """Marks of everything that open pages show."""

    lists: Mapping[str, str]
    """Mark of each mailbox."""
    conversations: Mapping[str, tuple[str, str]]
    """Mailbox and mark of each conversation that is there."""
    sessions: frozenset[bytes]
    """Marks of the sessions that have not been ended."""
    statement: int
    """Number of the latest statement about rights."""


class MailMarking(MailWriting):
    """The part of a message client's vault for marks."""

    async def marks(
        self,
        mailboxes: Collection[str] | None,
        conversations: Collection[str],
        sessions: Collection[bytes] = (),
    ) -> MailMarks:
        """Return the marks of mailboxes (``None`` for all) and conversations, and the sessions that exist."""
        boxes = None if mailboxes is None else list(mailboxes)
        rows = await self._work.peek(_MARKS, boxes, list(conversations), list(sessions))
        found: dict[str, dict[str, tuple[str, str]]] = {}
        for kind, identity, mailbox, mark in rows:
            found.setdefault(kind, {})[identity] = mailbox, mark
        return MailMarks(
            dict(found.get("list", {}).values()),
            found.get("conversation", {}),
            frozenset(map(bytes.fromhex, found.get("session", {}))),
            int(found["statement"][""][1]),
        )

    def hurry_mail(self, remote_ids: Collection[str], *, now: datetime) -> None:
        """Make the status queries of sent messages due now, by the messages' message service ids."""
        self._work.arrange(_HURRY, [self._sealer.mark(each) for each in remote_ids], now)

    async def arrived_since(self, mailboxes: Collection[str], moment: datetime) -> int:
        """Count the messages that arrived in the given mailboxes after a moment."""
        ((number,),) = await self._work.peek(_ARRIVED, list(mailboxes), moment)
        return int(number)
