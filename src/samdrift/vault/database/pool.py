"""Connections of many logins: opened on demand, kept while they are used, closed when idle.

A login belongs to one vault, so that a connection is never lent to another.
The whole process has a limit; at the limit the connection that has been idle
longest makes room, and one vault alone can hold only a part of it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from samdrift.vault.database.session import Session
from samdrift.vault.errors import VaultUnavailable


@dataclass(frozen=True, slots=True)
class Login:
    """A login and its libpq connection string; the password is in both and never shown."""

    name: str
    password: str = field(repr=False)
    address: str = field(repr=False)


LogIn = Callable[[Login], Awaitable[Session]]
"""Opens a session: the password of a login may have changed since it was read."""


async def _as_it_is(login: Login) -> Session:
    return await Session.connect(login.address)


class Pool:
    """Lends sessions, one task each."""

    def __init__(self, most: int, most_per_login: int, idle: timedelta, log_in: LogIn = _as_it_is) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle_seconds = idle.total_seconds()
        self._log_in = log_in
        self._room = asyncio.Semaphore(most)
        self._most = most
        self._most_per_login = most_per_login
        self._room_of: defaultdict[str, asyncio.Semaphore] = defaultdict(self._login_room)
        self._idle: OrderedDict[Session, tuple[str, float]] = OrderedDict()
        self._idle_of: defaultdict[str, list[Session]] = defaultdict(list)
        self._backends: set[int] = set()
        self._lent = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return self._lent + len(self._idle)

    def owns(self, backend: int) -> bool:
        """Return whether a server process serves one of this pool's connections."""
        return backend in self._backends

    async def borrow(self, login: Login) -> Session:
        """A session of ``login``, for the caller alone until it is given back."""
        await self._room_of[login.name].acquire()
        try:
            await self._room.acquire()
        except BaseException:
            self._room_of[login.name].release()
            raise
        self._lent += 1
        try:
            return self._waiting(login) or await self._connect(login)
        except BaseException:
            self._leave(login)
            raise

    def give_back(self, login: Login, session: Session) -> None:
        """Keep the session for the next one, unless it broke."""
        self._leave(login)
        if self._closed:
            session.close()
        elif not session.closed:
            self._idle[session] = (login.name, self._loop.time())
            self._idle_of[login.name].append(session)
            if self._timer is None:
                self._timer = self._loop.call_later(self._idle_seconds, self._reap)

    def close(self) -> None:
        """Hang up on everything idle; what is lent is closed when it comes back."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        while self._idle:
            self._drop(next(iter(self._idle)))

    def _login_room(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self._most_per_login)

    def _leave(self, login: Login) -> None:
        self._lent -= 1
        self._room.release()
        self._room_of[login.name].release()

    def _waiting(self, login: Login) -> Session | None:
        """The session of this login that was used last, if it still stands."""
        sessions = self._idle_of[login.name]
        while sessions:
            session = sessions.pop()
            del self._idle[session]
            if not session.closed:
                return session
        return None

    async def _connect(self, login: Login) -> Session:
        if self._closed:
            raise VaultUnavailable
        if self.open > self._most:
            self._drop(next(iter(self._idle)))
        session = await self._log_in(login)
        self._backends.add(session.backend)
        session.on_close = partial(self._backends.discard, session.backend)
        return session

    def _drop(self, session: Session) -> None:
        name, _ = self._idle.pop(session)
        self._idle_of[name].remove(session)
        session.close()

    def _reap(self) -> None:
        """Close what has been idle too long; come back while anything is idle."""
        self._timer = None
        now = self._loop.time()
        while self._idle:
            session = next(iter(self._idle))
            _, since = self._idle[session]
            if now - since < self._idle_seconds:
                self._timer = self._loop.call_later(self._idle_seconds - (now - since), self._reap)
                return
            self._drop(session)
