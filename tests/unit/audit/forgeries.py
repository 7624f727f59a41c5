"""Forgeries of a log, by an attacker who owns the database, and possibly the log's key as well.

A forger has all rows and all stored checkpoints, but no witness's key. The owner of the database rewrites
rows as its functions would write them, including hashes and numbers. The holder of the log's key also signs
the checkpoints that no longer match again.
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
"""A function that changes a log, and returns the one that witnesses saw if it is not the given one."""


class NothingThere(Exception):
    """An earlier forgery has left nothing that this one could change."""


def _place(drawn: random.Random, log: Log) -> int:
    """Return the index of a random entry that a checkpoint covers and that is not the first."""
    end = min(len(log.rows), log.notes[-1].size)
    if end < 4:
        raise NothingThere
    return drawn.randrange(1, end)


def _with_facts(drawn: random.Random, log: Log, event: AuditEvent | None = None) -> int:
    """Return a random covered entry that still has facts, of an event or of any except the log's own."""
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
    """Renumber the entries from a place on, without gaps."""
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
    """Change facts without changing the hash: a clumsy edit."""
    place = _with_facts(drawn, log)
    row = log.rows[place]
    log.rows[place] = replace(_changed(row, drawn), hash=row.hash)


def entry_changed(drawn: random.Random, log: Log) -> None:
    place = _with_facts(drawn, log)
    log.rows[place] = _changed(log.rows[place], drawn)


def another_person(drawn: random.Random, log: Log) -> None:
    """Attribute a reading to an innocent person."""
    place = _with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)
    row = log.rows[place]
    log.rows[place] = row.again(replace(row.happening, principal="person:innocent"))


def end_dropped(drawn: random.Random, log: Log) -> None:
    """Drop the last entries, and the checkpoints over them."""
    size = _place(drawn, log)
    del log.rows[size:]
    log.notes = [note for note in log.notes if note.size <= size] or log.notes[:1]


def end_dropped_alone(drawn: random.Random, log: Log) -> None:
    """Drop the last entries, but keep the checkpoints."""
    del log.rows[_place(drawn, log) :]


def reading_removed(drawn: random.Random, log: Log) -> None:
    place = _with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)
    del log.rows[place]
    _renumber(log, place)


def reading_removed_alone(drawn: random.Random, log: Log) -> None:
    """Remove a reading, and leave the gap in the numbers."""
    del log.rows[_with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)]


def reading_added(drawn: random.Random, log: Log) -> None:
    """Insert a reading that never happened."""
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
    """Swap two entries and their numbers."""
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
    """Change the time of a reading to six days earlier."""
    place = _with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)
    row = log.rows[place]
    log.rows[place] = row.again(replace(row.happening, at=row.happening.at - timedelta(days=6)))


def backdated(drawn: random.Random, log: Log) -> Log:
    """Write a reading with a time six days in the past, so that every witness sees it like that."""
    moved_back(drawn, log)
    _state_again(log, (LOG, ONE, TWO))
    return log.copy()


def openings_and_readings_left_out(drawn: random.Random, log: Log) -> None:
    """Remove all entries about openings and readings from a part of the log."""
    place = _with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)
    end = drawn.randrange(place + 1, len(log.rows) + 1)
    kept = [row for row in log.rows[place:end] if row.retention not in (Retention.READING, Retention.ACCESS)]
    log.rows[place:end] = kept
    _renumber(log, place)


def put_back(drawn: random.Random, log: Log) -> None:
    """Restore an earlier state of the log, and write other entries after it."""
    size = _place(drawn, log)
    log.notes = [note for note in log.notes if note.size <= size] or log.notes[:1]
    for place in range(size, len(log.rows)):
        row = log.rows[place]
        log.rows[place] = replace(row, salt=b"") if row.content is None else _changed(row, drawn)


def disposed_in_part(drawn: random.Random, log: Log) -> None:
    """Dispose of the facts of one entry without a decision."""
    place = _with_facts(drawn, log)
    log.rows[place] = without_facts(log.rows[place])


