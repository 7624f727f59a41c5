"""The Merkle tree over the entries of a log (RFC 6962 2.1, RFC 9162 2.1): hashes and proofs.

A proof is made only from hashes of complete subtrees: ``node(level, index)`` is the hash of the 2**level
entries from ``index * 2**level`` on. Callers that store these hashes (in rows, tiles or a list in memory)
pass the function that finds them.

:class:`Frontier` is for readers of a log from its beginning, or from where they stopped: it keeps one hash
for each bit set in the size, at most 63, whatever the number of entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Self

from samdrift.audit.reading import MAX_NUMBER, Malformed

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without entries (RFC 9162 2.1.1)."""
MAX_PROOF = 63
"""Maximum number of hashes in a proof (tlog-witness)."""

_RUN = 256

Nodes = Callable[[int, int], bytes]
"""A function that returns the hash of a complete subtree by level and index."""
Completed = Callable[[int, int, bytes], None]
"""A function that accepts the level, index and hash of a complete subtree."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash over two neighbouring subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree: the hashes of its complete subtrees, largest first."""

    def __init__(
        self, size: int = 0, peaks: Iterable[bytes] = (), completed: Completed | None = None
    ) -> None:
        """Begin an empty tree, or continue the tree of ``size`` with the given peaks.

        ``completed`` is called with the place and hash of each subtree when it becomes complete, except for
        those in the middle of runs of 256 entries (:meth:`extend`).
        """
        self.size = size
        self._edge = list(peaks)
        self._completed = completed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frontier) and (self.size, self._edge) == (other.size, other._edge)

    __hash__ = None  # type: ignore[assignment]

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """Return the hashes of the complete subtrees, the largest first."""
        return tuple(self._edge)

    def append(self, leaf: bytes) -> None:
        """Add an entry by its leaf hash."""
        self._add(leaf, 0)

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add entries by their leaf hashes, a whole subtree at a time where possible, which is faster."""
        rest = iter(leaves)
        while run := list(islice(rest, _RUN - self.size % _RUN)):
            if len(run) == _RUN:
                while len(run) > 1:
                    pairs = zip(run[::2], run[1::2], strict=True)
                    run = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs]
                self._add(run[0], _RUN.bit_length() - 1)
            else:
                for leaf in run:
                    self._add(leaf, 0)

    def _add(self, subtree: bytes, level: int) -> None:
        """Add a complete subtree of 2**level entries to a tree whose size is a multiple of that."""
        size, edge, above = self.size >> level, self._edge, level
        while True:
            if self._completed is not None:
                self._completed(above, size, subtree)
            if not size & 1:
                break
            subtree = node_hash(edge.pop(), subtree)
            size, above = size >> 1, above + 1
        edge.append(subtree)
        self.size += 1 << level

    def root(self) -> bytes:
        """Return the root of the current tree."""
        if not self._edge:
            return EMPTY_ROOT
        root = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            root = node_hash(left, root)
        return root

    def to_bytes(self) -> bytes:
        """Return the frontier as bytes that :meth:`parse` can read."""
        return self.size.to_bytes(8) + b"".join(self._edge)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a frontier; :class:`Malformed` if its hashes do not fit its size."""
        size = int.from_bytes(data[:8])
        if len(data) != 8 + HASH_SIZE * size.bit_count() or size > MAX_NUMBER:
            raise Malformed("a frontier is a size in 8 bytes and one hash for each of its bits")
        return cls(size, (data[place : place + HASH_SIZE] for place in range(8, len(data), HASH_SIZE)))


class MemoryTree:
    """A tree with all its hashes in memory, 64 bytes per entry: for short logs and for tests."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add an entry by its leaf hash."""
        level = 0
        self._levels[0].append(leaf)
        while len(self._levels[level]) % 2 == 0:
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level + 1].append(node_hash(*self._levels[level][-2:]))
            level += 1

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree."""
        return self._levels[level][index]

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the tree, now or when it had ``size`` entries."""
        size = self.size if size is None else size
        return tree_hash(0, size, self.node) if size else EMPTY_ROOT


def tree_hash(start: int, end: int, node: Nodes) -> bytes:
    """Return the hash over a subtree of the entries from ``start`` to before ``end``."""
    if start == end:
        return EMPTY_ROOT
    length = end - start
    if length & (length - 1) == 0 and start % length == 0:
        level = length.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(length)
    return node_hash(tree_hash(start, middle, node), tree_hash(middle, end, node))


def inclusion_proof(index: int, size: int, node: Nodes) -> list[bytes]:
    """Return the path of entry ``index`` in the tree of ``size``, from the leaf up (RFC 9162 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError("the entry is not in a tree of this size")
    proof, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(tree_hash(middle, end, node))
            end = middle
        else:
            proof.append(tree_hash(start, middle, node))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, node: Nodes) -> list[bytes]:
    """Return the proof that the tree of ``new`` continues the tree of ``old`` (RFC 9162 2.1.4.1)."""
    if not 0 <= old <= new:
        raise ValueError("a tree continues a smaller one")
    if old in (0, new):
        return []
    proof, start, end = [], 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(tree_hash(middle, end, node))
            end = middle
        else:
            proof.append(tree_hash(start, middle, node))
            start = middle
    if start:
        proof.append(tree_hash(start, end, node))
    return proof[::-1]


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether ``proof`` shows that the tree has the leaf at ``index`` (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(each, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, each)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def continues(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Return whether ``proof`` shows that the new tree continues the old one (RFC 9162 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    rest = list(proof)
    if old & (old - 1) == 0:
        rest.insert(0, old_root)
    if not rest:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = rest[0]
    for each in rest[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(each, before), node_hash(each, after)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, each)
        place, last = place >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _split(length: int) -> int:
    """Return the largest power of two below ``length``."""
    return 1 << ((length - 1).bit_length() - 1)
