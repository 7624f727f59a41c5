"""Delivery in words: tables with a text for each stage, status and code that a delivery can have.

The texts state what is known and what is not: that an organisation has received a message does not mean that
a person has read it. Codes of a message receipt come as ``reason detail`` in an event's title (api-mt-mk,
Mappning Kvittens och Event).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.transfer import TransferReason
from samdrift.messageclient.mail import FOLLOWED_FOR, Delivery, DeliveryEvent, Stage
from samdrift.web.pages import Wording
from samdrift.web.texts import Phrase
from samdrift.web.views import Kind, Step, StepState, Tag
from samdrift.wire.codes import Detail, Reason

CALL_AFTER = timedelta(minutes=30)
"""Time without a message receipt after which the page advises a call to the recipient."""


@dataclass(frozen=True, slots=True)
class Words:
    """Texts for a state of delivery: a short one for a tag, and a sentence to go with it."""

    short: Phrase
    beside: Phrase
    kind: Kind


_ON_ITS_WAY = Phrase("On its way")
_NOBODY_HAS_IT = Phrase("Nobody there has received it. Correct what is wrong, then send it again.")
_UNKNOWN = Words(
    _ON_ITS_WAY, Phrase("The message service reports a state that is not in the code list."), Kind.PLAIN
)

STAGES: Mapping[Stage, Words] = MappingProxyType(
    {
        Stage.ARRIVED: Words(Phrase("Received"), Phrase("It can be read here."), Kind.PLAIN),
        Stage.UNREADABLE: Words(
            Phrase("Cannot be shown"), Phrase("Its raw data can be downloaded."), Kind.WARNING
        ),
        Stage.WINDOW: Words(Phrase("About to be sent"), Phrase("Sending can still be undone."), Kind.WARNING),
        Stage.OUTBOX: Words(
            Phrase("Waiting to be sent"),
            Phrase(
                "The message service has not accepted it yet. Another attempt will be made automatically."
            ),
            Kind.WARNING,
        ),
        Stage.HANDED_OVER: Words(_ON_ITS_WAY, Phrase("The message service has it."), Kind.PLAIN),
        Stage.REFUSED: Words(
            Phrase("Not sent"),
            Phrase("The message service refused it. Correct it and send it again."),
            Kind.BAD,
        ),
        Stage.NOT_SENT: Words(
            Phrase("Not sent"),
            Phrase("The message service could not be reached in time. Send it again."),
            Kind.BAD,
        ),
    }
)
STATUSES: Mapping[MessageStatus, Words] = MappingProxyType(
    {
        MessageStatus.SCHEDULED: Words(_ON_ITS_WAY, Phrase("It is queued for sending."), Kind.PLAIN),
        MessageStatus.SUBMITTED: Words(
            _ON_ITS_WAY, Phrase("It is encrypted and signed, and will leave shortly."), Kind.PLAIN
        ),
        MessageStatus.SCHEDULED_FOR_RESEND: Words(
            Phrase("Will be tried again"),
            Phrase("The recipient’s system did not answer. Another attempt will be made automatically."),
            Kind.WARNING,
        ),
        MessageStatus.ACKNOWLEDGE: Words(
            Phrase("Arrived, awaiting receipt"),
            Phrase("The recipient’s system has it; the organisation has not confirmed it yet."),
            Kind.PLAIN,
        ),
        MessageStatus.WAITING_FOR_RECEIPT: Words(
            Phrase("Arrived, awaiting receipt"),
            Phrase("The recipient’s system has it; the organisation has not confirmed it yet."),
            Kind.PLAIN,
        ),
        MessageStatus.ACCEPTED: Words(
            Phrase("Received by the organisation at %(time)s"),
            Phrase("This does not mean that anyone has read it."),
            Kind.GOOD,
        ),
        MessageStatus.REJECTED: Words(Phrase("Rejected by the recipient"), _NOBODY_HAS_IT, Kind.BAD),
        MessageStatus.MESSAGE_EXCHANGE_ERROR: Words(
            Phrase("Not delivered"),
            Phrase("There is no sign that the recipient has it. Call the recipient, or send it again."),
            Kind.BAD,
        ),
        MessageStatus.ERROR: Words(
            Phrase("Not delivered"), Phrase("Something went wrong on the way."), Kind.BAD
        ),
        MessageStatus.RETRIEVED: Words(Phrase("Received"), Phrase("It has reached us."), Kind.PLAIN),
        MessageStatus.RECEIPT_SENT: Words(
            Phrase("Receipt sent"), Phrase("The sender knows that it has arrived."), Kind.GOOD
        ),
        MessageStatus.NEW: Words(Phrase("Received"), Phrase("It can be read here."), Kind.GOOD),
    }
)
OVERDUE = Words(
    Phrase("No receipt for 30 minutes"),
    Phrase("Call the recipient if it is urgent. The system goes on waiting."),
    Kind.WARNING,
)
GIVEN_UP = Words(
    Phrase("No receipt came"),
    Phrase(
        "There is no sign that the organisation has it, and the system has stopped waiting. Call the "
        "recipient."
    ),
    Kind.BAD,
)
LATE = Words(
    Phrase("Not sent in time"),
    Phrase(
        "The message service could not be reached, and no more attempts will be made. Once the service "
        "answers, it will show whether the message arrived after all. Call the recipient if it is urgent."
    ),
    Kind.BAD,
)
"""Texts for a message whose deadline passed while the message service was away: its fate is unknown."""
REJECTIONS: Mapping[Detail, Phrase] = MappingProxyType(
    {
        Detail.STRUCTURE: Phrase("Rejected: the message is not structured as the rules require"),
        Detail.FORBIDDEN: Phrase("Rejected: malicious code was found in it"),
        Detail.TOO_LONG: Phrase("Rejected: the message is larger than 30 MB"),
        Detail.INVARIANT: Phrase("Rejected: a field breaks a rule"),
        Detail.DUPLICATE: Phrase("Rejected: a message with the same number has come before"),
        Detail.NOT_SUPPORTED: Phrase("Rejected: the file type is not accepted"),
        Detail.NOT_FOUND: Phrase("Rejected: the recipient does not have that address"),
        Detail.SECURITY: Phrase("Rejected: the sender could not be verified"),
    }
)
"""Texts for the detail codes of a rejection (content-specification 5.3)."""
REASONS: Mapping[Reason, Phrase] = MappingProxyType(
    {
        Reason.SCHEMA: Phrase("Rejected: the message is not structured as the rules require"),
        Reason.RULE: Phrase("Rejected: the message breaks a rule"),
        Reason.SIGNATURE: Phrase("Rejected: the signature could not be verified"),
    }
)
"""Texts for reason codes, used when the detail code is not a known one (message-receipt 4.2)."""
TRANSFERS: Mapping[TransferReason, Phrase] = MappingProxyType(
    {
        TransferReason.NONE: Phrase("The transfer failed"),
        TransferReason.RECIPIENT_NOT_REGISTERED: Phrase("The recipient is not registered in the federation"),
        TransferReason.SENDER_NOT_REGISTERED: Phrase("Our organisation is not registered in the federation"),
        TransferReason.DISCOVERY_UNAVAILABLE: Phrase("The federation’s register does not answer"),
        TransferReason.DISCOVERY_UNTRUSTED: Phrase("The federation’s register could not be verified"),
        TransferReason.PEER_UNTRUSTED: Phrase("The recipient’s system could not be verified"),
        TransferReason.PEER_UNREACHABLE: Phrase("The recipient’s system does not answer"),
        TransferReason.PEER_REFUSED: Phrase("The recipient’s system refused the message"),
        TransferReason.RECEIPT_INVALID: Phrase("The receipt of the recipient’s system is not valid"),
        TransferReason.NOT_SERVICED: Phrase("The recipient’s system does not serve the recipient"),
        TransferReason.ENVELOPE_INVALID: Phrase("The sealed message was not accepted"),
        TransferReason.NOT_COVERED: Phrase(
            "No agreement covers new messages. Two of the organisation’s officers can extend it"
        ),
        TransferReason.GIVEN_UP: Phrase("All attempts to deliver it have failed"),
    }
)

NOT_COVERED = TRANSFERS[TransferReason.NOT_COVERED]


def words(delivery: Delivery, wording: Wording) -> tuple[Tag, str]:
    """Return the state of a delivery as a tag and a sentence to go with it."""
    found = _words(delivery, wording)
    time = wording.formats.longer(delivery.since)
    short, beside = wording.text(Phrase(found.short.text, {"time": time})), wording.text(found.beside)
    rejected = _rejection(delivery.events)
    if found.kind is Kind.BAD and rejected is not None:
        short, beside = wording.text(rejected), wording.text(_NOBODY_HAS_IT)
    if delivery.reason and delivery.stage in (Stage.REFUSED, Stage.NOT_SENT):
        why = _reason_in(delivery.reason)
        if why is NOT_COVERED:
            return Tag(short, found.kind), f"{wording.text(why)}."
        beside = f"{beside} ({delivery.reason})" if why is None else f"{wording.text(why)}. {beside}"
    return Tag(short, found.kind), beside


def reported(delivery: Delivery) -> str:
    """Return the message service's own reason for a refusal if a translated text is shown instead."""
    refused = delivery.stage in (Stage.REFUSED, Stage.NOT_SENT)
    return delivery.reason if refused and _reason_in(delivery.reason) else ""


