"""Proofs of one entry, and requests to a witness: written, read, verified, malformed, and wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.audit.merkle import inclusion_proof, leaf_hash
from samdrift.audit.policies import Policy
from samdrift.audit.proofs import EntryProof, WitnessRequest
from samdrift.audit.reading import Malformed, Unverified
from tests.unit.audit.signing import LOG, ONE, checkpoint, entries, log, tree

SIZE, INDEX = 21, 13
LEAF = leaf_hash(entries(SIZE)[INDEX])
POLICY = Policy.parse(f"log {LOG.key}\nwitness W {ONE.key}\nquorum W\n".encode())
PROOF = EntryProof(
    INDEX,
    tuple(inclusion_proof(INDEX, SIZE, tree(SIZE).node)),
    checkpoint(SIZE, [LOG, ONE]),
    b"facts and salt",
)
WRITTEN = bytes(PROOF)
REQUEST = WitnessRequest(8, (b"\1" * 32, b"\2" * 32), checkpoint(SIZE))


def test_a_proof_survives_and_holds() -> None:
    for proof in (PROOF, replace(PROOF, extra=None), replace(PROOF, extra=b"")):
        read = EntryProof.parse(bytes(proof))
        assert read == proof
        assert read.verify(LEAF, POLICY).checkpoint.size == SIZE
    single = EntryProof(0, (), checkpoint(1, [LOG, ONE]))
    assert EntryProof.parse(bytes(single)).verify(leaf_hash(entries(1)[0]), POLICY).checkpoint.size == 1


def test_a_request_survives() -> None:
    for request in (REQUEST, replace(REQUEST, old=0, proof=())):
        assert WitnessRequest.parse(bytes(request)) == request
    assert bytes(replace(REQUEST, proof=())).startswith(b"old 8\n\nlog.example/7f3a\n21\n")


@pytest.mark.parametrize(
    ("proof", "leaf"),
    [
        (PROOF, leaf_hash(b"another")),
        (replace(PROOF, index=INDEX + 1), LEAF),
        (replace(PROOF, index=SIZE), LEAF),
        (replace(PROOF, path=PROOF.path[:-1]), LEAF),
        (replace(PROOF, checkpoint=checkpoint(SIZE + 1, [LOG, ONE])), LEAF),
        (replace(PROOF, checkpoint=checkpoint(SIZE, [LOG])), LEAF),
        (replace(PROOF, checkpoint=checkpoint(SIZE, [log("other"), ONE])), LEAF),
    ],
)
def test_a_proof_of_something_else_does_not_hold(proof: EntryProof, leaf: bytes) -> None:
    with pytest.raises(Unverified):
        EntryProof.parse(bytes(proof)).verify(leaf, POLICY)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"", ""),
        (WRITTEN.partition(b"\n\n")[0], ""),
        (WRITTEN.replace(b"@v1", b"@v2"), "line 1"),
        (WRITTEN.replace(b"\nextra ", b"\nextra  "), "line 2"),
        (WRITTEN.replace(b"\nextra ", b"\nextra !"), "line 2"),
        (WRITTEN.replace(b"\nextra ", b"\nextra" + b" " + b"A" * 100_004), "line 2"),
        (WRITTEN.replace(b"\nindex", b"\nIndex"), "line 3"),
        (WRITTEN.replace(b"index 13", b"index 013"), "line 3"),
        (WRITTEN.replace(b"index 13", b"index -1"), "line 3"),
        (WRITTEN.replace(b"index 13", b"index 13 "), "line 3"),
        (WRITTEN.replace(b"index 13", b"index 9223372036854775808"), "line 3"),
        (WRITTEN.replace(b"index 13\n", b"index 13\n" + b"A" * 43 + b"=\n" * 1), None),
        (WRITTEN.replace(b"index 13\n", b"index 13\nAAAA\n"), "line 4"),
        (WRITTEN.replace(b"index 13\n", b"index 13\n" + (b"A" * 43 + b"=\n") * 60), "line 67"),
        (WRITTEN.replace(b"index 13\n", "index 13\n—\n".encode()), f"byte {WRITTEN.index(b'index 13') + 9}"),
        (WRITTEN + b"x" * 1_200_000, ""),
    ],
)
def test_a_malformed_proof_is_refused_with_the_place(content: bytes, where: str | None) -> None:
    with pytest.raises((Malformed, Unverified)) as refused:
        EntryProof.parse(content).verify(LEAF, POLICY)
    assert where is None or refused.value.where == where
    assert where is None or isinstance(refused.value, Malformed)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"", ""),
        (b"old 8\n", ""),
        (bytes(REQUEST).replace(b"old 8", b"new 8"), "line 1"),
        (bytes(REQUEST).replace(b"old 8", b"old 08"), "line 1"),
        (bytes(REQUEST).replace(b"old 8", b"old"), "line 1"),
        (bytes(REQUEST).replace(b"old 8\n", b"old 8\nAAAA\n"), "line 2"),
        (bytes(REQUEST).replace(b"old 8\n", b"old 8\n" + (b"A" * 43 + b"=\n") * 62), "line 65"),
        (b"\n\n", "line 1"),
    ],
)
def test_a_malformed_request_is_refused_with_the_place(content: bytes, where: str) -> None:
    with pytest.raises(Malformed) as refused:
        WitnessRequest.parse(content)
    assert refused.value.where == where


def test_every_byte_of_a_proof_matters_but_those_of_the_extra_data() -> None:
    """Changing any single byte makes the proof malformed or invalid."""
    extra = range(WRITTEN.index(b"extra "), WRITTEN.index(b"index 13"))
    for place in range(len(WRITTEN)):
        changed = WRITTEN[:place] + bytes([WRITTEN[place] ^ 1]) + WRITTEN[place + 1 :]
        try:
            EntryProof.parse(changed).verify(LEAF, POLICY)
        except (Malformed, Unverified):
            continue
        assert place in extra


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for read in (EntryProof.parse, WitnessRequest.parse):
        try:
            again = read(content)
        except Malformed:
            continue
        assert bytes(again) == content
