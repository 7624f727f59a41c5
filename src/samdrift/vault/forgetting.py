"""Forgetting, in access point and message service: facts that find duplicates, and proofs of exchanges.

Both have rules of their own (:mod:`samdrift.vault.retention`). A fact that finds duplicates is removed
automatically once no sender can repeat the item. A proof of an exchange is kept for as long as the log entry
that it proves, and is disposed of by the same decision.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from samdrift.vault.opening import Vault
from samdrift.vault.retention import DUPLICATE_WINDOW

STEP = 500
"""Rows of a kind that go in one opening: what sends and receives waits for none of them for long."""
_CLOCKS = timedelta(days=1)
"""Time by which the clocks of this machine and of the database never differ."""
_FORGET = "SELECT forget_duplicates($1, $2)"
_DISPOSE = "SELECT dispose_proofs($1, $2)"


class ForgettingVault(Vault):
    """A vault with facts about what came and went."""

    async def forget_duplicates(self, *, limit: int = STEP) -> bool:
        """Remove a batch of outdated facts that find duplicates; true while there may be more.

        The database refuses to remove younger ones, whatever this process's clock shows. When nothing is
        removed, the search leaves no entry in the log.
        """
        return await self._remove(_FORGET, self._reason.clock() - DUPLICATE_WINDOW - _CLOCKS, limit)

    async def dispose_proofs(self, before: datetime, *, limit: int = STEP) -> bool:
        """Remove a batch of the proofs of exchanges from before a moment; true while there may be more.

        Called after the facts of transfers in the log were disposed of. The database refuses to remove the
        last year's.
        """
        return await self._remove(_DISPOSE, before, limit)

    async def _remove(self, sql: str, before: datetime, limit: int) -> bool:
        ((gone,),) = await self._work.look(sql, before, limit)
        if gone:
            self._work.use()
        return bool(gone >= limit)
