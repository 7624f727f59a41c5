"""Calls with an access token to what is no mailbox, such as a log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.responses import JSONResponse, Response

from samdrift.client.keys import ClientKey
from samdrift.client.tokens import Bearing, Tokens
from samdrift.net.client import FetchLimits, NoAnswer, http_client
from samdrift.net.clock import system_clock
from tests.unit.client.service import Service

LIMITS = FetchLimits(1000, 10)


@asynccontextmanager
async def bearing(service: Service) -> AsyncIterator[Bearing]:
    async with service.running() as url, http_client(public_only=False, seconds=5.0) as http:
        tokens = Tokens(http, f"{url}/token", "journal", ClientKey.new(), system_clock, scope="log")
        yield Bearing(http, tokens)


async def test_one_token_serves_until_it_is_not_accepted() -> None:
    """Which happens when the server's key was replaced: the call is made again with another one, once."""
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
