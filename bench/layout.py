"""The two layouts of vaults on trial: schemas in one database, and a database for each organisation.

Each is made for few, several and many organisations, in a server of its own. Counted are
seconds of CPU of all processes of that server, since a busy machine stretches time but
not work; memory is PSS, which counts what processes share once. Times by the clock are
rows of their own and say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psutil
import uvloop
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.vaults import WORKER, body, incoming, message, outgoing

from bench.layout_databases import ROLES, DatabasePerOrganisation, add_organisation, make_template
from bench.measure import Row, reported
from samdrift.contracts.principals import Purpose, Role
from samdrift.keystore.interface import KeyStore
from samdrift.vault.database.postgres import programs_folder
from samdrift.vault.database.server import Database
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier

_NUMBERS = (3, 30, 300)
_LAYOUTS = ("schemas", "databases")
_CONNECTIONS = 800
_VISITS = 900
"""Visits of organisations in each measurement, however many organisations there are."""
_COLD_VISITS = 300
_AT_ONCE = 8
"""Visits under way at the same time: a commit waits for the disk."""
_NAPTIMES = (60, 900)
"""Seconds: PostgreSQL's default, and one that suits a database for each organisation."""
_SETTLE_SECONDS = 130.0
"""After traffic: every database has been visited twice by then."""
_SETTLE_AGAIN_SECONDS = 30.0
_IDLE_SECONDS = 300.0
_HOUR = timedelta(hours=1)
_LEASE = timedelta(minutes=5)
_ENVELOPE = os.urandom(10_000)
_NOT_DATA = ("pg_wal", "server.log")


def rows() -> list[Row]:
    """Making, cold and warm openings, idle time, memory, files, stopping and starting, and a dump."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with TemporaryDirectory(prefix="samdrift-bench-") as folder:
        return uvloop.run(_rows(Path(folder)))


async def _rows(folder: Path) -> list[Row]:
    found: list[Row] = []
    async with AsyncExitStack() as stack:
        sites = []
        for number in _NUMBERS:
            for layout in _LAYOUTS:
                site = await stack.enter_async_context(_site(folder / f"{layout}-{number}", layout, number))
                sites.append(site)
                for measured in (_made, _visited, _remembered, _dumped):
                    found += await measured(site)
        for naptime in _NAPTIMES:
            found += await _idle(sites, naptime)
        for site in sites:
            found += await _restarted(site)
    return found


class Server:
    """A PostgreSQL server as the kernel accounts for it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"

    @property
    def _postmaster(self) -> psutil.Process:
        return psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))

    def cpu(self) -> float:
        """Seconds so far, those of its processes that have ended with them."""
        postmaster = self._postmaster
        ended = postmaster.cpu_times()
        alive = [_on_cpu(each.pid) for each in (postmaster, *postmaster.children())]
        return sum(alive) + ended.children_user + ended.children_system

    def cpu_by_kind(self) -> dict[str, float]:
        """Seconds so far of each auxiliary process that lives."""
        kinds = {each.pid: " ".join(each.cmdline()).strip() for each in self._postmaster.children()}
        return {kind: _on_cpu(pid) for pid, kind in kinds.items() if not kind.startswith("postgres: l")}

    def memory(self) -> float:
        """Megabytes of PSS."""
        postmaster = self._postmaster
        return sum(_pss(each.pid) for each in (postmaster, *postmaster.children())) / 1e6

    def stored(self) -> tuple[int, float]:
        """Files and megabytes on disk, without the write-ahead log."""
        sizes = []
        for path in self.data.rglob("*"):
            if path.relative_to(self.data).parts[0] not in _NOT_DATA:
                with contextlib.suppress(FileNotFoundError):  # The server replaces files meanwhile.
                    found = path.lstat()
                    if stat.S_ISREG(found.st_mode):
                        sizes.append(found.st_blocks * 512)
        return len(sizes), sum(sizes) / 1e6


