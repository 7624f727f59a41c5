"""The signed tree of one log: its checkpoints, the responses of witnesses to them, and proofs.

A checkpoint is made from committed entries alone, which never change and whose numbers are in the order
of commit: so one size has one root, whichever process signs and wherever a process is killed. The right edge
of the tree is stored with the last checkpoint, so that only new entries are read (RFC 9162 2.1;
tlog-checkpoint). A checkpoint is not an entry, so a log to which nothing happens stays unchanged.

Nothing here contacts a witness. The caller that does stores the response with :meth:`LogTree.answered`, and a
refusal with :meth:`LogTree.refuse`: from then on nothing is signed until people have decided.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TypeVar

from samdrift.audit.events import AuditEvent, LogEvent, Retention
from samdrift.audit.leaves import Leaf
from samdrift.audit.merkle import Frontier, Nodes, consistency_proof, inclusion_proof
from samdrift.audit.notes import Algorithm, Checkpoint, VerifierKey, announced
from samdrift.audit.reading import MAX_NUMBER, Malformed
from samdrift.audit.tiles import WIDTH, Tile, bundle
from samdrift.vault import logbook
from samdrift.vault.database.session import Row, call
from samdrift.vault.errors import UnknownRecord, VaultError
from samdrift.vault.events import VaultEvent
from samdrift.vault.logbook import Query
from samdrift.wire.crypto.keys import LogKey

T = TypeVar("T")
_HEIGHT = 8
_MOST_LEAVES = 10_000
_MAX_AGED = 50_000
"""Maximum number of entries whose ages are read in one statement, which must end within half a minute."""
_HASH = bytes(32)
_NO_FACTS: Mapping[str, str] = MappingProxyType({})

_STATE = """
SELECT t.origin, t.edge, t.checked_at, h.first, h.sequence, c.size, c.note, c.signed_at, k.key, k.statement,
    r.witness, r.reason, r.size, r.seen, r.at
FROM log_tree t CROSS JOIN log_head h
LEFT JOIN LATERAL
    (SELECT * FROM log_checkpoints WHERE origin = t.origin ORDER BY size DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT * FROM log_keys ORDER BY number DESC LIMIT 1) k ON true
