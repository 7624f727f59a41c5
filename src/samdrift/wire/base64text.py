"""Base64 as it stands in XML: white space anywhere, everything else strict (RFC 4648, xsd:base64Binary).

The standard library's default decoder skips characters that do not belong
there, so two different texts could mean the same bytes unnoticed.
"""

from __future__ import annotations

import binascii

from samdrift.wire.errors import WireError, WireFault

_WHITE_SPACE = b" \t\r\n"


def encode(data: bytes) -> bytes:
    """One line of base64 without a line end."""
    return binascii.b2a_base64(data, newline=False)


def decode(text: str | bytes | memoryview, where: str = "") -> bytes:
    """The bytes of ``text``; :class:`WireError` (``STRUCTURE``) when it is not base64."""
    try:
        raw = text.encode("ascii") if isinstance(text, str) else bytes(text)
        return binascii.a2b_base64(raw.translate(None, _WHITE_SPACE), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise WireError(WireFault.STRUCTURE, "not base64", where) from None
