"""DIGG's test cases for approval (accesspoint-test-cases 4 to 6), each with the expected observation.

Also included are the cases that DIGG has announced (accesspoint-test-cases 7, 7.1). All are run the
same way, one after the other, and the lines of :func:`run` are the test report.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from samdrift.contracts.transfer import TransferEvent, TransferReason, TransferState
from samdrift.federation.testbed.bed import PATIENCE, QUIET, Bed
from samdrift.federation.testbed.envelopes import Envelope
from samdrift.federation.testbed.observer import Arrived
from samdrift.wire.as4 import new_message_id
from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.identifiers import SDK_MESSAGE_BASE, SDK_MESSAGE_EXTENDED, DocumentIdentifier

_MODELS = {"base": SDK_MESSAGE_BASE, "extended": SDK_MESSAGE_EXTENDED}

_LARGE = 38 << 20
"""Size of an attachment in bytes that, base64-encoded twice, makes an envelope of more than 70 MB."""

_RECEIPT_BACK = "delivered; message receipt ACCEPTED comes in; in both transport models"
_WHOLE = "transport receipt; the envelope arrives whole; the message receipt is returned"
_REFUSED = "nothing arrives; the event log says why"
_MANY = 20
_UNKNOWN = DocumentIdentifier("urn:example:unknown::document##1.0::tm-base-ext-sigenc")
_TAKEN_NOWHERE = "EBMS:0004 NOT_SERVICED; nothing arrives"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The observation in a test case, and whether it is as expected."""

    passed: bool
    seen: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One test case: its description, the expected result, and the function that runs it."""

    id: str
    title: str
    expected: str
    run: Callable[[Bed], Awaitable[Outcome]]


async def _tf_01(bed: Bed) -> Outcome:
    seen, passed = [], True
    for name, document in _MODELS.items():
        point = bed.points["TestAP-01"]
        envelope = await bed.submit(point, document)
        event = await bed.outcome(envelope)
        answered = await bed.observer.receipt_for(envelope.header.id, PATIENCE)
        passed = passed and delivered(event) and answered is ReceiptStatus.ACCEPTED
        seen.append(f"{name}: {words(event)}, message receipt {answered}")
    return Outcome(passed, "; ".join(seen))


async def _tf_02(bed: Bed) -> Outcome:
    return await not_sent(bed, "TestAP-03", TransferReason.PEER_UNTRUSTED)


async def _tf_03(bed: Bed) -> Outcome:
    point = bed.points["TestAP-05"]
    envelope = bed.message_from(point)
    sent = await point.send(bed.subject, envelope)
    arrived = await bed.arrived(envelope, QUIET)
    passed = not sent.receipt and sent.answer.startswith("EBMS:") and not arrived
    return Outcome(passed, f"{sent.answer}; {nothing(arrived)}", await bed.said(sent))


async def _tf_04(bed: Bed) -> Outcome:
    seen, passed = [], True
    for name, document in _MODELS.items():
        outcome = await received(bed, bed.message_from(bed.points["TestAP-01"], document))
        passed = passed and outcome.passed
        seen.append(f"{name}: {outcome.seen}")
    return Outcome(passed, "; ".join(seen))


async def _tf_05(bed: Bed) -> Outcome:
    return await not_sent(bed, "TestAP-04", TransferReason.PEER_UNREACHABLE)


async def _tf_06(bed: Bed) -> Outcome:
    return await received(bed, bed.message_from(bed.points["TestAP-01"]))


async def _tf_07(bed: Bed) -> Outcome:
    return await received(
        bed, bed.message_from(bed.points["TestAP-01"], SDK_MESSAGE_BASE, handling_service=False)
    )


async def _tf_08(bed: Bed) -> Outcome:
    envelope = bed.message_from(bed.points["TestAP-01"], attachment=_LARGE)
    outcome = await received(bed, envelope)
    return Outcome(outcome.passed, f"{len(envelope.data)} bytes: {outcome.seen}", outcome.evidence)


async def _tf_09(bed: Bed) -> Outcome:
    envelope = bed.message_from(bed.points["TestAP-01"])
    broken = envelope.broken(lambda data: data.replace(b"edelivery:xhe:1<", b"edelivery:xhe:9<", 1))
    return await _refused_with_reason(bed, broken)


async def _tf_10(bed: Bed) -> Outcome:
    """Send a message that AS4 addresses to the participant under test, and the envelope to another."""
    point = bed.points["TestAP-01"]
    envelope = bed.message_from(point)
    recipient = envelope.header.recipient.value
    other = envelope.broken(
        lambda data: data.replace(f">{recipient}<".encode(), b">0203:annan.example.se<", 1)
    )
    return await _refused_with_reason(bed, other)


async def received(bed: Bed, envelope: Envelope) -> Outcome:
    """Check that a message arrives intact, and that the participant's receipt is returned."""
    point = bed.points["TestAP-01"]
    sent = await point.send(bed.subject, envelope)
    arrived = await bed.arrived(envelope)
    if not (sent.receipt and len(arrived) == 1):
        return Outcome(False, f"{sent.answer}; arrived {len(arrived)} times", await bed.said(sent))
    receipt = await bed.answered(point, envelope)
    status = receipt.status if receipt else None
    return Outcome(
        status is ReceiptStatus.ACCEPTED, f"{sent.answer}; arrived whole; message receipt {status} returned"
    )