def _on_cpu(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


@dataclass
class Site:
    """An installation in one layout, with so many organisations."""

    layout: str
    number: int
    settings: VaultSettings
    keys: KeyStore
    database: Database
    provisioner: Provisioner
    connection: AsyncConnection[tuple[Any, ...]]
    server: Server
    organisations: list[ParticipantIdentifier] = field(default_factory=list)
    databases: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.number} organisations, {self.layout}"

    @asynccontextmanager
    async def gate(self, connections: int) -> AsyncIterator[Gate]:
        """A gate that keeps so many connections."""
        settings = VaultSettings(
            self.settings.database, self.settings.objects, self.settings.secrets, self.settings.seals,
            self.settings.passphrase, connections=connections, idle=_HOUR,
        )  # fmt: skip
        gate = await Gate.start(settings, keys=self.keys, database=_kept_running(self.database))
        try:
            yield gate
        finally:
            await gate.close()

    async def reconnect(self) -> None:
        """Let go of what the administrator's session has kept in its caches."""
        await self.connection.close()
        self.connection = await self.database.administrators_connection()

    def row(self, what: str, value: float, unit: str) -> Row:
        return reported(f"{self.name}: {what}", [value], unit)


def _kept_running(database: Database) -> Database:
    """The database, for a gate that does not stop it."""

    async def stay() -> None:
        pass

    database.stop = stay  # type: ignore[method-assign]
    return database


@asynccontextmanager
async def _site(folder: Path, layout: str, number: int) -> AsyncIterator[Site]:
    settings = VaultSettings(
        folder / "database", folder / "objects", folder / "secrets", folder / "seals", b"bench"
    )
    keys = open_keys(settings, begin=True)
    kind = DatabasePerOrganisation if layout == "databases" else Database
    database = await kind.start(settings, keys)
    connection = await database.administrators_connection()
    await connection.execute(f"ALTER SYSTEM SET max_connections = {_CONNECTIONS}")
    await connection.close()
    assert database._server is not None
    database._server.control("restart", "-m", "fast")
    connection = await database.administrators_connection()
    provisioner = Provisioner(settings, database, connection, keys)
    await provisioner.install()
    server = Server(folder / "database")
    try:
        yield Site(layout, number, settings, keys, database, provisioner, connection, server)
    finally:
        database._server.control("stop", "-m", "immediate")


async def _made(site: Site) -> list[Row]:
    """What an organisation takes to be made."""
    database = site.database
    if isinstance(database, DatabasePerOrganisation):
        await make_template(site.connection, database)
    await site.connection.execute("CHECKPOINT")
    files, size = site.server.stored()
    before, began = site.server.cpu(), time.perf_counter()
    wal = await _wal(site)
    for number in range(site.number):
        organisation = ParticipantIdentifier(f"0203:kommun{number}.se")
        if isinstance(database, DatabasePerOrganisation):
            site.databases.append(await add_organisation(site.connection, database, site.keys, organisation))
        else:
            await site.provisioner.add_organisation(organisation, ROLES)
        site.organisations.append(organisation)
    cpu, took = site.server.cpu() - before, time.perf_counter() - began
    wal = await _wal(site) - wal
    makers = site.server.memory()
    await site.reconnect()
    await asyncio.sleep(1)
    makers -= site.server.memory()
    await site.connection.execute("CHECKPOINT")
    more_files, larger = site.server.stored()
    per = site.number
    return [
        site.row("making one", cpu / per * 1000, "ms CPU of PostgreSQL"),
        site.row("making one, by the clock", took / per, "s"),
        site.row("write-ahead log for one", wal / per / 1e6, "MB"),
        site.row("disk for one", (larger - size) / per, "MB"),
        site.row("files for one", (more_files - files) / per, "files"),
        site.row("memory of the connection that made them", makers, "MB PSS"),
    ]


async def _wal(site: Site) -> float:
    cursor = await site.connection.execute("SELECT pg_current_wal_lsn() - '0/0'")
    ((position,),) = await cursor.fetchall()
    return float(position)


