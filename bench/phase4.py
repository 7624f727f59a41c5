"""The hop between two access points, in CPU per message: ours against phase4's, each sending to the other.

Our sending is compared with phase4's sending, and our receiving with its receiving, in the
same rounds. Ours is a process of its own with its PostgreSQL: it accepts envelopes
over interface C, and stores everything it receives before it acknowledges. phase4 is
a Java process, warmed up, that uses Java's own cryptography, as it does by
default; it reads payloads from files, writes them to files, and stores nothing
else. There are no rows if Java or Maven is missing.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
from tests.interop.phase4.build import classpath
from tests.interop.phase4.driver import Phase4
from tests.interop.phase4.neighbours import Neighbour, Packed, neighbour
from tests.interop.phase4.scene import THEIRS, access_point, peer_settings, properties, request
from tests.interop.tools import Unavailable

from bench.measure import Row, against_floor
from samdrift.contracts.transfer import AccessPoint, TransferState
from samdrift.demo.cast import HABO, DemoOperator
from samdrift.demo.enrolment import EnrolledOperator, enrol
from samdrift.demo.testbed import served
from samdrift.federation.server import running as federation_running
from samdrift.installation.accesspoints import connected
from samdrift.installation.loop import run
from samdrift.installation.services import shared_services
from samdrift.installation.vaultsettings import vault_settings
from samdrift.messageservice.outgoing.compose import Attachment, Draft
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED

BAR = 1.0
_WARM_UP = 200
_ROUNDS = 7
_BATCH = 20
_PATIENCE = 10.0
_DRAFT = Draft(
    "Prov", "Ett meddelande.", (Attachment("a.pdf", "application/pdf", b"%PDF-1.4\n" + os.urandom(4_000)),)
)
"""A message whose envelope is of about 10 kB."""


def rows() -> list[Row]:
    """Measure our CPU per message, with phase4's as the floor."""
    try:
        classpath()
    except Unavailable:
        return []
    with tempfile.TemporaryDirectory() as folder:
        return run(_rows(Path(folder)))


async def _rows(folder: Path) -> list[Row]:
    sending, receiving = _Compared(), _Compared()
    async with _hop(folder) as hop:
        await hop.we_send(await hop.outgoing(_WARM_UP))
        await hop.phase4_sends(await hop.incoming(_WARM_UP))
        for _ in range(_ROUNDS):
            await hop.take_over()
            outgoing, incoming = await hop.outgoing(_BATCH), await hop.incoming(_BATCH)
            start = hop.cpu()
            await hop.we_send(outgoing)
            middle = hop.cpu()
            await hop.phase4_sends(incoming)
            end = hop.cpu()
            sending.add(theirs=end.theirs - middle.theirs, ours=middle.ours - start.ours)
            receiving.add(theirs=middle.theirs - start.theirs, ours=end.ours - middle.ours)
    return [sending.row("sending, against phase4"), receiving.row("receiving, against phase4")]


@dataclass(frozen=True, slots=True)
class _Cpu:
    """Seconds of CPU so far."""

    ours: float
    theirs: float


@dataclass(frozen=True, slots=True)
class _Compared:
    """Milliseconds of CPU per message, round by round."""

    theirs: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)

    def add(self, *, theirs: float, ours: float) -> None:
        self.theirs.append(theirs / _BATCH * 1e3)
        self.ours.append(ours / _BATCH * 1e3)

    def row(self, name: str) -> Row:
        return against_floor(name, self.theirs, self.ours, bar=BAR, unit="ms CPU")


