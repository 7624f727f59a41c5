"""Scanning of a message's texts and files for malicious code (content-specification 5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from samdrift.contracts.malware import MalwareScanner
from samdrift.messageservice.findings import malicious
from samdrift.scheduling.places import Turns
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.sdkmessage import SdkMessage
from samdrift.wire.xml.base64text import decode_pieces

_PIECE = 1 << 18
_AT_ONCE = 4
_BODY = "/messagePayload/message/messageBody"


@dataclass(frozen=True, slots=True)
class Malware:
    """Malicious code in a message: the scanner's name for it, for the log, and the finding for the sender."""

    signature: str
    finding: Finding


class Screening:
    """Submits files to the scanner in fair turns: an organisation's files wait only behind its own.

    Unpacking archives is left to the scanner.
    """

    def __init__(self, scanner: MalwareScanner) -> None:
        self._scanner = scanner
        self._turns = Turns(_AT_ONCE)

    async def malware(self, organisation: ParticipantIdentifier, message: SdkMessage) -> Malware | None:
        """Return the first malicious part of ``organisation``'s valid message, or ``None`` if it is clean.

        Raises :class:`samdrift.contracts.malware.ScannerUnavailable` if the message must wait.
        """
        for place, pieces in _parts(message):
            async with self._turns.turn(organisation):
                verdict = await self._scanner.scan(pieces)
            if not verdict.clean:
                return Malware(verdict.signature, malicious(place))
        return None


def _parts(message: SdkMessage) -> Iterator[tuple[str, Iterable[bytes]]]:
    yield "/messagePayload/message", _encoded("\n".join(_names(message)))
    for number, document in enumerate(message.documents, 1):
        place = f"{_BODY}/documents[{number}]"
        for position, text in enumerate(document.texts, 1):
            yield f"{place}/ContentText[{position}]", _encoded(text)
        for position, file in enumerate(document.files, 1):
            yield f"{place}/ContentFiles[{position}]", decode_pieces(file.content)


def _names(message: SdkMessage) -> Iterator[str]:
    """Yield the short texts of a message, including its label, to be scanned together."""
    yield message.label
    for document in message.documents:
        yield from (text for text in (document.id, document.name, document.index) if text)
        yield from (file.name for file in document.files)


def _encoded(text: str) -> Iterator[bytes]:
    return (text[start : start + _PIECE].encode() for start in range(0, len(text), _PIECE))
