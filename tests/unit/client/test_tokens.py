"""Calls with an access token to something other than a mailbox, such as a log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from starlette.responses import JSONResponse, Response

from samdrift.client import tokens
from samdrift.client.errors import Unreachable
from samdrift.client.keys import ClientKey
from samdrift.client.tokens import Bearing, Places, Tokens
from samdrift.net.client import Fetched, FetchLimits, HttpFault, NoAnswer, http_client
from samdrift.net.clock import system_clock
from tests.unit.client.service import Service
from tests.virtualtime import in_virtual_time, now, seconds

LIMITS = FetchLimits(1000, 10)


@asynccontextmanager
async def bearing(service: Service) -> AsyncIterator[Bearing]:
    async with service.running() as url, http_client(public_only=False, seconds=5.0) as http:
        own = Tokens(http, f"{url}/token", "journal", ClientKey.new(), system_clock, scope="log")
        yield Bearing(http, own)


async def test_one_token_serves_until_it_is_not_accepted() -> None:
    """A token is refused when the server's key was replaced: the call is repeated once, with a new token."""
    refused = Response(status_code=401)
    service = Service([Response(b"1"), Response(b"2"), refused, Response(b"3"), refused, refused])
    async with bearing(service) as caller:
        got = [await caller.fetch(f"{service.url}/v1/logs/mt/checkpoint", LIMITS) for _ in range(4)]
    assert [(one.status, one.body) for one in got] == [(200, b"1"), (200, b"2"), (200, b"3"), (401, b"")]
    assert [form["scope"] for form in service.forms] == [["log"]] * 3
    assert {headers["authorization"] for headers in service.headers} == {"Bearer token"}


async def test_without_a_token_nothing_is_asked() -> None:
    service = Service(grant=JSONResponse({"error": "invalid_client"}, 401))
    async with bearing(service) as caller:
        with pytest.raises(NoAnswer, match="unreachable"):
            await caller.fetch(f"{service.url}/v1/logs/mt/checkpoint", LIMITS)
    assert service.asked == []


@in_virtual_time
async def test_many_that_begin_together_ask_a_few_at_a_time_and_none_waits_for_one_without_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three hundred simultaneous requests made a busy authorisation server answer none of them in time."""
    under_way, most, answered = 0, 0, dict[str, float]()

    async def fetch(http: object, url: str, *given: object, **named: object) -> Fetched:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            await asyncio.sleep(15 if url == "silent" else 0.1)
        finally:
            under_way -= 1
        if url == "silent":
            raise NoAnswer(HttpFault.TIMEOUT)
        return Fetched(200, "application/json", b'{"access_token": "a", "token_type": "Bearer"}')

    monkeypatch.setattr(tokens, "fetch", fetch)
    places, key = Places(), ClientKey.new()

    async def token(name: str, url: str) -> None:
        await Tokens(cast(Any, None), url, name, key, now, places=places).token()
        answered[name] = seconds()

    asking = [asyncio.create_task(token(str(one), "silent")) for one in range(8)]
    asking += [asyncio.create_task(token(str(one), "there")) for one in range(8, 80)]
    failed = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(each, Unreachable) for each in failed) == 8
    assert len(answered) == 72
    assert most == 16, "eight, in addition to the eight that have given up their places"
    assert max(answered.values()) < 4, "no request may wait for the silent server's timeout"
