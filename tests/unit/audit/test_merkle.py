"""The tree compared with vectors of RFC 6962's reference implementation, and with its definition."""

from __future__ import annotations

import hashlib
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    MemoryTree,
    consistency_proof,
    continues,
    includes,
    inclusion_proof,
    leaf_hash,
    node_hash,
    tree_hash,
)
from samdrift.audit.reading import Malformed

ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
"""Roots of the trees with 0 to 8 entries."""
INCLUSION = {
    (0, 1): (),
    (0, 8): ("96a296d2", "5f083f0a", "6b47aaf2"),
    (5, 8): ("bc1a0643", "ca854ea1", "d37ee418"),
    (2, 3): ("fac54203",),
    (1, 5): ("6e340b9c", "5f083f0a", "bc1a0643"),
}
CONSISTENCY = {
    (1, 1): (),
    (1, 8): ("96a296d2", "5f083f0a", "6b47aaf2"),
    (6, 8): ("0ebc5d34", "ca854ea1", "d37ee418"),
    (2, 5): ("5f083f0a", "bc1a0643"),
}
"""Published consistency paths, by the beginnings of their hashes."""


def beginnings(proof: list[bytes]) -> tuple[str, ...]:
    return tuple(each.hex()[:8] for each in proof)


def by_definition(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 9162 2.1.1 defines it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = max(1 << bit for bit in range(64) if 1 << bit < len(leaves))
    left, right = by_definition(leaves[:split]), by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    frontier = Frontier()
    frontier.extend(LEAVES[:size])
    assert frontier.root() == MemoryTree(LEAVES).root(size) == by_definition(LEAVES[:size]) == ROOTS[size]
    assert frontier.size == size


def test_proofs_are_the_published_ones() -> None:
    node = MemoryTree(LEAVES).node
    for (index, size), published in INCLUSION.items():
        assert beginnings(inclusion_proof(index, size, node)) == published
    for (old, new), published in CONSISTENCY.items():
        assert beginnings(consistency_proof(old, new, node)) == published


LARGE = [leaf_hash(str(number).encode()) for number in range(70)]
TREE = MemoryTree(LARGE)


def test_every_proof_of_every_tree_of_up_to_40_entries_holds_and_for_nothing_else() -> None:
    roots = [TREE.root(size) for size in range(41)]
    for size in range(1, 41):
        for index in range(size):
            proof = inclusion_proof(index, size, TREE.node)
            assert includes(LARGE[index], index, size, proof, roots[size])
            assert not includes(LARGE[index - 1], index, size, proof, roots[size]) or size == 1
            assert not includes(LARGE[index], index, size, proof, roots[size - 1])
            assert not includes(LARGE[index], index, size, [*proof, LARGE[0]], roots[size])
            if proof:
                assert not includes(LARGE[index], index, size, proof[:-1], roots[size])
                assert not includes(LARGE[index], (index + 1) % size, size, proof, roots[size])
        for old in range(size + 1):
            proof = consistency_proof(old, size, TREE.node)
            assert continues(old, size, proof, roots[old], roots[size])
            if proof:
                assert not continues(old, size, proof, roots[old - 1], roots[size])
                assert not continues(old, size, proof, roots[old], roots[size - 1])
                assert not continues(old, size, proof[:-1], roots[old], roots[size])
                assert not continues(old, size, proof[1:], roots[old], roots[size])
            assert not continues(old, size, [*proof, LARGE[0]], roots[old], roots[size])


@given(st.integers(1, 70), st.data())
def test_no_changed_hash_of_a_proof_is_accepted(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    for proof, holds in (
        (
            inclusion_proof(index, size, TREE.node),
            lambda p: includes(LARGE[index], index, size, p, TREE.root(size)),
        ),
        (
            consistency_proof(old, size, TREE.node),
            lambda p: continues(old, size, p, TREE.root(old), TREE.root(size)),
        ),
    ):
        if proof:
            place, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
            changed = int.from_bytes(proof[place]) ^ (1 << bit)
            assert not holds([*proof[:place], changed.to_bytes(32), *proof[place + 1 :]])


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=8), st.integers(-2, 80), st.integers(-2, 80))
def test_any_proof_of_any_size_is_judged_without_an_error(proof: list[bytes], one: int, other: int) -> None:
    assert not includes(b"\0" * 32, one, other, proof, b"\1" * 32)
    assert not continues(one, other, proof, b"\0" * 32, b"\1" * 32)


