"""A full disk: nothing is acknowledged that cannot be kept, and afterwards everything resumes by itself.

Access point and message service of one organisation run in a process of their own, once with their
object store and once with their database on a small disk (invariant 7).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.demo.cast import DemoOperator
from samdrift.messageservice.outgoing.compose import Attachment, Draft
from samdrift.vault.errors import VaultUnavailable
from tests.roles.disks import Disk, disk
from tests.roles.letters import DRAFT, Envelope, enclose, letter
from tests.roles.member import AP, MT, Member, until
from tests.roles.peer import Peer
from tests.roles.processes import organisation, played
from tests.roles.stage import Stage
from tests.sizes import whole
from tests.vaults import server_folder

MANY = 50


def with_file(size: int) -> Draft:
    file = Attachment("fil.pdf", "application/pdf", b"%PDF-1.4" + os.urandom(size))
    return replace(DRAFT, attachments=(file,))


LARGE = {"objects": with_file(600_000), "database": with_file(50_000)}
"""Messages whose bodies need room on that disk; smaller ones stay in their rows."""
NUMBERS = {"objects": "7", "database": "8"}


@dataclass(frozen=True)
class Place:
    """The store that fills up, and a message whose bodies need room there."""

    member: Member
    disk: Disk
    draft: Draft

    def encloses(self, peer: Peer) -> Envelope:
        """Return a message from a peer in its envelope."""
        return peer.seals(letter(peer.address, self.member.address, self.draft), self.member)


@pytest_asyncio.fixture(scope="module", params=[pytest.param("objects", marks=whole), "database"])
async def place(request: pytest.FixtureRequest, stage: Stage) -> AsyncIterator[Place]:
    what: str = request.param
    number = NUMBERS[what]
    own = organisation(f"boxholm{number}", "2120000415")
    operator = DemoOperator("operator-e", f"AP000{number}-SDK-DEMO", (own,))
    with server_folder() as folder, disk(folder / "operator-e" / what, "160m") as small:
        async with played(stage.federation, folder, {operator: ("all",)}) as those:
            (process,), (member,) = those.processes, those.members
            await process.start()
            yield Place(member, small, LARGE[what])


async def test_nothing_is_receipted_that_cannot_be_kept(stage: Stage, place: Place) -> None:
    """A database has some room left in existing files, and must keep whatever it accepts in them."""
    member, peer = place.member, stage.peer()
    taken = []
    with place.disk.full():
        for _ in range(MANY):
            envelope = place.encloses(peer)
            message_id, packed = peer.packs(envelope, member)
            posted = await peer.repeats(message_id, packed, member)
            taken.append(envelope.id)
            if posted.answer.status == 503:
                break
            assert posted.is_receipt_of(member.certificate)
        else:
            pytest.fail("the disk never filled up")

    async def again() -> bool | None:
        posted = await peer.repeats(message_id, packed, member)
        return posted.is_receipt_of(member.certificate) if posted.answer.status == 200 else None

    assert await until(again, "the message is taken")
    for envelope_id in taken:
        (receipt,) = await peer.message_receipts(envelope_id)
        assert not receipt.findings
        assert await member.ends(envelope_id, Direction.IN) is MessageStatus.NEW
        assert (await member.reads(envelope_id)).documents[0].texts == (DRAFT.text,)


async def test_nothing_is_taken_for_transfer_that_cannot_be_kept(stage: Stage, place: Place) -> None:
    member, peer = place.member, stage.peer()
    interface = await member.interface_c()
    submitted = 0
    with place.disk.full():
        for _ in range(MANY):
            message = letter(member.address, peer.address, place.draft)
            envelope = enclose(message, await member.signing(), peer.encryption)
            answer = await interface.submit(envelope.id, envelope.data)
            submitted += 1
            if answer.status != 201:
                assert answer.problem == (503, "unavailable")
                break
        else:
            pytest.fail("the disk never filled up")

    async def taken() -> bool | None:
        answer = await interface.submit(envelope.id, envelope.data)
        return True if answer.status in (200, 201) else None

    await until(taken, "the envelope is taken")
    received = await peer.gets(submitted)
    assert len({one.header.user_message.conversation_id for one in received}) == submitted


async def test_nothing_is_taken_for_sending_that_cannot_be_kept(stage: Stage, place: Place) -> None:
    member, peer = place.member, stage.peer()
    taken = []
    with place.disk.full():
        for _ in range(MANY):
            try:
                taken.append(await member.send(peer.address, place.draft))
            except VaultUnavailable:
                break
        else:
            pytest.fail("the disk never filled up")
    for message_id in taken:
        await member.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)


async def test_what_was_under_way_ends_with_a_status(stage: Stage, place: Place) -> None:
    """Earlier messages are answered while nothing can be stored, and accepted afterwards (invariant 8)."""
    member, peer = place.member, stage.peer()
    message_id = await member.send(peer.address, place.draft)
    with place.disk.full():
        await asyncio.sleep(1)
    await member.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)


async def test_nothing_half_written_is_left(place: Place) -> None:
    objects = place.member.config.vaults.objects
    assert isinstance(objects, Path)

    async def settled() -> bool | None:
        async with place.member.open(AP) as transfers, place.member.open(MT) as messages:
            left = await transfers.inbox(10), await transfers.next_due(), await messages.next_due()
        return None if any(left[:2]) else True

    await until(settled, "nothing is left to do")
    registration = place.member.operator.gate.registry.find(place.member.organisation, AP)
    assert registration is not None
    assert not list((objects / registration.vault).glob("*"))
