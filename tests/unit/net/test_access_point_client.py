"""Interface C as a message service calls it, on access points that answer as agreed or not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.contracts.hold import Hold
from samdrift.contracts.transfer import (
    InboxItem,
    Poll,
    Submission,
    TransferReason,
    TransferRefused,
    TransferUnavailable,
)
from samdrift.net.client import HttpClient, HttpFault, NoAnswer, http_client
from samdrift.net.interface_c import ENVELOPES, HttpAccessPoint, encode_poll
from tests.unit.net.servers import Asked, answering, reply
from tests.unit.net.ways import NETWORK, WAYS, Way
from tests.vaults import NOW

TAKEN = json.dumps({"envelopeId": "e", "transferId": "t"}).encode()
NO_NEWS = json.dumps({"events": [], "inbox": []}).encode()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    return Way(request.param, tmp_path)


Answer = Callable[[Asked], Awaitable[bytes]]


@asynccontextmanager
async def calling(way: Way, answer: Answer) -> AsyncIterator[HttpAccessPoint]:
    """Open the message service's side of interface C, against ``answer``."""
    if way.name == NETWORK:
        async with answering(answer) as url, http_client(public_only=False, seconds=2.0) as client:
            yield HttpAccessPoint(client, f"{url}/")
    else:
        async with way.reached(application(answer), way.caller(), silence=2.0) as (url, (client,)):
            yield HttpAccessPoint(client, f"{url}/")


def application(answer: Answer) -> ASGIApp:
    """Return an application that answers with an HTTP response, which may be cut off, or not at all."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        fields = {name.decode(): value.decode() for name, value in scope["headers"]}
        response = await answer(Asked(scope["method"], scope["raw_path"].decode(), fields, body))
        head, _, content = response.partition(b"\r\n\r\n")
        if not head:
            return
        status, *said = head.split(b"\r\n")
        headers = [(name.lower(), value) for name, _, value in (each.partition(b": ") for each in said)]
        await send({"type": "http.response.start", "status": int(status.split()[1]), "headers": headers})
        whole = len(content) == int(dict(headers)[b"content-length"])
        await send({"type": "http.response.body", "body": content, "more_body": not whole})

    return answering


async def answered(way: Way, answer: bytes, call: str) -> object:
    """Return the result of ``call`` when the access point sends ``answer``."""

    async def always(asked: Asked) -> bytes:
        return answer

    async with calling(way, always) as access_point:
        match call:
            case "submit":
                return await access_point.submit("e", "c", b"<xml/>")
            case "poll":
                return await access_point.poll(0, 0)
            case "fetch":
                return b"".join([piece async for piece in access_point.fetch("i")])
            case _:
                return await access_point.acknowledge("i")


async def test_calls_go_where_and_as_they_should(way: Way) -> None:
    called = []

    async def answer(asked: Asked) -> bytes:
        called.append((asked.method, asked.target, asked.body))
        assert (ENVELOPES in asked.headers) is (asked.method == "POST")
        return reply(TAKEN if asked.method == "PUT" else NO_NEWS, "201 Created")

    async with calling(way, answer) as access_point:
        assert await access_point.submit("e", "c", b"<xml/>") == Submission("e", "t", True)
        assert await access_point.poll(7, 20.0, ["i"], "j") == Poll((), ())
        await access_point.acknowledge("i")
    assert called == [
        ("PUT", "/c/v1/envelopes/e", b"<xml/>"),
        ("POST", "/c/v1/poll", json.dumps({"after": 7, "wait": 20.0, "taken": ["i"], "past": "j"}).encode()),
        ("DELETE", "/c/v1/inbox/i", b""),
    ]


async def test_an_envelope_that_was_there_before_is_not_new(way: Way) -> None:
    assert await answered(way, reply(TAKEN), "submit") == Submission("e", "t", False)


@pytest.mark.parametrize("call", ["submit", "poll", "fetch", "acknowledge"])
async def test_an_access_point_that_says_nothing_is_said_to_in_words(
    way: Way, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The reason used to be `PUT: timeout`."""

    def exchange(*_: object, **__: object) -> NoReturn:
        raise NoAnswer(HttpFault.TIMEOUT)

    monkeypatch.setattr(HttpClient, "exchange", exchange)
    with pytest.raises(TransferUnavailable, match=r": no answer in time$"):
        await answered(way, b"", call)


