"""Each thing that an installation depends on, broken under traffic: what is said, and what comes back.

An operator with two organisations runs as a process beside another one. One dependency after the other is
taken away until the process knows, for some time more, and given back; messages go to and fro meanwhile. What
is written down is what whoever was woken has: lines of the log, the metric, health and `samdrift status`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.config.values import SocketAddress
from samdrift.demo.cast import DemoOperator
from samdrift.demo.witnessing import POLICY, DemoWitness
from samdrift.federation.server import Failure, LocalFederation, Service
from samdrift.installation.health import GONE
from samdrift.net.server import listening_socket, serving
from tests.roles.crashes import crashed
from tests.roles.member import Member, until
from tests.roles.processes import Process, organisation, played
from tests.roles.soak import Exchange, faults_of, send
from tests.roles.stage import HOST
from tests.scanner import Clamd, clamd
from tests.tsa import TimeStamps
from tests.unit.cli.commandline import in_process
from tests.unit.transparency.logsystem import LogSystem
from tests.vaults import server_folder

EXCHANGES = 4
"""Messages that are sent while one thing is broken: one each way."""
_HERE = organisation("tibro", "2120001660"), organisation("karlsborg", "2120001595")
_THERE = (organisation("hjo", "2120001728"),)
_BROKEN = DemoOperator("faults-broken", "AP0083-SDK-DEMO", _HERE)
_STEADY = DemoOperator("faults-steady", "AP0084-SDK-DEMO", _THERE)
_SETTINGS = f"""
[logs]
witnesses = "{POLICY}"
checkpoint_seconds = 60
witness_networks = ["127.0.0.0/8"]
system_networks = ["127.0.0.0/8"]
time_stamps = "http://{HOST}:{{stamps}}/"
time_stamps_trust = "{{roots}}"
"""
_NOTHING_KEPT = "metadata_seconds = 0\nverdict_seconds = 0\nrevocation_seconds = 0\n"
"""So that shared services are asked by each exchange, as they are now and then with what is kept."""
_LINE = re.compile(r"(?P<at>\S+Z) (?P<level>[A-Z]+) (?P<text>.*)")
_WARNINGS = ("WARNING", "ERROR", "CRITICAL")
Broken = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """One thing that can be broken: what an operator calls it, and what health does."""

    name: str
    dependency: str
    broken: Broken
    traffic: bool = True
    """False where messages cannot be stored meanwhile, not even by the test."""


@dataclass(frozen=True)
class Seen:
    """What one fault showed."""

    fault: str
    dependency: str
    known: float
    """Seconds until health named it; below nothing where it never did."""
    reason: str
    metric: float
    status: str
    """The line of `samdrift status`."""
    lines: Sequence[str]
    """Warnings and errors of the log, from the moment it broke until it was back."""
    back: float
    """Seconds until health said that it is there again; below nothing where it never did."""
    tracebacks: int

    @property
    def faults(self) -> list[str]:
        """Everything that whoever was woken would not understand."""
        own = [line for line in self.lines if line.startswith(self.dependency)]
        gone = [line for line in own if ": gone since " in line]
        back = [line for line in own if ": back after " in line]
        found = [
            (self.known < 0, "health never named it"),
            (self.back < 0, "it never came back by itself"),
            (self.known >= 0 and not gone, "no line says that it is gone"),
            (self.back >= 0 and not back, "no line says that it is back"),
            (self.known >= 0 and self.metric < 1, "the metric does not count it"),
            (self.known >= 0 and self.dependency not in self.status, "status does not name it"),
            (self.tracebacks > 0, "the log has a traceback"),
        ]
        return [f"{self.fault}: {text}" for holds, text in found if holds]


@dataclass
class Tap:
    """A port in front of a service, which can be shut: who calls is refused, and who is connected cut off."""

    behind: int
    port: int = 0
    _server: asyncio.Server | None = None
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._talk, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            for talk in self._talks:
                talk.cancel()
            self._server = None

    @asynccontextmanager
    async def broken(self) -> AsyncIterator[None]:
        """Keep it shut while the context lasts."""
        await self.shut()
        try:
            yield
        finally:
            await self.open()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        self._talks.add(own)
        try:
            there, back = await asyncio.open_connection(HOST, self.behind)
            with contextlib.closing(back):
                await asyncio.gather(_poured(reader, back), _poured(there, writer))
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._talks.discard(own)
            writer.close()


async def _poured(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(1 << 16):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()


@dataclass
class Ground:
    """The operator whose dependencies are broken, with the other one, and everything that can be broken."""

    federation: LocalFederation
    process: Process
    members: list[Member]
    scanner: Clamd
    taps: dict[str, Tap]
    patience: float

    def faults(self) -> list[Fault]:
        """List everything that can be broken here, in the order of docs/outages.md."""
        config = self.process.config
        return [
            Fault("database", "database", lambda: crashed(config, self.process.gate)),
            Fault("object store", "object-store", lambda: _aside(config.vaults.objects), traffic=False),
            Fault("key store", "key-store", lambda: _aside(config.vaults.secrets), traffic=False),
            Fault("scanner", "scanner", self._no_scanner),
            *(
                Fault(f"{name}, {how.value}", dependency, _failing(self.federation, service, how))
                for name, dependency, service in _SHARED
                for how in Failure
            ),
            *(Fault(name, name_of_tap(name), tap.broken) for name, tap in self.taps.items()),
        ]

    @asynccontextmanager
    async def _no_scanner(self) -> AsyncIterator[None]:
        self.scanner.stop()
        try:
            yield
        finally:
            await self.scanner.start()

    async def observe(self, fault: Fault, seconds: float, rng: random.Random) -> tuple[Seen, list[Exchange]]:
        """Break one thing until it is known and for some seconds more; mend it, and wait until it is back."""
        before = len(self.process.log.read_text())
        loop = asyncio.get_running_loop()
        began, status, sending = loop.time(), "", None
        condition: dict[str, Any] = {}
        async with fault.broken():
            if fault.traffic:
                sending = asyncio.create_task(send(self.members, rng, EXCHANGES))
            with contextlib.suppress(AssertionError):
                condition = await until(lambda: self._state(fault.dependency, "gone"), "", self.patience)
            known = loop.time() - began if condition else -1.0
            metric = await self._metric(fault.dependency)
            status = await self._status(fault.dependency)
            await asyncio.sleep(seconds)
        began, back = loop.time(), -1.0
        if not fault.traffic:
            sending = asyncio.create_task(send(self.members, rng, EXCHANGES))
        assert sending is not None
        exchanges = await sending
        with contextlib.suppress(AssertionError):
            await until(lambda: self._state(fault.dependency, "there"), "", self.patience)
            back = loop.time() - began
        text = self.process.log.read_text()[before:]
        lines = [found["text"] for found in map(_LINE.fullmatch, text.splitlines()) if found is not None]
        levels = [found["level"] for found in map(_LINE.fullmatch, text.splitlines()) if found is not None]
        warnings = [line for line, level in zip(lines, levels, strict=True) if level in _WARNINGS]
        reason = str(condition.get("reason", ""))
        seen = Seen(
            *(fault.name, fault.dependency, known, reason, metric, status, warnings, back),
            text.count("Traceback"),
        )
        return seen, exchanges

    async def _state(self, dependency: str, state: str) -> dict[str, Any] | None:
        """Return a condition in that state; for `there`, when no condition of the kind is gone."""
        own = [one for one in (await self._health())["dependencies"] if one["dependency"] == dependency]
        if state == "there":
            return own[0] if own and all(one["state"] == "there" for one in own) else None
        return next((one for one in own if one["state"] == state), None)

    async def _health(self) -> Any:
        return json.loads(await asyncio.to_thread(_get, self._listen, "/health"))

    @property
    def _listen(self) -> SocketAddress:
        assert self.process.config.metrics is not None
        return self.process.config.metrics.listen

    async def _metric(self, dependency: str) -> float:
        text = (await asyncio.to_thread(_get, self._listen, "/metrics")).decode()
        found = re.search(rf'^{GONE}\{{dependency="{dependency}"\}} (\S+)$', text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    async def _status(self, dependency: str) -> str:
        """Return the line of `samdrift status` about a dependency."""
        ended = await asyncio.to_thread(in_process, "status", "--config", self.process.config_file)
        lines = (ended.output + ended.complaints).splitlines()
        return next((" ".join(line.split()) for line in lines if dependency in line), "")


_SHARED = (
    ("DNS", "sml", Service.SML),
    ("SMP", "smp", Service.SMP),
    ("address book", "address-book", Service.ADDRESS_BOOK),
    ("CRL and OCSP", "revocation", Service.RESPONDER),
)


def name_of_tap(name: str) -> str:
    """Return what health calls a service behind a port."""
    return {"witness": "log", "log receiver": "log-system", "time stamping": "time-stamps"}[name]


def _get(listen: SocketAddress, path: str) -> bytes:
    try:
        with urllib.request.urlopen(f"http://{listen.host}:{listen.port}{path}", timeout=60) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.read()


def _failing(federation: LocalFederation, service: Service, how: Failure) -> Broken:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        federation.outages.failures[service] = how
        try:
            yield
        finally:
            del federation.outages.failures[service]

    return broken


@asynccontextmanager
async def _aside(folder: Path | str) -> AsyncIterator[None]:
    """Take a folder away, as a file system that is not mounted any more."""
    assert isinstance(folder, Path)
    other = folder.with_name(f"{folder.name}.aside")
    folder.rename(other)
    try:
        yield
    finally:
        other.rename(folder)


@asynccontextmanager
async def ground(federation: LocalFederation, folder: Path, patience: float) -> AsyncIterator[Ground]:
    """Run both operators, with everything around the one whose dependencies are broken."""
    assert clamd is not None, "clamd is not installed"
    async with AsyncExitStack() as stack:
        scanner = Clamd(folder / "clamd")
        scanner.folder.mkdir()
        await scanner.start()
        stack.callback(scanner.stop)
        stamps = TimeStamps(folder / "tsa")
        taps = {"time stamping": await _tapped(stack, await _stamping(stack, stamps))}
        logs = folder / "log-system"
        logs.mkdir()
        system = await stack.enter_async_context(LogSystem(logs).running())
        taps["log receiver"] = await _tapped(stack, system.address.port)
        settings = _SETTINGS.format(stamps=taps["time stamping"].port, roots=stamps.folder / "root.pem")
        home = stack.enter_context(server_folder())
        witness = DemoWitness.of(_STEADY, folder)
        taps["witness"] = await _tapped(stack, witness.sock.getsockname()[1])
        for operator in (_BROKEN, _STEADY):
            (home / operator.folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        policy = f"witness other {witness.key} http://{HOST}:{taps['witness'].port}\nquorum other\n"
        (home / _BROKEN.folder / POLICY).write_text(policy)
        operators = {_BROKEN: ("all",), _STEADY: ("all",)}
        those = await stack.enter_async_context(played(federation, home, operators, own={_BROKEN: settings}))
        process = those.processes[0]
        _configure(
            process.config_file, scanner, taps["log receiver"].port, system.identity, system.tls_issuers
        )
        await witness.enter(those.members[0].operator)
        await witness.serve(stack)
        for each in those.processes:
            await each.start()
        yield Ground(federation, process, those.members, scanner, taps, patience)


def _configure(file: Path, scanner: Clamd, port: int, identity: Sequence[Path], issuers: Path | None) -> None:
    """Have the operator scan what comes, and hand the logs of its organisations over."""
    text = file.read_text()
    assert 'scanner = "none"' in text
    text = text.replace("[address_book]\n", "[address_book]\nrefresh_seconds = 15\nretry_seconds = 2\n", 1)
    text = text.replace("[federation]\n", f"[federation]\n{_NOTHING_KEPT}", 1)
    text = text.replace('scanner = "none"', f'scanner = "clamd"\nsocket = "{scanner.socket}"')
    system = "\n".join(
        [
            "[organisations.log_system]",
            f'address = "localhost:{port}"',
            f'certificate = "{identity[0]}"',
            *([f'key_file = "{identity[1]}"'] if len(identity) > 1 else []),
            f'tls_issuers = "{issuers}"',
        ]
    )
    first, *others = text.split("[[organisations]]\n")
    before, logs, after = others[-1].partition("\n[logs]\n")
    others[-1] = before
    entries = [
        f'[[organisations]]\nwitnesses = "{POLICY}"\n{each.rstrip()}\n\n{system}\n\n' for each in others
    ]
    file.write_text(first + "".join(entries) + logs + after)


async def _tapped(stack: AsyncExitStack, port: int) -> Tap:
    tap = Tap(port)
    await tap.open()
    stack.push_async_callback(tap.shut)
    return tap


async def _stamping(stack: AsyncExitStack, stamps: TimeStamps) -> int:
    """Serve an authority for time stamps, and return its port."""

    async def answer(request: Request) -> Response:
        stamp = await asyncio.to_thread(stamps.stamp, await request.body())
        return Response(stamp, media_type="application/timestamp-reply")

    sock = listening_socket(HOST)
    app = Starlette(routes=[Route("/", answer, methods=["POST"])])
    await stack.enter_async_context(serving(app, sock, per_address=0))
    return int(sock.getsockname()[1])


async def all_broken(
    there: Ground, names: Sequence[str], seconds: float, rng: random.Random, report: Callable[[Seen], None]
) -> tuple[list[Seen], list[str], int]:
    """Break what is named, or all, in turn; returns what was seen, faults, and how many exchanges."""
    seen, exchanges = list[Seen](), list[Exchange]()
    chosen = [each for each in there.faults() if not names or any(name in each.name for name in names)]
    for fault in chosen:
        found, sent = await there.observe(fault, seconds, rng)
        report(found)
        seen.append(found)
        exchanges += sent
    faults = [text for each in seen for text in each.faults]
    faults += await faults_of(exchanges, there.members, there.patience)
    return seen, faults, len(exchanges)
