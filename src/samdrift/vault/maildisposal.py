"""The end of a conversation in a message client's vault: registration elsewhere, disposal by two persons.

The database decides whether something may go, in the transaction in which it goes: nothing that nobody has
opened, that is held, that a draft is in, or whose way is not over. A record stays, sealed: ids and digests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from samdrift.vault.database.session import call
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.mailrecords import (
    Content,
    ConversationRecord,
    MailRecord,
    RegistrationRecord,
    opened,
    sealed,
)
from samdrift.vault.mailwriting import MailWriting

_KEEP_REGISTRATION = call("keep_registration", 5)
_REGISTRATIONS = "SELECT id, person, at, sealed FROM registrations WHERE id = ANY($1::text[])"
_KEEP_RULE = call("keep_disposal_rule", 6)
_RULES = "SELECT id, since, days, person, at, sealed FROM disposal_rules WHERE id = ANY($1::text[])"
_KEEP_HOLD = call("keep_hold", 5)
_HOLDS = "SELECT id, person, at, sealed FROM holds WHERE id = ANY($1::text[])"
_DISPOSABLE = "SELECT conversation, messages, files FROM disposable($1, $2, $3, $4)"
_PROPOSE, _DECIDE = call("propose_disposal", 8), call("decide_disposal", 4)
_DISPOSALS = """
SELECT d.id, d.mailbox, d.stage, d.since, d.before, d.proposed_by, d.proposed_at, d.agreed_by, d.agreed_at,
       d.done_at, i.*, d.sealed FROM disposals d CROSS JOIN LATERAL (
    SELECT count(*), count(*) FILTER (WHERE state = 'gone'), count(*) FILTER (WHERE state = 'kept'),
           coalesce(sum(messages) FILTER (WHERE state <> 'kept'), 0)::bigint,
           coalesce(sum(files) FILTER (WHERE state <> 'kept'), 0)::bigint
    FROM disposal_items WHERE disposal = d.id
) AS i
"""
_ITEMS = """
SELECT conversation FROM disposal_items WHERE disposal = $1 AND state = 'waits' AND conversation > $2
ORDER BY conversation LIMIT $3
"""
_AGREED = "SELECT id FROM disposals WHERE stage = 'agreed' ORDER BY agreed_at"
_DISPOSE = "SELECT gone, remote FROM dispose_conversation($1, $2, $3)"
_END = call("end_disposal", 2)
_DISPOSED = """
SELECT id, disposal, conversation, direction, at, gone_at, sealed FROM disposed
WHERE disposal = $1 AND id > $2 ORDER BY id LIMIT $3
"""
MOST = 100_000
"""Conversations of one disposal; what is left is proposed next."""


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """A conversation of which nothing is disposed of; why is in ``content``."""

    conversation: str
    person: str
    at: datetime
    content: Content


@dataclass(frozen=True, slots=True)
class DisposalRule:
    """The rule of a mailbox: days since its conversations were ``done`` or ``registered``."""

    mailbox: str
    since: str
    days: int
    person: str
    at: datetime
    content: Content


@dataclass(frozen=True, slots=True)
class DisposalRecord:
    """A disposal with its counts; of messages and files those that are gone or wait."""

    id: str
    mailbox: str
    stage: str
    since: str
    before: datetime
    proposed_by: str
    proposed_at: datetime
    agreed_by: str | None
    agreed_at: datetime | None
    done_at: datetime | None
    conversations: int
    gone: int
    kept: int
    messages: int
    files: int
    content: Content


@dataclass(frozen=True, slots=True)
class DisposedRecord:
    """A message that went; ids and digests are in ``content``."""

    id: str
    disposal: str
    conversation: str
    direction: str
    at: datetime
    gone_at: datetime
    content: Content


class MailDisposal(MailWriting):
    """Registrations; rules, holds, disposals and records of them."""

    async def keep_registration(
        self, conversation: ConversationRecord, person: str, content: Content | None, *, now: datetime
    ) -> int:
        """Register a conversation, or take that back; the new version, or less than 0 if it has another."""
        place = f"registration {conversation.id}"
        value = None if content is None else sealed(content, place, self._sealer)
        values = (conversation.id, conversation.version, person, now, value)
        ((version,),) = await self._work.query(_KEEP_REGISTRATION, *values)
        if version is None:
            raise UnknownRecord
        return int(version)

    async def registrations(self, conversations: Sequence[str]) -> dict[str, RegistrationRecord]:
        """Return the registrations of those of some conversations that are registered."""
        rows = await self._work.query(_REGISTRATIONS, list(conversations))
        return {
            each: RegistrationRecord(each, person, at, opened(value, f"registration {each}", self._sealer))
            for each, person, at, value in rows
        }

    def keep_disposal_rule(self, rule: DisposalRule) -> None:
        """Store the rule of a mailbox, or change it."""
        value = sealed(rule.content, f"disposal_rule {rule.mailbox}", self._sealer)
        self._work.later(_KEEP_RULE, rule.mailbox, rule.since, rule.days, rule.person, rule.at, value)

    async def disposal_rules(self, mailboxes: Sequence[str]) -> dict[str, DisposalRule]:
        """Return the rules of those of some mailboxes that have one."""
        return {
            row[0]: DisposalRule(*(*row, opened(value, f"disposal_rule {row[0]}", self._sealer)))
            for *row, value in await self._work.query(_RULES, list(mailboxes))
        }

    async def keep_hold(
        self, conversation: ConversationRecord, person: str, content: Content | None, *, now: datetime
    ) -> int:
        """Put a conversation on hold or release it; return the new version, less than 0 if it has another."""
        value = None if content is None else sealed(content, f"hold {conversation.id}", self._sealer)
        values = (conversation.id, conversation.version, person, now, value)
        ((version,),) = await self._work.query(_KEEP_HOLD, *values)
        if version is None:
            raise UnknownRecord
        return int(version)

    async def holds(self, conversations: Sequence[str]) -> dict[str, HoldRecord]:
        """Return the holds of those of some conversations that are held."""
        return {
            row[0]: HoldRecord(*(*row, opened(value, f"hold {row[0]}", self._sealer)))
            for *row, value in await self._work.query(_HOLDS, list(conversations))
        }

    async def disposable(
        self, mailbox: str, since: str, before: datetime, limit: int = MOST
    ) -> tuple[tuple[str, int, int], ...]:
        """Return conversations that could be disposed of, with their messages and files, the oldest first."""
        rows = await self._work.query(_DISPOSABLE, mailbox, since, before, limit)
        return tuple((str(conversation), int(messages), int(files)) for conversation, messages, files in rows)

    async def propose_disposal(
        self, disposal: str, rule: DisposalRule, before: datetime, person: str, *, now: datetime
    ) -> bool:
        """Propose to dispose of what could be now; false where a disposal of the mailbox is under way."""
        value = sealed(rule.content, f"disposal {disposal}", self._sealer)
        values = (disposal, rule.mailbox, rule.since, before, person, now, value, MOST)
        return bool((await self._work.query(_PROPOSE, *values))[0][0])

    async def decide_disposal(self, disposal: str, person: str, *, agreed: bool, now: datetime) -> bool:
        """Agree to a disposal, or drop it; false when it is not proposed any more."""
        return bool((await self._work.query(_DECIDE, disposal, agreed, person, now))[0][0])

    async def disposals(self, mailboxes: Sequence[str]) -> tuple[DisposalRecord, ...]:
        """Return the disposals of some mailboxes, the latest first."""
        query = f"{_DISPOSALS} WHERE d.mailbox = ANY($1::text[]) ORDER BY d.proposed_at DESC, d.id"
        return tuple(
            DisposalRecord(*(*row, opened(value, f"disposal {row[0]}", self._sealer)))
            for *row, value in await self._work.query(query, list(mailboxes))
        )

    async def agreed_disposals(self) -> tuple[str, ...]:
        """Return disposals that are agreed and not done; to ask this alone leaves no entry in the log."""
        return tuple(str(each) for (each,) in await self._work.peek(_AGREED))

    async def disposal_items(self, disposal: str, after: str, limit: int) -> tuple[str, ...]:
        """Return conversations of a disposal that wait, in order."""
        return tuple(str(each) for (each,) in await self._work.query(_ITEMS, disposal, after, limit))

    async def dispose(
        self,
        disposal: str,
        conversation: str,
        mail: Sequence[MailRecord],
        contents: Mapping[str, Content],
        *,
        now: datetime,
    ) -> bool:
        """Remove a conversation of an agreed disposal and record it; false where something keeps it.

        ``mail`` are its messages, and ``contents`` what is recorded of each: all of them, or it is kept.
        """
        rows = [self._row(disposal, one, contents[one.id], now) for one in mail]
        found = await self._work.query(_DISPOSE, disposal, conversation, json.dumps(rows))
        for _, remote in found:
            self._drop_object(remote)
        return bool(found[0][0])

    async def end_disposal(self, disposal: str, *, now: datetime) -> bool:
        """Note that a disposal is done; false while something of it waits."""
        return bool((await self._work.query(_END, disposal, now))[0][0])

    async def disposed(self, disposal: str, after: str, limit: int) -> tuple[DisposedRecord, ...]:
        """Return the record of what went, in the order of ids."""
        rows = await self._work.query(_DISPOSED, disposal, after, limit)
        return tuple(
            DisposedRecord(*(*row, opened(value, f"disposed {row[0]}", self._sealer))) for *row, value in rows
        )

    def _row(self, disposal: str, mail: MailRecord, content: Content, now: datetime) -> dict[str, Any]:
        ids = mail.content
        remote = ids.get("remote_id")
        return {
            "id": mail.id,
            "disposal": disposal,
            "conversation": mail.conversation,
            "direction": mail.direction.value,
            "mark": _hex(self._sealer.mark(ids["message_id"])),
            "remote": None if remote is None else _hex(self._sealer.mark(remote)),
            "at": mail.at.isoformat(),
            "gone_at": now.isoformat(),
            "sealed": _hex(sealed(content, f"disposed {mail.id}", self._sealer)),
        }


def _hex(value: bytes) -> str:
    return f"\\x{value.hex()}"
