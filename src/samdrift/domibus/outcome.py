"""What a status in Domibus, with the errors that it logged, says of a transfer: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.domibus.wire import ErrorEntry, MessageStatus

_DELIVERED = frozenset({MessageStatus.ACKNOWLEDGED, MessageStatus.ACKNOWLEDGED_WITH_WARNING})
_WAITS = frozenset({MessageStatus.SEND_ATTEMPT_FAILED, MessageStatus.WAITING_FOR_RETRY})
_FAILED = frozenset({MessageStatus.SEND_FAILURE})
_LOST = frozenset({MessageStatus.NOT_FOUND, MessageStatus.DELETED})
"""Domibus has forgotten the message, or its content: how its transfer ended cannot be told any more."""

_BY_CODE = {
    "EBMS:0005": TransferReason.PEER_UNREACHABLE,
    "EBMS:0301": TransferReason.RECEIPT_INVALID,
    "EBMS:0302": TransferReason.RECEIPT_INVALID,
}
_NOT_SERVICED = "NOT_SERVICED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a transfer stands."""

    state: TransferState
    reason: TransferReason
    detail: str


def waits(status: MessageStatus) -> bool:
    """Whether an attempt failed and another one follows."""
    return status in _WAITS


def needs_errors(status: MessageStatus) -> bool:
    """Whether the errors tell more about a message with this status."""
    return status in _WAITS | _FAILED


def outcome(status: MessageStatus, errors: Sequence[ErrorEntry]) -> Outcome | None:
    """What is to be told; ``None`` while the message simply goes its way."""
    if status in _DELIVERED:
        return Outcome(TransferState.DELIVERED, TransferReason.NONE, "")
    if status in _WAITS:
        return Outcome(TransferState.QUEUED, *_cause(errors))
    if status in _FAILED:
        return Outcome(TransferState.FAILED, *_cause(errors))
    if status in _LOST:
        detail = f"{status.value}: Domibus cannot tell any more how the transfer ended"
        return Outcome(TransferState.FAILED, TransferReason.GIVEN_UP, detail)
    return None


def _cause(errors: Sequence[ErrorEntry]) -> tuple[TransferReason, str]:
    """The other access point's last word; what Domibus itself met only when it said nothing."""
    signalled = [error for error in errors if error.by_peer]
    last = max(signalled or errors, key=lambda error: error.at, default=None)
    if last is None:
        return TransferReason.GIVEN_UP, "Domibus tells no error"
    detail = f"{last.code} {last.detail}".strip()
    if last.detail.strip() == _NOT_SERVICED:
        return TransferReason.NOT_SERVICED, detail
    if last.by_peer:
        return TransferReason.PEER_REFUSED, detail
    return _BY_CODE.get(last.code, TransferReason.GIVEN_UP), detail
