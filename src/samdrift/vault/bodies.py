"""Bodies of envelopes and messages: streams that are encrypted before they leave the process.

A stream is the number of the data key's generation, followed by libsodium's secretstream
(XChaCha20-Poly1305): a header, and frames of 64 KiB plaintext, the last one marked. Every frame is bound to
vault and body, so that frames cannot be exchanged, reordered or cut off. A small stream is stored in the row;
a large one goes to the object store while it is being written, so that memory use does not grow with it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from uuid import UUID

from nacl.bindings import (
    crypto_secretstream_xchacha20poly1305_ABYTES,
    crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    crypto_secretstream_xchacha20poly1305_init_pull,
    crypto_secretstream_xchacha20poly1305_init_push,
    crypto_secretstream_xchacha20poly1305_pull,
    crypto_secretstream_xchacha20poly1305_push,
    crypto_secretstream_xchacha20poly1305_state,
    crypto_secretstream_xchacha20poly1305_TAG_FINAL,
    crypto_secretstream_xchacha20poly1305_TAG_MESSAGE,
)
from nacl.utils import random

from samdrift.vault.errors import SealBroken, VaultClosed
from samdrift.vault.objects import Objects, ObjectWriter
from samdrift.vault.sealing import GENERATION_BYTES, Sealer


def new_id() -> str:
    """Return a new UUID that grows with time (RFC 9562, version 7).

    New rows are then neighbours in their index, which stays small in memory and in the write-ahead log
    however long the table grows; 74 bits are random.
    """
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(random(10))
    value = milliseconds << 80 | 7 << 76 | (chance >> 62 & 0xFFF) << 64 | 2 << 62 | chance & (1 << 62) - 1
    return str(UUID(int=value))


IN_ROW = 128 * 1024
"""Size of the largest body, in bytes of plaintext, that is kept in its row."""
FRAME = 64 * 1024
_BEGINNING = GENERATION_BYTES + crypto_secretstream_xchacha20poly1305_HEADERBYTES
_SEALED_FRAME = FRAME + crypto_secretstream_xchacha20poly1305_ABYTES
_FINAL = crypto_secretstream_xchacha20poly1305_TAG_FINAL
_MORE = crypto_secretstream_xchacha20poly1305_TAG_MESSAGE


@dataclass(frozen=True, slots=True)
class Shelf:
    """The place where one vault's bodies are stored, and the key that encrypts them."""

    vault: str
    sealer: Sealer
    objects: Objects

    def name(self, body_id: str) -> str:
        """Return the body's name in the object store."""
        return f"{self.vault}/{body_id}"

    def body_id(self, name: str) -> str:
        """Return the id of the body that is stored under ``name``."""
        return name.removeprefix(f"{self.vault}/")

    def context(self, body_id: str) -> bytes:
        return self.sealer.context(f"body {body_id}")


@dataclass(frozen=True, slots=True)
class Body:
    """A finished body, ready to be stored by an operation; otherwise it is removed when the opening ends."""

    id: str
    size: int
    sha256: bytes | None
    """Digest of the plaintext, if it was requested."""
    sealed: bytes | None = field(repr=False)
    """The encrypted stream, or ``None`` if it is in the object store."""
    shelf: Shelf = field(repr=False)

    def reader(self) -> BodyReader:
        """Return a reader of the body, which works even after the opening."""
        return BodyReader(self.shelf, self.id, self.size, self.sealed)


def body_values(body: Body | None) -> tuple[str | None, int | None, bytes | None, bytes | None]:
    """Return a body as the arguments that our SQL functions accept: id, size, digest and stream."""
    return (None,) * 4 if body is None else (body.id, body.size, body.sha256, body.sealed)


