"""The supervisor: opens the key store, and starts a front and workers with what each of them needs.

It is the only process with all keys, so it listens only at the socket for the operator's own commands, and
reads no requests, messages or envelopes. docs/isolation.md lists the inputs from others that it does read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from samdrift.audit.operations import unexpected
from samdrift.config.isolation import require_protected_links, require_rights
from samdrift.config.model import Config
from samdrift.config.toml import ConfigError
from samdrift.contracts.principals import Role
from samdrift.installation.control import control_folder, controlled
from samdrift.installation.databasecare import cared_for
from samdrift.installation.doors import ROLES, Door
from samdrift.installation.expiry import Expiries, watching
from samdrift.installation.health import Health, in_words, trying
from samdrift.installation.listeners import served_doors, with_own_metrics
from samdrift.installation.logkeeping import operators_log_kept
from samdrift.installation.operator import own_dependencies
from samdrift.installation.reconciling import reconciled
from samdrift.installation.replaceable import current_organisations
from samdrift.installation.reporting import HEALTH, answering_health
from samdrift.installation.statementcopies import statements_copied
from samdrift.installation.unlocking import UNLOCK, unlocking
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.durablefiles import private_folder
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.net.background import in_background
from samdrift.net.clock import system_clock
from samdrift.processes.blocking import Looks, within
from samdrift.processes.cgroups import control_groups
from samdrift.processes.child import Child, first_start, keep
from samdrift.processes.handover import FRONT, NOBODY, Routes
from samdrift.processes.loglines import name_in_log
from samdrift.processes.memory import used
from samdrift.processes.preparation import WITH_TOKEN_KEYS, Handovers, Readers
from samdrift.processes.survivors import end_survivors
from samdrift.processes.users import Users
from samdrift.vault.errors import VaultError, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.registry import Registration

_LOGGER = logging.getLogger("samdrift")
_COMMAND = (sys.executable, "-P", "-m", "samdrift.processes.process")
_LOOK_SECONDS = 1.0
"""Seconds between two checks of the organisations served here and of replaced files."""
_LOOK_PATIENCE = 10.0
"""Seconds within which a check of a vault's keys must end."""
_REFRESH_SECONDS = 60.0
_RENEW_SECONDS = 3600.0
_CLEAR_SECONDS = 30.0
_ORDER = tuple(Role)
"""Order in which workers are started; each role calls those that start before it."""


@contextlib.asynccontextmanager
async def supervising(config: Config, roles: frozenset[Role]) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Run those of ``roles`` that are configured; all have been started when the context is entered.

    Yields a function that restarts one process after the other.

    Raises :class:`~samdrift.processes.child.NotStarted` when the front cannot serve. A worker that cannot
    serve delays only its own organisation.
    """
    require_rights(config.isolation, root=os.geteuid() == 0)
    require_protected_links()
    config = with_own_metrics(config, roles)
    settings = vault_settings(config)
    async with AsyncExitStack() as stack:
        keys = await asyncio.to_thread(partial(open_keys, settings, begin=True))
        health = Health(system_clock)
        await stack.enter_async_context(cared_for(settings, keys, health.note))
        gate = await Gate.start(settings, roles=roles, keys=keys)
        stack.push_async_callback(gate.close)
        folder = stack.enter_context(_sockets(config))
        users = Users(config.isolation, config.vaults)
        readers = Readers(settings, keys)
        handovers = Handovers(config, current_organisations(config), gate, keys, folder, users, readers)
        house = _House(config, roles & config.roles, gate, handovers, readers, health)
        await stack.enter_async_context(trying(health, own_dependencies(config, gate, keys)))
        stack.push_async_callback(house.stop)
        # Before the workers serve: a start may take a minute, during which health is queried and vaults are
        # unlocked.
        await stack.enter_async_context(
            controlled(
                control_folder(config.vaults),
                {
                    UNLOCK: unlocking(gate, keys),
                    HEALTH: answering_health(roles & config.roles, health, house.serving),
                },
            )
        )
        await house.start()
        await stack.enter_async_context(
            in_background(house.follow(), on_failure=unexpected("the supervisor"))
        )
        await stack.enter_async_context(operators_log_kept(config, gate, keys, system_clock, health.note))
        await stack.enter_async_context(reconciled(gate, system_clock, health.note))
        copying = statements_copied(gate, system_clock)
        await stack.enter_async_context(in_background(copying, on_failure=unexpected("signed statements")))
        await stack.enter_async_context(watching(Expiries(keys, gate.registry, system_clock)))
        _LOGGER.info("supervisor: %s", used())
        yield house.roll


@dataclass(slots=True)
class _Kept:
    """A worker that is kept running."""

    child: Child
    keeping: asyncio.Task[None]
    tried: asyncio.Event
    """Set when the worker serves, or has failed to for the first time."""
    opened_with: bytes
    """Fingerprint of the secret that opens the worker's vault, to notice changes."""
    ending: asyncio.Task[None] | None = None


