"""The object store: large encrypted bodies under names that reveal nothing.

The store is a folder by default, a bucket of an S3 store, or any store that obstore can reach by URL. A
closed object is durable: in a folder, the file and the folder are synced to the disk; a store over the
network answers an upload once it has stored it. Parts of an upload that a crash interrupted are removed by a
sweep (:mod:`samdrift.vault.uploads`).

Within the folder, each vault has a folder of its own, which its organisation's process may own or have owned.
Objects are listed, read and removed by name in that folder, and links are never followed: a link that leads
elsewhere would make root remove the files there.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import os
import re
import secrets
import stat
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import obstore
from obstore.store import LocalStore, ObjectStore

from samdrift.keystore.durablefiles import give_as, private_folder, remove_tree, sync_folder
from samdrift.vault import remoteobjects
from samdrift.vault.errors import SealBroken, VaultError, VaultUnavailable
from samdrift.vault.remoteobjects import FAILURES, remote_cause, remote_store
from samdrift.vault.settings import ObjectPlace, S3Settings
from samdrift.vault.uploads import Uploads

_LEAST_ROOM = 16 << 20
"""Number of bytes that must be free on a folder's disk for the folder to count as writable."""
_IN_A_FOLDER = 1 << 20
_OVER_THE_NETWORK = 5 << 20
"""Bytes read or written together: each call costs a change of thread, and S3 accepts no smaller parts."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OS_ERROR = re.compile(r"\(os error (\d{1,4})\)")
_REACH = "reach"
"""Prefix of names by which a store over the network is tested; no vault has this id."""
_SILENT = "object store: no answer in time"
_DRAFT = "#"
"""Mark in the name of an object in a folder that is not complete yet."""
_LEAVING = 10.0
"""Maximum number of seconds that the end of a process waits; an answer is handed over within milliseconds."""


@atexit.register
def _await_obstore_threads() -> None:
    """Wait for threads of obstore that are still handing over an answer as the process ends.

    A task that waits for an answer is awake before the thread that brings it has left the interpreter. A
    thread that is still there when the interpreter is taken down aborts the process, although its work
    was done.
    """
    own = {thread.ident for thread in threading.enumerate()}
    last = time.monotonic() + _LEAVING
    while sys._current_frames().keys() - own and time.monotonic() < last:
        time.sleep(0.001)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing shows it."""

    name: str
    modified: datetime
    size: int
    """Number of bytes, encrypted."""


@dataclass(slots=True)
class _State:
    """The state of a store, as found by the last look at it and by the last write."""

    gone: bool = False
    """True from a failed look until one that succeeds; the health report has a line about it."""
    silent: bool = False
    """True while the store does not answer: a request to it would wait as long as requests may last."""
    written: bool = True
    """False from a failed write until one that succeeds."""


