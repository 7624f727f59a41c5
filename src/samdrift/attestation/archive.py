"""Files that leave the installation: the tar archive of an export, and files written atomically.

The archive uses the simplest tar format, POSIX ustar: regular files with short names. Each header has to be
exactly what the writer makes of its name, size and time. Anything else (links, folders, other types, names
that lead elsewhere, further headers) is refused unread.

:func:`new_file` and :func:`new_folder` write under a temporary name first, so that a killed run never leaves
half an export under the final name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.config.errors import shown
from samdrift.keystore.durablefiles import sync_folder

BLOCK = tarfile.BLOCKSIZE
PIECE = 1 << 18
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,4}")
_LONGEST_NAME = 200
_MODE = 0o600


class Writing(Protocol):
    async def write(self, data: bytes) -> None: ...


class Reading(Protocol):
    async def read(self, size: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Member:
    """The name and size of a file in the archive."""

    name: str
    size: int


class ArchiveWriter:
    """Writer of files one after another; returns for each the line that ``sha256sum`` can check."""

    def __init__(self, sink: Writing, time: int) -> None:
        self._sink = sink
        self._time = time
        self.count = 0
        self.bytes = 0

    async def add(self, name: str, data: bytes) -> str:
        """Add a file from bytes."""
        return await self.stream(Member(name, len(data)), _at_once(data))

    async def stream(self, member: Member, pieces: AsyncIterable[bytes]) -> str:
        """Add a file that comes in pieces; raise :class:`ValueError` if its size differs from ``member``."""
        digest, size = hashlib.sha256(), 0
        await self._sink.write(_header(member, self._time))
        async for piece in pieces:
            digest.update(piece)
            size += len(piece)
            await self._sink.write(piece)
        if size != member.size:
            raise ValueError("a file's size differs from its header")
        await self._sink.write(bytes(-size % BLOCK))
        self.count += 1
        self.bytes += member.size
        return _line(member, digest.hexdigest())

    async def end(self) -> None:
        await self._sink.write(bytes(2 * BLOCK))


class ArchiveReader:
    """Reader of files one after another: the header with :meth:`next`, then the content."""

    def __init__(self, source: Reading) -> None:
        self._source = source
        self.count = 0
        self.bytes = 0
        self.line = ""
        """The ``sha256sum`` line of the last file that was read completely."""

    async def next(self) -> Member | None:
        """Return the next file, or ``None`` at the end; raise :class:`MoveError` for anything else."""
        header = await self._exactly(BLOCK)
        if header == bytes(BLOCK):
            if await self._exactly(BLOCK) != header or await self._source.read(1):
                raise damaged("there is data after its end")
            return None
        return _member(header)

    async def pieces(self, member: Member) -> AsyncIterator[bytes]:
        """Yield the content of the file returned by :meth:`next`, which has to be read to its end."""
        digest, left = hashlib.sha256(), member.size
        while left:
            piece = await self._exactly(min(left, PIECE))
            digest.update(piece)
            left -= len(piece)
            yield piece
        if any(await self._exactly(-member.size % BLOCK)):
            raise damaged("a file in it is not filled up with zeros")
        self.count += 1
        self.bytes += member.size
        self.line = _line(member, digest.hexdigest())

    async def whole(self, member: Member, most: int) -> bytes:
        """Return the content of a file, which may have at most ``most`` bytes."""
        if member.size > most:
            raise damaged(f"{member.name} is larger than such a file may be")
        return b"".join([piece async for piece in self.pieces(member)])

    async def _exactly(self, size: int) -> bytes:
        data = await self._source.read(size)
        if len(data) < size:
            raise damaged("it ends too early")
        return data


class ArchiveFile:
    """Reader of an archive on disk, which can start at any of its files.

    It is for archives whose content is verified by hashes other than those of :class:`ArchiveReader`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    @property
    def place(self) -> int:
        """Offset of the next header, after a file was read."""
        return self._file.tell()

    def go_on(self, place: int) -> None:
        """Continue at an earlier :attr:`place`."""
        self._file.seek(place)

    def next(self) -> Member | None:
        """Return the next file, or ``None`` at the end; raise :class:`MoveError` for anything else."""
        header = self._exactly(BLOCK)
        if header == bytes(BLOCK):
            if self._exactly(BLOCK) != header or self._file.read(1):
                raise damaged(f"there is data after its end (at byte {self.place})")
            return None
        return _member(header, f" (at byte {self.place - BLOCK})")

    def whole(self, member: Member, most: int) -> bytes:
        """Return the content of the file returned by :meth:`next`, at most ``most`` bytes."""
        if member.size > most:
            raise damaged(f"{member.name} is larger than such a file may be")
        content = self._exactly(member.size)
        if any(self._exactly(-member.size % BLOCK)):
            raise damaged(f"{member.name} is not filled up with zeros")
        return content

    def _exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise damaged(f"it ends too early (at byte {self.place})")
        return data


