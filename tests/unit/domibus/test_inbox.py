"""Messages that wait at a Domibus: handed to the recipient they name, and marked once durable there."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from samdrift.contracts.transfer import InboxItem, TransferUnavailable
from samdrift.domibus import DomibusAccessPoint, plugin
from samdrift.wire.identifiers import SDK_MESSAGE_BASE
from tests.domibus import soap
from tests.domibus.standin import Domibus, Waiting
from tests.sizes import sampled
from tests.unit.domibus.desk import OTHERS, THEM, US, Desk, desk, incoming, standin

MIB = 1 << 20


async def inbox(at: Desk, past: str = "", taken: tuple[str, ...] = ()) -> list[str]:
    return [item.id for item in (await at.access_point.poll(0, 0, taken, past)).inbox]


async def fetched(access_point: DomibusAccessPoint, item_id: str) -> bytes:
    return b"".join([piece async for piece in access_point.fetch(item_id)])


@pytest.mark.parametrize("mtom", [True, False])
async def test_a_message_is_told_of_fetched_and_marked_when_it_is_taken(tmp_path: Path, mtom: bool) -> None:
    async with desk(tmp_path, standin(mtom=mtom)) as at:
        at.domibus.receive(incoming("m-1@peer.example", data=b"<xhe>" + bytes(1000)))
        (item,) = (await at.access_point.poll(0, 0)).inbox
        assert item == InboxItem(
            id="m-1@peer.example",
            envelope_id="",
            sender=THEM.value,
            recipient=US.value,
            document=SDK_MESSAGE_BASE.value,
            conversation_id="c-1",
            as4_message_id="m-1@peer.example",
            peer="AP0009-SDK-TEST",
            received_at=at.now,
            size=0,
        )
        for _ in range(2):
            assert await fetched(at.access_point, item.id) == b"<xhe>" + bytes(1000)
        assert at.domibus.downloaded == [], "not yet marked, as the message may still be lost on our side"
        assert await inbox(at, taken=(item.id,)) == []
        assert at.domibus.downloaded == [item.id]


async def test_a_plugin_user_asks_for_what_waits_without_a_recipient(tmp_path: Path) -> None:
    """Domibus writes a warning at each poll of a plugin user that names a recipient."""
    async with desk(tmp_path) as at:
        at.domibus.receive(incoming("m@p"))
        at.domibus.receive(incoming("other@p", OTHERS))
        assert await inbox(at) == ["m@p"]
        assert at.domibus.warnings == []


async def test_a_message_is_opened_once_to_be_told_of(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.domibus.receive(incoming())
        first = (await at.access_point.poll(0, 0)).inbox
        at.later(minutes=5)
        assert (await at.access_point.poll(0, 0)).inbox == first
        assert at.domibus.calls["retrieveMessageRequest"] == 1


async def test_marking_twice_is_fine(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.domibus.receive(incoming("m@p"))
        await at.access_point.acknowledge("m@p")
        await at.access_point.acknowledge("m@p")
        assert at.domibus.downloaded == ["m@p"]


async def test_what_cannot_be_marked_is_said(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.domibus.receive(incoming("m@p", OTHERS))
        with pytest.raises(TransferUnavailable, match="not allowed"):
            await at.access_point.acknowledge("m@p")


async def test_what_cannot_be_marked_holds_up_nothing_and_is_told_of_again_later(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        for name in ("m-1@p", "m-2@p"):
            at.domibus.receive(incoming(name))
        assert await inbox(at) == ["m-1@p", "m-2@p"]
        at.domibus.unmarkable.add("m-1@p")
        assert await inbox(at, taken=("m-1@p", "m-2@p")) == []
        assert at.domibus.downloaded == ["m-2@p"]
        at.domibus.receive(incoming("m-3@p"))
        assert await inbox(at) == ["m-3@p"]
        at.domibus.unmarkable.clear()
        at.later(minutes=11)
        assert await inbox(at) == ["m-1@p", "m-3@p"]
        assert await inbox(at, taken=("m-1@p", "m-3@p")) == []


async def test_a_message_that_is_listed_twice_is_told_of_once(tmp_path: Path) -> None:
    """Two workers that take the same message would get in each other's way."""
    async with desk(tmp_path) as at:
        at.domibus.receive(incoming("m-1@p"))
        at.domibus.receive(incoming("m-2@p"))
        at.domibus.listed = 2
        assert await inbox(at) == ["m-1@p", "m-2@p"]


