"""Parts of an exported log: their names and limits, and the two bundles that C2SP does not define.

The entries of the tree are in bundles of tlog-tiles. Each has a bundle of *facts*: the salt and content of
each entry, or nothing if they were disposed of. A bundle of *checkpoints* may precede it: the signed notes
for sizes that are reached within it, and the next one after it, so that a reader knows the times between
which its entries must lie before it examines them.

In both bundles each record is preceded by its length in four bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

from samdrift.audit.notes import MAX_NOTE
from samdrift.audit.reading import Malformed
from samdrift.audit.tiles import WIDTH, Tile

FORMAT = "samdrift log"
VERSION = 2
"""Version of the format; version 2 added time stamps."""
KNOWN = (1, VERSION)
DESCRIPTION = "log.json"
"""Name of the first part: format, version, origin of the chain, and numbers of checkpoints and entries."""
CHAIN = "chain"
"""Folder of the entries of the first form, as numbered pages with one JSON object per line."""
FACTS = "facts"
CHECKPOINTS = "checkpoints"
STAMPS = "stamps"
"""Folder of time stamps, each as a note and an authority's response (RFC 3161) that covers it."""

SALT = 16
MAX_KEYS = 100
MAX_DESCRIPTION = 1 << 20
MAX_PAGE = 8 << 20
MAX_ENTRIES = 4 << 20
MAX_FACTS = 24 << 20
MAX_CHECKPOINTS = 4 << 20
MAX_STAMP = 64 << 10
"""Maximum size in bytes of a time stamp; like the limits above, it bounds a reader's memory."""
MAX_STAMPS = 20_000
"""Maximum number of time stamps: one a day for 50 years."""
MAX_WAITING = 4 * WIDTH
"""Maximum number of checkpoints that wait for the entries that they cover."""

_LENGTH = 4


def chain_part(page: int) -> str:
    """Return the name of a page of the chain."""
    return f"{CHAIN}/{page:06}.jsonl"


def beside(folder: str, tile: Tile) -> str:
    """Return the name of the part that belongs to a bundle of entries, in another folder."""
    return folder + tile.path.removeprefix("tile/entries")


def stamp_parts(number: int) -> tuple[str, str]:
    """Return the names of a note and of the time stamp over it."""
    return f"{STAMPS}/{number:06}.note", f"{STAMPS}/{number:06}.tsr"


def records(parts: Iterable[bytes]) -> bytes:
    """Return the content of a bundle of records."""
    return b"".join(len(part).to_bytes(_LENGTH) + part for part in parts)


def facts_in(content: bytes, tile: Tile) -> list[bytes]:
    """Return salt and content of each entry in a bundle, empty for those that were disposed of."""
    where, found = beside(FACTS, tile), _records(content, tile.width, beside(FACTS, tile))
    if len(found) != tile.width:
        raise Malformed(f"there are {tile.width} entries and {len(found)} records of facts", where)
    for place, record in enumerate(found):
        if 0 < len(record) <= SALT:
            raise Malformed("a record of facts ends within its salt", f"{where}, record {place}")
    return found


def checkpoints_in(content: bytes, tile: Tile) -> list[bytes]:
    """Return the signed notes in a bundle."""
    where, found = beside(CHECKPOINTS, tile), _records(content, MAX_WAITING, beside(CHECKPOINTS, tile))
    for place, note in enumerate(found):
        if len(note) > MAX_NOTE:
            raise Malformed(f"a note has at most {MAX_NOTE} bytes", f"{where}, record {place}")
    return found


def _records(content: bytes, most: int, where: str) -> list[bytes]:
    found: list[bytes] = []
    place, end = 0, len(content)
    while place < end:
        begin = place + _LENGTH
        place = begin + int.from_bytes(content[place:begin])
        if begin > end or place > end:
            raise Malformed("it ends within a record", f"{where}, record {len(found)}")
        if len(found) == most:
            raise Malformed(f"it has more than {most} records", where)
        found.append(content[begin:place])
    return found
