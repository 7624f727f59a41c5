"""Each dependency of an installation broken under traffic, to see what it reports and how it recovers.

An operator with two organisations runs alongside another one, as one process or several. One dependency after
the other is taken away until the failure is detected, kept away for a while, and restored; systems of all
organisations send through interface D meanwhile. The result records what an operator on call can see: log
lines, the metric, health, `samdrift status` and `samdrift doctor`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import urllib.error
import urllib.request
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.config.values import SocketAddress
from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOperator
from samdrift.demo.witnessing import POLICY, DemoWitness
from samdrift.federation.server import Failure, LocalFederation, Service
from samdrift.installation.health import GONE
from samdrift.net.server import listening_socket, serving
from samdrift.vault.settings import S3Settings
from tests.roles.beside import Beside, beside
from tests.roles.crashes import crashed
from tests.roles.disks import Disk, disk
from tests.roles.member import until
from tests.roles.ownrestarts import SETTINGS, Layout, how_it_ended, readable_by_workers
from tests.roles.processes import PROGRAM, Played, Process, organisation, played
from tests.roles.soak import faults_of
from tests.roles.stage import HOST
from tests.roles.tap import Tap, tapped
from tests.roles.traffic import Traffic, flowing
from tests.scanner import Clamd, clamd
from tests.secretfiles import secret_file
from tests.tsa import TimeStamps
from tests.unit.cli.commandline import in_process
from tests.unit.transparency.logsystem import LogSystem
from tests.vaults import server_folder

_BETWEEN = 4.0
"""Maximum seconds between two messages of one organisation."""
_WITH_PAGES = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE, Role.MESSAGE_CLIENT, Role.GOVERNANCE)
_TOKEN = organisation("karlsborg", "2120001595")
_HERE = organisation("tibro", "2120001660", _WITH_PAGES), _TOKEN
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
"""Settings that disable caching, so that each exchange queries the shared services."""
_SHORT_LEASE = "lease_seconds = 3\n"
_ATTEMPTS, _LASTING_ATTEMPTS = "attempts = 60\n", "attempts = 900\n"
_STAMPING = "time stamping"
_DISK, _OBJECTS = "disk", "objects"
"""Folder with a small disk of its own, and the folder of the object store in it."""
_FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
_NEEDED_EVERY = 3.0
_LINE = re.compile(r"((?P<process>.+): )?(?P<at>\S+Z) (?P<level>[A-Z]+) (?P<text>.*)")
_WARNINGS = ("WARNING", "ERROR", "CRITICAL")
Broken = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """One way to break a dependency, with the name that health uses for the dependency."""

    name: str
    dependency: str
    broken: Broken
    needed: Callable[[], Awaitable[str]] | None = None
    """Uses the dependency if traffic does not; returns a line with the result."""
    examined: bool = True
    """False if the doctor would repair it: it starts an embedded database, and would wait for this one."""


@dataclass(frozen=True)
class Seen:
    """Observations of one fault."""

    fault: str
    dependency: str
    known: float
    """Seconds until health reported it; negative if it never did."""
    reason: str
    metric: float
    status: str
    """Line of `samdrift status` about the dependency."""
    doctor: str
    """Finding of `samdrift doctor` about the dependency."""
    lines: Sequence[str]
    """Warnings and errors in the log, from the fault until the recovery."""
    back: float
    """Seconds until health reported the recovery; negative if it never did."""
    tracebacks: int
    answers: Counter[str]
    """Answers to calls at interface D, from the fault until the recovery."""

    @property
    def faults(self) -> list[str]:
        """Return everything that an operator on call would miss or could not understand."""
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
            (self.known >= 0 and not self.doctor, "the doctor does not name it"),
            (self.tracebacks > 0, "the log has a traceback"),
        ]
        return [f"{self.fault}: {text}" for holds, text in found if holds]


class Bucket(Protocol):
    """A bucket of an S3 server, which can be broken while a context lasts."""

    def settings(self, prefix: str = "") -> S3Settings:
        """Return the settings for reaching the bucket."""

    def stopped(self) -> AbstractContextManager[None]:
        """Stop the server, so that connections are refused."""

    def silent(self) -> AbstractContextManager[None]:
        """Keep the server from answering."""

    def read_only(self) -> AbstractContextManager[None]:
        """Refuse writes."""

    def without_bucket(self) -> AbstractContextManager[None]:
        """Remove the bucket."""


@dataclass
class Ground:
    """The operator whose dependencies are broken, the other operator, and everything that can be broken."""

    federation: LocalFederation
    those: Played
    scanner: Clamd
    taps: dict[str, Tap]
    beside: Beside
    disk: Disk
    clock: HostClock
    bucket: Bucket | None
    """Bucket for bodies, or ``None`` if they are in a folder."""
    layout: Layout
    patience: float

    @property
    def process(self) -> Process:
        """Return the process whose dependencies are broken."""
        return self.those.processes[0]

    def faults(self) -> list[Fault]:
        """List everything that can be broken; time stamping comes first, while logs still need stamps."""
        config = self.process.config
        return [
            Fault(_STAMPING, name_of_tap(_STAMPING), self.taps[_STAMPING].broken),
            Fault("database", "database", lambda: crashed(config, self.process.gate), examined=False),
            *self._of_objects(),
            Fault("key store", "key-store", lambda: _aside(config.vaults.secrets)),
            Fault("scanner", "scanner", self._no_scanner),
            *(
                Fault(f"{name}, {how.value}", dependency, _failing(self.federation, service, how))
                for name, dependency, service in _SHARED
                for how in Failure
            ),
            Fault("token", "hsm", self.beside.no_token),
            Fault(
                "sign-in service",
                "identity-provider",
                self.beside.sign_in_tap.broken,
                lambda: self.beside.signs_in(self.those.members[0]),
            ),
            Fault(
                "mail server",
                "mail",
                self.beside.mail_tap.broken,
                lambda: self.beside.is_told(self.those.members[0]),
            ),
            *(
                Fault(name, name_of_tap(name), tap.broken)
                for name, tap in self.taps.items()
                if name != _STAMPING
            ),
            *self._of_directories(),
            *self._of_clocks(),
        ]

    def _of_objects(self) -> list[Fault]:
        objects = self.process.config.vaults.objects
        if self.bucket is None:
            return [
                Fault("object store", "object-store", lambda: _aside(objects)),
                Fault("disk of the object store", "object-store", _in_a_thread(self.disk.full)),
            ]
        ways = {
            "bucket, server stopped": self.bucket.stopped,
            "bucket, silence": self.bucket.silent,
            "bucket, read only": self.bucket.read_only,
            "bucket, gone": self.bucket.without_bucket,
        }
        return [Fault(name, "object-store", _in_a_thread(broken)) for name, broken in ways.items()]

    def _of_directories(self) -> list[Fault]:
        """List the directory's faults, or none at level `process`, where only a timer reads directories."""
        if self.layout is Layout.PROCESS:
            return []
        return [
            Fault("directory, slapd stopped", "directory", self.beside.no_directory),
            Fault("directory, silence", "directory", self.beside.silent_directory),
        ]

    def _of_clocks(self) -> list[Fault]:
        """List the clock's faults, or none at level `process`, where faketime breaks pauses."""
        if self.layout is Layout.PROCESS:
            return []
        return [
            Fault(f"clock, {abs(hours)} h {'ahead' if hours > 0 else 'behind'}", "clock", self._off(hours))
            for hours in (3, -3)
        ]

    def _off(self, hours: int) -> Broken:
        @asynccontextmanager
        async def broken() -> AsyncIterator[None]:
            self.clock.set(hours)
            try:
                yield
            finally:
                self.clock.set(0)

        return broken

    @asynccontextmanager
    async def _no_scanner(self) -> AsyncIterator[None]:
        self.scanner.stop()
        try:
            yield
        finally:
            await self.scanner.start()

    async def observe(self, fault: Fault, seconds: float, traffic: Traffic) -> Seen:
        """Break a dependency, wait for detection and ``seconds`` more, restore it, and wait for recovery."""
        before, answered = len(self.process.log.read_text()), Counter(traffic.answers)
        needing = asyncio.create_task(self._need(fault.needed, traffic.answers))
        loop = asyncio.get_running_loop()
        began, status, doctor = loop.time(), "", ""
        condition: dict[str, Any] = {}
        async with fault.broken():
            with contextlib.suppress(AssertionError):
                condition = await until(lambda: self._state(fault.dependency, "gone"), "", self.patience)
            known = loop.time() - began if condition else -1.0
            metric = await self._metric(fault.dependency)
            status = await self._status(fault.dependency)
            doctor = await self._doctor(fault.dependency) if fault.examined else "is not asked"
            await asyncio.sleep(seconds)
        began, back = loop.time(), -1.0
        with contextlib.suppress(AssertionError):
            await until(lambda: self._state(fault.dependency, "there"), "", self.patience)
            back = loop.time() - began
        needing.cancel()
        await asyncio.gather(needing, return_exceptions=True)
        text = self.process.log.read_text()[before:]
        found = [line for line in map(_LINE.fullmatch, text.splitlines()) if line is not None]
        warnings = [line["text"] for line in found if line["level"] in _WARNINGS]
        reason = str(condition.get("reason", ""))
        return Seen(
            *(fault.name, fault.dependency, known, reason, metric, status, doctor, warnings, back),
            text.count("Traceback"),
            traffic.answers - answered,
        )

    async def _need(self, needed: Callable[[], Awaitable[str]] | None, answers: Counter[str]) -> None:
        """Use a dependency repeatedly until cancelled."""
        while needed is not None:
            try:
                answers[await needed()] += 1
            except Exception as error:
                answers[f"{type(error).__name__} of what needs it"] += 1
            await asyncio.sleep(_NEEDED_EVERY)

    async def _state(self, dependency: str, state: str) -> dict[str, Any] | None:
        """Return a condition in that state; for `there`, only if no condition of the kind is gone."""
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

    async def _doctor(self, dependency: str) -> str:
        """Return the finding of `samdrift doctor` about a dependency of the running installation."""
        command = (*self.process.interpreter, *PROGRAM, "doctor", "--offline", "--json", "--config")
        doctor = await asyncio.create_subprocess_exec(
            *command, self.process.config_file, stdout=PIPE, stderr=DEVNULL
        )
        output, _ = await doctor.communicate()
        found = json.loads(output)["checks"] if output else []
        own = (one for one in found if one["id"] == f"health.{dependency}" and one["state"] == "fail")
        return next((str(one["found"]) for one in own), "")