async def _refused_with_reason(bed: Bed, envelope: Envelope) -> Outcome:
    """Check that an envelope is logged with the reason and deleted, which the answer does not reveal.

    See transport-profile-as4 2.9.
    """
    sent = await bed.points["TestAP-01"].send(bed.subject, envelope)
    arrived = await bed.arrived(envelope, QUIET)
    reason = await bed.said(sent)
    passed = not arrived and "ap:envelope:refused" in reason
    return Outcome(passed, f"{sent.answer}; {nothing(arrived)}", reason)


async def not_sent(bed: Bed, point: str, reason: TransferReason) -> Outcome:
    """Check that a transfer fails for ``reason``, and that its sender is notified.

    See component-accesspoint 3.2.5 b.
    """
    envelope = await bed.submit(bed.points[point])
    event = await bed.outcome(envelope)
    failed = event is not None and event.state is TransferState.FAILED and event.reason is reason
    reached = envelope.header.id in bed.points[point].inbox.messages
    return Outcome(failed and not reached, words(event), await bed.said(envelope.header.id))


def delivered(event: TransferEvent | None) -> bool:
    return event is not None and event.state is TransferState.DELIVERED


def words(event: TransferEvent | None) -> str:
    if event is None:
        return "nothing was told"
    return (
        f"{event.state} {'' if event.reason is TransferReason.NONE else event.reason} {event.detail}".strip()
    )


def nothing(arrived: list[Arrived]) -> str:
    return f"arrived {len(arrived)} times" if arrived else "nothing arrived"


CASES = (
    Case("TF-01", "Send a message and take its message receipt", _RECEIPT_BACK, _tf_01),
    Case("TF-02", "Send to a revoked certificate", "not sent; fails for the revoked certificate", _tf_02),
    Case("TF-03", "Receive from another environment", "an error; nothing arrives", _tf_03),
    Case("TF-04", "Receive a message and return its receipt", f"{_WHOLE}; in both transport models", _tf_04),
    Case("TF-05", "Send to an unreachable access point", "fails when the attempts are used up", _tf_05),
    Case("TF-06", "Receive an envelope with every field", _WHOLE, _tf_06),
    Case("TF-07", "Receive an envelope with the fewest fields", _WHOLE, _tf_07),
    Case("TF-08", "Receive at least 70 MB", _WHOLE, _tf_08),
    Case("TF-09", "Receive a malformed envelope", _REFUSED, _tf_09),
    Case("TF-10", "Receive an envelope that contradicts its metadata", _REFUSED, _tf_10),
)


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
    """Send the same AS4 message again, as if the first receipt had been lost."""
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
    """Send to a recipient that is registered, but not for that type of message."""
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
    """Send messages with timestamps of a day ago, and of an hour from now (tidsstämpelkontroll)."""
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


ANNOUNCED = (
    Case("many-in", "Receive many messages simultaneously", "every one arrives once", _many_in),
    Case("many-out", "Send many messages simultaneously", "every one is delivered", _many_out),
    Case("other-federation", "Send to another federation's access point", "not sent", _other_federation),
    Case("expired", "Send to an expired certificate", "not sent", _expired),
    Case("redelivery", "Receive a message again", "the same receipt; arrived once", _redelivery),
    Case("type-there", "Send a type that the recipient does not take", "not sent", _type_not_taken_there),
    Case("type-here", "Receive a type that is not taken here", _TAKEN_NOWHERE, _type_not_taken_here),
    Case("timestamp", "Receive a message that is stale", "an error; nothing arrives", _stale),
    Case("not-served", "Receive for one not served here", _TAKEN_NOWHERE, _recipient_not_served),
)

ALL = (*CASES, *ANNOUNCED)


@dataclass(frozen=True, slots=True)
class Line:
    """One case in the test report, with its outcome."""

    case: Case
    outcome: Outcome


async def run(bed: Bed, cases: tuple[Case, ...] = ALL) -> AsyncIterator[Line]:
    """Run each case and yield its outcome; one that raises an exception has failed, which is reported."""
    for case in cases:
        try:
            outcome = await case.run(bed)
        except Exception as error:
            outcome = Outcome(False, f"broke off: {type(error).__name__}")
        yield Line(case, outcome)
