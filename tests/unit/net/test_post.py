"""Posting to a peer: its answer, and the error when there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from samdrift.net.client import Answered, HttpClient, PeerUnreachable, http_client, post
from tests.unit.net.servers import Asked, answering, reply


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with http_client(public_only=False) as one:
        yield one


async def posted(client: HttpClient, url: str) -> Answered:
    return await post(client, url, b"message", content_type="multipart/related", content_length=7, within=2.0)


async def text(client: HttpClient, url: str) -> str:
    with pytest.raises(PeerUnreachable) as caught:
        await posted(client, url)
    assert "localhost" not in caught.value.text
    return caught.value.text


async def test_an_answer_is_given_whatever_its_status(client: HttpClient) -> None:
    async def answer(asked: Asked) -> bytes:
        assert asked.headers["content-type"] == "multipart/related"
        return reply(asked.method.encode() + asked.body, "500 Error", "content-type: text/xml")

    async with answering(answer) as url:
        assert await posted(client, url) == Answered(500, "text/xml", b"POSTmessage")


async def test_a_redirect_is_an_answer_like_others(client: HttpClient) -> None:
    targets = []

    async def answer(asked: Asked) -> bytes:
        targets.append(asked.target)
        return reply(b"", "307 Temporary Redirect", "location: /elsewhere")

    async with answering(answer) as url:
        assert (await posted(client, f"{url}/as4")).status == 307
    assert targets == ["/as4"]


async def test_an_answer_without_end_is_none(client: HttpClient) -> None:
    async def answer(asked: Asked) -> bytes:
        return reply(bytes((1 << 20) + 1))

    async with answering(answer) as url:
        assert await text(client, url) == "an answer of more than 1048576 bytes"


async def test_nobody_there_is_told_with_the_kind_of_failure(client: HttpClient) -> None:
    assert await text(client, "http://localhost:1/") == "no HTTP answer (connection refused)"
    assert await text(client, "http://no-such-host.invalid/") == "no HTTP answer (ClientConnectorDNSError)"


async def test_an_answer_that_breaks_off_is_told_so(client: HttpClient) -> None:
    async def answer(asked: Asked) -> bytes:
        return reply(b"whole")[:-1]

    async with answering(answer) as url:
        assert await text(client, url) == "no HTTP answer (the connection was closed before the answer ended)"


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "ftp://localhost/", "http://user@example.com/"])
async def test_an_address_that_is_forbidden_or_none_is_told_so(url: str) -> None:
    async with http_client() as guarded:
        forbidden = "the address in the service metadata may not be connected to"
        assert await text(guarded, url) == forbidden
