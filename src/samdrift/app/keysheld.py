"""The keys of a vault as people are told of them: which there are, for how long, by which fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from samdrift.vault.keys.files import KeyName, KeyStoreError
from samdrift.vault.keys.store import KeyStore


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """One key; without a certificate it waits for one."""

    name: KeyName
    number: int
    certificate: x509.Certificate | None = None

    @property
    def until(self) -> datetime | None:
        return self.certificate.not_valid_after_utc if self.certificate else None

    @property
    def sha256(self) -> str | None:
        """The fingerprint of the certificate, as others know the key by."""
        return self.certificate.fingerprint(hashes.SHA256()).hex() if self.certificate else None


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """The keys of a vault, by name, the newest first; or why they cannot be told."""

    keys: tuple[KeyFacts, ...] = ()
    problem: str = ""

    def of(self, name: KeyName) -> tuple[KeyFacts, ...]:
        return tuple(one for one in self.keys if one.name is name)


def held_keys(store: KeyStore, vault: str) -> HeldKeys:
    """What ``vault`` holds; a vault that is locked keeps it for itself."""
    try:
        return HeldKeys(tuple(KeyFacts(one.name, one.number, one.certificate) for one in store.keys(vault)))
    except KeyStoreError as error:
        return HeldKeys(problem=error.text)
