"""Log control on an exported log: a search for entries, and a sample that cannot be foreseen.

The organisation reads its log on a machine of its own, without involving the people who run the
service. The file is read without verification, which is the task of
:func:`samdrift.evidence.logexport.verify_log`.

A sample is drawn by hashing: from the entries of a class, it has those whose number and the seed give the
lowest hashes. If a seed is fixed in advance, it can be shown that nobody chose the entries, and a longer log
gives the same draw among the entries that it had before.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from samdrift.attestation.archive import ArchiveFile
from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.events import Retention
from samdrift.audit.leaves import VERSION, Leaf
from samdrift.audit.logparts import CHAIN, FACTS, MAX_FACTS, SALT, facts_in
from samdrift.audit.reading import Malformed
from samdrift.audit.tiles import Tile

MAX_SAMPLE = 10_000
_LEAF = 42


def search(path: Path, words: str) -> Iterator[LogEntry]:
    """Yield the entries in which a fact, the principal, the event or the purpose contains ``words``."""
    for entry in entries_of(path):
        said = (entry.principal, entry.event, entry.purpose, *entry.ids.values())
        if any(words in each for each in said):
            yield entry


def sample(path: Path, seed: str, count: int, retention: Retention | None = None) -> list[LogEntry]:
    """Return a random sample of the entries with facts, of one class or of all, in the order of the log."""

    def drawn(entry: LogEntry) -> bytes:
        return sha256(f"samdrift log sample\n{seed}\n{entry.sequence}\n".encode()).digest()

    chosen = (entry for entry in entries_of(path) if retention in (None, entry.retention))
    return sorted(heapq.nsmallest(count, chosen, key=drawn), key=lambda entry: entry.sequence)


def entries_of(path: Path) -> Iterator[LogEntry]:
    """Yield the entries of an exported log that have facts, leaving out those of an unknown form.

    Raise :class:`Malformed` or ``MoveError`` if the file cannot be used.
    """
    with path.open("rb") as file:
        archive, leaves, tile = ArchiveFile(file), list[bytes](), None
        while (member := archive.next()) is not None:
            content = archive.whole(member, MAX_FACTS)
            folder = member.name.partition("/")[0]
            if folder == CHAIN:
                yield from (_chained(line, member.name) for line in content.splitlines())
            elif folder == "tile":
                tile = Tile.parse(member.name)
                leaves = tile.entries(content)
            elif folder == FACTS and tile is not None:
                for leaf, record in zip(leaves, facts_in(content, tile), strict=True):
                    if record and leaf[:1] == bytes((VERSION,)) and len(leaf) == _LEAF:
                        yield _entry(leaf, record, member.name)


def _chained(line: bytes, where: str) -> LogEntry:
    try:
        return LogEntry.read(json.loads(line))
    except (ValueError, RecursionError):
        raise Malformed("it is not an entry of a log", where) from None


def _entry(leaf: bytes, record: bytes, where: str) -> LogEntry:
    number, salt = int.from_bytes(leaf[1:9]), record[:SALT]
    try:
        happening = Happening.parse(record[SALT:])
    except ValueError:
        raise Malformed("its facts are not those of an entry", f"{where}, entry {number}") from None
    placed = Leaf(number, leaf[9], leaf[10:])
    return LogEntry.placed(happening, placed.sequence, b"", placed.commitment, placed.retention, salt)
