"""The last line of an application: what a caller gets, and the log, whatever happens inside."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from starlette.types import Message, Receive, Scope, Send

from samdrift.net.guard import guarded

_ENDS = "Task cancelled, timeout graceful shutdown exceeded"
"""What uvicorn says, word for word."""


async def cancelled(words: str, *, begun: bool) -> tuple[list[Message], list[BaseException], bool]:
    """Cancel a request that waits; returns what was sent and reported, and whether it was cancelled."""
    sent: list[Message] = []
    reported: list[BaseException] = []
    waits = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        waits.set()
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        sent.append(message)

    guard = guarded(application, reported.append)
    request = asyncio.ensure_future(cast(Any, guard({"type": "http"}, cast(Any, None), send)))
    await waits.wait()
    request.cancel(words)
    await asyncio.wait({request})
    return sent, reported, request.cancelled()


async def test_who_still_waits_when_the_server_ends_is_asked_to_come_again() -> None:
    """An access point takes that for a restart, and counts no attempt; 500 it would count."""
    (start, body), reported, out = await cancelled(_ENDS, begun=False)
    assert (start["status"], dict(start["headers"])) == (503, {b"retry-after": b"30"})
    assert (body["body"], reported, out) == (b"", [], False)


async def test_an_answer_that_has_begun_when_the_server_ends_stays_without_its_end() -> None:
    sent, reported, out = await cancelled(_ENDS, begun=True)
    assert [each["type"] for each in sent] == ["http.response.start"]
    assert sent[0]["status"] == 200
    assert (reported, out) == ([], False)


@pytest.mark.parametrize("begun", [False, True])
async def test_any_other_cancellation_is_none_of_its_business(begun: bool) -> None:
    sent, reported, out = await cancelled("", begun=begun)
    assert (len(sent), reported, out) == (int(begun), [], True)
