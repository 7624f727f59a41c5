"""Opening of the key store that an installation's settings describe, and faults of the keys in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from samdrift.audit.operations import unexpected
from samdrift.keystore.hsm.locks import Hsm
from samdrift.keystore.hsm.module import Watch, unwatched
from samdrift.keystore.hsm.store import HsmKeyStore
from samdrift.keystore.hsm.unlocking import HsmUnlocker
from samdrift.keystore.interface import KeyStore
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.wrapping import ScryptCost
from samdrift.vault.errors import VaultLocked, VaultUnavailable
from samdrift.vault.settings import VaultSettings

_ALARMS = frozenset({KeyFault.DAMAGED, KeyFault.TAMPERED})
"""Faults of a vault's files, which the state of the key store as a whole does not show."""


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


def unreadable(error: KeyStoreError | OSError) -> VaultUnavailable:
    """Return the error for keys that cannot be read, with the cause for the operator."""
    why = (error.strerror or type(error).__name__).lower() if isinstance(error, OSError) else str(error)
    return VaultUnavailable(f"key store: {why}")


class KeyFaults:
    """Faults of vaults' keys, each of which concerns its own vault alone."""

    def __init__(self) -> None:
        self._alarm = unexpected("a vault's keys")

    @contextlib.contextmanager
    def of_vault(self) -> Iterator[None]:
        """Raise a fault as :class:`VaultLocked` or :class:`VaultUnavailable`; log damage and tampering."""
        try:
            yield
        except (KeyStoreError, OSError) as error:
            if isinstance(error, KeyStoreError):
                if error.fault is KeyFault.LOCKED:
                    raise VaultLocked from None
                if error.fault in _ALARMS:
                    self._alarm(error)
            raise unreadable(error) from None
