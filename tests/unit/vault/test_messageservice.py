"""The message service's vault: messages, receipts and work, all or nothing, sealed at rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from samdrift.audit.events import LogEvent
from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState, WorkKind
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import UnderWay
from samdrift.vault.database.session import Row, Session, Statement
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import MessageRecord, ReceiptRecord, Received, StatusEvent, WorkItem
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import MINUTE, NOW, Installation, body, message, receipt

MT = Role.MESSAGE_SERVICE
ROLES = (MT,)
IN, OUT = Direction.IN, Direction.OUT
SUBMITTED = StatusEvent(NOW, MessageStatus.SUBMITTED, "Message handed over", "detail", "/path")


async def sent(vault: MessageServiceVault, lease: timedelta | None = MINUTE, **fields: Any) -> MessageRecord:
    """Store an outgoing message."""
    record = message(**fields)
    assert await vault.create_outgoing(record, await body(vault, b"<sdk/>"), now=NOW, lease=lease)
    return record


async def came_in(
    vault: MessageServiceVault, record: MessageRecord, item_id: str = "item"
) -> tuple[Received, ReceiptRecord]:
    """Store an incoming message with its receipt."""
    answer = receipt(record.id)
    received = await vault.receive(
        record, await body(vault, b"<sdk/>"), answer, b"<ar/>", item_id=item_id, now=NOW, lease=MINUTE
    )
    return received, answer


async def test_a_message_comes_back_as_it_was_stored(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault, label="Orosanmälan 😀", sender_address="", recipient_address="å:ä")
    async with installation.open(organisation, MT) as vault:
        assert await vault.message(record.id) == record
        assert await (await vault.body(record.id, OUT)).read_all() == b"<sdk/>"
        assert await vault.message("unknown") is None
        with pytest.raises(UnknownRecord):
            await vault.body("unknown", OUT)


async def test_an_id_is_used_once(installation: Installation, organisation: ParticipantIdentifier) -> None:
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault)
    async with installation.open(organisation, MT) as vault:
        assert not await vault.create_outgoing(record, await body(vault, b"other"), now=NOW, lease=MINUTE)
        assert await (await vault.body(record.id, OUT)).read_all() == b"<sdk/>"


@pytest.mark.parametrize(("lease", "due"), [(MINUTE, NOW + MINUTE), (None, NOW)])
async def test_a_new_message_is_work_for_its_creator_or_for_anybody(
    installation: Installation,
    organisation: ParticipantIdentifier,
    lease: timedelta | None,
    due: object,
) -> None:
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault, lease)
        assert await vault.next_due() == due
        claims = 1 if lease is None else 2
        (item,) = await vault.claim_work(now=NOW + MINUTE, lease=MINUTE, limit=9)
    assert item == WorkItem(WorkKind.MESSAGE, record.id, claims)


async def test_what_comes_in_is_stored_once_with_its_answer(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    record = message(IN)
    async with installation.open(organisation, MT) as vault:
        assert not await vault.was_processed("item-1")
        received, answer = await came_in(vault, record, "item-1")
    assert received is Received.STORED
    async with installation.open(organisation, MT) as vault:
        assert await vault.was_processed("item-1")
        assert await vault.receipt(answer.id) == answer
        assert await vault.receipt_for_message(record.id) == answer
        assert await vault.receipt_for_message(record.id, IN) is None
        assert await vault.receipt_body(answer.id) == b"<ar/>"
        (item,) = await vault.claim_work(now=NOW + MINUTE, lease=MINUTE, limit=9)
        assert (item.kind, item.id) == (WorkKind.RECEIPT, answer.id)
    async with installation.open(organisation, MT) as vault:
        again, unused = await came_in(vault, record, "item-1")
    assert again is Received.DUPLICATE_DELIVERY
    async with installation.open(organisation, MT) as vault:
        assert await vault.receipt(unused.id) is None


async def test_a_second_message_with_a_known_id_is_answered_and_not_stored(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    record = message(IN, label="first")
    async with installation.open(organisation, MT) as vault:
        await came_in(vault, record, "item-1")
    async with installation.open(organisation, MT) as vault:
        received, unused = await came_in(vault, message(IN, message_id=record.id, label="second"), "item-2")
        assert received is Received.DUPLICATE_ID
        assert not await vault.was_processed("item-2")
        answer = receipt(record.id)
        outcome = await vault.receive(
            None, None, answer, b"<rejected/>", item_id="item-2", now=NOW, lease=MINUTE
        )
        assert outcome is Received.STORED
    async with installation.open(organisation, MT) as vault:
        stored = await vault.message(record.id, IN)
        assert stored is not None
        assert stored.label == "first"
        assert await vault.receipt(unused.id) is None
        assert await vault.receipt_body(answer.id) == b"<rejected/>"
        outcome = await vault.receive(
            None, None, receipt(record.id), b"", item_id="item-2", now=NOW, lease=None
        )
        assert outcome is Received.DUPLICATE_DELIVERY


async def test_of_a_rejected_message_the_facts_are_kept(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    record = message(IN, status=MessageStatus.REJECTED)
    async with installation.open(organisation, MT) as vault:
        await vault.receive(record, None, receipt(record.id), b"<ar/>", item_id="item", now=NOW, lease=MINUTE)
    async with installation.open(organisation, MT) as vault:
        assert await vault.message(record.id) == record
        with pytest.raises(UnknownRecord):
            await vault.body(record.id, IN)


async def test_two_deliveries_of_one_item_at_once_store_it_once(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    record = message(IN)

    async def deliver() -> Received:
        async with installation.open(organisation, MT) as vault:
            received, _ = await came_in(vault, record)
            await asyncio.sleep(0.01)
        return received

    outcomes = await asyncio.gather(*(deliver() for _ in range(5)))
    assert sorted(outcomes) == [Received.DUPLICATE_DELIVERY] * 4 + [Received.STORED]


async def test_who_writes_to_itself_has_the_message_twice(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault)
        await came_in(vault, message(IN, message_id=record.id))
        await vault.set_status(record.id, MessageStatus.NEW, (), now=NOW, deadline=None, direction=IN)
    async with installation.open(organisation, MT) as vault:
        out, inward = await vault.message(record.id, OUT), await vault.message(record.id, IN)
        assert out is not None
        assert inward is not None
        assert (out.status, inward.status) == (MessageStatus.SCHEDULED, MessageStatus.NEW)
        assert await vault.message(record.id) == out
        work = await vault.claim_work(now=NOW + MINUTE, lease=MINUTE, limit=9)
        assert WorkKind.MESSAGE in {item.kind for item in work}, (
            "the outgoing message must still wait to be sent"
        )


async def test_a_step_moves_status_events_deadline_and_work_together(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    later = StatusEvent(NOW + MINUTE, MessageStatus.WAITING_FOR_RECEIPT, "Waiting")
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault)
        moved = await vault.set_status(
            record.id,
            MessageStatus.SUBMITTED,
            (SUBMITTED, later),
            now=NOW + MINUTE,
            deadline=NOW + 5 * MINUTE,
            direction=OUT,
        )
        assert moved
    async with installation.open(organisation, MT) as vault:
        stored = await vault.message(record.id, OUT)
        assert stored is not None
        assert (stored.status, stored.updated_at) == (MessageStatus.SUBMITTED, NOW + MINUTE)
        assert await vault.status_events(record.id, OUT) == (later, SUBMITTED)
        assert await vault.next_due() == NOW + 5 * MINUTE, "the work of sending must be finished"
        (item,) = await vault.claim_work(now=NOW + 5 * MINUTE, lease=MINUTE, limit=9)
        assert (item.kind, item.id) == (WorkKind.DEADLINE, record.id)


@pytest.mark.parametrize("final", [status for status in MessageStatus if status.final])
async def test_a_final_status_never_changes_and_ends_all_work(
    installation: Installation, organisation: ParticipantIdentifier, final: MessageStatus
) -> None:
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault)
        assert await vault.set_status(record.id, final, (), now=NOW, deadline=None, direction=OUT)
        assert await vault.next_due() is None
        for status in (MessageStatus.SUBMITTED, final):
            moved = await vault.set_status(
                record.id, status, (SUBMITTED,), now=NOW, deadline=NOW, direction=OUT
            )
            assert not moved
        assert await vault.status_events(record.id, OUT) == ()
        assert await vault.next_due() is None


async def test_an_unknown_message_or_receipt_does_not_move(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        assert not await vault.set_status(
            "unknown", MessageStatus.SUBMITTED, (SUBMITTED,), now=NOW, deadline=NOW, direction=OUT
        )
        assert await vault.next_due() is None
    with pytest.raises(UnknownRecord):
        async with installation.open(organisation, MT) as vault:
            await vault.set_receipt_state("unknown", ReceiptState.DELIVERED, now=NOW, deadline=None)


async def test_after_a_failed_operation_nothing_is_committed(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async def go_on_all_the_same() -> None:
        async with installation.open(organisation, MT) as vault:
            await sent(vault)
            await vault.set_receipt_state("unknown", ReceiptState.DELIVERED, now=NOW, deadline=None)
            with pytest.raises(UnknownRecord):
                await vault.next_due()

    with pytest.raises(UnknownRecord):
        await go_on_all_the_same()
    async with installation.open(organisation, MT) as vault:
        assert await vault.messages() == ()
        assert [entry.event for entry in await vault.log()] == [LogEvent.LOG_TREE_BEGUN]


async def test_a_receipt_moves_with_its_deadline_and_work(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        _, answer = await came_in(vault, message(IN))
        await vault.set_receipt_state(answer.id, ReceiptState.SUBMITTED, now=NOW, deadline=NOW + 2 * MINUTE)
        moved = await vault.receipt(answer.id)
        assert moved is not None
        assert moved.state is ReceiptState.SUBMITTED
        (item,) = await vault.claim_work(now=NOW + 2 * MINUTE, lease=MINUTE, limit=9)
        assert (item.kind, item.id) == (WorkKind.DEADLINE, answer.id)
        await vault.set_receipt_state(answer.id, ReceiptState.DELIVERED, now=NOW, deadline=None)
        assert await vault.next_due() is None


@pytest.mark.parametrize("end", [ReceiptState.DELIVERED, ReceiptState.FAILED])
async def test_that_a_receipt_was_handed_over_does_not_undo_its_end_told_meanwhile(
    installation: Installation, organisation: ParticipantIdentifier, end: ReceiptState
) -> None:
    async with installation.open(organisation, MT) as vault:
        _, answer = await came_in(vault, message(IN))
    async with installation.open(organisation, MT) as handing_over:
        before = await handing_over.receipt(answer.id)
        assert before is not None
        assert before.state is ReceiptState.QUEUED
        async with installation.open(organisation, MT) as polling:
            await polling.set_receipt_state(answer.id, end, now=NOW, deadline=None)
        late = NOW + 2 * MINUTE
        await handing_over.set_receipt_state(answer.id, ReceiptState.SUBMITTED, now=NOW, deadline=late)
    async with installation.open(organisation, MT) as vault:
        after = await vault.receipt(answer.id)
        assert after is not None
        assert after.state is end
        assert await vault.next_due() is None


async def test_a_receipt_that_failed_by_its_deadline_may_be_delivered_late(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        _, answer = await came_in(vault, message(IN))
        await vault.set_receipt_state(answer.id, ReceiptState.FAILED, now=NOW, deadline=None)
        await vault.set_receipt_state(answer.id, ReceiptState.DELIVERED, now=NOW, deadline=None)
        moved = await vault.receipt(answer.id)
        assert moved is not None
        assert moved.state is ReceiptState.DELIVERED


async def test_under_way_is_what_the_access_point_has_and_has_not_told_the_end_of(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        await sent(vault)
        submitted, postponed, over = [await sent(vault) for _ in range(3)]
        for record, status in (
            (submitted, MessageStatus.SUBMITTED),
            (postponed, MessageStatus.SCHEDULED_FOR_RESEND),
            (over, MessageStatus.WAITING_FOR_RECEIPT),
        ):
            await vault.set_status(record.id, status, (), now=NOW, deadline=NOW + MINUTE, direction=OUT)
        _, queued = await came_in(vault, message(IN), "other-item")
        _, answer = await came_in(vault, message(IN))
        await vault.schedule(WorkKind.DEADLINE, queued.id, NOW)
        await vault.set_receipt_state(answer.id, ReceiptState.SUBMITTED, now=NOW, deadline=NOW)
    async with installation.open(organisation, MT) as vault:
        assert set(await vault.under_way(9)) == {
            UnderWay(submitted.id, wait_reported=False),
            UnderWay(postponed.id, wait_reported=True),
            UnderWay(answer.id, wait_reported=True),
        }
        assert await vault.under_way(1) == (UnderWay(answer.id, wait_reported=True),), "the most urgent first"


async def test_a_received_receipt_is_kept_once(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault)
        answer = receipt(record.id, IN)
        assert await vault.store_received_receipt(answer, b"<ar/>", now=NOW)
        assert not await vault.store_received_receipt(answer, b"<other/>", now=NOW)
        assert await vault.receipt_for_message(record.id, IN) == answer
        assert await vault.receipt_body(answer.id) == b"<ar/>"
        with pytest.raises(UnknownRecord):
            await vault.receipt_body("unknown")


async def test_messages_are_filtered_and_paged_newest_first(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        records = [
            await sent(vault, at=NOW + number * MINUTE, sender_address=f"inkorg{number % 2}")
            for number in range(6)
        ]
        await came_in(vault, message(IN, at=NOW - MINUTE, recipient_address="reception"))
        records.reverse()

        async def found(**filters: Any) -> list[str]:
            return [record.id for record in await vault.messages(**filters)]

        ids = [record.id for record in records]
        assert (await found())[:6] == ids
        assert len(await found()) == 7
        assert await found(direction=OUT) == ids
        assert len(await found(direction=IN, statuses=[MessageStatus.RETRIEVED])) == 1
        assert await found(direction=IN, statuses=[MessageStatus.NEW]) == []
        assert len(await found(statuses=[MessageStatus.RETRIEVED, MessageStatus.SCHEDULED])) == 7
        assert await found(sender_addresses=["inkorg0"]) == ids[1::2]
        assert len(await found(recipient_addresses=["reception"])) == 1
        assert await found(sender_addresses=["inkorg1", "nobody", "inkorg0"]) == ids
        assert await found(sender_addresses=["nobody"]) == []
        assert await found(direction=OUT, start=NOW + MINUTE, stop=NOW + 3 * MINUTE) == ids[2:5]
        assert await found(direction=OUT, limit=2) == ids[:2]
        last = records[1]
        assert await found(direction=OUT, limit=2, before=(last.created_at, last.id, OUT)) == ids[2:4]


async def test_a_deleted_message_is_gone_but_its_id_and_its_proof_stay(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    record = message(IN)
    async with installation.open(organisation, MT) as vault:
        _, answer = await came_in(vault, record)
        await vault.set_status(
            record.id, MessageStatus.NEW, (SUBMITTED,), now=NOW, deadline=None, direction=IN
        )
    async with installation.open(organisation, MT) as vault:
        assert not await vault.delete(record.id, OUT)
        assert await vault.delete(record.id, IN)
        assert not await vault.delete(record.id, IN)
        assert await vault.message(record.id) is None
        assert await vault.messages() == ()
        assert await vault.status_events(record.id, IN) == ()
        assert await vault.receipt(answer.id) == answer
        assert await vault.receipt_body(answer.id) == b"<ar/>"
        with pytest.raises(UnknownRecord):
            await vault.body(record.id, IN)
        received, _ = await came_in(vault, record, "another item")
        assert received is Received.DUPLICATE_ID


async def test_a_digest_is_kept_sealed_under_its_commitment(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Equal digests have different commitments, so that the log does not confirm a guess."""
    value = sha256(b"content").digest()
    async with installation.open(organisation, MT) as vault:
        first, second = vault.keep_digest(value), vault.keep_digest(value)
    assert first != second
    async with installation.open(organisation, MT) as vault:
        for commitment in (first, second):
            kept = await vault.digest(commitment)
            assert kept is not None
            assert kept.sha256 == value
            assert sha256(kept.salt + value).hexdigest() == commitment
        assert await vault.digest(sha256(value).hexdigest()) is None