async def _visited(site: Site) -> list[Row]:
    """What opening costs when every connection is new, and when all stand."""
    found = []
    async with site.gate(1) as gate:
        for name in ("first login and claim ever", "cold login and claim"):
            before = site.server.cpu()
            visits = site.number if name.startswith("first") else max(site.number, _COLD_VISITS)
            await _round(gate, site, visits, _claim)
            found.append(
                site.row(name, (site.server.cpu() - before) / visits / 2 * 1000, "ms CPU of PostgreSQL")
            )
    async with site.gate(site.number * 2 + 20) as gate:
        await _round(gate, site, site.number * 2, _exchange)
        await _round(gate, site, site.number, _claim)
        warm = site.server.memory()
        found.append(site.row("memory, all connections standing", warm, "MB PSS of PostgreSQL"))
        for name, work in (("warm claim", _claim), ("warm exchange's openings", _exchange)):
            before, ours = site.server.cpu(), time.process_time()
            await _round(gate, site, _VISITS, work)
            cpu, python = site.server.cpu() - before, time.process_time() - ours
            found += [
                site.row(name, cpu / _VISITS * 1000, "ms CPU of PostgreSQL"),
                site.row(f"{name}, both", (cpu + python) / _VISITS * 1000, "ms CPU"),
            ]
    await asyncio.sleep(1)
    left = site.server.memory()
    found.append(site.row("memory of one standing connection", (warm - left) / (site.number * 2), "MB PSS"))
    return found


async def _round(gate: Gate, site: Site, visits: int, work: Callable[..., Awaitable[None]]) -> None:
    waiting = iter(range(visits))

    async def visit() -> None:
        for number in waiting:
            await work(gate, site.organisations[number % site.number])

    await asyncio.gather(*(visit() for _ in range(_AT_ONCE)))


async def _claim(gate: Gate, organisation: ParticipantIdentifier) -> None:
    now = datetime.now(UTC)
    async with gate.open(WORKER, organisation, Role.ACCESS_POINT, Purpose.PROCESS) as ap:
        await ap.claim_transfers(now=now - _HOUR, lease=_LEASE, limit=1)
    async with gate.open(WORKER, organisation, Role.MESSAGE_SERVICE, Purpose.PROCESS) as mt:
        await mt.claim_work(now=now - _HOUR, lease=_LEASE, limit=1)


async def _exchange(gate: Gate, organisation: ParticipantIdentifier) -> None:
    """The vaults' share of a message that is sent and one that comes in."""
    now = datetime.now(UTC)
    async with gate.open(WORKER, organisation, Role.MESSAGE_SERVICE, Purpose.PROCESS) as mt:
        await mt.create_outgoing(message(), await body(mt, _ENVELOPE), now=now, lease=None)
    async with gate.open(WORKER, organisation, Role.MESSAGE_SERVICE, Purpose.PROCESS) as mt:
        for item in await mt.claim_work(now=now, lease=_LEASE, limit=1):
            await mt.finish_work(item.kind, item.id)
    async with gate.open(WORKER, organisation, Role.ACCESS_POINT, Purpose.PROCESS) as ap:
        await ap.submit(
            outgoing(organisation),
            await body(ap, _ENVELOPE),
            as4_message_id=f"{uuid4()}@a",
            now=now,
            lease=None,
        )
    async with gate.open(WORKER, organisation, Role.ACCESS_POINT, Purpose.PROCESS) as ap:
        for transfer in await ap.claim_transfers(now=now + _LEASE, lease=_LEASE, limit=1):
            await ap.delivered(transfer.id, now=now, receipt=bytes(4_000), peer="AP0002-SDK-TEST")
    async with gate.open(WORKER, organisation, Role.ACCESS_POINT, Purpose.PROCESS) as ap:
        await ap.accept(incoming(), await body(ap, _ENVELOPE), bytes(4_000), now=now)


