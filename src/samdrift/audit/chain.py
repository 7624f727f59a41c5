"""A chain of hashes, and after it a Merkle tree, that reveal tampering with a log.

In the chain each entry's hash covers the previous hash, its number and its content. A reader that remembers
one hash can tell later that nothing before it was changed, left out or inserted. The first hash names the
log, so that one log cannot be presented in place of another. Entries of the second form are leaves of a tree
(:mod:`samdrift.audit.leaves`), the first of which names the head of the chain. Numbers continue from one form
to the other. The database computes the same hashes when it appends (``vault/sql``), so that a writer cannot
choose them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import LogEvent
from samdrift.audit.leaves import Leaf, commitment
from samdrift.audit.merkle import Frontier


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The end of a log: the number of its last entry (0 when empty), and the hash there.

    It is the hash of the last entry in the chain or, once there is a tree, the root of the tree.
    """

    sequence: int
    hash: bytes
    size: int = 0
    """The number of leaves in the tree; 0 in the chain."""


class ChainReason(StrEnum):
    """The verdict on a log: intact, or the kind of fault in its first bad entry."""

    INTACT = "intact"
    GAP = "gap"
    """Numbers are not consecutive: an entry is missing, duplicated or out of order."""
    CUT = "cut"
    """An entry does not continue the one before it."""
    ALTERED = "altered"
    """An entry's content does not match its hash."""


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """The verdict on a sequence of entries; ``head`` is the last place up to which it is valid."""

    reason: ChainReason
    head: ChainHead

    @property
    def intact(self) -> bool:
        return self.reason is ChainReason.INTACT


def origin(log_id: str) -> ChainHead:
    """Return the head of the empty log ``log_id``."""
    return ChainHead(0, hashlib.sha256(b"samdrift log " + log_id.encode()).digest())


def link(previous: bytes, sequence: int, content: bytes) -> bytes:
    """Return the hash of an entry: SHA-256 of the previous hash, the number in 8 bytes, and the content."""
    return hashlib.sha256(previous + sequence.to_bytes(8) + content).digest()


class LogVerification:
    """A verification of a log, piece by piece, from a head in the chain or from the origin.

    Entries that were disposed of are passed as bare leaves. A log of the second form is verified from its
    first leaf, or from ``tree``, the frontier of everything before ``start``.
    """

    def __init__(self, start: ChainHead, tree: Frontier | None = None) -> None:
        self._chain = start
        self._sequence = start.sequence
        self.tree = None if tree is None else Frontier(tree.size, tree.peaks)

    @property
    def head(self) -> ChainHead:
        """Return the last place up to which the log is valid."""
        return (
            self._chain if self.tree is None else ChainHead(self._sequence, self.tree.root(), self.tree.size)
        )

    def take(self, entries: Iterable[LogEntry | Leaf]) -> ChainVerdict:
        """Return whether ``entries`` continue the log without a break; not to be called after a break."""
        for entry in entries:
            reason = self._take(entry)
            if reason is not ChainReason.INTACT:
                return ChainVerdict(reason, self.head)
        return ChainVerdict(ChainReason.INTACT, self.head)

    def _take(self, entry: LogEntry | Leaf) -> ChainReason:
        if entry.sequence != self._sequence + 1:
            return ChainReason.GAP
        leaf = entry if isinstance(entry, Leaf) else entry.leaf
        reason = self._link(entry) if leaf is None else self._grow(entry, leaf)
        if reason is ChainReason.INTACT:
            self._sequence = entry.sequence
        return reason

    def _link(self, entry: LogEntry | Leaf) -> ChainReason:
        """Verify an entry of the chain."""
        if isinstance(entry, Leaf) or self.tree is not None or entry.previous != self._chain.hash:
            return ChainReason.CUT
        if link(entry.previous, entry.sequence, entry.happening.content()) != entry.hash:
            return ChainReason.ALTERED
        self._chain = ChainHead(entry.sequence, entry.hash)
        return ChainReason.INTACT

    def _grow(self, entry: LogEntry | Leaf, leaf: Leaf) -> ChainReason:
        """Verify an entry of the tree, which may be the first."""
        if self.tree is None and not self._begins_tree(entry):
            return ChainReason.CUT
        if isinstance(entry, LogEntry) and commitment(entry.salt, entry.happening.content()) != entry.hash:
            return ChainReason.ALTERED
        if self.tree is None:
            self.tree = Frontier()
        self.tree.append(leaf.hash)
        return ChainReason.INTACT

    def _begins_tree(self, entry: LogEntry | Leaf) -> bool:
        """Return whether an entry is the beginning of a tree, and names the end of the chain before it."""
        named = {"entries": str(self._chain.sequence), "head": self._chain.hash.hex()}
        return isinstance(entry, LogEntry) and entry.event == LogEvent.LOG_TREE_BEGUN and entry.ids == named


def verify_chain(entries: Iterable[LogEntry | Leaf], start: ChainHead) -> ChainVerdict:
    """Return whether ``entries`` continue a log from ``start`` without a break."""
    return LogVerification(start).take(entries)
