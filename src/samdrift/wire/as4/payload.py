"""The payload as it streams in: decrypt, digest, expand, in this order and each under the last one's word.

What goes wrong inside (gzip, size) is reported only after tag and digest held: told earlier
from a decryption failure, it would let somebody who alters ciphertext learn what it says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from hmac import compare_digest

from samdrift.wire.as4.limits import As4Limits
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.gzip import Decompressor, ExpansionLimits
from samdrift.wire.wssec import TAG_SIZE, VECTOR_SIZE, Decryptor

_LINE_END = b"\r\n"
_HEADER_END = _LINE_END * 2


class PayloadReader:
    """Opens one encrypted, signed, compressed attachment. ``digest`` is what the signature says."""

    def __init__(self, session_key: bytes, digest: bytes, limits: As4Limits, *, with_headers: bool) -> None:
        self._decryptor = Decryptor(session_key)
        self._expected = digest
        self._hash = hashlib.sha256()
        self._decompressor = Decompressor(
            ExpansionLimits(limits.max_payload_bytes, limits.max_ratio, limits.ratio_free_bytes)
        )
        self._max_encrypted = limits.max_compressed_bytes + VECTOR_SIZE + TAG_SIZE
        self._encrypted = 0
        self._headers = _PartHeaders(limits.max_part_header_bytes) if with_headers else None
        self._inner_fault: WireError | None = None

    @property
    def size(self) -> int:
        """Bytes of the payload so far."""
        return self._decompressor.size

    def feed(self, ciphertext: bytes) -> Iterator[bytes]:
        """The pieces of the payload that ``ciphertext`` brings out; none of them is verified yet."""
        self._encrypted += len(ciphertext)
        if self._encrypted > self._max_encrypted:
            raise WireError(WireFault.TOO_LARGE, f"larger than {self._max_encrypted} bytes", "payload")
        content = self._decryptor.feed(ciphertext)
        if self._headers is not None:
            content = self._headers.strip(content)
        self._hash.update(content)
        if self._inner_fault is None:
            try:
                yield from self._decompressor.feed(content)
            except WireError as error:
                self._inner_fault = error

    def finish(self) -> None:
        """Say that the attachment ended: only when this returns, the payload is what the sender signed."""
        self._decryptor.finish()
        if not compare_digest(self._hash.digest(), self._expected):
            raise WireError(WireFault.SIGNATURE, "the payload is not the one that was signed", "payload")
        if self._inner_fault is not None:
            raise self._inner_fault
        self._decompressor.finish()


class _PartHeaders:
    """Takes away the MIME header that ``Attachment-Complete`` encrypts too (WSS SwA profile 1.1, 5.4)."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        # Before the first field comes a line end, so that a header without fields ends in the same way.
        self._held: bytes | None = _LINE_END

    def strip(self, content: bytes) -> bytes:
        """The content without the header; a header without end leaves content that no digest fits."""
        if self._held is None:
            return content
        held = self._held + content
        end = held.find(_HEADER_END)
        if end < 0 and len(held) <= self._max_bytes:
            self._held = held
            return b""
        self._held = None
        return held[end + len(_HEADER_END) :] if end >= 0 else held
