"""The key store of an installation, as its settings ask for it."""

from __future__ import annotations

from samdrift.vault.keys.software import SoftwareKeyStore
from samdrift.vault.keys.store import KeyStore
from samdrift.vault.settings import VaultSettings


def open_keys(settings: VaultSettings) -> KeyStore:
    """Open the key store, or create a new one; ``KeyStoreError`` (``LOCKED``) with the wrong passphrase."""
    return SoftwareKeyStore(settings.secrets, settings.passphrase)
