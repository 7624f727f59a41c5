"""Two parties that exchange messages of about 10 kB, and the processes that take part in it."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import psutil

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.demo.scenario import Party
from samdrift.messageservice.outgoing.compose import Attachment, Draft, compose

_AT_ONCE = 8
SELDOM = 0.25
"""Seconds between polls when CPU is measured."""
_DRAFT = Draft(
    "Prov", "Ett meddelande.", (Attachment("a.pdf", "application/pdf", b"%PDF-1.4\n" + os.urandom(6_600)),)
)
"""A message of about 10 kB, with base64 and XML."""


class Pair:
    """Two parties that exchange messages, a few at a time."""

    def __init__(self, sender: Party, recipient: Party, newest: int = 2 * _AT_ONCE) -> None:
        """Create the pair; ``newest`` is the number of records that a poll reads.

        It must be larger if some exchanges take much longer than others.
        """
        self._newest = newest
        self._sender = sender
        self._recipient = recipient
        self._done: dict[str, asyncio.Future[MessageStatus]] = {}

    async def batch(self, count: int, look_every: float, at_once: int = _AT_ONCE) -> list[float]:
        """Exchange ``count`` messages; return the seconds that each took until its receipt was back."""
        slots = asyncio.Semaphore(at_once)

        async def one() -> float:
            async with slots:
                started = time.monotonic()
                await self._exchange()
                return time.monotonic() - started

        watching = asyncio.create_task(self._watch(look_every))
        try:
            return await asyncio.gather(*(one() for _ in range(count)))
        finally:
            watching.cancel()

    async def _exchange(self) -> None:
        sender = self._sender
        message = compose(
            _DRAFT,
            sender.address,
            self._recipient.address,
            message_id=str(uuid.uuid4()),
            at=datetime.now(UTC),
        )
        done = self._done[message.message_id] = asyncio.get_running_loop().create_future()
        await sender.operator.messages.send(sender.principal, sender.organisation, message)
        status = await asyncio.wait_for(done, 60)
        if status is not MessageStatus.ACCEPTED:
            raise RuntimeError(f"an exchange ended as {status.value}")

    async def _watch(self, look_every: float) -> None:
        """Poll the newest messages for all exchanges together, since polling uses CPU that is measured."""
        sender = self._sender
        while True:
            await asyncio.sleep(look_every)
            records = await sender.operator.messages.messages(
                sender.principal, sender.organisation, Direction.OUT, limit=self._newest
            )
            for record in records:
                done = self._done.get(record.id)
                if done is not None and not done.done() and record.status.final:
                    done.set_result(record.status)


class Processes:
    """This process and the PostgreSQL servers whose data folders are in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._looking = 0.0
        """Seconds spent on measuring itself, which reads the state of every process of the machine."""
        pids = [int(file.read_text().split()[0]) for file in folder.rglob("postmaster.pid")]
        if not pids:
            raise RuntimeError("no PostgreSQL server to measure")
        self._servers = [psutil.Process(pid) for pid in pids]

    def cpu(self) -> float:
        """Return the seconds of CPU so far, including ended processes, without the measuring itself."""
        own = time.process_time()
        worked = own - self._looking
        servers = sum(
            seconds(server, ended=True) + sum(seconds(child) for child in server.children(recursive=True))
            for server in self._servers
        )
        self._looking += time.process_time() - own
        return worked + servers


def seconds(process: psutil.Process, *, ended: bool = False) -> float:
    """Return the seconds of CPU of a process, with those of its ended children if ``ended``.

    A backend that ends during the measurement is among these by the next one at the latest.
    """
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    own = times.user + times.system
    return own + times.children_user + times.children_system if ended else own
