"""A log in the database: how entries get into it and out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence

from samdrift.audit.chain import ChainHead
from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.leaves import Leaf, commitment
from samdrift.audit.merkle import Frontier
from samdrift.vault.database.session import Byteas, Int4s, Int8s, Row, Statement

AFTER = """
SELECT sequence, content, previous, hash, retention, salt FROM log
WHERE sequence > $1 AND content IS NOT NULL ORDER BY sequence LIMIT $2
"""
"""Entries after a number, the oldest first."""

BETWEEN = """
SELECT sequence, content, previous, hash, retention, salt FROM log
WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3
"""
"""Rows after a number, up to another, the oldest first; of those that were disposed of without facts."""

NAMING = """
WITH named AS MATERIALIZED (
    SELECT sequence, content, previous, hash, retention, salt FROM log WHERE traces @> ARRAY[$1::bigint]
) SELECT * FROM named ORDER BY sequence LIMIT $2
"""
"""Entries that name an identifier by its :func:`trace`; other identifiers may share it.

Sorted apart from the search: in one step the planner would rather walk the
whole log in its order than take the index of traces.
"""

FORMER = """
WITH named AS MATERIALIZED (
    SELECT sequence, content, previous, hash, retention, salt, log FROM former_log
    WHERE traces @> ARRAY[$1::bigint]
) SELECT sequence, content, previous, hash, retention, salt FROM named ORDER BY log, sequence LIMIT $2
"""
"""The same as :data:`NAMING`, in logs of former suppliers."""

REFUSED = """
SELECT sequence, content, previous, hash, retention, salt FROM log
WHERE position('"event":"ap:envelope:refused"'::bytea IN content) > 0 ORDER BY sequence DESC LIMIT $1
"""
"""Entries about envelopes that were refused, the latest first; there is an index for these words."""

INCIDENTS = """
SELECT sequence, content, previous, hash, retention, salt FROM log
WHERE position('"event":"gov:incident:'::bytea IN content) > 0 ORDER BY sequence
"""
"""Entries about incidents of the operator's, the oldest first; there is an index for these words."""

LAST = "SELECT sequence FROM log_head"
"""The number of the last entry."""

LAST_LEAVES = """
SELECT t.origin, l.sequence, l.retention, l.hash, l.salt FROM log_tree t CROSS JOIN log_head h
JOIN log l ON l.sequence > h.sequence - $1 AND l.sequence <= h.sequence ORDER BY l.sequence
"""
"""The last entries of the log, with its name: one's own, where one has just appended them."""
PAUSE = "SELECT pause_log($1, $2::text, $3)"
"""Keeps that a vault signs no checkpoints, or that it does again; returns whether that is new."""

_HEAD = "SELECT sequence, first FROM log_head"
_LEAVES = """
SELECT sequence, retention, hash FROM log WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3
"""
_MOST_LEAVES = 10_000

Query = Callable[..., Awaitable[list[Row]]]
"""Asks one vault's database: SQL and values."""


async def head(query: Query) -> ChainHead:
    """Return where a log ends, with the root of its tree."""
    ((end, first),) = await query(_HEAD)
    tree = await _tree(query, first, end)
    return ChainHead(end, tree.root(), tree.size)


async def before(query: Query, sequence: int) -> Frontier | None:
    """Return the tree before the entry ``sequence``; ``None`` when the tree begins there or later."""
    ((_, first),) = await query(_HEAD)
    return await _tree(query, first, sequence - 1) if sequence > first else None


async def _tree(query: Query, first: int, end: int) -> Frontier:
    """The tree of the leaves from ``first`` to ``end``."""
    tree, after = Frontier(), first - 1
    while rows := await query(_LEAVES, after, end, _MOST_LEAVES):
        tree.extend(Leaf(*row).hash for row in rows)
        after = rows[-1][0]
    return tree


def append_statement(happenings: Sequence[Happening]) -> Statement:
    """Return the statement that appends ``happenings`` to the log of the vault whose login runs it."""
    contents = Byteas(happening.content() for happening in happenings)
    traces, ends = Int8s(), Int4s()
    for happening in happenings:
        traces += map(trace, happening.traced())
        ends.append(len(traces))
    return "SELECT append_log($1::bytea[], $2::bigint[], $3::int[])", (contents, traces, ends)


def are_of(rows: Sequence[Row], contents: Sequence[bytes]) -> bool:
    """Return whether rows of :data:`LAST_LEAVES` are the entries with these contents, just appended.

    They differ if the appending function was replaced by one that keeps nothing.
    """
    return len(rows) == len(contents) and all(
        salt is not None and commitment(salt, content) == hashed
        for (*_, hashed, salt), content in zip(rows, contents, strict=True)
    )


def entry(row: Row) -> LogEntry:
    """An entry from a row of :data:`AFTER` or :data:`NAMING`."""
    sequence, content, *place = row
    return LogEntry.placed(Happening.parse(content), sequence, *place)


def trace(identifier: str) -> int:
    """Return the search key of an identifier: 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(identifier.encode("utf-8", "replace")).digest()[:8]) >> 1
