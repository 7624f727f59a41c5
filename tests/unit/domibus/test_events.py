"""Outcomes of a transfer at a Domibus, as events, although Domibus sends none."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from samdrift.contracts.transfer import TransferEvent, TransferReason, TransferState, UnderWay
from tests.domibus.standin import Sent
from tests.unit.domibus.desk import DOMAIN, OTHERS, THEM, US, Desk, desk, incoming

REFUSED = ("EBMS_0004", "no such mailbox here", "RECEIVING")
BY_ITSELF = ("EBMS_0005", "Connection refused", "SENDING")


async def events(at: Desk, wait: float = 0) -> tuple[TransferEvent, ...]:
    return (await at.access_point.poll(5, wait)).events


async def told(at: Desk) -> tuple[TransferState, TransferReason, str]:
    (event,) = await events(at)
    return event.state, event.reason, event.detail


@pytest.mark.parametrize("status", ["ACKNOWLEDGED", "ACKNOWLEDGED_WITH_WARNING"])
async def test_an_acknowledged_message_is_delivered(tmp_path: Path, status: str) -> None:
    async with desk(tmp_path) as at:
        message_id = await at.submits()
        assert await events(at) == ()
        at.domibus.sent[message_id].status = status
        (event,) = await events(at)
        assert event == TransferEvent(
            5,
            at.now,
            message_id.removesuffix(f"@{DOMAIN}"),
            message_id,
            message_id,
            TransferState.DELIVERED,
            TransferReason.NONE,
            "",
        )


@pytest.mark.parametrize(
    ("errors", "reason", "detail"),
    [
        ([BY_ITSELF], TransferReason.PEER_UNREACHABLE, "EBMS:0005 Connection refused"),
        ([REFUSED, BY_ITSELF], TransferReason.PEER_REFUSED, "EBMS:0004 no such mailbox here"),
        ([("EBMS_0301", "none", "SENDING")], TransferReason.RECEIPT_INVALID, "EBMS:0301 none"),
        ([("EBMS_0004", "NOT_SERVICED", "RECEIVING")], TransferReason.NOT_SERVICED, "EBMS:0004 NOT_SERVICED"),
        ([("EBMS_0101", "expired", "SENDING")], TransferReason.GIVEN_UP, "EBMS:0101 expired"),
        ([], TransferReason.GIVEN_UP, "Domibus reports no error"),
    ],
)
async def test_a_failure_is_told_with_the_last_word_on_it(
    tmp_path: Path, errors: list[tuple[str, str, str]], reason: TransferReason, detail: str
) -> None:
    async with desk(tmp_path) as at:
        sent = at.domibus.sent[await at.submits()]
        sent.status, sent.errors = "SEND_FAILURE", errors
        assert await told(at) == (TransferState.FAILED, reason, detail)


@pytest.mark.parametrize("status", ["WAITING_FOR_RETRY", "SEND_ATTEMPT_FAILED"])
async def test_that_another_attempt_follows_is_told_once(tmp_path: Path, status: str) -> None:
    async with desk(tmp_path) as at:
        sent = at.domibus.sent[await at.submits()]
        sent.status, sent.errors = status, [BY_ITSELF]
        state, reason, _ = await told(at)
        assert (state, reason) == (TransferState.QUEUED, TransferReason.PEER_UNREACHABLE)
        at.known = [UnderWay(each.envelope_id, wait_reported=True) for each in at.known]
        assert await events(at) == ()
        sent.status = "ACKNOWLEDGED"
        assert (await told(at))[0] is TransferState.DELIVERED


@pytest.mark.parametrize("status", ["DELETED", "NOT_FOUND"])
async def test_what_domibus_has_forgotten_has_failed(tmp_path: Path, status: str) -> None:
    """Domibus can no longer report that it was delivered (invariant 8)."""
    async with desk(tmp_path) as at:
        at.domibus.sent[await at.submits()].status = status
        state, reason, detail = await told(at)
    assert (state, reason) == (TransferState.FAILED, TransferReason.GIVEN_UP)
    assert detail.startswith(status)


async def test_a_message_that_is_there_twice_is_asked_for_as_its_sender(tmp_path: Path) -> None:
    """Between two organisations at one Domibus, the message is sent and received under one id."""
    async with desk(tmp_path) as at:
        sent = at.domibus.sent[await at.submits()]
        at.domibus.receive(incoming(sent.message_id, THEM))
        sent.status, sent.errors = "SEND_FAILURE", [BY_ITSELF]
        assert (await told(at))[1] is TransferReason.PEER_UNREACHABLE


async def test_after_a_restart_the_vault_tells_what_is_under_way(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        envelope_id = str(uuid4())
        message_id = f"{envelope_id}@{DOMAIN}"
        sent = Sent(message_id, "c", "p", "a", US.value, THEM.value, b"", "ACKNOWLEDGED")
        at.domibus.sent[message_id] = sent
        at.known.append(UnderWay(envelope_id, wait_reported=True))
        assert (await told(at))[0] is TransferState.DELIVERED


async def test_what_could_not_be_applied_is_told_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.domibus.sent[await at.submits()].status = "ACKNOWLEDGED"
        assert await events(at) == await events(at) != ()
        at.known.clear()
        assert await events(at) == ()


async def test_what_is_not_yet_in_the_vault_is_told_all_the_same(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        assert await events(at) == ()
        message_id = await at.submits()
        at.known.clear()
        at.domibus.sent[message_id].status = "ACKNOWLEDGED"
        assert (await told(at))[0] is TransferState.DELIVERED


async def test_that_another_attempt_follows_is_told_when_it_can_be_noted(tmp_path: Path) -> None:
    """Otherwise the same attempt would be reported again and again."""
    async with desk(tmp_path) as at:
        await events(at)
        message_id = await at.submits()
        at.domibus.sent[message_id].status = "WAITING_FOR_RETRY"
        assert await events(at) == ()
        at.later(minutes=1)
        assert (await told(at))[0] is TransferState.QUEUED


async def test_the_vault_is_asked_again_when_a_clock_that_was_ahead_is_right(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.later(days=1)
        await events(at)
        at.later(days=-1)
        await events(at)
        assert at.asked == 2


async def test_the_vault_is_asked_only_when_something_may_have_changed(tmp_path: Path) -> None:
    """Each opening is an entry in the organisation's log."""
    async with desk(tmp_path) as at:
        await events(at, wait=0.2)
        await events(at)
        assert at.asked == 1
        message_id = await at.submits()
        await events(at)
        assert at.asked == 1
        at.domibus.sent[message_id].status = "ACKNOWLEDGED"
        await events(at)
        at.known.clear()
        await events(at)
        assert at.asked == 2
        at.later(minutes=11)
        await events(at)
        assert at.asked == 3


