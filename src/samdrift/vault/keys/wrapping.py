"""How secrets are wrapped at rest: one passphrase, a root key, a secret per vault.

::

    passphrase --scrypt--> opens the root key (random, one per store)
    root key + vault id --HKDF--> opens the vault secret (random, one per vault)
    vault secret --HKDF--> password of its key files, and the key that wraps its data key

Each vault's secret is random, so that destroying it makes everything of that
vault unreadable, and since the key that opens it depends on the vault's id, one
vault's wrapped secret opens under no other name.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from nacl.utils import random

KEY_BYTES = SecretBox.KEY_SIZE


class WrappingError(Exception):
    """A wrapped secret does not open: another key, or damaged."""


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """What one guess at the passphrase costs; 32 MiB and three passes unless told."""

    n: int = 1 << 15
    r: int = 8
    p: int = 3


def derive(key: bytes, purpose: str) -> bytes:
    """A key of its own for ``purpose``, 32 bytes (RFC 5869, expand)."""
    return HKDFExpand(hashes.SHA256(), KEY_BYTES, purpose.encode()).derive(key)


def wrap(secret: bytes, key: bytes) -> bytes:
    """``secret`` encrypted and authenticated under ``key``."""
    return bytes(SecretBox(key).encrypt(secret))


def unwrap(wrapped: bytes, key: bytes) -> bytes:
    """The secret; :class:`WrappingError` when it does not open."""
    try:
        return SecretBox(key).decrypt(wrapped)
    except (CryptoError, ValueError):
        raise WrappingError("a wrapped secret does not open") from None


def new_root(passphrase: bytes, cost: ScryptCost) -> bytes:
    """A new root key, wrapped under ``passphrase``, as the text of its file."""
    salt = random(16)
    wrapped = wrap(random(KEY_BYTES), _stretch(passphrase, salt, cost))
    parts = {"n": cost.n, "r": cost.r, "p": cost.p, "salt": salt.hex(), "wrapped": wrapped.hex()}
    return json.dumps(parts).encode()


def open_root(file: bytes, passphrase: bytes) -> bytes:
    """The root key; :class:`WrappingError` when the passphrase is wrong or the file damaged."""
    try:
        parts = json.loads(file)
        cost = ScryptCost(int(parts["n"]), int(parts["r"]), int(parts["p"]))
        salt, wrapped = bytes.fromhex(parts["salt"]), bytes.fromhex(parts["wrapped"])
        key = _stretch(passphrase, salt, cost)
    except (ValueError, KeyError, TypeError):
        raise WrappingError("the root key's file is damaged") from None
    return unwrap(wrapped, key)


def _stretch(passphrase: bytes, salt: bytes, cost: ScryptCost) -> bytes:
    memory = 128 * cost.r * (cost.n + cost.p + 2)
    return hashlib.scrypt(passphrase, salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=memory, dklen=KEY_BYTES)
