"""Following a log: a verified copy on the reader's own machine, which does not trust the log's responses.

Each round fetches the log's checkpoint, which the reader's own policy has to accept, and then only the
bundles with new entries. They are hashed into the tree that was last verified; the copy stores them in one
transaction, and only if they lead to the root that the checkpoint states. So at any time some checkpoint
proves the whole copy, and memory for only one bundle is needed.

:class:`LogContradicted` is proof against the log: it contains both signed checkpoints, and people must
investigate. :class:`LogUnreadable` and :class:`LogUnreachable` are not: the log is asked again.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from samdrift.audit.leaves import number_of
from samdrift.audit.merkle import Frontier, leaf_hash
from samdrift.audit.notes import MAX_NOTE, SignedCheckpoint
from samdrift.audit.policies import Policy
from samdrift.audit.reading import Malformed, Unverified
from samdrift.audit.tiles import MAX_ENTRY, WIDTH, Tile, bundles_of
from samdrift.contracts.errors import Explained, Temporary
from samdrift.net.client import FetchLimits, NoAnswer
from samdrift.transparency.asking import Caller

_SECONDS = 30.0
_CHECKPOINT = FetchLimits(MAX_NOTE, _SECONDS)
_HASHES = FetchLimits(WIDTH * 32, _SECONDS)
_BUNDLE = FetchLimits(WIDTH * (2 + MAX_ENTRY), _SECONDS)
_LAST_TIME = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


_TABLES = (
    "CREATE TABLE IF NOT EXISTS entry (number INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS verified (edge BLOB NOT NULL, checkpoint BLOB NOT NULL) STRICT",
)


class Contradiction(StrEnum):
    """The kind of contradiction between what a log states and what it stated before."""

    ROLLED_BACK = "rolled-back"
    """The log has fewer entries than before."""
    FORKED = "forked"
    """The entries that it serves now do not lead from the tree that it stated before to its new one."""
    GAP = "gap"
    """The numbers of its entries are not consecutive, although it has signed them."""


_TEXTS = {
    Contradiction.ROLLED_BACK: "has fewer entries than it had before",
    Contradiction.GAP: "has entries whose numbers do not follow each other: some are missing or were put in",
    Contradiction.FORKED: "does not continue what it stated before, or serves entries that it has not signed",
}


class LogContradicted(Explained):
    """A contradiction of a log with itself, with the two signed checkpoints that prove it."""

    def __init__(
        self, reason: Contradiction, before: bytes, now: bytes, first_wrong: int | None = None
    ) -> None:
        where = "" if first_wrong is None else f"; the first wrong entry is {first_wrong}"
        super().__init__(f"the log {_TEXTS[reason]}{where}. Keep the copy and both checkpoints as evidence")
        self.reason = reason
        self.before = before
        self.now = now
        self.first_wrong = first_wrong
        """Number, from 0, of the first entry that is wrong; ``None`` if it could not be determined."""


class LogUnreadable(Explained):
    """A response of a log that cannot be used, or a checkpoint that the policy does not accept."""


class LogUnreachable(Temporary):
    """A failure to get a response from a log."""

    service = "log"


class CopyUnusable(Explained):
    """A file that is not a usable copy of a log, or cannot be written."""


class LogAddress:
    """A log's tiles at an address (c2sp.org/tlog-tiles)."""

    def __init__(self, caller: Caller, address: str) -> None:
        self._caller = caller
        self._address = address.rstrip("/")

    async def checkpoint(self) -> bytes:
        """Return the signed checkpoint as it is served."""
        return await self._fetched("checkpoint", _CHECKPOINT)

    async def hashes(self, tile: Tile) -> list[bytes]:
        """Return the hashes of a tile."""
        found, content = await self._tile(tile, _HASHES)
        return _usable(found.hashes, content)[: tile.width]

    async def entries(self, tile: Tile) -> list[bytes]:
        """Return the entries of a bundle."""
        found, content = await self._tile(tile, _BUNDLE)
        return _usable(found.entries, content)[: tile.width]

    async def _tile(self, tile: Tile, limits: FetchLimits) -> tuple[Tile, bytes]:
        """Return a tile, or the full one if the log no longer serves the partial one."""
        try:
            return tile, await self._fetched(tile.path, limits)
        except LogUnreachable:
            if tile.width == WIDTH:
                raise
            full = replace(tile, width=WIDTH)
            return full, await self._fetched(full.path, limits)

    async def _fetched(self, path: str, limits: FetchLimits) -> bytes:
        try:
            answer = await self._caller.fetch(f"{self._address}/{path}", limits)
        except NoAnswer as failure:
            raise LogUnreachable(f"the log has not answered for {path} ({failure.fault.value})") from None
        if answer.status != 200:
            raise LogUnreachable(f"the log has answered for {path} with status {answer.status}")
        return answer.body


