"""The keys of a vault as facts: which there are, or why that cannot be told."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from samdrift.keystore.interface import HeldKey, KeyStore
from samdrift.keystore.keyfiles import KeyName, KeyStoreError
from samdrift.wire.crypto.certificates import fingerprint


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """The keys of a vault, by name, the newest first; or why they cannot be told."""

    keys: tuple[HeldKey, ...] = ()
    problem: str = ""

    def of(self, name: KeyName) -> tuple[HeldKey, ...]:
        return tuple(one for one in self.keys if one.name is name)

    def certificates(self, name: KeyName) -> tuple[x509.Certificate, ...]:
        """Those of keys that are used, or will be: not of revoked ones."""
        good = (one for one in self.of(name) if not (one.state.revoked or one.state.compromised))
        return tuple(one.certificate for one in good if one.certificate is not None)


def held_keys(store: KeyStore, vault: str) -> HeldKeys:
    """What ``vault`` holds; a vault that is locked keeps it for itself."""
    try:
        return HeldKeys(store.keys(vault))
    except KeyStoreError as error:
        return HeldKeys(problem=error.text)


def sha256(key: HeldKey) -> str | None:
    """The fingerprint of its certificate, as others know the key by."""
    return fingerprint(key.certificate) if key.certificate is not None else None
