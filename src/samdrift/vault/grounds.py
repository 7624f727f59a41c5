"""Vaults of roles that check other parties' certificates, and keep the grounds and the signatures.

A log entry names grounds and signatures by their SHA-256; the log is witnessed, so nothing can be substituted
for them later.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from samdrift.vault.database.session import Byteas, call
from samdrift.vault.opening import Vault
from samdrift.wire.verdicts import MAX_SIGNED, Grounds, SignedPart

_KEEP = call("keep_grounds", 2)
_DISPOSE = "SELECT dispose_grounds($1)"
_READ = "SELECT sha256, content FROM grounds WHERE sha256 = ANY($1::text[])"


class JudgingVault(Vault):
    """A vault that keeps the grounds for its log's verdicts on other parties' certificates."""

    def keep_grounds(self, grounds: Grounds | None, *, now: datetime) -> dict[str, str]:
        """Keep the grounds of a certificate's verdict, and return the fact that names them in a log entry.

        Returns no fact if there are no grounds. Each is stored once, however often its peer sends or
        receives.
        """
        if grounds is None:
            return {}
        name, known, day = grounds.name, self._room.grounds, now.date()
        if not known.has(name, day):
            self._work.arrange(_KEEP, Byteas((grounds.document, *grounds.pieces)), now)

            async def remember() -> None:
                known.add(name, day)

            self._work.after_commit(remember)
        return {"grounds": name}

    def keep_signature(self, signed: SignedPart | None, *, now: datetime) -> dict[str, str]:
        """Keep another party's signature with the grounds; return the facts that name it in a log entry.

        Returns no facts without a signature, or if the signed content is implausibly long.
        """
        if signed is None or len(signed.info) > MAX_SIGNED:
            return {}
        self._work.arrange(_KEEP, Byteas((signed.info, signed.value)), now)
        return signed.facts

    async def grounds(self, names: Collection[str]) -> dict[str, bytes]:
        """Return those of the named pieces and documents that are kept, by SHA-256 in hex."""
        return dict(await self._work.query(_READ, list(names)))

    async def dispose_grounds(self, before: datetime) -> int:
        """Remove grounds named only by entries from before a moment; return their number.

        The database refuses to remove those of the last year.
        """
        ((gone,),) = await self._work.query(_DISPOSE, before)
        return int(gone)
