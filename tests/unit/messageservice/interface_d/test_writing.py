"""The representation of a message: in the contract's shape, with its events, the latest first."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.attributes import attributes
from samdrift.messageservice.interface_d.application import _listed as listed
from samdrift.messageservice.interface_d.mailboxes import Listing
from samdrift.messageservice.interface_d.writing import resource
from samdrift.vault.records import MessageRecord, StatusEvent
from tests.unit.wire.sdkmessage.samples import FULL
from tests.vaults import MINUTE, NOW, message


def shown(record: MessageRecord, *events: StatusEvent) -> Any:
    return json.loads(resource(record, events))["attributes"]


def test_a_message_says_what_it_says_of_itself() -> None:
    said = shown(replace(message(), attributes=attributes(FULL)))
    assert said["label"] == FULL.label
    assert said["creationDateTime"] == FULL.created
    assert said["recipient"] == FULL.recipient.id.extension
    assert FULL.recipient.attention is not None
    address = said["recipientAttention"]["subOrganization"]["extension"]
    assert address == FULL.recipient.attention.sub_organisation.extension
    assert said["messageStatus"] == "SCHEDULED"
    assert "digitalDocument" not in said


async def test_a_list_is_json_where_the_rest_was_deleted_while_it_was_read() -> None:
    """A client reads a list in batches, and another one deletes the last message in between."""

    async def others() -> AsyncIterator[Listing]:
        yield ((message(), ()),), False
        yield (), False

    pieces = [piece async for piece in listed({}, (((message(), ()),), False), others())]
    (opened, *_, closed) = pieces
    assert (opened[-1], closed) == ("[", "]}")
    assert not [piece for piece in pieces if piece.endswith(",")]
    assert len(json.loads("".join(pieces))["data"]) == 2


def test_a_message_of_which_only_facts_were_kept_says_those() -> None:
    record = replace(message(), attributes="", label='"å"')
    said = shown(record)
    assert (said["messageId"], said["label"], said["sender"]) == (record.id, '"å"', record.sender.value)
    assert said["creationDateTime"] == "2026-03-02T12:00:00.000Z"
    assert said["senderAttention"]["subOrganization"]["extension"] == record.sender_address


def test_what_happened_is_told_the_latest_first_down_to_the_beginning() -> None:
    """api-mt-mk, Mappning Kvittens och Event; a receipt's finding has its own codes.

    Clauses: api-mt-mk message sentence 14, event sentence 1.
    """
    record = replace(message(), status=MessageStatus.MESSAGE_EXCHANGE_ERROR)
    events = shown(
        record,
        StatusEvent(NOW + 2 * MINUTE, MessageStatus.MESSAGE_EXCHANGE_ERROR, "Rejected by the recipient"),
        StatusEvent(NOW + 2 * MINUTE, MessageStatus.REJECTED, "BV not-found", "Unknown", "/a/b"),
        StatusEvent(NOW + 2 * MINUTE, MessageStatus.REJECTED, "SIG ", "", "NA"),
        StatusEvent(NOW + MINUTE, MessageStatus.SUBMITTED, "Handed over"),
    )["events"]
    assert (events["title"], events["detail"], events["instance"]) == (
        "MESSAGE_EXCHANGE_ERROR",
        "MESSAGE_EXCHANGE_ERROR",
        f"urn:uuid:{record.id}",
    )
    told = [(one["typeCode"], one["title"], one["detail"], one["in"]) for one in events["eventIssues"]]
    assert told == [
        ("MESSAGE_EXCHANGE_ERROR", "Rejected by the recipient", "NA", "NA"),
        ("BV", "not-found", "Unknown", "/a/b"),
        ("SIG", "NA", "NA", "NA"),
        ("SUBMITTED", "Handed over", "NA", "NA"),
        ("SCHEDULED", "Message scheduled for sending", "NA", "NA"),
    ]
    times = [one["dateTime"] for one in events["eventIssues"]]
    assert times == sorted(times, reverse=True)
    assert times[-1] == "2026-03-02T12:00:00.000Z"


@pytest.mark.parametrize(("direction", "first"), [(Direction.OUT, "SCHEDULED"), (Direction.IN, "RETRIEVED")])
def test_every_life_has_a_beginning(direction: Direction, first: str) -> None:
    (only,) = shown(message(direction))["events"]["eventIssues"]
    assert only["typeCode"] == first
