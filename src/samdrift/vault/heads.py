"""Heads of a vault's records that only grow: what was stored in one cannot be taken back in the database.

The head of a record is its newest number and the SHA-256 of what has it, sealed with the vault's data key, in
the key store. It is moved forward when a row is durable, and never back. So whoever writes to the
database without the vault's keys, or puts an earlier copy of it in its place, leaves the record behind its
head, and nothing is decided from it (:class:`RecordBehind`) until what is missing is there again.

If a process ends between the commit and the head, the record is ahead of it, which is in order: the next look
moves the head up. What is deleted in between, only the log shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from samdrift.keystore.interface import KeyStore
from samdrift.vault.errors import SealBroken, VaultUnavailable
from samdrift.vault.sealing import Sealer

_NUMBER_BYTES = 8


class RecordBehind(VaultUnavailable):
    """A record that lacks something that was stored in it, or has something else in its place."""

    text = (
        "a record of the organisation is not the one that was stored: its database came back from a backup,"
        " or rows of it were deleted. Nothing is decided from it: docs/backup.md#a-record-behind-its-head"
    )


@dataclass(frozen=True, slots=True)
class Head:
    """The newest number of a record, and the SHA-256 of what has it."""

    number: int
    digest: bytes

    @classmethod
    def of(cls, number: int, content: bytes) -> Self:
        return cls(number, sha256(content).digest())


class Heads:
    """The heads of one vault's records in the key store."""

    def __init__(self, keys: KeyStore, vault: str, sealer: Sealer) -> None:
        self._keys = keys
        self._vault = vault
        self._sealer = sealer

    def of(self, record: str) -> Head | None:
        """Return the head of a record; ``None`` if nothing was stored in it by this installation.

        Raises :class:`~samdrift.vault.errors.SealBroken` for a head that this vault has not sealed.
        """
        return self._opened(record, self._keys.head(self._vault, record))

    def move(self, record: str, head: Head) -> None:
        """Move the head of a record forward; one that is as far stays."""

        def moves(present: bytes | None) -> bool:
            there = self._opened(record, present)
            return there is None or there.number < head.number

        content = head.number.to_bytes(_NUMBER_BYTES) + head.digest
        sealed = self._sealer.seal(content, _place(record))
        self._keys.move_head(self._vault, record, sealed, moves)

    def _opened(self, record: str, sealed: bytes | None) -> Head | None:
        if sealed is None:
            return None
        content = self._sealer.open(sealed, _place(record))
        if len(content) != _NUMBER_BYTES + sha256().digest_size:
            raise SealBroken
        return Head(int.from_bytes(content[:_NUMBER_BYTES]), content[_NUMBER_BYTES:])


def _place(record: str) -> str:
    return f"head of {record}"
