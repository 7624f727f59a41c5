"""Opens vaults that are locked with a token: by root key and seal as ever, and what the token computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from samdrift.keystore.hsm.locks import Hsm
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.keystore.unlocking import RootUnlocker
from samdrift.keystore.wrapping import Lock, ScryptCost, sealed


class HsmUnlocker(RootUnlocker):
    """Opens every vault of an installation; of some it has to ask their token, once.

    What the token has computed stays in this process's memory: a token that is
    taken away stops signing and decrypting at once, and opens nothing after a restart.
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
        """A new seal for the vault, and the key that opens what is locked by it and the token."""
        lock, key = self.new_lock(vault)
        lock = replace(lock, token=token)
        return lock, self._with_token(vault, lock, key)

    def unlock(self, vault: str, passphrase: bytes) -> None:
        """Take an officer's passphrase, or the PIN of the vault's token."""
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
