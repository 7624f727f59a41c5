"""Opening of the key store that an installation's settings describe."""

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
    """Open the key store; ``KeyStoreError`` (``LOCKED``) for a wrong passphrase.

    A missing key store is an error (``MISSING``) unless ``begin`` asks to create one: a command that only
    reads leaves nothing behind at a path that is mistyped or not mounted. ``cost`` is the cost of
    passphrases for what is created here; what exists keeps its own. ``watch`` is notified when an HSM
    cannot be used, and when it can be used again.
    """
    folder, seals, passphrase = settings.secrets, settings.seals, settings.passphrase
    tokens = Hsm(settings.tokens, watch)
    return HsmKeyStore(folder, HsmUnlocker(folder, seals, passphrase, tokens, begin=begin, cost=cost), tokens)
