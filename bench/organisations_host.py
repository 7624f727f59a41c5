"""One installation of ``bench organisations``, in a process that follows commands.

It plays the operator and the federation. CPU and memory are those of this process, and of PostgreSQL with
all its children. Each line that it reads is a command, and each line that it writes an answer, in JSON.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import re
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.idle_counts import counted
from bench.idle_parts import Part, accounted
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.demo.enrolment import enrol
from samdrift.demo.scenario import Party
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.server import LocalFederation
from samdrift.federation.server import running as federation_running
from samdrift.installation.loop import run
from samdrift.installation.operator import Operator, running
from samdrift.messageservice.oauth.issuing import TokenIssuing
from samdrift.messageservice.outgoing.compose import Attachment, Draft, compose
from samdrift.vault.database.session import Session
from samdrift.wire.identifiers import ParticipantIdentifier

_AT_ONCE = 8
_SETTLE_SECONDS = 30.0
"""Seconds after the start until logins are counted."""
_FIRST_LOOKS_SECONDS = 990.0
"""Seconds after the start until the work that follows a start is over.

By then each log was looked at once, the connections for that are closed, and autovacuum has been in every
database once (``autovacuum_naptime``), since enrolment leaves work for it.
"""
_SPARE_KEYS = 4
_PATIENCE_SECONDS = 900
_ANSWERS = sys.stdout
_ROLES = tuple(Role)
_DRAFT = Draft(
    "Prov", "Ett meddelande.", (Attachment("a.pdf", "application/pdf", b"%PDF-1.4\n" + os.urandom(6_600)),)
)
"""A message of about 10 kB, with base64 and XML."""


class Host:
    """An installation with a number of organisations that have all roles."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._cast = tuple(map(_organisation, range(number)))

    async def serve(self) -> None:
        """Enrol the organisations, then follow the commands from standard input until it ends."""
        operator = DemoOperator("operator", "AP0090-SDK-DEMO", self._cast)
        with tempfile.TemporaryDirectory(prefix="samdrift-organisations-") as name:
            folder = Path(name)
            async with federation_running(folder / "federation") as federation:
                with _spare_keys():
                    await enrol(federation, operator, folder / "operator")
                await self._commanded(folder, federation, operator)

    async def _commanded(self, folder: Path, federation: LocalFederation, operator: DemoOperator) -> None:
        _answer({"enrolled": self._number})
        await _command()
        # The first enrolment took minutes, so ports that were free then may be in use by now.
        enrolled = await enrol(federation, operator, folder / "operator")
        gc.collect()
        with (
            _counted(Session, "connect") as logins,
            _counted(TokenIssuing, "issue") as tokens,
            ExitStack() as accounting,
        ):
            parts = accounting.enter_context(accounted())
            began, before = time.monotonic(), time.process_time()
            settled = began + _FIRST_LOOKS_SECONDS
            async with running(enrolled.config) as started:
                processes = _Processes(folder)
                found = {
                    "wall": time.monotonic() - began,
                    "cpu": time.process_time() - before + processes.server_cpu(),
                }
                await asyncio.sleep(_SETTLE_SECONDS)
                _answer(found | {"logins": logins() / (self._number * len(_ROLES))})
                while command := await _command():
                    if command["do"] == "settle":
                        _answer(await _idle(processes, max(0.1, settled - time.monotonic()), parts, tokens))
                    elif command["do"] == "idle":
                        _answer(await _idle(processes, command["seconds"], parts, tokens))
                    elif command["do"] == "count":
                        _answer(await _count(command["seconds"]))
                    else:
                        accounting.close()
                        _answer(await self._batch(processes, started, command["exchanges"], logins))

    async def _batch(
        self, processes: _Processes, started: Operator, exchanges: int, logins: Callable[[], int]
    ) -> dict[str, float]:
        """Have each organisation write to the next one, ``exchanges`` times in total."""
        parties = [Party(started, one.address) for one in self._cast]
        pairs = list(zip(parties, [*parties[1:], parties[0]], strict=True))
        gc.collect()
        own, server, before = processes.own_cpu(), processes.server_cpu(), logins()
        await _exchanged(list(itertools.islice(itertools.cycle(pairs), exchanges)))
        used = processes.server_cpu() - server
        per_exchange = 1e3 / exchanges
        return {
            "total": (processes.own_cpu() - own + used) * per_exchange,
            "server": used * per_exchange,
            "logins": (logins() - before) / exchanges,
            "memory": processes.memory(),
            "connections": processes.connections(),
        }


