"""Evidence about a message, as interface D delivers it to a message client of the organisation."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Original:
    """A message exactly as it was sent or received, byte for byte."""

    size: int
    pieces: AsyncIterable[bytes]


class MessageEvidence(Protocol):
    """A source of evidence; callers first check the requester's rights and record the release."""

    async def package(
        self,
        organisation: ParticipantIdentifier,
        message_id: str,
        by: str,
        original: Original | None = None,
    ) -> AsyncIterator[bytes] | None:
        """Return the evidence package in pieces, with the original if given; its total size is unknown.

        ``None`` when the organisation's logs do not, or no longer, contain the message. ``by`` names the
        requester. Raises :class:`~samdrift.vault.errors.TooManyEntries` if a log has too many about it.
        """