@dataclass(frozen=True)
class HostClock:
    """A host's clock, which faketime reads from a file; the database keeps the real time."""

    file: Path

    def set(self, hours: int) -> None:
        """Set the clock ``hours`` ahead, which takes effect within a second."""
        self.file.write_text(f"{hours:+}h\n")

    @property
    def environment(self) -> Mapping[str, str]:
        """Return environment variables that make a process use the clock."""
        return {
            "LD_PRELOAD": f"{_FAKETIME}",
            "FAKETIME_TIMESTAMP_FILE": f"{self.file}",
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def _in_a_thread(broken: Callable[[], AbstractContextManager[None]]) -> Broken:
    """Enter and leave a blocking context in a thread, so that other tasks keep running."""

    @asynccontextmanager
    async def entered() -> AsyncIterator[None]:
        context = broken()
        await asyncio.to_thread(context.__enter__)
        try:
            yield
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)

    return entered


_SHARED = (
    ("DNS", "sml", Service.SML),
    ("SMP", "smp", Service.SMP),
    ("address book", "address-book", Service.ADDRESS_BOOK),
    ("CRL and OCSP", "revocation", Service.RESPONDER),
)


def name_of_tap(name: str) -> str:
    """Return the name that health uses for a service behind a port."""
    return {"witness": "log", "log receiver": "log-system", _STAMPING: "time-stamps"}[name]


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
    """Move a folder away while the context lasts, as if its file system were not mounted."""
    assert isinstance(folder, Path)
    other = folder.with_name(f"{folder.name}.aside")
    folder.rename(other)
    try:
        yield
    finally:
        other.rename(folder)


