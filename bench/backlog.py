"""Cost of a backlog: how fast it drains, and how long other organisations wait meanwhile.

One operator hosts an organisation with 1 000 waiting messages and transfers, one with many more, and one
with none. The last one exchanges messages with another operator, one after another: in each round first
undisturbed, then while part of the small backlog comes due, then while an equal part of the large one
does. The floor of the draining rate is the rate of the small backlog just before; the floor of the latency
is that of the undisturbed exchanges in the same round.

Backlogs are stored through the vaults' own operations, as messages that were accepted while their
recipients were away, so their rows are realistic. Transfers wait for longer than the benchmark lasts, and
their bodies are not envelopes: they only fill the queues.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import uuid4

from tests.roles.letters import letter
from tests.roles.member import AP, MT, Member
from tests.roles.processes import Process, organisation, played

from bench.measure import Row, against_floor, reported
from samdrift.contracts.messages import Direction, MessageStatus, WorkKind
from samdrift.demo.cast import DemoOperator
from samdrift.federation.server import running
from samdrift.installation.loop import run
from samdrift.messageservice.outgoing.compose import Attachment, Draft
from samdrift.vault.records import OutgoingEnvelope
from samdrift.wire import sdkmessage
from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED

FEW = 1_000
_MANY = 10_000
_ROUNDS = 5
_DUE = 40
"""Messages of a backlog that come due in a round."""
_EXCHANGES = 8
"""Minimum number of exchanges of the undisturbed organisation in a round."""
_LATENCY_BAR = 1.5
_RATE_BAR = 0.9
_AT_A_TIME = 500
_LOOK_EVERY = 0.05
_WITHIN = 300.0
_DRAFT = Draft(
    "Prov", "Ett meddelande.", (Attachment("a.pdf", "application/pdf", b"%PDF-1.4\n" + os.urandom(6_600)),)
)
"""A message of about 10 kB, with base64 and XML."""
_USUAL = {
    "lease_seconds = 3\n": "lease_seconds = 300\n",
    "interval_seconds = 1\n": "interval_seconds = 240\n",
}


@dataclass(frozen=True, slots=True)
class Options:
    """The size of a run."""

    waiting: int = _MANY
    """Number of messages, and also of transfers, in the large backlog."""
    rounds: int = _ROUNDS


@dataclass(slots=True)
class Backlog:
    """An organisation with waiting messages, and the ids of those that are not due yet."""

    member: Member
    recipient: Member
    waiting: list[str]

    async def comes_due(self, number: int) -> list[str]:
        """Make the oldest ``number`` messages due now, and return their ids."""
        due, self.waiting = self.waiting[:number], self.waiting[number:]
        now = datetime.now(UTC)
        async with self.member.open(MT) as vault:
            for each in due:
                await vault.schedule(WorkKind.MESSAGE, each, now)
        return due


def rows(options: Options | None = None) -> list[Row]:
    """Measure draining rates and another organisation's latencies, with a small and a large backlog."""
    with tempfile.TemporaryDirectory(prefix="samdrift-backlog-") as folder:
        return run(_measured(Path(folder), options or Options()))


async def _measured(folder: Path, options: Options) -> list[Row]:
    near = DemoOperator(
        "backlog",
        "AP0081-SDK-DEMO",
        tuple(
            organisation(name, number)
            for name, number in (("lugn", "2120000911"), ("fa", "2120000912"), ("manga", "2120000913"))
        ),
    )
    far = DemoOperator(
        "far", "AP0082-SDK-DEMO", tuple(organisation(f"bort{n}", f"212000092{n}") for n in range(3))
    )
    async with (
        running(folder / "federation") as federation,
        played(federation, folder, {near: ("all",), far: ("all",)}) as there,
    ):
        calm, few, many, *recipients = there.members
        backlogs = {
            number: await stored(member, recipient, number)
            for member, recipient, number in zip(
                (few, many), recipients[1:], (FEW, options.waiting), strict=True
            )
        }
        for process in there.processes:
            await started(process)
        await latencies(calm, recipients[0], done_after(_EXCHANGES))
        return await _rounds(calm, recipients[0], backlogs, options)


async def started(process: Process) -> None:
    """Start a process with an installation's usual leases and pauses instead of the short ones of tests."""
    text = process.config_file.read_text()
    for hasty, usual in _USUAL.items():
        assert hasty in text
        text = text.replace(hasty, usual)
    process.config_file.write_text(text)
    await process.start()


