"""A log as a file that others can verify: written from an open vault, and read in one pass.

The file is a tar file of the parts named by :mod:`samdrift.audit.logparts`. A reader without Samdrift can
unpack it, and finds bundles of tlog-tiles, signed notes, and facts whose hashes are in the entries.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from samdrift import __version__
from samdrift.attestation.archive import ArchiveFile, ArchiveWriter, Member, new_file
from samdrift.audit.leaves import Leaf
from samdrift.audit.logparts import (
    CHECKPOINTS,
    DESCRIPTION,
    FACTS,
    FORMAT,
    KNOWN,
    MAX_CHECKPOINTS,
    MAX_DESCRIPTION,
    MAX_ENTRIES,
    MAX_FACTS,
    MAX_KEYS,
    MAX_PAGE,
    MAX_STAMP,
    MAX_STAMPS,
    STAMPS,
    VERSION,
    beside,
    chain_part,
    checkpoints_in,
    records,
    stamp_parts,
)
from samdrift.audit.logverifying import LogVerdict, LogVerifier
from samdrift.audit.notes import MAX_NOTE, VerifierKey
from samdrift.audit.reading import Malformed, from_base64, to_base64
from samdrift.audit.tiles import WIDTH, Tile, bundle

_SAVED_AFTER = 64 << 20
"""Number of bytes after which the state of a verification is saved."""

Progress = Callable[[int], None]
"""Function that is called with the number of bytes read so far."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry of the tree with its salt and facts, which are empty if they were disposed of."""

    leaf: Leaf
    facts: bytes


