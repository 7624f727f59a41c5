"""The second form of a log: leaves of a Merkle tree (RFC 6962 2.1), each short and of fixed length.

An entry of the tree is its version, its number, its retention class, and a commitment: SHA-256 over a random
salt and the facts in their canonical form. So a hash in a proof reveals nothing about the neighbouring entry,
and salt and facts can be disposed of while every proof remains valid. The database creates all of it
(``vault/sql/salted-log-1.sql``), so that a writer cannot choose it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from samdrift.audit.merkle import leaf_hash

VERSION = 2
"""The first byte of an entry; entries of the first form are not leaves (:mod:`samdrift.audit.chain`)."""

_ENTRY_SIZE = 42


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry of the tree, without its facts."""

    sequence: int
    retention: int
    commitment: bytes

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Leaf:
        """Return the leaf in a JSON object, its commitment in hex as ``hash``; else :class:`ValueError`."""
        try:
            sequence, retention = document["sequence"], document["retention"]
            commitment = bytes.fromhex(document["hash"])
        except (KeyError, TypeError, ValueError):
            raise ValueError("not a leaf of a log") from None
        numbers = type(sequence) is int and type(retention) is int
        if not (numbers and 0 < sequence < 1 << 63 and 0 <= retention < 1 << 8 and len(commitment) == 32):
            raise ValueError("not a leaf of a log")
        return cls(sequence, retention, commitment)

    @property
    def entry(self) -> bytes:
        """Return its bytes in the tree: version (1 byte), number (8), retention (1), commitment (32)."""
        number = self.sequence.to_bytes(8)
        return bytes((VERSION,)) + number + bytes((self.retention,)) + self.commitment

    @property
    def hash(self) -> bytes:
        """Return the leaf hash of RFC 6962 2.1."""
        return leaf_hash(self.entry)


def number_of(entry: bytes) -> int | None:
    """Return the number in an entry of the tree; ``None`` for an unknown version."""
    known = len(entry) == _ENTRY_SIZE and entry[0] == VERSION
    return int.from_bytes(entry[1:9]) if known else None


def commitment(salt: bytes, content: bytes) -> bytes:
    """Return the commitment to the canonical form of an entry's facts."""
    return sha256(salt + content).digest()
