"""Presets that people reuse in a message client, and weekly figures of its mailboxes.

A preset is a saved view, a text template, a distribution list or a rule. It belongs to a mailbox or a person
and is sealed for that owner: an attacker who can write to the database cannot assign it to another owner.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from samdrift.vault.database.session import call
from samdrift.vault.mailrecords import Content, opened, sealed
from samdrift.vault.mailwriting import MailWriting

_KEEP, _DROP = call("keep_preset", 4), call("drop_preset", 3)
_PRESETS = """
SELECT id, kind, owner, sealed FROM presets WHERE kind = $1 AND owner = ANY($2::text[]) ORDER BY id
"""
_FIGURES = """
WITH counted AS (
    SELECT c.mailbox, date_trunc('week', m.at, 'Europe/Stockholm') AS week, m.*,
           row_number() OVER (PARTITION BY m.conversation, m.direction ORDER BY m.at, m.id) = 1 AS first
    FROM messages m JOIN conversations c ON c.id = m.conversation
    WHERE c.mailbox = ANY($1::text[]) AND m.stage <> 'window'
), answered AS (
    SELECT m.*, (
        SELECT min(o.at) FROM messages o
        WHERE o.conversation = m.conversation AND o.direction = 'out' AND o.stage <> 'window' AND o.at > m.at
    ) AS answer_at
    FROM counted m WHERE m.at >= $2
)
SELECT mailbox, week, count(*) FILTER (WHERE direction = 'in'), count(*) FILTER (WHERE direction = 'out'),
       count(*) FILTER (WHERE direction = 'out'
                        AND (stage IN ('refused', 'not-sent') OR status = 'MESSAGE_EXCHANGE_ERROR')),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM opened_at - at))
           FILTER (WHERE direction = 'in' AND opened_at IS NOT NULL),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM answer_at - at))
           FILTER (WHERE direction = 'in' AND first AND answer_at IS NOT NULL)
FROM answered GROUP BY mailbox, week ORDER BY week DESC, mailbox
"""


class PresetKind(StrEnum):
    """Kinds of presets."""

    VIEW = "view"
    TEXT = "text"
    LIST = "list"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class PresetRecord:
    """A preset, and the mailbox or person that owns it."""

    id: str
    kind: PresetKind
    owner: str
    content: Content


@dataclass(frozen=True, slots=True)
class WeekRecord:
    """Messages of one mailbox in one week: counts, and medians in seconds, if anything was measured."""

    mailbox: str
    week: datetime
    arrived: int
    sent: int
    failed: int
    opened_after: float | None
    """Median time from a message's arrival to its first opening."""
    answered_after: float | None
    """Median time from the first message received in a conversation to the next one sent in it."""


class MailPresets(MailWriting):
    """The part of a message client's vault for presets and figures."""

    async def presets(self, kind: PresetKind, owners: Collection[str]) -> tuple[PresetRecord, ...]:
        """Return the presets of one kind that belong to the given mailboxes or people."""
        rows = await self._work.query(_PRESETS, kind.value, list(owners))
        return tuple(
            PresetRecord(each, PresetKind(of), owner, opened(value, _place(each, of, owner), self._sealer))
            for each, of, owner, value in rows
        )

    async def keep_preset(self, preset: PresetRecord) -> bool:
        """Store or change a preset; return false, changing nothing, if its id belongs to another owner."""
        place = _place(preset.id, preset.kind, preset.owner)
        value = sealed(preset.content, place, self._sealer)
        values = (preset.id, preset.kind.value, preset.owner, value)
        return bool((await self._work.query(_KEEP, *values))[0][0])

    async def drop_preset(self, preset: str, kind: PresetKind, owner: str) -> bool:
        """Remove a preset; return false if its owner has none with that id."""
        return bool((await self._work.query(_DROP, preset, kind.value, owner))[0][0])

    async def figures(self, mailboxes: Collection[str], since: datetime) -> tuple[WeekRecord, ...]:
        """Count the messages of the given mailboxes by week, the latest week first."""
        rows = await self._work.query(_FIGURES, list(mailboxes), since)
        return tuple(WeekRecord(*row) for row in rows)


def _place(preset: str, kind: str, owner: str) -> str:
    return f"preset {kind} {preset} {owner}"
