"""The second form of a log: leaves of the tree that RFC 6962 2.1 defines, with and without a chain before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from samdrift.audit.chain import ChainHead, ChainReason, LogVerification, link, origin, verify_chain
from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.leaves import Leaf, commitment
from samdrift.audit.merkle import Frontier
from tests.vaults import NOW

ORIGIN = origin("log")
Log = list[LogEntry | Leaf]


def happening(event: str = "ap:transfer:queued", **ids: str) -> Happening:
    return Happening(NOW, event, "worker:test", "process", ids)


def leaf(sequence: int, content: Happening, salt: bytes = bytes(16)) -> LogEntry:
    return LogEntry.placed(content, sequence, b"", commitment(salt, content.content()), 1, salt)


def begun(head: ChainHead = ORIGIN) -> LogEntry:
    named = happening("log:tree:begun", entries=str(head.sequence), head=head.hash.hex())
    return leaf(head.sequence + 1, named)


def tree(size: int, head: ChainHead = ORIGIN) -> Log:
    first = begun(head)
    return [first, *(leaf(first.sequence + n, happening(envelope=str(n))) for n in range(1, size))]


def chain(size: int) -> tuple[Log, ChainHead]:
    entries, head = Log(), ORIGIN
    for number in range(1, size + 1):
        content = happening(envelope=str(number))
        digest = link(head.hash, number, content.content())
        entries.append(LogEntry.placed(content, number, head.hash, digest))
        head = ChainHead(number, digest)
    return entries, head


def root(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 2.1, word for word."""
    if not hashes:
        return sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha256(b"\x01" + root(hashes[:k]) + root(hashes[k:])).digest()


def test_an_entry_of_the_tree_is_42_bytes_of_version_number_class_and_commitment() -> None:
    one = Leaf(0x0102030405060708, 3, bytes(range(32)))
    assert one.entry.hex() == "02" + "0102030405060708" + "03" + bytes(range(32)).hex()
    assert one.hash == sha256(b"\0" + one.entry).digest()


@pytest.mark.parametrize("size", [*range(34), 1000])
def test_the_root_is_the_merkle_tree_hash(size: int) -> None:
    hashes = [sha256(b"%d" % number).digest() for number in range(size)]
    grown = Frontier()
    for each in hashes:
        grown.append(each)
    assert (grown.size, grown.root()) == (size, root(hashes))


def test_a_log_that_goes_on_from_the_chain_to_the_tree_holds() -> None:
    old, head = chain(5)
    new = tree(4, head)
    known = LogVerification(ORIGIN)
    assert known.take(old).head == head
    verdict = known.take(new[:1])
    assert verdict.intact
    assert known.take(new[1:]).intact
    assert known.head == ChainHead(9, root([one.leaf.hash for one in new if isinstance(one, LogEntry)]), 4)
    assert verify_chain(old + new, ORIGIN).head == known.head


def test_what_was_disposed_of_holds_as_a_bare_leaf() -> None:
    log = tree(5)
    bare = [one.leaf if n == 3 and isinstance(one, LogEntry) else one for n, one in enumerate(log)]
    assert isinstance(bare[3], Leaf)
    assert verify_chain(bare, ORIGIN) == verify_chain(log, ORIGIN)


def test_a_section_goes_on_from_the_tree_before_it() -> None:
    log = tree(7)
    known = LogVerification(ORIGIN)
    known.take(log[:4])
    assert LogVerification(ChainHead(4, b""), known.tree).take(log[4:]).head == verify_chain(log, ORIGIN).head


def _salted_anew(log: Log) -> Log:
    one = log[2]
    assert isinstance(one, LogEntry)
    return [*log[:2], replace(one, salt=bytes(15) + b"1"), *log[3:]]


def _other_facts(log: Log) -> Log:
    one = log[2]
    assert isinstance(one, LogEntry)
    return [*log[:2], replace(one, ids={"envelope": "another"}), *log[3:]]


def _back_to_the_chain(log: Log) -> Log:
    content = happening()
    digest = link(ORIGIN.hash, 3, content.content())
    return [*log[:2], LogEntry.placed(content, 3, ORIGIN.hash, digest), *log[3:]]


@pytest.mark.parametrize(
    ("tamper", "reason", "held"),
    [
        (lambda log: [*log[:2], *log[3:]], ChainReason.GAP, 2),
        (lambda log: [*log[:2], log[3], log[2], *log[4:]], ChainReason.GAP, 2),
        (lambda log: [*log[:3], log[2], *log[3:]], ChainReason.GAP, 3),
        (_salted_anew, ChainReason.ALTERED, 2),
        (_other_facts, ChainReason.ALTERED, 2),
        (_back_to_the_chain, ChainReason.CUT, 2),
        (lambda log: [begun(ChainHead(0, bytes(32))), *log[1:]], ChainReason.CUT, 0),
        (lambda log: [leaf(1, happening()), *log[1:]], ChainReason.CUT, 0),
        (lambda log: [Leaf(1, 1, bytes(32)), *log[1:]], ChainReason.CUT, 0),
    ],
)
def test_what_was_changed_is_found_at_its_place(
    tamper: Callable[[Log], Log], reason: ChainReason, held: int
) -> None:
    verdict = verify_chain(tamper(tree(6)), ORIGIN)
    assert (verdict.reason, verdict.head.sequence) == (reason, held)


def test_another_class_number_or_commitment_makes_another_root() -> None:
    log = tree(3)
    known = verify_chain(log, ORIGIN).head
    one = log[2]
    assert isinstance(one, LogEntry)
    assert one.leaf is not None
    for other in (replace(one, retention=2), replace(one.leaf, commitment=bytes(32))):
        assert verify_chain([*log[:2], other], ORIGIN).head.hash != known.hash


@pytest.mark.parametrize("entry", [*tree(2), *chain(2)[0]])
def test_an_entry_is_read_as_it_was_written(entry: LogEntry) -> None:
    assert LogEntry.read(entry.document()) == entry


@pytest.mark.parametrize(
    "changed",
    [
        {"sequence": 0}, {"sequence": True}, {"sequence": 1 << 63}, {"sequence": "1"}, {"retention": 256},
        {"retention": -1}, {"retention": 1.0}, {"hash": "00"}, {"hash": None}, {"salt": 1}, {"content": "{}"},
        {"content": None}, {"previous": "x"},
    ],
)  # fmt: skip
def test_what_is_no_entry_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not an entry of a log"):
        LogEntry.read(begun().document() | changed)
