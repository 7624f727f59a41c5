"""Incoming messages, as they stream in: verify, then decrypt, then release."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from samdrift.wire.as4.events import Event, ReceivedMessage
from samdrift.wire.as4.limits import DEFAULT_LIMITS, As4Limits
from samdrift.wire.keys import DecryptionKey


class As4Reader:
    """Reads one message without doing any I/O: give it bytes, ask it for events."""

    def __init__(
        self,
        content_type: str,
        limits: As4Limits = DEFAULT_LIMITS,
        candidates: Sequence[x509.Certificate] = (),
    ) -> None:
        raise NotImplementedError

    def receive(self, data: bytes) -> None:
        """Take the next bytes of the HTTP body; ``b""`` says that it ended."""
        raise NotImplementedError

    def next_event(self) -> Event:
        """What is known next; :class:`As4Fault` when the message is not accepted."""
        raise NotImplementedError

    def decrypt_with(self, key: DecryptionKey) -> None:
        """Unwrap the session key, after SignedHeader and before any Payload."""
        raise NotImplementedError


def read_message(
    content_type: str,
    body: bytes,
    key: DecryptionKey,
    limits: As4Limits = DEFAULT_LIMITS,
    candidates: Sequence[x509.Certificate] = (),
) -> ReceivedMessage:
    """Read a whole message in memory."""
    raise NotImplementedError