def _words(delivery: Delivery, wording: Wording) -> Words:
    over = delivery.until is not None and wording.formats.now >= delivery.until
    if delivery.stage is Stage.WINDOW and over:
        return STAGES[Stage.OUTBOX]
    if delivery.stage is Stage.OUTBOX and over:
        return LATE
    if delivery.stage is not Stage.HANDED_OVER:
        return STAGES[delivery.stage]
    if delivery.status is None:
        return _UNKNOWN
    waits = delivery.status in (MessageStatus.WAITING_FOR_RECEIPT, MessageStatus.ACKNOWLEDGE)
    if waits and wording.formats.now - delivery.since >= FOLLOWED_FOR:
        return GIVEN_UP
    if waits and wording.formats.now - delivery.since >= CALL_AFTER:
        return OVERDUE
    return STATUSES[delivery.status]


def _rejection(events: tuple[DeliveryEvent, ...]) -> Phrase | None:
    for event in reversed(events):
        if event.status is MessageStatus.REJECTED:
            return _codes(event.title)
    return None


def _codes(title: str) -> Phrase:
    """Return the text for the codes of a receipt, in whatever order another supplier writes them."""
    return _words_of(title.split()) or STATUSES[MessageStatus.REJECTED].short


def _reason_in(reported: str) -> Phrase | None:
    """Return the text for the first known code in a message service's refusal, if there is one."""
    return _words_of(re.findall(r"[\w-]+", reported))


