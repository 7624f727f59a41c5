"""Promises of a log: signed by its key only, never valid as checkpoints, and kept, open or broken."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from samdrift.audit.leaves import Leaf
from samdrift.audit.notes import Checkpoint, SignedCheckpoint, VerifierKey
from samdrift.audit.promises import Once, Promise, Verdict, judge, promises_of
from samdrift.audit.reading import Malformed, Unverified
from tests.unit.audit.signing import LOG, Signer, log

TIME = 1_772_000_000
LEAVES = [Leaf(number, 2, bytes([number]) * 32) for number in range(1, 6)]
(GIVEN,) = promises_of(LOG.name, LEAVES[3:4], TIME)


def given(promise: Promise = GIVEN, by: Signer = LOG) -> str:
    return promise.signed(by.key, by.private.sign)


def test_a_promise_names_log_number_leaf_and_time() -> None:
    assert Promise.open(given(), [LOG.key]) == GIVEN
    assert (GIVEN.origin, GIVEN.number, GIVEN.leaf, GIVEN.time) == (LOG.name, 4, LEAVES[3].hash, TIME)


def test_a_promise_is_never_a_checkpoint_nor_a_checkpoint_a_promise() -> None:
    note = base64.b64decode(given())
    with pytest.raises((Malformed, Unverified)):
        SignedCheckpoint.parse(note, [LOG.key])
    stated = Checkpoint(LOG.name, 4, LEAVES[3].hash)
    checkpoint = stated.signed([LOG.line(stated.text)])
    with pytest.raises(Malformed):
        Promise.open(base64.b64encode(checkpoint).decode(), [LOG.key])


def test_every_changed_byte_is_found() -> None:
    note = base64.b64decode(given())
    for place in range(len(note)):
        changed = note[:place] + bytes([note[place] ^ 1]) + note[place + 1 :]
        with pytest.raises((Malformed, Unverified)):
            Promise.open(base64.b64encode(changed).decode(), [LOG.key], "line 7")


@pytest.mark.parametrize("text", ["", "%", "bm90ZQ==", "A" * 4000, "é"])
def test_what_is_no_promise_is_named_with_its_place(text: str) -> None:
    with pytest.raises(Malformed, match="line 7"):
        Promise.open(text, [LOG.key], "line 7")


def test_a_promise_by_another_key_or_of_another_log_does_not_hold() -> None:
    other = log("log.example/other")
    for text, keys in (
        (given(), [other.key]),
        (given(GIVEN, other), [LOG.key]),
        (given(GIVEN, other), [LOG.key, other.key]),
    ):
        with pytest.raises(Unverified):
            Promise.open(text, keys)
    renamed = VerifierKey(other.name, LOG.key.algorithm, LOG.key.public)
    with pytest.raises(Unverified):
        Promise.open(GIVEN.signed(renamed, LOG.private.sign), [LOG.key, renamed])


def test_kept_open_or_broken() -> None:
    entries = {leaf.sequence: leaf.entry for leaf in LEAVES}

    def verdict(promise: Promise, end: int, now: int = TIME) -> Verdict:
        return judge(promise, entries.get, end, now, 300)

    assert verdict(GIVEN, 5) is verdict(GIVEN, 4) is Verdict.KEPT
    assert verdict(replace(GIVEN, leaf=LEAVES[2].hash), 5) is Verdict.BROKEN
    assert verdict(GIVEN, 3, TIME + 300) is Verdict.OPEN
    assert verdict(GIVEN, 3, TIME + 301) is Verdict.BROKEN
    assert verdict(replace(GIVEN, number=0), 5) is Verdict.BROKEN


def test_an_entry_that_is_promised_again_later_stands_for_one_that_was_not_kept() -> None:
    once = Once()
    assert once.holds(GIVEN)
    assert once.holds(GIVEN), "a repeated line must be accepted"
    assert once.holds(replace(GIVEN, number=3))
    assert not once.holds(replace(GIVEN, time=TIME + 1))
