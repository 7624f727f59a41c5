"""How transfers and refusals are shown: as lines for people, as documents for programs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from samdrift.administration.queue import Refusal
from samdrift.contracts.transfer import TransferReason
from samdrift.vault.records import TransferStatus
from samdrift.vault.transferdesk import TransferHistory
from samdrift.vault.transferrows import reason_and_detail
from samdrift.wire.identifiers import ParticipantIdentifier

Waiting = tuple[ParticipantIdentifier, TransferStatus]


def waiting_document(organisation: ParticipantIdentifier, status: TransferStatus) -> dict[str, Any]:
    """One transfer, with times in ISO 8601 and in UTC."""
    return {
        "organisation": organisation.value,
        "transfer": status.id,
        "envelope": status.envelope_id,
        "as4": status.as4_message_id,
        "recipient": status.recipient,
        "document": status.document,
        "queuedAt": status.created_at.isoformat(),
        "state": status.state.value,
        "attempts": status.attempts,
        "lastAttempt": status.last_attempt.isoformat() if status.last_attempt else None,
        "nextAttempt": status.next_attempt.isoformat() if status.next_attempt else None,
        "reason": status.reason.value,
        "detail": status.detail,
    }


def waiting_line(organisation: ParticipantIdentifier, status: TransferStatus) -> str:
    """One transfer that is not final."""
    following = f"next {_time(status.next_attempt)}" if status.next_attempt else status.state.value
    return (
        f"{status.id}  {organisation} to {status.recipient}  queued {_time(status.created_at)}"
        f"  attempts {status.attempts}  {following}  {_met(status.reason, status.detail)}"
    ).rstrip()


def history_document(organisation: ParticipantIdentifier, history: TransferHistory) -> dict[str, Any]:
    """A transfer with every attempt, and with every entry of the log about it."""
    attempts = [(attempt.at, *reason_and_detail(attempt.error)) for attempt in history.attempts]
    return waiting_document(organisation, history.status) | {
        "tried": [
            {"at": at.isoformat(), "reason": reason.value, "detail": detail}
            for at, reason, detail in attempts
        ],
        "log": [
            {
                "at": entry.at.isoformat(),
                "event": entry.event,
                "by": entry.principal,
                "facts": dict(entry.ids),
            }
            for entry in history.log
        ],
    }


def history_lines(organisation: ParticipantIdentifier, history: TransferHistory) -> Iterator[str]:
    """The same for people."""
    status = history.status
    yield f"transfer  {status.id}  {status.state}"
    yield f"envelope  {status.envelope_id}  AS4 {status.as4_message_id}"
    yield f"from      {organisation}  to {status.recipient}"
    if status.next_attempt is not None:
        yield f"next      {_time(status.next_attempt)}"
    for number, attempt in enumerate(history.attempts, 1):
        yield f"attempt {number}  {_time(attempt.at)}  {_met(*reason_and_detail(attempt.error))}".rstrip()
    for entry in history.log:
        facts = "  ".join(f"{name}={entry.ids[name]}" for name in _TELLING if name in entry.ids)
        yield f"log       {_time(entry.at)}  {entry.event}  {entry.principal}  {facts}".rstrip()


def refusal_document(refusal: Refusal) -> dict[str, Any]:
    """One refused envelope."""
    entry = refusal.entry
    return {
        "organisation": refusal.organisation or None,
        "at": entry.at.isoformat(),
        "reason": entry.ids.get("reason", ""),
        "facts": {name: value for name, value in entry.ids.items() if name != "reason"},
    }


def refusal_line(refusal: Refusal) -> str:
    """One refused envelope."""
    ids = refusal.entry.ids
    facts = "  ".join(f"{name}={ids[name]}" for name in _NAMING if name in ids)
    to = refusal.organisation or "nobody served here"
    return f"{_time(refusal.entry.at)}  to {to}  {ids.get('reason', '')}  {facts}".rstrip()


_TELLING = ("peer", "reason", "detail")
_NAMING = ("peer", "sender", "recipient", "as4", "envelope")


def _met(reason: TransferReason, detail: str) -> str:
    return "" if reason is TransferReason.NONE else f"{reason}  {detail}".rstrip()


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
