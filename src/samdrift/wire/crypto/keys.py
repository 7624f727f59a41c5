"""Interfaces of private keys for the formats, so that a key can be in a file or in an HSM."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from samdrift.wire.errors import WireError, WireFault

Random = Callable[[int], bytes]
"""Returns a number of random bytes. The formats have no randomness of their own."""


class Oaep(StrEnum):
    """RSA-OAEP as the profiles use it: the hash for the digest and for the mask function, no label."""

    SHA1 = "sha1"
    """Both SHA-1: ``rsa-oaep-mgf1p`` as DIGG's example has it (envelope-profile-xhe 3.4.4.2 a)."""
    SHA256_MGF1_SHA1 = "sha256-mgf1-sha1"
    """``rsa-oaep-mgf1p`` from a peer that names SHA-256 as its digest; the mask function stays SHA-1."""
    SHA256 = "sha256"
    """Both SHA-256: eDelivery AS4 common profile."""

    @property
    def padding(self) -> padding.OAEP:
        """The scheme as ``cryptography`` takes it."""
        digest = hashes.SHA1() if self is Oaep.SHA1 else hashes.SHA256()  # noqa: S303
        mask = hashes.SHA256() if self is Oaep.SHA256 else hashes.SHA1()  # noqa: S303
        return padding.OAEP(padding.MGF1(mask), digest, None)


class OaepNotOffered(WireError):
    """The holder of the private key does not support this form of RSA-OAEP, whatever it wraps."""

    def __init__(self) -> None:
        super().__init__(WireFault.ALGORITHM, "the key does not do RSA-OAEP with this digest")


class SigningKey(Protocol):
    """A private key that signs, with the certificate that others know it by."""

    @property
    def certificate(self) -> x509.Certificate: ...

    @property
    def remote(self) -> bool:
        """Return whether it is used elsewhere than in this process, which may take its time and may fail."""

    def sign(self, data: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256 over ``data``."""


class DecryptionKey(Protocol):
    """A private key that unwraps session keys."""

    @property
    def certificate(self) -> x509.Certificate: ...

    @property
    def remote(self) -> bool:
        """Return whether it is used elsewhere than in this process, which may take its time and may fail."""

    def unwrap(self, wrapped: bytes, oaep: Oaep) -> bytes:
        """The session key; :class:`samdrift.wire.errors.WireError` (``DECRYPTION``) when it does not open.

        :class:`OaepNotOffered` where the key does not do that form at all.
        """


class LogKey(Protocol):
    """A private key that signs what a log states of itself. Others know it by its public half."""

    @property
    def public(self) -> bytes:
        """The public key in 32 bytes (RFC 8032 5.1.5)."""

    @property
    def remote(self) -> bool:
        """Return whether it is used elsewhere than in this process, which may take its time and may fail."""

    def sign(self, data: bytes) -> bytes:
        """Ed25519 over ``data`` (RFC 8032 5.1.6)."""


class TokenKey(Protocol):
    """A private key that signs access tokens. It has no certificate: others identify it by its number."""

    @property
    def public(self) -> ec.EllipticCurvePublicKey: ...

    def sign(self, data: bytes) -> bytes:
        """ECDSA on P-256 with SHA-256 over ``data``, both numbers in 32 bytes each (RFC 7518 3.4)."""
