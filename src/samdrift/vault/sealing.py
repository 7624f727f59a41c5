"""Encryption of what a vault keeps: small values, and keyed marks to search by.

Every key is derived from the vault's data key for one use. A sealed value is
bound to its vault and to the place that it was sealed for, so that one copied
to another row, column or vault does not open.
"""

from __future__ import annotations

import hashlib

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
)
from nacl.exceptions import CryptoError
from nacl.utils import random

from samdrift.vault.errors import SealBroken

_NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_MARK_BYTES = 16


class Sealer:
    """Seals and opens for one vault."""

    def __init__(self, vault: str, data_key: bytes) -> None:
        self._vault = vault.encode()
        self._values = _derive(data_key, b"values")
        self._marks = _derive(data_key, b"marks")
        self.bodies = _derive(data_key, b"bodies")
        """The key of the streams that bodies are."""

    def context(self, place: str) -> bytes:
        """What binds something to ``place`` in this vault."""
        return self._vault + b"\0" + place.encode()

    def seal(self, value: bytes, place: str) -> bytes:
        """``value`` encrypted for ``place``: XChaCha20-Poly1305, random nonce first."""
        nonce = random(_NONCE)
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(value, self.context(place), nonce, self._values)
        return nonce + sealed

    def open(self, sealed: bytes, place: str) -> bytes:
        """The value; :class:`SealBroken` unless it was sealed for ``place`` in this vault."""
        nonce, rest = sealed[:_NONCE], sealed[_NONCE:]
        try:
            return crypto_aead_xchacha20poly1305_ietf_decrypt(rest, self.context(place), nonce, self._values)
        except (CryptoError, ValueError):
            raise SealBroken from None

    def mark(self, value: str) -> bytes:
        """A keyed digest, equal for equal values, to find rows by a value that is encrypted."""
        return hashlib.blake2b(value.encode(), key=self._marks, digest_size=_MARK_BYTES).digest()


def _derive(data_key: bytes, use: bytes) -> bytes:
    return hashlib.blake2b(key=data_key, person=b"samdrift " + use, digest_size=32).digest()
