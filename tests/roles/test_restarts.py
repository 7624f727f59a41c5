"""kill -9 at any moment: nothing is lost, nothing is delivered twice, everything ends (invariants 7, 8)."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass
from uuid import uuid4

import pytest

from samdrift.app.demo.cast import DemoOperator
from samdrift.audit.events import AuditEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.service import MessageInvalid
from samdrift.vault.errors import VaultUnavailable
from tests.roles.crashes import crashed
from tests.roles.letters import DRAFT
from tests.roles.member import AP, MT, Member, until
from tests.roles.processes import Process, organisation, played
from tests.roles.stage import Stage
from tests.vaults import server_folder

EXCHANGES = int(os.environ.get("SAMDRIFT_EXCHANGES", "40"))
BLOWS = int(os.environ.get("SAMDRIFT_BLOWS", "8"))
"""How often an operator is killed, or its database crashes; both can be set for a longer run."""


_HERE = organisation("vaggeryd", "2120000522"), organisation("nassjo", "2120000548")
_THERE = (organisation("eksjo", "2120000597"),)
OPERATORS: dict[DemoOperator, tuple[str, ...]] = {
    DemoOperator("operator-c", "AP0003-SDK-DEMO", _HERE): ("all",),
    DemoOperator("operator-d", "AP0004-SDK-DEMO", _THERE): ("ap", "mt"),
}
"""Each with the processes that it runs as: together, or each role by itself."""

ORDER = [
    MessageStatus.SUBMITTED,
    MessageStatus.SCHEDULED_FOR_RESEND,
    MessageStatus.ACKNOWLEDGE,
    MessageStatus.WAITING_FOR_RECEIPT,
    MessageStatus.ACCEPTED,
]


@dataclass(frozen=True)
class Exchange:
    """A message and its way."""

    sender: Member
    recipient: Member
    message_id: str


async def sends(members: list[Member], rng: random.Random) -> list[Exchange]:
    """Send messages, one after the other, whatever happens meanwhile; a message that is known was stored."""
    vaggeryd, nassjo, eksjo = members
    ways = [(vaggeryd, eksjo), (eksjo, vaggeryd), (vaggeryd, nassjo), (nassjo, eksjo)]
    sent = []
    for number in range(EXCHANGES):
        sender, recipient = ways[number % len(ways)]
        message_id = str(uuid4())
        while True:
            try:
                await sender.send(recipient.address, message_id=message_id)
                break
            except VaultUnavailable:
                await asyncio.sleep(0.1)
            except MessageInvalid:
                break
        sent.append(Exchange(sender, recipient, message_id))
        await asyncio.sleep(rng.uniform(0, 0.3))
    return sent


async def strikes(processes: list[Process], rng: random.Random) -> None:
    """Kill a process, or crash its database, again and again."""
    for _ in range(BLOWS):
        await asyncio.sleep(rng.uniform(0.1, 1.5))
        process = rng.choice(processes)
        if rng.random() < 0.25:
            async with crashed(process.config, process.gate):
                await asyncio.sleep(rng.uniform(0, 1))
        else:
            await process.end(signal.SIGKILL)
            await asyncio.sleep(rng.uniform(0, 0.5))
            await process.start()


@pytest.mark.parametrize("seed", [int(os.environ.get("SAMDRIFT_SEED", random.randrange(1 << 32)))])
async def test_killed_at_random_moments(stage: Stage, seed: int) -> None:
    print(f"SAMDRIFT_SEED={seed}")
    rng = random.Random(seed)
    with server_folder() as folder:
        async with played(stage.federation, folder, OPERATORS) as those:
            for process in those.processes:
                await process.start()
            sent, _ = await asyncio.gather(sends(those.members, rng), strikes(those.processes, rng))
            for exchange in sent:
                await ended_well(exchange)
            for member in those.members:
                await nothing_is_left(member)


async def ended_well(exchange: Exchange) -> None:
    """Accepted at the one end, new at the other, with the content, and every step once."""
    sender, recipient, message_id = exchange.sender, exchange.recipient, exchange.message_id
    assert await sender.ends(message_id) is MessageStatus.ACCEPTED
    assert await recipient.ends(message_id, Direction.IN) is MessageStatus.NEW
    assert (await recipient.reads(message_id)).documents[0].texts == (DRAFT.text,)
    out = Counter(await sender.happened(MT, message_id))
    incoming = Counter(await recipient.happened(MT, message_id))
    transferred = Counter(await sender.happened(AP, message_id))
    received = Counter(await recipient.happened(AP, message_id))
    assert out[AuditEvent.MT_MESSAGE_ACCEPTED] == 1
    assert out[AuditEvent.MT_RECEIPT_RECEIVED] == 1
    assert incoming[AuditEvent.MT_MESSAGE_RETRIEVED] == 1
    assert incoming[AuditEvent.MT_MESSAGE_NEW] == 1
    assert incoming[AuditEvent.MT_MESSAGE_REFUSED] == 0
    assert transferred[AuditEvent.AP_TRANSFER_QUEUED] == 1
    assert transferred[AuditEvent.AP_TRANSFER_DELIVERED] == 1
    assert received[AuditEvent.AP_ENVELOPE_RECEIVED] == 1
    statuses = [event.status for event in await sender.events(message_id)]
    assert statuses == sorted(statuses, key=ORDER.index), "a status that came before never comes again"


async def nothing_is_left(member: Member) -> None:
    """No envelope waits, no transfer, no work; what was not needed at once left nothing behind."""
    left: list[object] = []

    async def look() -> bool | None:
        async with member.open(AP) as transfers, member.open(MT) as messages:
            left[:] = await transfers.inbox(10), await transfers.next_due(), await messages.next_due()
        return None if any(left) else True

    await until(look, f"nothing is left to do: {left}")
