"""The life of a message as pure steps: each with the next status, its events and its deadline.

Statuses and their order are those of the API's code list (api-mt-mk, KV Meddelandestatus). A final status
never changes; the vault enforces that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from samdrift.audit.events import AuditEvent
from samdrift.contracts.discovery import DiscoveryError
from samdrift.contracts.errors import Temporary
from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.transfer import TransferEvent, TransferReason, TransferRefused, TransferState
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.findings import MOST_FINDINGS
from samdrift.messageservice.settings import MessageServiceSettings
from samdrift.vault.records import StatusEvent
from samdrift.wire.codes import Detail, ReceiptStatus
from samdrift.wire.findings import Finding
from samdrift.wire.receipt import MessageReceipt

MOST_WAITS = 20
"""Number of events after which a message gets no more events about outages; the log still records them."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One step: the new status, the events that explain it, and the deadline for the next step."""

    status: MessageStatus
    events: tuple[StatusEvent, ...]
    audit: AuditEvent
    deadline: datetime | None = None
    reason: str = ""
    overtaken_by: frozenset[MessageStatus] = frozenset()
    """Statuses that may already have been reached when this step is reported, and that it must not undo."""


_AFTER_SUBMITTED = frozenset(
    {MessageStatus.SCHEDULED_FOR_RESEND, MessageStatus.ACKNOWLEDGE, MessageStatus.WAITING_FOR_RECEIPT}
)


def submitted(settings: MessageServiceSettings, at: datetime) -> Progress:
    """Return the step for an envelope that the access point has stored, and may already have transferred."""
    return Progress(
        MessageStatus.SUBMITTED,
        (StatusEvent(at, MessageStatus.SUBMITTED, "Message handed over to the access point"),),
        MTEvent.MT_MESSAGE_SUBMITTED,
        at + settings.transfer_within,
        overtaken_by=_AFTER_SUBMITTED,
    )


_SINCE = " cannot be reached since "


def waiting(cause: Temporary, at: datetime, told: Sequence[StatusEvent]) -> StatusEvent | None:
    """Return the event for an outage that a scheduled message waits for, unless the latest reports it.

    ``told`` are the message's events, the latest first. An outage is thus one event, however often the
    message is tried again.
    """
    title = f"{cause.service}{_SINCE}{at:%Y-%m-%d %H:%M:%S}Z" if cause.service else "Waits to be sent"
    detail = str(cause)
    if len(told) >= MOST_WAITS or (told and _same_wait(told[0], title, detail)):
        return None
    return StatusEvent(at, MessageStatus.SCHEDULED, title, detail)


def _same_wait(event: StatusEvent, title: str, detail: str) -> bool:
    """Return whether ``event`` reports the same outage, which began earlier."""
    service, since, _ = title.partition(_SINCE)
    return event.title.startswith(service + since) and (bool(since) or event.detail == detail)


def unchecked(at: datetime) -> StatusEvent:
    """Return the event of a message whose recipient's address could not be checked.

    (operator-common-rules 4.1.2 a.)
    """
    title = f"The address book could not be reached at {at:%Y-%m-%d %H:%M:%S}Z"
    return StatusEvent(at, MessageStatus.SCHEDULED, title, "The recipient's address was not checked")


def failed(at: datetime, title: str, detail: str) -> Progress:
    """Return the step for a message that was not delivered, or whose delivery cannot be proved.

    Clauses: api-mt-mk message sentence 5.
    """
    return Progress(
        MessageStatus.MESSAGE_EXCHANGE_ERROR,
        (
            StatusEvent(at, MessageStatus.ERROR, title, detail),
            StatusEvent(at, MessageStatus.MESSAGE_EXCHANGE_ERROR, title, detail),
        ),
        MTEvent.MT_MESSAGE_FAILED,
        reason=detail or title,
    )


def not_covered(at: datetime, why: str) -> Progress:
    """Return the final step for a message that no agreement covers, with a code that clients know."""
    return failed(at, f"The message is not sent: {TransferReason.NOT_COVERED.value}", why)


def refused(at: datetime, error: DiscoveryError | TransferRefused) -> Progress:
    """Return the final step for a message that cannot be handed over, now or later."""
    if isinstance(error, TransferRefused) and error.reason is TransferReason.NOT_COVERED:
        return not_covered(at, error.text)
    return failed(at, "Message could not be handed over", error.text)


