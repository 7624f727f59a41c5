"""Forgeries of a log, each as somebody makes it who owns the database, or the log's key besides.

A forger has all rows and all stored checkpoints, and no witness's key. Whoever owns the database rewrites
rows as its functions would write them, hashes and numbers included. Whoever has the log's key signs the
checkpoints again that no longer fit.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import zip_longest

from samdrift.audit.chain import ChainHead, link
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent, LogEvent, Retention
from samdrift.audit.leaves import commitment
from samdrift.audit.notes import Checkpoint, Note, announced
from samdrift.messageservice.events import MTEvent
from tests.unit.audit.logs import Log, Row, Stated, made
from tests.unit.audit.signing import LOG, ONE, TWO, Signer

Forge = Callable[[random.Random, Log], Log | None]
"""Changes a log, and returns the one that witnesses saw where that is not the given one."""


class NothingThere(Exception):
    """Another forgery has left nothing that this one could change."""


def _place(drawn: random.Random, log: Log) -> int:
    """A random entry that is not the first, and that a checkpoint has."""
    end = min(len(log.rows), log.notes[-1].size)
    if end < 4:
        raise NothingThere
    return drawn.randrange(1, end)


def _with_facts(drawn: random.Random, log: Log, event: AuditEvent | None = None) -> int:
    """A random entry that has facts, and that a checkpoint has, of an event or of any but the log's own."""
    end = min(len(log.rows), log.notes[-1].size)
    places = [
        place
        for place, row in enumerate(log.rows[1:end], start=1)
        if row.content is not None and row.retention != Retention.LOG and event in (None, row.happening.event)
    ]
    if not places:
        raise NothingThere
    return drawn.choice(places)


def _renumber(log: Log, start: int) -> None:
    """Close up the numbers from a place on."""
    first = log.rows[0].number
    for place in range(start, len(log.rows)):
        log.rows[place] = replace(log.rows[place], number=first + place)


def _changed(row: Row, drawn: random.Random) -> Row:
    happening = row.happening
    ids = dict(happening.ids) | {"envelope": f"{drawn.getrandbits(64):016x}"}
    return row.again(replace(happening, ids=ids))


def without_facts(row: Row) -> Row:
    return replace(row, content=None, salt=b"")


def facts_changed(drawn: random.Random, log: Log) -> None:
    """The clumsy edit: facts changed, hashes left."""
    place = _with_facts(drawn, log)
    row = log.rows[place]
    log.rows[place] = replace(_changed(row, drawn), hash=row.hash)


def entry_changed(drawn: random.Random, log: Log) -> None:
    place = _with_facts(drawn, log)
    log.rows[place] = _changed(log.rows[place], drawn)


def another_person(drawn: random.Random, log: Log) -> None:
    """A reading in the name of somebody innocent, in place of the one that was."""
    place = _with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)
    row = log.rows[place]
    log.rows[place] = row.again(replace(row.happening, principal="person:innocent"))


def end_dropped(drawn: random.Random, log: Log) -> None:
    """The last entries dropped, and the checkpoints over them."""
    size = _place(drawn, log)
    del log.rows[size:]
    log.notes = [note for note in log.notes if note.size <= size] or log.notes[:1]


def end_dropped_alone(drawn: random.Random, log: Log) -> None:
    """The last entries dropped, and the checkpoints left."""
    del log.rows[_place(drawn, log) :]


def reading_removed(drawn: random.Random, log: Log) -> None:
    place = _with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)
    del log.rows[place]
    _renumber(log, place)


def reading_removed_alone(drawn: random.Random, log: Log) -> None:
    """A reading taken out, and the gap in the numbers left."""
    del log.rows[_with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)]


def reading_added(drawn: random.Random, log: Log) -> None:
    """A reading that never was, put between others."""
    place = _place(drawn, log)
    like = log.rows[_with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)]
    happening = replace(like.happening, principal="person:innocent")
    log.rows.insert(place, Row.of(0, happening, drawn.randbytes(16)))
    _renumber(log, place)


def doubled(drawn: random.Random, log: Log) -> None:
    place = _place(drawn, log)
    log.rows.insert(place, log.rows[place])
    _renumber(log, place)


def swapped(drawn: random.Random, log: Log) -> None:
    """Two entries swapped, each with the other's number."""
    one, two = _place(drawn, log), _place(drawn, log)
    while log.rows[one].hash == log.rows[two].hash:
        two = _place(drawn, log)
    rows = log.rows
    rows[one], rows[two] = (
        replace(rows[two], number=rows[one].number),
        replace(rows[one], number=rows[two].number),
    )


