"""Hears from the database what other processes stored, and when registrations change.

A notification carries only the name of its channel, which is random: listening on a guess reveals nothing.
This process already knows what it stored itself, so its own notifications are dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from samdrift.contracts.principals import Role
from samdrift.vault.database.session import Row, Session, Value
from samdrift.vault.errors import VaultError, VaultUnavailable
from samdrift.vault.registry import REGISTRATIONS, Registration, Registry
from samdrift.wire.identifiers import ParticipantIdentifier

Hosted = tuple[ParticipantIdentifier, Role]

_LISTEN = """
DO $$ DECLARE channel text; BEGIN
    FOR channel IN SELECT r.channel FROM registrations r UNION SELECT i.channel FROM installation i LOOP
        EXECUTE format('LISTEN %I', channel);
    END LOOP;
END $$
"""
_REGISTRY_CHANNEL = "SELECT channel FROM installation"
_AGAIN_AFTER = 1.0
_LOOK_SECONDS = 30.0
"""After which the registry is read also when no notification came: one may have been lost."""
_HEARD_AFTER = 2.0
"""Seconds after a login until others hear of it, so that its maker comes first."""


class Wakeups:
    """One listening connection for the whole process; it comes back by itself when it is lost."""

    def __init__(
        self,
        log_in: Callable[[], Awaitable[Session]],
        registry: Registry,
        ours: Callable[[int], bool],
        revive: Callable[[], Awaitable[None]],
    ) -> None:
        """``log_in`` opens a session that reads the registry.

        ``ours`` tells which backends serve this process; ``revive`` brings back a server that died.
        """
        self._revive = revive
        self._log_in = log_in
        self._registry = registry
        self._ours = ours
        self._session: Session | None = None
        self._channels: dict[str, Hosted] = {}
        self._registrations_changed = ""
        self._on_news: list[Callable[[], None]] = []
        self._rows: list[Row] = []
        """The registrations as they were read last."""
        self._listeners: set[Listener] = set()
        self._own: set[Listener] = set()
        self._asking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the registry and listen from now on; :class:`VaultUnavailable` when that fails."""
        await self._refresh()
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._session is not None:
            self._session.close()

    def listen(self, *, own: bool = False) -> AsyncIterator[Hosted]:
        """Vaults in which something waits, from now on; what is told twice before it is taken comes once.

        With ``own`` also those of which this process itself tells (:meth:`stored`).
        """
        listener = Listener(self._leave)
        self._listeners.add(listener)
        if own:
            self._own.add(listener)
        return listener.heard()

    @property
    def registry_channel(self) -> str:
        """The channel on which processes hear that something changed in the registry."""
        return self._registrations_changed

    def on_registry_news(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` whenever something may have changed in the registry."""
        self._on_news.append(notify)

    def stored(self, hosted: Hosted) -> None:
        """Notify listeners of this process itself that it has stored something in a vault."""
        for listener in self._own:
            listener.tell(hosted)

    def tell_all(self) -> None:
        """Notify all listeners here that something may wait in every vault."""
        for channel in self._channels:
            self._tell(channel)

    def _leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        self._own.discard(listener)

    async def ask(self, sql: str, *values: Value) -> list[Row]:
        """Ask the registry on the connection that listens; :class:`VaultUnavailable` while there is none."""
        async with self._asking:
            if self._session is None:
                raise VaultUnavailable("not connected to the database")
            return (await self._session.run([(sql, values)]))[0]

    async def look_again(self) -> None:
        """Read the registry now, on a connection of its own: news of what changed may still be on its way."""
        session = await self._log_in()
        try:
            (rows,) = await session.run([(REGISTRATIONS, ())])
        finally:
            session.close()
        self._registry.replace(map(Registration.from_row, rows))
        self._rows = []  # What is listened to is behind until the next refresh.

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._refresh()
            except VaultError:
                await asyncio.sleep(_AGAIN_AFTER)
                with contextlib.suppress(VaultError):
                    await self._revive()
                self._changed.set()

    async def _refresh(self) -> None:
        """Listen to every vault there is, and tell of those that may have spoken while nobody listened."""
        async with self._asking:
            await self._listen()

    async def _listen(self) -> None:
        session = self._session
        if session is None or session.closed:
            session = self._session = await self._log_in()
            session.on_notification = self._notified
            session.on_close = self._changed.set
            self._channels = {}
        elif (await session.run([(REGISTRATIONS, ())]))[0] == self._rows:
            return
        _, ((self._registrations_changed,),), self._rows = await session.run(
            [(_LISTEN, ()), (_REGISTRY_CHANNEL, ()), (REGISTRATIONS, ())]
        )
        before = self._channels.keys()
        self._registry.replace(Registration.from_row(row) for row in self._rows)
        known = self._registry.all()
        self._channels = {one.channel: (one.organisation, one.role) for one in known if one.active}
        for channel in self._channels.keys() - before:
            self._tell(channel)

    def _notified(self, channel: str, backend: int) -> None:
        if channel == self._registrations_changed:
            self._changed.set()
            for notify in self._on_news:
                notify()
        elif channel in self._channels and not self._ours(backend):
            self._tell(channel)

    def _tell(self, channel: str) -> None:
        for listener in self._listeners:
            listener.tell(self._channels[channel])


class Listener:
    """The pending notifications of one listener."""

    def __init__(self, leave: Callable[[Listener], None]) -> None:
        self._leave = leave
        self._waiting: dict[Hosted, None] = {}
        self._told = asyncio.Event()

    def tell(self, hosted: Hosted) -> None:
        """Have a vault heard of."""
        self._waiting[hosted] = None
        self._told.set()

    async def heard(self) -> AsyncIterator[Hosted]:
        """Yield the notified vaults until cancelled."""
        try:
            while True:
                await self._told.wait()
                while self._waiting:
                    hosted = next(iter(self._waiting))
                    del self._waiting[hosted]
                    yield hosted
                self._told.clear()
        finally:
            self._leave(self)


class Visits:
    """Vaults that this process has just logged in to, for those who look into each now and then.

    Most of what such a look costs is the login: a process of the server that begins, and reads the
    catalogues of its database. So whoever looks hears of each login, a moment after it, while its
    connection still stands.
    """

    def __init__(self, after: float = _HEARD_AFTER) -> None:
        self._after = after
        self._known: dict[str, Hosted] = {}
        self._listeners: dict[Listener, Role | None] = {}
        """Each with the role whose vaults it looks into; of all roles without one."""

    def know(self, login: str, hosted: Hosted) -> None:
        """Know whose vault a login is to."""
        self._known[login] = hosted

    def begun(self, login: str) -> None:
        """Note that a connection was opened by a login."""
        hosted = self._known.get(login)
        if hosted is not None and self._listeners:
            asyncio.get_running_loop().call_later(self._after, self._tell, hosted)

    def listen(self, role: Role | None = None) -> AsyncIterator[Hosted]:
        """Yield vaults to which a connection stands, from now on: a look into them takes no login.

        Those in ``role`` alone, so that no other login wakes whoever looks into these.
        """
        listener = Listener(self._leave)
        self._listeners[listener] = role
        return listener.heard()

    def _leave(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)

    def _tell(self, hosted: Hosted) -> None:
        for listener, role in self._listeners.items():
            if role in (None, hosted[1]):
                listener.tell(hosted)
