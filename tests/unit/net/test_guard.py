"""The last guard of an application: the caller's answer, and the log, whatever happens inside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from samdrift.contracts.errors import Temporary
from samdrift.net.guard import guarded
from samdrift.net.server import listening_socket, serving

_ENDS = "Task cancelled, timeout graceful shutdown exceeded"
"""uvicorn's message, word for word."""


async def cancelled(words: str, *, begun: bool) -> tuple[list[Message], list[BaseException], bool]:
    """Cancel a waiting request; return the sent messages, the reports, and whether it was cancelled."""
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
    """An access point treats that as a restart and does not count an attempt, as it would for 500."""
    (start, body), reported, out = await cancelled(_ENDS, begun=False)
    assert (start["status"], dict(start["headers"])) == (503, {b"retry-after": b"30"})
    assert (body["body"], reported, out) == (b"", [], False)


class Away(Temporary):
    text = "the store is away"
    reported = True


class Locked(Temporary):
    text = "the vault is locked"
    expected = True


class Ended(Temporary):
    text = "the database has ended the work, and has no line of its own"


@pytest.mark.parametrize(("outage", "lines"), [(Away, 0), (Locked, 0), (Ended, 1)])
async def test_an_answer_that_an_outage_broke_off_is_reported_by_what_is_away_alone(
    caplog: pytest.LogCaptureFixture, outage: type[Temporary], lines: int
) -> None:
    """Starlette turns it into a RuntimeError, whose lines meant nothing to the person on call.

    An outage that nothing else reports is reported here.
    """
    caplog.set_level(logging.INFO)

    async def later(request: Request, error: Exception) -> Response:
        return Response(status_code=503)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"begun"
        raise outage

    async def answer(request: Request) -> Response:
        return StreamingResponse(pieces())

    failures: list[BaseException] = []
    application = Starlette(routes=[Route("/", answer)], exception_handlers={Temporary: later})
    sock = listening_socket("127.0.0.1")
    async with serving(guarded(application, failures.append), sock), httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"http://127.0.0.1:{sock.getsockname()[1]}/")
    assert [type(each.__cause__) for each in failures] == [outage] * lines
    assert [each.levelname for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_a_server_that_ends_while_a_request_lasts_warns_and_reports_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "uvicorn.error")
    asked = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        asked.set()
        await asyncio.Event().wait()

    failures: list[BaseException] = []
    sock = listening_socket("127.0.0.1")
    address = f"http://127.0.0.1:{sock.getsockname()[1]}/"
    async with httpx.AsyncClient(timeout=60) as client:
        async with serving(guarded(application, failures.append), sock, stop_within=1):
            asking = asyncio.create_task(client.get(address))
            await asked.wait()
        assert (await asking).status_code == 503
    assert failures == []
    said = [
        (record.levelname, record.getMessage()) for record in caplog.records if record.levelno > logging.INFO
    ]
    assert said == [("WARNING", "Cancel 1 running task(s), timeout graceful shutdown exceeded")]
    assert not any("CTRL+C" in line for line in caplog.messages), "there is no terminal for that advice"


async def test_an_answer_that_has_begun_when_the_server_ends_stays_without_its_end() -> None:
    sent, reported, out = await cancelled(_ENDS, begun=True)
    assert [each["type"] for each in sent] == ["http.response.start"]
    assert sent[0]["status"] == 200
    assert (reported, out) == ([], False)


@pytest.mark.parametrize("begun", [False, True])
async def test_any_other_cancellation_is_none_of_its_business(begun: bool) -> None:
    sent, reported, out = await cancelled("", begun=begun)
    assert (len(sent), reported, out) == (int(begun), [], True)
