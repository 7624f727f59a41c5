"""Logs and witnesses with their own keys, for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from samdrift.audit.merkle import MemoryTree, leaf_hash
from samdrift.audit.notes import Algorithm, Checkpoint, VerifierKey


@dataclass(frozen=True)
class Signer:
    """A named key pair; the same name has the same keys in every run."""

    name: str
    algorithm: Algorithm
    generation: str = ""

    @property
    def private(self) -> Ed25519PrivateKey:
        seed = hashlib.sha256(f"{self.name} {self.algorithm}{self.generation}".encode()).digest()
        return Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def key(self) -> VerifierKey:
        return VerifierKey(self.name, self.algorithm, self.private.public_key().public_bytes_raw())

    def line(self, text: bytes, time: int = 1_772_000_000) -> bytes:
        if self.algorithm is Algorithm.ED25519:
            return self.key.line(text, self.private.sign)
        return self.key.cosignature(text, time, self.private.sign)


def log(name: str = "log.example/7f3a") -> Signer:
    return Signer(name, Algorithm.ED25519)


def witness(name: str) -> Signer:
    return Signer(name, Algorithm.COSIGNATURE)


LOG = log()
ONE, TWO, THREE = (witness(f"witness.example/w{number}") for number in (1, 2, 3))


def entries(count: int) -> list[bytes]:
    return [f"entry {number}".encode() for number in range(count)]


def tree(count: int) -> MemoryTree:
    return MemoryTree(leaf_hash(entry) for entry in entries(count))


def checkpoint(
    count: int, signers: Iterable[Signer] = (LOG,), origin: str = LOG.name, extension: tuple[str, ...] = ()
) -> bytes:
    """Return the signed checkpoint of the tree of ``count`` entries."""
    stated = Checkpoint(origin, count, tree(count).root(), extension)
    return stated.signed([signer.line(stated.text) for signer in signers])
