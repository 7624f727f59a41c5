"""Shared services that do not answer: work waits and resumes by itself if it can, and senders are told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from samdrift.contracts.addressbook import Listing
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.federation.server import Failure, Service
from samdrift.messageservice.events import MTEvent
from samdrift.wire.addressbook import AddressBookCopy
from samdrift.wire.identifiers import RECEIPT_EXTENDED, SDK_MESSAGE_BASE, ParticipantIdentifier
from tests.roles.member import AP, MT, Member, until
from tests.roles.stage import ATTEMPTS, Stage

LONG_ENOUGH = 0.5
"""Seconds within which work that does not wait is finished."""


@contextmanager
def outage(stage: Stage, service: Service, failure: Failure = Failure.ERROR) -> Iterator[None]:
    """Make one shared service fail while the context lasts."""
    stage.federation.outages.failures[service] = failure
    try:
        yield
    finally:
        del stage.federation.outages.failures[service]


async def postponed(member: Member, envelope_id: str, reason: str) -> None:
    """Wait until the access point has tried at least once, in vain."""

    async def look() -> bool | None:
        events = await member.transfer_events(envelope_id)
        return True if any(told == reason for _, told in events) else None

    await until(look, f"a transfer is postponed: {reason}")


@pytest.fixture(params=[Service.SMP, Service.SML])
def lookup(request: pytest.FixtureRequest) -> Service:
    """Services that a lookup needs. Each test uses a new peer, so no name is cached."""
    service: Service = request.param
    return service


async def test_a_message_waits_for_its_recipients_key(stage: Stage, lookup: Service) -> None:
    """transport-model-extended 3.3.1 step 3.

    Clauses: architecture-sad 6.1 sentence 3.
    """
    habo, peer = stage.habo, stage.peer()
    with outage(stage, lookup):
        message_id = await habo.send(peer.address)
        await asyncio.sleep(LONG_ENOUGH)
        record = await habo.record(message_id, Direction.OUT)
        assert record is not None
        assert record.status is MessageStatus.SCHEDULED
    await habo.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)


async def waits_for(member: Member, message_id: str, beginning: str) -> str:
    """Return the status event with the reason why a scheduled message waits."""

    async def look() -> str | None:
        record = await member.record(message_id, Direction.OUT)
        assert record is not None
        assert record.status is MessageStatus.SCHEDULED
        told = [event for event in await member.events(message_id) if event.title.startswith(beginning)]
        assert len(told) <= 1, "an outage must be one status event, however often the message is retried"
        assert all(event.status is MessageStatus.SCHEDULED for event in told)
        return told[0].title if told else None

    return await until(look, f"the sender reads: {beginning}")


async def test_operator_common_rules_4_1_2_a_a_waiting_sender_reads_which_service_is_down_and_since_when(
    stage: Stage, lookup: Service
) -> None:
    """The reason is in the events of interface D, once, and in the organisation's log.

    Clauses: component-accesspoint 3.2.3 c.
    """
    habo, peer = stage.habo, stage.peer()
    began = datetime.now(UTC)
    with outage(stage, lookup):
        message_id = await habo.send(peer.address)
        title = await waits_for(habo, message_id, f"{lookup.upper()} cannot be reached since ")
        since = datetime.fromisoformat(title.rpartition(" since ")[2])
        assert timedelta(seconds=-1) <= since - began <= timedelta(seconds=60)
        await asyncio.sleep(LONG_ENOUGH)
        assert await waits_for(habo, message_id, f"{lookup.upper()} cannot be reached since ") == title
        (held,) = [one for one in await habo.log(MT, message_id) if one.event == MTEvent.MT_MESSAGE_HELD]
        assert lookup.upper() in held.ids["reason"]
    await habo.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)


async def test_operator_common_rules_4_1_2_a_a_waiting_sender_reads_that_revocation_cannot_be_checked(
    stage: Stage,
) -> None:
    """The responder of the organisations' issuer does not answer, and no answer of it is cached."""
    habo, peer = stage.habo, stage.peer()
    with outage(stage, Service.RESPONDER):
        message_id = await habo.send(peer.address)
        await waits_for(habo, message_id, "The revocation service cannot be reached since ")
    await habo.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)


async def test_operator_common_rules_4_1_2_a_a_sender_reads_that_the_address_book_was_not_asked(
    stage: Stage,
) -> None:
    """The message is sent all the same; its recipient checks the address."""
    habo, peer = stage.habo, stage.peer()
    book = habo.operator.messages.address_book
    habo.operator.messages.address_book = Deaf(book.copy)
    try:
        message_id = await habo.send(peer.address)
    finally:
        habo.operator.messages.address_book = book
    first, *_ = await habo.events(message_id)
    assert first.title.startswith("The address book could not be reached at ")
    await habo.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)


@dataclass(frozen=True)
class Deaf:
    """An unreachable address book, whose copy lacks new addresses."""

    copy: AddressBookCopy | None

    async def listing(self, organisation: ParticipantIdentifier, address: str) -> Listing:
        return Listing.NOT_KNOWN


async def test_component_accesspoint_3_2_3_a_a_transfer_waits_for_its_address(
    stage: Stage, lookup: Service
) -> None:
    """Clauses: architecture-sad 6.1 sentence 3; component-accesspoint 3.2.3 a."""
    habo, peer = stage.habo, stage.peer()
    envelope = await habo.encloses(peer.address, peer.encryption)
    with outage(stage, lookup):
        await habo.submit(envelope)
        await postponed(habo, envelope.id, "discovery-unavailable")
    await habo.reaches(envelope.id, MessageStatus.WAITING_FOR_RECEIPT)
    resent = [event.title for event in await habo.events(envelope.id)]
    assert "Transfer will be tried again: discovery-unavailable" in resent