def damaged(what: str) -> MoveError:
    """Return the error for a file that is not a complete export; ``what`` is the reason."""
    return MoveError(MoveFault.DAMAGED, f"the export cannot be used: {what}")


def _header(member: Member, time: int) -> bytes:
    """Return the header of a file; raise :class:`ValueError` for a name or size that exports cannot have."""
    if len(member.name) > _LONGEST_NAME or not _NAME.fullmatch(member.name) or member.size < 0:
        raise ValueError("not a file of an export")
    info = tarfile.TarInfo(member.name)
    info.size, info.mtime, info.mode = member.size, time, _MODE
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def _member(header: bytes, where: str = "") -> Member:
    """Return the file that a header describes, if it is exactly the header that :func:`_header` makes."""
    try:
        info = tarfile.TarInfo.frombuf(header, "ascii", "strict")
        member = Member(info.name, info.size)
        canonical = _header(member, int(info.mtime))
    except (tarfile.HeaderError, ValueError, UnicodeError, OverflowError):
        raise damaged(f"a file in it has a header that cannot be used{where}") from None
    if canonical != header:
        raise damaged(f"a file in it has a header that cannot be used{where}")
    return member


def _line(member: Member, digest: str) -> str:
    return f"{digest}  {member.name}\n"


async def _at_once(data: bytes) -> AsyncIterator[bytes]:
    yield data


@contextlib.contextmanager
def new_file(out: Path) -> Iterator[Path]:
    """Yield a draft next to ``out``, to be published as ``out`` if the block ends without an error.

    Only one process can write it at a time, and a draft left by a killed process is overwritten. The
    caller makes the content durable. An existing ``out`` is not replaced.
    """
    draft = out.with_name(f".{out.name}.part")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _lock(descriptor, out)
        try:
            if out.exists():
                raise FileExistsError
            yield draft
            os.link(draft, out)
        except FileExistsError:
            raise _there(out) from None
        finally:
            draft.unlink()
        sync_folder(out.parent)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a draft folder, accessible only to its owner, to be published as ``out`` like a file.

    The caller need not make its content durable.
    """
    if os.path.lexists(out):
        raise _there(out)
    draft = out.with_name(f".{out.name}.part")
    with contextlib.suppress(FileExistsError):
        draft.mkdir(mode=0o700)
    descriptor = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _lock(descriptor, out)
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise MoveError(MoveFault.TARGET, f"{shown(draft)}: belongs to another user")
        os.fchmod(descriptor, 0o700)
        try:
            _empty(draft)
            yield draft
            os.sync()
            if os.path.lexists(out):
                raise _there(out)
            draft.rename(out)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        sync_folder(out.parent)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, out: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MoveError(MoveFault.TARGET, f"{shown(out)}: is being written") from None


def _there(out: Path) -> MoveError:
    return MoveError(MoveFault.TARGET, f"{shown(out)}: already exists")


def _empty(folder: Path) -> None:
    """Remove everything that a killed run left in a folder."""
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