@dataclass(slots=True)
class _Hop:
    """Both access points, and an organisation at each; Habo uses ours."""

    enrolled: EnrolledOperator
    interface_c: AccessPoint
    phase4: Phase4
    habo: Neighbour
    agency: Neighbour
    processes: _Processes
    folder: Path
    seen: int = 0
    """Sequence number of the last event that was read over interface C."""

    def cpu(self) -> _Cpu:
        return self.processes.cpu()

    async def outgoing(self, count: int) -> list[Packed]:
        return [await self.habo.message(_DRAFT, self.agency.demo.address) for _ in range(count)]

    async def incoming(self, count: int) -> list[Packed]:
        return [await self.agency.message(_DRAFT, HABO.address) for _ in range(count)]

    async def we_send(self, envelopes: Sequence[Packed]) -> None:
        """Hand envelopes to our access point, and wait until phase4 has acknowledged each."""
        for envelope in envelopes:
            await self.interface_c.submit(envelope.id, envelope.id, envelope.data)
        waiting = {envelope.id for envelope in envelopes}
        while waiting:
            events = (await self.interface_c.poll(self.seen, _PATIENCE)).events
            if not events or any(event.state is not TransferState.DELIVERED for event in events):
                raise RuntimeError("an envelope was not delivered")
            self.seen = events[-1].sequence
            waiting -= {event.envelope_id for event in events}

    async def phase4_sends(self, envelopes: Sequence[Packed]) -> None:
        """Have phase4 send envelopes one after the other, waiting for our receipt each time."""
        file = self.folder / "outgoing.xml"
        named = properties(self.agency.identifier.value, HABO.identifier.value)
        own = self.enrolled
        for envelope in envelopes:
            file.write_bytes(envelope.data)
            message = request(own.as4_address, own.certificate, SDK_MESSAGE_EXTENDED, envelope.id, named)
            outcome = await self.phase4.send(**message, file=str(file))
            if outcome["result"] != "success":
                raise RuntimeError(f"phase4 could not send: {outcome}")

    async def take_over(self) -> None:
        """Empty the inbox, as a message service does."""
        items = (await self.interface_c.poll(self.seen, 0)).inbox
        while items:
            items = (await self.interface_c.poll(self.seen, 0, [item.id for item in items])).inbox


class _Processes:
    """Our access point with its PostgreSQL, and phase4."""

    def __init__(self, access_point: int, folder: Path, phase4: int) -> None:
        (file,) = folder.rglob("postmaster.pid")
        self._access_point = psutil.Process(access_point)
        self._postgres = psutil.Process(int(file.read_text().split()[0]))
        self._phase4 = psutil.Process(phase4)

    def cpu(self) -> _Cpu:
        servers = self._postgres.children(recursive=True)
        ours = (
            _seconds(self._access_point) + _seconds(self._postgres, ended=True) + sum(map(_seconds, servers))
        )
        return _Cpu(ours, _seconds(self._phase4))


def _seconds(process: psutil.Process, *, ended: bool = False) -> float:
    """Return the seconds of CPU of a process, with those of its ended children if ``ended``."""
    times = process.cpu_times()
    own = times.user + times.system
    return own + times.children_user + times.children_system if ended else own


@asynccontextmanager
async def _hop(folder: Path) -> AsyncIterator[_Hop]:
    async with AsyncExitStack() as stack:
        federation = await stack.enter_async_context(federation_running(folder / "federation"))
        enrolled = await enrol(federation, DemoOperator("ours", "AP0001-SDK-DEMO", (HABO,)), folder / "ours")
        config = enrolled.config
        pid = await stack.enter_async_context(served(enrolled))
        services = await stack.enter_async_context(shared_services(config))
        habo, agency = (neighbour(name, federation, services) for name in ("habo", "arbetsformedlingen"))
        identity = access_point(federation, THEIRS)
        settings = replace(peer_settings(federation, identity, [agency]), bouncy_castle=False)
        phase4 = await asyncio.to_thread(Phase4, folder, settings)
        stack.callback(phase4.close)
        agency.live_at(phase4.address, identity)
        gate = await Gate.start(vault_settings(config))
        stack.push_async_callback(gate.close)
        interface_c = await connected(stack, config.organisations[0], gate, config)
        processes = _Processes(pid, folder, phase4.pid)
        yield _Hop(enrolled, interface_c, phase4, habo, agency, processes, folder)
