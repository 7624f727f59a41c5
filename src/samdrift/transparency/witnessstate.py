"""A witness's memory: for each log the last tree that it has cosigned, in one file that is never rolled back.

It is an SQLite database, so that one transaction compares and replaces, and the file is synchronised to the
disk before the cosignature is sent (tlog-witness). A witness that lost its memory would sign a second
history. So the file names the key it belongs to, and a key whose file is missing is not used again.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from samdrift.audit.merkle import EMPTY_ROOT
from samdrift.audit.notes import Checkpoint, VerifierKey
from samdrift.contracts.errors import Explained, Temporary

_SECONDS = 10.0
"""Longest wait in seconds for another process that writes."""
_OF_ANOTHER_FORM = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_TABLES = """
CREATE TABLE IF NOT EXISTS witness (key TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS log (
    origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    time INTEGER NOT NULL,
    checkpoint BLOB NOT NULL
) STRICT;
"""


class WitnessStateError(Explained):
    """A state file that cannot be used with this key."""


class WitnessStateUnavailable(Temporary):
    """A state file that cannot be used at present: the disk is full, or another process holds it."""

    service = "witness"


@dataclass(frozen=True, slots=True)
class Seen:
    """The last tree of a log that was cosigned, and the time of the cosignature."""

    size: int = 0
    root: bytes = EMPTY_ROOT
    time: int = 0


class WitnessState:
    """An open state file, for one process and several of its threads."""

    def __init__(self, file: Path, key: VerifierKey, *, new: bool) -> None:
        """Open the state of ``key``; :class:`WitnessStateError` if it is missing or belongs to another key.

        ``new`` creates it, which is right only when the key is created too.
        """
        self._lock = threading.Lock()
        if new == file.exists():
            found = "already exists" if new else "is missing, and without it a tree could be cosigned twice"
            raise WitnessStateError(f"{file}: the state of this witness {found}")
        with _available():
            self._database = sqlite3.connect(
                file, timeout=_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            with _available():
                self._prepare(file, key, new=new)
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def _prepare(self, file: Path, key: VerifierKey, *, new: bool) -> None:
        try:
            with self._transaction():
                if new:
                    for statement in filter(str.strip, _TABLES.split(";")):
                        self._database.execute(statement)
                    self._database.execute("INSERT INTO witness VALUES (?)", (str(key),))
                keys = self._database.execute("SELECT key FROM witness").fetchall()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in _OF_ANOTHER_FORM:
                raise WitnessStateError(f"{file}: this is not the state of a witness") from None
            raise
        if keys != [(str(key),)]:
            raise WitnessStateError(f"{file}: this is the state of a witness with another name or key")

    def seen(self, origin: str) -> Seen:
        """Return the last tree of a log that was cosigned; an empty tree if there is none."""
        with self._lock, _available():
            row = self._database.execute(
                "SELECT size, root, time FROM log WHERE origin = ?", (origin,)
            ).fetchone()
        return Seen(*row) if row else Seen()

    def checkpoint(self, origin: str) -> bytes | None:
        """Return a log's last cosigned checkpoint, with the signatures of log and witness."""
        with self._lock, _available():
            row = self._database.execute("SELECT checkpoint FROM log WHERE origin = ?", (origin,)).fetchone()
        return row[0] if row else None

    def advance(self, old: Seen, checkpoint: Checkpoint, time: int, note: bytes) -> bool:
        """Replace ``old`` by a newer tree, durably; false, without any change, if it is not the last tree."""
        new = (checkpoint.size, checkpoint.root, time, note)
        with self._lock, _available(), self._transaction():
            known = self._database.execute(
                "SELECT size, root, time FROM log WHERE origin = ?", (checkpoint.origin,)
            ).fetchone()
            if (Seen(*known) if known else Seen()) != old:
                return False
            self._database.execute(
                "INSERT INTO log VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE"
                " SET size = excluded.size, root = excluded.root, time = excluded.time,"
                " checkpoint = excluded.checkpoint",
                (checkpoint.origin, *new),
            )
        return True

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run a transaction that is durable, including the folder's entry, when the context has ended."""
        self._database.execute("PRAGMA synchronous = EXTRA")
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            # SQLite has ended the transaction itself after some errors, such as a full disk.
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise WitnessStateUnavailable(
            f"the witness's state cannot be used now ({type(error).__name__}); look at its disk"
        ) from None