class _House:
    """The processes of one installation."""

    def __init__(
        self,
        config: Config,
        roles: frozenset[Role],
        gate: Gate,
        handovers: Handovers,
        readers: Readers,
        health: Health,
    ) -> None:
        self._config = config
        self._roles = roles
        self._gate = gate
        self._handovers = handovers
        self._readers = readers
        self._health = health
        self._groups = control_groups(config.vaults.secrets)
        self._workers: dict[str, _Kept] = {}
        self._routes = Routes()
        self._starting = asyncio.Semaphore(os.cpu_count() or 1)
        self._doors = tuple(served_doors(config, roles))
        self._front = Child(
            FRONT,
            (*_COMMAND, FRONT),
            lambda: handovers.to_front(self._doors, self._routes),
            groups=self._groups,
        )
        self._nobody = Child(
            NOBODY,
            (*_COMMAND, NOBODY),
            lambda: handovers.to_worker(None, tuple(sorted(roles)), self._doors),
            partial(self._renew_reader, None),
            self._groups,
        )
        self._keeping: dict[Child, asyncio.Task[None]] = {}
        self._rolling = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._openings = Looks(
            handovers.opening, seconds=_LOOK_PATIENCE, hanging=self._hanging, failed=self._failed
        )
        self._renewals = Looks(
            lambda vault: handovers.renew(vault),
            seconds=_LOOK_PATIENCE,
            hanging=self._hanging,
            failed=self._not_renewed,
        )
        self._renewed = -_RENEW_SECONDS
        self._logged: set[str] = set()
        self._level = self._blind = logging.NOTSET

    async def start(self) -> None:
        """Start the front and the catch-all worker, and then a worker for each vault that is open."""
        await within(_REFRESH_SECONDS, self._handovers.refresh)
        known = [one.vault for one in self._gate.registry.all()]
        await within(_REFRESH_SECONDS, lambda: self._handovers.end_closed(known))
        await within(_CLEAR_SECONDS, self._end_left_behind)
        self._announce()
        for child in (self._nobody, self._front):
            await first_start(child)
            self._keeping[child] = asyncio.create_task(keep(child))
        await self._update()
        await asyncio.gather(*(kept.tried.wait() for kept in self._workers.values()))

    def _end_left_behind(self) -> None:
        """End processes left by a killed supervisor, which would keep the addresses and the vaults in use."""
        if self._groups is not None and (ended := self._groups.end_all()):
            _LOGGER.warning("supervisor: killed %d processes left from an earlier run", ended)

    async def follow(self) -> None:
        """Apply changes of the registry and the key store, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._note_look(await self._look())

    async def _look(self) -> str:
        """Apply changes once; return the reason when that is not possible, otherwise an empty text."""
        try:
            try:
                await within(_REFRESH_SECONDS, self._handovers.refresh)
            finally:
                self._announce()  # The front reports health even while the key store is gone.
            await self._update()
            await self._renew()
            await self._replace_readers()
        except (OSError, KeyStoreError, ConfigError, VaultError) as error:
            known = isinstance(error, VaultUnavailable) and error.reported
            self._level = logging.INFO if known else logging.WARNING
            return in_words(error)
        return ""

    def _note_look(self, fault: str) -> None:
        """Log once that the supervisor cannot follow changes, and once that it can again.

        This is not a warning while the database is down, since that has a log line of its own.
        """
        if fault and self._level > self._blind:
            text = "supervisor: changes of organisations, keys and certificates are not followed now: %s"
            _LOGGER.log(self._level, text, fault)
            self._blind = self._level
        elif not fault and self._blind:
            text = "supervisor: changes of organisations, keys and certificates are followed again"
            _LOGGER.log(self._blind, text)
            self._blind = logging.NOTSET

    async def roll(self) -> None:
        """Restart one process after the other, each when the one before it serves: workers, then the front.

        Ends at the first process that fails to serve; that one is restarted as after any failure, and the
        others continue unchanged.
        """
        if self._rolling.locked():
            _LOGGER.warning("supervisor: a rolling restart is already under way")
            return
        async with self._rolling:
            _LOGGER.info("supervisor: a rolling restart begins")
            if stuck := await self._roll():
                _LOGGER.error("%s: does not serve again; the rolling restart is aborted", stuck)
            else:
                _LOGGER.info("supervisor: the rolling restart is complete")

    async def _roll(self) -> str:
        """Restart all processes; return the name of the one that does not serve again, or an empty text."""
        openings = await self._opened([one.vault for one in self._hosted()])
        for vault, opening in openings.items():
            kept = self._workers.get(vault)
            if kept is None or not opening:
                continue  # Without the secret that opens the vault, a new worker could not start.
            if not await self._worker_again(vault, kept):
                return kept.child.name
        for child in (self._nobody, self._front):
            if not await self._again(child):
                return child.name
        return ""

    async def _worker_again(self, vault: str, kept: _Kept) -> bool:
        """Replace a worker; return true when the new one serves, or when none is needed any more."""
        if kept.ending is None:
            kept.ending = asyncio.create_task(self._ended(vault, kept))
        await kept.ending
        await self._update()
        new = self._workers.get(vault)
        if new is None:
            return True
        await new.tried.wait()
        return new.child.serves

    async def _again(self, child: Child) -> bool:
        """Restart the front or the catch-all worker; return true when it serves."""
        self._keeping[child].cancel()
        await child.stop()
        await self._cleared(child)
        serves = await child.start()
        self._keeping[child] = asyncio.create_task(keep(child))
        return serves

    def serving(self) -> dict[str, bool]:
        """Return whether each process serves now, by its name in the log."""
        children = [self._front, self._nobody, *(one.child for one in self._workers.values())]
        return {child.name: child.serves for child in children}

    async def stop(self) -> None:
        """Stop all processes, the front first, so that requests in progress can still be answered."""
        kept = self._workers.values()
        for task in (*self._keeping.values(), *(one.keeping for one in kept), *(one.ending for one in kept)):
            if task is not None:
                task.cancel()
        await self._front.stop()
        children = [self._nobody, *(one.child for one in kept)]
        await asyncio.gather(*(child.stop() for child in children))
        await asyncio.gather(*(self._cleared(child) for child in (self._front, *children)))

    def _announce(self) -> None:
        """Send the front its routes when they have changed, ignoring how long conditions have lasted."""
        conditions = [{**one.document(), "seconds": None} for one in self._health.conditions()]
        routes = replace(_routes(self._hosted()), alarms=self._handovers.alarms, conditions=conditions)
        if routes != self._routes:
            self._routes = routes
            self._front.tell(routes.line())

    async def _update(self) -> None:
        """Keep a worker running for each open vault, started with the secret that opens it now.

        Ending a worker can take a minute if it hangs, but does not delay the others. HSMs may be slow to
        reach, so they are queried in threads.
        """
        hosted = {one.vault: one for one in self._hosted()}
        openings = await self._opened(hosted)
        for vault, kept in self._workers.items():
            if kept.ending is None and openings.get(vault, b"") not in (None, kept.opened_with):
                kept.ending = asyncio.create_task(self._ended(vault, kept))
        for vault in hosted:
            opening = openings.get(vault)
            if opening and vault not in self._workers:
                child, tried = self._worker(hosted[vault]), asyncio.Event()
                keeping = asyncio.create_task(self._kept(child, tried))
                self._workers[vault] = _Kept(child, keeping, tried, opening)

    async def _opened(self, vaults: Collection[str]) -> Mapping[str, bytes | None]:
        """Look up the secrets that open vaults now, one caller at a time."""
        async with self._looking:
            return await self._openings.at(vaults)

    async def _ended(self, vault: str, kept: _Kept) -> None:
        """End a worker and everything that it started; the next check starts another one if one is needed."""
        kept.keeping.cancel()
        await kept.child.stop()
        await self._cleared(kept.child)
        del self._workers[vault]

    async def _cleared(self, child: Child) -> None:
        """End the processes that an ended process has left behind."""
        try:
            await within(_CLEAR_SECONDS, partial(end_survivors, child.user))
        except OSError as error:
            _LOGGER.error("ALARM: processes of an organisation's user outlive its worker (%s)", error)

    async def _renew(self) -> None:
        """Renew the self-renewing keys, once an hour."""
        now = asyncio.get_running_loop().time()
        if now - self._renewed < _RENEW_SECONDS:
            return
        self._renewed = now
        having = [one.vault for one in self._hosted() if one.role in WITH_TOKEN_KEYS]
        await self._renewals.at([vault for vault in having if vault in self._workers])

    def _not_renewed(self, vault: str, error: BaseException) -> None:
        """Ignore that a vault is locked or gone and so needs no new key; log other errors."""
        if not isinstance(error, KeyStoreError):
            self._failed(vault, error)

    def _hanging(self, vault: str) -> None:
        """Log once that a check hangs; the vault's worker remains unchanged."""
        if vault not in self._logged:
            self._logged.add(vault)
            _LOGGER.error("supervisor: a check of an organisation's keys hangs")

    def _failed(self, vault: str, error: BaseException) -> bytes:
        """Log a fault of a vault's keys once, whatever it is, since it concerns only that vault."""
        if vault not in self._logged:
            self._logged.add(vault)
            _LOGGER.error("supervisor: an organisation's keys cannot be read (%s)", type(error).__name__)
        return b""

    async def _kept(self, child: Child, tried: asyncio.Event) -> None:
        """Start a worker and keep it running; at most one per processor starts at a time."""
        try:
            async with self._starting:
                await child.start()
        finally:
            tried.set()
        await keep(child)

    def _worker(self, registration: Registration) -> Child:
        role, doors = registration.role, self._doors_of(registration.role)
        return Child(
            name_in_log(role.value, registration.organisation.value),
            (*_COMMAND, role.value),
            lambda: self._handovers.to_worker(registration, (role,), doors),
            partial(self._renew_reader, registration.vault),
            self._groups,
        )

    async def _renew_reader(self, vault: str | None) -> None:
        await self._readers.renew(vault)

    async def _replace_readers(self) -> None:
        """Give a new login to each worker whose login was dropped, as happens when passwords are replaced."""
        running: dict[str | None, Child] = {vault: kept.child for vault, kept in self._workers.items()}
        running[None] = self._nobody
        for vault in await self._gate.without_reader():
            if vault in running:
                running[vault].tell((await self._readers.renew(vault)).line())

    def _doors_of(self, role: Role) -> tuple[Door, ...]:
        return (*(door for door in self._doors if ROLES.get(door) in (role, None)), Door.LOG)

    def _hosted(self) -> list[Registration]:
        """Return the vaults served here, in the order in which their workers start.

        Their roles run here and, except for access points, the configuration has the organisation in that
        role. Access points come first, since message services call them.
        """
        named = {(one.identifier, role) for one in self._handovers.named for role in one.roles}
        found = [
            one
            for one in self._gate.registry.all()
            if one.role in self._roles
            and (one.role is Role.ACCESS_POINT or (one.organisation, one.role) in named)
        ]
        return sorted(found, key=lambda one: _ORDER.index(one.role))


def _routes(hosted: list[Registration]) -> Routes:
    def names(role: Role) -> Mapping[str, str]:
        return {one.organisation.value: one.public_name for one in hosted if one.role is role}

    return Routes({role.value: names(role) for role in Role})


@contextlib.contextmanager
def _sockets(config: Config) -> Iterator[Path]:
    """Yield a folder that other users cannot enter."""
    if config.isolation.sockets is not None:
        yield private_folder(config.isolation.sockets)
        return
    with tempfile.TemporaryDirectory(prefix="samdrift-") as folder:
        yield Path(folder)
