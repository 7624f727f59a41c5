"""Forged logs: each kind, alone and combined, by the database's owner and by the holder of the log's key."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from samdrift.audit.logverifying import LogVerdict, LogVerifier
from samdrift.audit.notes import SignedCheckpoint
from samdrift.evidence.logexport import verify_log
from tests.sizes import count, seed, soak
from tests.unit.audit import forgeries
from tests.unit.audit.forgeries import KINDS, SEEN_SO, Forge, NothingThere, differences, signed_again
from tests.unit.audit.logs import BEGUN, Log, made, policy
from tests.unit.audit.signing import LOG

NOW = int(BEGUN.timestamp()) + 10**7
ORIGINALS = tuple(
    made(entries, chained, each, start, disposed)
    for entries, chained, each, start, disposed in (
        (150, 0, 25, 1, False),
        (150, 40, 25, 2, True),
        (300, 3, 60, 3, True),
        (60, 0, 10, 4, False),
    )
)


@dataclass(frozen=True)
class Forged:
    """A forged log, the log from which it was made, and a checkpoint that a witness remembers."""

    kinds: tuple[Forge, ...]
    holder: bool
    honest: Log
    original: Log
    """The log that witnesses saw."""
    log: Log

    @property
    def known(self) -> bytes:
        return self.original.notes[-1].note

    @property
    def name(self) -> str:
        names = " and ".join(kind.__name__ for kind in self.kinds)
        return f"{names} by {'holder of the key' if self.holder else 'owner of the database'}"


def forged(drawn: random.Random, kinds: tuple[Forge, ...], *, holder: bool) -> Forged:
    """Return a forgery at random places; the parts that witnesses saw are made first."""
    honest = original = drawn.choice(ORIGINALS)
    log = original.copy()
    for kind in sorted(kinds, key=lambda kind: SEEN_SO.index(kind) if kind in SEEN_SO else len(SEEN_SO)):
        original = kind(drawn, log) or original
    if holder:
        signed_again(log)
    return Forged(kinds, holder, honest, original, log)


def forged_logs(number: int, start: int | str) -> Iterator[Forged]:
    """Yield a number of forgeries: each kind alone, then pairs."""
    drawn = random.Random(start)
    plans = [((kind,), holder) for kind in KINDS for holder in (False, True)]
    for kinds, holder in plans:
        yield forged(drawn, kinds, holder=holder)
    made = len(plans)
    while made < number:
        with suppress(NothingThere):
            pair = drawn.sample(KINDS, 2)
            one = forged(drawn, tuple(pair), holder=drawn.random() < 0.5)
            if one.log != one.honest:  # the second forgery may undo the first
                yield one
                made += 1


def judged(log: Log, known: bytes, path: Path) -> LogVerdict:
    path.unlink(missing_ok=True)
    checkpoint = SignedCheckpoint.parse(known, [LOG.key])
    return verify_log(log.write(path), LogVerifier(policy(), NOW, [checkpoint]))


def named(one: Forged, verdict: LogVerdict) -> bool:
    """Return whether the verdict names the first wrong entry, as exactly as it can be known.

    If the tree differs, that is an entry after the last remaining checkpoint before the difference; if facts
    are missing, it is an entry without them or, in a class that was disposed of, an entry after those.
    """
    assert verdict.first_wrong is not None
    number, first = verdict.first_wrong.number, one.original.rows[0].number
    tree, facts = differences(one.original, one.log)
    left = [note.size for note in one.original.notes if note in one.log.notes]
    proved = max((size for size in left if first + size <= tree), default=0)
    decided = [row.happening.ids for row in one.log.rows if row.content and b'"log:facts' in row.content]
    through = [0, *(int(ids["through"]) for ids in decided)]
    gone = sorted({*facts, *(row.number for row in one.log.rows if row.content is None)})
    after = any(end < number <= next((each for each in gone if each > end), 0) for end in through)
    in_tree = (first + proved if tree > first else 1) <= number <= tree
    seen_so = number == differences(one.honest, one.original)[0]
    return in_tree or seen_so or number in gone or after


@pytest.mark.parametrize("original", ORIGINALS, ids=range(len(ORIGINALS)))
def test_a_log_that_nobody_touched_holds(original: Log, tmp_path: Path) -> None:
    verdict = judged(original, original.notes[-1].note, tmp_path / "log")
    assert verdict.holds
    assert verdict.size == len(original.rows)
    assert verdict.unproved == 0


@soak
def test_every_forgery_is_found_and_its_first_wrong_entry_named(tmp_path: Path) -> None:
    for one in forged_logs(count(len(KINDS) * 4, 10_000), seed(11)):
        verdict = judged(one.log, one.known, tmp_path / "log")
        assert not verdict.holds, one.name
        if one.log.rows != one.original.rows or one.log.chain != one.original.chain:
            assert named(one, verdict), (
                one.name,
                verdict.first_wrong,
                differences(one.original, one.log),
            )


def test_an_entry_that_was_backdated_before_any_witness_saw_it_is_named_itself(tmp_path: Path) -> None:
    drawn = random.Random(5)
    for _ in range(10):
        log = drawn.choice(ORIGINALS).copy()
        before = log.copy()
        forgeries.backdated(drawn, log)
        verdict = judged(log, log.notes[-1].note, tmp_path / "log")
        assert verdict.first_wrong is not None
        assert verdict.first_wrong.number == differences(before, log)[0]
        assert verdict.outside == 1
