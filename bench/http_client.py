"""Cost of a request, client and server together, with our HTTP client and with httpx.

Run with ``python -m bench.http_client``. The server is ours, over mutual TLS on
loopback and kept connections, in the same process. The floor is the same
request, prepared in advance, over the same event loop's streams: the rest is
the client's own cost.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from samdrift.installation.loop import run
from samdrift.net.client import http_client
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import TlsIdentity, client_tls, server_tls

_ROUNDS, _REPEATS, _WARM_UP = 15, 200, 100
_BODY = os.urandom(10_000)
_ANSWER = b"x" * 4_000
_TYPE = "application/octet-stream"

Call = Callable[[], Awaitable[int]]
"""One request, which returns the size of its answer."""


async def costs() -> dict[str, list[float]]:
    """Measure milliseconds of CPU per request for each client, in turn."""
    async with AsyncExitStack() as stack:
        own = TlsIdentity(_certificate(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        sock = listening_socket("127.0.0.1")
        url = f"https://127.0.0.1:{sock.getsockname()[1]}/"
        await stack.enter_async_context(serving(_answer, sock, tls=server_tls(own, own.certificate).serving))
        tls = client_tls(own, own.certificate)
        calls = {
            "streams": await stack.enter_async_context(_streams(url, tls.current())),
            "aiohttp": await stack.enter_async_context(_ours(url, own)),
            "httpx": await stack.enter_async_context(_httpx(url, tls.current())),
        }
        for call in calls.values():
            await _cost(call, _WARM_UP)
        rounds = [{name: await _cost(call, _REPEATS) for name, call in calls.items()} for _ in range(_ROUNDS)]
    return {name: [each[name] for each in rounds] for name in calls}


async def _cost(call: Call, times: int) -> float:
    gc.collect()
    before = time.process_time_ns()
    for _ in range(times):
        if await call() != len(_ANSWER):
            raise RuntimeError("not the answer that the server gave")
    return (time.process_time_ns() - before) / times / 1e6


@asynccontextmanager
async def _ours(url: str, own: TlsIdentity) -> AsyncIterator[Call]:
    async with http_client(client_tls(own, own.certificate), public_only=False) as client:

        async def call() -> int:
            async with client.exchange("POST", url, _BODY, headers={"content-type": _TYPE}) as answer:
                return len(await answer.read(1 << 20))

        yield call


@asynccontextmanager
async def _httpx(url: str, context: ssl.SSLContext) -> AsyncIterator[Call]:
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:

        async def call() -> int:
            return len((await client.post(url, content=_BODY, headers={"content-type": _TYPE})).content)

        yield call


@asynccontextmanager
async def _streams(url: str, context: ssl.SSLContext) -> AsyncIterator[Call]:
    host, port = httpx.URL(url).host, httpx.URL(url).port
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    head = f"POST / HTTP/1.1\r\nhost: {host}\r\ncontent-type: {_TYPE}\r\ncontent-length: {len(_BODY)}\r\n\r\n"

    async def call() -> int:
        writer.write(head.encode() + _BODY)
        await reader.readuntil(b"\r\n\r\n")
        return len(await reader.readexactly(len(_ANSWER)))

    yield call
    writer.close()


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", str(len(_ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


def _certificate(folder: Path) -> Path:
    """Write a key and a certificate that both ends use and trust."""
    key = rsa.generate_private_key(65537, 3072)
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.now(UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(host, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "bench.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return file


if __name__ == "__main__":
    found = run(costs())
    for name, values in found.items():
        ratio = median(value / floor for value, floor in zip(values, found["streams"], strict=True))
        print(
            f"{name:<8} {median(values):.3f} ms CPU ({min(values):.3f} to {max(values):.3f})"
            f"  {ratio:.2f} x streams"
        )
