"""Facts in one vault on which cover by agreements rests, in addition to the signed statements: what was
inherited from the time before agreements, and the state that the log reported last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.vault.database.session import call
from samdrift.vault.signedstatements import SignedStatementKeeping

INHERITED = timedelta(days=90)
"""Time for which the inherited agreement covers an organisation (sql/cover-1.sql)."""
_FACTS = """
SELECT c.inherited_from, c.inherited_until, c.noted,
    (SELECT coalesce(max(s.number), 0) FROM signed_statements s),
    (SELECT to_timestamp(max(w.cosigned_at)) FROM log_witnesses w JOIN log_tree t USING (origin))
FROM cover c
"""
_NOTE = call("note_cover", 2)


@dataclass(frozen=True, slots=True)
class CoverFacts:
    """Facts of cover in one vault."""

    inherited: tuple[datetime, datetime] | None
    """The beginning and end of the inherited agreement; ``None`` where there never was one."""
    noted: str
    """The state that the log reported last, in the keeper's own words; empty before the first."""
    statements: int
    """Number of the last signed statement."""
    witnessed: datetime | None
    """The last moment that a witness has put under the log: it is not earlier than that now."""


class CoverKeeping(SignedStatementKeeping):
    """A vault whose function is covered by agreements, or not: every vault is."""

    async def cover_facts(self) -> CoverFacts:
        """Return the facts; alone, this leaves no entry in the log, since it reveals nothing about anyone."""
        ((start, end, noted, statements, witnessed),) = await self._work.peek(_FACTS)
        inherited = None if start is None or end is None else (start, end)
        return CoverFacts(inherited, noted, int(statements), witnessed)

    async def note_cover(self, before: str, after: str) -> bool:
        """Keep the state that the log now reports; false if another process has reported it already."""
        ((noted,),) = await self._work.look(_NOTE, before, after)
        return bool(noted)