class Objects:
    """The object store of all vaults; each uses the names that begin with its own id."""

    def __init__(self, place: ObjectPlace) -> None:
        """Open the store; a missing folder is not created here but by :func:`make_place`."""
        self._folder = place if isinstance(place, Path) else None
        self._opened: ObjectStore | None = None
        with _typed():
            if not isinstance(place, Path):
                self._opened = remote_store(place)
            self._uploads = Uploads(place) if isinstance(place, S3Settings) else None
        self._piece = _IN_A_FOLDER if self._folder is not None else _OVER_THE_NETWORK
        self._state = _State()

    @property
    def _store(self) -> ObjectStore:
        """Return the store; a folder is opened when it is first needed."""
        if self._opened is None:
            self._opened = LocalStore(self._folder)
        return self._opened

    def writer(self, name: str) -> ObjectWriter:
        """Begin an object, which is not visible until it is closed."""
        self._require_words()
        if self._folder is not None:
            with _typed():
                _require_folder(self._folder)
                private_folder((self._folder / name).parent)
        return ObjectWriter(self._store, name, self._folder, self._piece, self._state)

    async def pieces(self, name: str) -> AsyncIterator[bytes]:
        """Yield the object's bytes in pieces; :class:`SealBroken` if the object does not exist.

        It is read piece by piece, because obstore's stream of a file reads 8 KiB at a time, each in another
        thread.
        """
        self._require_words()
        with _typed():
            if self._folder is not None:
                async for piece in _file_pieces(self._folder, name, self._piece):
                    yield piece
                return
            try:
                file = await obstore.open_reader_async(self._store, name, buffer_size=self._piece)
                while piece := bytes(await file.read(self._piece)):
                    yield piece
            except FileNotFoundError:
                await self._list_some()  # Raises if the whole bucket is missing, not just this object.
                await obstore.head_async(self._store, name)  # Raises unless the bucket has just come back.
                raise VaultUnavailable("object store: an existing object was reported as missing") from None

    def _require_words(self) -> None:
        if self._state.silent:
            raise VaultUnavailable(_SILENT)

    async def delete(self, name: str) -> None:
        """Remove an object; do nothing if it is already gone."""
        with contextlib.suppress(SealBroken), _typed():
            if self._folder is not None:
                await asyncio.to_thread(_unlink, self._folder, name)
                return
            try:
                await obstore.delete_async(self._store, name)
            except FileNotFoundError:
                await self._list_some()

    async def under(self, prefix: str) -> list[StoredObject]:
        """Return every object whose name begins with ``prefix/``; in a folder, only files, and no links.

        Everything else that a store lists is left out, because the objects listed here may be removed.
        """
        with _typed():
            if self._folder is not None:
                return await asyncio.to_thread(_listed, self._folder, prefix)
            found = await obstore.list(self._store, prefix).collect_async()
        return [
            StoredObject(entry["path"], entry["last_modified"], entry["size"])
            for entry in found
            if entry["path"].startswith(f"{prefix}/")
        ]

    async def reach(self) -> None:
        """Check that the store can be written to, as far as possible without writing.

        A store over the network that refused the last write is written to: it may be read only, or full.
        Raises :class:`VaultUnavailable` if the check fails.
        """
        state = self._state
        try:
            async with asyncio.timeout(remoteobjects.LOOK.total_seconds()):
                with _typed():
                    await self._look()
        except TimeoutError:
            state.gone = state.silent = True
            raise VaultUnavailable(_SILENT) from None
        except VaultError:
            state.gone, state.silent = True, False
            raise
        state.gone = state.silent = False

    async def _look(self) -> None:
        if self._folder is not None:
            await asyncio.to_thread(_require_room, self._folder)
            return
        await self._list_some()
        if not self._state.written:
            await obstore.put_async(self._store, f"{_REACH}/written", b"")
            self._state.written = True
            await obstore.delete_async(self._store, f"{_REACH}/written")

    async def _list_some(self) -> None:
        await obstore.list(self._store, _REACH, chunk_size=1).collect_async()

    async def clear(self, prefix: str) -> None:
        """Remove every object under ``prefix/``; in a folder, everything there, and the folder itself."""
        if self._folder is None:
            for stored in await self.under(prefix):
                await self.delete(stored.name)
            await self.drop_drafts(prefix, datetime.max.replace(tzinfo=UTC))
        else:
            with _typed():
                await asyncio.to_thread(_remove, self._folder, prefix)

    async def drop_drafts(self, prefix: str, before: datetime) -> None:
        """Remove what a crash left unfinished: drafts in a folder, uploads in parts at an S3 store.

        Only those begun before ``before`` are removed.
        """
        with _typed():
            if self._folder is not None:
                await asyncio.to_thread(_drop_drafts, self._folder, prefix, before.timestamp())
            elif self._uploads is not None:
                await asyncio.to_thread(_abort, self._uploads, prefix, before)


def make_place(place: ObjectPlace) -> None:
    """Create the folder of a new installation; :class:`VaultUnavailable` if that is impossible."""
    if isinstance(place, Path):
        with _typed():
            private_folder(place)