class LogCopy:
    """A verified copy of one log in a file: entries, edge of their tree, and the checkpoint proving it."""

    def __init__(self, file: Path, *, begin: bool = True) -> None:
        """Open the copy, or ``begin`` one; :class:`CopyUnusable` if the file is something else.

        An empty file is only accepted with ``begin``, since nothing can be compared with it.
        """
        self._file = file
        if not begin and not (file.is_file() and file.stat().st_size):
            raise CopyUnusable(f"{file.name}: there is no copy of a log")
        with self._usable():
            self._database = sqlite3.connect(file, isolation_level=None)
            with self.transaction():
                for statement in _TABLES:
                    self._database.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def verified(self) -> tuple[Frontier, bytes | None]:
        """Return the edge of the last verified tree, and its checkpoint; an empty edge in a new copy."""
        with self._usable():
            row = self._database.execute("SELECT edge, checkpoint FROM verified").fetchone()
            return (Frontier.parse(row[0]), row[1]) if row else (Frontier(), None)

    def witnessed_at(self, policy: Policy) -> int | None:
        """Return the time by which the policy's quorum had seen the checkpoint that proves the copy."""
        _, note = self.verified()
        try:
            return None if note is None else policy.witnessed_at(policy.open(note))
        except (Malformed, Unverified) as fault:
            raise LogUnreadable(f"the policy does not accept the copy's checkpoint: {fault}") from None

    def entries(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield the entries from number ``start`` on, counted from 0."""
        with self._usable():
            yield from self._database.execute(
                "SELECT number, content FROM entry WHERE number >= ? ORDER BY number", (start,)
            )

    def entry(self, sequence: int) -> bytes | None:
        """Return the entry that states this number in the log as its own; ``None`` if it is not copied."""
        first = self._first()
        with self._usable():
            row = self._database.execute(
                "SELECT content FROM entry WHERE number = ?", (sequence - first,)
            ).fetchone()
        return row[0] if row else None

    def last(self) -> int:
        """Return the number in the log of the last entry that a checkpoint proves."""
        return self._first() + self.verified()[0].size - 1

    def gap(self, start: int) -> int | None:
        """Return the first entry from ``start`` on, counted from 0, whose own number is not the next one.

        Entries of an unknown version do not state their number.
        """
        first = self._first()
        for number, content in self.entries(start):
            own = number_of(content)
            if own is not None and own != first + number:
                return number
        return None

    def _first(self) -> int:
        """Return the number of the tree's first entry, which is above 1 if the log began as a chain."""
        with self._usable():
            row = self._database.execute("SELECT content FROM entry WHERE number = 0").fetchone()
        return (number_of(row[0]) if row else None) or 1

    def add(self, number: int, content: bytes) -> None:
        """Add an entry; call it within a transaction."""
        with self._usable():
            self._database.execute("INSERT INTO entry VALUES (?, ?)", (number, content))

    def prove(self, edge: Frontier, checkpoint: bytes) -> None:
        """Store the edge and checkpoint that prove the entries, in the transaction that adds them."""
        with self._usable():
            self._database.execute("DELETE FROM verified")
            self._database.execute("INSERT INTO verified VALUES (?, ?)", (edge.to_bytes(), checkpoint))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Store durably what is added in the context, unless it ends with an exception."""
        with self._usable():
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self._usable():
                self._database.execute("COMMIT")
        except BaseException:
            # SQLite has ended the transaction itself after some errors, such as a full disk.
            if self._database.in_transaction:
                with self._usable():
                    self._database.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, Malformed) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise CopyUnusable(f"{self._file}: the disk is full; nothing was added to the copy") from None
            raise CopyUnusable(f"{self._file}: the copy cannot be used ({error})") from None


@dataclass(frozen=True, slots=True)
class Followed:
    """The checkpoint that now proves the copy, the number of new entries, and its witnessed time."""

    checkpoint: SignedCheckpoint
    new: int
    witnessed_at: int | None


async def follow(log: LogAddress, policy: Policy, copy: LogCopy) -> Followed:
    """Bring ``copy`` up to date by ``policy``, or leave it unchanged and raise an error.

    Raises :class:`LogContradicted`, :class:`LogUnreadable`, :class:`LogUnreachable` or :class:`CopyUnusable`.
    """
    edge, before = copy.verified()
    note = await log.checkpoint()
    try:
        signed = policy.open(note)
        known = policy.open(before).checkpoint if before is not None else None
        witnessed_at = policy.witnessed_at(signed)
        if witnessed_at is not None and witnessed_at > _LAST_TIME:
            raise Unverified("its witnesses name an impossible time")
    except (Malformed, Unverified) as fault:
        raise LogUnreadable(f"the policy does not accept the log's checkpoint: {fault}") from None
    stated = signed.checkpoint
    if known is not None and known.origin != stated.origin:
        raise LogUnreadable("this checkpoint is of another log than the copy")
    if stated.size < edge.size:
        raise LogContradicted(Contradiction.ROLLED_BACK, before or b"", note)
    old = edge.size
    with copy.transaction():
        async for number, entry in _new_entries(log, old, stated.size):
            edge.append(leaf_hash(entry))
            copy.add(number, entry)
        if edge.root() != stated.root:
            wrong = await _first_wrong(log, copy, old, stated.size)
            raise LogContradicted(Contradiction.FORKED, before or b"", note, wrong)
        if (wrong := copy.gap(old)) is not None:
            raise LogContradicted(Contradiction.GAP, before or b"", note, wrong)
        copy.prove(edge, note)
    return Followed(signed, stated.size - old, witnessed_at)


async def look_back(log: LogAddress, copy: LogCopy, new: int) -> None:
    """Fetch a bundle from before the last ``new`` entries again, chosen by lot, and compare it with the copy.

    The log cannot know which it will be, so it cannot lose or change old entries for long without being
    found, although the checkpoint that it shows is still the one that it signed.
    """
    edge, note = copy.verified()
    tiles = [each for each in bundles_of(edge.size) if each.start < edge.size - new]
    if not tiles:
        return
    tile = secrets.choice(tiles)
    kept = (entry for _, entry in copy.entries(tile.start))
    for number, (own, served) in enumerate(zip(kept, await log.entries(tile), strict=False), tile.start):
        if own != served:
            raise LogContradicted(Contradiction.FORKED, note or b"", note or b"", number)


async def _new_entries(log: LogAddress, old: int, new: int) -> AsyncIterator[tuple[int, bytes]]:
    for tile in bundles_of(new, old):
        for number, entry in enumerate(await log.entries(tile), start=tile.start):
            if number >= old:
                yield number, entry


async def _first_wrong(log: LogAddress, copy: LogCopy, old: int, new: int) -> int | None:
    """Return the first new entry whose hash is not in the log's own tiles; ``None`` without these tiles."""
    hashes: list[bytes] = []
    start = -1
    for number, entry in copy.entries(old):
        if number // WIDTH != start // WIDTH or start < 0:
            start = number - number % WIDTH
            try:
                hashes = await log.hashes(Tile(0, number // WIDTH, min(WIDTH, new - start)))
            except (LogUnreachable, LogUnreadable):
                return None
        if leaf_hash(entry) != hashes[number - start]:
            return number
    return None


def _usable(read: Callable[[bytes], list[bytes]], content: bytes) -> list[bytes]:
    try:
        return read(content)
    except Malformed as fault:
        raise LogUnreadable(f"the log's answer cannot be used: {fault}") from None