def swapped_with_numbers(drawn: random.Random, log: Log) -> None:
    one, two = _place(drawn, log), _place(drawn, log)
    while one == two:
        two = _place(drawn, log)
    log.rows[one], log.rows[two] = log.rows[two], log.rows[one]


def moved_back(drawn: random.Random, log: Log) -> None:
    """A reading moved six days back."""
    place = _with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)
    row = log.rows[place]
    log.rows[place] = row.again(replace(row.happening, at=row.happening.at - timedelta(days=6)))


def backdated(drawn: random.Random, log: Log) -> Log:
    """A reading that was written with a time of six days before: every witness saw it so."""
    moved_back(drawn, log)
    _state_again(log, (LOG, ONE, TWO))
    return log.copy()


def openings_and_readings_left_out(drawn: random.Random, log: Log) -> None:
    """Of a part of the log, everything about who opened and read."""
    place = _with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)
    end = drawn.randrange(place + 1, len(log.rows) + 1)
    kept = [row for row in log.rows[place:end] if row.retention not in (Retention.READING, Retention.ACCESS)]
    log.rows[place:end] = kept
    _renumber(log, place)


def put_back(drawn: random.Random, log: Log) -> None:
    """Everything put back to a moment before, and other entries written since."""
    size = _place(drawn, log)
    log.notes = [note for note in log.notes if note.size <= size] or log.notes[:1]
    for place in range(size, len(log.rows)):
        row = log.rows[place]
        log.rows[place] = replace(row, salt=b"") if row.content is None else _changed(row, drawn)


def disposed_in_part(drawn: random.Random, log: Log) -> None:
    """Facts of one entry disposed of, without a decision."""
    place = _with_facts(drawn, log)
    log.rows[place] = without_facts(log.rows[place])


def disposed_beyond_the_decision(drawn: random.Random, log: Log) -> Log:
    """A decision about a class, and entries that are gone although they are not in it."""
    place = _with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)
    at = log.rows[-1].happening.at
    log.dispose(Retention.READING, log.rows[place].number - 1, at)
    log.sign(at + timedelta(seconds=10))
    seen = log.copy()
    log.rows[place] = without_facts(log.rows[place])
    return seen


def decision_forged(drawn: random.Random, log: Log) -> None:
    """Facts disposed of, and an entry made a decision about them."""
    reading = _with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)
    place = drawn.randrange(reading + 1, len(log.rows)) if reading + 1 < len(log.rows) else reading
    while log.rows[place].content is None:
        place -= 1
    happening = log.rows[place].happening
    through = log.rows[place].number - 1
    gone = 0
    for each in range(1, place):
        if log.rows[each].retention == Retention.READING and log.rows[each].content is not None:
            log.rows[each] = without_facts(log.rows[each])
            gone += 1
    ids = {"class": "reading", "through": str(through), "entries": str(gone)}
    decided = replace(happening, event=LogEvent.LOG_FACTS_DISPOSED.value, ids=ids)
    log.rows[place] = Row.of(log.rows[place].number, decided, drawn.randbytes(16))


def class_changed(drawn: random.Random, log: Log) -> None:
    """A transfer put into a class that is kept for a shorter time."""
    place = _with_facts(drawn, log)
    other = drawn.choice([each for each in Retention if each not in (log.rows[place].retention, 0)])
    log.rows[place] = replace(log.rows[place], retention=other)


def salt_changed(drawn: random.Random, log: Log) -> None:
    """The same facts with another salt."""
    place = _with_facts(drawn, log)
    row = log.rows[place]
    salt = drawn.randbytes(16)
    log.rows[place] = replace(row, salt=salt, hash=commitment(salt, row.content or b""))


def key_changed(drawn: random.Random, log: Log) -> None:
    """An entry changed, and the checkpoints since signed by a new key, which announces itself."""
    entry_changed(drawn, log)
    other = Signer(LOG.name, LOG.algorithm, "forged")
    log.keys.append((other.key, other.private.sign(announced(other.key))))
    _state_again(log, (other,))