async def try_out(place: ObjectPlace) -> datetime:
    """Write, list, read and remove an object; return the time of writing by the store's clock.

    Raises :class:`VaultUnavailable` or :class:`SealBroken` if that fails. A missing folder is not
    created.
    """
    with _typed():
        objects = await asyncio.to_thread(_present, place)
    prefix = f"examined-{secrets.token_hex(8)}"
    try:
        modified = await _write_and_read(objects, prefix, secrets.token_bytes(64))
    except VaultError:
        with contextlib.suppress(VaultError):
            await objects.clear(prefix)
        raise
    await objects.clear(prefix)
    return modified


def _present(place: ObjectPlace) -> Objects:
    if isinstance(place, Path):
        _require_folder(place)
    return Objects(place)


def _require_folder(folder: Path) -> None:
    """Raise :class:`VaultUnavailable` for a missing folder, which a writer might create again.

    Objects written to a new folder would be hidden when the missing one came back. Its objects are not
    lost.
    """
    if not folder.is_dir():
        raise VaultUnavailable("object store: its folder does not exist")


async def _write_and_read(objects: Objects, prefix: str, data: bytes) -> datetime:
    name = f"{prefix}/object"
    writer = objects.writer(name)
    await writer.write(data)
    await writer.close()
    listed = await objects.under(prefix)
    read = b"".join([piece async for piece in objects.pieces(name)])
    if read != data or [one.name for one in listed] != [name]:
        raise SealBroken
    return listed[0].modified


class ObjectWriter:
    """An object that is being written to the store."""

    def __init__(self, store: ObjectStore, name: str, folder: Path | None, piece: int, state: _State) -> None:
        self._state = state
        self._name = name
        self._folder = folder
        self._piece = piece
        self._held = bytearray()
        self._file = obstore.open_writer_async(store, name, buffer_size=piece, max_concurrency=1)

    async def write(self, data: bytes) -> None:
        self._held += data
        if len(self._held) >= self._piece:
            await self._pass_on()

    async def close(self) -> None:
        """Make the object whole and durable."""
        await self._pass_on()
        with self._noted():
            await self._file.close()
            if self._folder is not None:
                await asyncio.to_thread(_sync, self._folder / self._name)
        self._state.written = True

    async def _pass_on(self) -> None:
        data, self._held = self._held, bytearray()
        with self._noted():
            await self._file.write(data)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """Record a failed write and raise :class:`VaultUnavailable`, also if the folder is missing."""
        try:
            if self._folder is not None:
                _require_folder(self._folder)  # It may have disappeared since the write began.
            yield
        except FAILURES as error:
            self._state.written = False
            # The health check may find room although a large object does not fit; then its line does not
            # cover this failure.
            raise VaultUnavailable(f"object store: {_cause(error)}", reported=self._state.gone) from None


def _require_room(folder: Path) -> None:
    """Raise :class:`VaultUnavailable` for a folder that is missing, read only, or on a disk nearly full.

    On such a disk some messages fit and others do not, and each deletion frees space for a while: as long
    as any block is free, the disk would not count as full.
    """
    try:
        found = os.statvfs(folder)
    except OSError as error:
        raise VaultUnavailable(f"object store: {_cause(error)}") from None
    if found.f_flag & os.ST_RDONLY:
        raise VaultUnavailable(f"object store: {os.strerror(errno.EROFS).lower()}")
    if found.f_bavail == 0:
        raise VaultUnavailable(f"object store: {os.strerror(errno.ENOSPC).lower()}")
    if (left := found.f_bavail * found.f_frsize) < _LEAST_ROOM:
        raise VaultUnavailable(f"object store: {left >> 10} KiB left on its disk")


