"""Conversion of the access point's transfers to rows and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby

from samdrift.contracts.transfer import TransferEvent, TransferReason, TransferState
from samdrift.vault.bodies import Body, body_values
from samdrift.vault.database.session import Row
from samdrift.vault.records import Attempt, OutgoingEnvelope, Transfer
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier, ProcessIdentifier


def submission(transfer: Transfer, claimed_until: datetime | None, body: Body) -> Row:
    """Return a transfer as the arguments of ``submit``."""
    envelope = transfer.envelope
    return (
        transfer.id,
        envelope.envelope_id,
        transfer.as4_message_id,
        envelope.conversation_id,
        envelope.sender.value,
        envelope.recipient.value,
        envelope.document.value,
        envelope.document.scheme,
        envelope.process.value,
        envelope.process.scheme,
        transfer.created_at,
        claimed_until,
        *body_values(body),
    )


def transfers(rows: Iterable[Row]) -> list[Transfer]:
    """Return transfers from the rows of ``transfers_tried``, with their attempts in order."""
    return [_transfer(list(run)) for _, run in groupby(rows, key=lambda row: row[0])]


def _transfer(rows: Sequence[Row]) -> Transfer:
    (
        transfer_id,
        envelope_id,
        conversation_id,
        sender,
        recipient,
        document,
        document_scheme,
        process,
        process_scheme,
        as4_message_id,
        created_at,
        state,
        size,
        digest,
        *_,
    ) = rows[0]
    envelope = OutgoingEnvelope(
        envelope_id,
        conversation_id,
        ParticipantIdentifier(sender),
        ParticipantIdentifier(recipient),
        DocumentIdentifier(document, document_scheme),
        ProcessIdentifier(process, process_scheme),
    )
    attempts = tuple(
        Attempt(at, None if signed is None else tuple(signed), error)
        for *_, at, signed, error, _ in rows
        if at is not None
    )
    return Transfer(
        transfer_id,
        envelope,
        as4_message_id,
        created_at,
        TransferState(state),
        attempts,
        size,
        digest,
        spared=rows[0][-1],
    )


def event(row: Row) -> TransferEvent:
    """Return an event from its columns, in the order of the contract's fields."""
    sequence, at, envelope_id, transfer_id, as4_message_id, state, reason, detail = row
    return TransferEvent(
        sequence,
        at,
        envelope_id,
        transfer_id,
        as4_message_id,
        TransferState(state),
        TransferReason(reason),
        detail,
    )


def error_text(reason: TransferReason, detail: str) -> str:
    """Return the text that an attempt keeps about its failure."""
    return f"{reason.value}: {detail}" if detail else reason.value


def reason_and_detail(error: str | None) -> tuple[TransferReason, str]:
    """Return the reason and detail of an attempt's error text: the inverse of :func:`error_text`.

    Without a text the reason is ``NONE``: the attempt has not met an error yet.
    """
    reason, _, detail = (error or TransferReason.NONE.value).partition(": ")
    return TransferReason(reason), detail
