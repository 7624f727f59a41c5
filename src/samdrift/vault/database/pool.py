"""Connections of many logins: opened on demand, kept while they are used, closed when idle.

A login belongs to one vault, so a connection is never lent to another vault. Opening a connection costs a
login and a cold server process, several times as much as an opening of a vault. So a login that has one waits
a moment for it to come back before it opens another; a few connections are opened at a time, in fair turns
between vaults; and at the limit of the process, idle ones are closed to make room: first where a login has
more than one, then the one idle longest. A busy vault keeps its connection for as long as others can wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from samdrift.scheduling.places import Turns
from samdrift.vault.database.session import Session
from samdrift.vault.errors import VaultUnavailable

_LOGINS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Login:
    """A login and its libpq connection string; the password is in both and never shown."""

    name: str
    password: str = field(repr=False)
    address: str = field(repr=False)


LogIn = Callable[[Login], Awaitable[Session]]
"""A function that opens a session; the password of a login may have changed since it was read."""


async def _as_it_is(login: Login) -> Session:
    return await Session.connect(login.address)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait before opening or closing a connection, in case that proves unnecessary."""

    own: float = 0.1
    """Wait for one of the login's own connections to come back before another is opened."""
    busy: float = 0.5
    """Time after its last use during which a connection's vault counts as busy."""
    others: float = 1.0
    """Wait for a vault that is not busy; after that, the longest idle connection is closed, busy or not."""
    rest: float = 1.0
    """Idle time after which a new use is counted: openings in quick succession count as one use."""


@dataclass(slots=True)
class _Line:
    """The connections of one login, and the callers waiting for one of them."""

    open: int = 0
    """Number of connections, including those being opened."""
    idle: list[Session] = field(default_factory=list)
    waiting: deque[asyncio.Future[Session | None]] = field(default_factory=deque)

    def hand(self, session: Session | None) -> bool:
        """Give the caller waiting longest a session, or ``None`` to open another; false if none waits."""
        while self.waiting:
            given = self.waiting.popleft()
            if not given.done():
                given.set_result(session)
                return True
        return False


