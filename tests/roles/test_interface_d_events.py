"""Event stream of interface D, an addition to the contract: message statuses as they change."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.interface_d.following import MOST_STREAMS
from tests.roles.member import until
from tests.roles.messageclient import MessageClient, document, issues
from tests.roles.stage import Stage

EVENTS = "/v1/sdk/events"


class Stream:
    """A stream of events, read as they arrive."""

    def __init__(self, client: MessageClient, after: int | str | None = None) -> None:
        self._client = client
        self._after = after
        self.events: list[dict[str, Any]] = []
        self.signs = 0
        self.at = 0
        self.status = 0
        self.ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        parts = urlsplit(self._client.base)
        reader, self._writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=self._client.tls)
        last = "" if self._after is None else f"Last-Event-ID: {self._after}\r\n"
        head = f"GET {EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._client.token}\r\n{last}\r\n"
        self._writer.write(head.encode())
        self.status = int((await reader.readuntil(b"\r\n\r\n")).split()[1])
        self._reading = asyncio.create_task(self._read(reader))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        self._writer.transport.abort()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await self._writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while size := int(await reader.readline(), 16):
                block = (await reader.readexactly(size + 2)).decode()
                self._take(block)
        self.ended.set()

    def _take(self, block: str) -> None:
        for one in filter(str.strip, block.split("\n\n")):
            fields = dict(line.split(": ", 1) for line in one.splitlines() if not line.startswith(":"))
            if "data" in fields:
                assert fields["event"] == "messageStatus"
                self.at = int(fields.get("id", self.at))
                self.events.append(json.loads(fields["data"]) | {"at": self.at})
            else:
                self.signs += 1

    async def tells(self, message_id: str, status: MessageStatus) -> dict[str, Any]:
        """Wait for the event of that message and status, and return it."""

        async def look() -> dict[str, Any] | None:
            wanted = {"messageStatus": status.value}
            return next(
                (one for one in self.events if (one["id"], one["attributes"]) == (message_id, wanted)), None
            )

        return await until(look, f"{status.value} told")

    async def so_far(self) -> list[dict[str, Any]]:
        """Return the events until no more arrive."""
        assert self.status == 200
        told = -1
        while told != len(self.events) or not self.signs:
            told = len(self.events)
            await asyncio.sleep(0.3)
        return self.events


async def test_new_messages_and_their_steps_are_told_at_both_ends(stage: Stage) -> None:
    sender, recipient = stage.client(stage.habo), stage.client(stage.agency)
    async with Stream(sender) as ours, Stream(recipient) as theirs:
        message_id = await sender.sends(document(stage.habo.address, stage.agency.address))
        await ours.tells(message_id, MessageStatus.ACCEPTED)
        new = await theirs.tells(message_id, MessageStatus.NEW)
    path = new["links"]["self"]
    assert (await recipient.call("GET", path)).status == 200
    assert new.keys() == {"type", "id", "attributes", "links", "at"}, (
        "an event must not contain message content"
    )


async def test_who_comes_back_is_told_what_it_missed(stage: Stage) -> None:
    client = stage.client(stage.habo)
    sent = document(stage.habo.address, stage.agency.address)
    async with Stream(client) as stream:
        first = await client.sends(sent)
        last = await stream.tells(first, MessageStatus.ACCEPTED)
    second = await client.sends(sent)
    assert await stage.habo.ends(second) is MessageStatus.ACCEPTED
    async with Stream(client, after=last["at"]) as stream:
        await stream.tells(second, MessageStatus.ACCEPTED)
        assert first not in {event["id"] for event in stream.events}
        places = [event["at"] for event in stream.events]
        assert places == sorted(places)
        assert places[0] > last["at"]


async def test_who_comes_without_a_place_is_told_what_happens_from_now_on(stage: Stage) -> None:
    client = stage.client(stage.habo)
    message_id = await client.sends(document(stage.habo.address, stage.agency.address))
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    async with Stream(client) as stream:
        assert await stream.so_far() == []


@pytest.mark.parametrize("place", ["x", "-1", "1.5", "9" * 18, "9" * 50, "٣"])
async def test_a_place_that_is_none(stage: Stage, place: str) -> None:
    client = stage.client(stage.habo)
    answer = await client.call("GET", EVENTS, headers={"last-event-id": place.encode().decode("latin-1")})
    assert issues(answer) == [("SV", "structure", "Last-Event-ID")]


async def test_a_stream_ends_with_its_token(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    client = stage.client(stage.habo)
    async with Stream(client) as stream:
        await stream.so_far()
        stage.clients.expire(client.token)
        other = stage.client(stage.habo)
        message_id = await other.sends(document(stage.habo.address, stage.agency.address))
        async with asyncio.timeout(60):
            await stream.ended.wait()
        assert message_id not in {event["id"] for event in stream.events}


async def test_a_client_has_so_many_streams_at_once_and_no_more(stage: Stage) -> None:
    client, other = stage.client(stage.mullsjo), stage.client(stage.mullsjo, name="annan")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST_STREAMS):
            assert (await stack.enter_async_context(Stream(client))).status == 200
        refused = await client.call("GET", EVENTS)
        assert (refused.status, refused.headers["retry-after"]) == (429, "30")
        async with Stream(other) as stream:
            assert stream.status == 200

    async def again() -> bool | None:
        async with Stream(client) as stream:
            return True if stream.status == 200 else None

    await until(again, "a stream that has ended leaves room for another")


async def test_what_came_in_is_told_when_it_is_stored(stage: Stage) -> None:
    agency, peer = stage.agency, stage.peer()
    async with Stream(stage.client(agency)) as stream:
        envelope = peer.encloses(agency)
        await peer.posts(envelope, agency)
        await stream.tells(envelope.id, MessageStatus.NEW)
    assert await agency.ends(envelope.id, Direction.IN) is MessageStatus.NEW
