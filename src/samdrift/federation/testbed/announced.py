"""Cases that DIGG has announced (accesspoint-test-cases 7, 7.1), run the same way."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

from samdrift.contracts.transfer import TransferReason
from samdrift.federation.testbed.bed import QUIET, Bed
from samdrift.federation.testbed.cases import Case, Outcome, delivered, not_sent, nothing, words
from samdrift.wire.as4 import new_message_id
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED, DocumentIdentifier

_MANY = 20
_UNKNOWN = DocumentIdentifier("urn:example:unknown::document##1.0::tm-base-ext-sigenc")


async def _many_in(bed: Bed) -> Outcome:
    point = bed.points["TestAP-01"]
    sent = [bed.message_from(point) for _ in range(_MANY)]
    answers = await asyncio.gather(*(point.send(bed.subject, one) for one in sent))
    arrived = [await bed.arrived(one) for one in sent]
    receipts = sum(answer.receipt for answer in answers)
    once = sum(len(one) == 1 for one in arrived)
    return Outcome(receipts == once == _MANY, f"{receipts} receipts, {once} arrived once, of {_MANY}")


async def _many_out(bed: Bed) -> Outcome:
    point = bed.points["TestAP-01"]
    sent = await asyncio.gather(*(bed.submit(point) for _ in range(_MANY)))
    events = [await bed.outcome(one) for one in sent]
    taken = sum(one.header.id in point.inbox.messages for one in sent)
    done = sum(delivered(event) for event in events)
    return Outcome(done == taken == _MANY, f"{done} delivered, {taken} arrived, of {_MANY}")


async def _other_federation(bed: Bed) -> Outcome:
    return await not_sent(bed, "TestAP-OtherFederation", TransferReason.PEER_UNTRUSTED)


async def _expired(bed: Bed) -> Outcome:
    return await not_sent(bed, "TestAP-Expired", TransferReason.PEER_UNTRUSTED)


async def _redelivery(bed: Bed) -> Outcome:
    """The first receipt was lost: the same AS4 message comes again."""
    point = bed.points["TestAP-01"]
    envelope = bed.message_from(point)
    message_id = new_message_id(os.urandom, "testbed.samdrift.test")
    packed = point.pack(bed.subject, envelope, message_id=message_id)
    first = await point.resend(bed.subject, packed, message_id)
    again = await point.resend(bed.subject, packed, message_id)
    await asyncio.sleep(QUIET)
    arrived = await bed.arrived(envelope)
    same = first.receipt and first.body == again.body
    return Outcome(
        same and len(arrived) == 1,
        f"{'the same receipt again' if same else again.answer}; arrived {len(arrived)} times",
    )


async def _type_not_taken_there(bed: Bed) -> Outcome:
    """A recipient that is registered, but not for that type of message."""
    point = bed.points["TestAP-BaseOnly"]
    envelope = await bed.submit(point, SDK_MESSAGE_EXTENDED)
    event = await bed.outcome(envelope)
    refused = event is not None and event.reason is TransferReason.RECIPIENT_NOT_REGISTERED
    return Outcome(refused, words(event), await bed.said(envelope.header.id))


async def _type_not_taken_here(bed: Bed) -> Outcome:
    point = bed.points["TestAP-01"]
    envelope = bed.message_from(point)
    sent = await point.send(bed.subject, envelope, action=_UNKNOWN.action)
    arrived = await bed.arrived(envelope, QUIET)
    passed = sent.answer == "EBMS:0004 NOT_SERVICED" and not arrived
    return Outcome(passed, f"{sent.answer}; {nothing(arrived)}")


async def _recipient_not_served(bed: Bed) -> Outcome:
    point = bed.points["TestAP-01"]
    envelope = bed.message_from(point)
    sent = await point.send(bed.subject, envelope, final_recipient="0203:okand.example.se")
    arrived = await bed.arrived(envelope, QUIET)
    passed = sent.answer == "EBMS:0004 NOT_SERVICED" and not arrived
    return Outcome(passed, f"{sent.answer}; {nothing(arrived)}")


async def _stale(bed: Bed) -> Outcome:
    """Messages that were secured a day ago, or will be in an hour (tidsstämpelkontroll)."""
    point = bed.points["TestAP-01"]
    seen, passed = [], True
    for name, secured in (("expired", -timedelta(days=1)), ("of the future", timedelta(hours=1))):
        envelope = bed.message_from(point)
        message_id = new_message_id(os.urandom, "testbed.samdrift.test")
        packed = point.pack(bed.subject, envelope, secured, message_id=message_id)
        sent = await point.resend(bed.subject, packed, message_id)
        arrived = await bed.arrived(envelope, QUIET)
        passed = passed and sent.answer.startswith("EBMS:0103 ") and not arrived
        seen.append(f"{name}: {sent.answer}; {nothing(arrived)}")
    return Outcome(passed, "; ".join(seen))


_TAKEN_NOWHERE = "EBMS:0004 NOT_SERVICED; nothing arrives"

ANNOUNCED = (
    Case("many-in", "Receive many messages at once", "every one arrives once", _many_in),
    Case("many-out", "Send many messages at once", "every one is delivered", _many_out),
    Case("other-federation", "Send to another federation's access point", "not sent", _other_federation),
    Case("expired", "Send to an expired certificate", "not sent", _expired),
    Case("redelivery", "Receive a message again", "the same receipt; arrived once", _redelivery),
    Case("type-there", "Send a type that the recipient does not take", "not sent", _type_not_taken_there),
    Case("type-here", "Receive a type that is not taken here", _TAKEN_NOWHERE, _type_not_taken_here),
    Case("timestamp", "Receive a message that is stale", "an error; nothing arrives", _stale),
    Case("not-served", "Receive for one not served here", _TAKEN_NOWHERE, _recipient_not_served),
)
