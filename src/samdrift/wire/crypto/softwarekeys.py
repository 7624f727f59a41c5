"""Private keys held in this process, behind the interfaces of :mod:`samdrift.wire.crypto.keys`.

The key material is passed in as objects or bytes: the key store decides where a key comes from, and no file
is read here.
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
        """Sign ``data`` with RSASSA-PKCS1-v1_5 and SHA-256."""
        return self._private_key.sign(data, padding.PKCS1v15(), hashes.SHA256())


class SoftwareDecryptionKey:
    """An RSA key that unwraps session keys, with its certificate."""

    remote = False

    def __init__(self, private_key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> None:
        self._private_key = private_key
        self.certificate = certificate

    def unwrap(self, wrapped: bytes, oaep: Oaep) -> bytes:
        """Unwrap a session key; raise :class:`WireError` (``DECRYPTION``) if that fails."""
        return unwrap(self._private_key, wrapped, oaep)


def unwrap(private_key: rsa.RSAPrivateKey, wrapped: bytes, oaep: Oaep) -> bytes:
    """Unwrap a session key with the private key; raise :class:`WireError` (``DECRYPTION``) if that fails."""
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
        """Sign ``data`` with ECDSA on P-256 and SHA-256; r and s have 32 bytes each (RFC 7518 3.4)."""
        numbers = decode_dss_signature(self._private_key.sign(data, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes(32, "big") for number in numbers)


class SoftwareLogKey:
    """An Ed25519 key that signs the checkpoints and promises of a log."""

    remote = False

    def __init__(self, private: bytes) -> None:
        """Create the key from its seed of 32 bytes (RFC 8032 5.1.5)."""
        self._private_key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._private_key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """Sign ``data`` with Ed25519 (RFC 8032 5.1.6)."""
        return self._private_key.sign(data)
