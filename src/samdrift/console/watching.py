"""The watch over the access point, which records in the operator's log when it could be reached.

Every few seconds it checks that the listener answers over TLS, that a running process reports the role as
served, and that no necessary dependency is gone. The result is recorded every hour and at the end; if the
console is killed, at most one hour is lost, which then counts as not watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from samdrift.audit.operations import unexpected
from samdrift.config.model import Config, SocketAddress
from samdrift.console.availability import Watched
from samdrift.console.events import ConsoleEvent
from samdrift.console.opened import Open
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Role
from samdrift.installation.metrics import NEEDED
from samdrift.installation.reports import Ask

EVERY = timedelta(seconds=4)
"""Interval between two checks: a silence of ten seconds spans at least two."""
_PATIENCE = 3.0
_AN_ENTRY = timedelta(hours=1)
_MISSED = EVERY * 5
"""Gap between checks, as when the machine slept, after which a new period of watching begins."""


@dataclass
class Watch:
    """The current watch over the access point, with the results that are not recorded yet."""

    reached: Callable[[], Awaitable[bool]]
    opened: Open
    clock: Clock
    _since: datetime | None = None
    _last: datetime | None = None
    _silent: datetime | None = None
    """Start of the current silence."""
    _silences: list[tuple[datetime, datetime]] = field(default_factory=list)
    _unrecorded: list[Watched] = field(default_factory=list)

    def now(self) -> tuple[Watched, ...]:
        """Return the periods of watching that are not recorded yet."""
        return (*self._unrecorded, *([current] if (current := self._current()) else []))

    async def look(self) -> None:
        """Check once, and record what is due."""
        reached, now = await self.reached(), self.clock()
        if self._last is not None and now - self._last > _MISSED:
            self._end()
        self._since = self._since or now
        self._last = now
        if reached and self._silent is not None:
            self._silences.append((self._silent, now))
            self._silent = None
        elif not reached:
            self._silent = self._silent or now
        if now - self._since >= _AN_ENTRY:
            self._turn(now)
        await self.record()

    async def record(self) -> None:
        """Record what is due in the operator's log; while that is impossible, keep it for later."""
        with contextlib.suppress(Explained):
            while self._unrecorded:
                gate = (await self.opened()).gate
                facts = self._unrecorded[0].facts()
                await gate.operator_log(ConsoleEvent.AVAILABILITY_MEASURED, **facts)
                del self._unrecorded[0]

    async def keep(self) -> None:
        """Check repeatedly until cancelled, and then record the rest."""
        log = unexpected("the watch over the access point")
        try:
            while True:
                try:
                    await self.look()
                except Exception as error:
                    log(error)
                await asyncio.sleep(EVERY.total_seconds())
        finally:
            self._end()
            await self.record()

    def _current(self) -> Watched | None:
        if self._since is None or self._last is None or self._last <= self._since:
            return None
        going_on = [(self._silent, self._last)] if self._silent is not None else []
        return Watched((self._since, self._last), (*self._silences, *going_on))

    def _turn(self, now: datetime) -> None:
        """End the current period and begin a new one, carrying over a silence that has not ended."""
        silent = self._silent is not None
        self._end()
        self._since = self._last = now
        self._silent = now if silent else None

    def _end(self) -> None:
        self._unrecorded += [current] if (current := self._current()) else []
        self._since = self._last = self._silent = None
        self._silences = []


def reached(config: Config, ask: Ask) -> Callable[[], Awaitable[bool]]:
    """Return a function that checks from this machine whether the access point can be reached."""

    async def ask_now() -> bool:
        if config.access_point is None:
            return False
        try:
            async with asyncio.timeout(_PATIENCE):
                running = await ask()
        except (Explained, OSError):
            return False
        gone = {one.dependency for each in running for one in each.conditions if one.gone_since}
        serves = any(Role.ACCESS_POINT in each.roles for each in running)
        return serves and not gone & NEEDED and await _answers(config.access_point.listen)

    return ask_now


async def _answers(address: SocketAddress) -> bool:
    """Return whether a listener answers over TLS; its certificate is left to the doctor."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(address.called, address.port, ssl=tls)
    except OSError:
        return False
    writer.transport.abort()
    return True
