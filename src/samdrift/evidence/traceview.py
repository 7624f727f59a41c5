"""The path of a message as text for people, with the moments defined by the rules of SDK.

DIGG's annex on official documents (A1.2.9) defines one moment for both ends: a message counts as
dispatched, and as received, when it can be decrypted at the recipient's message service. The
recipient's log has that moment. The sender learns from the message receipt that it has passed.

Where events mean the same, ours are shown with the names that ETSI EN 319 522-1 clause 6 gives to the events
of an electronic registered delivery service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from samdrift.accesspoint.events import APEvent
from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Role
from samdrift.evidence.events import ProofEvent
from samdrift.evidence.trace import Step
from samdrift.messageclient.events import MKEvent
from samdrift.messageservice.events import MTEvent
from samdrift.vault.events import VaultEvent
from samdrift.web.texts import Phrase
from samdrift.web.views import StepState

PLACES: Mapping[Role, Phrase] = MappingProxyType(
    {
        Role.ACCESS_POINT: Phrase("access point"),
        Role.MESSAGE_SERVICE: Phrase("message service"),
        Role.MESSAGE_CLIENT: Phrase("message client"),
        Role.GOVERNANCE: Phrase("governance"),
    }
)
FORMER = Phrase("former supplier")

WORDS: Mapping[str, Phrase] = MappingProxyType(
    {
        MKEvent.MK_MESSAGE_SUBMITTED: Phrase("A person sent it"),
        MKEvent.MK_MESSAGE_HANDED_OVER: Phrase("The message client handed it to the message service"),
        MKEvent.MK_MESSAGE_POSTPONED: Phrase("The message client will try again later"),
        MKEvent.MK_MESSAGE_NOT_SENT: Phrase("The message client could not send it"),
        MKEvent.MK_MESSAGE_DELETING: Phrase(
            "It is stored and backed up, and is to be deleted at the message service"
        ),
        MKEvent.MK_MESSAGE_DELETED: Phrase("It was deleted at the message service"),
        MKEvent.MK_MESSAGE_UNDELETED: Phrase("The message service did not delete it"),
        MKEvent.MK_MESSAGE_MOVED_ON: Phrase("The message client was informed of its progress"),
        MKEvent.MK_MESSAGE_STORED: Phrase("The message client fetched and stored it"),
        MKEvent.MK_MESSAGE_NOT_FETCHED: Phrase("The message service lists it, but does not hand it out"),
        MKEvent.MK_MESSAGE_UNREADABLE: Phrase("The message client stored it, but cannot show it"),
        MKEvent.MK_READING_MESSAGE: Phrase("A person opened it"),
        MKEvent.MK_READING_FILE: Phrase("A person opened a file of it"),
        MKEvent.MK_READING_RAW: Phrase("A person opened it in its raw form"),
        MKEvent.MK_READING_WAY: Phrase("A person viewed its tracking, but not its content"),
        MKEvent.MK_READING_READERS: Phrase("A person looked at who has read it"),
        MTEvent.MT_MESSAGE_SCHEDULED: Phrase("The message was checked and stored, to be sent"),
        MTEvent.MT_MESSAGE_SUBMITTED: Phrase("It was encrypted for the recipient, signed and handed over"),
        MTEvent.MT_MESSAGE_POSTPONED: Phrase("It will be sent again later"),
        MTEvent.MT_MESSAGE_HELD: Phrase("It waits for a service that is down"),
        MTEvent.MT_MESSAGE_ACKNOWLEDGED: Phrase(
            "The recipient’s access point has it; the message receipt is awaited"
        ),
        MTEvent.MT_MESSAGE_ACCEPTED: Phrase("The recipient has accepted it"),
        MTEvent.MT_MESSAGE_REJECTED: Phrase("The recipient has rejected it"),
        MTEvent.MT_MESSAGE_FAILED: Phrase("It was not delivered, or its delivery cannot be confirmed"),
        MTEvent.MT_MESSAGE_LATE: Phrase("A step came for it after it had ended"),
        MTEvent.MT_MESSAGE_RETRIEVED: Phrase(
            "Its signature was verified; it was decrypted, checked and accepted"
        ),
        MTEvent.MT_MESSAGE_REFUSED: Phrase("It was examined and rejected"),
        MTEvent.MT_MALWARE_FOUND: Phrase("Malicious code was found in it"),
        MTEvent.MT_SENDER_NOT_LISTED: Phrase("Its sender’s address is not in the address book"),
        MTEvent.MT_MESSAGE_NEW: Phrase("It can be fetched by message clients"),
        MTEvent.MT_MESSAGE_READ: Phrase("A message client fetched it"),
        MTEvent.MT_MESSAGE_EVIDENCED: Phrase("Evidence about it was given to a message client"),
        MTEvent.MT_MESSAGE_DELETED: Phrase("A message client deleted it"),
        MTEvent.MT_RECEIPT_QUEUED: Phrase("The message receipt was written"),
        MTEvent.MT_RECEIPT_SUBMITTED: Phrase("The message receipt was signed and handed over"),
        MTEvent.MT_RECEIPT_ACKNOWLEDGED: Phrase("The sender’s access point has the message receipt"),
        MTEvent.MT_RECEIPT_FAILED: Phrase("The message receipt was not delivered"),
        MTEvent.MT_RECEIPT_RECEIVED: Phrase("The message receipt came, and was verified"),
        MTEvent.MT_RECEIPT_UNMATCHED: Phrase("A message receipt came for an unknown message"),
        MTEvent.MT_RECEIPT_REFUSED: Phrase("A message receipt came that does not fit the message"),
        APEvent.AP_TRANSFER_QUEUED: Phrase("The envelope was stored, to be transferred"),
        APEvent.AP_TRANSFER_DELIVERED: Phrase(
            "The envelope was delivered; its transport receipt was verified"
        ),
        APEvent.AP_TRANSFER_POSTPONED: Phrase("The transfer will be tried again later"),
        VaultEvent.AP_TRANSFER_FAILED: Phrase("The envelope could not be delivered"),
        VaultEvent.AP_TRANSFER_HASTENED: Phrase("The operator asked for an attempt now"),
        APEvent.AP_ENVELOPE_RECEIVED: Phrase("The envelope came, and its transport receipt was given"),
        APEvent.AP_ENVELOPE_DUPLICATE: Phrase("The envelope came again, and got the same transport receipt"),
        APEvent.AP_ENVELOPE_REFUSED: Phrase("The envelope was refused"),
        APEvent.AP_ENVELOPE_ACKNOWLEDGED: Phrase("The message service has the envelope; it was removed here"),
        ProofEvent.ORGANISATION_EVIDENCE_EXPORTED: Phrase("Evidence about it was exported"),
        VaultEvent.ORGANISATION_ENDED: Phrase("It ended because the organisation was closed here"),
    }
)
"""Texts for all events that an entry about a message can have."""

ERDS: Mapping[str, str] = MappingProxyType(
    {
        MTEvent.MT_MESSAGE_SCHEDULED: "SubmissionAcceptance",
        APEvent.AP_TRANSFER_DELIVERED: "RelayAcceptance",
        VaultEvent.AP_TRANSFER_FAILED: "RelayFailure",
        APEvent.AP_ENVELOPE_RECEIVED: "RelayAcceptance",
        APEvent.AP_ENVELOPE_REFUSED: "RelayRejection",
        MTEvent.MT_MESSAGE_RETRIEVED: "ContentConsignment",
        MTEvent.MT_MESSAGE_REFUSED: "ContentConsignmentFailure",
        MTEvent.MT_MESSAGE_NEW: "ConsignmentNotification",
        MTEvent.MT_MESSAGE_READ: "ContentHandover",
    }
)
"""Names from ETSI EN 319 522-1 clause 6 for events about the message itself."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment defined by the rules of SDK, as text, with its time if that is known."""

    name: str
    """Name of the moment for programs."""
    text: Phrase
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Station:
    """A place in the picture of the message's path."""

    text: Phrase
    state: StepState
    at: datetime | None


