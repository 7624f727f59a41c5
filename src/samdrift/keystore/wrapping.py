"""Wrapping of secrets at rest: from a passphrase to a vault's files.

::

    passphrase --scrypt--> opens the root key (random, one per store)
    root key + vault id --HKDF--+
    officer's passphrase --scrypt--+ (only where the officer unlocks)
    seal (random, one per vault) --+--HKDF--> opens the vault secret (random, one per vault)
    vault secret --HKDF--> password of its key files, and the keys that wrap its data keys

Each vault's secret and seal are random, so that destroying either makes everything of that vault unreadable.
The key that opens the secret depends on the vault's id, so one vault's wrapped secret does not open under
another vault's name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from nacl.utils import random

KEY_BYTES = SecretBox.KEY_SIZE
_FORMAT = 2


class WrappingError(Exception):
    """A wrapped secret that does not open, because of another key or damage."""


class OlderFormat(Exception):
    """A key store that was made by a version of Samdrift that was never released."""


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """The cost of one guess at the passphrase; 32 MiB and three passes by default."""

    n: int = 1 << 15
    r: int = 8
    p: int = 3

    def __post_init__(self) -> None:
        """Refuse a cost that is invalid or too high, since files that other parties wrote may contain any."""
        power_of_two = self.n > 1 and not self.n & (self.n - 1)
        if not (power_of_two and self.r > 0 and self.n * self.r <= 1 << 23 and 0 < self.p <= 16):
            raise ValueError("the cost of scrypt is outside the accepted limits")


PERSONS_COST = ScryptCost(n=1 << 17, r=8, p=2)
"""Cost of one guess at a person's passphrase: 128 MiB and two passes; an existing key keeps its own."""


@dataclass(frozen=True, slots=True)
class Stretching:
    """Parameters by which a passphrase becomes a key; none of them is secret."""

    salt: bytes
    cost: ScryptCost

    @classmethod
    def new(cls, cost: ScryptCost) -> Self:
        return cls(random(16), cost)

    def key(self, passphrase: bytes) -> bytes:
        """Return the key of a passphrase; ``ValueError`` for an invalid cost."""
        cost = self.cost
        memory = 128 * cost.r * (cost.n + cost.p + 2)
        return hashlib.scrypt(
            passphrase, salt=self.salt, n=cost.n, r=cost.r, p=cost.p, maxmem=memory, dklen=KEY_BYTES
        )

    def parts(self) -> dict[str, Any]:
        """Return the parameters in the form of a file."""
        return {"n": self.cost.n, "r": self.cost.r, "p": self.cost.p, "salt": self.salt.hex()}

    @classmethod
    def read(cls, parts: Mapping[str, Any]) -> Self:
        """Return parameters from a file; ``ValueError``, ``KeyError`` or ``TypeError`` for other content."""
        cost = ScryptCost(int(parts["n"]), int(parts["r"]), int(parts["p"]))
        return cls(bytes.fromhex(parts["salt"]), cost)


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of a vault's secret, besides the root key: its seal, and possibly an officer or an HSM."""

    seal: int
    officer: Stretching | None = None
    token: str = ""
    """URI of the key in an HSM that is needed (:mod:`samdrift.keystore.hsm.module`); empty if none is."""


@dataclass(frozen=True, slots=True)
class LockedSecret:
    """A vault's secret in the form of its file."""

    lock: Lock
    wrapped: bytes = field(repr=False)

    @classmethod
    def new(cls, secret: bytes, lock: Lock, key: bytes) -> Self:
        return cls(lock, wrap(secret, key))

    def open(self, key: bytes) -> bytes:
        """Return the secret; :class:`WrappingError` if it does not open."""
        return unwrap(self.wrapped, key)

    def file(self) -> bytes:
        """Return the content of its file."""
        officer = None if self.lock.officer is None else self.lock.officer.parts()
        parts = {"seal": self.lock.seal, "officer": officer, "token": self.lock.token}
        return json.dumps(parts | {"wrapped": self.wrapped.hex()}).encode()

    @classmethod
    def read(cls, file: bytes) -> Self:
        """Return a locked secret from its file; :class:`WrappingError` if the file is damaged."""
        try:
            parts = json.loads(file)
            officer = None if parts["officer"] is None else Stretching.read(parts["officer"])
            lock = Lock(int(parts["seal"]), officer, str(parts.get("token", "")))
            return cls(lock, bytes.fromhex(parts["wrapped"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise WrappingError("a vault's secret is damaged") from None


def derive(key: bytes, purpose: str) -> bytes:
    """Return a separate 32-byte key for ``purpose`` (RFC 5869, expand)."""
    return HKDFExpand(hashes.SHA256(), KEY_BYTES, purpose.encode()).derive(key)


def sealed(key: bytes, seal: bytes, vault: str) -> bytes:
    """Return the key that opens the vault's secret, derived from ``key`` and its seal (RFC 5869)."""
    return HKDF(hashes.SHA256(), KEY_BYTES, seal, f"samdrift seal {vault}".encode()).derive(key)


def wrap(secret: bytes, key: bytes) -> bytes:
    """Return ``secret``, encrypted and authenticated under ``key``."""
    return bytes(SecretBox(key).encrypt(secret))


def unwrap(wrapped: bytes, key: bytes) -> bytes:
    """Return the secret; :class:`WrappingError` if it does not open."""
    try:
        return SecretBox(key).decrypt(wrapped)
    except (CryptoError, ValueError):
        raise WrappingError("a wrapped secret cannot be decrypted") from None


def new_root(passphrase: bytes, cost: ScryptCost) -> bytes:
    """Return a new root key, wrapped under ``passphrase``, as the content of its file."""
    stretching = Stretching.new(cost)
    wrapped = wrap(random(KEY_BYTES), stretching.key(passphrase))
    return json.dumps({"format": _FORMAT, **stretching.parts(), "wrapped": wrapped.hex()}).encode()


def open_root(file: bytes, passphrase: bytes) -> bytes:
    """Return the root key; :class:`WrappingError` if the passphrase is wrong or the file damaged."""
    try:
        parts = json.loads(file)
        key, wrapped = Stretching.read(parts).key(passphrase), bytes.fromhex(parts["wrapped"])
    except (ValueError, KeyError, TypeError):
        raise WrappingError("the root key's file is damaged") from None
    if parts.get("format") != _FORMAT:
        raise OlderFormat
    return unwrap(wrapped, key)
