"""Exchanges while processes, database servers and their connections are killed at random moments."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psutil

from samdrift.accesspoint.events import APEvent
from samdrift.audit.chain import LogVerification
from samdrift.audit.events import AuditEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOperator
from samdrift.federation.server import LocalFederation
from samdrift.installation.objectplace import object_place
from samdrift.installation.vaultsettings import vault_settings
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.outgoing.compose import Attachment
from samdrift.messageservice.service import MessageInvalid
from samdrift.vault.errors import ServerFailed, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.objects import Objects
from samdrift.wire.sdkmessage import SdkMessage
from tests.roles.crashes import crashed
from tests.roles.letters import DRAFT, letter
from tests.roles.member import AP, MT, Member, until
from tests.roles.processes import Process, organisation, played

_HERE = organisation("vaggeryd", "2120000522"), organisation("nassjo", "2120000548")
_THERE = (organisation("eksjo", "2120000597"),)
OPERATORS: dict[DemoOperator, tuple[str, ...]] = {
    DemoOperator("operator-c", "AP0003-SDK-DEMO", _HERE): ("all",),
    DemoOperator("operator-d", "AP0004-SDK-DEMO", _THERE): ("ap", "mt"),
}
"""Operators, with the processes that each runs as: all roles together, or one process per role."""

_LARGE = 400_000
"""Bytes of an attachment that makes a body too large for its row, so it is in the object store."""
_LOG_PAGE = 5_000
_ORDER = [
    MessageStatus.SCHEDULED,
    MessageStatus.SUBMITTED,
    MessageStatus.SCHEDULED_FOR_RESEND,
    MessageStatus.ACKNOWLEDGE,
    MessageStatus.WAITING_FOR_RECEIPT,
    MessageStatus.ACCEPTED,
]


@dataclass(frozen=True)
class Exchange:
    """A message that was accepted for sending, with its sender and recipient."""

    sender: Member
    recipient: Member
    message: SdkMessage

    @property
    def id(self) -> str:
        return self.message.message_id


@dataclass(frozen=True)
class Report:
    """Number of exchanges and faults, and everything that was wrong afterwards."""

    exchanges: int
    blows: Counter[str]
    faults: list[str]


async def soak(
    federation: LocalFederation,
    folder: Path,
    rng: random.Random,
    *,
    exchanges: int,
    blows: int,
    patience: float,
) -> Report:
    """Exchange messages under at least that many faults.

    ``patience`` is for work that goes on after the last one.
    """
    async with played(federation, folder, OPERATORS) as those:
        for process in those.processes:
            await process.start()
        sending = asyncio.create_task(send(those.members, rng, exchanges))
        struck = await _strike(those.processes, rng, blows, sending)
        sent = await sending
        faults = await faults_of(sent, those.members, patience)
    return Report(len(sent), struck, faults)


async def faults_of(sent: list[Exchange], members: list[Member], patience: float) -> list[str]:
    """Return everything that is wrong once all has ended, within ``patience`` each."""
    faults = [fault for exchange in sent for fault in await _once_it_ended(exchange, patience)]
    for member in members:
        faults += await _left(member, patience)
    for exchange in sent:
        faults += [*await _counted(exchange), *await _not_as_sent(exchange)]
    for member in members:
        faults += await _broken_logs(member)
    return faults


# --- what happens -------------------------------------------------------------------------------------------


async def send(members: list[Member], rng: random.Random, number: int, large: float = 0.2) -> list[Exchange]:
    """Send messages one after the other, regardless of failures; one that is known was stored.

    ``large`` is the share of those whose bodies are in the object store.
    """
    vaggeryd, nassjo, eksjo = members
    ways = [(vaggeryd, eksjo), (eksjo, vaggeryd), (vaggeryd, nassjo), (nassjo, eksjo)]
    sent = []
    for one in range(number):
        sender, recipient = ways[one % len(ways)]
        size = _LARGE if rng.random() < large else rng.randrange(20_000)
        file = Attachment("bilaga.pdf", "application/pdf", b"%PDF-1.4\n" + rng.randbytes(size))
        draft = replace(DRAFT, attachments=(file,))
        message = letter(sender.address, recipient.address, draft, message_id=str(uuid4()))
        await _stored(sender, message)
        sent.append(Exchange(sender, recipient, message))
        await asyncio.sleep(rng.uniform(0, 0.3))
    return sent


async def _stored(sender: Member, message: SdkMessage) -> None:
    while True:
        try:
            await sender.operator.messages.send(sender.principal, sender.organisation, message)
            return
        except VaultUnavailable:
            await asyncio.sleep(0.1)
        except MessageInvalid:
            return


Blow = Callable[[Process, random.Random], Awaitable[None]]


async def _process(process: Process, rng: random.Random) -> None:
    await process.end(signal.SIGKILL)
    await asyncio.sleep(rng.uniform(0, 0.5))
    await process.start()


async def _database(process: Process, rng: random.Random) -> None:
    """Crash the database, and keep it down for a while."""
    async with crashed(process.config, process.gate):
        await asyncio.sleep(rng.uniform(0, 1))


async def _postmaster(process: Process, rng: random.Random) -> None:
    """Kill the database server with SIGKILL; the first process to notice restarts it."""
    _server(process).kill()


async def _backend(process: Process, rng: random.Random) -> None:
    """Kill a connection's or writer's process with SIGKILL; the server then ends all others."""
    children = _server(process).children()
    if children:
        rng.choice(children).kill()


def _server(process: Process) -> psutil.Process:
    folder = process.config.vaults.database
    assert isinstance(folder, Path)
    return psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))


_BLOWS: dict[str, tuple[Blow, int]] = {
    "process killed": (_process, 6),
    "database crashed": (_database, 2),
    "postmaster killed": (_postmaster, 1),
    "database connection killed": (_backend, 1),
}
"""Faults, each with its relative frequency."""


async def _strike(
    processes: list[Process], rng: random.Random, number: int, sending: asyncio.Task[list[Exchange]]
) -> Counter[str]:
    """Inject faults as long as messages are sent, and at least ``number`` times."""
    weights = [often for _, often in _BLOWS.values()]
    struck: Counter[str] = Counter()
    while struck.total() < number or not sending.done():
        await asyncio.sleep(rng.uniform(0.1, 1.5))
        process = rng.choice(processes)
        (name,) = rng.choices(list(_BLOWS), weights)
        blow, _ = _BLOWS[name]
        try:
            await blow(process, rng)
        except (FileNotFoundError, psutil.NoSuchProcess, ServerFailed):
            continue  # already down
        struck[f"{name}: {process.which}" if blow is _process else name] += 1
    return struck


# --- what must be true afterwards ---------------------------------------------------------------------------


async def _once_it_ended(exchange: Exchange, patience: float) -> list[str]:
    """Return the result of ``_ended``, waiting for the server to recover after the last fault."""

    async def look() -> list[str] | None:
        with contextlib.suppress(VaultUnavailable):
            return await _ended(exchange, patience)
        return None

    return await until(look, "the database answers", within=patience)


async def _ended(exchange: Exchange, patience: float) -> list[str]:
    """Return faults unless both ends have the right final status, with a reason."""
    sender, recipient, message_id = exchange.sender, exchange.recipient, exchange.id
    try:
        out = await sender.ends(message_id, within=patience)
        incoming = await recipient.ends(message_id, Direction.IN, within=patience)
    except AssertionError:
        return [f"lost: {message_id} has no final status at one end"]
    events = await sender.events(message_id)
    statuses = [event.status for event in events]
    found = {
        f"lost: {message_id} ended as {out}": out is not MessageStatus.ACCEPTED,
        f"lost: {message_id} came as {incoming}": incoming is not MessageStatus.NEW,
        f"no reason: {message_id}": not events[-1].title,
    }
    faults = [fault for fault, is_so in found.items() if is_so]
    unusual = [f"{each.status}, {each.title}" for each in events if each.status not in _ORDER]
    if unusual:
        return [*faults, f"lost: {message_id} had the status {'; then '.join(unusual)}"]
    if statuses != sorted(statuses, key=_ORDER.index):
        faults.append(f"twice: {message_id} had a status again that it had before")
    return faults


async def _counted(exchange: Exchange) -> list[str]:
    """Return events that did not happen exactly once."""
    sender, recipient, message_id = exchange.sender, exchange.recipient, exchange.id
    entries = await recipient.log(MT, message_id)
    receipts = [e.ids["envelope"] for e in entries if e.event == MTEvent.MT_RECEIPT_QUEUED]
    if len(receipts) != 1:
        return [f"{'twice' if receipts else 'lost'}: {len(receipts)} receipts for {message_id}"]
    (receipt_id,) = receipts
    once = [
        (sender, MT, message_id, MTEvent.MT_MESSAGE_ACCEPTED),
        (sender, MT, message_id, MTEvent.MT_RECEIPT_RECEIVED),
        (recipient, MT, message_id, MTEvent.MT_MESSAGE_RETRIEVED),
        (recipient, MT, message_id, MTEvent.MT_MESSAGE_NEW),
        *_transferred(sender, recipient, message_id),
        *_transferred(recipient, sender, receipt_id),
    ]
    found = []
    for member, role, envelope_id, event in once:
        times = (await member.happened(role, envelope_id)).count(event)
        if times != 1:
            found.append(f"{'lost' if not times else 'twice'}: {event} of {envelope_id}, {times} times")
    return found


def _transferred(
    sender: Member, recipient: Member, envelope_id: str
) -> list[tuple[Member, Role, str, AuditEvent]]:
    return [
        (sender, AP, envelope_id, APEvent.AP_TRANSFER_QUEUED),
        (sender, AP, envelope_id, APEvent.AP_TRANSFER_DELIVERED),
        (recipient, AP, envelope_id, APEvent.AP_ENVELOPE_RECEIVED),
        (recipient, AP, envelope_id, APEvent.AP_ENVELOPE_ACKNOWLEDGED),
    ]


async def _not_as_sent(exchange: Exchange) -> list[str]:
    """Return a fault unless the recipient reads exactly the sender's message."""
    recipient = exchange.recipient
    service = recipient.operator.messages
    read = await service.read(recipient.principal, recipient.organisation, exchange.id, Direction.IN)
    if read is None:
        return [f"lost: {exchange.id} cannot be read"]
    return [] if read == exchange.message else [f"changed: {exchange.id}"]