LEFT JOIN LATERAL (SELECT * FROM log_refusals WHERE resolved_at IS NULL) r ON true
"""
_WITNESSES = """
SELECT w.witness, CASE WHEN w.origin = t.origin THEN w.size ELSE 0 END, w.cosigned_at, w.asked_at, w.fault
FROM log_witnesses w CROSS JOIN log_tree t ORDER BY w.witness
"""
_LEAVES = """
SELECT sequence, retention, hash FROM log WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3
"""
_LEAVES_OF = """
SELECT r.n, l.sequence, l.retention, l.hash
FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS r (start, stop, n)
JOIN log l ON l.sequence >= r.start AND l.sequence < r.stop ORDER BY r.n, l.sequence
"""
_NODES_OF = """
SELECT r.n, l.hash
FROM unnest($1::int[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS r (level, start, stop, n)
JOIN log_nodes l ON l.level = r.level AND l.place >= r.start AND l.place < r.stop ORDER BY r.n, l.place
"""
_CHECKPOINTS = """
SELECT c.size, c.root, c.note, c.signed_at,
    coalesce(array_agg(s.witness ORDER BY s.witness) FILTER (WHERE s.witness IS NOT NULL), '{}'),
    coalesce(array_agg(s.first ORDER BY s.witness) FILTER (WHERE s.witness IS NOT NULL), '{}'),
    coalesce(array_agg(s.last ORDER BY s.witness) FILTER (WHERE s.witness IS NOT NULL), '{}')
FROM log_checkpoints c LEFT JOIN log_cosignatures s USING (origin, size)
WHERE c.origin = $1 AND c.size > $2 GROUP BY c.origin, c.size ORDER BY c.size LIMIT $3
"""
_COSIGNED = """
SELECT c.note, array_agg(s.last ORDER BY s.witness) FROM log_checkpoints c JOIN log_tree t USING (origin)
JOIN log_cosignatures s USING (origin, size) GROUP BY c.origin, c.size ORDER BY c.size DESC LIMIT 1
"""
_AGES = """
SELECT c.class, count(l.content),
    count(*) FILTER (WHERE convert_from(substring(l.content FROM 8 FOR 32), 'UTF8') < c.before),
    count(*) FILTER (WHERE l.sequence IS NOT NULL AND l.content IS NULL)
FROM unnest($1::int[], $2::text[]) AS c (class, before)
LEFT JOIN log l ON l.retention = c.class AND l.sequence > $3 AND l.sequence <= $4
GROUP BY c.class ORDER BY c.class
"""
_LAST_STAMP = """
SELECT s.size, s.at, s.until FROM log_stamps s JOIN log_tree t USING (origin) ORDER BY s.size DESC LIMIT 1
"""
_STAMPS = """
SELECT s.size, c.note, s.stamp FROM log_stamps s JOIN log_checkpoints c USING (origin, size)
JOIN log_tree t USING (origin) WHERE s.size > $1 ORDER BY s.size LIMIT $2
"""
_HANDED_OVER = "SELECT t.origin, o.sequence FROM log_tree t CROSS JOIN log_handed_over o"
_KEYS = "SELECT key, announcement, statement FROM log_keys ORDER BY number"


class SigningStopped(VaultError):
    """Refusal to sign, because a witness refused a checkpoint and people have not decided on that yet."""

    text = "a witness has refused this log; nothing is signed until 'samdrift log resolve' records a decision"


class LogShortened(SigningStopped):
    """Refusal to sign, because the log has fewer entries than were signed: rows were deleted."""

    text = "it has fewer entries than were signed: rows were deleted; nothing is signed until they are back"


@dataclass(frozen=True, slots=True)
class OpenRefusal:
    """A witness's refusal on which people have not decided yet."""

    witness: str
    reason: str
    size: int
    """Size of the refused checkpoint."""
    seen: int | None
    """The size that the witness named, if it named one."""
    at: datetime


@dataclass(frozen=True, slots=True)
class TreeState:
    """The state of a log's tree: the log's size, and how much of it is signed."""

    origin: str
    edge: Frontier
    """Frontier of the last checkpoint."""
    checked_at: datetime | None
    """Time at which the log was last compared with its checkpoint."""
    first: int
    """Number of the tree's first entry."""
    size: int
    """Number of entries in the tree now."""
    signed: int | None
    """Number of entries that the last checkpoint covers; ``None`` before the first checkpoint."""
    note: bytes | None
    """The last checkpoint, signed by the log."""
    signed_at: datetime | None
    key: str | None
    """The announced key that is in use."""
    stated: bool
    """True if it has been stated that the key is this log's."""
    refusal: OpenRefusal | None


@dataclass(frozen=True, slots=True)
class WitnessState:
    """The last answer of a witness."""

    witness: str
    size: int
    """Size of the last checkpoint that it cosigned."""
    cosigned_at: int | None
    """POSIX time of that cosignature, by the witness's own clock."""
    asked_at: datetime
    fault: str
    """Reason that it did not cosign when last asked; empty if it did."""


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint with the first and the latest cosignature of each witness."""

    size: int
    root: bytes
    signed_at: datetime
    first: bytes
    """The note with each witness's first cosignature: entries within its size existed by then."""
    last: bytes
    """The note with each witness's latest cosignature: entries beyond its size were made later."""


@dataclass(frozen=True, slots=True)
class LastStamp:
    """The last time stamp on a checkpoint: its size, its time, and when its certificates expire."""

    size: int
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class KeptKey:
    """A key of the log, its announcement signed by the previous key, and the statement about it."""

    key: str
    announcement: bytes | None
    statement: bytes | None


class LogTree:
    """The tree of one log, within one opening."""

    def __init__(
        self,
        read: Query,
        write: Query,
        keep: Callable[..., Awaitable[None]],
        record: Callable[[AuditEvent, Mapping[str, str]], Awaitable[None]],
        keys: Callable[[], Sequence[LogKey]],
    ) -> None:
        """Build the tree from functions of an opening.

        ``keep`` runs a statement without returning its result, at the latest with the commit. ``keys``
        returns the keys that the log is signed with, the newest first.
        """
        self._read = read
        self._write = write
        self._keep = keep
        self._record = record
        self._keys = keys
        self.signed = False
        """True if a checkpoint was signed here; it must not be published before that is committed."""

    async def state(self) -> TreeState:
        """Return the state of the tree; this reads one row, whatever the size of the log."""
        ((origin, edge, checked, first, end, signed, note, at, key, stated, *refused),) = await self._read(
            _STATE
        )
        refusal = OpenRefusal(*refused) if refused[0] is not None else None
        frontier = Frontier.parse(edge)
        return TreeState(
            origin,
            frontier,
            checked,
            first,
            end - first + 1,
            signed,
            note,
            at,
            key,
            stated is not None,
            refusal,
        )

    async def witnesses(self) -> tuple[WitnessState, ...]:
        """Return the last response of each witness."""
        return tuple(WitnessState(*row) for row in await self._read(_WITNESSES))

    async def sign(self, now: datetime) -> TreeState:
        """Sign a checkpoint of all entries committed so far, and return the new state of the tree.

        A new key is announced first, by an entry that the next checkpoint covers. Without new entries,
        nothing is signed. Raises :class:`SigningStopped` after a refusal, and :class:`LogShortened` if
        entries that were signed are gone.
        """
        state = await self.state()
        if state.refusal is not None:
            raise SigningStopped
        if state.size < (state.signed or 0):
            raise LogShortened
        if state.key is not None and state.size == state.signed:
            return state
        keys = self._keys()
        key = VerifierKey(state.origin, Algorithm.ED25519, keys[0].public)
        if state.key != str(key):
            await self._announce(key, state, keys)
        levels: list[tuple[int, int, bytes]] = []

        def completed(level: int, place: int, digest: bytes) -> None:
            if level and level % _HEIGHT == 0:
                levels.append((level, place, digest))

        edge = Frontier(state.edge.size, state.edge.peaks, completed)
        await self._extend(edge, state.first, state.size)
        checkpoint = Checkpoint(state.origin, edge.size, edge.root())
        line = await signing(keys[:1], lambda: key.line(checkpoint.text, keys[0].sign))
        note = checkpoint.signed([line])
        nodes = [list(each) for each in zip(*levels, strict=True)] or [[], [], []]
        values = (state.origin, edge.size, checkpoint.root, note, now, edge.to_bytes(), *nodes)
        self.signed = True
        await self._write(
            "SELECT keep_checkpoint($1, $2, $3, $4, $5, $6, $7::int[], $8::bigint[], $9::bytea[])", *values
        )
        return await self.state()

    async def silent(self, now: datetime) -> None:
        """Record that the log was compared with its last checkpoint, and that no witness was asked."""
        await self._keep(call("keep_silence", 1), now)

    async def answered(
        self,
        state: TreeState,
        witness: VerifierKey,
        at: datetime,
        time: int | None,
        line: bytes | None,
        fault: str,
    ) -> None:
        """Store a witness's response about the last checkpoint of ``state``."""
        await self._keep(
            "SELECT keep_answer($1, $2, $3, $4, $5::bigint, $6::bytea, $7)",
            *(state.origin, state.signed or 0, str(witness), at, time, line, fault),
        )

    async def refuse(
        self, state: TreeState, witness: VerifierKey, reason: str, seen: int | None, at: datetime
    ) -> bool:
        """Stop signing, and record that in the log; return false if it had stopped already."""
        size = state.signed or 0
        ((new,),) = await self._write(
            "SELECT keep_refusal($1, $2, $3, $4, $5::bigint, $6)",
            *(state.origin, str(witness), reason, size, seen, at),
        )
        if new:
            facts = {"origin": state.origin, "witness": witness.name, "reason": reason, "size": str(size)}
            if seen is not None:
                facts["seen"] = str(seen)
            await self._record(VaultEvent.LOG_WITNESS_REFUSED, facts)
        return bool(new)

    async def resolve(
        self, decision: str, first: str, second: str, at: datetime, proof: Mapping[str, str] = _NO_FACTS
    ) -> str | None:
        """End a refusal by two people's decision, and record that in the log; ``None`` without a refusal.

        The log continues under another name, which is returned, separate from the history that the witness
        knows. ``proof`` is the text that the two people signed.
        """
        before = (await self.state()).origin
        ((renamed,),) = await self._write(call("resolve_refusal", 1), at)
        if renamed is not None:
            facts = {"before": before, "origin": renamed, "decision": decision, **proof}
            await self._record(VaultEvent.LOG_WITNESS_RESOLVED, facts | {"first": first, "second": second})
        return None if renamed is None else str(renamed)

    async def keys(self) -> tuple[KeptKey, ...]:
        """Return the announced keys, the oldest first."""
        return tuple(KeptKey(*row) for row in await self._read(_KEYS))

    async def keep_statement(self, key: str, statement: bytes, facts: Mapping[str, str]) -> None:
        """Store a statement that ``key`` is this log's, and record it in the log with ``facts``.

        If there is a statement on the key already, that one is kept.
        """
        await self._write(call("keep_log_statement", 2), key, statement)
        await self._record(LogEvent.LOG_KEY_STATED, facts)

    async def checkpoints(self, after: int = -1, limit: int = 500) -> tuple[KeptCheckpoint, ...]:
        """Return checkpoints of more than ``after`` entries, the smallest first."""
        origin = (await self.state()).origin
        found = []
        for size, root, note, at, _, first, last in await self._read(_CHECKPOINTS, origin, after, limit):
            found.append(KeptCheckpoint(size, root, at, note + b"".join(first), note + b"".join(last)))
        return tuple(found)

    async def last_stamp(self) -> LastStamp | None:
        """Return the last time stamp, if there is one."""
        return next((LastStamp(*row) for row in await self._read(_LAST_STAMP)), None)

    async def stamps(self, after: int = -1, limit: int = 100) -> list[tuple[int, bytes, bytes]]:
        """Return the stamped sizes above ``after``, each with its note and its time stamp."""
        return [(size, note, stamp) for size, note, stamp in await self._read(_STAMPS, after, limit)]

    async def keep_stamp(
        self, state: TreeState, at: datetime, until: datetime, stamp: bytes, facts: Mapping[str, str]
    ) -> None:
        """Store a time stamp on the last checkpoint of ``state``, and record it in the log with ``facts``."""
        values = state.origin, state.signed or 0, at, until, stamp
        ((new,),) = await self._write(call("keep_stamp", 5), *values)
        if new:
            await self._record(LogEvent.LOG_STAMPED, facts)

    async def rows(self, after: int, until: int, limit: int) -> list[Row]:
        """Return rows of the log after a number, in the form of :data:`logbook.BETWEEN`."""
        return await self._read(logbook.BETWEEN, after, until, limit)

    async def dispose(
        self, retention: Retention, before: datetime, decision: str, first: str, second: str
    ) -> int:
        """Dispose of the facts of a class from before a moment; return the number of entries concerned.

        This needs a decision of two people. The database refuses (:class:`VaultRefused`) to dispose of facts
        about the log itself, and of the last year's.
        """
        values = (retention.value, retention.name.lower(), before, decision, first, second)
        rows = await self._write("SELECT upto, gone FROM dispose_log($1::int, $2, $3, $4, $5, $6)", *values)
        return int(rows[0][1]) if rows else 0

    async def ages(self, before: Mapping[Retention, datetime]) -> dict[Retention, tuple[int, int, int]]:
        """Return, for each class, the numbers of entries with facts, with old facts, and without facts.

        Facts are old if they are from before the moment of their class. Reads the whole log, in pieces.
        """
        spelled = {
            int(each): moment.astimezone(UTC).isoformat(timespec="microseconds")
            for each, moment in before.items()
        }
        found = dict.fromkeys(sorted(before), (0, 0, 0))
        ((end,),) = await self._read(logbook.LAST)
        for after in range(0, end, _MAX_AGED):
            piece = list(spelled), list(spelled.values()), after, after + _MAX_AGED
            for number, *counts in await self._read(_AGES, *piece):
                kept, old, gone = map(sum, zip(found[Retention(number)], counts, strict=True))
                found[Retention(number)] = kept, old, gone
        return found

    async def to_hand_over(self, limit: int) -> tuple[str, list[Row]]:
        """Return the log's name, and the rows that its organisation's log system has not accepted yet.

        The rows are in the form of :data:`logbook.BETWEEN`.
        """
        ((origin, place),) = await self._read(_HANDED_OVER)
        return origin, await self._read(logbook.BETWEEN, place, MAX_NUMBER, limit)

    async def handed_over(self, through: int, at: datetime) -> None:
        """Record that the log system has accepted the entries up to a number."""
        await self._write(call("keep_handed_over", 2), through, at)

    async def published(self) -> bytes | None:
        """Return the largest checkpoint that a witness has cosigned, with the latest cosignatures.

        If none was ever cosigned, returns the last checkpoint; ``None`` before the first one.
        """
        rows = await self._read(_COSIGNED)
        return rows[0][0] + b"".join(rows[0][1]) if rows else (await self.state()).note

    async def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of ``new`` continues the tree of ``old`` (RFC 9162 2.1.4.1)."""
        nodes = await self._nodes(lambda node: consistency_proof(old, new, node))
        return consistency_proof(old, new, nodes)

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that entry ``index``, from 0, is in the tree of ``size`` (RFC 9162 2.1.3.1)."""
        nodes = await self._nodes(lambda node: inclusion_proof(index, size, node))
        return inclusion_proof(index, size, nodes)

    async def frontier(self, size: int) -> Frontier:
        """Return the right edge of the tree of ``size`` entries, at most the size of the last checkpoint."""

        def peaks(node: Nodes) -> list[bytes]:
            levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
            return [node(level, (size >> level) - 1) for level in levels]

        return Frontier(size, peaks(await self._nodes(peaks)))

    def own_keys(self, origin: str) -> list[VerifierKey]:
        """Return the keys of the key store that this log is signed with, which no row can change."""
        return [VerifierKey(origin, Algorithm.ED25519, each.public) for each in self._keys()]

    async def roots(self, sizes: Iterable[int]) -> dict[int, bytes]:
        """Return the root at each size, from the entries alone and not from what is kept of the tree.

        :class:`GapInLog` if entries are missing.
        """
        first, edge, found = (await self.state()).first, Frontier(), dict[int, bytes]()
        for size in sorted(sizes):
            await self._extend(edge, first, size)
            found[size] = edge.root()
        return found

    async def resource(self, path: str) -> bytes:
        """Return the checkpoint, a tile or a bundle by its path (tlog-tiles).

        :class:`UnknownRecord` if it does not exist.
        """
        try:
            found = await self.published() if path == "checkpoint" else await self.tile(Tile.parse(path))
        except Malformed:
            found = None
        if found is None:
            raise UnknownRecord
        return found

    async def tile(self, tile: Tile) -> bytes:
        """Return a tile or a bundle (tlog-tiles); :class:`UnknownRecord` beyond the last checkpoint."""
        state = await self.state()
        level = tile.level or 0
        if tile.start + tile.width > (state.signed or 0) >> (_HEIGHT * level):
            raise UnknownRecord
        if level:
            places = [level * _HEIGHT], [tile.start], [tile.start + tile.width]
            return b"".join(digest for _, digest in await self._read(_NODES_OF, *places))
        start = state.first + tile.start
        rows = await self._read(_LEAVES, start - 1, start + tile.width - 1, WIDTH)
        leaves = [Leaf(*row) for row in rows]
        if tile.level is None:
            return bundle(leaf.entry for leaf in leaves)
        return b"".join(leaf.hash for leaf in leaves)

    async def _announce(self, key: VerifierKey, state: TreeState, keys: Sequence[LogKey]) -> None:
        """Announce the key in use, signed by the previous key if that is still available here."""
        announced = await signing(keys, lambda: announcement(key, state.key, keys))
        await self._write("SELECT keep_log_key($1, $2::bytea)", str(key), announced)
        facts = {"key": str(key)}
        if announced is not None:
            facts |= {"by": state.key or "", "signature": base64.b64encode(announced).decode()}
        await self._record(VaultEvent.LOG_KEY_ANNOUNCED, facts)

    async def _extend(self, edge: Frontier, first: int, size: int) -> None:
        """Read new entries and add them to the tree."""
        while edge.size < size:
            after = first + edge.size - 1
            rows = await self._read(_LEAVES, after, first + size - 1, _MOST_LEAVES)
            if [row[0] for row in rows] != list(range(after + 1, after + 1 + len(rows))) or not rows:
                raise GapInLog
            edge.extend(Leaf(*row).hash for row in rows)

    async def _nodes(self, prove: Callable[[Nodes], object]) -> Nodes:
        """Return a function that returns the subtrees that ``prove`` needs, which are read together."""
        wanted: dict[tuple[int, int], None] = {}

        def note(level: int, place: int) -> bytes:
            wanted[level, place] = None
            return _HASH

        prove(note)
        first = (await self.state()).first if wanted else 1
        low = [each for each in wanted if each[0] < _HEIGHT]
        high = [each for each in wanted if each[0] >= _HEIGHT]
        found: dict[tuple[int, int], Frontier] = {each: Frontier() for each in wanted}
        if low:
            starts = [first + (place << level) for level, place in low]
            stops = [start + (1 << level) for start, (level, _) in zip(starts, low, strict=True)]
            for number, *leaf in await self._read(_LEAVES_OF, starts, stops):
                found[low[number - 1]].append(Leaf(*leaf).hash)
        if high:
            within = [level % _HEIGHT for level, _ in high]
            levels = [level - inner for (level, _), inner in zip(high, within, strict=True)]
            starts = [place << inner for (_, place), inner in zip(high, within, strict=True)]
            stops = [(place + 1) << inner for (_, place), inner in zip(high, within, strict=True)]
            for number, digest in await self._read(_NODES_OF, levels, starts, stops):
                found[high[number - 1]].append(digest)
        return lambda level, place: found[level, place].root()


class GapInLog(VaultError):
    """A gap in the log's entries in the database, over which nothing is signed."""

    text = "entries are missing from a log; its tree cannot be continued"


async def signing(keys: Sequence[LogKey], work: Callable[[], T]) -> T:
    """Return the result of ``work``, which may sign with ``keys``; run it in a thread if a key is remote."""
    return await asyncio.to_thread(work) if any(key.remote for key in keys) else work()


def announcement(key: VerifierKey, before: str | None, keys: Sequence[LogKey]) -> bytes | None:
    """Return the signature by the key ``before`` that announces ``key``; ``None`` if it is not available."""
    if before is None:
        return None
    former = VerifierKey.parse(before)
    signing = [each for each in keys if each.public == former.public]
    return signing[0].sign(announced(key)) if signing else None
