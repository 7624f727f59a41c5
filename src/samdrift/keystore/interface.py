"""The interface of every key store: for keys in encrypted files and for keys in an HSM.

A store holds the keys of many vaults, each under the vault's random id, and of
the operator itself. Nothing here gives a private key away: what comes out is a
certificate request, a signature, an unwrapped session key.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
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
    """One generation: 32 random bytes, and the number that everything begins with that is sealed by them."""

    number: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataKeys:
    """Every generation that a vault has, the newest first; never none.

    What is written is sealed by the newest. Older ones stay as long as the
    vault, for what they sealed still opens by them.
    """

    generations: tuple[DataKey, ...]

    @property
    def newest(self) -> DataKey:
        return self.generations[0]

    @property
    def first(self) -> DataKey:
        """Return the generation that marks rows for searching, for ever: a changed mark would find
        nothing.
        """
        return self.generations[-1]


class LogKeyPlace(StrEnum):
    """The place of the key that a vault's log is signed with."""

    FILE = "file"
    """In a file, as all keys of the vault."""
    HSM = "hsm"
    MOVABLE = "movable"
    """In a file that opens with the vault's HSM, which could have made it: the next one is made there."""
    UNSUPPORTED = "unsupported"
    """In a file that opens with the vault's HSM, which makes no keys of that kind (Ed25519)."""


OPERATOR_KEYS = "operator"
"""The folder of the key store for what belongs to the operator itself: access point and server keys."""


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key that a vault has; without a certificate it waits for one and is not used."""

    name: KeyName
    number: int
    certificate: x509.Certificate | None
    state: KeyState = UNDECIDED
    reason: str = ""
    """Why it was revoked, if it was."""


class PlatformLogin(StrEnum):
    """A login of the database that belongs to no vault; its password is kept like a vault's keys.

    The value is the id under which that is: who is handed the key of that one
    alone (:meth:`KeyStore.unlock_key`) can log in by it and open no vault.
    """

    ADMINISTRATOR = "login-administrator"
    """Makes and drops vaults."""
    REGISTRY = "login-registry"
    """Reads who is hosted, and writes the operator's log."""