def _words_of(parts: Sequence[str]) -> Phrase | None:
    if TransferReason.NOT_COVERED.value in parts:
        return NOT_COVERED
    for detail in Detail:
        if detail.value in parts:
            return REJECTIONS[detail]
    for reason in Reason:
        if reason.value in parts:
            return REASONS[reason]
    return None


def event_words(event: DeliveryEvent) -> Phrase:
    """Return the text for a step of a delivery; an unknown step is shown as it was reported."""
    if event.status is MessageStatus.REJECTED:
        return _codes(event.title)
    for reason in TransferReason:
        if reason is not TransferReason.NONE and event.title.endswith(f": {reason.value}"):
            return TRANSFERS[reason]
    if event.status is None:
        return Phrase("%(title)s", {"title": event.title or event.code})
    return STEPS[event.status]


STEPS: Mapping[MessageStatus, Phrase] = MappingProxyType(
    {
        MessageStatus.SCHEDULED: Phrase("Accepted by the message service"),
        MessageStatus.SUBMITTED: Phrase("Encrypted and signed"),
        MessageStatus.SCHEDULED_FOR_RESEND: Phrase("Tried again"),
        MessageStatus.ACKNOWLEDGE: Phrase("Arrived at the recipient’s system"),
        MessageStatus.WAITING_FOR_RECEIPT: Phrase("Awaiting the organisation’s receipt"),
        MessageStatus.ACCEPTED: Phrase("Receipt from the organisation"),
        MessageStatus.REJECTED: Phrase("Rejected by the recipient"),
        MessageStatus.MESSAGE_EXCHANGE_ERROR: Phrase("Not delivered"),
        MessageStatus.ERROR: Phrase("Something went wrong on the way"),
        MessageStatus.RETRIEVED: Phrase("Came in"),
        MessageStatus.RECEIPT_SENT: Phrase("Receipt sent to the sender"),
        MessageStatus.NEW: Phrase("Ready to be fetched"),
    }
)
_PICTURE = (
    (Phrase("Accepted by the message service"), frozenset({MessageStatus.SCHEDULED})),
    (Phrase("Encrypted and signed"), frozenset({MessageStatus.SUBMITTED})),
    (
        Phrase("Arrived at the recipient’s system"),
        frozenset({MessageStatus.ACKNOWLEDGE, MessageStatus.WAITING_FOR_RECEIPT}),
    ),
    (Phrase("Receipt from the organisation"), frozenset({MessageStatus.ACCEPTED})),
)
"""Steps of a successful delivery, each with the statuses that prove it."""


_ORDER = {status: place for place, status in enumerate(STEPS)}


def in_order(event: DeliveryEvent) -> tuple[datetime, int]:
    """Return a sort key for an event; events of the same second are in the order of normal delivery."""
    return event.at.replace(microsecond=0), _ORDER.get(event.status, 0) if event.status else 0


def picture(delivery: Delivery, written: Step, wording: Wording) -> tuple[Step, ...]:
    """Return the steps of a delivery for the progress picture: done, failed, and still to come.

    A message service may report only some of the steps (four statuses are mandatory), so a later step also
    proves the earlier ones.
    """
    proved = [_proof(delivery, statuses) for _, statuses in _PICTURE]
    last = max((place for place, event in enumerate(proved) if event is not None), default=-1)
    if last < 0 and delivery.stage is Stage.HANDED_OVER:
        last = 0
    failed = words(delivery, wording)[0].kind is Kind.BAD
    steps = [written]
    for place, ((phrase, _), event) in enumerate(zip(_PICTURE, proved, strict=True)):
        if place <= last:
            steps.append(Step(wording.text(phrase), StepState.DONE, event.at if event else None))
        elif failed:
            steps.append(Step(words(delivery, wording)[0].text, StepState.FAILED, delivery.since))
            break
        else:
            steps.append(Step(wording.text(phrase), StepState.WAITING))
    return tuple(steps)


def _proof(delivery: Delivery, statuses: frozenset[MessageStatus]) -> DeliveryEvent | None:
    found = next((event for event in delivery.events if event.status in statuses), None)
    if found is None and delivery.status in statuses:
        assert delivery.status is not None
        return DeliveryEvent(delivery.since, delivery.status, "", "", "")
    return found
