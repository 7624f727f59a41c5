"""How long an organisation's exchanges take while another one has much to send, or peers that do not answer.

The part of ``bench neighbour`` in which the neighbour does nothing wrong, or is sent what means nothing. The
undisturbed organisation exchanges messages with another operator, one after another, and the time of each
ends when the message receipt is there. In each round it does so alone, and then while the neighbour is at it.
``python -m bench neighbour_traffic --only WORD`` has the rows with such a word in their names.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit
from uuid import uuid4

from tests.roles.letters import enclose, enclose_receipt, letter
from tests.roles.member import MT, Member
from tests.roles.processes import organisation, played

from bench.backlog import done_after, ended, latencies, messages, started
from bench.measure import Row, against_floor, reported
from samdrift.contracts.messages import WorkKind
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
"""Receipts for nothing that the neighbour is sent in a round."""
_AT_ONCE = 8
_LARGEST = 100 << 20
"""Bytes of an envelope that access points pass (transport-profile-as4 2.8 a), and message services refuse."""
_LARGE = (MAX_BYTES - 8192) // 4 * 3
"""Bytes whose base64 fills the largest message, with room for the rest of it."""
_WITHIN = 300.0

Disturbance = Callable[[], AbstractAsyncContextManager[None]]


def rows(only: Sequence[str] | None = None) -> list[Row]:
    """For each level and kind of traffic the median of an exchange, undisturbed and disturbed."""
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
        for process in there.processes[: len(hosts) + 1]:
            await started(process)
        await stack.enter_async_context(_silent(members["trog"]))
        far = members["fjarran"]
        for level in _LEVELS:
            calm, loud = members[f"stilla{level}"], members[f"ivrig{level}"]
            await latencies(calm, far, done_after(_EXCHANGES))
            for kind, disturbed in _kinds(loud, members).items():
                if any(word in kind for word in only):
                    found.append(await _row(f"{level}: {kind}", calm, far, disturbed))
    return [*found, reported("load of the machine", [*os.getloadavg()], "")]


def _kinds(loud: Member, members: dict[str, Member]) -> dict[str, Disturbance]:
    """What the neighbour does, the last ones leave transfers that go on waiting."""
    recipient = members["mottagare"]
    return {
        "mails 30 others": lambda: _mailing(loud, recipient, awaited=True),
        "sends a message of 30 MB": lambda: _large(loud, recipient),
        "receives a message of 30 MB": lambda: _large(recipient, loud),
        "sends an envelope of 100 MB": lambda: _largest(loud, recipient),
        "receives an envelope of 100 MB": lambda: _largest(recipient, loud),
        "is sent receipts for nothing": lambda: _junk(recipient, loud),
        "mails a peer that is dead": lambda: _mailing(loud, members["stum"], awaited=False),
        "mails a peer that is slow": lambda: _mailing(loud, members["trog"], awaited=False),
    }


async def _row(name: str, calm: Member, far: Member, disturbance: Disturbance) -> Row:
    floors, works = list[float](), list[float]()
    for _ in range(_ROUNDS):
        floors.append(median(await latencies(calm, far, done_after(_EXCHANGES))))
        async with disturbance():
            works.append(median(await latencies(calm, far, done_after(_EXCHANGES))))
    return against_floor(name, floors, works, bar=_BAR, unit="ms")


@asynccontextmanager
async def _mailing(sender: Member, recipient: Member, *, awaited: bool) -> AsyncIterator[None]:
    """Have many messages come due at the same time."""
    waiting = await messages(sender, recipient, _MAILING)
    async with sender.open(MT) as vault:
        for each in waiting:
            await vault.schedule(WorkKind.MESSAGE, each, datetime.now(UTC))
    yield
    if awaited:
        await ended(sender, waiting)


@asynccontextmanager
async def _large(sender: Member, recipient: Member) -> AsyncIterator[None]:
    attachment = Attachment("a.pdf", "application/pdf", b"%PDF-1.4\n" + os.urandom(_LARGE))
    sent = await sender.send(recipient.address, Draft("Prov", "Ett stort meddelande.", (attachment,)))
    yield
    await sender.ends(sent, within=_WITHIN)


@asynccontextmanager
async def _largest(sender: Member, recipient: Member) -> AsyncIterator[None]:
    """Have an access point take an envelope whose message the recipient's message service refuses."""
    message, payload = letter(sender.address, recipient.address), os.urandom(_LARGEST * 3 // 4)
    envelope = enclose(message, await sender.signing(), recipient.encryption, payload=payload)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sender.submit(envelope))
        yield
    await recipient.logged(MT, envelope.id, MTEvent.MT_MESSAGE_REFUSED)


@asynccontextmanager
async def _junk(sender: Member, recipient: Member) -> AsyncIterator[None]:
    """Have small envelopes come that are signed as they should be, and mean nothing to their recipient."""
    signer = await sender.signing()
    ends = sender.organisation, recipient.organisation
    envelopes = [enclose_receipt(*ends, str(uuid4()), signer) for _ in range(_JUNK)]
    left, access_point = iter(envelopes), await sender.interface_c()

    async def submit() -> None:
        for envelope in left:
            answer = await access_point.submit(envelope.id, envelope.data)
            assert answer.status == 201, answer.body

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(submit())
        yield
    for envelope in envelopes:
        await recipient.logged(MT, envelope.id, MTEvent.MT_RECEIPT_UNMATCHED)


@asynccontextmanager
async def _silent(member: Member) -> AsyncIterator[None]:
    """Accept connections where the member's access point would be, and never answer."""
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
