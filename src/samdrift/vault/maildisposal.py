"""Registration, holds and disposal of conversations in a message client's vault.

A disposal is proposed, and then agreed to, by another manager if there is one. The database checks each
conversation in the transaction that removes it: one with unopened messages, a hold, an unsent draft, or a
message that is still on its way is kept. Of each message that is disposed of, a sealed record of ids and
digests remains.
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
"""Maximum number of conversations in one disposal; the rest can be proposed next."""


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """A hold, which exempts a conversation from disposal; the reason is in ``content``."""

    conversation: str
    person: str
    at: datetime
    content: Content


@dataclass(frozen=True, slots=True)
class DisposalRule:
    """A mailbox's disposal rule: days after which ``done`` or ``registered`` conversations may go."""

    mailbox: str
    since: str
    days: int
    person: str
    at: datetime
    content: Content


@dataclass(frozen=True, slots=True)
class DisposalRecord:
    """A disposal with its counts; ``messages`` and ``files`` leave out conversations that are kept."""

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
    """The record of a message that was disposed of; its ids and digests are in ``content``."""

    id: str
    disposal: str
    conversation: str
    direction: str
    at: datetime
    gone_at: datetime
    content: Content


class MailDisposal(MailWriting):
    """The part of a message client's vault for registrations, disposal rules, holds and disposals."""

    async def keep_registration(
        self, conversation: ConversationRecord, person: str, content: Content | None, *, now: datetime
    ) -> int:
        """Register a conversation, or cancel its registration; return the conversation's new version.

        ``None`` as ``content`` cancels it. A negative number means that the conversation has another version,
        and nothing was changed.
        """
        place = f"registration {conversation.id}"
        value = None if content is None else sealed(content, place, self._sealer)
        values = (conversation.id, conversation.version, person, now, value)
        ((version,),) = await self._work.query(_KEEP_REGISTRATION, *values)
        if version is None:
            raise UnknownRecord
        return int(version)

    async def registrations(self, conversations: Sequence[str]) -> dict[str, RegistrationRecord]:
        """Return the registrations of the given conversations; those that are not registered are left out."""
        rows = await self._work.query(_REGISTRATIONS, list(conversations))
        return {
            each: RegistrationRecord(each, person, at, opened(value, f"registration {each}", self._sealer))
            for each, person, at, value in rows
        }

    def keep_disposal_rule(self, rule: DisposalRule) -> None:
        """Store or change the disposal rule of a mailbox."""
        value = sealed(rule.content, f"disposal_rule {rule.mailbox}", self._sealer)
        self._work.later(_KEEP_RULE, rule.mailbox, rule.since, rule.days, rule.person, rule.at, value)

    async def disposal_rules(self, mailboxes: Sequence[str]) -> dict[str, DisposalRule]:
        """Return the disposal rules of the given mailboxes; those without a rule are left out."""
        return {
            row[0]: DisposalRule(*(*row, opened(value, f"disposal_rule {row[0]}", self._sealer)))
            for *row, value in await self._work.query(_RULES, list(mailboxes))
        }

    async def keep_hold(
        self, conversation: ConversationRecord, person: str, content: Content | None, *, now: datetime
    ) -> int:
        """Put a conversation on hold, or release it; return the conversation's new version.

        ``None`` as ``content`` releases it. A negative number means that the conversation has another
        version, and nothing was changed.
        """
        value = None if content is None else sealed(content, f"hold {conversation.id}", self._sealer)
        values = (conversation.id, conversation.version, person, now, value)
        ((version,),) = await self._work.query(_KEEP_HOLD, *values)
        if version is None:
            raise UnknownRecord
        return int(version)

    async def holds(self, conversations: Sequence[str]) -> dict[str, HoldRecord]:
        """Return the holds on the given conversations; those that are not on hold are left out."""
        return {
            row[0]: HoldRecord(*(*row, opened(value, f"hold {row[0]}", self._sealer)))
            for *row, value in await self._work.query(_HOLDS, list(conversations))
        }

    async def disposable(
        self, mailbox: str, since: str, before: datetime, limit: int = MOST
    ) -> tuple[tuple[str, int, int], ...]:
        """Return conversations that may go, the oldest first, with their numbers of messages and files."""
        rows = await self._work.query(_DISPOSABLE, mailbox, since, before, limit)
        return tuple((str(conversation), int(messages), int(files)) for conversation, messages, files in rows)

    async def propose_disposal(
        self, disposal: str, rule: DisposalRule, before: datetime, person: str, *, now: datetime
    ) -> bool:
        """Propose a disposal of the conversations that may go now.

        Returns false if a disposal of the mailbox is already under way.
        """
        value = sealed(rule.content, f"disposal {disposal}", self._sealer)
        values = (disposal, rule.mailbox, rule.since, before, person, now, value, MOST)
        return bool((await self._work.query(_PROPOSE, *values))[0][0])

    async def decide_disposal(self, disposal: str, person: str, *, agreed: bool, now: datetime) -> bool:
        """Agree to a proposed disposal, or drop it; return false if it has been decided already."""
        return bool((await self._work.query(_DECIDE, disposal, agreed, person, now))[0][0])

    async def disposals(self, mailboxes: Sequence[str]) -> tuple[DisposalRecord, ...]:
        """Return the disposals of the given mailboxes, the latest first."""
        query = f"{_DISPOSALS} WHERE d.mailbox = ANY($1::text[]) ORDER BY d.proposed_at DESC, d.id"
        return tuple(
            DisposalRecord(*(*row, opened(value, f"disposal {row[0]}", self._sealer)))
            for *row, value in await self._work.query(query, list(mailboxes))
        )

    async def agreed_disposals(self) -> tuple[str, ...]:
        """Return the disposals that are agreed to but not done; this query alone leaves no log entry."""
        return tuple(str(each) for (each,) in await self._work.peek(_AGREED))

    async def disposal_items(self, disposal: str, after: str, limit: int) -> tuple[str, ...]:
        """Return conversations of a disposal that still wait, in order of id, after the id ``after``."""
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
        """Remove a conversation in an agreed disposal and record it; return false if it has to be kept.

        ``mail`` are its messages, and ``contents`` what to record of each. It is kept unless these are all
        its messages.
        """
        rows = [self._row(disposal, one, contents[one.id], now) for one in mail]
        found = await self._work.query(_DISPOSE, disposal, conversation, json.dumps(rows))
        for _, remote in found:
            self._drop_object(remote)
        return bool(found[0][0])

    async def end_disposal(self, disposal: str, *, now: datetime) -> bool:
        """Mark a disposal as done; return false while any of its conversations is waiting."""
        return bool((await self._work.query(_END, disposal, now))[0][0])

    async def disposed(self, disposal: str, after: str, limit: int) -> tuple[DisposedRecord, ...]:
        """Return the records of messages that a disposal removed, in order of id, after the id ``after``."""
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
