"""Facts in one vault that determine its cover by agreements, in addition to the signed statements.

They are the inherited agreement, for organisations from before agreements were required, and the state that
the log reported last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.vault.database.session import call
from samdrift.vault.signedstatements import SIGNED, SignedStatementKeeping

INHERITED = timedelta(days=90)
"""Period for which the inherited agreement covers an organisation (sql/cover-1.sql)."""
_FACTS = """
SELECT c.inherited_from, c.inherited_until, c.noted,
    coalesce(l.number, 0), (SELECT s.sealed FROM signed_statements s WHERE s.number = $1), l.sealed,
    (SELECT to_timestamp(max(w.cosigned_at)) FROM log_witnesses w JOIN log_tree t USING (origin))
FROM cover c LEFT JOIN LATERAL (
    SELECT number, sealed FROM signed_statements ORDER BY number DESC LIMIT 1
) l ON true
"""
_NOTE = call("note_cover", 2)


@dataclass(frozen=True, slots=True)
class CoverFacts:
    """One vault's facts about cover by agreements."""

    inherited: tuple[datetime, datetime] | None
    """The beginning and end of the inherited agreement; ``None`` if there never was one."""
    noted: str
    """The state that the log reported last, in the words of the cover keeper; empty before the first."""
    statements: int
    """Number of the last signed statement."""
    witnessed: datetime | None
    """The latest time of a witness's cosignature on the log: the present cannot be earlier."""


class CoverKeeping(SignedStatementKeeping):
    """A vault that keeps facts about its cover by agreements, as every vault does."""

    async def cover_facts(self) -> CoverFacts:
        """Return the facts; they reveal nothing about anyone, so this alone leaves no entry in the log.

        Raises :class:`~samdrift.vault.heads.RecordBehind` if the signed statements are behind their head.
        """
        head = self._head_of(SIGNED)
        ((start, end, noted, statements, there, newest, witnessed),) = await self._work.peek(
            _FACTS, 0 if head is None else head.number
        )
        self._require_head(SIGNED, head, int(statements), there, newest)
        inherited = None if start is None or end is None else (start, end)
        return CoverFacts(inherited, noted, int(statements), witnessed)

    async def note_cover(self, before: str, after: str) -> bool:
        """Store the state that the log now reports; false if another process has already reported it."""
        ((noted,),) = await self._work.look(_NOTE, before, after)
        return bool(noted)
