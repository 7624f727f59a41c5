"""A limit on the simultaneous work for one organisation, so that other clients get their turn."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Hashable
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from samdrift.contracts.messages import MessageStatus
from samdrift.scheduling.pace import Pace
from samdrift.scheduling.shares import Shares
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.roles.messageclient import MESSAGES, MessageClient, document
from tests.roles.stage import Stage

OF_ONE = 8
OF_ONE_OVER_C = 16
JUNK_OF_ONE_CONNECTION = 10


@contextlib.asynccontextmanager
async def dawdling(
    base: str, tls: ssl.SSLContext, count: int, request: str, *fields: str
) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open ``count`` requests, and send none of their bodies; yield the streams of their answers."""
    url = urlsplit(base)
    method, _, path = request.partition(" ")
    lines = (f"{method} {url.path}{path} HTTP/1.1", f"host: {url.netloc}", "content-length: 1000", *fields)
    head = "\r\n".join((*lines, "", ""))
    answers, writers = [], []
    try:
        for _ in range(count):
            answer, writer = await asyncio.open_connection(url.hostname, url.port, ssl=tls)
            answers.append(answer)
            writers.append(writer)
            writer.write(head.encode())
            await writer.drain()
        yield answers
    finally:
        for writer in writers:
            writer.transport.abort()


async def status_until(client: MessageClient, wanted: int, message: object) -> str:
    """Send until the answer has that status; return its ``Retry-After``."""
    async with asyncio.timeout(60):
        while (answer := await client.send(message)).status != wanted:
            assert answer.status in (201, 503)
    return answer.headers.get("retry-after", "")


async def test_who_sends_too_much_at_once_is_asked_to_come_back_and_others_are_not(stage: Stage) -> None:
    habo, mullsjo = stage.client(stage.habo), stage.client(stage.mullsjo)
    own = document(stage.habo.address, stage.agency.address)
    fields = f"authorization: Bearer {habo.token}", "content-type: application/json"
    async with dawdling(habo.base, habo.tls, OF_ONE, f"POST {MESSAGES}", *fields):
        assert await status_until(habo, 503, own) == "2"
        other = await mullsjo.send(document(stage.mullsjo.address, stage.agency.address))
        assert other.status == 201
    await status_until(habo, 201, own)


async def test_all_that_is_done_for_an_organisation_passes_through_the_pace_of_its_process(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both directions of an exchange do, at both message services and access points.

    An envelope is handled by itself, or judged together with others from the same poll.
    """
    passed, of = set[tuple[str, str]](), Pace.of

    async def noted(pace: Pace, organisation: ParticipantIdentifier, work: partial[Any]) -> Any:
        passed.add((organisation.value, work.func.__qualname__))
        return await of(pace, organisation, work)

    monkeypatch.setattr(Pace, "of", noted)
    sent = await stage.habo.send(stage.agency.address)
    assert await stage.habo.ends(sent) is MessageStatus.ACCEPTED
    both = {"Submissions.take", "Polling.poll", "Sending._attempt", "Inbound._take"}
    taking = {"Polling._take", "Together._judged.<locals>.judge"}
    for member, own in ((stage.habo, "Sender.message"), (stage.agency, "Sender.receipt")):
        paced = {name for whose, name in passed if whose == member.organisation.value}
        assert paced >= {*both, own}
        assert paced & taking


async def test_who_floods_with_junk_is_answered_slower_and_others_are_not(stage: Stage) -> None:
    habo, mullsjo = stage.client(stage.habo), stage.client(stage.mullsjo)
    junk = b"[" + b"0," * 145_000 + b"0]"

    async def flood() -> None:
        for _ in range(JUNK_OF_ONE_CONNECTION):
            assert (await habo.post(junk)).status == 400

    clock = asyncio.get_running_loop().time
    began = clock()
    floods = [asyncio.create_task(flood()) for _ in range(OF_ONE)]
    await asyncio.sleep(0.5)
    assert (await mullsjo.call("GET", MESSAGES)).status == 200
    assert not any(one.done() for one in floods), "the other organisation must be answered during the flood"
    await asyncio.gather(*floods)
    assert clock() - began > 2, "80 refusals count as 0.8 s, at a quarter of the time, after a burst of 1 s"
    await status_until(habo, 201, document(stage.habo.address, stage.agency.address))


async def test_the_same_goes_for_envelopes_over_interface_c(stage: Stage) -> None:
    habo, mullsjo = await stage.habo.interface_c(), await stage.mullsjo.interface_c()
    field = "content-type: application/xml"
    async with dawdling(habo.base, habo.tls, OF_ONE_OVER_C, f"PUT /envelopes/{uuid4()}", field):
        async with asyncio.timeout(60):
            while (answer := await habo.submit(str(uuid4()), b"<x/>")).status != 503:
                assert answer.status == 422
        assert answer.headers["retry-after"] == "2"
        assert (await mullsjo.submit(str(uuid4()), b"<x/>")).status == 422, (
            "the other organisation's envelope must be examined"
        )
    async with asyncio.timeout(60):
        while (await habo.submit(str(uuid4()), b"<x/>")).status != 422:
            pass


async def test_polls_take_places_too_whether_they_wait_or_do_not_come_whole(stage: Stage) -> None:
    """Of one more than there are places, at least one is refused, while the others' bodies are awaited.

    One place may be that of the organisation's own message service, which waits for news.
    """
    habo, mullsjo = await stage.habo.interface_c(), await stage.mullsjo.interface_c()
    fields = "content-type: application/json", "expect: 100-continue"
    async with dawdling(habo.base, habo.tls, OF_ONE_OVER_C + 1, "POST /poll", *fields) as answers:
        async with asyncio.timeout(60):
            begun = [int((await each.readline()).split()[1]) for each in answers]
            assert {*begun} == {100, 503}, begun
            while (answer := await habo.poll()).status != 503:
                assert answer.status == 200
        assert answer.headers.get("retry-after") == "2"
        assert (await mullsjo.poll()).status == 200
    async with asyncio.timeout(60):
        while (answer := await habo.poll()).status != 200:
            assert answer.status == 503


async def test_every_operation_of_interface_d_waits_for_its_organisations_share(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Hashable] = []
    paced = Shares.request

    async def request(shares: Shares, organisation: Hashable, cost: float) -> None:
        asked.append(organisation)
        await paced(shares, organisation, cost)

    monkeypatch.setattr(Shares, "request", request)
    habo = stage.client(stage.habo)
    requests = ("POST", MESSAGES), ("GET", MESSAGES), ("GET", f"{MESSAGES}/x"), ("DELETE", f"{MESSAGES}/x")
    for number, (method, path) in enumerate(requests, 1):
        await habo.call(method, path)
        assert asked.count(stage.habo.organisation) == number
