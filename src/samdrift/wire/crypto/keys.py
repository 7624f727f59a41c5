"""Interfaces of private keys, so that a key can be in a file or in an HSM."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from samdrift.wire.errors import WireError, WireFault

Random = Callable[[int], bytes]
"""Function that returns a given number of random bytes. The formats have no randomness of their own."""


class Oaep(StrEnum):
    """Variants of RSA-OAEP in the profiles: the hashes of digest and mask function, without a label."""

    SHA1 = "sha1"
    """Both SHA-1: ``rsa-oaep-mgf1p`` as in DIGG's example (envelope-profile-xhe 3.4.4.2 a)."""
    SHA256_MGF1_SHA1 = "sha256-mgf1-sha1"
    """Variant ``rsa-oaep-mgf1p`` with a peer's SHA-256 as the digest; the mask function stays SHA-1."""
    SHA256 = "sha256"
    """Both SHA-256: eDelivery AS4 common profile."""

    @property
    def padding(self) -> padding.OAEP:
        """The padding as an object of ``cryptography``."""
        digest = hashes.SHA1() if self is Oaep.SHA1 else hashes.SHA256()  # noqa: S303
        mask = hashes.SHA256() if self is Oaep.SHA256 else hashes.SHA1()  # noqa: S303
        return padding.OAEP(padding.MGF1(mask), digest, None)


class OaepNotOffered(WireError):
    """The holder of the private key does not support this variant of RSA-OAEP, for any session key."""

    def __init__(self) -> None:
        super().__init__(WireFault.ALGORITHM, "the key does not do RSA-OAEP with this digest")


class SigningKey(Protocol):
    """A private key that signs, with the certificate that identifies it to others."""

    @property
    def certificate(self) -> x509.Certificate: ...

    @property
    def remote(self) -> bool:
        """True if the key is used outside this process, which may be slow and may fail."""

    def sign(self, data: bytes) -> bytes:
        """Sign ``data`` with RSASSA-PKCS1-v1_5 and SHA-256."""


class DecryptionKey(Protocol):
    """A private key that unwraps session keys."""

    @property
    def certificate(self) -> x509.Certificate: ...

    @property
    def remote(self) -> bool:
        """True if the key is used outside this process, which may be slow and may fail."""

    def unwrap(self, wrapped: bytes, oaep: Oaep) -> bytes:
        """Unwrap a session key, or raise :class:`samdrift.wire.errors.WireError` (``DECRYPTION``).

        Raises :class:`OaepNotOffered` if the key does not support that variant at all.
        """


class LogKey(Protocol):
    """A private key that signs the statements of a log. Others identify it by its public key."""

    @property
    def public(self) -> bytes:
        """The public key in 32 bytes (RFC 8032 5.1.5)."""

    @property
    def remote(self) -> bool:
        """True if the key is used outside this process, which may be slow and may fail."""

    def sign(self, data: bytes) -> bytes:
        """Sign ``data`` with Ed25519 (RFC 8032 5.1.6)."""


class TokenKey(Protocol):
    """A private key that signs access tokens. It has no certificate: others identify it by its key id."""

    @property
    def public(self) -> ec.EllipticCurvePublicKey: ...

    def sign(self, data: bytes) -> bytes:
        """Sign ``data`` with ECDSA on P-256 and SHA-256; r and s have 32 bytes each (RFC 7518 3.4)."""
