"""Tiles: paths, contents, the tiles of a tree, and proofs made from tiles only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.audit.merkle import (
    MemoryTree,
    consistency_proof,
    continues,
    includes,
    inclusion_proof,
    leaf_hash,
)
from samdrift.audit.reading import Malformed
from samdrift.audit.tiles import (
    MAX_ENTRY,
    Tile,
    bundle,
    bundles_of,
    nodes_from,
    tile_content,
    tiles_of,
)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(1, 1234067), "tile/1/x001/x234/067"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(0, 1000), "tile/0/x001/000"),
        (Tile(2, 0, 1), "tile/2/000.p/1"),
        (Tile(None, 273, 112), "tile/entries/273.p/112"),
    ],
)
def test_a_tile_has_one_path(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert Tile.parse(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/tile/0/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/00/000",
        "tile/8/000",
        "tile/-1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000/",
        "tile/0/../000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/entry/000",
        "tile/7/x001/000",
        "tile/0/" + "x999/" * 40 + "999",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ],
)
def test_no_other_path_is_read(path: str) -> None:
    with pytest.raises(Malformed):
        Tile.parse(path)


def test_a_tree_of_70_000_has_the_tiles_that_the_specification_counts() -> None:
    tiles = list(tiles_of(70_000))
    assert [tile for tile in tiles if tile.level == 0] == [
        *(Tile(0, place) for place in range(273)),
        Tile(0, 273, 112),
    ]
    assert [tile for tile in tiles if tile.level != 0] == [Tile(1, 0), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(bundles_of(257)) == [Tile(None, 0), Tile(None, 1, 1)]
    assert list(tiles_of(0)) == list(bundles_of(0)) == []


LEAVES = [leaf_hash(str(number).encode()) for number in range(600)]
TREE = MemoryTree(LEAVES)


@given(st.integers(0, 600), st.integers(0, 600))
def test_a_tree_that_grows_needs_only_the_new_tiles(one: int, other: int) -> None:
    old, new = sorted((one, other))
    files = {tile.path: tile_content(tile, TREE.node) for tile in tiles_of(old)}
    added = list(tiles_of(new, old))
    files |= {tile.path: tile_content(tile, TREE.node) for tile in added}
    assert old != new or not added

    def read(tile: Tile) -> list[bytes]:
        return tile.hashes(files[tile.path])

    node = nodes_from(new, read)
    proof = consistency_proof(old, new, node)
    assert continues(old, new, proof, TREE.root(old), TREE.root(new))
    for index in {0, new // 2, new - 1} if new else ():
        assert includes(LEAVES[index], index, new, inclusion_proof(index, new, node), TREE.root(new))


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_a_bundle_survives(entries: list[bytes]) -> None:
    content, tile = bundle(entries), Tile(None, 3, len(entries))
    assert tile.entries(content) == entries
    for wrong in (content[:-1], content + b"\0", content + b"\0\0", b""):
        if wrong != content:
            with pytest.raises(Malformed, match="tile/entries/003"):
                tile.entries(wrong)


def test_what_is_too_long_or_of_another_width_is_refused() -> None:
    assert Tile(None, 0, 1).entries(bundle([b"x" * MAX_ENTRY])) == [b"x" * MAX_ENTRY]
    with pytest.raises(ValueError, match="too long"):
        bundle([b"x" * (MAX_ENTRY + 1)])
    with pytest.raises(Malformed, match="64 bytes"):
        Tile(0, 0, 2).hashes(b"\0" * 63)
    with pytest.raises(ValueError, match="not in the tree"):
        tile_content(Tile(None, 0), TREE.node)
