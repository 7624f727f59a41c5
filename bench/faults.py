"""Faults of each dependency under traffic: lines of log, seconds until `status` says so, what was lost.

Each dependency of an installation is taken away for a while, one after the other, while messages go to and
fro; what the log says meanwhile is on standard error, to be read as by who was woken.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from tests.roles.crashes import crashed
from tests.roles.letters import DRAFT, letter
from tests.roles.member import Member
from tests.roles.processes import Played, Process, organisation, played
from tests.roles.soak import Exchange, faults_of
from tests.scanner import Clamd
from tests.vaults import server_folder

from bench.measure import Row, reported
from samdrift.demo.cast import DemoOperator
from samdrift.federation.server import Failure, LocalFederation, Service, running
from samdrift.installation.loop import run
from samdrift.messageservice.outgoing.compose import Attachment
from samdrift.messageservice.service import MessageInvalid
from samdrift.vault.errors import VaultUnavailable

_SECONDS = 60.0
_PATIENCE = 600.0
_BETWEEN_LOOKS = 0.2
_HERE = (organisation("tranas", "2120000571"), organisation("aneby", "2120000456"))
_THERE = (organisation("habo2", "2120001611"),)
_FRESH = "metadata_seconds = 2\nverdict_seconds = 2\nrevocation_seconds = 2\n"
"""Answers of shared services are used for so short a time that their absence shows."""
Fault = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class _Scene:
    """An operator whose roles are processes of their own, another one, and what they depend on."""

    federation: LocalFederation
    those: Played
    scanner: Clamd

    @property
    def broken(self) -> Process:
        """The message services of the operator that everything is taken from."""
        return self.those.processes[1]

    @property
    def lines(self) -> list[str]:
        return [line for one in self.those.processes[:2] for line in one.log.read_text().splitlines()]

    def faults(self) -> Mapping[tuple[str, str], Fault]:
        """What takes each dependency away, by its kind and the words that the state has."""
        access_point, service = self.those.processes[:2]
        vaults = service.config.vaults
        objects, secrets = vaults.objects, vaults.secrets
        assert isinstance(objects, Path)
        return {
            ("database", ""): lambda: crashed(service.config, service.gate),
            ("object-store", ""): lambda: _moved_away(objects),
            ("key-store", ""): lambda: _moved_away(secrets),
            ("scanner", ""): self._without_scanner,
            ("access-point", ""): lambda: _stopped(access_point),
            ("smp", ""): lambda: self._failing(Service.SMP),
            ("sml", ""): lambda: self._failing(Service.SML),
            ("address-book", ""): lambda: self._failing(Service.ADDRESS_BOOK),
            ("revocation", ""): lambda: self._failing(Service.RESPONDER),
            ("peer", "none"): lambda: _stopped(self.those.processes[2]),
        }

    @asynccontextmanager
    async def _without_scanner(self) -> AsyncIterator[None]:
        self.scanner.stop()
        try:
            yield
        finally:
            await self.scanner.start()

    @asynccontextmanager
    async def _failing(self, service: Service) -> AsyncIterator[None]:
        self.federation.outages.failures[service] = Failure.ERROR
        try:
            yield
        finally:
            del self.federation.outages.failures[service]


@asynccontextmanager
async def _scene(folder: Path) -> AsyncIterator[_Scene]:
    """Run both operators; the first scans, and has answers of shared services renewed all the time."""
    broken = DemoOperator("broken", "AP0083-SDK-DEMO", _HERE)
    whole = DemoOperator("whole", "AP0084-SDK-DEMO", _THERE)
    scanner = Clamd(folder / "clamd")
    async with running(folder / "federation") as federation:
        with server_folder() as vaults:
            await scanner.start()
            try:
                async with played(federation, vaults, {broken: ("ap", "mt"), whole: ("all",)}) as those:
                    file = those.processes[0].config_file
                    text = file.read_text()
                    for before, after in {
                        "[federation]\n": f"[federation]\n{_FRESH}",
                        'scanner = "none"': f'scanner = "clamd"\nsocket = "{scanner.socket}"',
                    }.items():
                        assert before in text
                        text = text.replace(before, after)
                    file.write_text(text)
                    for process in those.processes:
                        await process.start()
                    yield _Scene(federation, those, scanner)
            finally:
                scanner.stop()


@asynccontextmanager
async def _moved_away(folder: Path) -> AsyncIterator[None]:
    """As a file system that is not mounted."""
    aside = folder.with_name(f"{folder.name}.aside")
    await asyncio.to_thread(folder.rename, aside)
    try:
        yield
    finally:
        await asyncio.to_thread(aside.rename, folder)


@asynccontextmanager
async def _stopped(process: Process) -> AsyncIterator[None]:
    await process.stop()
    try:
        yield
    finally:
        await process.start()


def rows(seconds: float | None, seed: int | None) -> list[Row]:
    """Take everything away once; the lines of the log are on standard error."""
    seed = random.randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="samdrift-faults-") as folder:
        return run(_measured(Path(folder), seconds or _SECONDS, random.Random(seed)))


async def _measured(folder: Path, seconds: float, rng: random.Random) -> list[Row]:
    found: list[Row] = []
    async with _scene(folder) as scene:
        sent: list[Exchange] = []
        sending = asyncio.create_task(_send(scene.those.members, rng, sent))
        for (dependency, special), fault in scene.faults().items():
            await asyncio.sleep(5)
            found += await _one(scene, dependency, fault, seconds, has_state=not special)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        faults = await faults_of(sent, scene.those.members, _PATIENCE)
    for fault in faults:
        print(fault, file=sys.stderr)
    return [*found, reported("exchanges", [len(sent)], ""), reported("faults", [len(faults)], "", bar=0.0)]


async def _one(scene: _Scene, dependency: str, fault: Fault, seconds: float, *, has_state: bool) -> list[Row]:
    """Take one away, and wait until it is known to be back."""
    before, began = len(scene.lines), time.monotonic()
    known: float | None = None
    async with fault():
        while time.monotonic() - began < seconds:
            if known is None and has_state and await _is_gone(scene, dependency):
                known = time.monotonic() - began
            await asyncio.sleep(_BETWEEN_LOOKS)
    ended, back = time.monotonic(), None
    while has_state and known is not None and time.monotonic() - ended < seconds:
        if not await _is_gone(scene, dependency):
            back = time.monotonic() - ended
            break
        await asyncio.sleep(_BETWEEN_LOOKS)
    await asyncio.sleep(2)
    said = scene.lines[before:]
    print(f"--- {dependency}", *said, sep="\n", file=sys.stderr, flush=True)
    counted = [reported(f"{dependency}: lines", [len(said)], "")]
    if has_state:
        counted.append(reported(f"{dependency}: until status", [-1.0 if known is None else known], "s"))
        counted.append(reported(f"{dependency}: until back", [-1.0 if back is None else back], "s"))
    return counted


async def _is_gone(scene: _Scene, dependency: str) -> bool:
    """Whether either process says that one of a kind is gone."""
    states: list[str] = []
    for process in scene.those.processes[:2]:
        with contextlib.suppress(OSError):
            states += await _states(process, dependency)
    return "gone" in states


async def _states(process: Process, dependency: str) -> list[str]:
    metrics = process.config.metrics
    assert metrics is not None
    listen = metrics.listen_ap if process.which == "ap" else metrics.listen_mt
    assert listen is not None
    url = f"http://{listen.host}:{listen.port}/health"

    def ask() -> bytes:
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as gone:
            return gone.read()

    document = json.loads(await asyncio.to_thread(ask))
    return [one["state"] for one in document["dependencies"] if one["dependency"] == dependency]


async def _send(members: list[Member], rng: random.Random, sent: list[Exchange]) -> None:
    """Send a message a second, whatever happens meanwhile, until cancelled; each is in ``sent``."""
    first, second, other = members
    ways = [(first, other), (other, first), (first, second), (second, other)]
    number = 0
    while True:
        sender, recipient = ways[number % len(ways)]
        number += 1
        size = 400_000 if number % 5 == 0 else rng.randrange(20_000)
        file = Attachment("bilaga.pdf", "application/pdf", b"%PDF-1.4\n" + rng.randbytes(size))
        draft = replace(DRAFT, attachments=(file,))
        message = letter(sender.address, recipient.address, draft, message_id=str(uuid4()))
        while True:
            try:
                await sender.operator.messages.send(sender.principal, sender.organisation, message)
            except MessageInvalid:
                pass
            except VaultUnavailable:
                await asyncio.sleep(0.2)
                continue
            break
        sent.append(Exchange(sender, recipient, message))
        await asyncio.sleep(1)
