"""The key files in one vault's folder: their names, what is in them, what can be wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.contracts.errors import Explained, Temporary
from samdrift.contracts.hold import Hold


class KeyName(StrEnum):
    """The purpose of a key; a vault has at most one active key of each."""

    SIGNING = "signing"
    ENCRYPTION = "encryption"
    TLS_CLIENT = "tls-client"
    TLS_SERVER = "tls-server"
    ACCESS_POINT = "access-point"
    """Signs and decrypts AS4 for an access point."""

    LOG_SIGNING = "log-signing"
    """Signs what an organisation's log is proved by: checkpoints, exports, results of checks."""

    SIGN_IN_SIGNING = "sign-in-signing"
    """Signs requests to an organisation's SAML sign-in service."""

    SIGN_IN_ENCRYPTION = "sign-in-encryption"
    """Opens what that service encrypts for the organisation's pages."""


DECRYPTING = frozenset({KeyName.ENCRYPTION, KeyName.SIGN_IN_ENCRYPTION})
"""Keys that open what others encrypt, and sign nothing."""

KEY_NAMES = "|".join(KeyName)
"""Any of them, for the pattern of a file's name."""


class KeyFault(StrEnum):
    """Why the key store cannot do what it was asked, for programs to branch on."""

    LOCKED = "locked"
    BAD_NAME = "bad-name"
    WEAK = "weak"
    MISSING = "missing"
    MISMATCH = "mismatch"
    ACTIVE = "active"
    DAMAGED = "damaged"
    TAMPERED = "tampered"
    """Something lies below a vault's folder that the key store does not make: an alarm."""

    UNAVAILABLE = "unavailable"
    """A token cannot be reached now, or does not do its work."""


class KeyStoreError(Explained, ValueError):
    """A fault with a key, in words without secrets and without the vault's id."""

    def __init__(self, fault: KeyFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault
        self.text = self.cause = text


class HsmUnavailable(KeyStoreError, Temporary):
    """A token is not there, not unlocked, or fails: what it was asked for can be tried later."""

    hold = Hold.KEY


class KeyStoreAway(KeyStoreError, Temporary):
    """A folder of the key store is not there, as one that is not mounted: it is tried later."""

    hold = Hold.KEY
    reported = True

    def __init__(self, folder: str) -> None:
        super().__init__(KeyFault.MISSING, "the key store is not there now")
        self.cause = f"{folder}: there is no such folder"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One generation of a key: waiting (``.key``) or with its certificate (``.pem``)."""

    name: KeyName
    number: int
    installed: bool
    path: Path


def key_name(name: str) -> KeyName:
    """The key name that is spelled ``name``."""
    try:
        return KeyName(name)
    except ValueError:
        raise KeyStoreError(KeyFault.BAD_NAME, "not the name of a key") from None


def file_name(name: KeyName, number: int) -> str:
    """The name of the file of a key that waits for its certificate."""
    return f"{name}-{number:04d}.key"


def encode_key(key: rsa.RSAPrivateKey, password: bytes) -> bytes:
    """PKCS#8 PEM under ``password``."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )


def decode_key(data: bytes, password: bytes) -> rsa.RSAPrivateKey:
    """The private key in a key file.

    It was made here, so its primes are not tried again, which would take a sixth
    of a second for each key.
    """
    try:
        key = serialization.load_pem_private_key(data, password, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyStoreError(KeyFault.DAMAGED, "a key file cannot be read")
    return key


def encode_certificates(certificates: tuple[x509.Certificate, ...]) -> bytes:
    """Certificates one after the other in PEM, as a TLS library reads a chain."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def decode_certificate(data: bytes) -> x509.Certificate:
    """The key's own certificate: the first in a key file."""
    try:
        return x509.load_pem_x509_certificates(data)[0]
    except ValueError:
        raise KeyStoreError(KeyFault.DAMAGED, "a key file has no readable certificate") from None
