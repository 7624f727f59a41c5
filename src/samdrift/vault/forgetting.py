"""Forgetting, in access point and message service: facts that find duplicates, and proofs of exchanges.

The two have rules of their own (:mod:`samdrift.vault.retention`). A fact that finds a duplicate goes by
itself when no sender can repeat what it is about. What proves an exchange stays for as long as the log
says what it proves, and goes by the decision that disposes of that.
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
        """Remove a step of the facts that find duplicates and are too old; true while there may be more.

        The database refuses to remove what is younger, whatever the clock of this process says. Where nothing
        is removed, that it was looked for leaves no entry in the log.
        """
        return await self._remove(_FORGET, self._reason.clock() - DUPLICATE_WINDOW - _CLOCKS, limit)

    async def dispose_proofs(self, before: datetime, *, limit: int = STEP) -> bool:
        """Remove a step of the proofs of exchanges from before a moment; true while there may be more.

        For whoever has disposed of the facts of transfers in the log. The database refuses the last year's.
        """
        return await self._remove(_DISPOSE, before, limit)

    async def _remove(self, sql: str, before: datetime, limit: int) -> bool:
        ((gone,),) = await self._work.look(sql, before, limit)
        if gone:
            self._work.use()
        return bool(gone >= limit)
