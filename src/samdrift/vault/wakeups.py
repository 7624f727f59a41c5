"""Notifications from the database about what other processes stored and about changed registrations.

A notification carries only the name of its channel, which is random, so listening on a guess reveals
nothing. This process already knows what it stored itself, so its own notifications are dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from samdrift.audit.operations import unexpected
from samdrift.contracts.errors import for_operator
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
"""Seconds after which the registry is read even without a notification, since one may have been lost."""
_HEARD_AFTER = 2.0
"""Seconds after a login before listeners learn of it, so that the task that logged in goes first."""
_LOGGER = logging.getLogger("samdrift")


class Wakeups:
    """One listening connection for the whole process, which is opened again when it is lost."""

    def __init__(
        self,
        log_in: Callable[[], Awaitable[Session]],
        registry: Registry,
        ours: Callable[[int], bool],
        revive: Callable[[], Awaitable[None]],
    ) -> None:
        """Initialise with ``log_in``, which opens a session that reads the registry.

        ``ours`` returns whether a backend serves this process; ``revive`` restarts a server that died.
        """
        self._revive = revive
        self._log_in = log_in
        self._registry = registry
        self._ours = ours
        self._session: Session | None = None
        self._channels: dict[str, Hosted] = {}
        self._registrations_changed = ""
        self._on_news: list[Callable[[], None]] = []
        self._rows: list[Row] | None = None
        """The registrations that are listened to; ``None`` if they have to be listened to again."""
        self._listeners: set[Listener] = set()
        self._own: set[Listener] = set()
        self._asking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unexpected = unexpected("the connection that listens to the database")
        self._failure = ""
        """The reason why a server that died cannot be restarted, as last logged."""

    async def start(self) -> None:
        """Read the registry and start listening; :class:`VaultUnavailable` if that fails."""
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
        """Yield vaults in which something is waiting, from now on.

        Notifications about a vault that has not been yielded yet count as one. With ``own``, vaults in which
        this process itself has stored something (:meth:`stored`) are included.
        """
        listener = Listener(self._leave)
        self._listeners.add(listener)
        if own:
            self._own.add(listener)
        return listener.heard()

    @property
    def registry_channel(self) -> str:
        """Return the channel on which processes are notified of changes in the registry."""
        return self._registrations_changed

    def on_registry_news(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` whenever something may have changed in the registry."""
        self._on_news.append(notify)

    def stored(self, hosted: Hosted) -> None:
        """Notify listeners for this process's own changes that it has stored something in a vault."""
        for listener in self._own:
            listener.tell(hosted)

    def tell_all(self) -> None:
        """Notify all listeners in this process that something may be waiting in every vault."""
        for channel in self._channels:
            self._tell(channel)

    def _leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        self._own.discard(listener)

    async def ask(self, sql: str, *values: Value) -> list[Row]:
        """Query the registry on the listening connection; :class:`VaultUnavailable` while there is none."""
        async with self._asking:
            if self._session is None:
                raise VaultUnavailable("not connected to the database")
            return (await self._session.run([(sql, values)]))[0]

    async def look_again(self) -> None:
        """Read the registry now, on a separate connection, since notifications may still be on their way."""
        session = await self._log_in()
        try:
            (rows,) = await session.run([(REGISTRATIONS, ())])
        finally:
            session.close()
        self._registry.replace(map(Registration.from_row, rows))
        self._rows = None  # The channels are adjusted at the next refresh.

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._refresh()
            except Exception as error:
                if not isinstance(error, VaultError):
                    self._unexpected(error)
                await asyncio.sleep(_AGAIN_AFTER)
                await self._restart()
                self._changed.set()
            else:
                self._failure = ""

    async def _restart(self) -> None:
        """Restart a server that has died; log once why that is not possible, and never fail."""
        try:
            await self._revive()
        except VaultError as error:
            if self._failure != (why := for_operator(error)):
                _LOGGER.error("database: %s", why)
            self._failure = why
        except Exception as error:
            self._unexpected(error)

    async def _refresh(self) -> None:
        """Listen to every vault, and notify listeners of new ones, in case a notification was missed."""
        async with self._asking:
            await self._listen()

    async def _listen(self) -> None:
        session = self._session
        if session is None or session.closed:
            session = self._session = await self._log_in()
            session.on_notification = self._notified
            session.on_close = self._changed.set
            self._channels, self._rows = {}, None
        elif (await session.run([(REGISTRATIONS, ())]))[0] == self._rows:
            return
        _, ((self._registrations_changed,),), rows = await session.run(
            [(_LISTEN, ()), (_REGISTRY_CHANNEL, ()), (REGISTRATIONS, ())]
        )
        before = self._channels.keys()
        self._registry.replace(Registration.from_row(row) for row in rows)
        known = self._registry.all()
        self._channels = {one.channel: (one.organisation, one.role) for one in known if one.active}
        for channel in self._channels.keys() - before:
            self._tell(channel)
        self._rows = rows

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
        """Add a vault to the pending notifications."""
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
    """Vaults to which this process has just logged in, for tasks that look into each now and then.

    Most of the cost of such a look is the login: the server starts a process, which reads the catalogues
    of its database. So these tasks learn of each login a moment later, while its connection is still
    open.
    """

    def __init__(self, after: float = _HEARD_AFTER) -> None:
        self._after = after
        self._known: dict[str, Hosted] = {}
        self._listeners: dict[Listener, Role | None] = {}
        """Each listener with the role whose vaults it looks into; ``None`` for all roles."""

    def know(self, login: str, hosted: Hosted) -> None:
        """Register the vault that a login belongs to."""
        self._known[login] = hosted

    def begun(self, login: str) -> None:
        """Note that a login opened a connection, and notify listeners a moment later."""
        hosted = self._known.get(login)
        if hosted is not None and self._listeners:
            asyncio.get_running_loop().call_later(self._after, self._tell, hosted)

    def listen(self, role: Role | None = None) -> AsyncIterator[Hosted]:
        """Yield vaults with an open connection, from now on: looking into them needs no login.

        With a role, only vaults in that role are yielded, so that other logins do not wake the listener.
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