async def test_a_transfer_that_domibus_will_not_speak_of_holds_up_no_other(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.domibus.sent[await at.submits()].sender = OTHERS.value
        at.domibus.sent[await at.submits()].status = "ACKNOWLEDGED"
        assert (await told(at))[0] is TransferState.DELIVERED


async def test_a_word_that_is_not_known_holds_up_no_other_transfer_and_nothing_that_waits(
    tmp_path: Path,
) -> None:
    """This holds even if the other access point's words make the errors unreadable."""
    async with desk(tmp_path) as at:
        at.domibus.sent[await at.submits()].status = "PUT_ON_A_SHELF"
        failed = at.domibus.sent[await at.submits()]
        failed.status, failed.errors = "SEND_FAILURE", [("EBMS_0004", "not XML: \x01", "RECEIVING")]
        at.domibus.receive(incoming("m@p"))
        found = await at.access_point.poll(5, 0)
        assert [item.id for item in found.inbox] == ["m@p"]
        (event,) = found.events
        assert (event.as4_message_id, event.state) == (failed.message_id, TransferState.FAILED)


async def test_of_very_many_transfers_each_gets_its_turn(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.domibus.sent[await at.submits()].status = "ACKNOWLEDGED"
        for _ in range(120):
            await at.submits()
        last = at.known.pop(0)
        at.known.append(last)
        seen = [event for _ in range(3) for event in await events(at)]
        assert [event.envelope_id for event in seen] == [last.envelope_id]
        assert at.domibus.calls["statusRequestWithAccessPointRole"] == 150
