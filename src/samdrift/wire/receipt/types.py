"""A message receipt as a frozen type (message-receipt 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class MessageReceipt:
    """What the receiver of a message tells its sender.

    ``sender`` is the organisation that acknowledges, ``receiver`` the one that sent
    the message; ``message_id`` is the identifier on that message's envelope.
    ``issued`` has a time zone. ``findings`` is empty exactly when accepted.
    """

    id: str
    issued: datetime
    sender: ParticipantIdentifier
    receiver: ParticipantIdentifier
    message_id: str
    status: ReceiptStatus
    findings: tuple[Finding, ...] = ()