def test_a_leaf_is_not_taken_for_a_node() -> None:
    """Prefixes differ, so an entry that consists of two hashes is not the node above them (RFC 9162 2.1)."""
    pair = LEAVES[0] + LEAVES[1]
    assert leaf_hash(pair) != node_hash(LEAVES[0], LEAVES[1])
    assert not includes(leaf_hash(pair), 0, 1, [], ROOTS[2])


def test_a_proof_has_as_many_hashes_as_the_place_of_the_entry_demands() -> None:
    """Even where the hashes would match, a subtree is not an entry of a larger or a smaller tree."""
    left, right = LEAVES[:2]
    assert includes(right, 1, 2, [left], node_hash(left, right))
    assert not includes(right, 0, 1, [left], node_hash(left, right))
    assert not includes(ROOTS[8], 0, 8, [], ROOTS[8])
    assert not includes(node_hash(left, right), 0, 3, [LEAVES[2]], ROOTS[3])


def test_an_empty_tree_is_continued_by_every_tree_and_only_from_its_own_root() -> None:
    assert continues(0, 8, [], EMPTY_ROOT, ROOTS[8])
    assert not continues(0, 8, [], ROOTS[1], ROOTS[8])
    assert not continues(0, 8, [LEAVES[0]], EMPTY_ROOT, ROOTS[8])
    assert not continues(8, 7, [], ROOTS[8], ROOTS[7])
    assert tree_hash(3, 3, TREE.node) == EMPTY_ROOT


@given(st.lists(st.integers(0, 30), max_size=5))
def test_a_frontier_goes_on_from_where_it_was_written_down(pieces: list[int]) -> None:
    frontier, ends = Frontier(), [0]
    for piece in pieces:
        ends.append(min(ends[-1] + piece, len(LARGE)))
    for start, end in pairwise(ends):
        frontier = Frontier.parse(frontier.to_bytes())
        frontier.extend(LARGE[start:end])
    assert frontier.root() == by_definition(LARGE[: ends[-1]])
    assert len(frontier.to_bytes()) <= 8 + 32 * 63


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 7, b"\0" * 40, (1).to_bytes(8), (3).to_bytes(8) + b"\0" * 32, b"\xff" * 8 + b"\0" * 2048],
)
def test_a_frontier_that_does_not_fit_its_size_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        Frontier.parse(data)


@given(st.integers(0, 1100), st.lists(st.integers(0, 700), max_size=4))
def test_entries_added_in_runs_are_the_same_tree(first: int, runs: list[int]) -> None:
    one, other = Frontier(), Frontier()
    for count in (first, *runs):
        leaves = [leaf_hash(str(one.size + number).encode()) for number in range(count)]
        one.extend(leaves)
        for leaf in leaves:
            other.append(leaf)
        assert one.to_bytes() == other.to_bytes()


def test_proofs_of_what_is_not_in_the_tree_are_not_made() -> None:
    for index, size in ((-1, 8), (8, 8), (0, 0)):
        with pytest.raises(ValueError, match="not in a tree"):
            inclusion_proof(index, size, TREE.node)
    for old, new in ((-1, 8), (9, 8)):
        with pytest.raises(ValueError, match="a smaller one"):
            consistency_proof(old, new, TREE.node)


def test_a_frontier_reports_each_tile_hash_once_however_the_leaves_come() -> None:
    """A log stores the hashes of every eighth level, so that proofs do not need to read leaves again."""
    leaves = [leaf_hash(str(number).encode()) for number in range(1300)]
    tree = MemoryTree(leaves)
    wanted = {(8, index): tree.node(8, index) for index in range(len(leaves) >> 8)}
    assert len(wanted) > 1
    for pieces in ([len(leaves)], [1, 254, 3, 700, len(leaves)]):
        found: list[tuple[int, int, bytes]] = []
        known, rest = Frontier(), iter(leaves)
        for piece in pieces:
            known = Frontier(known.size, known.peaks, lambda *each, to=found: to.append(each))
            known.extend(islice(rest, piece))
        kept = [((level, index), digest) for level, index, digest in found if level == 8]
        assert (known.size, dict(kept)) == (len(leaves), wanted)
        assert len(kept) == len(wanted)
