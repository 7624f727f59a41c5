"""The MIME frame around a submitted envelope (MTOM, XOP): the envelope goes as it is, not in base64."""

from __future__ import annotations

from dataclasses import dataclass

from samdrift.wire.mime import closing, opening

CONTENT_ID = "message"
"""Of the part with the envelope."""

_ROOT_ID = "request"
_SOAP = "application/soap+xml"
_XOP = "application/xop+xml"


@dataclass(frozen=True, slots=True)
class Framing:
    """What goes before and after the envelope in the body of a request."""

    content_type: str
    before: bytes
    after: bytes


def framing(soap: bytes, boundary: str) -> Framing:
    """The frame for a request; ``boundary`` is random enough not to stand in the envelope."""
    root = [
        ("Content-Type", f'{_XOP}; charset=UTF-8; type="{_SOAP}"'),
        ("Content-Transfer-Encoding", "binary"),
        ("Content-ID", f"<{_ROOT_ID}>"),
    ]
    envelope = [
        ("Content-Type", "text/xml"),
        ("Content-Transfer-Encoding", "binary"),
        ("Content-ID", f"<{CONTENT_ID}>"),
    ]
    return Framing(
        f'multipart/related; type="{_XOP}"; boundary="{boundary}"; start="<{_ROOT_ID}>"; '
        f'start-info="{_SOAP}"',
        opening(boundary, root, first=True) + soap + opening(boundary, envelope),
        closing(boundary),
    )