def _remove(folder: Path, prefix: str) -> None:
    """Remove a vault's folder, however deeply nested: its organisation's own process may have filled it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        remove_tree(prefix, descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _vault_folder(folder: Path, prefix: str) -> Iterator[int]:
    descriptor = os.open(folder / prefix, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _files(folder: int) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the regular files in an open folder, and nothing else that it may contain."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    yield entry.name, entry.stat(follow_symlinks=False)


def _listed(folder: Path, prefix: str) -> list[StoredObject]:
    try:
        with _vault_folder(folder, prefix) as descriptor:
            return [
                StoredObject(f"{prefix}/{name}", datetime.fromtimestamp(found.st_mtime, UTC), found.st_size)
                for name, found in _files(descriptor)
                if _DRAFT not in name
            ]
    except FileNotFoundError:
        return []


def _unlink(folder: Path, name: str) -> None:
    prefix, file = _parts(name)
    with _vault_folder(folder, prefix) as descriptor:
        os.unlink(file, dir_fd=descriptor)


async def _file_pieces(folder: Path, name: str, size: int) -> AsyncIterator[bytes]:
    """Yield an object piece by piece; the file is closed only when no thread is reading it.

    A thread goes on when the task that waits for it is cancelled. If the file were closed then, its
    descriptor might be reused for another file, and the thread would read a piece of that one.
    """
    work = asyncio.ensure_future(asyncio.to_thread(_opened, folder, name))
    try:
        file, left = await asyncio.shield(work)
    except asyncio.CancelledError:
        work.add_done_callback(_close_opened)
        raise
    reading: asyncio.Future[bytes] | None = None
    try:
        while True:
            reading = asyncio.ensure_future(asyncio.to_thread(os.read, file, min(size, left)))
            if not (piece := await asyncio.shield(reading)):
                return
            left -= len(piece)
            yield piece
    finally:
        if reading is None or reading.done():
            os.close(file)
        else:
            reading.add_done_callback(lambda _: os.close(file))


def _close_opened(opening: asyncio.Future[tuple[int, int]]) -> None:
    """Close a file that was opened for a task that has been cancelled."""
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[0])


def _opened(folder: Path, name: str) -> tuple[int, int]:
    """Return a descriptor of an object, and its size now; anything but a regular file is not an object.

    A FIFO does not block the reader, and a file that grows while it is read has an end.
    """
    prefix, file = _parts(name)
    try:
        with _vault_folder(folder, prefix) as above:
            descriptor = os.open(file, _FILE, dir_fd=above)
    except FileNotFoundError:
        _require_folder(folder)  # If the folder is missing, the object need not be lost.
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise FileNotFoundError
    return descriptor, found.st_size


def _parts(name: str) -> tuple[str, str]:
    """Split an object's name into the vault's folder and the file.

    A name with further folders, or none, belongs to no object: ``FileNotFoundError``.
    """
    prefix, _, file = name.partition("/")
    if "/" in file or file in ("", ".", ".."):
        raise FileNotFoundError
    return prefix, file


def _drop_drafts(folder: Path, prefix: str, before: float) -> None:
    with contextlib.suppress(FileNotFoundError), _vault_folder(folder, prefix) as descriptor:
        old = [name for name, found in _files(descriptor) if _DRAFT in name and found.st_mtime < before]
        for draft in old:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=descriptor)


def _abort(uploads: Uploads, prefix: str, before: datetime) -> None:
    for upload in uploads.under(prefix):
        if upload.begun < before:
            uploads.abort(upload)


def _sync(path: Path) -> None:
    """Sync an object to the disk.

    One that root writes, for an organisation that moves here, gets the owner of its folder.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        give_as(descriptor, path.parent)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


@contextlib.contextmanager
def _typed() -> Iterator[None]:
    """Turn the store's errors, whose texts carry paths, into the vault's own."""
    try:
        yield
    except FileNotFoundError:
        raise SealBroken from None
    except FAILURES as error:
        raise VaultUnavailable(f"object store: {_cause(error)}") from None


def _cause(error: Exception) -> str:
    """Return the cause of a failure, without the paths and addresses in obstore's texts."""
    known = error.errno if isinstance(error, OSError) else None
    numbered = _OS_ERROR.search(str(error))
    number = known or (int(numbered[1]) if numbered else None)
    return os.strerror(number).lower() if number else remote_cause(error)
