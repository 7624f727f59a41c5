"""Tiles (c2sp.org/tlog-tiles): hashes and entries of a log as files that never change once they are full.

A tile has up to 256 consecutive hashes of every eighth level of the tree; a bundle has the entries under a
tile of level 0. The last ones of a tree are partial, and have their width in their name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from samdrift.audit.merkle import HASH_SIZE, Frontier, Nodes
from samdrift.audit.reading import MAX_NUMBER, Malformed

WIDTH = 256
"""Number of hashes or entries in a full tile."""
MAX_ENTRY = 2**16 - 1
"""Maximum size in bytes of an entry in a bundle."""

_HEIGHT = 8
_MAX_LEVEL = 63 // _HEIGHT
_PATH = re.compile(r"tile/(entries|[0-9])((?:/x[0-9]{3})*/[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class Tile:
    """The position of a tile: ``level`` of the tree, or ``None`` for a bundle of entries."""

    level: int | None
    index: int
    width: int = WIDTH

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read a path without a leading slash; :class:`Malformed` for anything else."""
        found = _PATH.fullmatch(path) if len(path) <= 100 else None
        if found is None:
            raise Malformed("it is not the path of a tile")
        kind, digits, width = found.groups()
        tile = cls(
            None if kind == "entries" else int(kind),
            int(re.sub("[/x]", "", digits)),
            WIDTH if width is None else int(width),
        )
        if tile.path != path or not tile._possible():
            raise Malformed("it is not a valid path of a tile")
        return tile

    @property
    def path(self) -> str:
        """Return the path relative to the log's address."""
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        parts = [digits[place : place + 3] for place in range(0, len(digits), 3)]
        kind = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return "/".join(["tile", kind, *(f"x{part}" for part in parts[:-1]), parts[-1]]) + partial

    @property
    def start(self) -> int:
        """Return the number, from 0, of the tile's first hash on its level."""
        return self.index * WIDTH

    def _possible(self) -> bool:
        level = self.level or 0
        return (
            level <= _MAX_LEVEL
            and self.width <= WIDTH
            and self.start + self.width <= MAX_NUMBER >> (8 * level)
        )

    def hashes(self, content: bytes) -> list[bytes]:
        """Return the hashes in the tile; :class:`Malformed` if its length is wrong."""
        if len(content) != self.width * HASH_SIZE:
            raise Malformed(f"a tile of this width has {self.width * HASH_SIZE} bytes", self.path)
        return [content[place : place + HASH_SIZE] for place in range(0, len(content), HASH_SIZE)]

    def entries(self, content: bytes) -> list[bytes]:
        """Return the entries in the bundle; :class:`Malformed` if there are fewer or more."""
        entries: list[bytes] = []
        place = 0
        while place < len(content) and len(entries) < self.width:
            end = place + 2 + int.from_bytes(content[place : place + 2])
            entries.append(content[place + 2 : end])
            place = end
        if place != len(content) or len(entries) != self.width:
            raise Malformed(f"a bundle of this width has {self.width} entries", self.path)
        return entries


def bundle(entries: Iterable[bytes]) -> bytes:
    """Return the content of a bundle."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise ValueError("an entry is too long for a bundle")
        parts += [len(entry).to_bytes(2), entry]
    return b"".join(parts)


def tile_content(tile: Tile, node: Nodes) -> bytes:
    """Return the content of a tile of hashes."""
    if tile.level is None:
        raise ValueError("the entries of a bundle are not in the tree")
    level = tile.level * _HEIGHT
    return b"".join(node(level, tile.start + place) for place in range(tile.width))


def tiles_of(size: int, old: int = 0) -> Iterator[Tile]:
    """Yield the tiles of hashes that a tree of ``size`` adds to one of ``old``, lowest level first."""
    for level in range(_MAX_LEVEL + 1):
        had, has = old >> (_HEIGHT * level), size >> (_HEIGHT * level)
        if has == 0:
            return
        for index in range(had // WIDTH, -(-has // WIDTH)):
            tile = Tile(level, index, min(WIDTH, has - index * WIDTH))
            if has > had:
                yield tile


def bundles_of(size: int, old: int = 0) -> Iterator[Tile]:
    """Yield the bundles that a tree of ``size`` adds to one of ``old``."""
    for index in range(old // WIDTH, -(-size // WIDTH)):
        if size > old:
            yield Tile(None, index, min(WIDTH, size - index * WIDTH))


def nodes_from(size: int, read: Callable[[Tile], Sequence[bytes]]) -> Nodes:
    """Return a finder of subtree hashes in the tree of ``size``, from tiles whose hashes ``read`` returns.

    It does not verify the tiles: the proof that is made from them must be verified.
    """

    def node(level: int, index: int) -> bytes:
        above, within = divmod(level, _HEIGHT)
        first = index << within
        has = size >> (_HEIGHT * above)
        tile = Tile(above, first // WIDTH)
        tile = replace(tile, width=min(WIDTH, has - tile.start))
        hashes = read(tile)
        edge = Frontier()
        edge.extend(hashes[first - tile.start : first - tile.start + (1 << within)])
        return edge.root()

    return node
