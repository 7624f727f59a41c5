"""Queries and statements that append to a log in the database and read from it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence

from samdrift.audit.chain import ChainHead
from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.leaves import Leaf, commitment
from samdrift.audit.merkle import Frontier
from samdrift.vault.database.session import Byteas, Int4s, Int8s, Row, Statement
from samdrift.vault.errors import TooManyEntries

AFTER = """
SELECT sequence, content, previous, hash, retention, salt FROM log
WHERE sequence > $1 AND content IS NOT NULL ORDER BY sequence LIMIT $2
"""
"""Query for entries after a number, the oldest first."""

BETWEEN = """
SELECT sequence, content, previous, hash, retention, salt FROM log
WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3
"""
"""Query for the rows between two numbers, the oldest first; disposed entries come without facts."""

NAMING = """
WITH named AS MATERIALIZED (
    SELECT sequence, content, previous, hash, retention, salt FROM log
    WHERE traces @> ARRAY[$1::bigint] AND position($3::bytea IN content) > 0
    LIMIT $2
) SELECT * FROM named ORDER BY sequence
"""
"""Query for the entries that name an identifier by its :func:`trace`, and whose content has certain bytes.

Other identifiers may share the trace. There are no pages, since each would search for all entries again.
Sorting is separate from the search: in one step the planner would walk the whole log in order rather than use
the index of traces.
"""

FORMER = """
WITH named AS MATERIALIZED (
    SELECT sequence, content, previous, hash, retention, salt, log FROM former_log
    WHERE traces @> ARRAY[$1::bigint] LIMIT $2
) SELECT * FROM named ORDER BY log, sequence
"""
"""Query for the entries that name an identifier, as :data:`NAMING`, in logs from former suppliers."""

REFUSED = """
SELECT sequence, content, previous, hash, retention, salt FROM log
WHERE position('"event":"ap:envelope:refused"'::bytea IN content) > 0 ORDER BY sequence DESC LIMIT $1
"""
"""Query for entries about refused envelopes, the latest first; an index exists for this condition."""

INCIDENTS = """
SELECT sequence, content, previous, hash, retention, salt FROM log
WHERE position('"event":"gov:incident:'::bytea IN content) > 0 ORDER BY sequence
"""
"""Query for entries about incidents of the operator, the oldest first; an index exists for this condition."""

LAST = "SELECT sequence FROM log_head"
"""Query for the number of the last entry."""

LAST_LEAVES = """
SELECT t.origin, l.sequence, l.retention, l.hash, l.salt FROM log_tree t CROSS JOIN log_head h
JOIN log l ON l.sequence > h.sequence - $1 AND l.sequence <= h.sequence ORDER BY l.sequence
"""
"""Query for the last entries of the log, with its name; run after appending, it returns what was appended."""
PAUSE = "SELECT pause_log($1, $2::text, $3)"
"""Statement that records that a vault stops or resumes signing checkpoints; returns whether that is new."""

_HEAD = "SELECT sequence, first FROM log_head"
_LEAVES = """
SELECT sequence, retention, hash FROM log WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3
"""
_MOST_LEAVES = 10_000
_COLUMNS = 6

Query = Callable[..., Awaitable[list[Row]]]
"""A function that runs SQL with values in one vault's database."""


async def head(query: Query) -> ChainHead:
    """Return the end of a log, with the root of its tree."""
    ((end, first),) = await query(_HEAD)
    tree = await _tree(query, first, end)
    return ChainHead(end, tree.root(), tree.size)


async def before(query: Query, sequence: int) -> Frontier | None:
    """Return the tree before the entry ``sequence``; ``None`` if the tree begins there or later."""
    ((_, first),) = await query(_HEAD)
    return await _tree(query, first, sequence - 1) if sequence > first else None


async def _tree(query: Query, first: int, end: int) -> Frontier:
    """Return the tree of the leaves from ``first`` to ``end``."""
    tree, after = Frontier(), first - 1
    while rows := await query(_LEAVES, after, end, _MOST_LEAVES):
        tree.extend(Leaf(*row).hash for row in rows)
        after = rows[-1][0]
    return tree


async def naming(
    query: Query, identifier: str, most: int | None = None, event: str = ""
) -> tuple[LogEntry, ...]:
    """Return all entries that name an identifier and whose event begins with ``event``, the oldest first.

    Entries of other events are not read. Raises :class:`TooManyEntries` if there are more than ``most``.
    """
    return await _naming(query, NAMING, identifier, most, f'"event":"{event}'.encode())


async def formerly_naming(query: Query, identifier: str, most: int | None = None) -> tuple[LogEntry, ...]:
    """Return all entries of former suppliers' logs that name an identifier, the oldest of each log first.

    Raises :class:`TooManyEntries` if there are more than ``most``.
    """
    return await _naming(query, FORMER, identifier, most)


async def _naming(
    query: Query, sql: str, identifier: str, most: int | None, *content: bytes
) -> tuple[LogEntry, ...]:
    rows = await query(sql, trace(identifier), None if most is None else most + 1, *content)
    if most is not None and len(rows) > most:
        raise TooManyEntries
    found = (entry(row[:_COLUMNS]) for row in rows)
    return tuple(each for each in found if identifier in each.ids.values())


def append_statement(happenings: Sequence[Happening]) -> Statement:
    """Return the statement that appends ``happenings`` to the log of the vault whose login runs it."""
    contents = Byteas(happening.content() for happening in happenings)
    traces, ends = Int8s(), Int4s()
    for happening in happenings:
        traces += map(trace, happening.traced())
        ends.append(len(traces))
    return "SELECT append_log($1::bytea[], $2::bigint[], $3::int[])", (contents, traces, ends)


def are_of(rows: Sequence[Row], contents: Sequence[bytes]) -> bool:
    """Return whether rows of :data:`LAST_LEAVES` are the entries with these contents.

    They differ if the appending SQL function was replaced by one that stores nothing.
    """
    return len(rows) == len(contents) and all(
        salt is not None and commitment(salt, content) == hashed
        for (*_, hashed, salt), content in zip(rows, contents, strict=True)
    )


def entry(row: Row) -> LogEntry:
    """Return the entry in a row of :data:`AFTER` or :data:`NAMING`."""
    sequence, content, *place = row
    return LogEntry.placed(Happening.parse(content), sequence, *place)


def trace(identifier: str) -> int:
    """Return the search key of an identifier: 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(identifier.encode("utf-8", "replace")).digest()[:8]) >> 1
