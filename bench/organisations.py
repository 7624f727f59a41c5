"""Cost of hosting many organisations: start, idle, and the same traffic spread over few or over all of them.

One operator hosts them all, and each writes to the next one, through AS4 and both vaults. CPU and
memory are those of this process, which plays the operator and the federation, and of PostgreSQL with
all its children. The floor of traffic is the same traffic over the fewest organisations.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import psutil
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.measure import Row, Spread, reported
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.demo.enrolment import enrol
from samdrift.demo.scenario import Party
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.server import running as federation_running
from samdrift.installation.loop import run
from samdrift.installation.operator import Operator, running
from samdrift.messageservice.outgoing.compose import Attachment, Draft, compose
from samdrift.vault.database.session import Session
from samdrift.wire.identifiers import ParticipantIdentifier

_NUMBERS = (3, 30, 300)
_EXCHANGES = 300
_IDLE_SECONDS = 600.0
_TRAFFIC_BAR = 1.2
_START_BAR_SECONDS = 10.0
_LOGINS_BAR = 2.0
_IDLE_BAR_PERCENT = 2.0
_MEMORY_BAR_MB = 1.0
_MOST = 300
"""The number of organisations that the bars of start and idle are for."""
_ROUNDS = 3
_AT_ONCE = 8
_SETTLE_SECONDS = 30.0
"""After the start, until what it left to do is done."""
_SPARE_KEYS = 4
_PATIENCE_SECONDS = 300
_MB = 1e6
_DRAFT = Draft(
    "Prov", "Ett meddelande.", (Attachment("a.pdf", "application/pdf", b"%PDF-1.4\n" + os.urandom(6_600)),)
)
"""A message of about 10 kB, with base64 and XML."""


@dataclass(frozen=True, slots=True)
class Options:
    """The size of a run."""

    numbers: Sequence[int] = _NUMBERS
    exchanges: int = _EXCHANGES
    idle_seconds: float = _IDLE_SECONDS
    rounds: int = _ROUNDS


@dataclass(slots=True)
class Found:
    """What was measured with one number of organisations."""

    number: int
    start_wall: float = 0.0
    start_cpu: float = 0.0
    logins: float = 0.0
    """Per vault, from the start until it has settled."""
    idle_percent: float = 0.0
    idle_server_percent: float = 0.0
    memory: float = 0.0
    """Bytes, after the idle time."""
    cold: float = 0.0
    warm: tuple[float, ...] = ()
    warm_server: tuple[float, ...] = (0.0,)
    """Milliseconds of CPU per exchange."""
    warm_logins: float = 0.0
    """Per exchange."""
    warm_memory: float = 0.0
    connections: int = 0


def rows(options: Options | None = None) -> list[Row]:
    """Measure each number of organisations, from the fewest on."""
    options = options or Options()
    found: list[Found] = []
    for number in sorted(options.numbers):
        with tempfile.TemporaryDirectory(prefix="samdrift-organisations-") as folder:
            _progress(f"{number} organisations")
            found.append(run(_measured(Path(folder), number, options)))
    return [row for each in found for row in _rows(each, found[0])]


def _progress(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


async def _measured(folder: Path, number: int, options: Options) -> Found:
    found = Found(number)
    cast = tuple(map(_organisation, range(number)))
    operator = DemoOperator("operator", "AP0090-SDK-DEMO", cast)
    async with federation_running(folder / "federation") as federation:
        with _spare_keys():
            await enrol(federation, operator, folder / "operator")
        # That took minutes: ports that were free then may be taken by now.
        enrolled = await enrol(federation, operator, folder / "operator")
        gc.collect()
        with _counted_logins() as logins:
            began, before = time.monotonic(), time.process_time()
            async with running(enrolled.config) as started:
                processes = _Processes(folder)
                _progress("  has started")
                found.start_wall = time.monotonic() - began
                found.start_cpu = time.process_time() - before + processes.server_cpu()
                await asyncio.sleep(_SETTLE_SECONDS)
                found.logins = logins() / (number * len(Role.__members__))
                await _idle(found, processes, options.idle_seconds)
                await _traffic(found, processes, started, cast, options.exchanges, logins, options.rounds)
    return found


async def _idle(found: Found, processes: _Processes, seconds: float) -> None:
    gc.collect()
    began, own, server = time.monotonic(), processes.own_cpu(), processes.server_cpu()
    await asyncio.sleep(seconds)
    elapsed = time.monotonic() - began
    found.idle_server_percent = (processes.server_cpu() - server) / elapsed * 100
    found.idle_percent = found.idle_server_percent + (processes.own_cpu() - own) / elapsed * 100
    found.memory = processes.memory()


async def _traffic(
    found: Found,
    processes: _Processes,
    operator: Operator,
    cast: Sequence[DemoOrganisation],
    exchanges: int,
    logins: Callable[[], int],
    rounds: int,
) -> None:
    """A first round, in which everything is cold, then several in which nothing is."""
    parties = [Party(operator, one.address) for one in cast]
    pairs = list(zip(parties, [*parties[1:], parties[0]], strict=True))

    async def batch() -> tuple[float, float]:
        gc.collect()
        own, server = processes.own_cpu(), processes.server_cpu()
        await _exchanged(list(itertools.islice(itertools.cycle(pairs), exchanges)))
        used = processes.server_cpu() - server
        per_exchange = 1e3 / exchanges
        return (processes.own_cpu() - own + used) * per_exchange, used * per_exchange

    found.cold, _ = await batch()
    _progress(f"  is warm, after {found.cold:.1f} ms of CPU per exchange")
    before = logins()
    warm = [await batch() for _ in range(rounds)]
    found.warm_logins = (logins() - before) / exchanges / rounds
    found.warm = tuple(total for total, _ in warm)
    found.warm_server = tuple(server for _, server in warm)
    found.warm_memory = processes.memory()
    found.connections = processes.connections()


async def _exchanged(pairs: Sequence[tuple[Party, Party]]) -> None:
    """One message from each to the other, a few at once, each until its receipt is back."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(sender: Party, recipient: Party) -> None:
        async with slots:
            await _exchange(sender, recipient)

    async with asyncio.TaskGroup() as tasks:
        for pair in pairs:
            tasks.create_task(one(*pair))