async def _left(member: Member, patience: float) -> list[str]:
    """Return remaining work and data, also after the upkeep that comes a day after a crash."""

    left: dict[str, object] = {}

    async def look() -> bool | None:
        async with member.open(AP) as transfers, member.open(MT) as messages:
            left["envelopes to fetch"] = await transfers.inbox(10)
            left["transfers due"] = await transfers.next_due()
            left["work of the message service due"] = await messages.next_due()
        return None if any(left.values()) else True

    found = []
    try:
        await until(look, "nothing is left to do", within=patience)
    except AssertionError:
        found += [f"left: {what} for {member.organisation}: {one}" for what, one in left.items() if one]
    async with _later(member) as later:
        for role in (AP, MT):
            async with later.open(role) as vault:
                await vault.sweep()
    kept = await _kept(member, AP)
    if kept:
        found.append(f"left: {len(kept)} bodies in the access point of {member.organisation}")
    return found


@asynccontextmanager
async def _later(member: Member) -> AsyncIterator[Member]:
    """Yield the member as its platform sees it in two days."""
    settings = vault_settings(member.config)
    gate = await Gate.start(settings, clock=lambda: datetime.now(UTC) + timedelta(days=2))
    try:
        yield replace(member, operator=replace(member.operator, gate=gate))
    finally:
        await gate.close()


async def _kept(member: Member, role: Role) -> list[str]:
    """Return the objects of one vault, including half-written ones in a folder."""
    found = member.operator.gate.registry.find(member.organisation, role)
    assert found is not None
    objects = member.config.vaults.objects
    if isinstance(objects, Path):
        return [path.name for path in (objects / found.vault).glob("*") if path.is_file()]
    return [one.name for one in await Objects(object_place(member.config.vaults)).under(found.vault)]


async def _broken_logs(member: Member) -> list[str]:
    """Return the logs whose chain does not hold."""
    found = []
    for role in (AP, MT):
        async with member.open(role) as vault:
            known = LogVerification(vault.log_origin)
        while True:
            async with member.open(role) as vault:
                entries = await vault.log(known.head.sequence, _LOG_PAGE)
            verdict = known.take(entries)
            if not verdict.intact:
                found.append(
                    f"log: {verdict.reason} after {known.head.sequence} in {role} of {member.organisation}"
                )
            if not verdict.intact or len(entries) < _LOG_PAGE:
                break
    return found