async def test_what_came_in_from_oneself_is_deleted_and_what_was_sent_still_has_its_deadline(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Both have the same id, and deleting one does not keep the other from its end."""
    record = message()
    async with installation.open(organisation, MT) as vault:
        await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)
        await came_in(vault, replace(record, direction=IN, status=MessageStatus.RETRIEVED))
        await vault.set_status(
            record.id,
            MessageStatus.SUBMITTED,
            (SUBMITTED,),
            now=NOW,
            deadline=NOW + 9 * MINUTE,
            direction=OUT,
        )
    async with installation.open(organisation, MT) as vault:
        assert await vault.delete(record.id, IN)
    async with installation.open(organisation, MT) as vault:
        due = await vault.claim_work(now=NOW + 9 * MINUTE, lease=MINUTE, limit=9)
        assert (WorkKind.DEADLINE, record.id) in [(item.kind, item.id) for item in due]


async def test_work_is_claimed_once_rescheduled_and_finished(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        for number in range(12):
            await vault.schedule(WorkKind.DEADLINE, f"d{number}", NOW)

    async def claim() -> list[WorkItem]:
        async with installation.open(organisation, MT) as vault:
            return list(await vault.claim_work(now=NOW, lease=MINUTE, limit=3))

    claimed = [item for items in await asyncio.gather(*(claim() for _ in range(5))) for item in items]
    assert sorted(item.id for item in claimed) == sorted(f"d{number}" for number in range(12))
    async with installation.open(organisation, MT) as vault:
        for item in claimed[1:]:
            await vault.finish_work(item.kind, item.id)
        await vault.finish_work(WorkKind.DEADLINE, "unknown")
        await vault.reschedule(WorkKind.DEADLINE, claimed[0].id, next_attempt=NOW + 9 * MINUTE)
        await vault.reschedule(WorkKind.DEADLINE, "unknown", next_attempt=NOW)
        assert await vault.next_due() == NOW + 9 * MINUTE
        assert await vault.claim_work(now=NOW + 9 * MINUTE, lease=MINUTE, limit=3) == (
            WorkItem(WorkKind.DEADLINE, claimed[0].id, 2),
        )


async def test_cursors_are_remembered_by_name(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        assert await vault.cursor("events") == 0
        await vault.set_cursor("events", 2**40)
        await vault.set_cursor("events", 7)
        await vault.set_cursor("other", 1)
        assert (await vault.cursor("events"), await vault.cursor("other")) == (7, 1)


async def test_mark_processed_may_be_repeated(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    for _ in range(2):
        async with installation.open(organisation, MT) as vault:
            await vault.mark_processed("item", now=NOW)
            assert await vault.was_processed("item")


async def test_a_mailbox_is_stored_once_a_day_by_a_process(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[object] = []
    run = Session.run

    async def noted(session: Session, statements: Sequence[Statement]) -> list[list[Row]]:
        if installation.is_logged_in(session, organisation):
            stored.extend(sql for sql, _ in statements if "know_mailbox" in sql)
        return await run(session, statements)

    monkeypatch.setattr(Session, "run", noted)
    for day, number in ((0, 1), (0, 1), (1, 2)):
        async with installation.open(organisation, MT) as vault:
            content = await body(vault, b"<sdk/>")
            record = message(sender_address="sdk.once@0203:habo.se")
            assert await vault.create_outgoing(record, content, now=NOW + timedelta(day), lease=MINUTE)
        assert len(stored) == number
    async with installation.open(organisation, MT) as vault:
        await came_in(vault, message(direction=IN, recipient_address="sdk.once@0203:habo.se"))
    assert len(stored) == 3, "an earlier day must be stored as another day"


async def test_a_mailbox_of_a_message_that_was_not_stored_is_stored_with_the_next_one(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Otherwise the address would be unknown, because details of this length are not read to find it."""
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault)
    other = replace(record, sender_address="sdk.never@0203:habo.se")
    for supposed in (False, True):
        async with installation.open(organisation, MT) as vault:
            content = await body(vault, b"<sdk/>")

            async def again() -> None:
                await vault.create_outgoing(other, content, now=NOW, lease=MINUTE)  # noqa: B023

            assert not (supposed and await vault.suppose(again))
            assert supposed or not await vault.create_outgoing(other, content, now=NOW, lease=MINUTE)
    async with installation.open(organisation, MT) as vault:
        await sent(vault, sender_address=other.sender_address, label="x" * 70_000)
    async with installation.open(organisation, MT) as vault:
        assert other.sender_address in await vault.mailboxes()


async def test_what_is_asked_for_none_is_not_asked(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault)
        _, answer = await came_in(vault, message(direction=IN))
    async with installation.open(organisation, MT) as vault:
        receipts, messages = await vault.concerned([answer.id], [record.id])
        assert await vault.concerned([], []) == ({}, {})
        assert await vault.concerned([answer.id], []) == (receipts, {})
        assert await vault.concerned([], [record.id]) == ({}, messages)
    assert (list(receipts), list(messages)) == ([answer.id], [record.id])