async def test_an_envelope_is_fetched_whole_or_not(way: Way) -> None:
    assert await answered(way, reply(b"x" * 300_000), "fetch") == b"x" * 300_000
    with pytest.raises(TransferUnavailable):
        await answered(way, reply(b"x" * 300_000)[:-1], "fetch")


@pytest.mark.parametrize("call", ["submit", "poll", "fetch", "acknowledge"])
@pytest.mark.parametrize("answer", [b"", reply(b"", "500 Error"), reply(b"", "302 Found", "location: /")])
async def test_another_answer_than_agreed_may_be_another_one_later(
    way: Way, call: str, answer: bytes
) -> None:
    with pytest.raises(TransferUnavailable):
        await answered(way, answer, call)


@pytest.mark.parametrize("call", ["submit", "poll", "fetch", "acknowledge"])
async def test_an_access_point_says_that_it_waits_for_its_database_and_of_that_a_known_word_is_believed(
    way: Way, call: str
) -> None:
    for body, waits_for in (
        (b'{"waitsFor": "database"}', Hold.DATABASE),
        (b'{"waitsFor": "database\\nALARM"}', ""),
        (b'{"waitsFor": ["database"]}', ""),
        (b'["waitsFor"]', ""),
        (b"\xff", ""),
    ):
        with pytest.raises(TransferUnavailable, match="HTTP status 503") as caught:
            await answered(way, reply(body, "503 Service Unavailable"), call)
        assert caught.value.waits_for == waits_for
        assert ("waits for its database" in caught.value.text) is bool(waits_for)
        assert "ALARM" not in caught.value.text


@pytest.mark.parametrize("call", ["submit", "poll"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"1",
        b'{"events": 1, "envelopeId": 1}',
        b'{"events": [{"sequence": 1e999}]}',
        b"[" * 100_000,
    ],
)
async def test_a_document_of_another_shape_is_a_typed_error(way: Way, call: str, body: bytes) -> None:
    with pytest.raises(TransferUnavailable, match="form"):
        await answered(way, reply(body), call)


ITEM = InboxItem("i", "e", "0203:a.se", "0203:b.se", "doc", "c", "a@b", "AP1", NOW, 6)


@pytest.mark.parametrize("envelope", [None, b"", "<å/>".encode("latin-1")])
async def test_an_envelope_may_come_with_the_news_of_it_byte_for_byte(
    way: Way, envelope: bytes | None
) -> None:
    told = Poll((), (replace(ITEM, envelope=envelope),))
    answer = reply(json.dumps(encode_poll(told)).encode())
    assert await answered(way, answer, "poll") == told
    assert "envelope=" not in repr(told), "an item's representation must not show content (invariant 9)"


@pytest.mark.parametrize("envelope", [None, 7, "a", "a===", "a b=", "\u00e5"])
async def test_an_envelope_in_another_shape_is_a_typed_error(way: Way, envelope: object) -> None:
    (item,) = json.loads(json.dumps(encode_poll(Poll((), (ITEM,)))))["inbox"]
    document = {"events": [], "inbox": [item | {"envelope": envelope}]}
    with pytest.raises(TransferUnavailable, match="form"):
        await answered(way, reply(json.dumps(document).encode()), "poll")


async def test_what_was_acknowledged_before_may_be_gone(way: Way) -> None:
    assert await answered(way, reply(b"", "404 Not Found"), "acknowledge") is None


async def test_422_is_final_and_has_a_reason(way: Way) -> None:
    problem = json.dumps({"title": TransferReason.ENVELOPE_INVALID.value, "detail": "because"}).encode()
    rubbish = "refused without a reason"
    for body, text in ((problem, "because"), (b"rubbish", rubbish), (b"[" * 100_000, rubbish)):
        with pytest.raises(TransferRefused, match=text) as caught:
            await answered(way, reply(body, "422 Unprocessable"), "submit")
        assert caught.value.reason is TransferReason.ENVELOPE_INVALID