def of_transfer(settings: MessageServiceSettings, event: TransferEvent) -> Progress:
    """Return the step for an event of the access point about the transfer of a message.

    Clauses: component-accesspoint 3.2.3 c, 3.2.5 b.
    """
    if event.state is TransferState.DELIVERED:
        return Progress(
            MessageStatus.WAITING_FOR_RECEIPT,
            (
                StatusEvent(event.at, MessageStatus.ACKNOWLEDGE, "Transport receipt received"),
                StatusEvent(event.at, MessageStatus.WAITING_FOR_RECEIPT, "Waiting for the message receipt"),
            ),
            MTEvent.MT_MESSAGE_ACKNOWLEDGED,
            event.at + settings.receipt_within,
        )
    if event.state is TransferState.FAILED:
        return failed(event.at, f"Transfer failed: {event.reason.value}", event.detail)
    return Progress(
        MessageStatus.SCHEDULED_FOR_RESEND,
        (
            StatusEvent(
                event.at,
                MessageStatus.SCHEDULED_FOR_RESEND,
                f"Transfer will be tried again: {event.reason.value}",
                event.detail,
            ),
        ),
        MTEvent.MT_MESSAGE_POSTPONED,
        event.at + settings.transfer_within,
        event.reason.value,
    )


def of_receipt(receipt: MessageReceipt, at: datetime) -> Progress:
    """Return the step for the recipient's message receipt (api-mt-mk, Mappning Kvittens och Event).

    The recipient chose the findings' texts and number: the log records only codes known to us, and a receipt
    with very many findings does not fill the vault. Its findings are stored in reverse, since events are
    shown with the latest first.

    Clauses: transport-model-base 3.3.2 step 23; transport-model-extended 3.3.2 step 31.
    """
    if receipt.status is ReceiptStatus.ACCEPTED:
        return Progress(
            MessageStatus.ACCEPTED,
            (StatusEvent(at, MessageStatus.ACCEPTED, "Message receipt received"),),
            MTEvent.MT_MESSAGE_ACCEPTED,
        )
    findings = tuple(
        StatusEvent(
            at, MessageStatus.REJECTED, f"{finding.reason} {finding.detail}", finding.text, finding.path
        )
        for finding in receipt.findings[:MOST_FINDINGS]
    )
    more = len(receipt.findings) - len(findings)
    error = StatusEvent(
        at,
        MessageStatus.MESSAGE_EXCHANGE_ERROR,
        "Rejected by the recipient",
        f"The receipt has {more} more findings" if more else "",
    )
    codes = sorted({_codes(finding) for finding in receipt.findings})
    return Progress(
        MessageStatus.MESSAGE_EXCHANGE_ERROR,
        (*reversed(findings), error),
        MTEvent.MT_MESSAGE_REJECTED,
        reason=", ".join(codes),
    )


def rejection(event: StatusEvent) -> tuple[str, str] | None:
    """Return reason and detail of the receipt's finding that an event reports, or ``None``."""
    if event.status is not MessageStatus.REJECTED:
        return None
    reason, _, detail = event.title.partition(" ")
    return reason, detail


def _codes(finding: Finding) -> str:
    known = finding.detail in set(Detail)
    return f"{finding.reason} {finding.detail if known else 'other'}"


def overdue(status: MessageStatus, at: datetime) -> Progress:
    """Return the step for a message whose next step did not come in time (invariant 8)."""
    missing = {
        MessageStatus.WAITING_FOR_RECEIPT: "No message receipt came in time",
        MessageStatus.RETRIEVED: "The message receipt could not be delivered in time",
        MessageStatus.SCHEDULED: "The message could not be handed over in time",
    }
    return failed(at, missing.get(status, "No transport receipt came in time"), "")


def receipt_delivered(at: datetime) -> Progress:
    """Return the step after an incoming message's receipt is delivered: the client may fetch the message."""
    return Progress(
        MessageStatus.NEW,
        (
            StatusEvent(at, MessageStatus.RECEIPT_SENT, "Message receipt delivered"),
            StatusEvent(at, MessageStatus.NEW, "Message can be fetched"),
        ),
        MTEvent.MT_MESSAGE_NEW,
    )
