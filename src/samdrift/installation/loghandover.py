"""Hands each organisation's log over to the organisation's own log system, if it has one, as the log grows.

A failing log system affects only its organisation. Entries wait in the log until they are accepted; the vault
stores the position of the last accepted one, so that restarts lose nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta

from samdrift.audit.operations import unexpected
from samdrift.config.logs import LogSystemConfig
from samdrift.config.model import Config
from samdrift.contracts import workers
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.health import Dependency, Note, SharedServices
from samdrift.installation.logturns import LogPlace
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.net.addresses import EnteredAddresses, Permits, any_address
from samdrift.net.background import in_background
from samdrift.net.client import HttpFault, NoAnswer
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.tls import TlsIdentity, client_tls
from samdrift.scheduling.places import Turns
from samdrift.transparency.handover import (
    SETTLE_SECONDS,
    HandedEntry,
    LogName,
    NotTaken,
    frame,
    hand_over,
)
from samdrift.vault import logbook
from samdrift.vault.database.session import Row
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_EVERY = 5.0
"""Seconds between two checks of a log."""
_AT_ONCE = 16
"""Maximum number of logs that are handed over at the same time."""
_MOST = 2000
"""Maximum number of entries per connection."""
_WHILE_GONE = 30.0
"""Seconds until a log system that accepted nothing is tried again."""
_UNTRIED = timedelta(minutes=15)
"""Time without an attempt after which an unreachable log system is no longer reported by this process."""


class LogHandOver:
    """Hands over this process's logs of organisations with a log system."""

    def __init__(
        self,
        gate: Gate,
        systems: Mapping[ParticipantIdentifier, LogSystemClient],
        clock: Clock,
        note: Note = lambda *_: None,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        """``systems`` are the log systems by organisation; ``note`` is notified of the state of each."""
        self._gate = gate
        self._systems = systems
        self._clock = clock
        self._away = SharedServices(Dependency.LOG_SYSTEM, note, _UNTRIED)
        self._settle = settle
        self._places = Turns(_AT_ONCE)
        self._place_of = defaultdict[ParticipantIdentifier, Turns](lambda: Turns(1))
        self._unexpected = unexpected("the hand-over of logs")

    async def keep(self, roles: Iterable[Role]) -> None:
        """Hand over the logs of the organisations that are served here in ``roles``, until cancelled."""
        served = tuple(roles)
        under_way: dict[LogPlace, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as rounds:
            while True:
                for organisation in self._systems:
                    for role in served:
                        place = LogPlace(organisation, role)
                        ours = self._gate.registry.works_for(organisation, role)
                        if ours and (place not in under_way or under_way[place].done()):
                            under_way[place] = rounds.create_task(self._in_its_place(organisation, role))
                self._away.forget()
                await asyncio.sleep(_EVERY)

    async def round(self, organisation: ParticipantIdentifier, role: Role) -> int:
        """Hand over a log's new entries, and return their number; :class:`NotTaken` if they are refused."""
        async with self._gate.open(workers.LOG_HAND_OVER, organisation, role, Purpose.MAINTAIN) as vault:
            origin, rows = await vault.tree.to_hand_over(_MOST)
        if not rows:
            return 0
        name = LogName(origin, organisation.value, role.value)
        frames = [frame(name, _entry(row)) for row in rows]
        system = self._systems[organisation]
        try:
            await hand_over(system.connect, frames, self._settle)
        except NotTaken as outage:
            self._away.note(system.place, str(outage), caller=organisation)
            raise
        self._away.note(system.place, "", caller=organisation)
        async with self._gate.open(workers.LOG_HAND_OVER, organisation, role, Purpose.MAINTAIN) as vault:
            await vault.tree.handed_over(rows[-1][0], self._clock())
        return len(rows)

    async def _in_its_place(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Hand over a log until nothing is new, in turn for each connection; pause after a failure.

        Each organisation hands over one log at a time, so that a slow log system delays only its own
        organisation.
        """
        own, handed = self._place_of[organisation], _MOST
        try:
            while handed == _MOST:
                async with (
                    own.turn(organisation),
                    self._places.turn(organisation),
                    self._gate.leases.working(organisation, role),
                ):
                    handed = await self.round(organisation, role)
            return
        except Temporary:
            pass
        except KeyStoreError as fault:
            if fault.fault not in (KeyFault.LOCKED, KeyFault.UNAVAILABLE):
                self._unexpected(fault)
        except Exception as error:
            self._unexpected(error)
        await asyncio.sleep(_WHILE_GONE)


def _entry(row: Row) -> HandedEntry:
    number, content, _, digest, *_ = row
    return HandedEntry(number, None if content is None else logbook.entry(row).happening, digest)


@contextlib.asynccontextmanager
async def logs_handed_over(
    config: Config, gate: Gate, clock: Clock, roles: Iterable[Role], note: Note
) -> AsyncIterator[None]:
    """Hand over logs to the configured log systems while the context lasts."""
    permits: Permits = EnteredAddresses(config.logs.system_networks)
    if config.federation.private_addresses:
        permits = any_address
    async with contextlib.AsyncExitStack() as stack:
        systems = {
            one.identifier: LogSystemClient(one.log_system, permits, stack)
            for one in config.organisations
            if one.log_system is not None
        }
        if not systems:
            yield
            return
        keeper = LogHandOver(gate, systems, clock, note)
        async with in_background(keeper.keep(roles), on_failure=unexpected("the hand-over of logs")):
            yield


class LogSystemClient:
    """Client for an organisation's log system; unusable files in its configuration do not affect others."""

    def __init__(self, config: LogSystemConfig, permits: Permits, stack: contextlib.AsyncExitStack) -> None:
        self._config = config
        self._permits = permits
        self._stack = stack
        self._client: EnteredAddressClient | None = None

    @property
    def place(self) -> str:
        """Return host and port of the log system, for operators."""
        return f"{self._config.address.host}:{self._config.address.port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection; :class:`NoAnswer` if that fails."""
        config = self._config
        if self._client is None:
            own = TlsIdentity(config.certificate, config.key_file)
            try:
                tls = client_tls(own, config.tls_issuers, http=False)
            except (OSError, ValueError) as error:
                kind = f"the files of its configuration cannot be used, {type(error).__name__}"
                raise NoAnswer(HttpFault.UNREACHABLE, kind) from None
            self._client = await self._stack.enter_async_context(EnteredAddressClient(self._permits, tls))
        return await self._client.connect(config.address.host, config.address.port)