class Pool:
    """A pool that lends sessions, each to one task at a time."""

    def __init__(
        self,
        most: int,
        most_per_login: int,
        idle: timedelta,
        log_in: LogIn = _as_it_is,
        patience: Patience | None = None,
    ) -> None:
        self.most = most
        """Maximum number of open connections. This and the idle times may change."""
        self.idle = idle
        self.idle_at_first = idle
        """Idle time after a single use; it grows with the square of the number of uses, up to ``idle``."""
        self._loop = asyncio.get_running_loop()
        self._log_in = log_in
        self._most_per_login = most_per_login
        self._patience = patience or Patience()
        self._turns = Turns(_LOGINS_AT_ONCE)
        self._lines: dict[str, _Line] = {}
        self._idle: OrderedDict[Session, tuple[str, float]] = OrderedDict()
        """Login of each idle session and the time since which it is idle, the longest idle first."""
        self._uses: dict[Session, int] = {}
        """Number of uses of each open session, separated by rests."""
        self._open = 0
        self._wanting: list[object] = []
        """Callers that wait for room, in the order in which they get it."""
        self._impatient = 0
        """Number of callers that have waited too long for room."""
        self._changed = asyncio.Event()
        self._backends: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def open(self) -> int:
        """Number of connections that are open now, or being opened."""
        return self._open

    def owns(self, backend: int) -> bool:
        """Return whether a server process serves one of this pool's connections."""
        return backend in self._backends

    async def borrow(self, login: Login) -> Session:
        """Return a session of ``login``, for the caller alone until it is given back."""
        waited = False
        while True:
            line = self._lines.setdefault(login.name, _Line())
            session = self._waiting(login.name, line)
            if session is None:
                if not line.open or (waited and line.open < self._most_per_login):
                    return await self._connect(login)
                session = await self._returned(login.name, line)
                waited = True
            if session is not None:
                if not session.closed:
                    return session
                self._gone(login.name, self._lines[login.name])

    def give_back(self, login: Login, session: Session) -> None:
        """Keep the session for the next caller, unless it broke or another vault has waited too long."""
        line = self._lines[login.name]
        if session.closed or self._closed or self._impatient:
            session.close()
            self._gone(login.name, line)
        else:
            self._keep(login.name, line, session)

    def close(self) -> None:
        """Close all idle sessions now; those in use are closed when they are given back."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        while self._idle:
            self._drop(next(iter(self._idle)))

    def _keep(self, name: str, line: _Line, session: Session) -> None:
        """Hand a session to the next waiting caller, or keep it idle."""
        if line.hand(session):
            return
        self._idle[session] = (name, self._loop.time())
        line.idle.append(session)
        self._notify()
        if self._timer is None:
            self._timer = self._loop.call_later(self._most_idle(session), self._reap)

    def _most_idle(self, session: Session) -> float:
        """Return the seconds for which a session is kept unused."""
        return min(self.idle, self.idle_at_first * self._uses.get(session, 1) ** 2).total_seconds()

    def _waiting(self, name: str, line: _Line) -> Session | None:
        """Return the login's most recently used idle session that is still connected, if there is one."""
        while line.idle:
            session = line.idle.pop()
            _, since = self._idle.pop(session)
            if not session.closed:
                if self._loop.time() - since >= self._patience.rest:
                    self._uses[session] += 1
                return session
            self._gone(name, line)
        return None

    async def _returned(self, name: str, line: _Line) -> Session | None:
        """Return a session of the login that is given back; ``None`` if another may be opened instead."""
        mine: asyncio.Future[Session | None] = self._loop.create_future()
        line.waiting.append(mine)
        may_open = line.open < self._most_per_login
        try:
            await asyncio.wait([mine], timeout=self._patience.own if may_open else None)
        except asyncio.CancelledError:
            if mine.done():  # Something was handed over just before the cancellation.
                if (session := mine.result()) is not None:
                    self._keep(name, line, session)
                else:
                    line.hand(None)
            raise
        finally:
            with contextlib.suppress(ValueError):
                line.waiting.remove(mine)
        return mine.result() if mine.done() else None

    async def _connect(self, login: Login) -> Session:
        """Open a session, in turn and once there is room."""
        line = self._lines.setdefault(login.name, _Line())
        line.open += 1
        counted = False
        try:
            async with self._turns.turn(login.name):
                if self._closed:
                    raise VaultUnavailable("this process is shutting down")
                await self._make_room()
                counted = True
                session = await self._log_in(login)
        except BaseException:
            self._gone(login.name, line, counted=counted)
            raise
        self._backends.add(session.backend)
        self._uses[session] = 1
        session.on_close = partial(self._forget, session)
        return session

    def _forget(self, session: Session) -> None:
        self._backends.discard(session.backend)
        self._uses.pop(session, None)

    async def _make_room(self) -> None:
        """Wait until one more connection may be open, and count it."""
        began = self._loop.time()
        patient, place = True, object()
        self._wanting.append(place)
        try:
            while self._open >= self.most or self._wanting[0] is not place:
                left = self._patience.others - (self._loop.time() - began)
                if patient and left <= 0:
                    patient = False
                    self._impatient += 1
                spare = self._spare(patient=patient) if self._open >= self.most else None
                if spare is not None:
                    self._drop(spare)
                else:
                    await self._change(min(left, self._patience.busy) if patient else None)
            self._open += 1
        finally:
            self._impatient -= not patient
            self._wanting.remove(place)
            self._notify()

    def _spare(self, *, patient: bool) -> Session | None:
        """Return the idle session to close: one of a login with several, else the one idle longest."""
        for session, (name, _) in self._idle.items():
            if self._lines[name].open > 1:
                return session
        for session, (_, since) in self._idle.items():
            busy = self._loop.time() - since < self._patience.busy
            return None if patient and busy else session
        return None

    async def _change(self, within: float | None) -> None:
        """Wait until a session is given back or closed, or until a number of seconds has passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _gone(self, name: str, line: _Line, *, counted: bool = True) -> None:
        """Stop counting a session that was closed or not opened; a caller waiting for it may open another."""
        line.open -= 1
        self._open -= counted
        line.hand(None)
        self._notify()
        if not line.open and not line.waiting and self._lines.get(name) is line:
            del self._lines[name]

    def _drop(self, session: Session) -> None:
        name, _ = self._idle.pop(session)
        line = self._lines[name]
        line.idle.remove(session)
        session.close()
        self._gone(name, line)

    def _reap(self) -> None:
        """Close sessions that have been idle too long; repeat later while any session is idle."""
        self._timer = None
        now = self._loop.time()
        left = math.inf
        for session, (_, since) in list(self._idle.items()):
            wait = since + self._most_idle(session) - now
            if wait <= 0:
                self._drop(session)
            else:
                left = min(left, wait)
        if self._idle:
            # At intervals, not for each session: there may be a thousand.
            wait = max(left, self.idle_at_first.total_seconds() / 5)
            self._timer = self._loop.call_later(wait, self._reap)