def erds(step: Step, message_id: str) -> str | None:
    """Return the ETSI name of a step about the message, or ``None`` for other steps."""
    about = (step.ids.get("message"), step.ids.get("envelope"))
    return ERDS.get(step.what) if message_id in about else None


def words(step: Step) -> Phrase:
    """Return a step as text; an event without a text is shown by its name."""
    return WORDS.get(step.what, Phrase(step.what))


def moments(steps: Sequence[Step], message_id: str) -> tuple[Moment, ...]:
    """Return when the message was dispatched and received by DIGG's rule (A1.2.9), or why it was not."""
    found = _Found(steps, message_id)
    decrypted, receipt = found.first(MTEvent.MT_MESSAGE_RETRIEVED), found.first(MTEvent.MT_RECEIPT_RECEIVED)
    accepted, rejected = found.first(MTEvent.MT_MESSAGE_ACCEPTED), found.first(MTEvent.MT_MESSAGE_REJECTED)
    refused, failed = found.first(MTEvent.MT_MESSAGE_REFUSED), found.first(MTEvent.MT_MESSAGE_FAILED)
    if decrypted is not None:
        text = Phrase("Dispatched and received: it could be decrypted at the recipient’s message service")
        return (Moment("dispatched-and-received", text, decrypted),)
    if accepted is not None and receipt is not None:
        text = Phrase(
            "Dispatched and received at the latest then: the recipient’s message receipt says that it was"
            " decrypted and accepted"
        )
        return (Moment("dispatched-and-received-by", text, receipt),)
    if rejected is not None or refused is not None:
        return (
            Moment("rejected", Phrase("Rejected by the recipient’s message service"), rejected or refused),
        )
    if failed is not None:
        text = Phrase(
            "Not dispatched: nothing says that it could be decrypted at the recipient’s message service"
        )
        return (Moment("failed", text, failed),)
    text = Phrase("Not known to be dispatched yet: no message receipt has come")
    return (Moment("under-way", text, None),)


