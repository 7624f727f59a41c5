"""Streams of events of interface D, without a network."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import Any, cast

from samdrift.messageservice.access import Access, Scope
from samdrift.messageservice.interfaced.application import InterfaceD
from samdrift.messageservice.interfaced.following import MOST_STREAMS
from samdrift.wire.identifiers import ParticipantIdentifier

HABO = ParticipantIdentifier.parse("0203:habo.se")


class Service:
    """A vault in which nothing has happened, and a client that may look."""

    async def access(self, token: str) -> Access:
        return Access(HABO, "journal", frozenset({Scope.LIST}), ())

    @asynccontextmanager
    async def open(self, *whose: object) -> Any:
        yield self

    async def log_end(self) -> int:
        return 0


async def test_clients_that_hang_up_before_the_answer_begins_leave_no_stream_behind() -> None:
    """They come back by themselves, and are not told for ever that they have too many."""
    service = cast(Any, Service())
    application = InterfaceD(service, service, {HABO}, service, service).application()
    answered: list[int] = []

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        """To a client that does not read."""
        answered.append(message.get("status", 0))
        if answered[-1] == 200:
            await asyncio.Event().wait()

    headers = [(b"authorization", b"Bearer x")]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/sdk/events",
        "query_string": b"",
        "headers": headers,
    }
    for _ in range(MOST_STREAMS + 1):
        async with asyncio.timeout(30):
            await application(dict(scope), receive, send)
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert answered == [200] * (MOST_STREAMS + 1)
