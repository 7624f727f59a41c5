"""Base64 in XML: white space anywhere, everything else strict (RFC 4648, xsd:base64Binary).

The standard library's default decoder skips characters that do not belong there, so two different texts could
decode to the same bytes unnoticed.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator

from samdrift.wire.errors import WireError, WireFault

_WHITE_SPACE = b" \t\r\n"
_PIECE = 1 << 20


def encode(data: bytes) -> bytes:
    """Encode as one line of base64 without a line end."""
    return binascii.b2a_base64(data, newline=False)


def encode_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Encode a stream of pieces as one base64 text, yielding it as the pieces arrive."""
    rest = b""
    for piece in pieces:
        data = rest + piece if rest else piece
        whole = len(data) - len(data) % 3
        yield encode(data[:whole])
        rest = data[whole:]
    yield encode(rest)


def decode(text: str, where: str = "") -> bytes:
    """Decode ``text``; raise :class:`WireError` (``STRUCTURE``) if it is not base64."""
    if len(text) <= _PIECE:
        return _decode(_without_white_space(text, where), where)
    return b"".join(decode_pieces(text, where))


def decode_pieces(text: str | memoryview, where: str = "") -> Iterator[bytes]:
    """Decode ``text`` piece by piece, so that a long text need not be held twice."""
    decoder = Decoder(where)
    for start in range(0, len(text), _PIECE):
        yield decoder.feed(text[start : start + _PIECE])
    yield decoder.close()


class Decoder:
    """A decoder of a text that arrives in pieces; each call returns the bytes that are certain by then."""

    def __init__(self, where: str = "") -> None:
        self._where = where
        self._rest = b""

    def feed(self, piece: str | memoryview) -> bytes:
        """Decode the next characters; raise :class:`WireError` (``STRUCTURE``) if they are not base64."""
        ready, self._rest = _split_before_last_group(self._rest + _without_white_space(piece, self._where))
        if b"=" in ready:  # padding may only be at the end
            raise _not_base64(self._where)
        return _decode(ready, self._where)

    def close(self) -> bytes:
        """End the text and return its last bytes."""
        return _decode(self._rest, self._where)


def _split_before_last_group(digits: bytes) -> tuple[bytes, bytes]:
    at = max(len(digits) - len(digits) % 4 - 4, 0)
    return digits[:at], digits[at:]


def _without_white_space(piece: str | memoryview, where: str) -> bytes:
    try:
        raw = piece.encode("ascii") if isinstance(piece, str) else bytes(piece)
    except UnicodeEncodeError:
        raise _not_base64(where) from None
    return raw.translate(None, _WHITE_SPACE)


def _decode(digits: bytes, where: str) -> bytes:
    if len(digits) % 4 or digits.endswith(b"==="):
        raise _not_base64(where)  # the library accepts some superfluous padding
    try:
        return binascii.a2b_base64(digits, strict_mode=True)
    except binascii.Error:
        raise _not_base64(where) from None


def _not_base64(where: str) -> WireError:
    return WireError(WireFault.STRUCTURE, "not base64", where)
