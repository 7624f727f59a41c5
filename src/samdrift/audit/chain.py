"""The chain that makes tampering with a log show.

Each entry's hash covers the hash before it, its number and its content. Whoever
remembers one hash can tell later that nothing up to it was changed, left out or
put in between. The first hash names the log, so that one log cannot be shown
in place of another. The database computes the same hashes when it appends
(``vault/sql``), so that a writer cannot choose them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from samdrift.audit.entries import LogEntry


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last place of a chain: the number of its last entry (0 when empty) and the hash there."""

    sequence: int
    hash: bytes


class ChainReason(StrEnum):
    """Whether a chain holds, and if not, how the first bad entry shows it."""

    INTACT = "intact"
    GAP = "gap"
    """Numbers do not follow each other: something is missing, doubled or out of order."""
    CUT = "cut"
    """An entry does not continue the hash before it."""
    ALTERED = "altered"
    """An entry's content does not give its hash."""


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """The verdict on a run of entries; ``head`` is the last place up to which it holds."""

    reason: ChainReason
    head: ChainHead

    @property
    def intact(self) -> bool:
        return self.reason is ChainReason.INTACT


def origin(log_id: str) -> ChainHead:
    """The head of the empty log ``log_id``."""
    return ChainHead(0, hashlib.sha256(b"samdrift log " + log_id.encode()).digest())


def link(previous: bytes, sequence: int, content: bytes) -> bytes:
    """The hash of an entry: SHA-256 of the hash before, the number in 8 bytes, and the content."""
    return hashlib.sha256(previous + sequence.to_bytes(8) + content).digest()


def verify_chain(entries: Iterable[LogEntry], start: ChainHead) -> ChainVerdict:
    """Return whether ``entries`` continue a log from ``start`` without a break."""
    head = start
    for entry in entries:
        reason = _judge(entry, head)
        if reason is not ChainReason.INTACT:
            return ChainVerdict(reason, head)
        head = ChainHead(entry.sequence, entry.hash)
    return ChainVerdict(ChainReason.INTACT, head)


def _judge(entry: LogEntry, head: ChainHead) -> ChainReason:
    if entry.sequence != head.sequence + 1:
        return ChainReason.GAP
    if entry.previous != head.hash:
        return ChainReason.CUT
    if link(entry.previous, entry.sequence, entry.happening.content()) != entry.hash:
        return ChainReason.ALTERED
    return ChainReason.INTACT
