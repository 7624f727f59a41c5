"""Event streams of interface D, without a network."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from samdrift.contracts.messageclients import Scope, patterns
from samdrift.contracts.messages import Direction
from samdrift.messageservice.access import Access, Unauthorized
from samdrift.messageservice.interface_d.application import InterfaceD, _wait_preferred
from samdrift.messageservice.interface_d.following import MOST_STREAMS, Following
from samdrift.scheduling.signals import Signals
from samdrift.vault.records import Changes
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import message
from tests.virtualtime import BEGAN, in_virtual_time, seconds

HABO = ParticipantIdentifier.parse("0203:habo.se")


class Service:
    """A vault, and a client that is allowed to look."""

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
        """Return the changes of a message to oneself: one entry of the log is a step of two messages."""
        sent = message()
        return Changes(8, ((7, sent), (7, replace(sent, direction=Direction.IN))))


async def test_who_breaks_off_between_events_of_one_place_is_told_the_second_again() -> None:
    """The first has no id to resume from, so that the client keeps the previous one (HTML standard)."""
    service = cast(Any, Service())
    access = await service.access("x")
    stream = await Following(service, service).follow("x", access, 0)
    _, first, second = [await anext(stream) for _ in range(3)]
    assert first == second.removeprefix("id: 7\n")


async def test_clients_that_hang_up_before_the_answer_begins_leave_no_stream_behind() -> None:
    """The clients come back automatically, and are not refused for ever for having too many streams."""
    service = cast(Any, Service())
    application = InterfaceD(service, service, {HABO}, service, service, service).application()
    answered: list[int] = []

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        """Act as a client that does not read."""
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
    gc.collect()
    gc.freeze()  # Keep the many objects of other tests out of the collection for each stream.
    for _ in range(MOST_STREAMS + 1):
        async with asyncio.timeout(60):
            await application(dict(scope), receive, send)
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert answered == [200] * (MOST_STREAMS + 1)


class Quiet(Service):
    """A vault in which nothing happens, and a token that ends."""

    def __init__(self, lasts: float) -> None:
        self.lasts, self.looks, self.asked = lasts, 0, list[float]()

    async def access(self, token: str) -> Access:
        self.asked.append(seconds())
        if seconds() >= self.lasts:
            raise Unauthorized("it has expired")
        until = BEGAN + timedelta(seconds=self.lasts)
        return replace(await super().access(token), until=until)

    @property
    def news(self) -> Any:
        return Signals()

    async def changes(self, after: int, limit: int) -> Changes:
        self.looks += 1
        return Changes(after, ())


async def told(service: Quiet, alive: float | None) -> list[float]:
    """Return the times of signs of life until the stream ended."""
    following = Following(
        cast(Any, service), cast(Any, service), clock=lambda: BEGAN + timedelta(seconds=seconds())
    )
    stream = await following.follow("x", await service.access("x"), 7, alive)
    assert (await anext(stream)).startswith("id: 7\n:")
    return [seconds() async for sign in stream if sign == ": alive\n\n"]


@in_virtual_time
async def test_a_client_that_can_bear_it_gets_few_signs_of_life_and_the_vault_is_asked_once() -> None:
    service = Quiet(1000)
    assert await told(service, 300) == [300, 600, 900]
    assert seconds() == 1000.5, "the stream must end with its access token"
    assert service.looks == 1


class Waiting(Quiet):
    """A vault in which nothing happens, with one list of waiters."""

    def __init__(self) -> None:
        super().__init__(10_000)
        self.signals = Signals()

    @property
    def news(self) -> Any:
        return self.signals


@in_virtual_time
async def test_a_stream_ends_when_its_service_does_and_needs_no_task_to_hear_that() -> None:
    service = Waiting()
    following = Following(
        cast(Any, service), cast(Any, service), clock=lambda: BEGAN + timedelta(seconds=seconds())
    )
    streams = [await following.follow("x", await service.access("x"), 7, 300) for _ in range(MOST_STREAMS)]
    for stream in streams:
        await anext(stream)
    ends = [asyncio.create_task(anext(stream, "ended")) for stream in streams]
    await asyncio.sleep(1)
    assert asyncio.all_tasks() - {asyncio.current_task()} == set(ends)
    following.close()
    assert await asyncio.gather(*ends) == ["ended"] * MOST_STREAMS
    assert seconds() == 1, "streams must end immediately, not at the next sign of life"
    late = await following.follow("x", await service.access("x"), 7, 300)
    assert [piece async for piece in late] == ["id: 7\n: message status events\n\n"]


@in_virtual_time
async def test_others_get_them_as_before_and_their_token_is_looked_at_with_each() -> None:
    service = Quiet(100)
    assert await told(service, None) == [15, 30, 45, 60, 75, 90]
    assert len(service.asked) >= 7
    assert service.looks == 1


@in_virtual_time
async def test_nobody_gets_more_signs_than_that_or_none_for_an_hour() -> None:
    assert (await told(Quiet(100), 1))[0] == 15
    began = seconds()
    assert (await told(Quiet(began + 1700), 10**6))[0] == began + 600


def test_the_time_that_a_client_can_wait_is_read_strictly() -> None:
    assert [
        _wait_preferred(header)
        for header in (
            "wait=300",
            "respond-async, wait=20",
            'wait="5"; x=1',
            "wait=-1",
            "waiting=7",
            "wait=1e9",
            "",
        )
    ] == [300, 20, 5, None, None, None, None]
