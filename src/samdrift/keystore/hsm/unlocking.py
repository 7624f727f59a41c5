"""Unlocking of vaults that are locked with an HSM, by root key, seal, and a value that the HSM computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from samdrift.keystore.hsm.locks import Hsm
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.unlocking import RootUnlocker
from samdrift.keystore.wrapping import Lock, ScryptCost, sealed


class HsmUnlocker(RootUnlocker):
    """An unlocker of every vault of an installation, which for some vaults has to ask their HSM, once.

    The value that an HSM has computed stays in this process's memory. An HSM that is taken away stops
    signing and decrypting immediately, and its vault does not open after a restart.
    """

    def __init__(
        self,
        folder: Path,
        seals: Path,
        passphrase: bytes,
        tokens: Hsm,
        *,
        begin: bool = True,
        cost: ScryptCost | None = None,
    ) -> None:
        super().__init__(folder, seals, passphrase, begin=begin, cost=cost)
        self._tokens = tokens
        self._opened: dict[str, tuple[Lock, bytes]] = {}

    def key(self, vault: str) -> bytes:
        """Return the key as for every vault; ``LOCKED`` without the PIN, ``UNAVAILABLE`` without the HSM."""
        lock = self._locked(vault).lock
        if not lock.token:
            return super().key(vault)
        known, key = self._opened.get(vault, (None, b""))
        if known != lock:
            key = self._with_token(vault, lock, super().key(vault))
        return key

    def hsm_lock(self, vault: str, token: str) -> tuple[Lock, bytes]:
        """Return a lock made of a new seal and the HSM, and the key that opens what is locked with it."""
        lock, key = self.new_lock(vault)
        lock = replace(lock, token=token)
        return lock, self._with_token(vault, lock, key)

    def unlock(self, vault: str, passphrase: bytes) -> None:
        """Accept an officer's passphrase, or the PIN of the vault's HSM."""
        token = self._locked(vault).lock.token
        if not token:
            super().unlock(vault, passphrase)
            return
        try:
            pin = passphrase.decode()
        except UnicodeDecodeError:
            raise KeyStoreError(KeyFault.LOCKED, "a PIN is text in UTF-8") from None
        self._tokens.token(token).unlock(pin)

    def forget(self, vault: str, *, but: Lock | None = None) -> None:
        """Forget the key as for every vault, and what its HSM has computed."""
        super().forget(vault, but=but)
        known = self._opened.get(vault)
        if known is not None and known[0] != but:
            del self._opened[vault]

    def _with_token(self, vault: str, lock: Lock, key: bytes) -> bytes:
        key = sealed(key + self._tokens.open(vault, lock.token), b"token", vault)
        self._opened[vault] = (lock, key)
        return key
