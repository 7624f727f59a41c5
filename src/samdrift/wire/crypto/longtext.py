"""A document whose one long base64 text is kept out of its tree.

An envelope of 50 MB is a few kilobytes of markup around one ciphertext. With a parser, a tree, a
canonicaliser and a serialiser, that text would be copied five times. So the text is cut out of the bytes
before they are parsed, a placeholder represents it in the tree, and it is put back where bytes are needed: in
the canonical form that is hashed, and in a payload that is extracted.

Why this produces the same bytes: the cut text is everything between two tags and contains nothing but base64
and white space without carriage return. A parser returns such text unchanged, whatever surrounds it, and a
canonicaliser writes it unchanged (Canonical XML 1.0, 2.3).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from samdrift.wire import xml
from samdrift.wire.crypto.xmldsig import DigestSink, HashSink
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, XmlLimits

PLACEHOLDER: Final = "(kept-aside)"
"""Represents the long text in the tree. Not base64, so that it cannot be taken for content."""

LONG_FROM: Final = 8 << 10
"""Minimum length in bytes of a text that is cut out."""

_MARK = PLACEHOLDER.encode("ascii")
_PIECE = 1 << 20
_ACCEPTED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\n"


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document: the tree, and the text that was cut out of it (empty if there is none)."""

    root: Element
    long_text: memoryview

    def text(self, element: Element) -> str | memoryview:
        """Return the whole text of ``element``, even if it was cut out."""
        found = xml.text(element)
        return self.long_text if found == PLACEHOLDER and self.long_text else found

    def opening(self, piece: str) -> str:
        """Return a text from the tree as it was in the document; of the long text only its beginning.

        The beginning is :data:`LONG_FROM` characters that are not all white space.
        """
        if piece != PLACEHOLDER or not self.long_text:
            return piece
        return str(self.long_text[:LONG_FROM], "ascii")

    def new_sink(self) -> DigestSink:
        """Return a sink that digests the document's canonical form, with the long text put back."""
        return RestoringSink(self.long_text) if self.long_text else HashSink()


def parse(data: bytes, limits: XmlLimits, long_from: int = LONG_FROM) -> Document:
    """Parse ``data`` like :func:`samdrift.wire.xml.reader.parse`, but cut out its longest text."""
    if len(data) > limits.max_bytes:
        raise WireError(WireFault.TOO_LARGE, f"larger than {limits.max_bytes} bytes")
    start, end = _longest_text(data, long_from)
    long_text = memoryview(data)[start:end]
    if len(long_text) >= long_from and _is_plain(long_text) and not _opens_blank(long_text):
        around = data[:start], data[end:]
        if not any(_MARK in part for part in around):
            return Document(xml.parse(_MARK.join(around), limits), long_text)
    return Document(xml.parse(data, limits), memoryview(b""))


def _longest_text(data: bytes, long_from: int) -> tuple[int, int]:
    """Return start and end of the longest text between a ``>`` and the next ``<``.

    Only texts of at least ``long_from`` bytes are sure to be found: one position is examined in each half of
    ``long_from`` bytes, which no such text can pass between. Short documents cost next to nothing, and in
    long ones each byte is examined once.
    """
    longest = (0, 0)
    step = max(long_from // 2, 1)
    at = step
    while at < len(data):
        start = data.rfind(b">", at - step, at) + 1
        end = data.find(b"<", start) if start else at
        if end == -1:
            break
        if start and end - start > longest[1] - longest[0]:
            longest = (start, end)
        at = max(at, end) + step
    return longest


def _is_plain(text: memoryview) -> bool:
    """Return whether a parser and a canonicaliser leave ``text`` unchanged."""
    return not any(
        bytes(text[at : at + _PIECE]).translate(None, _ACCEPTED) for at in range(0, len(text), _PIECE)
    )


def _opens_blank(text: memoryview) -> bool:
    return bytes(text[:LONG_FROM]).isspace()


def restore(markup: bytes, long_text: bytes | memoryview) -> bytes:
    """Return ``markup`` with the long text in place of the placeholder."""
    if not long_text:
        return markup
    before, after = _around(markup)
    return b"".join((before, long_text, after)) if after is not None else before


class RestoringSink:
    """A sink for a canonical form that digests it with the long text in place of the placeholder."""

    def __init__(self, long_text: bytes | memoryview) -> None:
        self._long_text = long_text
        self._pieces: list[bytes] = []
        self.write = self._pieces.append

    def digest(self) -> bytes:
        """Return the SHA-256; raise :class:`WireError` if the placeholder occurs more than once."""
        before, after = _around(b"".join(self._pieces))
        whole = hashlib.sha256(before)
        if after is not None:
            whole.update(self._long_text)
            whole.update(after)
        return whole.digest()


def _around(markup: bytes) -> tuple[bytes, bytes | None]:
    """Split at the placeholder; the second part is ``None`` if it is missing (as it was in a comment)."""
    before, *after = markup.split(_MARK)
    if len(after) > 1:
        raise WireError(WireFault.STRUCTURE, "the text of a place-holder is in the document")
    return before, after[0] if after else None
