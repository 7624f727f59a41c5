"""The key store of an installation, as its settings ask for it."""

from __future__ import annotations

from samdrift.vault.keys.software import SoftwareKeyStore
from samdrift.vault.keys.store import KeyStore
from samdrift.vault.keys.unlocking import RootUnlocker
from samdrift.vault.keys.wrapping import ScryptCost
from samdrift.vault.settings import VaultSettings


def open_keys(settings: VaultSettings, *, cost: ScryptCost | None = None) -> KeyStore:
    """Open the key store, or create a new one; ``KeyStoreError`` (``LOCKED``) with the wrong passphrase.

    ``cost`` of passphrases is for what is made here; what exists keeps its own.
    """
    unlocker = RootUnlocker(settings.secrets, settings.seals, settings.passphrase, cost=cost)
    return SoftwareKeyStore(settings.secrets, unlocker)