class LogSource(Protocol):
    """Source of a log to be exported."""

    chain_begins: bytes
    """The hash with which the log begins."""

    keys: Sequence[tuple[VerifierKey, bytes, bytes]]
    """The keys that signed the log, oldest first.

    Each comes with its announcement by the previous key, and the statement that it is this log's key;
    either may be empty.
    """

    def chain(self) -> AsyncIterator[bytes]:
        """Yield pages of entries in the first form, as lines of JSON."""
        ...

    def entries(self) -> AsyncIterator[list[Kept]]:
        """Yield the entries of the tree, one bundle at a time; the last one may be shorter."""
        ...

    def checkpoints(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the signed checkpoints with their sizes, smallest first."""
        ...

    def stamps(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield the notes that were time-stamped, smallest first, each with its time stamp."""
        ...


async def write_log(source: LogSource, name: str, out: Path) -> int:
    """Write the log called ``name`` to a new file ``out``, and return the number of tree entries."""
    with new_file(out) as draft, draft.open("r+b") as file:
        file.truncate()
        now = datetime.now(UTC)
        writer = ArchiveWriter(_Sink(file), int(now.timestamp()))
        description = {
            "format": FORMAT,
            "version": VERSION,
            "log": name,
            "chain_begins": source.chain_begins.hex(),
            "keys": [
                {"key": str(key), "announced": to_base64(announced), "statement": to_base64(statement)}
                for key, announced, statement in source.keys
            ],
            "made_at": now.isoformat(),
            "made_by": f"samdrift {__version__}",
        }
        await writer.add(DESCRIPTION, (json.dumps(description, indent=2) + "\n").encode())
        number = 0
        async for stamped in source.stamps():
            number += 1
            for part, content in zip(stamp_parts(number), stamped, strict=True):
                await writer.add(part, content)
        page = 0
        async for lines in source.chain():
            page += 1
            await writer.add(chain_part(page), lines)
        size = await _write_tree(source, writer)
        await writer.end()
        file.flush()
        os.fsync(file.fileno())
    return size


class _Sink:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def write(self, data: bytes) -> None:
        self._file.write(data)


async def _write_tree(source: LogSource, writer: ArchiveWriter) -> int:
    """Write each bundle after the checkpoints that fall in it and the next one that covers its end."""
    checkpoints = source.checkpoints()
    ahead = await anext(checkpoints, None)
    start = covered = 0
    async for kept in source.entries():
        tile = Tile(None, start // WIDTH, len(kept))
        end = start + len(kept)
        notes = []
        while ahead is not None and (ahead[0] <= end or covered < end):
            covered = ahead[0]
            notes.append(ahead[1])
            ahead = await anext(checkpoints, None)
        if notes:
            await writer.add(beside(CHECKPOINTS, tile), records(notes))
        await writer.add(tile.path, bundle(each.leaf.entry for each in kept))
        await writer.add(beside(FACTS, tile), records(each.facts for each in kept))
        start = end
    return start


@dataclass(frozen=True, slots=True)
class DescribedKey:
    """A key that signed the log, according to the description."""

    key: VerifierKey
    announced: bytes
    """The announcement signed by the previous key; empty for the first."""
    statement: bytes
    """The statement that the key is this log's; empty if there is none."""


@dataclass(frozen=True, slots=True)
class Description:
    """The first part of an exported log, which is not signed."""

    name: str
    begins: bytes
    keys: tuple[DescribedKey, ...]


def describe_log(path: Path) -> Description:
    """Return the description of an exported log, with the same errors as :func:`verify_log`."""
    with path.open("rb") as file:
        return _described(ArchiveFile(file))


def stamps_of(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the time-stamped notes of an exported log, each with its time stamp."""
    with path.open("rb") as file:
        archive, number = ArchiveFile(file), 0
        _described(archive)
        while (member := archive.next()) is not None and member.name.startswith(f"{STAMPS}/"):
            number += 1
            note, stamp = stamp_parts(number)
            if member.name != note or number > MAX_STAMPS:
                raise Malformed("the time stamps do not follow each other", member.name)
            content = archive.whole(member, MAX_NOTE)
            member = archive.next()
            if member is None or member.name != stamp:
                raise Malformed("the next part is missing", stamp)
            yield content, archive.whole(member, MAX_STAMP)


def _described(archive: ArchiveFile) -> Description:
    member = archive.next()
    if member is None or member.name != DESCRIPTION:
        raise Malformed(f"it is not an exported log, which begins with {DESCRIPTION}")
    content = archive.whole(member, MAX_DESCRIPTION)
    try:
        document = json.loads(content)
        known = document["format"] == FORMAT and document["version"] in KNOWN
        name, begins = str(document["log"]), bytes.fromhex(document["chain_begins"])
        keys = tuple(
            DescribedKey(
                VerifierKey.parse(each["key"]),
                from_base64(each["announced"], "announced"),
                from_base64(each["statement"], "statement"),
            )
            for each in document["keys"]
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Malformed("it does not describe a log", DESCRIPTION) from None
    if not known or len(begins) != 32 or len(keys) > MAX_KEYS:
        raise Malformed(f"it is not a log of version {VERSION}", DESCRIPTION)
    return Description(name, begins, keys)


def verify_log(
    path: Path,
    verifier: LogVerifier,
    state: Path | None = None,
    progress: Progress = lambda done: None,
    again: Callable[[], None] = lambda: None,
) -> LogVerdict:
    """Return the verdict on an exported log.

    Raise :class:`Malformed` or ``MoveError`` if it cannot be used. With ``state``, a file, an
    interrupted verification continues where it stopped; the file is removed when the verification is
    complete. If the file has the state of another verification (another log, policy or version, other known
    checkpoints or time stamps), ``again`` is called, and the log is read from its beginning.
    """
    with path.open("rb") as file:
        reading, about = _Reading(ArchiveFile(file), verifier), _about(file)
        if state is None or not state.exists():
            reading.begin()
        elif not reading.take_up(state, about):
            again()
            reading.begin()
        saved = file.tell()
        while not verifier.stopped and reading.part():
            progress(file.tell())
            if state is not None and file.tell() - saved > _SAVED_AFTER:
                reading.put_down(state, about)
                saved = file.tell()
        verdict = verifier.verdict()
    if state is not None:
        state.unlink(missing_ok=True)
    return verdict


def _about(file: BinaryIO) -> str:
    """Return what tells an open file, and this version, from others; only ``root`` can set the last time."""
    found = os.fstat(file.fileno())
    return f"{__version__} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


class _Reading:
    """Reader of the parts of a log in their order."""

    def __init__(self, archive: ArchiveFile, verifier: LogVerifier) -> None:
        self._archive = archive
        self._verifier = verifier
        self._page = 0
        self._bundle = 0
        self._whole = True
        """False once a bundle was not full, after which no other may follow."""

    def begin(self) -> None:
        """Read the description, and start the verifier with its keys."""
        described = _described(self._archive)
        announced = [(each.key, each.announced) for each in described.keys]
        self._verifier.begin(described.begins, announced)

    def part(self) -> bool:
        """Read and verify the next page or bundle; return false after the last one."""
        member = self._archive.next()
        if member is None:
            return False
        if member.name.startswith(f"{STAMPS}/") and self._page == self._bundle == 0:
            self._archive.whole(member, MAX_STAMP)
            return True
        if member.name == chain_part(self._page + 1) and self._bundle == 0:
            self._page += 1
            lines = self._archive.whole(member, MAX_PAGE).splitlines()
            self._verifier.page(lines, member.name)
            return True
        if not self._whole:
            raise Malformed("a part follows a bundle that is not full", member.name)
        if member.name.startswith(f"{CHECKPOINTS}/"):
            member = self._checkpoints(member)
            if self._verifier.stopped:
                return True
        tile = self._tile(member)
        entries = self._archive.whole(member, MAX_ENTRIES)
        facts = self._archive.whole(self._following(beside(FACTS, tile)), MAX_FACTS)
        self._bundle += 1
        self._whole = tile.width == WIDTH
        self._verifier.bundle(tile, entries, facts)
        return True

    def take_up(self, state: Path, about: str) -> bool:
        """Continue an earlier verification; return false if it was not of the same file and inputs.

        A state of an earlier version, which did not save the number of pages, is not used either.
        """
        try:
            saved = json.loads(state.read_bytes())
            if saved["about"] != about or "page" not in saved:
                return False
            if not self._verifier.load(saved["verifier"]):
                return False
            self._page, self._bundle = int(saved["page"]), int(saved["bundle"])
            self._archive.go_on(int(saved["place"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Malformed("not the state of a verification", str(state)) from None
        return True

    def put_down(self, state: Path, about: str) -> None:
        """Save the state after a part for :meth:`take_up`."""
        saved = {
            "about": about,
            "place": self._archive.place,
            "page": self._page,
            "bundle": self._bundle,
            "verifier": self._verifier.dump(),
        }
        draft = state.with_name(f"{state.name}.part")
        draft.write_text(json.dumps(saved))
        draft.replace(state)

    def _checkpoints(self, member: Member) -> Member:
        """Read checkpoints, and return the file after them."""
        tile = Tile.parse(f"tile/entries{member.name.removeprefix(CHECKPOINTS)}")
        content = self._archive.whole(member, MAX_CHECKPOINTS)
        self._verifier.checkpoints(checkpoints_in(content, tile), member.name)
        return self._following(tile.path)

    def _tile(self, member: Member) -> Tile:
        tile = Tile.parse(member.name)
        if tile.level is not None or tile.index != self._bundle:
            raise Malformed("the bundles of entries do not follow each other", member.name)
        return tile

    def _following(self, name: str) -> Member:
        member = self._archive.next()
        if member is None or member.name != name:
            raise Malformed("the next part is missing", name)
        return member
