"""Exported logs, honest and forged, verified by our verifier and by one based on Go's log libraries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from samdrift.audit.notes import announced
from tests.interop.tlog.peer import Peer
from tests.sizes import count, seed, soak
from tests.unit.audit.forgeries import KINDS
from tests.unit.audit.logs import BEGUN, CADENCE, POLICY, Log, Stated, made, stated
from tests.unit.audit.signing import LOG, ONE, TWO, Signer
from tests.unit.audit.test_forgeries import NOW, ORIGINALS, forged_logs, judged


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    started = Peer()
    yield started
    started.close()


def compared(peer: Peer, log: Log, known: bytes, path: Path) -> bool:
    """Return whether both accept the log; they must agree on that, the first wrong entry, and the root."""
    ours = judged(log, known, path)
    theirs = peer.call("log", policy=POLICY, folder=str(path), known=[known], now=NOW)
    assert theirs["verdict"] == ("holds" if ours.holds else "wrong"), (theirs, ours)
    assert theirs.get("number", 0) == (ours.first_wrong.number if ours.first_wrong else 0), (theirs, ours)
    assert theirs.get("size", 0) == ours.size
    return ours.holds


@pytest.mark.parametrize("original", ORIGINALS, ids=range(len(ORIGINALS)))
def test_both_hold_an_honest_log_for_good(peer: Peer, original: Log, tmp_path: Path) -> None:
    assert compared(peer, original, original.notes[-1].note, tmp_path / "log")


def test_both_know_a_key_that_the_one_before_it_announced(peer: Peer, tmp_path: Path) -> None:
    log, new = made(60, each=30), Signer(LOG.name, LOG.algorithm, "2")
    known = log.notes[0].note
    log.keys = [(LOG.key, b""), (new.key, LOG.private.sign(announced(new.key)))]
    log.notes[-1] = Stated(60, stated(log, 60, BEGUN + 2 * CADENCE, (new, ONE, TWO)))
    assert compared(peer, log, known, tmp_path / "log")
    log.keys[-1] = (new.key, new.private.sign(announced(new.key)))
    assert not compared(peer, log, known, tmp_path / "log")


@soak
def test_both_find_every_forgery_at_the_same_entry(peer: Peer, tmp_path: Path) -> None:
    for one in forged_logs(count(400, 10_000), seed(13)):
        assert not compared(peer, one.log, one.known, tmp_path / "log"), one.name
    assert len(KINDS) >= 20