async def test_component_accesspoint_3_2_3_c_the_sender_is_told_at_last(
    stage: Stage, lookup: Service
) -> None:
    """Clauses: component-accesspoint 3.2.3 c."""
    habo, peer = stage.habo, stage.peer()
    envelope = await habo.encloses(peer.address, peer.encryption)
    with outage(stage, lookup):
        await habo.submit(envelope)
        told = await habo.failure(envelope.id)
    assert told.startswith("Transfer failed: discovery-unavailable")
    events = await habo.transfer_events(envelope.id)
    assert len(events) == ATTEMPTS
    assert not peer.received


async def test_an_incoming_message_waits_for_its_senders_certificate(stage: Stage, lookup: Service) -> None:
    """3.3.1 step 16: it stays at the access point, and is answered once it can be judged."""
    agency, peer = stage.agency, stage.peer()
    envelope = peer.encloses(agency)
    with outage(stage, lookup):
        posted = await peer.posts(envelope, agency)
        assert posted.is_receipt_of(agency.certificate)
        await still_waits(agency, envelope.id)
    (receipt,) = await peer.message_receipts(envelope.id)
    assert not receipt.findings
    assert await agency.ends(envelope.id, Direction.IN) is MessageStatus.NEW


async def still_waits(member: Member, envelope_id: str) -> None:
    """Check that the envelope still waits after the message service has had time to fetch it."""
    await asyncio.sleep(LONG_ENOUGH)
    async with member.open(AP) as vault:
        items = {item.envelope_id for item in await vault.inbox(100)}
    assert envelope_id in items
    assert not await member.happened(MT, envelope_id)


async def test_others_do_not_wait_for_what_waits(stage: Stage) -> None:
    """A message whose sender cannot be looked up does not block any other."""
    habo, agency, peer = stage.habo, stage.agency, stage.peer()
    organisation = peer.address.organisation
    services = stage.federation.smp.services(organisation)
    stage.federation.smp.publish(organisation, RECEIPT_EXTENDED, b"<nothing/>")
    held = peer.encloses(agency)
    await peer.posts(held, agency)
    message_id = await habo.send(agency.address)
    assert await habo.ends(message_id) is MessageStatus.ACCEPTED
    await still_waits(agency, held.id)
    stage.federation.smp.put(services)
    (receipt,) = await peer.message_receipts(held.id)
    assert not receipt.findings


# --- CRL and OCSP -----------------------------------------------------------------------------------------


async def test_2_10_b_a_transfer_waits_for_word_of_the_peers_revocation(stage: Stage) -> None:
    habo, peer = stage.habo, stage.peer()
    envelope = await habo.encloses(peer.address, peer.encryption)
    with outage(stage, Service.RESPONDER):
        await habo.submit(envelope)
        await postponed(habo, envelope.id, "peer-untrusted")
        assert not peer.received
    await habo.reaches(envelope.id, MessageStatus.WAITING_FOR_RECEIPT)


async def test_2_10_d_a_sender_of_whom_nothing_is_known_is_asked_to_come_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither accepted nor refused: the answer is 503, the operator gets a log line, and a retry succeeds.

    Clauses: transport-profile-as4 2.10 d.
    """
    caplog.set_level(logging.INFO, "samdrift")
    agency, peer = stage.agency, stage.peer()
    envelope = peer.encloses(agency)
    message_id, packed = peer.packs(envelope, agency)
    with outage(stage, Service.RESPONDER):
        posted = await peer.repeats(message_id, packed, agency)
        assert posted.answer.status == 503
        assert not await agency.log(AP, message_id)
    (line,) = [each for each in caplog.records if "asked the caller to retry later" in each.getMessage()]
    why = "PeerUndecided: certificate of the sending access point: revocation-unknown"
    assert (line.levelname, line.getMessage()) == (
        "INFO",
        f"interface A asked the caller to retry later: {why}",
    )

    async def again() -> bool | None:
        posted = await peer.repeats(message_id, packed, agency)
        return posted.is_receipt_of(agency.certificate) if posted.answer.status == 200 else None

    assert await until(again, "the message is taken")
    (receipt,) = await peer.message_receipts(envelope.id)
    assert not receipt.findings


async def test_xhe_3_5_a_a_message_waits_for_word_of_its_signers_revocation(stage: Stage) -> None:
    agency, peer = stage.agency, stage.peer()
    await peer.posts(peer.encloses(agency), agency)  # caches the revocation answer for the access point
    renewed = stage.renewed(peer)
    with outage(stage, Service.RESPONDER):
        await renewed.posts(envelope := renewed.encloses(agency), agency)
        await still_waits(agency, envelope.id)
    receipts = await renewed.message_receipts(envelope.id)
    assert not receipts[0].findings


async def test_a_known_verdict_outlasts_a_short_outage(stage: Stage) -> None:
    habo, agency = stage.habo, stage.agency
    assert await habo.ends(await habo.send(agency.address)) is MessageStatus.ACCEPTED
    with outage(stage, Service.RESPONDER):
        assert await habo.ends(await habo.send(agency.address)) is MessageStatus.ACCEPTED


async def test_base_model_a_message_waits_for_word_of_its_own_sender(stage: Stage) -> None:
    """transport-model-base 3.2 b: the message service looks the sender up before it submits the message."""
    habo, mullsjo = stage.habo, stage.mullsjo
    with outage(stage, Service.SMP):
        message_id = await habo.send(mullsjo.address, document=SDK_MESSAGE_BASE)
        await asyncio.sleep(LONG_ENOUGH)
        assert not await habo.transfer_events(message_id)
    assert await habo.ends(message_id) is MessageStatus.ACCEPTED