async def _remembered(site: Site) -> list[Row]:
    """Memory with nobody at work, and with a listening connection to each database there is."""
    idle = site.server.memory()
    found = [site.row("memory, nobody at work", idle, "MB PSS of PostgreSQL")]
    address = site.database.administrator()
    places = site.databases or [site.database.name]
    listening = [
        await AsyncConnection.connect(make_conninfo(address, dbname=name), autocommit=True) for name in places
    ]
    for connection in listening:
        await connection.execute("LISTEN c1")
    await asyncio.sleep(1)
    used = site.server.memory() - idle
    for connection in listening:
        await connection.close()
    return [
        *found,
        site.row("memory of one listening connection", used / len(places), "MB PSS"),
        site.row("memory of those that hear all vaults, per process of ours", used, "MB PSS"),
    ]


async def _dumped(site: Site) -> list[Row]:
    """A dump of one organisation."""
    password = str(conninfo_to_dict(site.database.administrator())["password"])
    if site.databases:
        what: Sequence[str] = [
            "--dbname",
            make_conninfo(site.database.administrator(), dbname=site.databases[0]),
        ]
    else:
        cursor = await site.connection.execute(
            "SELECT schema FROM registry.registrations WHERE organisation = %s",
            (site.organisations[0].value,),
        )
        schemas = [schema for (schema,) in await cursor.fetchall()]
        what = ["--dbname", site.database.administrator(), *(f"--schema={one}" for one in schemas)]
    before, server = resource.getrusage(resource.RUSAGE_CHILDREN), site.server.cpu()
    dump = await asyncio.to_thread(
        subprocess.run, [programs_folder() / "pg_dump", "--format=custom", *what],
        env={"PGPASSWORD": password}, check=True, capture_output=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    await asyncio.sleep(0.2)
    client = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [
        site.row("dump of one", (client + site.server.cpu() - server) * 1000, "ms CPU"),
        site.row("size of its dump", len(dump.stdout) / 1e6, "MB"),
    ]


async def _idle(sites: Sequence[Site], naptime: int) -> list[Row]:
    """All at once: CPU of each server while nobody asks for anything, and who used it."""
    for site in sites:
        await site.connection.execute(f"ALTER SYSTEM SET autovacuum_naptime = {naptime}")
        await site.connection.execute("SELECT pg_reload_conf()")
    await asyncio.sleep(_SETTLE_SECONDS if naptime == _NAPTIMES[0] else _SETTLE_AGAIN_SECONDS)
    before = [(site.server.cpu(), site.server.cpu_by_kind()) for site in sites]
    began = time.perf_counter()
    await asyncio.sleep(_IDLE_SECONDS)
    took = time.perf_counter() - began
    found = []
    for site, (cpu, kinds) in zip(sites, before, strict=True):
        what = f"idle, autovacuum_naptime {naptime} s"
        found.append(site.row(what, (site.server.cpu() - cpu) / took * 100, "% of a core"))
        for kind, used in site.server.cpu_by_kind().items():
            spent = (used - kinds.get(kind, 0.0)) / took * 100
            if spent >= 0.001:
                found.append(site.row(f"{what}, of which {kind}", spent, "% of a core"))
    found += [site.row("memory after that", site.server.memory(), "MB PSS of PostgreSQL") for site in sites]
    return found


async def _restarted(site: Site) -> list[Row]:
    """Stopping, starting, and starting after a crash: seconds by the clock, and of CPU until it answers."""
    server = site.database._server
    assert server is not None
    await site.connection.close()
    found = []
    await asyncio.to_thread(os.sync)
    for name, how in (("stop", "fast"), ("crash", "immediate")):
        began = time.perf_counter()
        await asyncio.to_thread(server.control, "stop", "-m", how)
        if name == "stop":
            kept = site.server.data / "pg_stat/pgstat.stat"
            found += [
                site.row("stopping, by the clock", time.perf_counter() - began, "s"),
                site.row("file of statistics", kept.stat().st_size / 1e6, "MB"),
            ]
        began = time.perf_counter()
        await asyncio.to_thread(server.control, "start")
        took, cpu = time.perf_counter() - began, site.server.cpu()
        connection = await site.database.administrators_connection()
        await connection.close()
        found += [
            site.row(f"starting after a {name}, by the clock", took, "s"),
            site.row(f"starting after a {name}", cpu, "s CPU"),
        ]
    return found