async def _exchange(sender: Party, recipient: Party) -> None:
    messages, news = sender.operator.messages, sender.operator.gate.news
    message = compose(
        _DRAFT,
        sender.address,
        recipient.address,
        message_id=str(uuid.uuid4()),
        at=datetime.now(UTC),
    )
    await messages.send(sender.principal, sender.organisation, message)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            count = news.count(sender.organisation)
            known = await messages.status(
                sender.principal, sender.organisation, message.message_id, Direction.OUT
            )
            if known is not None and known[0].final:
                if known[0] is not MessageStatus.ACCEPTED:
                    raise RuntimeError(f"an exchange ended as {known[0].value}")
                return
            await news.beyond(sender.organisation, count, 10)


def _rows(found: Found, fewest: Found) -> list[Row]:
    judged = found.number == _MOST
    name = f"{found.number} organisations"
    start = f"{name}: start"
    rows = [
        reported(f"{start}, CPU", [found.start_cpu], "s", bar=_START_BAR_SECONDS if judged else None),
        reported(f"{start}, wall", [found.start_wall], "s"),
        reported(f"{start}, logins per vault", [found.logins], "", bar=_LOGINS_BAR if judged else None),
        reported(
            f"{name}: idle", [found.idle_percent], "% of a core", bar=_IDLE_BAR_PERCENT if judged else None
        ),
        reported(f"{name}: idle, PostgreSQL", [found.idle_server_percent], "% of a core"),
        reported(f"{name}: idle, PSS", [found.memory / _MB], "MB"),
    ]
    if found is not fewest:
        each = (found.memory - fewest.memory) / (found.number - fewest.number) / _MB
        rows.append(
            reported(
                f"{name}: idle, PSS per further one", [each], "MB", bar=_MEMORY_BAR_MB if judged else None
            )
        )
    return [
        *rows,
        reported(f"{name}: traffic, cold", [found.cold], "ms CPU"),
        _warm(f"{name}: traffic, warm", found.warm, fewest.warm),
        reported(f"{name}: traffic, warm, PostgreSQL", list(found.warm_server), "ms CPU"),
        reported(f"{name}: traffic, warm, logins per exchange", [found.warm_logins], ""),
        reported(f"{name}: traffic, warm, connections", [float(found.connections)], ""),
        reported(f"{name}: traffic, warm, PSS", [found.warm_memory / _MB], "MB"),
    ]


def _warm(name: str, works: Sequence[float], floors: Sequence[float]) -> Row:
    """Against the median of the fewest: these were not measured in turn."""
    floor = Spread.of(list(floors))
    ratios = Spread.of([work / floor.median for work in works])
    return Row(
        name=name,
        floor=floor.median,
        work=median(works),
        ratio=ratios.median,
        bar=_TRAFFIC_BAR,
        reached=ratios.median <= _TRAFFIC_BAR,
        unit="ms CPU",
        floor_spread=floor,
        work_spread=Spread.of(list(works)),
        ratio_spread=ratios,
    )


def _organisation(number: int) -> DemoOrganisation:
    domain = f"0203:kommun{number:03}.se"
    mailbox = FunctionalAddress(f"sdk.registrator.{domain}", "Registrator")
    return DemoOrganisation(ParticipantIdentifier(domain), f"Kommun {number}", f"21200{number:05}", mailbox)


@contextmanager
def _spare_keys() -> Iterator[None]:
    """Make a few keys and use them again: 300 organisations would wait for minutes for theirs."""
    made: list[rsa.RSAPrivateKey] = [rsa.generate_private_key(65537, 3072) for _ in range(_SPARE_KEYS)]
    keys = itertools.cycle(made)
    with patch.object(rsa, "generate_private_key", lambda *given, **named: next(keys)):
        yield


@contextmanager
def _counted_logins() -> Iterator[Callable[[], int]]:
    count = 0
    connect = Session.connect

    async def counted(address: str) -> Any:
        nonlocal count
        count += 1
        return await connect(address)

    with patch.object(Session, "connect", counted):
        yield lambda: count


class _Processes:
    """This process and the PostgreSQL server whose folder lies in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._own = psutil.Process()
        (file,) = folder.rglob("postmaster.pid")
        self._server = psutil.Process(int(file.read_text().split()[0]))

    def own_cpu(self) -> float:
        return time.process_time()

    def server_cpu(self) -> float:
        """Seconds of CPU so far, of backends that have ended too."""
        times = self._server.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for child in self._server.children(recursive=True):
            try:
                own = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += own.user + own.system
        return total

    def connections(self) -> int:
        """Backends and the server's own helpers, but for those."""
        return len(self._server.children())

    def memory(self) -> float:
        """Bytes, what several share divided among them."""
        return sum(map(_pss, (self._own, self._server, *self._server.children(recursive=True))))


def _pss(process: psutil.Process) -> float:
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return float(match[1]) * 1024 if match else 0.0