def checkpoint_replayed(drawn: random.Random, log: Log) -> None:
    """An entry changed, and an earlier checkpoint shown again in place of those since."""
    entry_changed(drawn, log)
    size = drawn.choice(log.notes[:-1]).size if len(log.notes) > 1 else log.notes[0].size
    log.notes = [note for note in log.notes if note.size <= size]
    log.notes.append(log.notes[-1])


def cosignatures_pasted(drawn: random.Random, log: Log) -> None:
    """An entry changed, and later checkpoints signed by the log, with the cosignatures that were there."""
    before = list(log.notes)
    entry_changed(drawn, log)
    _state_again(log, (LOG,))
    for place, (now, was) in enumerate(zip(log.notes, before, strict=True)):
        if now != was:
            lines = b"".join(bytes(each) for each in Note.parse(was.note).signatures if each.name != LOG.name)
            log.notes[place] = Stated(now.size, now.note + lines)


def other_log(drawn: random.Random, log: Log) -> None:
    """The log of another vault in place of this one, from its first entry on."""
    other = made(len(log.rows), each=40, seed=drawn.randrange(2, 10**9))
    log.rows, log.chain = other.rows, []


def other_log_in_part(drawn: random.Random, log: Log) -> None:
    """Entries of another vault's log in the place of some of this one's."""
    other = made(len(log.rows), each=40, seed=drawn.randrange(2, 10**9))
    first, start = log.rows[0].number, _place(drawn, log)
    end = drawn.randrange(start + 1, len(log.rows) + 1)
    for place in range(start, min(end, len(other.rows))):
        log.rows[place] = replace(other.rows[place], number=first + place)


def chain_changed(drawn: random.Random, log: Log) -> None:
    """An entry of the first form changed, and the chain since then recomputed."""
    if not log.chain:
        entry_changed(drawn, log)
        return
    place = drawn.randrange(len(log.chain))
    entry = log.chain[place]
    head = ChainHead(entry.sequence - 1, entry.previous)
    for each in log.chain[place:]:
        happening = each.happening
        if each is entry:
            happening = replace(happening, principal="person:innocent")
        hashed = link(head.hash, each.sequence, happening.content())
        log.chain[each.sequence - 1] = LogEntry.placed(happening, each.sequence, head.hash, hashed)
        head = ChainHead(each.sequence, hashed)


KINDS: tuple[Forge, ...] = (
    *(facts_changed, entry_changed, another_person, end_dropped, end_dropped_alone, reading_removed),
    *(reading_removed_alone, reading_added, doubled, swapped, swapped_with_numbers, moved_back, backdated),
    *(openings_and_readings_left_out, put_back, disposed_in_part, disposed_beyond_the_decision),
    *(decision_forged, class_changed, salt_changed, key_changed, checkpoint_replayed, cosignatures_pasted),
    *(other_log, other_log_in_part, chain_changed),
)


SEEN_SO = (backdated, disposed_beyond_the_decision)
"""Kinds of which a part is what witnesses saw, so that nothing may be forged before them."""


def signed_again(log: Log) -> None:
    """Sign each checkpoint that does not fit any more with the log's own key, which no witness does."""
    _state_again(log, (LOG,))


def _state_again(log: Log, signers: tuple[Signer, ...]) -> None:
    tree = log.tree()
    kept: list[Stated] = []
    for each in log.notes:
        size = min(each.size, tree.size)
        stated = Checkpoint.parse(Note.parse(each.note).text)
        if (stated.size, stated.root) == (size, tree.root(size)):
            kept.append(each)
            continue
        again = Checkpoint(LOG.name, size, tree.root(size))
        times = [int.from_bytes(one.signature[:8]) for one in Note.parse(each.note).signatures[1:]]
        time = min(times, default=0)
        lines = [signer.line(again.text, time + place) for place, signer in enumerate(signers)]
        kept.append(Stated(size, again.signed(lines)))
    log.notes = kept


def differences(before: Log, now: Log) -> tuple[int, list[int]]:
    """Return the number of the first entry that is another one in the tree, or is missing or too many (one
    more than there are where there is none), and the numbers of those whose facts alone are others.
    """
    one, two = [*before.chain, *before.rows], [*now.chain, *now.rows]
    tree, facts = max(len(one), len(two)) + 1, []
    for number, (was, found) in enumerate(zip_longest(one, two), start=1):
        if isinstance(was, Row) and isinstance(found, Row) and was.leaf == found.leaf:
            facts += [number] if was != found else []
        elif was != found:
            tree = min(tree, number)
    return tree, facts