@asynccontextmanager
async def ground(
    federation: LocalFederation, folder: Path, layout: Layout, patience: float, bucket: Bucket | None = None
) -> AsyncIterator[Ground]:
    """Run both operators, and all services around the one whose dependencies are broken.

    With ``bucket`` its bodies are stored there.
    """
    assert clamd is not None, "clamd is not installed"
    assert _FAKETIME is not None, "libfaketime is not installed"
    async with AsyncExitStack() as stack:
        scanner = Clamd(folder / "clamd")
        scanner.folder.mkdir()
        await scanner.start()
        stack.callback(scanner.stop)
        stamps = TimeStamps(folder / "tsa")
        taps = {_STAMPING: await tapped(stack, await _stamping(stack, stamps))}
        logs = folder / "log-system"
        logs.mkdir()
        system = await stack.enter_async_context(LogSystem(logs).running())
        taps["log receiver"] = await tapped(stack, system.address.port)
        settings = SETTINGS[layout] + _SETTINGS.format(
            stamps=taps[_STAMPING].port, roots=stamps.folder / "root.pem"
        )
        own = await stack.enter_async_context(beside(folder / "beside", _TOKEN.identifier))
        home = stack.enter_context(server_folder())
        witness = DemoWitness.of(_STEADY, folder)
        taps["witness"] = await tapped(stack, witness.sock.getsockname()[1])
        for operator in (_BROKEN, _STEADY):
            (home / operator.folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        own_disk = stack.enter_context(disk(home / _BROKEN.folder / _DISK, "1g"))
        (own_disk.folder / _OBJECTS).mkdir(mode=0o700)
        policy = f"witness other {witness.key} http://{HOST}:{taps['witness'].port}\nquorum other\n"
        (home / _BROKEN.folder / POLICY).write_text(policy)
        operators = {_BROKEN: ("all",), _STEADY: ("all",)}
        port = taps["log receiver"].port
        clock = HostClock(folder / "clock")
        clock.set(0)
        reached = None if bucket is None else _reached(folder, bucket.settings(_BROKEN.folder))

        def changed(operator: DemoOperator, text: str) -> str:
            # Leases last as long as in production, so that no attempt is repeated while it is under way; and
            # there are enough attempts, made every second here, to outlast an outage of a minute.
            assert _SHORT_LEASE in text
            assert _ATTEMPTS in text
            text = text.replace(_SHORT_LEASE, "").replace(_ATTEMPTS, _LASTING_ATTEMPTS)
            if operator is not _BROKEN:
                return text
            text = _configured(text, scanner, port, system.identity, system.tls_issuers)
            assert f'objects = "{_OBJECTS}"' in text
            place = f"{_DISK}/{_OBJECTS}" if bucket is None else bucket.settings(_BROKEN.folder).url
            text = text.replace(f'objects = "{_OBJECTS}"', f'objects = "{place}"')
            return own.configured(text + settings + (reached or ""))

        playing = played(federation, home, operators, tokens={_BROKEN: own.tokens}, changed=changed)
        those = await stack.enter_async_context(playing)
        for place in (those.processes[0].config_file.parent / "clients", stamps.folder, logs):
            readable_by_workers(place)
        folder.chmod(0o755)
        await witness.enter(those.members[0].operator)
        await witness.serve(stack)
        await own.enrol_directory(those.members[0])
        if layout is not Layout.PROCESS:
            those.processes[0].environment = clock.environment
        for each in those.processes:
            own.open_to_workers()
            await each.start()
        own.open_to_workers()  # Include the files that the supervisor has created.
        yield Ground(federation, those, scanner, taps, own, own_disk, clock, bucket, layout, patience)


def _reached(folder: Path, settings: S3Settings) -> str:
    """Return the configuration table for reaching a bucket."""
    secret = secret_file(folder / "s3-secret", settings.secret)
    credentials = f'access_key = "{settings.access_key}"\nsecret_file = "{secret}"\n'
    return f'\n[vaults.s3]\nendpoint = "{settings.endpoint}"\n{credentials}'


def _configured(text: str, scanner: Clamd, port: int, identity: Sequence[Path], issuers: Path | None) -> str:
    """Have the operator scan incoming messages, and send the logs of its organisations to a receiver."""
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
    entries = [
        f'[[organisations]]\nwitnesses = "{POLICY}"\n{each.rstrip()}\n\n{system}\n\n' for each in others
    ]
    return first + "".join(entries)


async def _stamping(stack: AsyncExitStack, stamps: TimeStamps) -> int:
    """Serve an authority for time stamps, and return its port."""

    async def answer(request: Request) -> Response:
        stamp = await asyncio.to_thread(stamps.stamp, await request.body())
        return Response(stamp, media_type="application/timestamp-reply")

    sock = listening_socket(HOST)
    app = Starlette(routes=[Route("/", answer, methods=["POST"])])
    await stack.enter_async_context(serving(app, sock, per_address=0))
    return int(sock.getsockname()[1])


@dataclass(frozen=True)
class Broke:
    """Observations of each fault, and the outcome of all messages."""

    seen: list[Seen]
    faults: list[str]
    ended: Counter[str]
    """Outcomes at the senders of the messages that interface D had accepted."""


async def all_broken(
    there: Ground, names: Sequence[str], seconds: float, rng: random.Random, report: Callable[[Seen], None]
) -> Broke:
    """Break the named dependencies, or all, in turn and under traffic; then check each message."""
    seen = list[Seen]()
    chosen = [each for each in there.faults() if not names or any(name in each.name for name in names)]
    async with flowing(there.those, rng, _BETWEEN) as traffic:
        await traffic.began()
        for fault in chosen:
            found = await there.observe(fault, seconds, traffic)
            report(found)
            seen.append(found)
    sent = await traffic.settled()
    faults = [text for each in seen for text in each.faults] + traffic.faults
    faults += await there.beside.not_mailed(there.patience)
    faults += await faults_of(sent, there.those.members, there.patience)
    return Broke(seen, faults, Counter([await how_it_ended(one) for one in sent]))