async def _rounds(
    calm: Member, recipient: Member, backlogs: dict[int, Backlog], options: Options
) -> list[Row]:
    floors: list[float] = []
    disturbed: dict[int, list[float]] = {number: [] for number in backlogs}
    rates: dict[int, list[float]] = {number: [] for number in backlogs}
    for number in range(options.rounds):
        floors.append(median(await latencies(calm, recipient, done_after(_EXCHANGES))))
        for size, backlog in backlogs.items():
            began = time.monotonic()
            due = await backlog.comes_due(_DUE)
            drained = asyncio.create_task(ended(backlog.member, due))
            disturbed[size].append(median(await latencies(calm, recipient, drained.done)))
            rates[size].append(len(due) / (await drained - began))
        _progress(f"round {number + 1} of {options.rounds}")
    return [*judged(floors, disturbed, rates), reported("load of the machine", [*os.getloadavg()], "")]


def judged(
    floors: list[float], disturbed: dict[int, list[float]], rates: dict[int, list[float]]
) -> list[Row]:
    """Return rows for the measurements of each round, from the smallest backlog to the largest.

    Draining is compared as time per message, so the ratio and the bar are the inverse of those of the rates.
    """
    few, *others = rates.items()
    return [
        *(
            against_floor(f"another's exchange, {size} waiting", floors, found, bar=_LATENCY_BAR, unit="ms")
            for size, found in disturbed.items()
        ),
        *(
            against_floor(
                f"draining, {size} against {few[0]} waiting",
                [1e3 / rate for rate in few[1]],
                [1e3 / rate for rate in found],
                bar=1 / _RATE_BAR,
                unit="ms for each",
            )
            for size, found in others
        ),
        *(reported(f"draining, {size} waiting", found, "per second") for size, found in rates.items()),
    ]


async def stored(member: Member, recipient: Member, number: int) -> Backlog:
    """Store waiting messages and transfers through the vaults' own operations."""
    began, found = time.monotonic(), list[str]()
    for start in range(0, number, _AT_A_TIME):
        size = min(_AT_A_TIME, number - start)
        found += await messages(member, recipient, size)
        await _transfers(member, recipient, size)
    _progress(f"{number} messages and transfers wait, stored in {time.monotonic() - began:.0f} s")
    return Backlog(member, recipient, found)


async def messages(member: Member, recipient: Member, number: int) -> list[str]:
    """Store messages that wait for twelve hours, and return their ids."""
    now, found = datetime.now(UTC), list[str]()
    async with member.open(MT) as vault:
        for _ in range(number):
            message = letter(member.address, recipient.address, _DRAFT)
            payload = sdkmessage.build(message)
            record = replace(
                member.outgoing(message, recipient.organisation, MessageStatus.SCHEDULED, len(payload), now),
                recipient_address=recipient.address.functional_address,
            )
            writer = vault.new_body()
            await writer.write(payload)
            later = timedelta(hours=12)
            assert await vault.create_outgoing(record, await writer.finish(), now=now, lease=later)
            await vault.schedule(WorkKind.DEADLINE, record.id, now + 2 * later)
            found.append(record.id)
    return found


async def _transfers(member: Member, recipient: Member, number: int) -> None:
    now = datetime.now(UTC)
    async with member.open(AP) as vault:
        for _ in range(number):
            envelope_id = str(uuid4())
            writer = vault.new_body(digested=True)
            await writer.write(os.urandom(6_600))
            header = OutgoingEnvelope(
                envelope_id=envelope_id,
                conversation_id=envelope_id,
                sender=member.organisation,
                recipient=recipient.organisation,
                document=SDK_MESSAGE_EXTENDED,
                process=NO_PROCESS,
            )
            as4_message_id = f"{envelope_id}@backlog"
            lease = timedelta(hours=12)
            await vault.submit(
                header, await writer.finish(), as4_message_id=as4_message_id, now=now, lease=lease
            )


async def latencies(sender: Member, recipient: Member, over: Callable[[], bool]) -> list[float]:
    """Exchange messages in turn until ``over()``; return the milliseconds from sending to receipt of each.

    The end is the time recorded by the message service, so polling does not add to it.
    """
    found = list[float]()
    while not found or not over():
        began = datetime.now(UTC)
        message_id = await sender.send(recipient.address, _DRAFT)
        found.append((await _accepted(sender, message_id) - began) / timedelta(milliseconds=1))
    return found


def done_after(number: int) -> Callable[[], bool]:
    """Return a condition that becomes true after that many exchanges."""
    left = iter(range(number - 1))
    return lambda: next(left, None) is None


async def ended(member: Member, messages: list[str]) -> float:
    """Wait until all messages are accepted; return the time on the monotonic clock."""
    for each in messages:
        await _accepted(member, each)
    return time.monotonic()


async def _accepted(member: Member, message_id: str) -> datetime:
    async with asyncio.timeout(_WITHIN):
        while True:
            record = await member.record(message_id, Direction.OUT)
            if record is not None and record.status.final:
                if record.status is not MessageStatus.ACCEPTED:
                    raise RuntimeError(f"an exchange ended as {record.status.value}")
                return record.updated_at
            await asyncio.sleep(_LOOK_EVERY)


def _progress(what: str) -> None:
    print(f"{what}; load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
