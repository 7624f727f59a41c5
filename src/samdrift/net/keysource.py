"""Public keys of an issuer or client: fetched, cached, and fetched again when a token names an unknown key.

Cached keys stay in use for some time while the issuer is down, and tokens that name unknown keys do not cause
a fetch each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.wire.jose.jwt import UnverifiedJwt
from samdrift.wire.jose.keys import PublicKey, PublicKeys

_LOGGER = logging.getLogger("samdrift")


class KeysUnavailable(Temporary):
    """The keys are not available now; the text contains no content."""

    def __init__(self, text: str, *, reported: bool = False) -> None:
        """Create the error; ``reported`` is true if the log has a dependency's own line about the cause."""
        super().__init__(text)
        self.reported = reported


Fetch = Callable[[], Awaitable[PublicKeys]]
"""Function that fetches keys, or raises :class:`KeysUnavailable`."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Cache lifetimes of fetched keys."""

    fresh: timedelta = timedelta(minutes=10)
    """Age at which keys are fetched again, while the cached ones stay in use."""
    stale: timedelta = timedelta(hours=4)
    """Age at which keys are no longer used. Tokens expire sooner, and an issuer that is down issues none."""
    pause: timedelta = timedelta(seconds=15)
    """Minimum time between two fetches, whichever keys tokens name."""


class KeptKeys:
    """The cached keys of one issuer or client. Concurrent callers share one fetch."""

    def __init__(self, fetch: Fetch, clock: Clock, keeping: Keeping | None = None) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keeping = keeping or Keeping()
        self._keys: PublicKeys | None = None
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._failure = ""
        """Reason why the last fetch failed."""

    async def fitting(self, token: UnverifiedJwt) -> tuple[PublicKey, ...]:
        """Return keys that may have signed ``token``; raise :class:`KeysUnavailable` if there are none."""
        if not self._younger(self._keeping.stale):
            await self._refresh()
        elif not self._younger(self._keeping.fresh):
            self._begin()
        found = self._usable().fitting(token.algorithm, token.kid)
        if not found:
            await self._refresh()
            found = self._usable().fitting(token.algorithm, token.kid)
        return found

    async def all(self) -> PublicKeys:
        """Return all keys; raise :class:`KeysUnavailable` if there are none."""
        if not self._younger(self._keeping.fresh):
            await self._refresh()
        return self._usable()

    def take(self, keys: PublicKeys) -> None:
        """Cache keys that were just obtained in another way, as if they had been fetched."""
        self._keys, self._fetched_at = keys, self._clock()

    def _usable(self) -> PublicKeys:
        if self._keys is None or not self._younger(self._keeping.stale):
            raise KeysUnavailable("the issuer's keys are not available")
        return self._keys

    def _younger(self, age: timedelta) -> bool:
        return _within(self._fetched_at, age, self._clock())

    async def _refresh(self) -> None:
        task = self._begin()
        if task is not None:
            await asyncio.shield(task)

    def _begin(self) -> asyncio.Task[None] | None:
        """Return the fetch in progress, starting one if needed; ``None`` if the last one was too recent."""
        if self._fetching is None or self._fetching.done():
            now = self._clock()
            if _within(self._tried_at, self._keeping.pause, now):
                return None
            self._tried_at = now
            self._fetching = asyncio.create_task(self._run())
        return self._fetching

    async def _run(self) -> None:
        try:
            self._keys = await self._fetch()
        except KeysUnavailable as failure:
            if not failure.reported and self._failure != str(failure):
                _LOGGER.warning("keys of an issuer: %s", failure)
            self._failure = str(failure)
        else:
            self._failure = ""
            self._fetched_at = self._clock()


def _within(then: datetime | None, age: timedelta, now: datetime) -> bool:
    return then is not None and abs(now - then) < age
