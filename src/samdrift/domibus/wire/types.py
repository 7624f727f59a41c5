"""Requests and answers of the plugin, as frozen types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier, ProcessIdentifier


class MessageStatus(StrEnum):
    """The plugin's ``messageStatus``: how a message is in Domibus."""

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
    """The header of a message to submit; whom it goes to, Domibus looks up by the recipient."""

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
    """Something that went wrong with a message, as Domibus has it in its log of errors."""

    code: str
    """An ebMS code like ``EBMS:0005``; empty when there is none."""
    detail: str
    at: str
    """The time as it was told; two of them compare as they followed each other."""
    by_peer: bool
    """True when the other access point said so, in an error signal."""


@dataclass(frozen=True, slots=True)
class PluginFault:
    """A SOAP fault: the plugin did not do what it was asked."""

    code: str
    """Like ``WS_PLUGIN:0009`` or ``EBMS:0004``; empty when it gives none, as for a wrong password."""
    text: str
