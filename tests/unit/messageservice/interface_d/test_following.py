"""Streams of events of interface D, without a network."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from samdrift.contracts.messageclients import Scope, patterns
from samdrift.contracts.messages import Direction
from samdrift.messageservice.access import Access
from samdrift.messageservice.interface_d.application import InterfaceD
from samdrift.messageservice.interface_d.following import MOST_STREAMS, Following
from samdrift.vault.records import Changes
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import message

HABO = ParticipantIdentifier.parse("0203:habo.se")


class Service:
    """A vault, and a client that may look."""

    async def access(self, token: str) -> Access:
        return Access(HABO, "journal", frozenset({Scope.LIST}), patterns(["*"]))

    @asynccontextmanager
    async def open(self, *whose: object) -> Any:
        yield self

    async def log_end(self) -> int:
        return 0

    @property
    def news(self) -> Any:
        return SimpleNamespace(count=lambda organisation: 0)

    async def changes(self, after: int, limit: int) -> Changes:
        """Somebody wrote to itself: one step in the log tells of two messages."""
        sent = message()
        return Changes(8, ((7, sent), (7, replace(sent, direction=Direction.IN))))


async def test_who_breaks_off_between_events_of_one_place_is_told_the_second_again() -> None:
    """So the first one does not say where to go on: without an id the last one stays (HTML standard)."""
    service = cast(Any, Service())
    access = await service.access("x")
    stream = await Following(service, service).follow("x", access, 0)
    _, first, second = [await anext(stream) for _ in range(3)]
    assert first == second.removeprefix("id: 7\n")


async def test_clients_that_hang_up_before_the_answer_begins_leave_no_stream_behind() -> None:
    """They come back by themselves, and are not told for ever that they have too many."""
    service = cast(Any, Service())
    application = InterfaceD(service, service, {HABO}, service, service, service).application()
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
        async with asyncio.timeout(60):
            await application(dict(scope), receive, send)
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert answered == [200] * (MOST_STREAMS + 1)
