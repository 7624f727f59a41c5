"""Messages of any shape, signed and encrypted freely: those of unusual peers, and of attackers.

Each field replaces one piece of a good message; :meth:`Crafted.build` puts them together. A signature made
here is valid for what it covers, so that a test of coverage fails for lack of coverage and nothing else.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from cryptography import x509

from samdrift.wire.ebms import UserMessage, build_user_message
from samdrift.wire.wssec import (
    Attachment,
    Encryptor,
    Part,
    build_body,
    build_encryption,
    build_envelope,
    build_signature,
    build_timestamp,
)
from tests.pki import Certified
from tests.unit.wire.as4.parties import NOW, PAYLOAD, message, receiver, sender

_KEY, _VECTOR = b"k" * 16, b"v" * 12


def gzipped(payload: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=31)
    return compressor.compress(payload) + compressor.flush()


def _same(text: str) -> str:
    return text


@dataclass
class Crafted:
    """A message to be built; the edits work on markup, ``soap`` on the finished SOAP part."""

    header: UserMessage = field(default_factory=message)
    signer: Certified = field(default_factory=sender)
    recipient: x509.Certificate = field(default_factory=lambda: receiver().certificate)
    secured: datetime = NOW
    content: bytes = field(default_factory=lambda: gzipped(PAYLOAD))
    signed_content: bytes | None = None
    """Content that the attachment's digest covers; ``content`` by default."""
    signed: tuple[str, ...] = ("messaging", "body", "timestamp")
    with_timestamp: bool = True
    with_encryption: bool = True
    with_signature: bool = True
    attachment_signed: bool = True
    messaging: Callable[[str], str] = _same
    """Applied before signing."""
    signature: Callable[[str], str] = _same
    encryption: Callable[[str], str] = _same
    soap: Callable[[str], str] = _same
    content_id: str = "message"
    parts_before: bytes = b""
    parts_after: bytes = b""
    root_fields: str = "Content-Type: application/soap+xml; charset=UTF-8\r\nContent-ID: <root>\r\n"
    content_fields: str = "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n"
    ciphertext: Callable[[bytes], bytes] = lambda encrypted: encrypted
    content_type: str = 'multipart/related; type="application/soap+xml"; boundary="B"; start="<root>"'

    def build(self) -> tuple[str, bytes]:
        """Return content type and body."""
        soap = self.soap(self._soap().decode()).encode()
        encryptor = Encryptor(_KEY, _VECTOR)
        encrypted = self.ciphertext(_VECTOR + encryptor.feed(self.content) + encryptor.finish())
        body = (
            b"--B\r\n" + self.root_fields.encode() + b"\r\n" + soap + self.parts_before + b"\r\n--B\r\n"
            + self.content_fields.encode() + f"Content-ID: <{self.content_id}>\r\n\r\n".encode()
            + encrypted + self.parts_after + b"\r\n--B--\r\n"
        )  # fmt: skip
        return self.content_type, body

    def _soap(self) -> bytes:
        messaging = Part("Messaging", self.messaging(build_user_message(self.header, "Messaging")))
        body = build_body("Body")
        timestamp = build_timestamp(self.secured, self.secured, "Timestamp")
        parts = {"messaging": messaging, "body": body, "timestamp": timestamp}
        digest = sha256(self.content if self.signed_content is None else self.signed_content).digest()
        attachment = Attachment("message", digest) if self.attachment_signed else None
        covered = [parts[name] for name in self.signed if self.with_timestamp or name != "timestamp"]
        signature = build_signature(covered, attachment, self.signer.signing_key(), "Signer")
        security = [timestamp.markup] if self.with_timestamp else []
        if self.with_encryption:
            encryption = build_encryption("message", "application/gzip", _KEY, self.recipient, "1")
            security.append(self.encryption(encryption))
        if self.with_signature:
            security.append(self.signature(signature.markup))
        return build_envelope(security, messaging, body)
