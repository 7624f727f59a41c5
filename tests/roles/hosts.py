"""Two hosts of one installation, which share database, object store and key store, behind a balancer.

Each host is a process with its own folders for control sockets and lives, so the hosts know each other only
through the database. Tests can cut the links: connections to the database go through a relay of each
host. Connections of peers and clients go through a balancer, to a host that reports that it is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from samdrift.config.reader import load
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.federation.ports import free_port
from samdrift.federation.server import LocalFederation
from samdrift.installation.health import Condition
from samdrift.net.background import in_background
from tests.roles.member import Member
from tests.roles.namespaces import OWN_LOOPBACK, Machine, database_for, database_in, health_of, machine
from tests.roles.ownrestarts import undaunted
from tests.roles.processes import SOURCES, Played, Process, organisation, played
from tests.roles.soak import Exchange, faults_of, send
from tests.roles.stage import HOST
from tests.separation.vaultlogin import Superuser
from tests.vaults import server_folder

HERE = organisation("sjobo", "2120001090"), organisation("perstorp", "2120001108")
_THERE = (organisation("klippan", "2120001116"),)
_LISTENERS = "listen", "listen_c", "listen_d"
_PIECE = 1 << 16


Place = tuple[str, int]


class Relay:
    """Relay that passes connections on, and can be cut without closing them."""

    def __init__(self, place: Path | None = None) -> None:
        """Pass connections on to the Unix socket ``place``."""
        self._place = place
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Stop all traffic without closing connections, so that pending requests keep waiting."""
        self._open.clear()

    def join(self) -> None:
        """Let all traffic through again, including what was held back."""
        self._open.set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._open.wait()
            there = await self._reached()
            if there is not None:
                await asyncio.gather(self._pass(reader, there[1]), self._pass(there[0], writer))
        except (OSError, asyncio.CancelledError):  # One side has hung up, or the relay is stopping.
            pass
        finally:
            writer.close()

    async def _reached(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        assert self._place is not None
        return await asyncio.open_unix_connection(self._place)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(_PIECE):
                await self._open.wait()
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def stop(self) -> None:
        """Close all connections and the listening socket."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Balancer(Relay):
    """Balancer that passes connections on to hosts in turn, as long as they report that they are ready."""

    def __init__(self, hosts: Sequence[tuple[Place, Callable[[], bool]]]) -> None:
        """Balance between ``hosts``, each with its address and a check of its readiness."""
        super().__init__()
        self._hosts = deque(hosts)

    async def _reached(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in range(len(self._hosts)):
            self._hosts.rotate()
            address, ready = self._hosts[0]
            if ready():
                with contextlib.suppress(OSError):
                    return await asyncio.open_connection(*address)
        return None


class Readiness:
    """Readiness of a host, as a balancer reads it from its health address."""

    def __init__(self, metrics: Place) -> None:
        self._metrics = metrics
        self.ready = False

    async def health(self) -> list[dict[str, Any]]:
        """Return the state of each dependency of the host."""
        host, port = self._metrics
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as client,
            client.get(f"http://{host}:{port}/health") as answer,
        ):
            found: list[dict[str, Any]] = (await answer.json())["dependencies"]
            return found

    async def watch(self) -> None:
        """Check every second, until cancelled."""
        host, port = self._metrics
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as client:
            while True:
                try:
                    async with client.get(f"http://{host}:{port}/health/ready") as answer:
                        self.ready = answer.status == 200
                except (aiohttp.ClientError, TimeoutError):
                    self.ready = False
                await asyncio.sleep(1)


_LONGEST = 600.0
"""Seconds after which waiting for a host fails."""
_AHEAD = """
import sys
from datetime import timedelta
from samdrift.net import clock
right, ahead = clock.system_clock, timedelta(seconds=float(sys.argv.pop(1)))
clock.system_clock = lambda: right() + ahead
from samdrift.cli.main import main
main()
"""


@dataclass
class HostProcess(Process):
    """`serve` on one of several hosts, with a log and a clock of its own."""

    ahead: float = 0.0
    """Seconds by which its clock is ahead."""
    where: Machine | None = None
    """Machine that it runs on, if it is not the test's own."""

    @property
    def interpreter(self) -> Sequence[str]:
        return (*(self.where.inside if self.where else ()), *super().interpreter)

    @property
    def program(self) -> Sequence[str]:
        return ("-c", _AHEAD, str(self.ahead)) if self.ahead else super().program

    @property
    def log(self) -> Path:
        return self.config_file.with_suffix(".log")


class Link(Protocol):
    """A link that can be cut without closing connections."""

    def cut(self) -> None:
        """Stop all traffic."""

    def join(self) -> None:
        """Let all traffic through again."""


@dataclass
class Host:
    """A host, and its link to the database."""

    process: Process
    database: Link
    """Link to the database; for a host on a machine of its own, to everything else as well."""
    readiness: Readiness


@dataclass(frozen=True)
class Hosts:
    """Both hosts, another operator, and the organisations of all."""

    hosts: tuple[Host, Host]
    known: Played
    """Both operators, at their public addresses."""
    superuser: Superuser

    @property
    def members(self) -> list[Member]:
        return self.known.members

    def lessees(self) -> int:
        """Return the number of processes with valid leases, according to the database."""
        ((number,),) = self.superuser.rows(
            "SELECT count(*) FROM registry.lessees WHERE until > clock_timestamp()"
        )
        return int(number)

    def in_charge(self, of_how_many: int) -> bool:
        """Return whether that many processes share all partitions between them."""
        ((number,),) = self.superuser.rows(
            "SELECT count(DISTINCT process) FROM registry.partitions WHERE process IS NOT NULL"
        )
        return self.free() == 0 and int(number) == of_how_many

    def free(self) -> int:
        """Return the number of partitions without a process, or whose process has an expired lease."""
        ((number,),) = self.superuser.rows(
            "SELECT count(*) FROM registry.partitions LEFT JOIN registry.lessees USING (process)"
            " WHERE role IN ('ap', 'mt') AND coalesce(until < clock_timestamp(), true)"
        )
        return int(number)


Changed = Callable[[DemoOperator, str], str]
"""Returns the changed text of an operator's configuration file."""


def _as_it_is(_: DemoOperator, text: str) -> str:
    return text


@dataclass(frozen=True)
class Former:
    """An earlier version of the program, with which the operator of two hosts has started."""

    sources: Path
    begin: Callable[[DemoOperator, Path], AbstractContextManager[None]]
    """Has that version create the operator's vaults in a folder, unchanged while the context lasts."""


@asynccontextmanager
async def two_hosts(
    federation: LocalFederation,
    ahead: float = 0.0,
    *,
    apart: bool = False,
    changed: Changed = _as_it_is,
    which: tuple[str, str] = ("all", "all"),
    former: Former | None = None,
    cast: tuple[DemoOrganisation, ...] = HERE,
    settled: Callable[[Process], Awaitable[object]] | None = None,
) -> AsyncIterator[Hosts]:
    """Run two hosts of one operator, and another operator.

    The second host's clock is ``ahead`` seconds fast. With ``apart`` each host, and the proxy for their
    database, has a network namespace of its own. ``changed`` changes configurations.
    ``which`` are the roles that each host serves; ``former`` is the program of both, if it is another one.
    ``cast`` are the organisations of the hosts; ``settled`` is called with them before anything serves.
    """
    shared, other = (
        DemoOperator("hosts", "AP0093-SDK-DEMO", cast),
        DemoOperator("beside", "AP0094-SDK-DEMO", _THERE),
    )
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(server_folder())
        with former.begin(shared, folder / shared.folder) if former else contextlib.nullcontext():
            those = await stack.enter_async_context(
                played(federation, folder, {shared: ("all",), other: ("all",)}, changed=changed)
            )
        first, beside = those.processes
        undaunted(beside.config_file)
        if settled is not None:
            await settled(first)
        database = first.config.vaults.database
        assert isinstance(database, Path)
        address = first.gate.database.address
        sockets = Path(re.search(r"host='?([^' ]+)", address)[1])  # type: ignore[index]
        socket, address_there = sockets / ".s.PGSQL.5432", ""
        if apart:
            there = stack.enter_context(machine())
            address_there = await stack.enter_async_context(database_in(there, socket))
        sources = former.sources if former else SOURCES
        hosts = [
            await _host(stack, first, name, socket, address_there, which=roles, ahead=by, sources=sources)
            for name, roles, by in zip("ab", which, (0.0, ahead), strict=True)
        ]
        for key in _LISTENERS:
            await _balanced(stack, first.config_file, hosts, key)
        await beside.start()
        await asyncio.gather(*(host.process.start() for host in hosts))
        superuser = Superuser(first.gate.database.administrator())
        yield Hosts((hosts[0], hosts[1]), those, superuser)


async def _host(
    stack: AsyncExitStack,
    one: Process,
    name: str,
    socket: Path,
    database: str,
    *,
    which: str,
    ahead: float,
    sources: Path,
) -> Host:
    """Create a host, which shares the key store, but has its own sockets and its own link to the database.

    With a place of the database it is a machine of its own, and its link is that machine's.
    """
    home = one.config_file.parent
    folder = home / f"relay-{name}"
    folder.mkdir(mode=0o700)
    where = stack.enter_context(machine()) if database else None
    if where:
        await stack.enter_async_context(database_for(where, database, folder / socket.name))
        link: Link = where
    else:
        link = relay = Relay(socket)
        server = await asyncio.start_unix_server(relay.connected, folder / socket.name)
        stack.callback(server.close)
        stack.push_async_callback(relay.stop)
    address = where.address if where else HOST
    text = one.config_file.read_text()
    text = text.replace(
        'database = "database"', f'database = "postgresql://postgres@/postgres?host={folder}"'
    )
    text = text.replace('secrets = "secrets"', f'secrets = "secrets"\ncontrol = "control-{name}"')
    text = text.replace('file = "addressbook.json"', f'file = "addressbook-{name}.json"')
    text = re.sub(
        r'(?m)^((?:listen|listen_c|listen_d) = )"[^"]*"', lambda found: _elsewhere(found[1], address), text
    )
    if where:  # A process serves metrics only on a loopback.
        text = text.replace(f'[metrics]\nlisten = "{address}', f'[metrics]\nlisten = "{OWN_LOOPBACK}')
    file = home / f"samdrift-{name}.toml"
    file.write_text(text)
    process = HostProcess(which, file, load(file), one.gate, sources=sources, ahead=ahead, where=where)
    stack.push_async_callback(process.stop)
    assert process.config.metrics is not None
    health = process.config.metrics.listen
    place = health.host, health.port
    if where:
        place = await stack.enter_async_context(health_of(where, health.port))
    readiness = Readiness(place)
    watching = in_background(readiness.watch(), on_failure=_raised)
    await stack.enter_async_context(watching)
    return Host(process, link, readiness)


def _raised(error: BaseException) -> None:
    raise error


def _elsewhere(key: str, address: str) -> str:
    return f'{key}"{address}:{free_port(HOST)}"'


async def _balanced(stack: AsyncExitStack, known: Path, hosts: Sequence[Host], key: str) -> None:
    """Listen at a public address, and pass connections on to the hosts."""

    def of(file: Path) -> Place:
        found = re.search(rf'(?m)^{key} = "([^"]*):(\d+)"', file.read_text())
        assert found is not None
        return found[1], int(found[2])

    def ready(host: Host) -> Callable[[], bool]:
        return lambda: host.readiness.ready

    balancer = Balancer([(of(host.process.config_file), ready(host)) for host in hosts])
    server = await asyncio.start_server(balancer.connected, *of(known))
    stack.callback(server.close)
    stack.push_async_callback(balancer.stop)


@dataclass
class Survived:
    """Faults injected into two hosts, and everything that was wrong afterwards."""

    exchanges: int
    blows: list[str]
    faults: list[str]
    """Messages that were lost, delivered twice, changed or left over (:mod:`tests.roles.soak`)."""
    taken_over: list[float]
    """Seconds from each fault until every partition was served again."""
    said: str = ""
    """Log of the second host."""


@dataclass
class SetAside:
    """Result for two hosts the second of which has a wrong clock."""

    exchanges: int
    faults: list[str]
    health: list[Condition]
    """Conditions that the second host reports."""
    said: str
    """Log of the second host."""


async def set_aside(
    federation: LocalFederation, rng: random.Random, exchanges: int, patience: float, ahead: float
) -> SetAside:
    """Send messages while the second host's clock is wrong, and it is killed and restarted."""
    async with two_hosts(federation, ahead) as those:
        right, wrong = those.hosts

        def is_left_out() -> bool:
            ready = right.readiness.ready and not wrong.readiness.ready
            return ready and those.lessees() == 2 and those.in_charge(1)

        await asyncio.wait_for(_taken_over(is_left_out), patience)
        sending = asyncio.create_task(send(those.members, rng, exchanges))
        await wrong.process.end(signal.SIGKILL)
        await wrong.process.start()
        await asyncio.wait_for(_taken_over(is_left_out), patience)
        sent: list[Exchange] = await sending
        faults = await faults_of(sent, those.members, patience)
        conditions = [Condition.read(each) for each in await wrong.readiness.health()]
        return SetAside(len(sent), faults, conditions, wrong.process.log.read_text())


async def killed(host: Host, elsewhere: Callable[[], bool]) -> None:
    """Kill the host with SIGKILL; restart it once the other one has taken over."""
    await host.process.end(signal.SIGKILL)
    await _taken_over(elsewhere)
    await host.process.start()


async def cut_off(host: Host, elsewhere: Callable[[], bool]) -> None:
    """Cut the running host off from the database until the other one has taken over."""
    host.database.cut()
    await _taken_over(elsewhere)
    host.database.join()


async def _taken_over(elsewhere: Callable[[], bool]) -> None:
    """Wait for the takeover; fail after a while if a host does not come back."""
    async with asyncio.timeout(_LONGEST):
        while not await asyncio.to_thread(elsewhere):
            await asyncio.sleep(0.2)


async def survived(
    federation: LocalFederation,
    rng: random.Random,
    exchanges: int,
    blows: int,
    patience: float,
    ahead: float = 0.0,
    *,
    apart: bool = False,
    changed: Changed = _as_it_is,
    large: float = 0.2,
) -> Survived:
    """Break one of two hosts repeatedly while messages are exchanged, then check each message.

    ``ahead`` is by how many seconds the second one's clock is; ``apart`` and ``changed`` as for
    :func:`two_hosts`, ``large`` as for :func:`tests.roles.soak.send`. If each host is a machine, the first
    fault cuts it off.
    """
    clock = asyncio.get_running_loop().time
    found = Survived(0, [], [], [])
    async with two_hosts(federation, ahead, apart=apart, changed=changed) as those:
        sending = asyncio.create_task(send(those.members, rng, exchanges, large))
        for number in range(blows):
            blow, host = (killed, cut_off)[(number + apart) % 2], rng.choice(those.hosts)
            await _taken_over(lambda: those.lessees() == 2 and those.free() == 0)
            await asyncio.sleep(rng.uniform(0, 1.5))
            began, times = clock(), list[float]()

            def elsewhere(began: float = began, times: list[float] = times) -> bool:
                if those.lessees() == 1 and those.free() == 0:
                    times.append(clock() - began)
                return bool(times)

            await blow(host, elsewhere)
            found.blows.append(blow.__name__)
            found.taken_over += times
        sent: list[Exchange] = await sending
        found.faults = await faults_of(sent, those.members, patience)
        found.exchanges = len(sent)
        found.said = those.hosts[1].process.log.read_text()
    return found
