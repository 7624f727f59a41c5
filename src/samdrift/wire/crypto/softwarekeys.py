"""Private keys held in this process, behind the interfaces of :mod:`samdrift.wire.crypto.keys`.

They hold numbers in memory and read no file: where a key comes from is for the
key store to say.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from samdrift.wire.crypto.keys import Oaep
from samdrift.wire.errors import WireError, WireFault


class SoftwareSigningKey:
    """An RSA key that signs, with its certificate."""

    remote = False

    def __init__(self, private_key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> None:
        self._private_key = private_key
        self.certificate = certificate

    def sign(self, data: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256 over ``data``."""
        return self._private_key.sign(data, padding.PKCS1v15(), hashes.SHA256())


class SoftwareDecryptionKey:
    """An RSA key that unwraps session keys, with its certificate."""

    remote = False

    def __init__(self, private_key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> None:
        self._private_key = private_key
        self.certificate = certificate

    def unwrap(self, wrapped: bytes, oaep: Oaep) -> bytes:
        """The session key; :class:`WireError` (``DECRYPTION``) when it does not open."""
        return unwrap(self._private_key, wrapped, oaep)


def unwrap(private_key: rsa.RSAPrivateKey, wrapped: bytes, oaep: Oaep) -> bytes:
    """Return the session key; :class:`WireError` (``DECRYPTION``) when the private key does not open it."""
    try:
        return private_key.decrypt(wrapped, oaep.padding)
    except ValueError:
        raise WireError(WireFault.DECRYPTION, "cannot be decrypted") from None


class SoftwareTokenKey:
    """A P-256 key that signs access tokens."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        self._private_key = private_key
        self.public = private_key.public_key()

    def sign(self, data: bytes) -> bytes:
        """ECDSA on P-256 with SHA-256 over ``data``, both numbers in 32 bytes each (RFC 7518 3.4)."""
        numbers = decode_dss_signature(self._private_key.sign(data, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes(32, "big") for number in numbers)


class SoftwareLogKey:
    """An Ed25519 key that signs checkpoints and promises of a log."""

    remote = False

    def __init__(self, private: bytes) -> None:
        """``private`` is the seed of 32 bytes (RFC 8032 5.1.5)."""
        self._private_key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._private_key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """Ed25519 over ``data`` (RFC 8032 5.1.6)."""
        return self._private_key.sign(data)
