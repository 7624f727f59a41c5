"""Envelopes in which a member signs another member's ciphertext with its own, valid key."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace

from cryptography import x509

from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.crypto.xmldsig import enveloped_signature
from samdrift.wire.envelope import seal
from samdrift.wire.envelope.sealing import _DECLARATION, _END, _NAMESPACES
from samdrift.wire.xml import base64text
from tests.roles.letters import Envelope

_VALUES = re.compile(rb"(<xenc:CipherValue>)([^<]*)(</xenc:CipherValue>)")
BLOCK = 16


@dataclass(frozen=True)
class Captured:
    """Parts of an envelope that anyone who has it can extract without a key."""

    wrapped: bytes
    """The session key, encrypted for the recipient."""
    ciphertext: bytes
    """The IV followed by the encrypted blocks."""

    def block(self, number: int) -> bytes:
        """Return a block of ciphertext; 0 is the IV, so the plaintext's first block is number 1."""
        return self.ciphertext[number * BLOCK : (number + 1) * BLOCK]

    def reading(self, number: int, mask: bytes) -> Captured:
        """Return a ciphertext of one block that decrypts to plaintext block ``number`` XOR ``mask``."""
        iv = bytes(a ^ b for a, b in zip(self.block(number - 1), mask, strict=True))
        return replace(self, ciphertext=iv + self.block(number))


def capture(envelope: Envelope) -> Captured:
    """Return the session key and the ciphertext of an envelope."""
    wrapped, ciphertext = (base64text.decode(each[1].decode()) for each in _VALUES.findall(envelope.data))
    return Captured(wrapped, ciphertext)


def forge(
    own: Envelope, captured: Captured, signer: SigningKey, recipient: x509.Certificate, spelling: bytes = b""
) -> Envelope:
    """Return an envelope with the header of ``own`` and a captured payload, validly signed by the forger.

    ``spelling`` is put into the base64 of the session key: white space makes other bytes of the same key.
    """
    unsigned = seal(own.header, b"<a/>", signer=None, recipient=recipient, rng=os.urandom)
    wrapped = base64text.encode(captured.wrapped)
    values = iter([wrapped[:8] + spelling + wrapped[8:], base64text.encode(captured.ciphertext)])
    data = _VALUES.sub(lambda found: found[1] + next(values) + found[3], unsigned)
    digest = hashlib.sha256(data.removeprefix(_DECLARATION)).digest()
    signature = enveloped_signature(digest, signer, _NAMESPACES).encode()
    return replace(own, data=data.removesuffix(_END) + signature + _END)
