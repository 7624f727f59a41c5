"""Latency of an organisation's exchanges while another one has much traffic, or peers that do not answer.

The part of ``bench neighbour`` in which the neighbour does nothing wrong, or receives meaningless envelopes.
The undisturbed organisation exchanges messages with another operator, one after another, and the time of each
ends when the message receipt is there. In each round it does so alone, and then until the neighbour is done.
For meaningless envelopes the processor time of each at the neighbour's operator is measured as well.
``python -m bench neighbour_traffic --only WORD`` runs the rows with such a word in their names, which begin
with the level.

Meaningless envelopes come from an operator whose processes have lower priority, because it stands for
another machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from tests.roles.letters import Envelope, enclose, enclose_receipt, letter
from tests.roles.member import MT, Member
from tests.roles.processes import Process, organisation, played

from bench.backlog import done_after, ended, latencies, messages, started
from bench.measure import Row, against_floor, reported
from bench.workers import installation, installation_cpu
from samdrift.contracts.messages import Direction, WorkKind
from samdrift.demo.cast import DemoOperator
from samdrift.federation.server import running
from samdrift.installation.loop import run
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.outgoing.compose import Attachment, Draft
from samdrift.wire.sdkmessage.rules import MAX_BYTES

_LEVELS = ("shared", "process")
_BAR = 1.5
_ROUNDS = 1
_EXCHANGES = 6
_MAILING = 30
"""Messages that the neighbour sends in a round."""
_JUNK = 150
"""Number of meaningless envelopes that the neighbour receives in a round."""
_JUNK_BYTES = 7_000
_NICE = 10
_AT_ONCE = 8
_LARGEST = 100 << 20
"""Bytes of an envelope that access points pass (transport-profile-as4 2.8 a) but message services refuse."""
_LARGE = (MAX_BYTES - 8192) // 4 * 3
"""Bytes whose base64 fills the largest message, with room for the rest of it."""
_WITHIN = 300.0
_LOOK_EVERY = 0.5
_JUDGED = (MTEvent.MT_RECEIPT_UNMATCHED, MTEvent.MT_MESSAGE_REFUSED, MTEvent.MT_MESSAGE_HELD)
"""Log events for a meaningless envelope; it is held if its sender has sent too many."""

Disturbance = Callable[[], Coroutine[Any, Any, None]]
"""An activity of the neighbour, or traffic to it; it returns once it is over or goes on by itself."""
Preparation = Callable[[], Coroutine[Any, Any, Disturbance]]


def rows(only: Sequence[str] | None = None) -> list[Row]:
    """Measure the median time of an exchange for each level and kind of traffic, with and without it."""
    with tempfile.TemporaryDirectory(prefix="samdrift-traffic-") as folder:
        return run(_measured(Path(folder), only or [""]))


async def _measured(folder: Path, only: Sequence[str]) -> list[Row]:
    hosts = {
        level: DemoOperator(
            f"near-{level}",
            f"AP008{3 + place}-SDK-DEMO",
            (
                organisation(f"stilla{level}", f"212000093{2 * place}"),
                organisation(f"ivrig{level}", f"212000093{2 * place + 1}"),
            ),
        )
        for place, level in enumerate(_LEVELS)
    }
    peers = [
        DemoOperator(name, f"AP008{5 + place}-SDK-DEMO", tuple(cast))
        for place, (name, cast) in enumerate(
            {
                "far": [organisation("fjarran", "2120000941"), organisation("mottagare", "2120000942")],
                "crowd": [organisation("hop", "2120000945")],
                "dead": [organisation("stum", "2120000943")],
                "slow": [organisation("trog", "2120000944")],
            }.items()
        )
    ]
    own = {operator: f'[isolation]\nlevel = "{level}"\n' for level, operator in hosts.items()}
    plays = dict.fromkeys((*hosts.values(), *peers), ("all",))
    found = list[Row]()
    async with AsyncExitStack() as stack:
        federation = await stack.enter_async_context(running(folder / "federation"))
        there = await stack.enter_async_context(played(federation, folder, plays, own=own))
        members = {member.demo.name.lower(): member for member in there.members}
        *own_hosts, far_host, crowd = there.processes[: len(hosts) + 2]
        for process in (far_host, crowd):
            await started(process)
        for each in installation(crowd):
            each.nice(_NICE)
        await stack.enter_async_context(_silent(members["trog"]))
        far = members["fjarran"]
        for level, host in zip(_LEVELS, own_hosts, strict=True):
            calm, loud = members[f"stilla{level}"], members[f"ivrig{level}"]
            kinds, floods = _kinds(loud, members), _floods(loud, members)
            named = {f"{level}: {kind}": prepare for kind, prepare in {**kinds, **floods}.items()}
            wanted = {name: each for name, each in named.items() if any(word in name for word in only)}
            if not wanted:
                continue
            await started(host)
            await latencies(calm, far, done_after(_EXCHANGES))
            for name, prepare in wanted.items():
                found.append(await _row(name, calm, far, prepare))
                if prepare in floods.values():
                    found.append(await _cost(name, host, prepare))
            await host.stop()
    return [*found, reported("load of the machine", [*os.getloadavg()], "")]


def _kinds(loud: Member, members: dict[str, Member]) -> dict[str, Preparation]:
    """Return the neighbour's activities; the last ones leave transfers that keep waiting."""
    recipient = members["mottagare"]
    return {
        "mails 30 others": lambda: _mailing(loud, recipient, awaited=True),
        "sends a message of 30 MB": lambda: _large(loud, recipient),
        "receives a message of 30 MB": lambda: _large(recipient, loud),
        "sends an envelope of 100 MB": lambda: _largest(loud, recipient),
        "receives an envelope of 100 MB": lambda: _largest(recipient, loud),
        "mails a peer that is dead": lambda: _mailing(loud, members["stum"], awaited=False),
        "mails a peer that is slow": lambda: _mailing(loud, members["trog"], awaited=False),
    }


