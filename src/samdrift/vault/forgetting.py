"""Removal of old facts in access point and message service: facts that find duplicates, proofs of exchanges.

Both have rules of their own (:mod:`samdrift.vault.retention`). A fact that finds duplicates is removed
automatically once no sender can repeat the item. A proof of an exchange is kept for as long as the log entry
that it proves, and is disposed of by the same decision.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from samdrift.vault.opening import Vault
from samdrift.vault.retention import DUPLICATE_WINDOW

STEP = 500
"""Maximum number of rows removed in one opening, so that sending and receiving never wait long."""
_CLOCKS = timedelta(days=1)
"""Safety margin for a difference between the clocks of this machine and of the database."""
_FORGET = "SELECT forget_duplicates($1, $2)"
_DISPOSE = "SELECT dispose_proofs($1, $2)"


class ForgettingVault(Vault):
    """A vault that removes old facts about what it sent and received."""

    async def forget_duplicates(self, *, limit: int = STEP) -> bool:
        """Remove a batch of outdated facts that find duplicates; return true while there may be more.

        The database refuses to remove younger ones, whatever this process's clock shows. When nothing is
        removed, the search leaves no entry in the log.
        """
        return await self._remove(_FORGET, self._reason.clock() - DUPLICATE_WINDOW - _CLOCKS, limit)

    async def dispose_proofs(self, before: datetime, *, limit: int = STEP) -> bool:
        """Remove a batch of proofs of exchanges from before a moment; return true while there may be more.

        Called after the facts of transfers in the log were disposed of. The database refuses to remove proofs
        from the last year.
        """
        return await self._remove(_DISPOSE, before, limit)

    async def _remove(self, sql: str, before: datetime, limit: int) -> bool:
        ((gone,),) = await self._work.look(sql, before, limit)
        if gone:
            self._work.use()
        return bool(gone >= limit)
