"""Choice of the key of a vault for each use, by number, time, and decisions about the keys.

This is the same for keys in files and keys in HSMs; a store provides its keys and the means to use
each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from samdrift.keystore import vaultfolder
from samdrift.keystore.heads import move_head, read_head
from samdrift.keystore.interface import HeldKey
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError, key_name
from samdrift.keystore.states import UNDECIDED, KeyState, KeyStates, in_use, opening, usable
from samdrift.keystore.vaultfolder import Values
from samdrift.keystore.witness import Witness, marks_folder, read_witness, write_witness
from samdrift.wire.crypto.keys import DecryptionKey, SigningKey


def now() -> datetime:
    return datetime.now(UTC)


class KeyChoice(ABC):
    """The part of a key store that handles numbered keys."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._unchanged = vaultfolder.Unchanged()

    def witness(self, vault: str) -> Witness | None:
        """Return the last mark of a session key that this key store has for the vault, if any."""
        return read_witness(self._marks_folder(vault))

    def keep_witness(self, vault: str, witness: Witness) -> None:
        """Store that mark as the vault's last one."""
        write_witness(self._marks_folder(vault), witness)

    def head(self, vault: str, record: str) -> bytes | None:
        """Return the sealed head of a vault's record, if there is one."""
        return read_head(self._marks_folder(vault), record)

    def move_head(
        self, vault: str, record: str, sealed: bytes, moves: Callable[[bytes | None], bool]
    ) -> None:
        """Replace the head of a vault's record if ``moves`` says so of the present one."""
        move_head(self._marks_folder(vault), record, sealed, moves)

    def _marks_folder(self, vault: str) -> Path:
        return marks_folder(self._vault_folder(vault).parent, vault)

    def activate(self, vault: str, name: str, number: int, at: datetime) -> None:
        """Use a key from ``at`` on, in place of any time set before; ``MISSING`` if there is no such key."""
        key = key_name(name)
        with vaultfolder.writing(self._vault_folder(vault)):
            self._require(vault, key, number)
            self._states(vault).activate(key, number, at)

    def revoke(
        self, vault: str, name: str, number: int, reason: str, *, at: datetime, compromised: bool
    ) -> None:
        """Stop using a key for anything new, or for anything if compromised; ``MISSING`` if there is none."""
        key = key_name(name)
        with vaultfolder.writing(self._vault_folder(vault)):
            self._require(vault, key, number)
            self._states(vault).revoke(key, number, reason, at, compromised=compromised)

    def retire(self, vault: str, name: str, number: int) -> None:
        """Remove a key permanently, even one without a certificate; the one in use stays (``ACTIVE``)."""
        key = key_name(name)
        with vaultfolder.writing(self._vault_folder(vault)):
            self._finish_removals(vault)
            self._require(vault, key, number)
            states = self._states(vault)
            if number == in_use(
                self._numbers(vault, key, self._values(vault)), states.of(key), self._clock()
            ):
                raise KeyStoreError(KeyFault.ACTIVE, "the active key cannot be retired: replace it")
            self._remove(vault, key, number)
            states.forget(key, number)

    def installed(self, vault: str, name: str) -> tuple[int, ...]:
        """Return the numbers of the usable keys, the one in use first, without opening any.

        They change whenever another key is to be used: with each rotation, and with time.
        """
        key, values = key_name(name), self._values(vault)
        return self._usable(vault, key, self._numbers(vault, key, values), values)

    def signing_key(self, vault: str, name: str = KeyName.SIGNING) -> SigningKey:
        """Return the newest key whose time has come and that is not revoked; ``MISSING`` if there is none."""
        return self.signing_keys(vault, name)[0]

    def signing_keys(self, vault: str, name: str = KeyName.SIGNING) -> tuple[SigningKey, ...]:
        """Return every key that is neither retired nor revoked, the one in use first."""
        key, values = key_name(name), self._values(vault)
        keys = self._signing(vault, key, values)
        return tuple(keys[each] for each in self._usable(vault, key, keys, values))

    def decryption_keys(self, vault: str, name: str = KeyName.ENCRYPTION) -> tuple[DecryptionKey, ...]:
        """Return every key with a certificate, neither retired nor compromised, the newest first."""
        key, values = key_name(name), self._values(vault)
        keys = self._decrypting(vault, key, values)
        found = opening(keys, self._decided(vault, key, values))
        if not found:
            raise KeyStoreError(KeyFault.MISSING, f"the vault has no {name} key with a certificate")
        return tuple(keys[each] for each in found)

    def keys(self, vault: str) -> tuple[HeldKey, ...]:
        """List the vault's keys for display, even while it is locked: by name, the newest first."""
        states, order = self._states(vault), list(KeyName)
        decided = {name: states.of(name) for name in KeyName}

        def told(held: HeldKey) -> HeldKey:
            state = decided[held.name].get(held.number, UNDECIDED)
            reason = states.reason(held.name, held.number) if state.revoked else ""
            return replace(held, state=state, reason=reason)

        found = map(told, self._held(vault))
        return tuple(sorted(found, key=lambda held: (order.index(held.name), -held.number)))

    def _usable(self, vault: str, name: KeyName, numbers: Iterable[int], values: Values) -> tuple[int, ...]:
        """Return the usable ones of the given keys, by number, the one in use first."""
        return usable(numbers, self._decided(vault, name, values), self._clock())

    def _decided(self, vault: str, name: KeyName, values: Values) -> Mapping[int, KeyState]:
        """Return the states of keys about which anything was decided, by number."""
        return values.of(("decided", name), lambda: self._states(vault).of(name))

    def _values(self, vault: str) -> Values:
        """Return the values that were read from the vault, to be read again if its folders have changed.

        This is called once per call of the key store, so that the next call sees changes by other processes.
        """
        return self._unchanged.now(self._vault_folder(vault))

    def _states(self, vault: str) -> KeyStates:
        return KeyStates(self._vault_folder(vault))

    def _require(self, vault: str, name: KeyName, number: int) -> None:
        """Raise ``MISSING`` unless there is such a key, with or without a certificate."""
        if not any((held.name, held.number) == (name, number) for held in self._held(vault)):
            raise KeyStoreError(KeyFault.MISSING, "no such key")

    @abstractmethod
    def _finish_removals(self, vault: str) -> None:
        """Complete removals by :meth:`_remove` that a crash interrupted."""

    @abstractmethod
    def _vault_folder(self, vault: str) -> Path:
        """Return the folder of the vault's files; ``BAD_NAME`` for an invalid id."""

    @abstractmethod
    def _held(self, vault: str) -> list[HeldKey]:
        """Return every key, without opening any and without the decisions about it."""

    @abstractmethod
    def _numbers(self, vault: str, name: KeyName, values: Values) -> list[int]:
        """Return the numbers of the keys with certificates, without opening any."""

    @abstractmethod
    def _signing(self, vault: str, name: KeyName, values: Values) -> Mapping[int, SigningKey]:
        """Return the keys with certificates, for signing, by number."""

    @abstractmethod
    def _decrypting(self, vault: str, name: KeyName, values: Values) -> Mapping[int, DecryptionKey]:
        """Return the keys with certificates, for decryption, by number."""

    @abstractmethod
    def _remove(self, vault: str, name: KeyName, number: int) -> None:
        """Destroy a key, within :func:`~samdrift.keystore.vaultfolder.writing`."""
