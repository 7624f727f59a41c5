"""Calls of the HTTP client as tests make them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from samdrift.net.client import HttpClient, HttpFault, NoAnswer
from tests.unit.net.servers import Asked, Talk, asked

MIB = 1 << 20
KEPT = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
"""An answer after which the connection stays open."""
Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


async def call(client: HttpClient, url: str, *content: Any, method: str = "POST", **options: Any) -> bytes:
    async with client.exchange(method, url, *content, **options) as answer:
        return await answer.read(MIB)


async def fault(client: HttpClient, url: str, *content: Any, **options: Any) -> HttpFault:
    with pytest.raises(NoAnswer) as caught:
        await call(client, url, *content, **options)
    return caught.value.fault


async def pieces(*sizes: int, pause: float = 0) -> AsyncIterator[bytes]:
    for size in sizes:
        await asyncio.sleep(pause)
        yield b"x" * size


def remembering(requests: list[Asked]) -> Talk:
    """Return a server that answers every request of a connection, and keeps it open."""

    async def talk(reader: Reader, writer: Writer) -> None:
        while True:
            requests.append(await asked(reader))
            writer.write(KEPT)

    return talk