async def _idle(
    processes: _Processes, seconds: float, parts: Counter[Part], tokens: Callable[[], int]
) -> dict[str, float]:
    gc.collect()
    parts.clear()
    issued = tokens()
    began, own, server = time.monotonic(), processes.own_cpu(), processes.server_cpu()
    await asyncio.sleep(seconds)
    elapsed = time.monotonic() - began
    used = (processes.server_cpu() - server) / elapsed * 100
    total = used + (processes.own_cpu() - own) / elapsed * 100
    shares = {part: parts[part] / elapsed * 100 for part in Part if part is not Part.REST}
    return {
        "server": used,
        "total": total,
        **shares,
        Part.REST: total - sum(shares.values()),
        "tokens": tokens() - issued,
        "memory": processes.memory(),
        "connections": processes.connections(),
    }


async def _count(seconds: float) -> dict[str, float]:
    """Count what is done while idle, per minute; print the largest counts."""
    with counted() as counts:
        await asyncio.sleep(seconds)
    for line in counts.lines(seconds):
        print(line, file=sys.stderr)
    return counts.per_minute(seconds)


def _answer(found: dict[str, float]) -> None:
    print(json.dumps(found), file=_ANSWERS, flush=True)


async def _command() -> dict[str, Any]:
    """Return the next command; an empty one at the end of the input."""
    line = await asyncio.to_thread(sys.stdin.readline)
    return json.loads(line) if line else {}


async def _exchanged(pairs: Sequence[tuple[Party, Party]]) -> None:
    """Send one message for each pair, a few at a time, and wait for every receipt."""
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


def _organisation(number: int) -> DemoOrganisation:
    domain = f"0203:kommun{number:03}.se"
    mailbox = FunctionalAddress(f"sdk.registrator.{domain}", "Registrator")
    return DemoOrganisation(
        ParticipantIdentifier(domain), f"Kommun {number}", f"21200{number:05}", mailbox, _ROLES
    )


@contextmanager
def _spare_keys() -> Iterator[None]:
    """Make a few keys and reuse them, since generating keys for 300 organisations would take minutes."""
    made: list[rsa.RSAPrivateKey] = [rsa.generate_private_key(65537, 3072) for _ in range(_SPARE_KEYS)]
    keys = itertools.cycle(made)
    with patch.object(rsa, "generate_private_key", lambda *given, **named: next(keys)):
        yield


@contextmanager
def _counted(owner: type, name: str) -> Iterator[Callable[[], int]]:
    """Count the calls of a method."""
    count = 0
    method = getattr(owner, name)

    async def counted(*given: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        return await method(*given, **named)

    with patch.object(owner, name, counted):
        yield lambda: count


class _Processes:
    """This process and the PostgreSQL server whose data folder is in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._own = psutil.Process()
        (file,) = folder.rglob("postmaster.pid")
        self._server = psutil.Process(int(file.read_text().split()[0]))

    def own_cpu(self) -> float:
        return time.process_time()

    def server_cpu(self) -> float:
        """Return the seconds of CPU so far, including backends that have ended."""
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
        """Return the number of the server's processes: backends, and its own few helpers."""
        return len(self._server.children())

    def memory(self) -> float:
        """Return the memory in bytes, with shared memory divided among the processes that use it."""
        return sum(map(_pss, (self._own, self._server, *self._server.children(recursive=True))))


def _pss(process: psutil.Process) -> float:
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return float(match[1]) * 1024 if match else 0.0


if __name__ == "__main__":
    sys.stdout = sys.stderr  # Only answers may go to standard output.
    run(Host(int(sys.argv[1])).serve())