class KeyStore(Protocol):
    """The keys of every vault. Every method raises ``KeyStoreError``, with the fault that it names.

    Calls block: on a disk, or on a token.
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
        """Make a new RSA key with a certificate until ``until`` that it signs itself, and put it to use.

        For peers that know a key by what they were handed, as those of SAML do, and ask no issuer.
        ``active_from`` is as for :meth:`install_certificate`.
        """

    def install_certificate(
        self,
        vault: str,
        name: str,
        certificate: x509.Certificate,
        chain: tuple[x509.Certificate, ...] = (),
        active_from: datetime | None = None,
    ) -> None:
        """Put a waiting key to use with its certificate; ``MISMATCH`` when no waiting key is its own.

        ``chain`` is what a TLS peer needs besides: the issuers, without the root.
        Until ``active_from`` the key before it goes on signing; it decrypts at once.
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

        ``MISMATCH`` when they do not belong together, ``WEAK`` for a small key, ``ACTIVE`` where keys are
        made in a token. One that is there with that certificate already stays unchanged.
        """

    def waiting(self, vault: str, name: str) -> tuple[rsa.RSAPublicKey, ...]:
        """The keys that wait for their certificates."""

    def activate(self, vault: str, name: str, number: int, at: datetime) -> None:
        """Have a key used from ``at``, instead of what was decided before; ``MISSING`` when there is none."""

    def revoke(
        self, vault: str, name: str, number: int, reason: str, *, at: datetime, compromised: bool
    ) -> None:
        """Have a key used for nothing new, or, compromised, for nothing; ``MISSING`` when there is none."""

    def installed(self, vault: str, name: str) -> tuple[int, ...]:
        """The numbers of the keys that are used, the one in use first, without opening any.

        They change whenever another key is to be used: with each rotation, and with time.
        """

    def signing_key(self, vault: str, name: str = KeyName.SIGNING) -> SigningKey:
        """The newest key whose time has come and that is not revoked; ``MISSING`` when there is none."""

    def signing_keys(self, vault: str, name: str = KeyName.SIGNING) -> tuple[SigningKey, ...]:
        """Every key that is neither retired nor revoked, the one in use first."""

    def decryption_keys(self, vault: str, name: str = KeyName.ENCRYPTION) -> tuple[DecryptionKey, ...]:
        """Every key with a certificate that is neither retired nor compromised, the newest first."""

    def tls_client(self, vault: str) -> tuple[Path, str]:
        """The file (key and certificates) and password of the client's key, for an SSL context."""

    def tls_server(self, vault: str) -> tuple[Path, str]:
        """The file (key and certificates) and password of the server's key, for an SSL context."""

    def tls_servers(self, vault: str) -> tuple[tuple[Path, str], ...]:
        """Return what :meth:`tls_server` does, for each server key that is used, the one in use first."""

    def begin(self, vault: str, organisation: ParticipantIdentifier | None = None) -> None:
        """Make a vault's first data key; nothing happens when there is one.

        Whose vault it is says where its keys will live.
        """

    def data_keys(self, vault: str) -> DataKeys:
        """Return the vault's data keys; ``MISSING`` before :meth:`begin`."""

    def rotate_data_key(self, vault: str) -> None:
        """Make a new generation, by which everything is sealed from now on, in every process."""

    def has_data_key(self, vault: str) -> bool:
        """Return whether the vault's content can be read here, perhaps once it is unlocked.

        Never again once its keys are destroyed.
        """

    def state(self, vault: str) -> Hashable:
        """Return a value that changes with the vault's data keys or lock; cheap enough for every opening."""

    def token_keys(self, vault: str, today: date) -> tuple[TokenKey, ...]:
        """Return the signing keys of access tokens, the newest first; created and replaced automatically."""

    def renew_token_keys(self, vault: str, today: date) -> None:
        """Make and remove keys that access tokens are signed with, as far as that is due."""

    def log_keys(self, vault: str) -> tuple[LogKey, ...]:
        """Return the keys that the vault's log is signed with, the newest first; one is made on first use.

        In the vault's HSM, where it has one that makes keys of that kind (:meth:`log_key_place`).
        """

    def make_log_key(self, vault: str) -> None:
        """Make the key that the vault's log is signed with, where there is none."""

    def renew_log_key(self, vault: str) -> None:
        """Make another key that the vault's log is signed with from now on; the former one announces it."""

    def log_key_place(self, vault: str) -> LogKeyPlace:
        """Return where the key is that the vault's log is signed with, or will be made.

        ``UNAVAILABLE`` where an HSM has to be asked and does not answer.
        """

    def login_password(self, login: PlatformLogin) -> str:
        """The password of a login that belongs to no vault; a random one is made on first use."""

    def login_passwords(self, login: PlatformLogin) -> tuple[str, ...]:
        """Return the passwords that were kept so far, the newest first; make none."""

    def keep_login_password(self, login: PlatformLogin, password: str) -> None:
        """Keep a password as the newest; older ones stay, for a change that is cut short."""

    def keys(self, vault: str) -> tuple[HeldKey, ...]:
        """List the vault's keys for people: by name, the newest first."""

    def retire(self, vault: str, name: str, number: int) -> None:
        """Remove a key permanently, including one that waits; the one in use stays (``ACTIVE``)."""

    def rewrap(self, vault: str) -> None:
        """Wrap everything of the vault again under a new secret, while other processes go on."""

    def relock(self, vault: str, officer: bytes | None) -> None:
        """Have the vault unlocked by its organisation's officer, with this passphrase, or by nobody."""

    def in_token(self, vault: str) -> bool:
        """Return whether the vault opens with its organisation's token, in which its keys are made."""

    def use_hsm(self, vault: str, organisation: ParticipantIdentifier) -> None:
        """Have the vault opened by the organisation's token, in which its keys are made from now on.

        ``MISSING`` when the configuration has none for it.
        """

    def unlock(self, vault: str, passphrase: bytes) -> None:
        """Take the officer's passphrase or PIN, in memory alone; nothing happens when the vault needs none.

        ``LOCKED`` when it is not the one.
        """

    def pin(self, vault: str) -> str | None:
        """The PIN of the vault's token, for a process that is for this vault alone; ``None`` without one."""

    def locked(self, vault: str) -> bool:
        """Return whether the vault waits for its organisation's officer; using its keys is ``LOCKED``."""

    def unlock_key(self, vault: str) -> bytes:
        """Return the key that opens this vault and no other, for a process that serves it alone;
        ``LOCKED``.
        """

    def back_up(self, vault: str) -> VaultBackup:
        """Return a backup of the vault, even while it waits for its officer."""

    def restore(self, backup: VaultBackup, officer: bytes | None = None) -> None:
        """Bring the vault back where its keys or its seal are lost; ``ACTIVE`` where they are not.

        ``officer`` is the passphrase of its organisation's officer, where one unlocks it.
        """

    def witness(self, vault: str) -> Witness | None:
        """The last mark of a session key that was kept for the vault, as this key store knows."""

    def keep_witness(self, vault: str, witness: Witness) -> None:
        """Know that mark as the last one."""

    def forget(self, vault: str) -> None:
        """Keep no key of the vault in memory; where it is still there, it is read again when it is used."""

    def destroy(self, vault: str) -> None:
        """Make everything that the vault's keys protect unreadable, for good, even in copies made before."""
