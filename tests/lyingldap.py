"""A directory server that sends whatever answers a test specifies, in the bytes of LDAP (RFC 4511)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from samdrift.net.ldap import LdapDirectory
from tests.slapd import Slapd

_SEQUENCE, _INTEGER, _OCTETS, _ENUMERATED, _SET = 0x30, 0x02, 0x04, 0x0A, 0x31
_BIND, _BOUND, _UNBIND, _SEARCH, _ENTRY, _DONE, _REFERENCE = 0x60, 0x61, 0x42, 0x63, 0x64, 0x65, 0x73
_CONTROLS, _PAGED = 0xA0, b"1.2.840.113556.1.4.319"


@dataclass(frozen=True, slots=True)
class Asked:
    """A search request as it was received."""

    base: str
    attributes: tuple[str, ...]
    aliases: int
    """Setting for following aliases; 0 for never."""
    cookie: bytes | None
    """Position at which a paged search continues."""


@dataclass(frozen=True, slots=True)
class Said:
    """The answer to a search: its entries and references, and the final result."""

    entries: tuple[bytes, ...] = ()
    code: int = 0
    cookie: bytes | None = None


Says = Callable[[Asked], Said]


def ber(tag: int, *parts: bytes) -> bytes:
    """Return a value in BER encoding."""
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 128 | len(length))) + length + content


def entry(name: str, values: Mapping[str, Sequence[str]]) -> bytes:
    """Return a search result entry."""
    attributes = (
        ber(_SEQUENCE, _text(each), ber(_SET, *(_text(one) for one in those)))
        for each, those in values.items()
    )
    return ber(_ENTRY, _text(name), ber(_SEQUENCE, *attributes))


def reference(url: str) -> bytes:
    """Return a reference to another server, sent instead of an entry."""
    return ber(_REFERENCE, _text(url))


@contextlib.asynccontextmanager
async def lying(says: Says) -> AsyncIterator[LdapDirectory]:
    """Serve the answers of ``says`` while the context lasts; any password is accepted."""
    tasks = set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                number, tag, content, controls = await _message(reader)
                if tag == _UNBIND:
                    break
                for each in _answer(tag, content, controls, says):
                    writer.write(ber(_SEQUENCE, ber(_INTEGER, number), each))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield LdapDirectory(Slapd(Path(), plain_port=port).settings(host="127.0.0.1", seconds=20.0), None)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _text(text: str) -> bytes:
    return ber(_OCTETS, text.encode())


def _answer(tag: int, content: bytes, controls: bytes, says: Says) -> Iterator[bytes]:
    if tag == _BIND:
        yield _result(_BOUND, 0)
        return
    assert tag == _SEARCH, f"{tag:#x}"
    said = says(_asked(content, controls))
    yield from said.entries
    cookie = b""
    if said.cookie is not None:
        value = ber(_SEQUENCE, ber(_INTEGER, b"\x00"), ber(_OCTETS, said.cookie))
        cookie = ber(_CONTROLS, ber(_SEQUENCE, ber(_OCTETS, _PAGED), ber(_OCTETS, value)))
    yield _result(_DONE, said.code) + cookie


def _result(tag: int, code: int) -> bytes:
    return ber(tag, ber(_ENUMERATED, bytes((code,))), _text(""), _text(""))


def _asked(content: bytes, controls: bytes) -> Asked:
    base, _, aliases, *_, attributes = (value for _, value in _parts(content))
    cookie = None
    for _, control in _parts(controls):
        kind, *_, value = (each for _, each in _parts(control))
        if kind == _PAGED:
            ((_, inner),) = _parts(value)
            cookie = [each for _, each in _parts(inner)][1]
    names = tuple(name.decode() for _, name in _parts(attributes))
    return Asked(base.decode(), names, int.from_bytes(aliases), cookie)


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, int, bytes, bytes]:
    """Read a message; return its number, the operation's tag and content, and the controls."""
    head = await reader.readexactly(2)
    size = head[1]
    if size & 128:
        size = int.from_bytes(await reader.readexactly(size & 127))
    (_, number), (tag, content), *rest = _parts(await reader.readexactly(size))
    return number, tag, content, rest[0][1] if rest else b""


def _parts(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(content):
        tag, size = content[at], content[at + 1]
        at += 2
        if size & 128:
            count = size & 127
            size = int.from_bytes(content[at : at + count])
            at += count
        yield tag, content[at : at + size]
        at += size