def disposed_beyond_the_decision(drawn: random.Random, log: Log) -> Log:
    """Decide on the disposal of a class, and remove facts that the decision does not cover."""
    place = _with_facts(drawn, log, MTEvent.MT_MESSAGE_READ)
    at = log.rows[-1].happening.at
    log.dispose(Retention.READING, log.rows[place].number - 1, at)
    log.sign(at + timedelta(seconds=10))
    seen = log.copy()
    log.rows[place] = without_facts(log.rows[place])
    return seen


def decision_forged(drawn: random.Random, log: Log) -> None:
    """Dispose of facts, and turn an entry into a decision to do so."""
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
    """Move an entry to another retention class."""
    place = _with_facts(drawn, log)
    other = drawn.choice([each for each in Retention if each not in (log.rows[place].retention, 0)])
    log.rows[place] = replace(log.rows[place], retention=other)


def salt_changed(drawn: random.Random, log: Log) -> None:
    """Commit to the same facts with another salt."""
    place = _with_facts(drawn, log)
    row = log.rows[place]
    salt = drawn.randbytes(16)
    log.rows[place] = replace(row, salt=salt, hash=commitment(salt, row.content or b""))


def key_changed(drawn: random.Random, log: Log) -> None:
    """Change an entry, and sign the later checkpoints with a new key, which announces itself."""
    entry_changed(drawn, log)
    other = Signer(LOG.name, LOG.algorithm, "forged")
    log.keys.append((other.key, other.private.sign(announced(other.key))))
    _state_again(log, (other,))


def checkpoint_replayed(drawn: random.Random, log: Log) -> None:
    """Change an entry, and replace the later checkpoints by an earlier one."""
    entry_changed(drawn, log)
    size = drawn.choice(log.notes[:-1]).size if len(log.notes) > 1 else log.notes[0].size
    log.notes = [note for note in log.notes if note.size <= size]
    log.notes.append(log.notes[-1])


def cosignatures_pasted(drawn: random.Random, log: Log) -> None:
    """Change an entry, and sign later checkpoints with the log's key, keeping the old cosignatures."""
    before = list(log.notes)
    entry_changed(drawn, log)
    _state_again(log, (LOG,))
    for place, (now, was) in enumerate(zip(log.notes, before, strict=True)):
        if now != was:
            lines = b"".join(bytes(each) for each in Note.parse(was.note).signatures if each.name != LOG.name)
            log.notes[place] = Stated(now.size, now.note + lines)


def other_log(drawn: random.Random, log: Log) -> None:
    """Replace the whole log by that of another vault, from its first entry on."""
    other = made(len(log.rows), each=40, seed=drawn.randrange(2, 10**9))
    log.rows, log.chain = other.rows, []


def other_log_in_part(drawn: random.Random, log: Log) -> None:
    """Replace some entries by those of another vault's log."""
    other = made(len(log.rows), each=40, seed=drawn.randrange(2, 10**9))
    first, start = log.rows[0].number, _place(drawn, log)
    end = drawn.randrange(start + 1, len(log.rows) + 1)
    for place in range(start, min(end, len(other.rows))):
        log.rows[place] = replace(other.rows[place], number=first + place)


def chain_changed(drawn: random.Random, log: Log) -> None:
    """Change an entry of the first form, and recompute the chain from there on."""
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
"""Forgeries that witnesses partly saw, so that no other one may precede them."""


def signed_again(log: Log) -> None:
    """Sign each checkpoint that no longer matches with the log's own key; witnesses do not sign again."""
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
    """Return where two logs differ: in the tree, and in facts only.

    The first result is the number of the first entry that is different, missing or superfluous in the tree,
    or one more than the number of entries if there is none. The second lists entries that differ in facts
    only.
    """
    one, two = [*before.chain, *before.rows], [*now.chain, *now.rows]
    tree, facts = max(len(one), len(two)) + 1, []
    for number, (was, found) in enumerate(zip_longest(one, two), start=1):
        if isinstance(was, Row) and isinstance(found, Row) and was.leaf == found.leaf:
            facts += [number] if was != found else []
        elif was != found:
            tree = min(tree, number)
    return tree, facts
