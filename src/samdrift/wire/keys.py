"""What the formats ask of a private key, so that it can live in a file or in an HSM."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from cryptography import x509

Random = Callable[[int], bytes]
"""Gives so many random bytes. The formats have no randomness of their own."""


class Oaep(StrEnum):
    """RSA-OAEP as the profiles use it: digest and mask function with the same hash, no label."""

    SHA1 = "sha1"
    """Envelope profile 3.4.4.2: ``rsa-oaep-mgf1p``."""
    SHA256 = "sha256"
    """eDelivery AS4 common profile: MGF1-SHA256 and SHA-256."""


class SigningKey(Protocol):
    """A private key that signs, with the certificate that others know it by."""

    @property
    def certificate(self) -> x509.Certificate: ...

    def sign(self, data: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256 over ``data``."""


class DecryptionKey(Protocol):
    """A private key that unwraps session keys."""

    @property
    def certificate(self) -> x509.Certificate: ...

    def unwrap(self, wrapped: bytes, oaep: Oaep) -> bytes:
        """The session key; :class:`samdrift.wire.errors.WireError` (``DECRYPTION``) when it does not open."""
