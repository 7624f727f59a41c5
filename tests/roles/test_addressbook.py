"""Addresses of messages are checked against the address book (architecture-sad 5.4, 5.3.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.federation.server import Service
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.service import MessageInvalid
from samdrift.wire.addressbook import Query
from samdrift.wire.codes import Detail, Reason
from tests.roles.letters import letter
from tests.roles.member import MT, until
from tests.roles.stage import Stage
from tests.roles.test_outages import outage

ADDRESS = "/messagePayload/message/messageHeader/recipient/attention/subOrganization/organizationId"


async def test_an_address_that_is_not_in_the_address_book_is_not_written_to(stage: Stage) -> None:
    """Clauses: architecture-sad 5.4 step 1b."""
    agency = stage.agency
    message = letter(agency.address, replace(stage.habo.address, functional_address="sdk.ingen"))
    with pytest.raises(MessageInvalid) as refused:
        await agency.operator.messages.send(agency.principal, agency.organisation, message)
    ((reason, detail, path),) = [(one.reason, one.detail, one.path) for one in refused.value.findings]
    assert (reason, detail, path) == (Reason.RULE, Detail.NOT_FOUND, ADDRESS)
    assert await agency.record(message.message_id, Direction.OUT) is None


async def test_an_address_of_another_organisation_is_not_the_recipients(stage: Stage) -> None:
    mixed = replace(stage.habo.address, functional_address=stage.mullsjo.address.functional_address)
    with pytest.raises(MessageInvalid):
        await stage.agency.send(mixed)


async def test_an_address_that_is_newer_than_the_copy_is_written_to(stage: Stage) -> None:
    peer = stage.peer()
    await stage.agency.reaches(await stage.agency.send(peer.address), MessageStatus.WAITING_FOR_RECEIPT)


async def test_while_the_address_book_is_down_the_recipient_decides(stage: Stage) -> None:
    agency = stage.agency
    with outage(stage, Service.ADDRESS_BOOK):
        known = await agency.send(stage.habo.address)
        unknown = await agency.send(replace(stage.habo.address, functional_address="sdk.ingen"))
        assert await agency.ends(known) is MessageStatus.ACCEPTED
        assert await agency.rejections(unknown) == [("BV not-found", ADDRESS)]


async def test_a_sender_that_is_not_in_the_copy_is_noted_and_heard(stage: Stage) -> None:
    """Clauses: architecture-sad 5.3.6.2 step 6, 5.4 step 1b."""
    agency = stage.agency
    peer = stage.peer()
    message = letter(replace(peer.address, functional_address="sdk.okand"), agency.address)
    await peer.posts(peer.seals(message, agency), agency)
    (receipt,) = await peer.message_receipts(message.message_id)
    assert not receipt.findings
    await agency.logged(MT, message.message_id, MTEvent.MT_SENDER_NOT_LISTED)
    listed = await stage.habo.send(agency.address)
    assert await stage.habo.ends(listed) is MessageStatus.ACCEPTED
    assert MTEvent.MT_SENDER_NOT_LISTED not in await agency.happened(MT, listed)


async def test_clients_search_in_the_copy_whose_age_is_known(stage: Stage) -> None:
    """Clauses: architecture-sad 5.3.6.2 step 1, 5.4 step 1."""
    book = stage.agency.operator.messages.address_book

    async def copied() -> bool | None:
        return True if book.copy is not None else None

    await until(copied, "there is a copy")
    with outage(stage, Service.ADDRESS_BOOK):
        assert book.copy is not None
        (found,) = book.copy.search(Query("habo socialtjänst"))
        assert found.identifier == stage.habo.address.functional_address
        assert book.copy.taken_at.tzinfo is not None
