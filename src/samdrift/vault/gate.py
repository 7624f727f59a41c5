"""The gate: the only way to an organisation's data, keys and log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any, Literal, NoReturn, Self, TypeVar, overload

from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.audit.operations import record_behind
from samdrift.contracts.clock import Clock
from samdrift.contracts.cover import COVERED, COVERED_PURPOSES, Cover, Covers
from samdrift.contracts.principals import ORGANISATIONS_OWN, Principal, PrincipalKind, Purpose, Role
from samdrift.keystore.interface import OPERATOR_KEYS, DataKeys, KeyStore
from samdrift.scheduling.claims import Claimant
from samdrift.scheduling.leases import Leases
from samdrift.scheduling.signals import Signals
from samdrift.vault import logbook
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.aftermath import Aftermath
from samdrift.vault.announcing import Announcements
from samdrift.vault.bodies import Shelf
from samdrift.vault.database.capacity import ROOM, UNKNOWN_ROOM, Capacity
from samdrift.vault.database.pool import Login, Pool
from samdrift.vault.database.server import Database
from samdrift.vault.database.session import Row, Session, Statement, Value
from samdrift.vault.errors import (
    VaultDenied,
    VaultError,
    VaultLocked,
    VaultSuspended,
    VaultUnavailable,
    VaultUncovered,
)
from samdrift.vault.events import VaultEvent
from samdrift.vault.growth import Growth
from samdrift.vault.leasing import LeaseKeeper, now
from samdrift.vault.logtree import LogTree
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.messageservice import MESSAGE_PROGRESS, MessageServiceVault
from samdrift.vault.moments import NOW, STORED, Moment, Moments
from samdrift.vault.objects import Objects
from samdrift.vault.officers import GovernanceVault
from samdrift.vault.opening import Opening, Reason, Room, Vault
from samdrift.vault.openkeys import KeyFaults, open_keys
from samdrift.vault.portability.arrival import Arrival
from samdrift.vault.portability.departure import Departure
from samdrift.vault.portability.snapshot import snapshot
from samdrift.vault.registry import DUE_MOMENTS, LOGIN_SECRET, Registration, RegistrationState, Registry
from samdrift.vault.sealing import Sealer
from samdrift.vault.settings import VaultSettings
from samdrift.vault.transferdesk import TransferDesk
from samdrift.vault.wakeups import Visits, Wakeups
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.identifiers import ParticipantIdentifier

V = TypeVar("V", bound=Vault)
A = TypeVar("A", bound=Arrival)
D = TypeVar("D", bound=Departure)
_Entrance = Callable[[Room, Reason, Pool], V]

_WITHOUT_READER = """
SELECT vault FROM registrations WHERE reader IS NULL
UNION ALL SELECT NULL FROM installation WHERE reader IS NULL
"""
_VAULTS: Mapping[Role, type[Vault]] = {
    Role.ACCESS_POINT: AccessPointVault,
    Role.MESSAGE_SERVICE: MessageServiceVault,
    Role.MESSAGE_CLIENT: MessageClientVault,
    Role.GOVERNANCE: GovernanceVault,
}
"""The class of the opened vault in each role."""
_OF_MOVES = frozenset({Purpose.EXPORT, Purpose.IMPORT})
"""Purposes for which only a worker may open a vault, even while the organisation is suspended."""
_NEWS_TOGETHER = 0.05
"""Number of seconds for which notifications are collected, since each wakes every listening process."""
_LOGGER = logging.getLogger("samdrift")


class Gate:
    """The gate of a process, or of one role in it, which opens vaults for authorised principals.

    A worker of this platform may open vaults of the roles that the gate was started for. A system or a user
    may open only those of its own organisation. The operator's staff may open none: :meth:`operate` shows
    them transfers without content (invariant 10).
    """

    def __init__(
        self,
        database: Database,
        settings: VaultSettings,
        roles: Collection[Role],
        clock: Clock,
        keys: KeyStore,
        only: Collection[str] | None = None,
        claimant: Claimant | None = None,
    ) -> None:
        self.leases = Leases()
        """Leases of recurring work; for all organisations unless a keeper limits them."""
        self.registry = Registry(self._forget, only, self.leases)
        self.claimant = claimant or Claimant()
        """This process, as named in its claims."""
        self.news = Signals()
        """Signals to waiters in this process that it has changed messages of an organisation."""
        self.denials = 0
        """Number of openings that were denied since the start."""
        self.visits = Visits()
        self._database = database
        self._roles = frozenset(roles)
        self._clock = clock
        self._keys = keys
        self._key_faults = KeyFaults()
        self._objects = Objects(settings.objects)
        self._settings = settings
        self._server_room, self._missing = UNKNOWN_ROOM, 0
        first = Capacity.of(0, UNKNOWN_ROOM)
        self._pool = Pool(first.most, settings.connections_per_vault, first.idle, self._log_in)
        self._operator = database.registry()
        self._wakeups = Wakeups(database.registry_session, self.registry, self._pool.owns, database.revive)
        self._moments = Moments(partial(self._run, self._operator), self._moment)
        self._announcements = Announcements(self._moments.run_with, _NEWS_TOGETHER)
        self._aftermath = Aftermath(self.registry, self._moments, self._announcements, self._wakeups)
        self.growth = Growth(self._announcements.ask, self.leases)
        """The logs that have entries not yet covered by a checkpoint."""
        self._rooms: dict[str, Room] = {}
        self._vaults: dict[str, str] = {}
        """The vault of each current or former login."""
        self._hosted: set[str] = set()
        self._covers: Covers | None = None

    @classmethod
    async def start(
        cls,
        settings: VaultSettings,
        *,
        roles: Collection[Role] = tuple(Role),
        clock: Clock = now,
        keys: KeyStore | None = None,
        database: Database | None = None,
        only: Collection[str] | None = None,
        claimant: Claimant | None = None,
    ) -> Self:
        """Connect to the database, and read the registered vaults; :class:`VaultUnavailable` if that fails.

        The registry must exist (:meth:`Provisioner.install`). ``keys`` is the open key store of ``settings``,
        ``database`` is one that another process keeps running, and ``only`` lists the vaults that this
        process may know of. ``claimant`` names this process in its claims, and lists processes that have
        ended.
        """
        keys = keys or open_keys(settings)
        database = database or await Database.start(settings, keys)
        try:
            gate = cls(database, settings, roles, clock, keys, only, claimant)
            await gate._wakeups.start()
            await gate._measure()
            gate._announcements.start()
            gate._moments.start()
            for vault in only or ():  # An earlier process may have been killed before sending its moment.
                gate._moments.committed(vault, None)
        except BaseException:
            await database.stop()
            raise
        return gate

    def lease_keeper(self, roles: Collection[Role]) -> LeaseKeeper:
        """Return the keeper that shares recurring work in these roles with other processes."""
        keeper = LeaseKeeper(self._wakeups.ask, self.leases, self.claimant, roles)
        keeper.announce = lambda: self._announcements.ask(self._wakeups.registry_channel)
        keeper.found_gone = self._aftermath.ask
        self._wakeups.on_registry_news(keeper.ask)
        return keeper

    @property
    def failed_notifications(self) -> int:
        """Number of failed attempts to notify other processes since the start."""
        return self._announcements.failures

    @property
    def database(self) -> Database:
        """Return the database with the vaults, for the supervisor of processes that open some of them."""
        return self._database

    async def reach(self) -> float:
        """Return the database's time as a POSIX timestamp; :class:`VaultUnavailable` without an answer."""
        return float((await self._run(self._operator, [(NOW, ())]))[0][0][0])

    async def reach_objects(self) -> None:
        """Check that the object store can be reached; :class:`VaultUnavailable` if it cannot."""
        await self._objects.reach()

    async def close(self) -> None:
        """Close all connections; openings still in progress fail with :class:`VaultUnavailable`."""
        async with contextlib.AsyncExitStack() as stack:  # Runs each of these even if another one raises.
            stack.push_async_callback(self._database.stop)
            stack.callback(self._pool.close)
            stack.push_async_callback(self._wakeups.stop)
            stack.push_async_callback(self._moments.stop)
            stack.push_async_callback(self._announcements.stop)
            stack.push_async_callback(self._aftermath.stop)

    @overload
    def open(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        role: Literal[Role.ACCESS_POINT],
        purpose: Purpose,
    ) -> AbstractAsyncContextManager[AccessPointVault]: ...

    @overload
    def open(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        role: Literal[Role.MESSAGE_SERVICE],
        purpose: Purpose,
    ) -> AbstractAsyncContextManager[MessageServiceVault]: ...

    @overload
    def open(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        role: Literal[Role.MESSAGE_CLIENT],
        purpose: Purpose,
    ) -> AbstractAsyncContextManager[MessageClientVault]: ...

    @overload
    def open(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        role: Literal[Role.GOVERNANCE],
        purpose: Purpose,
    ) -> AbstractAsyncContextManager[GovernanceVault]: ...

    @overload
    def open(
        self, principal: Principal, organisation: ParticipantIdentifier, role: Role, purpose: Purpose
    ) -> AbstractAsyncContextManager[Vault, bool | None]: ...

    def open(
        self, principal: Principal, organisation: ParticipantIdentifier, role: Role, purpose: Purpose
    ) -> AbstractAsyncContextManager[Any]:
        """Open the organisation's vault for one unit of work.

        Everything done in it is committed when the block ends and rolled back when it raises, together with
        the log entry that records who opened it and why. When the block is entered, raises
        :class:`VaultDenied` after the denial is in the log, or :class:`VaultSuspended`, to authorised callers
        only, while the organisation is suspended; such an attempt is not logged as a denial.
        """
        reason = Reason(principal, purpose, self._clock)
        allowed = _may(principal, organisation, purpose)
        return Opening(partial(self._admit, _VAULTS[role], organisation, role, reason, allowed))

    @overload
    def worker(self, name: str, role: Literal[Role.ACCESS_POINT]) -> WorkerGate[AccessPointVault]: ...

    @overload
    def worker(self, name: str, role: Literal[Role.MESSAGE_SERVICE]) -> WorkerGate[MessageServiceVault]: ...

    @overload
    def worker(self, name: str, role: Literal[Role.MESSAGE_CLIENT]) -> WorkerGate[MessageClientVault]: ...

    @overload
    def worker(self, name: str, role: Literal[Role.GOVERNANCE]) -> WorkerGate[GovernanceVault]: ...

    def worker(self, name: str, role: Role) -> WorkerGate[Any]:
        """Return this gate for one worker of the platform, named ``name`` in the logs, in one role."""
        who = Principal(PrincipalKind.WORKER, name)
        return WorkerGate(
            lambda organisation, purpose: self.open(who, organisation, role, purpose),
            lambda organisation: self.cover(organisation, role),
            lambda purpose: Reason(who, purpose, self._clock),
        )

    @asynccontextmanager
    async def operate(
        self, principal: Principal, organisation: ParticipantIdentifier
    ) -> AsyncIterator[TransferDesk]:
        """Open the operations on transfers that only the operator's staff may perform, like :meth:`open`."""
        role, reason = Role.ACCESS_POINT, Reason(principal, Purpose.OPERATE, self._clock)
        allowed = principal.kind is PrincipalKind.OPERATOR
        async with Opening(
            partial(self._admit, AccessPointVault, organisation, role, reason, allowed)
        ) as vault:
            yield TransferDesk(vault)

    @asynccontextmanager
    async def depart(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        kind: type[D],
        facts: Mapping[str, str],
    ) -> AsyncIterator[D]:
        """Open a snapshot of everything in a vault, for the organisation's move; for workers only.

        The export is recorded in the vault's log, with ``facts``, before it begins.
        """
        async with self.open(principal, organisation, kind.role, Purpose.EXPORT) as vault:
            vault.record(VaultEvent.ORGANISATION_EXPORT_BEGUN, **facts)
        async with snapshot(self._pool, vault._room.login, vault._room.shelf) as taken:
            yield kind(taken)

    def arrive(
        self, principal: Principal, organisation: ParticipantIdentifier, kind: type[A]
    ) -> AbstractAsyncContextManager[A]:
        """Open a vault to store the data that a moving organisation brings; otherwise like :meth:`open`."""
        reason = Reason(principal, Purpose.IMPORT, self._clock)
        allowed = _may(principal, organisation, Purpose.IMPORT)
        return Opening(partial(self._admit, kind, organisation, kind.role, reason, allowed))

    def covered_by(self, covers: Covers) -> None:
        """Check with ``covers``, from now on, that agreements cover a role before its vault is opened.

        Without this, as in a command that runs separately, agreements are not checked.
        """
        self._covers = covers

    async def cover(self, organisation: ParticipantIdentifier, role: Role) -> Cover:
        """Return how agreements currently cover the organisation's function in a role.

        Raises a temporary error if that cannot be read.
        """
        return COVERED if self._covers is None else await self._covers(organisation, role)

    def wakeups(self, *, statements: bool = False) -> AsyncIterator[tuple[ParticipantIdentifier, Role]]:
        """Return an iterator over vaults in which another process stores something.

        With ``statements``, also those in which this process stores a signed statement.
        """
        return self._wakeups.listen(own=statements)

    async def due(self, role: Role, until: datetime) -> list[tuple[ParticipantIdentifier, datetime]]:
        """Return organisations whose vault in ``role`` has something due by ``until``, each with the time.

        The registry has this information, so no vault is opened.
        """
        with contextlib.suppress(VaultError):
            await self._moments.bring()
        rows = await self._wakeups.ask(DUE_MOMENTS, until)
        if not rows:
            return []
        hosted = {
            one.vault: one.organisation for one in self.registry.all() if one.role is role and one.active
        }
        return [(hosted[vault], when) for vault, when in rows if vault in hosted]

    async def operator_log(self, event: AuditEvent, **facts: str) -> None:
        """Write an event that concerns no hosted organisation in the operator's log."""
        await self._append(self._operator, Happening(self._clock(), event, "platform", "", facts))

    async def record_for_organisation(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        event: AuditEvent,
        facts: Mapping[str, str],
        roles: Sequence[Role] = ORGANISATIONS_OWN,
    ) -> bool:
        """Record an operation on an organisation in its own log, even while it is suspended.

        The entry goes to the organisation's vault in the first of ``roles`` that it has here. Returns false
        if it has none of them, or the vault is locked until its officer unlocks it. The vault is not opened:
        nothing in it can be read this way.
        """
        found = [self.registry.find(organisation, role) for role in roles]
        registration = next((one for one in found if one is not None), None)
        if registration is None:
            return False
        reason = Reason(principal, Purpose.ADMINISTER, self._clock)
        try:
            await self._append((await self._room(registration)).login, reason.happening(event, facts))
        except VaultLocked:
            return False
        self.growth.committed(registration)
        return True

    def operator_tree(self) -> LogTree:
        """Return the signed tree of the operator's log; for a process that has the registry's login."""

        async def record(event: AuditEvent, facts: Mapping[str, str]) -> None:
            await self.operator_log(event, **facts)

        async def keep(sql: str, *values: Value) -> None:
            await self._ask_operator(sql, *values)

        ask = self._ask_operator
        return LogTree(ask, ask, keep, record, lambda: self._keys.log_keys(OPERATOR_KEYS))

    async def pause_signing(self, registration: Registration, reason: str | None) -> None:
        """Record in the operator's log that a vault stopped or, without a reason, resumed signing.

        Writes one entry per change, even if several processes report it repeatedly.
        """
        ((new,),) = await self._ask_operator(logbook.PAUSE, registration.vault, reason, self._clock())
        if new:
            event = VaultEvent.LOG_SIGNING_CONTINUED if reason is None else VaultEvent.LOG_SIGNING_PAUSED
            whose = {"organisation": registration.organisation.value, "role": registration.role.value}
            await self.operator_log(event, **whose, **({} if reason is None else {"reason": reason}))

    async def read_operator_log(self, after: int = 0, limit: int = 500) -> tuple[LogEntry, ...]:
        """Return entries of the operator's log with a sequence number above ``after``, the oldest first."""
        return await self._read_operator_log((logbook.AFTER, (after, limit)))

    async def refused(self, limit: int) -> tuple[LogEntry, ...]:
        """Return the operator's log entries about envelopes for unknown organisations, the latest first."""
        return await self._read_operator_log((logbook.REFUSED, (limit,)))

    async def without_reader(self) -> frozenset[str | None]:
        """Return vaults whose worker lacks a login to the registry; ``None`` is the catch-all worker."""
        (rows,) = await self._run(self._operator, [(_WITHOUT_READER, ())])
        return frozenset(vault for (vault,) in rows)

    async def _ask_operator(self, sql: str, *values: Value) -> list[Row]:
        return (await self._run(self._operator, [(sql, values)]))[0]

    async def _read_operator_log(self, question: Statement) -> tuple[LogEntry, ...]:
        (rows,) = await self._run(self._operator, [question])
        return tuple(map(logbook.entry, rows))

    async def _admit(
        self,
        entrance: _Entrance[V],
        organisation: ParticipantIdentifier,
        role: Role,
        reason: Reason,
        allowed: bool,
    ) -> V:
        registration = self.registry.find(organisation, role)
        if registration is None or role not in self._roles or not allowed:
            await self._deny(registration, organisation, role, reason)
        if not registration.opens_for(reason.purpose):
            raise VaultSuspended
        if self._covers is not None and role is not Role.GOVERNANCE and reason.purpose in COVERED_PURPOSES:
            cover = await self._covers(organisation, role)
            if not cover.mode.receives:
                raise VaultUncovered
        return entrance(await self._room(registration), reason, self._pool)

    async def _deny(
        self,
        registration: Registration | None,
        organisation: ParticipantIdentifier,
        role: Role,
        reason: Reason,
    ) -> NoReturn:
        """Record a denial, in full for the operator and briefly in the vault's own log, and raise an error.

        The organisation's log does not name the other organisation, which may not be publicly known as a
        customer. A reference connects the two entries.
        """
        self.denials += 1
        principal, event = reason.principal, VaultEvent.VAULT_OPENING_DENIED
        facts = {"reference": secrets.token_hex(8)}
        asked = {"organisation": organisation.value, "role": role.value, "of": principal.organisation or ""}
        await self._append(self._operator, reason.happening(event, facts | asked))
        if registration is not None:
            if principal.organisation not in (None, organisation.value):
                stranger = Principal(principal.kind, "of another organisation")
                reason = Reason(stranger, reason.purpose, reason.clock)
            with contextlib.suppress(VaultLocked):  # A locked vault's log cannot be written.
                await self._append((await self._room(registration)).login, reason.happening(event, facts))
                self.growth.committed(registration)
        raise VaultDenied

    def _forget(self) -> None:
        """Drop the keys of vaults that are no longer hosted, and adjust the number of connections."""
        hosted = {one.vault for one in self.registry.all()}
        self._adjust(sum(one.role in self._roles for one in self.registry.all()))
        for vault in self._hosted - hosted:
            self._rooms.pop(vault, None)
            self._keys.forget(vault)
        self._hosted = hosted

    async def _measure(self) -> None:
        """Ask the server for its connection limit."""
        ((self._server_room,),) = await self._wakeups.ask(ROOM)
        self._forget()

    def _adjust(self, vaults: int) -> None:
        """Set the connection limits to suit the number of vaults; warn if the server allows too few."""
        wanted = self._settings
        capacity = Capacity.of(vaults, self._server_room // wanted.processes, wanted.connections, wanted.idle)
        self._pool.most, self._pool.idle = capacity.most, capacity.idle
        self._pool.idle_at_first = capacity.idle_at_first
        if capacity.missing > self._missing:
            _LOGGER.warning("database: %s", capacity.shortage(vaults))
        self._missing = capacity.missing

    async def _tell(self, organisation: ParticipantIdentifier) -> None:
        self.news.notify(organisation)

    async def _append(self, login: Login, happening: Happening) -> None:
        await self._run(login, [logbook.append_statement([happening])])

    async def _run(self, login: Login, statements: Sequence[Statement]) -> list[list[Row]]:
        session = await self._pool.borrow(login)
        try:
            return await session.run(statements)
        finally:
            self._pool.give_back(login, session)

    async def _room(self, registration: Registration) -> Room:
        """Return the vault's room, rebuilt if its keys, its login or its database has changed.

        It is built in a thread, because its keys may be in a remote HSM.
        """
        vault = registration.vault
        room = self._rooms.get(vault)
        with self._key_faults.of_vault():
            state = self._keys.state(vault), registration.secret, registration.database
        if room is None or room.state != state:
            self._rooms.pop(vault, None)
            room = self._rooms[vault] = await asyncio.to_thread(self._new_room, registration, state)
        return room

    def _new_room(self, registration: Registration, state: Hashable) -> Room:
        vault = registration.vault
        current = partial(self._data_keys, vault)
        sealer = Sealer(vault, current(), current)
        password = sealer.open(registration.secret, LOGIN_SECRET).decode()
        login = self._database.login(registration.login, password, registration.database)
        self._vaults[login.name] = vault
        self.visits.know(login.name, (registration.organisation, registration.role))
        shelf = Shelf(vault, sealer, self._objects)
        tell = partial(self._tell, registration.organisation)
        notify = partial(self._announcements.ask, registration.channel)
        due = partial(self._moments.committed, vault)
        behind = partial(record_behind, registration.organisation.value, registration.role.value)
        grown = partial(self._grown, registration)
        on = (vault, login, shelf, self._keys, tell, notify, due, state)
        return Room(*on, behind, grown, self.claimant.name)

    def _grown(self, registration: Registration, entries: Sequence[Happening]) -> None:
        """Note a log's new entries; notify others of message progress and of new signed statements."""
        self.growth.committed(registration)
        if any(each.event.startswith((MESSAGE_PROGRESS, VaultEvent.GOV_STATEMENT_KEPT)) for each in entries):
            self._announcements.ask(registration.channel)
        if any(each.event == VaultEvent.GOV_STATEMENT_KEPT for each in entries):
            self._wakeups.stored((registration.organisation, registration.role))

    async def _moment(self, vault: str) -> Moment | None:
        """Read a vault's due moment; ``None`` if the vault is locked or being closed."""
        registration = next((one for one in self.registry.all() if one.vault == vault), None)
        if registration is None or registration.state is RegistrationState.CLOSING:
            return None
        try:
            room = await self._room(registration)
        except VaultLocked:
            return None
        return Moment.parse((await self._run(room.login, [STORED]))[0][0][0])

    def _data_keys(self, vault: str) -> DataKeys:
        """Return the current data keys; :class:`VaultLocked` or :class:`VaultUnavailable` without them."""
        with self._key_faults.of_vault():
            return self._keys.data_keys(vault)

    async def _log_in(self, login: Login) -> Session:
        """Log in with the current password, retrying if it is rotated meanwhile."""
        if login is self._operator:
            return await self._database.registry_session()
        while True:
            try:
                session = await Session.connect(login.address, self.claimant.name)
                self.visits.begun(login.name)
                return session
            except VaultUnavailable:
                renewed = await self._renewed(login)
                if renewed == login:
                    raise
                login = renewed

    async def _renewed(self, login: Login) -> Login:
        """Return the login that the vault has now, instead of the given one."""
        vault = self._vaults.get(login.name)
        await self._wakeups.look_again()
        for registration in self.registry.all():
            if registration.vault == vault:
                return (await self._room(registration)).login
        return login


def _may(principal: Principal, organisation: ParticipantIdentifier, purpose: Purpose) -> bool:
    """Return whether a principal may open a vault of ``organisation``; anything not listed is denied."""
    if principal.kind is PrincipalKind.WORKER:
        return principal.organisation in (None, organisation.value)
    if purpose in _OF_MOVES:
        return False
    if principal.kind in (PrincipalKind.SYSTEM, PrincipalKind.USER):
        return principal.organisation == organisation.value
    return False
