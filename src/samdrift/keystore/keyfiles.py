"""Key files in a vault's folder: their names, their contents, and faults."""

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
    """Signs the proofs of an organisation's log: checkpoints, exports, results of checks."""

    SIGN_IN_SIGNING = "sign-in-signing"
    """Signs requests to an organisation's SAML sign-in service."""

    SIGN_IN_ENCRYPTION = "sign-in-encryption"
    """Decrypts what that sign-in service encrypts for the organisation's pages."""


DECRYPTING = frozenset({KeyName.ENCRYPTION, KeyName.SIGN_IN_ENCRYPTION})
"""Keys that decrypt what other parties encrypt, and sign nothing."""

KEY_NAMES = "|".join(KeyName)
"""Pattern for any of these names, as part of a file's name."""


class KeyFault(StrEnum):
    """Reasons why the key store cannot do what it was asked, for programs to branch on."""

    LOCKED = "locked"
    BAD_NAME = "bad-name"
    WEAK = "weak"
    MISSING = "missing"
    MISMATCH = "mismatch"
    ACTIVE = "active"
    DAMAGED = "damaged"
    TAMPERED = "tampered"
    """A file or folder below a vault's folder that the key store does not make: an alarm."""

    UNAVAILABLE = "unavailable"
    """An HSM that cannot be reached now, or fails."""


class KeyStoreError(Explained, ValueError):
    """A fault with a key; its text contains neither secrets nor the vault's id."""

    def __init__(self, fault: KeyFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault
        self.text = self.cause = text


class HsmUnavailable(KeyStoreError, Temporary):
    """An HSM that is missing, not unlocked, or failing; the operation can be tried again later."""

    hold = Hold.KEY


class KeyStoreAway(KeyStoreError, Temporary):
    """A folder of the key store that is missing, such as one that is not mounted; to be tried again later."""

    hold = Hold.KEY
    reported = True

    def __init__(self, folder: str) -> None:
        super().__init__(KeyFault.MISSING, "the key store is not available now")
        self.cause = f"{folder}: there is no such folder"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One generation of a key: waiting (``.key``) or with its certificate (``.pem``)."""

    name: KeyName
    number: int
    installed: bool
    path: Path


def key_name(name: str) -> KeyName:
    """Return the key name that is spelled ``name``; ``BAD_NAME`` if there is none."""
    try:
        return KeyName(name)
    except ValueError:
        raise KeyStoreError(KeyFault.BAD_NAME, "not the name of a key") from None


def file_name(name: KeyName, number: int) -> str:
    """Return the file name of a key that waits for its certificate."""
    return f"{name}-{number:04d}.key"


def encode_key(key: rsa.RSAPrivateKey, password: bytes) -> bytes:
    """Return a key as PKCS#8 PEM, encrypted with ``password``."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )


def decode_key(data: bytes, password: bytes) -> rsa.RSAPrivateKey:
    """Return the private key in a key file.

    The key was made here, so its primes are not tested again, which would take a sixth of a second for
    each key.
    """
    try:
        key = serialization.load_pem_private_key(data, password, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyStoreError(KeyFault.DAMAGED, "a key file cannot be read")
    return key


def encode_certificates(certificates: tuple[x509.Certificate, ...]) -> bytes:
    """Return certificates one after the other in PEM, as a TLS library reads a chain."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def decode_certificate(data: bytes) -> x509.Certificate:
    """Return the key's own certificate, which is the first one in a key file."""
    try:
        return x509.load_pem_x509_certificates(data)[0]
    except ValueError:
        raise KeyStoreError(KeyFault.DAMAGED, "a key file has no readable certificate") from None
