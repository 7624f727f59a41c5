"""The key store of an installation, as its settings ask for it."""

from __future__ import annotations

from samdrift.keystore.hsm.locks import Hsm
from samdrift.keystore.hsm.module import Watch, unwatched
from samdrift.keystore.hsm.store import HsmKeyStore
from samdrift.keystore.hsm.unlocking import HsmUnlocker
from samdrift.keystore.interface import KeyStore
from samdrift.keystore.wrapping import ScryptCost
from samdrift.vault.settings import VaultSettings


def open_keys(
    settings: VaultSettings,
    *,
    begin: bool = False,
    cost: ScryptCost | None = None,
    watch: Watch = unwatched,
) -> KeyStore:
    """Open the key store; ``KeyStoreError`` (``LOCKED``) with the wrong passphrase.

    Where there is none it is ``MISSING``, unless ``begin`` says to create one: a command that only
    reads, with a path that is mistyped or not mounted, leaves nothing behind. ``cost`` of passphrases
    is for what is made here; what exists keeps its own. ``watch`` hears of tokens in HSMs that are gone.
    """
    folder, seals, passphrase = settings.secrets, settings.seals, settings.passphrase
    tokens = Hsm(settings.tokens, watch)
    return HsmKeyStore(folder, HsmUnlocker(folder, seals, passphrase, tokens, begin=begin, cost=cost), tokens)
