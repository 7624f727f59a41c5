"""Handing envelopes to a Domibus exactly once, whatever happens to the answer."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from samdrift.contracts.transfer import Submission, TransferReason, TransferRefused, TransferUnavailable
from samdrift.wire.identifiers import SDK_MESSAGE_BASE
from tests.domibus import soap
from tests.domibus.standin import Domibus, Fault
from tests.unit.domibus.desk import DOMAIN, OTHERS, PARTY, THEM, US, desk, envelope, standin

ID = str(uuid4())
MIB = 1 << 20


async def test_an_envelope_is_submitted_under_an_id_that_follows_from_its_own(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        data = envelope(ID, payload=b'<a xmlns="urn:x">\r\n--samdrift-</a>')
        assert await at.access_point.submit(ID, "c-7", data) == Submission(ID, f"{ID}@{DOMAIN}", True)
        (sent,) = at.domibus.sent.values()
    assert (sent.sender, sent.recipient, sent.party) == (US.value, THEM.value, PARTY)
    assert (sent.action, sent.conversation_id) == (SDK_MESSAGE_BASE.action, "c-7")
    assert sent.envelope == data


async def test_an_envelope_in_pieces_arrives_whole(tmp_path: Path) -> None:
    data = envelope(ID, payload=b'<a xmlns="urn:x">' + b"x" * 300_000 + b"</a>")

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]

    async with desk(tmp_path) as at:
        await at.access_point.submit(ID, "c", pieces())
        assert at.domibus.sent[f"{ID}@{DOMAIN}"].envelope == data


async def test_what_domibus_has_already_is_not_sent_twice(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        assert (await at.access_point.submit(ID, "c", envelope(ID))).created
        assert not (await at.access_point.submit(ID, "c", envelope(ID))).created
        assert len(at.domibus.sent) == 1


async def test_a_message_that_got_another_id_is_not_sent_again(tmp_path: Path) -> None:
    """It is on its way, and its outcome cannot be known."""

    class Stubborn(Domibus):
        async def _does(self, asked: Any, organisation: str) -> tuple[str, bytes | None]:
            found = await super()._does(asked, organisation)
            own = soap.message_ids("submitResponse", [f"{len(self.sent)}@domibus.example"])
            return (own, None) if asked.what == "submitRequest" else found

    async with desk(tmp_path, Stubborn(PARTY, standin().users)) as at:
        with pytest.raises(TransferRefused, match="another id") as caught:
            await at.access_point.submit(ID, "c", envelope(ID))
        assert caught.value.reason is TransferReason.GIVEN_UP


async def test_after_a_lost_answer_the_same_call_finds_the_message_there(tmp_path: Path) -> None:
    async with desk(tmp_path, standin(lose_answers=1)) as at:
        with pytest.raises(TransferUnavailable):
            await at.access_point.submit(ID, "c", envelope(ID))
        assert (await at.access_point.submit(ID, "c", envelope(ID))).created is False
        assert [*at.domibus.sent] == [f"{ID}@{DOMAIN}"]


@pytest.mark.parametrize("code", ["EBMS:0009", "WS_PLUGIN_0005"])
async def test_a_fault_that_every_attempt_would_meet_is_final(tmp_path: Path, code: str) -> None:
    refusal = Fault("Invalid request", code, "Mandatory field From Role is not provided.")
    async with desk(tmp_path, standin(refuse=refusal)) as at:
        with pytest.raises(TransferRefused, match="From Role") as caught:
            await at.access_point.submit(ID, "c", envelope(ID))
    assert caught.value.reason is TransferReason.ENVELOPE_INVALID


@pytest.mark.parametrize(
    "refusal",
    [
        Fault("Message submission failed", "EBMS:0003", "Could not fetch metadata from SMP"),
        Fault("Message submission failed", "EBMS:0010", "No matching party"),
        Fault("Message submission failed", "EBMS:0004", "already exists"),
        Fault("Bad credentials"),
    ],
    ids=lambda fault: fault.code,
)
async def test_any_other_fault_may_pass_and_is_told_in_its_own_words(tmp_path: Path, refusal: Fault) -> None:
    """Only the status, not the words of a fault, can show that a message is there."""
    async with desk(tmp_path, standin(refuse=refusal)) as at:
        with pytest.raises(TransferUnavailable, match=refusal.text or refusal.reason):
            await at.access_point.submit(ID, "c", envelope(ID))


@pytest.mark.parametrize(
    "data",
    [b"", b"no envelope", envelope(str(uuid4())), envelope(ID, sender=OTHERS), envelope(ID)[:300]],
    ids=["nothing", "no XML", "another envelope", "another sender", "half of its header"],
)
async def test_only_the_organisations_own_envelope_goes_out(tmp_path: Path, data: bytes) -> None:
    async with desk(tmp_path) as at:
        with pytest.raises(TransferRefused) as caught:
            await at.access_point.submit(ID, "c", data)
        assert at.domibus.calls.total() == 0
    assert caught.value.reason is TransferReason.ENVELOPE_INVALID


async def test_a_conversation_id_that_no_xml_holds_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        with pytest.raises(TransferRefused):
            await at.access_point.submit(ID, "c\x00", envelope(ID))


async def test_the_password_is_read_anew_for_each_call(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        right = at.password_file.read_text("utf-8")
        at.password_file.write_text("wrong")
        with pytest.raises(TransferUnavailable, match="Bad credentials"):
            await at.submits()
        at.password_file.unlink()
        with pytest.raises(TransferUnavailable, match="FileNotFoundError"):
            await at.submits()
        at.password_file.write_text(right, "utf-8")
        await at.submits()


async def test_thirty_megabytes_go_out_in_bounded_memory(tmp_path: Path) -> None:
    begun = envelope(ID, payload=b'<a xmlns="urn:x">' + b"x" * 65536 + b"</a>")
    before, _, after = begun.partition(b"x" * 65536)
    received = 0

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        nonlocal received
        more = True
        while more:
            event = await receive()
            received += len(event["body"])
            more = event["more_body"]
        answer = soap.message_ids("submitResponse", [f"{ID}@{DOMAIN}"]).encode()
        headers = [(b"content-type", b"application/soap+xml")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def pieces() -> AsyncIterator[bytes]:
        yield before
        for _ in range(30 * 16):
            yield b"x" * 65536
        yield after

    async with desk(tmp_path, counting) as at:
        tracemalloc.start()
        await at.access_point.submit(ID, "c", pieces())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert received > 30 * MIB
    assert peak < 6 * MIB
