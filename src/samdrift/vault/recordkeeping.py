"""Vaults that keep public records: the organisation's message client and its governance.

What such a vault has of its own comes with its role. From the beginning it has what
all vaults have (log, sealed bodies, keys, lock), and the register of public records that
are kept in it and have not been handed over: while there is one, the organisation is not
closed without a decision that says so.
"""

from __future__ import annotations

from datetime import datetime

from samdrift.vault.coverkeeping import CoverKeeping
from samdrift.vault.database.session import call

_KEEP = call("keep_record", 2)
_RELEASE = "SELECT release_record($1)"
_RECORDS = "SELECT id FROM records WHERE id > $1 ORDER BY id LIMIT $2"


class RecordKeepingVault(CoverKeeping):
    """A vault with the register of public records that are to be handed over."""

    def keep_record(self, record_id: str, *, now: datetime) -> None:
        """Enter a public record that is kept here; one that is there already stays unchanged.

        The id is random, and says nothing of what the record is or whom it concerns.
        """
        self._work.later(_KEEP, record_id, now)

    async def release_record(self, record_id: str) -> bool:
        """Take out a record that was handed over, or disposed of by a decision. False for an unknown one."""
        ((released,),) = await self._work.query(_RELEASE, record_id)
        return bool(released)

    async def records(self, limit: int, after: str = "") -> tuple[str, ...]:
        """Ids of records that are not handed over, in order, those after the id ``after``."""
        return tuple(record_id for (record_id,) in await self._work.query(_RECORDS, after, limit))
