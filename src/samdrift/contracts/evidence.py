"""Evidence about a message, as interface D hands it over to a message client of the organisation."""

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
    """A source of evidence; callers check who may have it, and record its release, before they ask."""

    async def package(
        self,
        organisation: ParticipantIdentifier,
        message_id: str,
        by: str,
        original: Original | None = None,
    ) -> AsyncIterator[bytes] | None:
        """Return the package in pieces, with the original where it is given; its size is not known before.

        ``None`` when the organisation's logs do not, or no longer, contain the message. ``by`` names the
        requester.
        """
