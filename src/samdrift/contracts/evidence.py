"""Evidence about a message, as interface D hands it over to a message client of the organisation."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Original:
    """A message as it was sent or came in, byte for byte."""

    size: int
    pieces: AsyncIterable[bytes]


class MessageEvidence(Protocol):
    """Puts evidence together; whoever calls has asked who may have it, and has recorded that they get it."""

    async def package(
        self,
        organisation: ParticipantIdentifier,
        message_id: str,
        by: str,
        original: Original | None = None,
    ) -> AsyncIterator[bytes] | None:
        """Return the package in pieces, with the original where it is given; its size is not known before.

        ``None`` where the organisation's logs know no such message, or no longer. ``by`` is who asks.
        """
