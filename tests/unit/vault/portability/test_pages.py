"""A page of an export has a limited number of bytes, whatever other organisations have sent."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.vault.mailrecords import MailboxRecord, NewMail
from samdrift.vault.portability import mailparts, parts
from samdrift.vault.portability.arrival import Brought, MessageServiceArrival
from samdrift.vault.portability.departure import (
    Departure,
    MessageClientDeparture,
    MessageServiceDeparture,
)
from samdrift.vault.portability.parts import PAGE_BYTES, Part, Taken
from samdrift.vault.records import StatusEvent
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.verdicts import Grounds
from tests.separation.mailcases import a_message
from tests.vaults import MINUTE, NOW, WORKER, Installation, body, message

MT, MK = Role.MESSAGE_SERVICE, Role.MESSAGE_CLIENT
LARGE = PAGE_BYTES * 3 // 4
"""Size of a text of which a page has room for one."""


async def mail(installation: Installation, organisation: ParticipantIdentifier, size: int) -> None:
    async with installation.open(organisation, MK) as vault:
        box = MailboxRecord("box", "inkorg@0203:habo.se", "Inkorg")
        await vault.keep_mailbox(box)
        record = a_message(Direction.IN, "arrived", {"message_id": "m", "subject": "x" * size})
        new = NewMail(record, record.id, record.id, await body(vault), f"remote {record.id}")
        await vault.store_mail(new, box.id, [], [])


async def delivery(installation: Installation, organisation: ParticipantIdentifier, size: int) -> None:
    """Store a message whose delivery has long steps."""
    async with installation.open(organisation, MK) as vault:
        box = MailboxRecord("box", "inkorg@0203:habo.se", "Inkorg")
        await vault.keep_mailbox(box)
        record = a_message(Direction.OUT, "sent", {"message_id": "m"}, delivery={"reason": "x" * size})
        new = NewMail(record, record.id, record.id, await body(vault), f"remote {record.id}")
        await vault.store_mail(new, box.id, [], [])


async def sent(installation: Installation, organisation: ParticipantIdentifier, size: int) -> None:
    async with installation.open(organisation, MT) as vault:
        record = message(label="x" * size)
        assert await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)


async def steps(installation: Installation, organisation: ParticipantIdentifier, size: int) -> None:
    """Send a message that its recipient refuses, with long findings in its receipt."""
    async with installation.open(organisation, MT) as vault:
        record = message()
        assert await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)
        refused = [StatusEvent(NOW, MessageStatus.REJECTED, "x" * size)]
        await vault.set_status(
            record.id, MessageStatus.REJECTED, refused, now=NOW, deadline=None, direction=Direction.OUT
        )


async def grounds(installation: Installation, organisation: ParticipantIdentifier, size: int) -> None:
    """Keep a long revocation list, as a vault of an earlier supplier may have."""
    async with installation.open(organisation, MT) as vault:
        known = len(await vault._work.query("SELECT FROM grounds"))
        document = known.to_bytes(2, "big")
        vault.keep_grounds(Grounds(document, (document + bytes(size),), NOW + MINUTE), now=NOW)


STORED: dict[str, tuple[type[Departure], Part, Callable[..., Awaitable[None]]]] = {
    "mail": (MessageClientDeparture, mailparts.MAIL.part, mail),
    "the delivery of mail": (MessageClientDeparture, mailparts.MAIL.part, delivery),
    "sent messages": (MessageServiceDeparture, parts.MESSAGES, sent),
    "steps of messages": (MessageServiceDeparture, parts.MESSAGES, steps),
    "grounds": (MessageServiceDeparture, parts.grounds_part(MT), grounds),
}


@pytest.mark.parametrize("what", list(STORED))
async def test_a_page_has_many_records_only_while_they_are_small(
    installation: Installation, organisation: ParticipantIdentifier, what: str
) -> None:
    """A record that is larger than a page may be is alone in a page."""
    kind, part, store = STORED[what]
    for size in (10, LARGE, PAGE_BYTES * 2, LARGE, 20):
        await store(installation, organisation, size)
    found = list[list[int]]()
    async with installation.gate.depart(WORKER, organisation, kind, {}) as vault:
        after: tuple[object, ...] = ()
        while page := await getattr(vault, part.name)(after):
            found.append([len(written(one)) for one in page])
            after = tuple(page[-1].facts[name] for name in part.key)
    hexadecimal = 2 if what == "grounds" else 1
    large = [size for page in found for size in page if size > LARGE]
    assert len(large) == 3, "every record must be in a page"
    assert all(len(page) == 1 or sum(page) < hexadecimal * (PAGE_BYTES + 100_000) for page in found)
    assert len(found) < 6, "small records must share a page"


async def test_what_is_sealed_of_a_message_arrives_sealed_alone(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A row has at most 256 MiB in PostgreSQL, of which the largest message takes nearly all when sealed."""
    await sent(installation, organisation, 10)
    async with installation.gate.depart(WORKER, organisation, MessageServiceDeparture, {}) as vault:
        (taken,) = await vault.messages()
    async with installation.gate.arrive(WORKER, organisation, MessageServiceArrival) as arrival:
        row = arrival._message(Brought(taken.facts, {}, None))
    assert "x" * 10 in taken.facts["label"]
    assert "x" * 10 not in json.dumps(row)
    assert not {"sender_address", "recipient_address", "attributes", "events"} & row.keys()


def written(one: Taken) -> bytes:
    return json.dumps(one.facts, ensure_ascii=False).encode()
