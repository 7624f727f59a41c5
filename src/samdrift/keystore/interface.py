"""The interface of every key store, for keys in encrypted files and for keys in an HSM.

A store has the keys of many vaults, each under the vault's random id, and of the operator itself. It
signs and unwraps without returning private keys: callers get certificate requests, signatures and
unwrapped session keys.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.keystore.backup import VaultBackup
from samdrift.keystore.keyfiles import KeyName
from samdrift.keystore.states import UNDECIDED, KeyState
from samdrift.keystore.witness import Witness
from samdrift.wire.crypto.keys import DecryptionKey, LogKey, SigningKey, TokenKey
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class DataKey:
    """One generation of a data key: 32 random bytes, and the number with which everything it seals begins."""

    number: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataKeys:
    """All generations of a vault's data key, the newest first; there is always at least one.

    The newest one seals what is written. Older ones stay as long as the vault, since what they have
    sealed still opens with them.
    """

    generations: tuple[DataKey, ...]

    @property
    def newest(self) -> DataKey:
        return self.generations[0]

    @property
    def first(self) -> DataKey:
        """Return the generation that makes the marks for searching, which never changes.

        A different mark would find nothing.
        """
        return self.generations[-1]


class LogKeyPlace(StrEnum):
    """The place of the key with which a vault's log is signed."""

    FILE = "file"
    """In a file, as all keys of the vault are."""
    HSM = "hsm"
    MOVABLE = "movable"
    """In a file that opens with the vault's HSM, which could make such a key: the next one is made there."""
    UNSUPPORTED = "unsupported"
    """In a file that opens with the vault's HSM, which cannot make keys of that kind (Ed25519)."""


OPERATOR_KEYS = "operator"
"""Folder of the key store for the operator's own keys: access point and server keys."""


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key in a vault. One without a certificate is waiting for it and is not used yet."""

    name: KeyName
    number: int
    certificate: x509.Certificate | None
    state: KeyState = UNDECIDED
    reason: str = ""
    """Reason for its revocation; empty if it was not revoked."""


class PlatformLogin(StrEnum):
    """A database login that belongs to no vault; its password is stored like a vault's keys.

    The value is the id under which it is stored. A process that is handed the key for that id alone
    (:meth:`KeyStore.unlock_key`) can log in with it and open no vault.
    """

    ADMINISTRATOR = "login-administrator"
    """Creates and drops vaults."""
    REGISTRY = "login-registry"
    """Reads which organisations are hosted, and writes the operator's log."""