def stations(steps: Sequence[Step], message_id: str) -> tuple[Station, ...]:
    """Return the places on the message's path, as far as the available logs show them."""
    found = _Found(steps, message_id)
    sent, came = found.first(*_SENT), found.first(APEvent.AP_ENVELOPE_RECEIVED)
    ends = [
        (Phrase("Sent"), sent),
        (
            Phrase("Encrypted and signed"),
            found.first(MTEvent.MT_MESSAGE_SUBMITTED, APEvent.AP_TRANSFER_QUEUED),
        ),
    ]
    arrived = came if sent is None or came is not None else found.first(APEvent.AP_TRANSFER_DELIVERED)
    decrypted = found.first(MTEvent.MT_MESSAGE_RETRIEVED)
    receipt = found.first(MTEvent.MT_RECEIPT_RECEIVED, MTEvent.MT_RECEIPT_ACKNOWLEDGED)
    if decrypted is None and found.first(MTEvent.MT_MESSAGE_ACCEPTED) is not None:
        decrypted = receipt
    way = [
        (Phrase("At the recipient’s access point"), arrived),
        (Phrase("Decrypted and accepted"), decrypted),
        (Phrase("Message receipt at the sender"), receipt),
    ]
    fetched = found.first(MTEvent.MT_MESSAGE_READ, MKEvent.MK_MESSAGE_STORED)
    if sent is None and found.steps:
        way.append((Phrase("Fetched by a message client"), fetched))
    return _states([*(ends if sent is not None else []), *way], failed=found.first(*_FAILED) is not None)


_SENT = (MKEvent.MK_MESSAGE_SUBMITTED, MTEvent.MT_MESSAGE_SCHEDULED)
_FAILED = (
    MTEvent.MT_MESSAGE_FAILED,
    MTEvent.MT_MESSAGE_REJECTED,
    MTEvent.MT_MESSAGE_REFUSED,
    MKEvent.MK_MESSAGE_NOT_SENT,
    APEvent.AP_ENVELOPE_REFUSED,
)


def _states(way: Sequence[tuple[Phrase, datetime | None]], *, failed: bool) -> tuple[Station, ...]:
    """Return each place as done or waiting; if the message failed, the first one that waits has failed."""
    found = list[Station]()
    for text, at in way:
        waits = StepState.FAILED if failed else StepState.WAITING
        if waits in {one.state for one in found}:
            waits = StepState.WAITING
        found.append(Station(text, StepState.DONE if at is not None else waits, at))
    return tuple(found)


class _Found:
    """Steps by event; those of the access point are about the message, not its receipt."""

    def __init__(self, steps: Sequence[Step], message_id: str) -> None:
        self.steps = [
            step
            for step in steps
            if step.role is not Role.ACCESS_POINT or step.ids.get("envelope") == message_id
        ]

    def first(self, *events: AuditEvent) -> datetime | None:
        return min((step.at for step in self.steps if step.what in events), default=None)
