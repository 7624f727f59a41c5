"""Interface C: the calls and data between a message service and an access point for one organisation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from samdrift.contracts.errors import Explained, Temporary
from samdrift.contracts.hold import Hold


class TransferState(StrEnum):
    """State of an outgoing transfer in the access point."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"


class TransferReason(StrEnum):
    """Reason why a transfer waits or failed; every final failure has one."""

    NONE = "none"
    RECIPIENT_NOT_REGISTERED = "recipient-not-registered"
    SENDER_NOT_REGISTERED = "sender-not-registered"
    DISCOVERY_UNAVAILABLE = "discovery-unavailable"
    DISCOVERY_UNTRUSTED = "discovery-untrusted"
    PEER_UNTRUSTED = "peer-untrusted"
    PEER_UNREACHABLE = "peer-unreachable"
    PEER_REFUSED = "peer-refused"
    RECEIPT_INVALID = "receipt-invalid"
    NOT_SERVICED = "not-serviced"
    ENVELOPE_INVALID = "envelope-invalid"
    NOT_COVERED = "not-covered"
    """No agreement of the sender covers the transfer of new messages by its access point."""
    GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True)
class Submission:
    """The access point's answer to a submitted envelope; ``created`` is false if it was already there."""

    envelope_id: str
    transfer_id: str
    created: bool


@dataclass(frozen=True, slots=True)
class TransferEvent:
    """An event in an outgoing transfer; ``sequence`` increases per organisation."""

    sequence: int
    at: datetime
    envelope_id: str
    transfer_id: str
    as4_message_id: str
    state: TransferState
    reason: TransferReason
    detail: str
    """The peer's own error detail, or a technical cause; it never includes content."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A transfer whose outcome the message service awaits, for an access point that reports no events."""

    envelope_id: str
    wait_reported: bool
    """True when the sender has already been notified of the retry, or need not be."""


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A received envelope that waits to be fetched and acknowledged."""

    id: str
    envelope_id: str
    """Identifier from the envelope; empty if the access point does not inspect envelopes."""
    sender: str
    recipient: str
    """Participant identifier, the same in AS4 and envelope (component-accesspoint 3.1.6 a, b)."""
    document: str
    conversation_id: str
    as4_message_id: str
    peer: str
    """Party identifier of the access point that sent it."""
    received_at: datetime
    size: int
    """Size of the envelope in bytes; 0 if the access point does not report it."""
    envelope: bytes | None = field(default=None, repr=False)
    """The envelope itself, if small enough to be included here; otherwise it must be fetched."""


@dataclass(frozen=True, slots=True)
class Poll:
    """New items and events for an organisation at its access point."""

    events: tuple[TransferEvent, ...]
    inbox: tuple[InboxItem, ...]


class TransferRefused(Explained):
    """The access point refuses an envelope, with a typed reason and a text without content."""

    def __init__(self, reason: TransferReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


class TransferUnavailable(Temporary):
    """The access point did not answer as specified; the same call may succeed later."""

    service = "The access point"
    hold = Hold.ACCESS_POINT

    def __init__(self, text: str, waits_for: str = "") -> None:
        """Create the error.

        ``waits_for`` is the :class:`Hold` that the access point itself waits for, if it reports one.
        """
        super().__init__(text)
        self.text = text
        self.waits_for = waits_for


OVER_A_NETWORK, WITHIN_A_PROCESS = 600.0, 1800.0
"""Maximum wait for news in seconds; shorter over a network, where a proxy may drop silent connections."""


class AccessPoint(Protocol):
    """Interface C for one organisation, identified by the client's certificate and not in the calls."""

    @property
    def longest_wait(self) -> float:
        """Return the maximum number of seconds to let the access point wait for news."""

    async def submit(
        self, envelope_id: str, conversation_id: str, body: bytes | AsyncIterable[bytes]
    ) -> Submission:
        """Submit an envelope, idempotently by ``envelope_id``; it is stored durably when this returns."""

    async def poll(self, after: int, wait: float, taken: Collection[str] = (), past: str = "") -> Poll:
        """Return the inbox and the events numbered above ``after``; wait up to ``wait`` seconds for news.

        An access point that does not number its events returns all of them with the sequence ``after``.

        ``taken`` lists items that the message service has stored durably: the access point deletes their
        envelopes, as with :meth:`acknowledge`. The inbox begins after the item ``past``, so that items which
        the message service cannot process now do not hide the others.
        """

    def fetch(self, item_id: str) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a waiting envelope; callers must close the generator if they stop early."""

    async def acknowledge(self, item_id: str) -> None:
        """Acknowledge that the message service has the envelope durably: the access point may delete it."""
