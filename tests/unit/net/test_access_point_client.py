"""Interface C as a message service calls it, against access points that do and do not answer as agreed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from samdrift.contracts.hold import Hold
from samdrift.contracts.transfer import (
    InboxItem,
    Poll,
    Submission,
    TransferReason,
    TransferRefused,
    TransferUnavailable,
)
from samdrift.net.client import HttpClient, http_client
from samdrift.net.interface_c import ENVELOPES, HttpAccessPoint, encode_poll
from tests.unit.net.servers import Asked, answering, reply
from tests.vaults import NOW

TAKEN = json.dumps({"envelopeId": "e", "transferId": "t"}).encode()
NO_NEWS = json.dumps({"events": [], "inbox": []}).encode()


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with http_client(public_only=False, seconds=2.0) as one:
        yield one


async def answered(client: HttpClient, answer: bytes, call: str) -> object:
    """What ``call`` makes of ``answer``."""

    async def always(asked: Asked) -> bytes:
        return answer

    async with answering(always) as url:
        access_point = HttpAccessPoint(client, url)
        match call:
            case "submit":
                return await access_point.submit("e", "c", b"<xml/>")
            case "poll":
                return await access_point.poll(0, 0)
            case "fetch":
                return b"".join([piece async for piece in access_point.fetch("i")])
            case _:
                return await access_point.acknowledge("i")


async def test_calls_go_where_and_as_they_should(client: HttpClient) -> None:
    called = []

    async def answer(asked: Asked) -> bytes:
        called.append((asked.method, asked.target, asked.body))
        assert (ENVELOPES in asked.headers) is (asked.method == "POST")
        return reply(TAKEN if asked.method == "PUT" else NO_NEWS, "201 Created")

    async with answering(answer) as url:
        access_point = HttpAccessPoint(client, f"{url}/")
        assert await access_point.submit("e", "c", b"<xml/>") == Submission("e", "t", True)
        assert await access_point.poll(7, 20.0, ["i"], "j") == Poll((), ())
        await access_point.acknowledge("i")
    assert called == [
        ("PUT", "/c/v1/envelopes/e", b"<xml/>"),
        ("POST", "/c/v1/poll", json.dumps({"after": 7, "wait": 20.0, "taken": ["i"], "past": "j"}).encode()),
        ("DELETE", "/c/v1/inbox/i", b""),
    ]


async def test_an_envelope_that_was_there_before_is_not_new(client: HttpClient) -> None:
    assert await answered(client, reply(TAKEN), "submit") == Submission("e", "t", False)


async def test_an_envelope_is_fetched_whole_or_not(client: HttpClient) -> None:
    assert await answered(client, reply(b"x" * 300_000), "fetch") == b"x" * 300_000
    with pytest.raises(TransferUnavailable):
        await answered(client, reply(b"x" * 300_000)[:-1], "fetch")


@pytest.mark.parametrize("call", ["submit", "poll", "fetch", "acknowledge"])
@pytest.mark.parametrize("answer", [b"", reply(b"", "500 Error"), reply(b"", "302 Found", "location: /")])
async def test_another_answer_than_agreed_may_be_another_one_later(
    client: HttpClient, call: str, answer: bytes
) -> None:
    with pytest.raises(TransferUnavailable):
        await answered(client, answer, call)


@pytest.mark.parametrize("call", ["submit", "poll", "fetch", "acknowledge"])
async def test_an_access_point_says_that_it_waits_for_its_database_and_of_that_a_known_word_is_believed(
    client: HttpClient, call: str
) -> None:
    for body, waits_for in (
        (b'{"waitsFor": "database"}', Hold.DATABASE),
        (b'{"waitsFor": "database\\nALARM"}', ""),
        (b'{"waitsFor": ["database"]}', ""),
        (b'["waitsFor"]', ""),
        (b"\xff", ""),
    ):
        with pytest.raises(TransferUnavailable, match="HTTP status 503") as caught:
            await answered(client, reply(body, "503 Service Unavailable"), call)
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
async def test_a_document_of_another_shape_is_a_typed_error(
    client: HttpClient, call: str, body: bytes
) -> None:
    with pytest.raises(TransferUnavailable, match="shape"):
        await answered(client, reply(body), call)


ITEM = InboxItem("i", "e", "0203:a.se", "0203:b.se", "doc", "c", "a@b", "AP1", NOW, 6)


@pytest.mark.parametrize("envelope", [None, b"", "<å/>".encode("latin-1")])
async def test_an_envelope_may_come_with_the_news_of_it_byte_for_byte(
    client: HttpClient, envelope: bytes | None
) -> None:
    told = Poll((), (replace(ITEM, envelope=envelope),))
    answer = reply(json.dumps(encode_poll(told)).encode())
    assert await answered(client, answer, "poll") == told
    assert "envelope=" not in repr(told), "what is shown of an item has no content (invariant 9)"


@pytest.mark.parametrize("envelope", [None, 7, "a", "a===", "a b=", "\u00e5"])
async def test_an_envelope_in_another_shape_is_a_typed_error(client: HttpClient, envelope: object) -> None:
    (item,) = json.loads(json.dumps(encode_poll(Poll((), (ITEM,)))))["inbox"]
    document = {"events": [], "inbox": [item | {"envelope": envelope}]}
    with pytest.raises(TransferUnavailable, match="shape"):
        await answered(client, reply(json.dumps(document).encode()), "poll")


async def test_what_was_acknowledged_before_may_be_gone(client: HttpClient) -> None:
    assert await answered(client, reply(b"", "404 Not Found"), "acknowledge") is None


async def test_422_is_final_and_has_a_reason(client: HttpClient) -> None:
    problem = json.dumps({"title": TransferReason.ENVELOPE_INVALID.value, "detail": "because"}).encode()
    rubbish = "refused without a reason"
    for body, text in ((problem, "because"), (b"rubbish", rubbish), (b"[" * 100_000, rubbish)):
        with pytest.raises(TransferRefused, match=text) as caught:
            await answered(client, reply(body, "422 Unprocessable"), "submit")
        assert caught.value.reason is TransferReason.ENVELOPE_INVALID
