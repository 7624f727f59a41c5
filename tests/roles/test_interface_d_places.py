"""So much is sent at once for one organisation and no more, so that another's clients find a place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tests.roles.messageclient import MESSAGES, MessageClient, document
from tests.roles.stage import Stage

OF_ONE = 8


@contextlib.asynccontextmanager
async def dawdling(client: MessageClient, count: int) -> AsyncIterator[None]:
    """So many requests whose bodies do not come."""
    url = urlsplit(client.base)
    head = (
        f"POST {url.path}{MESSAGES} HTTP/1.1\r\nhost: {url.netloc}\r\n"
        f"authorization: Bearer {client.token}\r\n"
        "content-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    )
    writers = []
    try:
        for _ in range(count):
            _, writer = await asyncio.open_connection(url.hostname, url.port, ssl=client.tls)
            writers.append(writer)
            writer.write(head.encode())
            await writer.drain()
        yield
    finally:
        for writer in writers:
            writer.transport.abort()


async def status_until(client: MessageClient, wanted: int, message: object) -> str:
    """Send until that is the answer; gives when it says to come back."""
    async with asyncio.timeout(30):
        while (answer := await client.send(message)).status != wanted:
            assert answer.status in (201, 503)
    return answer.headers.get("retry-after", "")


async def test_who_sends_too_much_at_once_is_asked_to_come_back_and_others_are_not(stage: Stage) -> None:
    habo, mullsjo = stage.client(stage.habo), stage.client(stage.mullsjo)
    own = document(stage.habo.address, stage.agency.address)
    async with dawdling(habo, OF_ONE):
        assert await status_until(habo, 503, own) == "2"
        other = await mullsjo.send(document(stage.mullsjo.address, stage.agency.address))
        assert other.status == 201
    await status_until(habo, 201, own)