class KeyStore(Protocol):
    """The keys of every vault; every method raises ``KeyStoreError`` with the fault that it names.

    Calls block, on a disk or on an HSM.
    """

    def create_key(
        self, vault: str, name: str, subject: x509.Name, bits: int = 3072, *, hosts: Sequence[str] = ()
    ) -> bytes:
        """Make a new RSA key and return its certificate request (PEM); the key waits for its certificate."""

    def create_certified_key(
        self,
        vault: str,
        name: str,
        subject: x509.Name,
        until: datetime,
        bits: int = 3072,
        *,
        active_from: datetime | None = None,
    ) -> x509.Certificate:
        """Make a new RSA key with a self-signed certificate until ``until``, and put it to use.

        This is for peers that know a key by the certificate that was handed to them, as in SAML, and check no
        issuer. ``active_from`` is as for :meth:`install_certificate`.
        """

    def install_certificate(
        self,
        vault: str,
        name: str,
        certificate: x509.Certificate,
        chain: tuple[x509.Certificate, ...] = (),
        active_from: datetime | None = None,
    ) -> None:
        """Put a waiting key to use with its certificate; ``MISMATCH`` if it belongs to no waiting key.

        ``chain`` is what a TLS peer needs in addition: the issuers, without the root. Until ``active_from``
        the previous key continues to sign; the new one decrypts immediately.
        """

    def import_key(
        self,
        vault: str,
        name: str,
        private_key: rsa.RSAPrivateKey,
        certificate: x509.Certificate,
        chain: tuple[x509.Certificate, ...] = (),
    ) -> int:
        """Put a key to use that was made elsewhere, with its certificate, and return its number.

        ``MISMATCH`` if they do not belong together, ``WEAK`` for a small key, ``ACTIVE`` if the vault's keys
        are made in an HSM. A key that is already stored with that certificate stays unchanged.
        """

    def waiting(self, vault: str, name: str) -> tuple[rsa.RSAPublicKey, ...]:
        """Return the keys that wait for their certificates."""

    def activate(self, vault: str, name: str, number: int, at: datetime) -> None:
        """Use a key from ``at`` on, in place of any time set before; ``MISSING`` if there is no such key."""

    def revoke(
        self, vault: str, name: str, number: int, reason: str, *, at: datetime, compromised: bool
    ) -> None:
        """Stop using a key for anything new, or for anything if compromised; ``MISSING`` if there is none."""

    def installed(self, vault: str, name: str) -> tuple[int, ...]:
        """Return the numbers of the usable keys, the one in use first, without opening any.

        They change whenever another key is to be used: with each rotation, and with time.
        """

    def signing_key(self, vault: str, name: str = KeyName.SIGNING) -> SigningKey:
        """Return the newest key whose time has come and that is not revoked; ``MISSING`` if there is none."""

    def signing_keys(self, vault: str, name: str = KeyName.SIGNING) -> tuple[SigningKey, ...]:
        """Return every key that is neither retired nor revoked, the one in use first."""

    def decryption_keys(self, vault: str, name: str = KeyName.ENCRYPTION) -> tuple[DecryptionKey, ...]:
        """Return every key with a certificate, neither retired nor compromised, the newest first."""

    def tls_client(self, vault: str) -> tuple[Path, str]:
        """Return file (key and certificates) and password of the client's TLS key, for an SSL context."""

    def tls_server(self, vault: str) -> tuple[Path, str]:
        """Return file (key and certificates) and password of the server's TLS key, for an SSL context."""

    def tls_servers(self, vault: str) -> tuple[tuple[Path, str], ...]:
        """Return the same as :meth:`tls_server` for every usable server key, the one in use first."""

    def begin(self, vault: str, organisation: ParticipantIdentifier | None = None) -> None:
        """Make a vault's first data key; do nothing if there is one.

        ``organisation`` decides where the vault's keys will be stored.
        """

    def data_keys(self, vault: str) -> DataKeys:
        """Return the vault's data keys; ``MISSING`` before :meth:`begin`."""

    def rotate_data_key(self, vault: str) -> None:
        """Make a new generation of the data key, which seals everything from now on, in every process."""

    def has_data_key(self, vault: str) -> bool:
        """Return whether the vault's content can be read here, possibly only after it is unlocked.

        It cannot be read again once the vault's keys are destroyed.
        """

    def state(self, vault: str) -> Hashable:
        """Return a value that changes with the vault's data keys or lock; cheap enough for every opening."""

    def token_keys(self, vault: str, today: date) -> tuple[TokenKey, ...]:
        """Return the signing keys of access tokens, the newest first; created and replaced automatically."""

    def renew_token_keys(self, vault: str, today: date) -> None:
        """Make and remove keys that sign access tokens, as far as that is due."""

    def log_keys(self, vault: str) -> tuple[LogKey, ...]:
        """Return the keys that sign the vault's log, the newest first; one is made on first use.

        It is made in the vault's HSM, if that makes keys of that kind (:meth:`log_key_place`).
        """

    def make_log_key(self, vault: str) -> None:
        """Make the key that signs the vault's log, if there is none."""

    def renew_log_key(self, vault: str) -> None:
        """Make a new key that signs the vault's log from now on; the former key announces it."""

    def log_key_place(self, vault: str) -> LogKeyPlace:
        """Return the place where the key that signs the vault's log is, or will be made.

        ``UNAVAILABLE`` if an HSM has to be asked and does not answer.
        """

    def login_password(self, login: PlatformLogin) -> str:
        """Return the password of a login that belongs to no vault; a random one is made on first use."""

    def login_passwords(self, login: PlatformLogin) -> tuple[str, ...]:
        """Return the passwords stored so far, the newest first, without making one."""

    def keep_login_password(self, login: PlatformLogin, password: str) -> None:
        """Store a password as the newest; older ones stay, in case the change is interrupted."""

    def keys(self, vault: str) -> tuple[HeldKey, ...]:
        """List the vault's keys for display: by name, the newest first."""

    def retire(self, vault: str, name: str, number: int) -> None:
        """Remove a key permanently, even one without a certificate; the one in use stays (``ACTIVE``)."""

    def rewrap(self, vault: str) -> None:
        """Wrap everything of the vault again under a new secret, while other processes continue."""

    def relock(self, vault: str, officer: bytes | None) -> None:
        """Lock the vault with its officer's passphrase, or, without one, make it open without an officer."""

    def in_token(self, vault: str) -> bool:
        """Return whether the vault opens with its organisation's HSM, in which its keys are made."""

    def use_hsm(self, vault: str, organisation: ParticipantIdentifier) -> None:
        """Lock the vault with the organisation's HSM, in which its keys are made from now on.

        ``MISSING`` if the configuration has none for it.
        """

    def unlock(self, vault: str, passphrase: bytes) -> None:
        """Accept the officer's passphrase or PIN, in memory alone; do nothing if the vault needs none.

        ``LOCKED`` if it is wrong.
        """

    def pin(self, vault: str) -> str | None:
        """Return the PIN of the vault's HSM, for a process of this vault alone; ``None`` without one."""

    def locked(self, vault: str) -> bool:
        """Return whether the vault waits for its organisation's officer, so that its keys are ``LOCKED``."""

    def unlock_key(self, vault: str) -> bytes:
        """Return the key that opens this vault and no other, for a process that serves it alone.

        ``LOCKED`` while the vault waits for its officer.
        """

    def back_up(self, vault: str) -> VaultBackup:
        """Return a backup of the vault, even while it waits for its officer."""

    def restore(self, backup: VaultBackup, officer: bytes | None = None) -> None:
        """Restore a vault after the loss of its keys or its seal; ``ACTIVE`` if neither is lost.

        ``officer`` is the passphrase of its organisation's officer, if one unlocks it.
        """

    def witness(self, vault: str) -> Witness | None:
        """Return the last mark of a session key that this key store has for the vault, if any."""

    def keep_witness(self, vault: str, witness: Witness) -> None:
        """Store that mark as the vault's last one."""

    def head(self, vault: str, record: str) -> bytes | None:
        """Return the sealed head of a record that only grows (:mod:`samdrift.vault.heads`), if any."""

    def move_head(
        self, vault: str, record: str, sealed: bytes, moves: Callable[[bytes | None], bool]
    ) -> None:
        """Replace the head of a record if ``moves`` says, of the present one, that it moves forward."""

    def forget(self, vault: str) -> None:
        """Remove the vault's keys from memory; if they still exist, they are read again when used."""

    def destroy(self, vault: str) -> None:
        """Make everything that the vault's keys protect unreadable for good, even in earlier copies."""