async def test_a_poll_waits_for_news(tmp_path: Path) -> None:
    class Late(Domibus):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if self.calls["listPendingMessagesRequest"] == 3:
                self.receive(incoming("m@p"))
            await super().__call__(scope, receive, send)

    users = standin().users
    async with desk(tmp_path, Late("AP", users)) as at:
        assert [item.id for item in (await at.access_point.poll(0, 20)).inbox] == ["m@p"]


async def test_what_was_passed_over_while_the_clock_was_ahead_is_told_of_when_it_is_right(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as at:
        at.domibus.receive(incoming("m@p"))
        at.later(days=1)
        at.domibus.unmarkable.add("m@p")
        assert await inbox(at, taken=("m@p",)) == []
        at.later(days=-1)
        assert await inbox(at) == ["m@p"]


async def test_the_inbox_begins_after_what_cannot_be_taken_now(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        for number in range(25):
            at.domibus.receive(incoming(f"m-{number}@p"))
        assert await inbox(at) == [f"m-{number}@p" for number in range(20)]
        assert await inbox(at, past="m-19@p") == [f"m-{number}@p" for number in range(20, 25)]
        assert await inbox(at, past="gone@p") == await inbox(at)


# --- separation -----------------------------------------------------------------------------------------


class Misled(Domibus):
    """A Domibus that hands an organisation a message for another one."""

    def header(self, message: Waiting) -> str:
        return super().header(replace(message, recipient=OTHERS.value))


class Confused(Domibus):
    """A Domibus that returns a message other than the requested one."""

    def header(self, message: Waiting) -> str:
        return super().header(replace(message, message_id="other@p"))


@pytest.mark.parametrize("wrong", [Misled, Confused])
async def test_what_names_somebody_else_is_never_handed_over(
    tmp_path: Path, wrong: type[Domibus], caplog: pytest.LogCaptureFixture
) -> None:
    async with desk(tmp_path, wrong("AP", standin().users)) as at:
        at.domibus.receive(incoming("m@p", data=b"a secret of others"))
        assert await inbox(at) == []
        with pytest.raises(TransferUnavailable):
            await fetched(at.access_point, "m@p")
        assert at.domibus.downloaded == [], "the message must stay there for its recipient"
    logged = caplog.text
    assert "m@p" in logged
    assert "a secret" not in logged


@pytest.mark.parametrize(
    "spoilt",
    [
        replace(incoming("x@p"), action="no document type"),
        replace(incoming("x@p"), sender="nobody"),
        replace(incoming("x@p"), conversation_id=""),
    ],
    ids=["action", "sender", "conversation"],
)
async def test_a_message_that_cannot_be_used_stays_and_hides_no_other(
    tmp_path: Path, spoilt: Waiting
) -> None:
    async with desk(tmp_path) as at:
        at.domibus.receive(spoilt)
        at.domibus.receive(incoming("m@p"))
        assert await inbox(at) == ["m@p"]
        assert await inbox(at) == ["m@p"]
        assert at.domibus.calls["retrieveMessageRequest"] == 2
        at.later(minutes=11)
        await inbox(at)
        assert at.domibus.calls["retrieveMessageRequest"] == 3, (
            "an unusable message must be tried again occasionally"
        )
        with pytest.raises(TransferUnavailable):
            await fetched(at.access_point, "x@p")


# --- large ones, and servers that are none --------------------------------------------------------------


@pytest.mark.parametrize("mtom", [True, False])
async def test_thirty_megabytes_come_in_in_bounded_memory(tmp_path: Path, mtom: bool) -> None:
    """The message is announced without being read, then read as it arrives."""
    header = standin().header(incoming("m@p"))
    piece = bytes(48 << 10)
    text = soap.inline(piece).encode()
    content_type, body = "application/soap+xml", soap.retrieved(header, "PAYLOAD").encode()
    if mtom:
        text = piece
        content_type, body = soap.mime(soap.retrieved(header, "{payload}"), b"PAYLOAD")
    before, _, after = body.partition(b"PAYLOAD")
    opened = 0

    async def large(scope: Any, receive: Any, send: Any) -> None:
        nonlocal opened
        if b"listPending" in await Request(scope, receive).body():
            listed = soap.message_ids("listPendingMessagesResponse", ["m@p"])
            await Response(listed, headers={"content-type": "application/soap+xml"})(scope, receive, send)
            return
        headers = [(b"content-type", content_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        opened += 1
        for each in (before, *([text] * 640), after)[: 40 if opened == 1 else None]:
            await send({"type": "http.response.body", "body": each, "more_body": True})
        while opened == 1 and (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.body", "body": b""})

    async with desk(tmp_path, large) as at:
        assert await inbox(at) == ["m@p"], "a large message must be listed without being read"
        tracemalloc.start()
        size = 0
        async for each in at.access_point.fetch("m@p"):
            size += len(each)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert size == 30 * MIB
    assert peak < 8 * MIB


def answering(status: int, content_type: str, body: bytes) -> Callable[..., Any]:
    async def always(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()
        await Response(body, status, {"content-type": content_type})(scope, receive, send)

    return always


@pytest.mark.parametrize(
    "answer",
    sampled(
        map(
            pytest.param,
            [
                (404, "text/html", b"<html/>"),
                (401, "text/plain", b""),
                (200, "text/html", b"<html>Please log in</html>"),
                (200, "application/soap+xml", b""),
                (200, "application/soap+xml", b"<soap"),
                (200, "application/soap+xml", soap.envelope("<a/>").encode()),
                (200, "multipart/related; boundary=b", b"--b\r\n\r\n\r\n--b--"),
                (500, "application/soap+xml", soap.fault("eu.domibus.x: Bad credentials").encode()),
            ],
        ),
        every=2,
    ),
    ids=lambda answer: f"{answer[0]} {answer[1]}"[:30],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda at: at.submits(),
        lambda at: at.access_point.poll(0, 0),
        lambda at: at.access_point.acknowledge("m@p"),
        lambda at: fetched(at.access_point, "m@p"),
    ],
    ids=["submit", "poll", "acknowledge", "fetch"],
)
async def test_another_answer_than_agreed_may_be_another_one_later(
    tmp_path: Path, answer: tuple[int, str, bytes], call: Callable[[Desk], Awaitable[object]]
) -> None:
    async with desk(tmp_path, answering(*answer)) as at:
        with pytest.raises(TransferUnavailable):
            await call(at)


def endless(content_type: str, before: bytes, piece: bytes, pause: float = 0) -> Callable[..., Any]:
    """Return an application that lists one message, and answers everything else without an end.

    After 1024 pieces it ends nevertheless, so that a test of a lower limit fails soon.
    """

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if b"listPending" in await Request(scope, receive).body():
            listed = soap.message_ids("listPendingMessagesResponse", ["m@p"])
            await Response(listed, headers={"content-type": "application/soap+xml"})(scope, receive, send)
            return
        headers = [(b"content-type", content_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": before, "more_body": True})
        gone = asyncio.ensure_future(receive())
        for _ in range(1024):
            if gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(pause)
        await send({"type": "http.response.body", "body": b""})

    return answer


def before_payload() -> tuple[str, bytes]:
    """Return the content type, and everything before a payload that has no end."""
    header = standin().header(incoming("m@p"))
    content_type, body = soap.mime(soap.retrieved(header, "{payload}"), b"PAYLOAD")
    return content_type, body.partition(b"PAYLOAD")[0]


async def test_a_part_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the limit, 2.5 GB were read in 8 s."""
    monkeypatch.setattr(plugin, "_LARGEST_MESSAGE", 4 * MIB)
    async with asyncio.timeout(60), desk(tmp_path, endless(*before_payload(), bytes(64 << 10))) as at:
        with pytest.raises(TransferUnavailable, match="more than 4194304 bytes"):
            await fetched(at.access_point, "m@p")


async def test_an_answer_that_drips_without_an_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin, "_LONGEST_MESSAGE", 0.3)
    async with desk(tmp_path, endless(*before_payload(), b"a", 0.02)) as at:
        fetching = asyncio.create_task(fetched(at.access_point, "m@p"))
        done, _ = await asyncio.wait({fetching}, timeout=60)
        fetching.cancel()
        assert done, "it is still being read"
        with pytest.raises(TransferUnavailable, match="seconds"):
            await fetching


async def test_an_answer_to_a_question_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "_LARGEST_ANSWER", 1 * MIB)
    async with desk(tmp_path, endless("application/soap+xml", b" ", b" " * (64 << 10))) as at:
        with pytest.raises(TransferUnavailable, match="unexpected form"):
            async with asyncio.timeout(60):
                await at.access_point.acknowledge("m@p")
