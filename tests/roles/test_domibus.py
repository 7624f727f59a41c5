"""Another supplier's access point: message services behind a Domibus exchange messages with Samdrift's own.

The Domibus is a stand-in written from the plugin's contract (tests/domibus);
everything else is the production code.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import pytest_asyncio

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.transfer import TransferUnavailable
from samdrift.installation.accesspoints import connected
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.outgoing.compose import Attachment
from tests.domibus.standin import Fault
from tests.roles.domibus import Customers, customers_of_a_domibus
from tests.roles.letters import DRAFT, WITH_PDF
from tests.roles.member import MT, Member, until
from tests.roles.stage import Stage
from tests.sizes import whole
from tests.vaults import server_folder

EXPECTED = "ASGI callable returned without completing response"
"""Log line for a stand-in that hangs up instead of answering, as some tests require."""


@pytest_asyncio.fixture(scope="module")
async def customers(stage: Stage) -> AsyncIterator[Customers]:
    with server_folder() as folder:
        async with customers_of_a_domibus(stage, folder) as found:
            yield found


@pytest_asyncio.fixture(scope="module")
async def members(customers: Customers) -> AsyncIterator[tuple[Member, Member]]:
    async with customers.running() as found:
        yield found


async def exchanged(sender: Member, recipient: Member, message_id: str) -> None:
    """Check that a message is accepted at its sender and can be read at its recipient."""
    assert await sender.ends(message_id) is MessageStatus.ACCEPTED
    assert await recipient.ends(message_id, Direction.IN) is MessageStatus.NEW


async def test_a_restart_loses_no_transfer_and_nothing_that_waits(customers: Customers) -> None:
    """A message and a receipt are under way, and another message waits, when the message service ends.

    This is the first test of the module: for all others the service keeps running.
    """
    agency = customers.stage.agency
    customers.open.clear()
    async with customers.running() as (tranas, _):
        out = await tranas.send(agency.address)
        incoming = await agency.send(tranas.address)
        await tranas.reaches(out, MessageStatus.SUBMITTED)
        await two_submitted(customers)
    later = await agency.send(tranas.address)
    await one_waits(customers)
    customers.open.set()
    async with customers.running() as (tranas, _):
        await exchanged(tranas, agency, out)
        await exchanged(agency, tranas, incoming)
        await exchanged(agency, tranas, later)
    assert customers.posted == 3, "only one message and two receipts may be submitted"


async def two_submitted(customers: Customers) -> None:
    async def look() -> bool | None:
        return True if len(customers.domibus.sent) == 2 and not customers.domibus.pending else None

    await until(look, "message and receipt are at the Domibus")


async def one_waits(customers: Customers) -> None:
    async def look() -> bool | None:
        return True if customers.domibus.pending else None

    await until(look, "a message waits at the Domibus")


@pytest.mark.parametrize("mtom", [True, False])
async def test_a_message_goes_out_and_its_receipt_comes_back(
    customers: Customers, members: tuple[Member, Member], mtom: bool
) -> None:
    customers.domibus.mtom = mtom
    tranas, agency = members[0], customers.stage.agency
    message_id = await tranas.send(agency.address, WITH_PDF)
    await exchanged(tranas, agency, message_id)
    assert (await agency.reads(message_id)).label == WITH_PDF.label
    statuses = [event.status for event in await tranas.events(message_id)]
    assert (
        statuses
        == [
            MessageStatus.SCHEDULED,
            MessageStatus.SUBMITTED,
            MessageStatus.ACKNOWLEDGE,
            MessageStatus.WAITING_FOR_RECEIPT,
            MessageStatus.ACCEPTED,
        ]
        or statuses[0] is not MessageStatus.SCHEDULED
    )
    sent = customers.domibus.sent[f"{message_id}@meddelanden.test"]
    assert sent.recipient == agency.organisation.value
    assert b"avtal" not in sent.envelope, "invariant 5: the content is encrypted"


async def test_a_message_comes_in_and_its_receipt_goes_out(
    customers: Customers, members: tuple[Member, Member]
) -> None:
    tranas, agency = members[0], customers.stage.agency
    message_id = await agency.send(tranas.address)
    await exchanged(agency, tranas, message_id)
    entry = await tranas.logged(MT, message_id, MTEvent.MT_MESSAGE_RETRIEVED)
    assert entry.ids["as4"] in customers.domibus.downloaded, "a stored message must be marked as downloaded"
    assert (await tranas.reads(message_id)).label == DRAFT.label


async def test_after_a_lost_answer_a_message_is_there_once(
    customers: Customers, members: tuple[Member, Member]
) -> None:
    tranas, agency = members[0], customers.stage.agency
    customers.domibus.lose_answers, before = 1, customers.posted
    message_id = await tranas.send(agency.address)
    await exchanged(tranas, agency, message_id)
    assert customers.posted == before + 1


async def test_why_a_transfer_failed_is_told_in_the_peers_words(
    customers: Customers, members: tuple[Member, Member]
) -> None:
    """The other access point does not serve the recipient, although SMP names it."""
    tranas, stage = members[0], customers.stage
    customers.reachable[stage.habo.organisation.value] = stage.agency
    message_id = await tranas.send(stage.habo.address)
    failure = await tranas.failure(message_id)
    assert "not-serviced" in failure
    assert "EBMS:0004 NOT_SERVICED" in failure


async def test_a_refused_submission_ends_with_the_words_of_domibus(
    customers: Customers, members: tuple[Member, Member]
) -> None:
    tranas, agency = members[0], customers.stage.agency
    customers.domibus.refuse = Fault("Invalid request", "EBMS:0009", "Mandatory field is not provided")
    try:
        message_id = await tranas.send(agency.address)
        assert "Mandatory field is not provided" in await tranas.failure(message_id)
    finally:
        customers.domibus.refuse = None


async def test_two_organisations_at_one_domibus_are_kept_apart(
    customers: Customers, members: tuple[Member, Member]
) -> None:
    """They may even write to each other: then Domibus has the message twice, under one id."""
    (tranas, aneby), agency = members, customers.stage.agency
    to_tranas, to_aneby = await agency.send(tranas.address), await agency.send(aneby.address)
    between = await tranas.send(aneby.address)
    await exchanged(agency, tranas, to_tranas)
    await exchanged(agency, aneby, to_aneby)
    await exchanged(tranas, aneby, between)
    for member, others in ((tranas, to_aneby), (aneby, to_tranas)):
        assert await member.record(others, Direction.IN) is None
        assert await member.log(MT, others) == []


async def test_a_domibus_with_a_certificate_that_nobody_vouches_for_is_told_nothing(
    customers: Customers, members: tuple[Member, Member]
) -> None:
    own = members[0].own_config
    assert own.domibus is not None
    unknown = replace(own, domibus=replace(own.domibus, issuers=None))
    async with AsyncExitStack() as stack:
        access_point = await connected(stack, unknown, members[0].operator.gate, customers.config)
        with pytest.raises(TransferUnavailable, match="its certificate is refused"):
            await access_point.poll(0, 0)


@whole
async def test_thirty_megabytes_go_both_ways(customers: Customers, members: tuple[Member, Member]) -> None:
    tranas, agency = members[0], customers.stage.agency
    draft = replace(
        DRAFT, attachments=(Attachment("stor.pdf", "application/pdf", b"%PDF-1.7" + os.urandom(21 << 20)),)
    )
    out, back = await tranas.send(agency.address, draft), await agency.send(tranas.address, draft)
    await exchanged(tranas, agency, out)
    await exchanged(agency, tranas, back)
    assert len(customers.domibus.sent[f"{out}@meddelanden.test"].envelope) > 30 << 20
