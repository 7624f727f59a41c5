"""The claimed recipient of an incoming message, read from as little of it as possible.

NOTHING of it is verified: it decides to which process a message is handed, and
that one judges the whole of it again.
"""

from __future__ import annotations

from samdrift.wire.as4.identify import FINAL_RECIPIENT
from samdrift.wire.as4.limits import DEFAULT_LIMITS, As4Limits
from samdrift.wire.ebms import parse_user_message
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.mime import ContentType, MultipartReader, PartData, PartEnd, boundary_of
from samdrift.wire.wssec import read_document


class AddresseeReader:
    """Takes the beginning of a body until it knows, or knows that it will not.

    Bad input is no error here: whoever judges the message says what is wrong with it.
    """

    def __init__(self, content_type: str, limits: As4Limits = DEFAULT_LIMITS) -> None:
        self.recipient: ParticipantIdentifier | None = None
        """Known when there is enough; ``None`` when the message names nobody that can be read."""
        self.enough = False
        """Whether more of the body would tell nothing."""
        self._limits = limits
        self._soap = bytearray()
        try:
            self._mime = MultipartReader(
                boundary_of(ContentType.parse(content_type)),
                max_preamble=limits.max_preamble_bytes,
                max_header=limits.max_part_header_bytes,
            )
        except WireError:
            self.enough = True

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body, ``b""`` at its end."""
        try:
            self._mime.feed(data)
            self.enough = self._read() or not data
        except WireError:
            self.enough = True

    def _read(self) -> bool:
        while (event := self._mime.next_event()) is not None:
            if isinstance(event, PartData):
                self._soap += event.data
                if len(self._soap) > self._limits.max_soap_bytes:
                    return True
            elif isinstance(event, PartEnd):
                document = read_document(bytes(self._soap), self._limits.max_soap_bytes)
                named = parse_user_message(document.messaging).property(FINAL_RECIPIENT)
                self.recipient = ParticipantIdentifier.parse(named or "")
                return True
        return False
