"""Judges of statements, and of a log's checkpoints, proofs, policies and tiles, each with its seeds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from samdrift.audit.merkle import Frontier, inclusion_proof, leaf_hash
from samdrift.audit.notes import Note, VerifierKey
from samdrift.audit.policies import Policy
from samdrift.audit.proofs import EntryProof, WitnessRequest
from samdrift.audit.reading import Malformed, Unverified
from samdrift.audit.tiles import Tile, bundle
from samdrift.rights import Effect, Statement, StatementError, fold
from tests.unit.audit.signing import LOG, ONE, TWO, checkpoint, entries, tree
from tests.unit.rights import building, test_statements

_POLICY = f"# both\nlog {LOG.key}\nwitness W1 {ONE.key}\nwitness W2 {TWO.key}\ngroup G any W1 W2\nquorum G\n"
_OPEN = Policy.parse(_POLICY.encode())
_LEAF = leaf_hash(entries(21)[13])


def statement(data: bytes) -> None:
    """A statement is refused, or has only one encoding and can be folded."""
    with contextlib.suppress(StatementError):
        read = Statement.parse(data)
        assert read.content == data
        rebuilt = Statement(read.organisation, read.by, read.at, read.why, read.act)
        assert rebuilt.content == data, "a statement has two encodings"
        state = fold(building.HABO, building.founding())
        if state.last is not None and read.at >= state.last:
            assert state.judge(read) in Effect


def statements() -> Iterator[bytes]:
    for each in test_statements.ALL:
        yield each.content


def signed_note(data: bytes) -> None:
    """A signed checkpoint is refused, or has only one encoding, and verifies only if we signed it."""
    with contextlib.suppress(Malformed):
        assert bytes(Note.parse(data)) == data
    with contextlib.suppress(Malformed, Unverified):
        signed = _OPEN.open(data)
        assert signed.checkpoint.root == tree(8).root(), "a checkpoint verifies that was never signed"
        assert _OPEN.witnessed_at(signed) is not None


def signed_notes() -> Iterator[bytes]:
    yield checkpoint(8, [LOG])
    yield checkpoint(8, [LOG, ONE, TWO])
    yield checkpoint(8, [LOG, ONE], extension=("more",))


def entry_proof(data: bytes) -> None:
    """A proof is refused, or has only one encoding, and verifies for exactly one entry."""
    with contextlib.suppress(Malformed, Unverified):
        read = EntryProof.parse(data)
        assert bytes(read) == data
        assert read.verify(_LEAF, _OPEN).checkpoint.size == 21
        assert read.index == 13


def entry_proofs() -> Iterator[bytes]:
    path = tuple(inclusion_proof(13, 21, tree(21).node))
    yield bytes(EntryProof(13, path, checkpoint(21, [LOG, ONE])))
    yield bytes(EntryProof(13, path, checkpoint(21, [LOG, ONE]), b"extra"))


def witness_request(data: bytes) -> None:
    """A request to a witness is refused, or has only one encoding."""
    with contextlib.suppress(Malformed):
        assert bytes(WitnessRequest.parse(data)) == data


def witness_requests() -> Iterator[bytes]:
    yield bytes(WitnessRequest(0, (), checkpoint(8)))
    yield bytes(WitnessRequest(8, (b"\1" * 32, b"\2" * 32), checkpoint(21, [LOG, ONE])))


def policy(data: bytes) -> None:
    """A policy is refused, or is satisfied by all of its witnesses, and by none only with quorum none."""
    with contextlib.suppress(Malformed):
        read = Policy.parse(data)
        keys = [member.key for member in read.witnesses.values()]
        assert read.suffices(keys)
        assert not read.suffices([]) or read.quorum == "none"


def policies() -> Iterator[bytes]:
    yield _POLICY.encode()
    yield b"quorum none\n"


def tile(data: bytes) -> None:
    """A tile path, a key and a bundle have only one encoding, a frontier can be read, or they are refused."""
    with contextlib.suppress(Malformed):
        Frontier.parse(data)
    text, _, content = data.partition(b"\n")
    with contextlib.suppress(Malformed):
        path = Tile.parse(text.decode("utf-8", "replace"))
        assert path.path.encode() == text
        assert bundle(path.entries(content)) == content
    with contextlib.suppress(Malformed):
        key = VerifierKey.parse(text.decode("utf-8", "replace"))
        assert str(key).encode() == text


def tiles() -> Iterator[bytes]:
    yield b"tile/entries/x001/002.p/2\n" + bundle([b"one", b"other"])
    yield b"tile/entries/000\n" + bundle(entries(256))
    yield str(LOG.key).encode() + b"\n"
    frontier = Frontier()
    frontier.extend([_LEAF] * 21)
    yield frontier.to_bytes()
