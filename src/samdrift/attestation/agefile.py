"""Files that are encrypted with age while they are written, and decrypted while they are read.

The programs of age can open them too (https://age-encryption.org/v1). Clear text passes through a pipe to or
from a thread, so that memory use does not grow with the file, and no clear text reaches a disk.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import os
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import pyrage

from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.config.errors import shown

_PIECE = 1 << 20
_MOST_RECIPIENTS = 10
LARGEST_KEY_FILE = 1 << 16
_MOST_STANZAS = 20
_LARGEST_HEADER = 1 << 16
"""Maximum size of the header before the encrypted data, in bytes; a recipient takes about a hundred."""
_ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
_ERRNO = re.compile(r"\[Errno (\d{1,4})\]")


def lines(path: Path) -> list[str]:
    """Return the lines of a file of recipients or identities, without comments.

    Raise :class:`MoveError` if the file is too large: if it were cut off, recipients would be missing.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_KEY_FILE + 1)
    if len(content) > LARGEST_KEY_FILE:
        raise MoveError(MoveFault.RECIPIENT, f"{shown(path)}: larger than {LARGEST_KEY_FILE} bytes")
    return lines_of(content)


def lines_of(content: bytes) -> list[str]:
    """Return the lines of recipients or identities in the content of such a file."""
    text = content.decode("utf-8", "replace")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def recipients(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the recipients to encrypt for, without duplicates.

    Raise :class:`MoveError` if there are none or too many, or if one is not an age recipient.
    """
    given = tuple(dict.fromkeys(texts))
    if not 0 < len(given) <= _MOST_RECIPIENTS:
        raise MoveError(MoveFault.RECIPIENT, f"1 to {_MOST_RECIPIENTS} recipients are needed (--to age1...)")
    for text in given:
        _recipient(text)
    return given


def recipient_keys(texts: Iterable[str]) -> list[pyrage.x25519.Recipient]:
    """Return the keys of recipients accepted by :func:`recipients`."""
    return [_recipient(text) for text in texts]


def fingerprint(recipient: str) -> str:
    """Return the fingerprint by which a log names a recipient."""
    return sha256(recipient.encode()).hexdigest()


def identities(path: Path) -> list[pyrage.x25519.Identity]:
    """Return the keys in an ``age-keygen`` file; raise :class:`MoveError` if it has anything else or none."""
    try:
        found = [pyrage.x25519.Identity.from_str(line) for line in lines(path)]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise MoveError(MoveFault.RECIPIENT, f"{shown(path)}: contains no age key (AGE-SECRET-KEY-1...)")
    return found


class Sink:
    """Writer of the clear text to be encrypted."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._held = bytearray()

    async def write(self, data: bytes) -> None:
        self._held += data
        if len(self._held) >= _PIECE:
            await self.flush()

    async def flush(self) -> None:
        """Pass on the buffered data, waiting if the disk is slower."""
        data, self._held = self._held, bytearray()
        await asyncio.to_thread(_write_all, self._file, data)

    def close(self) -> None:
        self._file.close()


class Source:
    """Reader of the decrypted clear text."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self._held = bytearray()

    async def read(self, size: int) -> bytes:
        """Return ``size`` bytes, or fewer at the end."""
        while len(self._held) < size:
            piece = await asyncio.to_thread(self._file.read, _PIECE)
            if not piece:
                break
            self._held += piece
        data = bytes(self._held[:size])
        del self._held[:size]
        return data

    def close(self) -> None:
        self._file.close()


@contextlib.asynccontextmanager
async def encrypting(path: Path, to: Sequence[str]) -> AsyncIterator[Sink]:
    """Encrypt into ``path``, durable when the context ends; raise ``OSError`` if the disk is full."""
    keys = [_recipient(text) for text in to]
    read_end, write_end = os.pipe()
    sink = Sink(write_end)
    work = asyncio.create_task(asyncio.to_thread(_encrypt, read_end, path, keys))
    try:
        yield sink
        await sink.flush()
    except BrokenPipeError:
        sink.close()
        await work
        raise
    except BaseException:
        sink.close()
        with contextlib.suppress(Exception):
            await work
        raise
    sink.close()
    await work


def check_header(path: Path) -> None:
    """Reject a file whose header has more recipients than an export has, before any key is tried.

    Each stanza costs an operation with each key, and the library reads all of them first.
    """
    with path.open("rb") as file:
        begin = file.read(_LARGEST_HEADER)
    whole = len(begin) < _LARGEST_HEADER
    if begin.startswith(_ARMOR):
        begin = _unarmored(begin)
    header, end, _ = begin.partition(b"\n--- ")
    if header.count(b"\n-> ") > _MOST_STANZAS or not (end or whole):
        text = f"{shown(path)}: is encrypted for more than {_MOST_STANZAS} recipients, or not with age"
        raise MoveError(MoveFault.NOT_AN_EXPORT, text)


def _unarmored(begin: bytes) -> bytes:
    """Return the decoded first bytes of a file in the text form of age."""
    encoded = b"".join(begin.removeprefix(_ARMOR).partition(b"-----END")[0].split())
    try:
        return base64.b64decode(encoded[: len(encoded) // 4 * 4])
    except ValueError:
        return b""


@contextlib.asynccontextmanager
async def decrypting(
    path: Path, keys: Sequence[pyrage.x25519.Identity], sha256: str | None = None
) -> AsyncIterator[Source]:
    """Decrypt ``path``; raise :class:`MoveError` if it is faulty, not the errors that follow from that.

    A caller that does not read to the end does not learn whether the rest is intact. If ``sha256`` is
    given, the end of the context without an error shows that the file has that digest.
    """
    await asyncio.to_thread(check_header, path)
    read_end, write_end = os.pipe()
    source = Source(read_end)
    work = asyncio.create_task(asyncio.to_thread(_decrypt, path, write_end, keys, sha256))
    try:
        yield source
    except MoveError:
        source.close()
        await work
        raise
    except BaseException:
        source.close()
        with contextlib.suppress(Exception):
            await work
        raise
    source.close()
    await work


def _recipient(text: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise MoveError(MoveFault.RECIPIENT, "a recipient is not an age recipient (age1...)") from None


def _encrypt(read_end: int, path: Path, keys: Sequence[pyrage.x25519.Recipient]) -> None:
    with os.fdopen(read_end, "rb", buffering=_PIECE) as clear, path.open("r+b") as file:
        file.truncate()
        try:
            pyrage.encrypt_io(clear, file, keys)
        except pyrage.EncryptError as error:
            raise _unwritten(path, str(error)) from None
        file.flush()
        os.fsync(file.fileno())


def _unwritten(path: Path, text: str) -> OSError:
    """Return the system error that the library reports only as text when a write fails partway."""
    told = _ERRNO.search(text)
    number = int(told[1]) if told else errno.EIO
    return OSError(number, os.strerror(number), str(path))


def _decrypt(path: Path, write_end: int, keys: Sequence[pyrage.x25519.Identity], named: str | None) -> None:
    with os.fdopen(write_end, "wb", buffering=0) as clear, path.open("rb") as file:
        if named is None:
            _decrypt_into(path, clear, file, keys)
            return
        summed = _Summed(file)
        _decrypt_into(path, clear, summed, keys)
        if summed.whole() != named:
            text = f"{shown(path)}: was changed after its SHA-256 was computed; nothing was done"
            raise MoveError(MoveFault.DAMAGED, text)


def _decrypt_into(
    path: Path, clear: BinaryIO, file: BinaryIO | _Summed, keys: Sequence[pyrage.x25519.Identity]
) -> None:
    try:
        pyrage.decrypt_io(file, _Whole(clear), keys)
    except pyrage.DecryptError as error:
        raise _undecrypted(path, str(error)) from None
    except BrokenPipeError:
        return  # The reader has closed the pipe.
    except OSError as error:
        if error.errno is not None:
            raise
        text = f"{shown(path)}: is truncated or was changed; ask for it to be sent again"
        raise MoveError(MoveFault.DAMAGED, text) from None


class _Summed:
    """A file whose digest is computed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sum = sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._sum.update(piece)
        return piece

    def whole(self) -> str:
        """Return the SHA-256 of the whole file, reading the rest of it first."""
        while self.read(_PIECE):
            pass
        return self._sum.hexdigest()


class _Whole:
    """A file to which every write is complete."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        _write_all(self._file, data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()


def _write_all(file: BinaryIO, data: bytes | bytearray) -> None:
    with memoryview(data) as rest:
        done = 0
        while done < len(rest):
            done += file.write(rest[done:])


def _undecrypted(path: Path, said: str) -> MoveError:
    if "No matching keys" in said:
        text = f"{shown(path)}: is encrypted for another key"
        return MoveError(MoveFault.OTHER_RECIPIENT, text)
    return MoveError(MoveFault.NOT_AN_EXPORT, f"{shown(path)}: is not a file encrypted with age")