class BodyReader:
    """A reader of the plaintext of a stored body, even after the opening; each iteration starts over."""

    def __init__(self, shelf: Shelf, body_id: str, size: int, sealed: bytes | None) -> None:
        self.id = body_id
        self.size = size
        """Bytes of plaintext."""
        self._shelf = shelf
        self._sealed = sealed

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        return self.pieces()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield authenticated pieces; :class:`SealBroken` at the first invalid piece, or at a missing end."""
        opener = _Opener(self._shelf.sealer, self._shelf.context(self.id))
        if self._sealed is not None:
            for piece in opener.feed(self._sealed):
                yield piece
        else:
            async for stored in self._shelf.objects.pieces(self._shelf.name(self.id)):
                for piece in opener.feed(stored):
                    yield piece
        yield opener.finish()

    async def read_all(self) -> bytes:
        """Return the whole body, for bodies that fit in memory."""
        if self._sealed is not None:  # A page reads hundreds of bodies: avoid an await for each piece.
            opener = _Opener(self._shelf.sealer, self._shelf.context(self.id))
            return b"".join((*opener.feed(self._sealed), opener.finish()))
        return b"".join([piece async for piece in self])


class BodyWriter:
    """An encrypting writer of a body, in pieces of any size; memory use does not grow with the body."""

    def __init__(self, shelf: Shelf, *, digested: bool = False) -> None:
        self.id = new_id()
        self._shelf = shelf
        self._context = shelf.context(self.id)
        self._state = crypto_secretstream_xchacha20poly1305_state()
        by = shelf.sealer.newest
        self._held = [by.number, crypto_secretstream_xchacha20poly1305_init_push(self._state, by.bodies)]
        self._frame = bytearray()
        self._hash = hashlib.sha256() if digested else None
        self._size = 0
        self._object: ObjectWriter | None = None
        self._body: Body | None = None
        self._over = False

    async def write(self, data: bytes) -> None:
        """Encrypt and keep plaintext; :class:`VaultClosed` after :meth:`finish` or :meth:`discard`."""
        if self._over:
            raise VaultClosed
        if self._hash is not None:
            self._hash.update(data)
        self._size += len(data)
        rest = memoryview(data)
        while len(self._frame) + len(rest) > FRAME:
            room = FRAME - len(self._frame)
            await self._push(b"".join((self._frame, rest[:room])), _MORE)
            self._frame.clear()
            rest = rest[room:]
        self._frame += rest

    async def finish(self) -> Body:
        """Return the finished body, which is already durable if it is too large for a row."""
        if self._over:
            raise VaultClosed
        await self._push(bytes(self._frame), _FINAL)
        self._over = True
        if self._object is not None:
            await self._object.close()
        sealed = b"".join(self._held) if self._object is None else None
        digest = self._hash.digest() if self._hash is not None else None
        self._body = Body(self.id, self._size, digest, sealed, self._shelf)
        return self._body

    async def discard(self) -> None:
        """Remove what was written; may be called repeatedly."""
        self._over = True
        self._held.clear()
        stored, self._object = self._object, None
        if stored is not None:
            del stored
            await self._shelf.objects.delete(self._shelf.name(self.id))

    async def _push(self, plain: bytes, tag: int) -> None:
        frame = crypto_secretstream_xchacha20poly1305_push(self._state, plain, self._context, tag)
        if self._object is None and self._size > IN_ROW:
            self._object = self._shelf.objects.writer(self._shelf.name(self.id))
            await self._object.write(b"".join(self._held))
            self._held.clear()
        if self._object is None:
            self._held.append(frame)
        else:
            await self._object.write(frame)


class _Opener:
    """A decrypter of a stream that arrives in pieces of any size."""

    def __init__(self, sealer: Sealer, context: bytes) -> None:
        self._sealer = sealer
        self._context = context
        self._state = crypto_secretstream_xchacha20poly1305_state()
        self._waiting = bytearray()
        self._begun = False

    def feed(self, sealed: bytes) -> list[bytes]:
        """Decrypt the frames that are complete, except the last one, which :meth:`finish` returns."""
        self._waiting += sealed
        if not self._begun and len(self._waiting) >= _BEGINNING:
            self._begin()
        if not self._begun:
            return []
        whole = max(len(self._waiting) - 1, 0) // _SEALED_FRAME * _SEALED_FRAME
        with memoryview(self._waiting) as view:
            pieces = [
                self._pull(bytes(view[at : at + _SEALED_FRAME]), _MORE)
                for at in range(0, whole, _SEALED_FRAME)
            ]
        del self._waiting[:whole]
        return pieces

    def finish(self) -> bytes:
        """Return the last frame; :class:`SealBroken` if the stream ends before it."""
        if not self._begun:
            raise SealBroken
        return self._pull(bytes(self._waiting), _FINAL)

    def _begin(self) -> None:
        number, header = (
            bytes(self._waiting[:GENERATION_BYTES]),
            bytes(self._waiting[GENERATION_BYTES:_BEGINNING]),
        )
        crypto_secretstream_xchacha20poly1305_init_pull(
            self._state, header, self._sealer.generation(number).bodies
        )
        del self._waiting[:_BEGINNING]
        self._begun = True

    def _pull(self, frame: bytes, expected: int) -> bytes:
        try:
            plain, tag = crypto_secretstream_xchacha20poly1305_pull(self._state, frame, self._context)
        except (RuntimeError, ValueError):
            raise SealBroken from None
        if tag != expected:
            raise SealBroken
        return plain
