"""What the message service's vault holds for its message clients' access tokens."""

from __future__ import annotations

from datetime import datetime

from samdrift.vault.database.session import call
from samdrift.vault.opening import Vault
from samdrift.wire.crypto.keys import TokenKey

_USE = call("use_assertion", 3)


class Tokens(Vault):
    """The part of the message service's vault that is about access tokens."""

    def token_keys(self, *, now: datetime) -> tuple[TokenKey, ...]:
        """The organisation's keys for access tokens: the first signs, all of them verify."""
        self._work.use()
        return self._room.keys.token_keys(self._room.vault, now.date())

    async def use_assertion(self, mark: bytes, *, until: datetime, now: datetime) -> bool:
        """Take a client's assertion, valid until ``until``; false when it has been used (RFC 7523 3).

        ``mark`` stands for the client and its ``jti``.
        """
        ((fresh,),) = await self._work.query(_USE, mark, until, now)
        return bool(fresh)
