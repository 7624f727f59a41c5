"""A bad neighbour in a process of its own: ``python -m bench.neighbour_flood KIND``, until it is terminated.

It reads its target as JSON from standard input, and prints ``floods`` once it has started.
It calls from another address than the organisation that is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
import uuid
from dataclasses import asdict, dataclass
from typing import Self

from samdrift.installation.loop import run

FROM = "127.0.0.2"
_CONNECTIONS = 8
_SILENT = 1_100
_PAUSE = 0.05
"""Seconds before a refused connection is retried."""
_VALUES = 145_000
_TEXTS = 95_000


@dataclass(frozen=True, slots=True)
class Target:
    """Addresses of the interfaces, and the token and client certificate of the flooding organisation."""

    interface_d: tuple[str, int]
    interface_a: tuple[str, int]
    interface_c: tuple[str, int]
    issuers: str
    token: str
    certificate: tuple[str, str]
    """File and password of the client certificate for interface C."""

    def line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str) -> Self:
        document = json.loads(line)
        for name in ("interface_d", "interface_a", "interface_c", "certificate"):
            document[name] = tuple(document[name])
        return cls(**document)


def _junk() -> bytes:
    """Return 290 kB of JSON that is not a message."""
    return b"[" + b"0," * _VALUES + b"0]"


def _fitting() -> bytes:
    """Return 290 kB in the shape of a message, with more values than a message may have."""
    texts = b",".join([b'""'] * _TEXTS)
    return b'{"data":{"attributes":{"digitalDocument":[{"contentTextBody":[' + texts + b"]}]}}}"


def _tls(target: Target) -> ssl.SSLContext:
    tls = ssl.create_default_context(cafile=target.issuers)
    tls.check_hostname = False
    return tls


async def _posts(
    address: tuple[str, int], path: str, fields: list[str], body: bytes, tls: ssl.SSLContext
) -> None:
    """Post the body repeatedly over one connection, each time as soon as the answer is there."""
    lines = (f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *fields, "", "")
    request = "\r\n".join(lines).encode() + body
    while True:
        try:
            reader, writer = await asyncio.open_connection(*address, ssl=tls, local_addr=(FROM, 0))
            while True:
                writer.write(request)
                await _answered(reader)
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(_PAUSE)


async def _gets(address: tuple[str, int], path: str, fields: list[str], tls: ssl.SSLContext) -> None:
    """Send a GET request repeatedly over one connection, each time as soon as the answer is there."""
    request = "\r\n".join((f"GET {path} HTTP/1.1", "host: x", *fields, "", "")).encode()
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(*address, ssl=tls, local_addr=(FROM, 0))
            while True:
                writer.write(request)
                await _answered(reader)
        await asyncio.sleep(_PAUSE)


async def _answered(reader: asyncio.StreamReader) -> None:
    """Read an answer to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if found:
        await reader.readexactly(int(rest.partition(b"\r")[0]))
        return
    while (size := int((await reader.readline()).strip() or b"0", 16)) or True:
        await reader.readexactly(size + 2)
        if not size:
            return


async def _silent(address: tuple[str, int]) -> None:
    """Connect and send nothing; reconnect when the server closes the connection."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(*address, local_addr=(FROM, 0))
            await reader.read()
            writer.close()
        except OSError:
            pass
        await asyncio.sleep(_PAUSE * 20)


async def _unfinished(target: Target) -> None:
    """Send the head of a request but not its body; reconnect when the server gives up."""
    tls = _tls(target)
    head = f"POST /v1/sdk/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n{_bearer(target)}\r\n\r\n"
    while True:
        try:
            reader, writer = await asyncio.open_connection(*target.interface_d, ssl=tls, local_addr=(FROM, 0))
            writer.write(head.encode())
            await reader.read()
            writer.close()
        except OSError:
            pass
        await asyncio.sleep(_PAUSE)


def _bearer(target: Target) -> str:
    return f"content-type: application/json\r\nauthorization: Bearer {target.token}"


async def _flood(kind: str, target: Target) -> None:
    d, a, tls = target.interface_d, target.interface_a, _tls(target)
    bearer = _bearer(target).split("\r\n")
    match kind:
        case "junk":
            work = [_posts(d, "/v1/sdk/messages", bearer, _junk(), tls) for _ in range(_CONNECTIONS)]
        case "fitting junk":
            work = [_posts(d, "/v1/sdk/messages", bearer, _fitting(), tls) for _ in range(_CONNECTIONS)]
        case "silent connections":
            work = [_silent(d) for _ in range(_SILENT)]
        case "unfinished requests":
            work = [_unfinished(target) for _ in range(2 * _CONNECTIONS)]
        case "strangers at interface A":
            fields = ["content-type: multipart/related"]
            work = [_posts(a, "/as4", fields, b"junk", tls) for _ in range(_CONNECTIONS)]
        case "polls that wait, and more of them" | "polls that find nothing":
            wait, polls = (30, 4 * _CONNECTIONS) if kind.startswith("polls that wait") else (0, _CONNECTIONS)
            tls.load_cert_chain(target.certificate[0], password=target.certificate[1])
            poll = json.dumps({"after": 0, "wait": wait, "taken": [], "past": ""}).encode()
            fields = ["content-type: application/json"]
            work = [_posts(target.interface_c, "/c/v1/poll", fields, poll, tls) for _ in range(polls)]
        case "lists":
            work = [_gets(d, "/v1/sdk/messages", bearer[1:], tls) for _ in range(_CONNECTIONS)]
        case "fetches of nothing":
            tls.load_cert_chain(target.certificate[0], password=target.certificate[1])
            path = f"/c/v1/inbox/{uuid.uuid4()}"
            work = [_gets(target.interface_c, path, [], tls) for _ in range(_CONNECTIONS)]
        case _:
            raise LookupError(kind)
    print("floods", flush=True)
    await asyncio.gather(*work)


if __name__ == "__main__":
    run(_flood(sys.argv[1], Target.read(sys.stdin.readline())))
