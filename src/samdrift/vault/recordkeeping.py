"""Vaults that keep public records: the organisation's message client and its governance.

In addition to what all vaults have (log, sealed bodies, keys, lock), such a vault has a register of the
public records that are kept in it and have not been handed over. While there is one, the organisation is not
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
    """A vault with a register of the public records that are to be handed over."""

    def keep_record(self, record_id: str, *, now: datetime) -> None:
        """Enter a public record that is kept here; an existing entry stays unchanged.

        The id is random, and reveals neither the content of the record nor the person whom it concerns.
        """
        self._work.later(_KEEP, record_id, now)

    async def release_record(self, record_id: str) -> bool:
        """Remove a record that was handed over or disposed of; return false if it is unknown."""
        ((released,),) = await self._work.query(_RELEASE, record_id)
        return bool(released)

    async def records(self, limit: int, after: str = "") -> tuple[str, ...]:
        """Return ids of records that have not been handed over, in order, after the id ``after``."""
        return tuple(record_id for (record_id,) in await self._work.query(_RECORDS, after, limit))
