"""Encryption of what a vault keeps: small values, and keyed marks to search by.

Every key is derived from a generation of the vault's data key for one use. A
sealed value is bound to its vault and to the place that it was sealed for, so
that one copied to another row, column or vault does not open. It begins with
the number of its generation: a new one seals what is written from then on, and
what older ones have sealed still opens.
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
"""The length of the prefix of everything sealed: the number of the generation, big-endian."""
_NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_MARK_BYTES = 16
_SESSION_MARK_BYTES = 32


@dataclass(frozen=True, slots=True)
class Generation:
    """The keys of one generation."""

    number: bytes
    """Number with which sealed values begin."""
    values: bytes = field(repr=False)
    bodies: bytes = field(repr=False)
    """The key of the streams that bodies are."""

    @classmethod
    def of(cls, data_key: DataKey) -> Self:
        number = data_key.number.to_bytes(GENERATION_BYTES)
        return cls(number, _derive(data_key.key, b"values"), _derive(data_key.key, b"bodies"))


class Sealer:
    """Seals and opens for one vault."""

    def __init__(self, vault: str, keys: DataKeys, current: Callable[[], DataKeys] | None = None) -> None:
        """``current`` is asked when something was sealed by a generation that came after ``keys``."""
        self._vault = vault.encode()
        self._current = current
        self._marks = _derive(keys.first.key, b"marks")
        self.session_marks = _derive(keys.first.key, b"session")
        """The key of marks of session keys. It moves with the organisation: alone it opens nothing, and only
        recognises a known session key."""
        self.pages_key = _derive(keys.first.key, b"pages")
        """The key for values that an organisation's pages give to browsers; it does not move along."""
        self._generations: dict[bytes, Generation] = {}
        self.newest = self._learn(keys)
        """The generation that seals new values."""

    def context(self, place: str) -> bytes:
        """Return the context that binds a value to ``place`` in this vault."""
        return self._vault + b"\0" + place.encode()

    def seal(self, value: bytes, place: str) -> bytes:
        """``value`` encrypted for ``place``: XChaCha20-Poly1305, random nonce first."""
        by, nonce = self.newest, random(_NONCE)
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(value, self.context(place), nonce, by.values)
        return by.number + nonce + sealed

    def open(self, sealed: bytes, place: str) -> bytes:
        """The value; :class:`SealBroken` unless it was sealed for ``place`` in this vault."""
        number, rest = sealed[:GENERATION_BYTES], sealed[GENERATION_BYTES:]
        by, nonce = self.generation(number), rest[:_NONCE]
        try:
            return crypto_aead_xchacha20poly1305_ietf_decrypt(
                rest[_NONCE:], self.context(place), nonce, by.values
            )
        except (CryptoError, ValueError):
            raise SealBroken from None

    def generation(self, number: bytes) -> Generation:
        """The keys that something was sealed by; :class:`SealBroken` when the vault never had them."""
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
        """A keyed digest, equal for equal values, to find rows by a value that is encrypted."""
        return hashlib.blake2b(value.encode(), key=self._marks, digest_size=_MARK_BYTES).digest()

    def session_mark(self, session_key: bytes, key: bytes | None = None) -> bytes:
        """A keyed digest of a session key, equal for equal ones; ``key`` where it is a former supplier's."""
        by = self.session_marks if key is None else key
        return hashlib.blake2b(session_key, key=by, digest_size=_SESSION_MARK_BYTES).digest()


def _derive(data_key: bytes, use: bytes) -> bytes:
    return hashlib.blake2b(key=data_key, person=b"samdrift " + use, digest_size=32).digest()