def _floods(loud: Member, members: dict[str, Member]) -> dict[str, Preparation]:
    """Return floods of meaningless but correctly signed envelopes; the last one leaves envelopes waiting."""
    crowd = members["hop"]
    ends = crowd.organisation, loud.organisation

    async def receipts() -> Disturbance:
        signer = await crowd.signing()
        envelopes = [enclose_receipt(*ends, str(uuid4()), signer) for _ in range(_JUNK)]
        return partial(_junk, crowd, loud, envelopes)

    async def noise() -> Disturbance:
        signer, recipient = await crowd.signing(), loud.encryption
        letters = [letter(crowd.address, loud.address) for _ in range(_JUNK)]
        envelopes = [enclose(one, signer, recipient, payload=os.urandom(_JUNK_BYTES)) for one in letters]
        return partial(_junk, crowd, loud, envelopes)

    return {"is sent receipts for nothing": receipts, "is sent what decrypts to nothing": noise}


async def _row(name: str, calm: Member, far: Member, prepare: Preparation) -> Row:
    floors, works = list[float](), list[float]()
    for _ in range(_ROUNDS):
        floors.append(median(await latencies(calm, far, done_after(_EXCHANGES))))
        disturbing = asyncio.create_task((await prepare())())
        works.append(median(await latencies(calm, far, _both(done_after(_EXCHANGES), disturbing.done))))
        await disturbing
    return _told(against_floor(name, floors, works, bar=_BAR, unit="ms"))


def _told(row: Row) -> Row:
    """Print a row as soon as it is known, since a whole run takes many minutes on a busy machine."""
    found = f"{row.work:.1f} {row.unit}" if row.ratio is None else f"{row.ratio:.2f}"
    print(f"{row.name}: {found}; load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return row


def _both(one: Callable[[], bool], other: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: one() and other()


async def _cost(name: str, host: Process, prepare: Preparation) -> Row:
    """Measure the processor time per envelope at the recipient's installation, while it does nothing else."""
    flood, before = await prepare(), installation_cpu(host)
    await flood()
    each = (installation_cpu(host) - before) / _JUNK * 1e3
    return _told(reported(f"{name}, processor time of the recipient's operator for each", [each], "ms CPU"))


async def _mailing(sender: Member, recipient: Member, *, awaited: bool) -> Disturbance:
    """Prepare many messages and return a disturbance that makes them all due at the same time."""
    waiting = await messages(sender, recipient, _MAILING)

    async def mail() -> None:
        async with sender.open(MT) as vault:
            for each in waiting:
                await vault.schedule(WorkKind.MESSAGE, each, datetime.now(UTC))
        if awaited:
            await ended(sender, waiting)

    return mail


async def _large(sender: Member, recipient: Member) -> Disturbance:
    """Send a message of the largest size; it is stored, and due a moment later."""
    attachment = Attachment("a.pdf", "application/pdf", b"%PDF-1.4\n" + os.urandom(_LARGE))
    sent = await sender.send(recipient.address, Draft("Prov", "Ett stort meddelande.", (attachment,)))

    async def is_final() -> bool:
        record = await sender.record(sent, Direction.OUT)
        return record is not None and record.status.final

    return partial(_until, is_final)


async def _largest(sender: Member, recipient: Member) -> Disturbance:
    """Prepare an envelope that access points accept but the recipient's message service refuses."""
    message, payload = letter(sender.address, recipient.address), os.urandom(_LARGEST * 3 // 4)
    envelope = enclose(message, await sender.signing(), recipient.encryption, payload=payload)

    async def is_refused() -> bool:
        entries = await recipient.log(MT, envelope.id)
        return any(one.event == MTEvent.MT_MESSAGE_REFUSED for one in entries)

    async def submit() -> None:
        await sender.submit(envelope)
        await _until(is_refused)

    return submit


async def _junk(sender: Member, recipient: Member, envelopes: Sequence[Envelope]) -> None:
    """Submit small meaningless envelopes to a recipient, and wait until each has been judged once."""
    async with recipient.open(MT) as vault:
        end = await vault.log_end()
    left, access_point = iter(envelopes), await sender.interface_c()

    async def submit() -> None:
        for envelope in left:
            answer = await access_point.submit(envelope.id, envelope.data)
            assert answer.status == 201, answer.body

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(submit())

    async def are_judged() -> bool:
        async with recipient.open(MT) as vault:
            entries = await vault.log(end, 10 * _JUNK)
        judged = {one.ids.get("envelope") for one in entries if one.event in _JUDGED}
        return judged.issuperset(envelope.id for envelope in envelopes)

    await _until(are_judged)


async def _until(look: Callable[[], Awaitable[bool]]) -> None:
    """Poll a condition at long intervals, because polling uses time of the operator that is measured."""
    async with asyncio.timeout(_WITHIN):
        while True:
            if await look():
                return
            await asyncio.sleep(_LOOK_EVERY)


@asynccontextmanager
async def _silent(member: Member) -> AsyncIterator[None]:
    """Accept connections at the member's access point address, and never answer."""
    address = urlsplit(member.as4_address)

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(1 << 16):
                pass
        writer.close()

    server = await asyncio.start_server(silence, address.hostname, address.port)
    try:
        yield
    finally:
        server.close()
