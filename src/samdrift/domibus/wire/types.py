"""Requests and answers of the plugin, as frozen types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier, ProcessIdentifier


class MessageStatus(StrEnum):
    """The plugin's ``messageStatus``: the state of a message in Domibus."""

    READY_TO_SEND = "READY_TO_SEND"
    READY_TO_PULL = "READY_TO_PULL"
    BEING_PULLED = "BEING_PULLED"
    SEND_ENQUEUED = "SEND_ENQUEUED"
    SEND_IN_PROGRESS = "SEND_IN_PROGRESS"
    WAITING_FOR_RECEIPT = "WAITING_FOR_RECEIPT"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    ACKNOWLEDGED_WITH_WARNING = "ACKNOWLEDGED_WITH_WARNING"
    SEND_ATTEMPT_FAILED = "SEND_ATTEMPT_FAILED"
    SEND_FAILURE = "SEND_FAILURE"
    NOT_FOUND = "NOT_FOUND"
    WAITING_FOR_RETRY = "WAITING_FOR_RETRY"
    RECEIVED = "RECEIVED"
    RECEIVED_WITH_WARNINGS = "RECEIVED_WITH_WARNINGS"
    DELETED = "DELETED"
    DOWNLOADED = "DOWNLOADED"


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """The header of a message to submit; Domibus looks up the receiving access point by the recipient."""

    message_id: str
    conversation_id: str
    party: str
    """Party identifier of the Domibus itself, as in its processing mode."""
    sender: ParticipantIdentifier
    recipient: ParticipantIdentifier
    document: DocumentIdentifier
    process: ProcessIdentifier


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """The header of a message that was retrieved."""

    message_id: str
    conversation_id: str
    peer: str
    """Party identifier of the access point that sent it."""
    sender: ParticipantIdentifier
    recipient: ParticipantIdentifier
    document: DocumentIdentifier


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """An error of a message, as recorded in Domibus's error log."""

    code: str
    """An ebMS code such as ``EBMS:0005``; empty if there is none."""
    detail: str
    at: str
    """Time as reported by Domibus; comparing two of them gives their order."""
    by_peer: bool
    """True if the other access point reported it in an error signal."""


@dataclass(frozen=True, slots=True)
class PluginFault:
    """A SOAP fault: the plugin did not perform the request."""

    code: str
    """A code such as ``WS_PLUGIN:0009`` or ``EBMS:0004``; empty if there is none, as for a wrong password."""
    text: str
