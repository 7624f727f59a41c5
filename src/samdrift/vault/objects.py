"""The object store: large encrypted bodies, each under a name that says nothing.

A folder by default, or any store that obstore can reach by URL. What is closed
here is durable: in a folder, file and folder are synced to the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from samdrift.keystore.durablefiles import give_as, private_folder, remove_tree, sync_folder
from samdrift.vault.errors import SealBroken, VaultUnavailable

_IN_A_FOLDER = 1 << 20
_OVER_THE_NETWORK = 5 << 20
"""Bytes read or written at once: every time costs a change of thread, and S3 takes no smaller parts."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing shows it."""

    name: str
    modified: datetime


class Objects:
    """The object store of all vaults; each uses the names that begin with its own id."""

    def __init__(self, place: Path | str) -> None:
        self._folder = private_folder(place) if isinstance(place, Path) else None
        self._store: ObjectStore = (
            LocalStore(self._folder) if self._folder is not None else from_url(str(place))
        )
        self._piece = _IN_A_FOLDER if self._folder is not None else _OVER_THE_NETWORK

    def writer(self, name: str) -> ObjectWriter:
        """Begin an object; nothing is seen of it until it is closed."""
        if self._folder is not None:
            with _typed():
                private_folder((self._folder / name).parent)
        return ObjectWriter(self._store, name, self._folder, self._piece)

    async def pieces(self, name: str) -> AsyncIterator[bytes]:
        """The object's bytes in pieces; :class:`SealBroken` when it is not there.

        Read piece by piece, since obstore's stream of a file reads 8 KiB at a time, each in another thread.
        In a folder, that is done without following a link: the operator's commands read as root what
        an organisation's own process may have put there.
        """
        if self._folder is not None:
            with _typed():
                descriptor, left = await asyncio.to_thread(_open_file, self._folder, name)
                try:
                    while piece := await asyncio.to_thread(os.read, descriptor, min(self._piece, left)):
                        left -= len(piece)
                        yield piece
                finally:
                    os.close(descriptor)
            return
        with _typed():
            file = await obstore.open_reader_async(self._store, name, buffer_size=self._piece)
            while piece := bytes(await file.read(self._piece)):
                yield piece

    async def delete(self, name: str) -> None:
        """Remove an object; nothing happens when it is gone already."""
        with contextlib.suppress(SealBroken), _typed():
            await obstore.delete_async(self._store, name)

    async def under(self, prefix: str) -> list[StoredObject]:
        """Every object whose name begins with ``prefix/``; in a folder, files alone, and no link."""
        if self._folder is not None:
            with _typed():
                return await asyncio.to_thread(_listed, self._folder, prefix)
        with _typed():
            found = await obstore.list(self._store, prefix).collect_async()
        return [StoredObject(entry["path"], entry["last_modified"]) for entry in found]

    async def clear(self, prefix: str) -> None:
        """Remove every object under ``prefix/``; in a folder, also what was half written, and the folder.

        A listing would follow links in the folder, which may belong to an organisation's own process.
        """
        if self._folder is None:
            for stored in await self.under(prefix):
                await self.delete(stored.name)
        else:
            with _typed():
                await asyncio.to_thread(_remove, self._folder, prefix)

    async def drop_drafts(self, prefix: str, before: datetime) -> None:
        """Remove what a crash left half written in a folder; another store drops its own parts."""
        if self._folder is not None:
            with _typed():
                await asyncio.to_thread(_drop_drafts, self._folder / prefix, before.timestamp())


class ObjectWriter:
    """An object on its way into the store."""

    def __init__(self, store: ObjectStore, name: str, folder: Path | None, piece: int) -> None:
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
        with _typed():
            await self._file.close()
            if self._folder is not None:
                await asyncio.to_thread(_sync, self._folder / self._name)

    async def _pass_on(self) -> None:
        data, self._held = self._held, bytearray()
        with _typed():
            await self._file.write(data)


def _remove(folder: Path, prefix: str) -> None:
    """However deep what lies there is nested: its organisation's own process may have put it there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        remove_tree(prefix, descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _vault_folder(folder: Path, prefix: str) -> Iterator[int]:
    """A descriptor of a vault's own folder; ``OSError`` where a link is in its place."""
    above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        own = os.open(prefix, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    finally:
        os.close(above)
    try:
        yield own
    finally:
        os.close(own)


def _open_file(folder: Path, name: str) -> tuple[int, int]:
    """A descriptor of an object, and its size now: :class:`SealBroken` for anything but a regular file.

    A FIFO keeps nobody waiting, and a file that grows while it is read has an end.
    """
    prefix, _, file = name.rpartition("/")
    with _vault_folder(folder, prefix) as own:
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=own)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise SealBroken from None
            raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise SealBroken
    return descriptor, found.st_size


def _listed(folder: Path, prefix: str) -> list[StoredObject]:
    found: list[StoredObject] = []
    with (
        contextlib.suppress(FileNotFoundError),
        _vault_folder(folder, prefix) as own,
        os.scandir(own) as all_,
    ):
        for entry in all_:
            if "#" not in entry.name and entry.is_file(follow_symlinks=False):
                modified = datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC)
                found.append(StoredObject(f"{prefix}/{entry.name}", modified))
    return found


def _drop_drafts(folder: Path, before: float) -> None:
    for draft in folder.glob("*#*"):
        if draft.lstat().st_mtime < before:
            draft.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Bring it to the disk. What root brings in, for an organisation that moves here, is its vault's."""
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
    except (BaseError, OSError):
        raise VaultUnavailable from None
