"""Encryption of a vault's small values, and keyed marks to search by.

Every key is derived from a generation of the vault's data key for one use. A sealed value is bound to its
vault and to the place for which it was sealed, so that a copy in another row, column or vault does not open.
It begins with the number of its generation: the newest one seals all new values, and values that older ones
have sealed still open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
)
from nacl.exceptions import CryptoError
from nacl.utils import random

from samdrift.keystore.interface import DataKey, DataKeys
from samdrift.vault.errors import SealBroken

GENERATION_BYTES = 2
"""Length of the prefix of everything sealed: the number of the generation, big-endian."""
_NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_MARK_BYTES = 16
_SESSION_MARK_BYTES = 32


@dataclass(frozen=True, slots=True)
class Generation:
    """The keys of one generation."""

    number: bytes
    """Number with which sealed values of this generation begin."""
    values: bytes = field(repr=False)
    bodies: bytes = field(repr=False)
    """Key of the streams in which bodies are encrypted."""

    @classmethod
    def of(cls, data_key: DataKey) -> Self:
        number = data_key.number.to_bytes(GENERATION_BYTES)
        return cls(number, _derive(data_key.key, b"values"), _derive(data_key.key, b"bodies"))


class Sealer:
    """Sealing and opening of values for one vault."""

    def __init__(self, vault: str, keys: DataKeys, current: Callable[[], DataKeys] | None = None) -> None:
        """Derive the vault's keys from its data keys.

        ``current`` is called when a value was sealed by a generation that is newer than ``keys``.
        """
        self._vault = vault.encode()
        self._current = current
        self._marks = _derive(keys.first.key, b"marks")
        self.session_marks = _derive(keys.first.key, b"session")
        """Key of the marks of session keys, which moves with the organisation.

        Alone it opens nothing, and only recognises a known session key.
        """
        self.pages_key = _derive(keys.first.key, b"pages")
        """Key for values that an organisation's pages give to browsers.

        It does not move with the organisation.
        """
        self._generations: dict[bytes, Generation] = {}
        self.newest = self._learn(keys)
        """The generation that seals new values."""

    def context(self, place: str) -> bytes:
        """Return the context that binds a value to ``place`` in this vault."""
        return self._vault + b"\0" + place.encode()

    def seal(self, value: bytes, place: str) -> bytes:
        """Return ``value`` encrypted for ``place`` with XChaCha20-Poly1305.

        The result begins with the generation's number and a random nonce.
        """
        by, nonce = self.newest, random(_NONCE)
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(value, self.context(place), nonce, by.values)
        return by.number + nonce + sealed

    def open(self, sealed: bytes, place: str) -> bytes:
        """Return the value; :class:`SealBroken` unless it was sealed for ``place`` in this vault."""
        number, rest = sealed[:GENERATION_BYTES], sealed[GENERATION_BYTES:]
        by, nonce = self.generation(number), rest[:_NONCE]
        try:
            return crypto_aead_xchacha20poly1305_ietf_decrypt(
                rest[_NONCE:], self.context(place), nonce, by.values
            )
        except (CryptoError, ValueError):
            raise SealBroken from None

    def generation(self, number: bytes) -> Generation:
        """Return the keys of a generation; :class:`SealBroken` if the vault never had it."""
        if number not in self._generations and self._current is not None:
            self.newest = self._learn(self._current())
        if number not in self._generations:
            raise SealBroken
        return self._generations[number]

    def _learn(self, keys: DataKeys) -> Generation:
        found = [Generation.of(each) for each in keys.generations]
        self._generations = {each.number: each for each in found}
        return found[0]

    def mark(self, value: str) -> bytes:
        """Return a keyed digest, equal for equal values, for finding rows by a value that is encrypted."""
        return hashlib.blake2b(value.encode(), key=self._marks, digest_size=_MARK_BYTES).digest()

    def session_mark(self, session_key: bytes, key: bytes | None = None) -> bytes:
        """Return a keyed digest of a session key, equal for equal ones.

        ``key`` is the key of a former supplier, if the digest is to be made by that.
        """
        by = self.session_marks if key is None else key
        return hashlib.blake2b(session_key, key=by, digest_size=_SESSION_MARK_BYTES).digest()


def _derive(data_key: bytes, use: bytes) -> bytes:
    return hashlib.blake2b(key=data_key, person=b"samdrift " + use, digest_size=32).digest()
