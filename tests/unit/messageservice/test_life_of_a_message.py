"""Progress of messages and receipts, whatever the order of the reports (invariant 8)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast
from uuid import uuid4

import pytest

from samdrift.config.malware import MalwareConfig
from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState, WorkKind
from samdrift.contracts.principals import Principal, PrincipalKind, Role
from samdrift.contracts.transfer import TransferEvent, TransferReason, TransferState
from samdrift.installation.services import NoAddressBook, malware_scanner
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.incoming.inbox import match_receipt
from samdrift.messageservice.incoming.judging import NewReceipt
from samdrift.messageservice.lifecycle import progress
from samdrift.messageservice.lifecycle.ledger import advance, pass_deadline
from samdrift.messageservice.lifecycle.transfers import CURSOR, Transfers
from samdrift.messageservice.outgoing.compose import Address
from samdrift.messageservice.outgoing.sender import Sender
from samdrift.messageservice.screening import Screening
from samdrift.messageservice.service import MessageService
from samdrift.messageservice.settings import MessageServiceSettings, OrganisationProfile
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import MessageRecord, ReceiptRecord, WorkItem
from samdrift.wire import receipt as receipts
from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.identifiers import FEDERATION_TEST, RECEIPT_EXTENDED, ParticipantIdentifier
from samdrift.wire.receipt import MessageReceipt
from tests.roles.letters import header, letter
from tests.settings import message_service_settings
from tests.vaults import MINUTE, NOW, Installation, body, due_now, message, receipt

MT: Final = Role.MESSAGE_SERVICE
ROLES = (MT,)
OUT = Direction.OUT
SETTINGS = message_service_settings(FEDERATION_TEST)
WAITING = MessageStatus.WAITING_FOR_RECEIPT


def now() -> datetime:
    return NOW


async def sent(vault: MessageServiceVault, message_id: str | None = None) -> MessageRecord:
    record = message(message_id=message_id)
    assert await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)
    return record


def delivered(envelope_id: str) -> TransferEvent:
    return TransferEvent(1, NOW, envelope_id, "t", "a@b", TransferState.DELIVERED, TransferReason.NONE, "")


async def status(
    installation: Installation, organisation: ParticipantIdentifier, message_id: str
) -> MessageStatus:
    async with installation.open(organisation, MT) as vault:
        record = await vault.message(message_id, OUT)
    assert record is not None
    return record.status


async def test_that_it_was_submitted_does_not_undo_that_it_was_delivered(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault)
    await Transfers(SETTINGS, installation.gate, now).apply(organisation, [delivered(record.id)])
    async with installation.open(organisation, MT) as vault:
        await advance(vault, record.id, OUT, progress.submitted(SETTINGS, NOW), NOW)
    assert await status(installation, organisation, record.id) is WAITING
    async with installation.open(organisation, MT) as vault:
        assert await vault.next_due() == NOW + SETTINGS.receipt_within


async def test_events_of_which_one_comes_too_late_are_applied_all_the_same(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """They share one transaction, and the assumption made for all does not hold for one."""
    async with installation.open(organisation, MT) as vault:
        late, other = await sent(vault), await sent(vault)
        await pass_deadline(vault, late.id, NOW)
    events = [delivered(late.id), delivered(other.id)]
    await Transfers(SETTINGS, installation.gate, now).apply(organisation, events)
    assert await status(installation, organisation, late.id) is MessageStatus.MESSAGE_EXCHANGE_ERROR
    assert await status(installation, organisation, other.id) is WAITING
    async with installation.open(organisation, MT) as vault:
        logs = {record.id: await vault.find_log(record.id) for record in (late, other)}
        assert await vault.cursor(CURSOR) == events[-1].sequence
    told = {message_id: [entry.event for entry in entries] for message_id, entries in logs.items()}
    assert told[late.id][-1] == MTEvent.MT_MESSAGE_LATE
    assert told[other.id] == [MTEvent.MT_MESSAGE_ACKNOWLEDGED]


async def stolen_id(vault: MessageServiceVault, message_id: str, other_id: str) -> None:
    """Store a receipt for one message under an envelope id that belongs to the other."""
    fields: dict[str, Any] = {"id": message_id, "state": ReceiptState.RECEIVED}
    answer = receipt(other_id, Direction.IN)
    kept = {name: getattr(answer, name) for name in ReceiptRecord.__slots__} | fields
    assert await vault.store_received_receipt(ReceiptRecord(**kept), b"<ar/>", now=NOW)


async def test_a_receipt_that_came_in_with_the_id_of_our_message_hides_no_transfer(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        record, other = await sent(vault), await sent(vault)
        await stolen_id(vault, record.id, other.id)
    await Transfers(SETTINGS, installation.gate, now).apply(organisation, [delivered(record.id)])
    assert await status(installation, organisation, record.id) is WAITING


async def test_a_receipt_that_came_in_with_the_id_of_our_message_takes_no_deadline_away(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        record, other = await sent(vault), await sent(vault)
        await stolen_id(vault, record.id, other.id)
        await pass_deadline(vault, record.id, NOW)
    assert await status(installation, organisation, record.id) is MessageStatus.MESSAGE_EXCHANGE_ERROR


async def test_a_receipt_after_its_time_is_noted_and_changes_nothing(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """The time-out of the message receipt comes first, and the receipt later."""
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault)
    await Transfers(SETTINGS, installation.gate, now).apply(organisation, [delivered(record.id)])
    late = NOW + SETTINGS.receipt_within
    async with installation.open(organisation, MT) as vault:
        assert WorkItem(WorkKind.DEADLINE, record.id, 1) in await vault.claim_work(
            now=late, lease=MINUTE, limit=10
        )
        await pass_deadline(vault, record.id, late)
        (last, *_) = await vault.status_events(record.id, OUT)
    assert last.title == "No message receipt came in time"
    async with installation.open(organisation, MT) as vault:
        message = await vault.message(record.id, OUT)
        await match_receipt(vault, accepting(record), message, late + MINUTE)
    async with installation.open(organisation, MT) as vault:
        kept = await vault.receipt_for_message(record.id, Direction.IN)
        events = [entry.event for entry in await vault.find_log(record.id)]
    assert await status(installation, organisation, record.id) is MessageStatus.MESSAGE_EXCHANGE_ERROR
    assert kept is not None, "a late receipt must be kept as evidence"
    assert events[-2:] == [MTEvent.MT_RECEIPT_RECEIVED, MTEvent.MT_MESSAGE_LATE]


def accepting(record: MessageRecord, **changes: Any) -> NewReceipt:
    """Return the receipt that the recipient of a message should send, or a changed one."""
    parties = changes.pop("sender", record.recipient), record.sender
    answer = MessageReceipt(str(uuid4()), NOW, *parties, record.id, ReceiptStatus.ACCEPTED)
    answer = replace(answer, **changes)
    says = header(*parties, id=answer.id, document=RECEIPT_EXTENDED)
    return NewReceipt(says, answer, receipts.build(answer))


@pytest.mark.parametrize(
    "changes",
    [{"message_id": str(uuid4())}, {"sender": ParticipantIdentifier("0203:nagonannan.se")}],
    ids=["for no message", "from another than its recipient"],
)
async def test_a_receipt_that_fits_no_message_is_noted_and_changes_nothing(
    installation: Installation, organisation: ParticipantIdentifier, changes: dict[str, Any]
) -> None:
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault)
    await Transfers(SETTINGS, installation.gate, now).apply(organisation, [delivered(record.id)])
    answer = accepting(record, **changes)
    async with installation.open(organisation, MT) as vault:
        message = await vault.message(answer.receipt.message_id, OUT)
        await match_receipt(vault, answer, message, NOW)
    async with installation.open(organisation, MT) as vault:
        assert await vault.receipt(answer.header.id) is None
        (entry,) = await vault.find_log(answer.header.id)
    assert entry.event == MTEvent.MT_RECEIPT_UNMATCHED
    assert await status(installation, organisation, record.id) is WAITING


@pytest.mark.parametrize(("ours", "theirs"), [("upper", "lower"), ("lower", "upper"), ("upper", "upper")])
@pytest.mark.parametrize("together", [False, True])
async def test_a_receipt_names_its_message_in_upper_or_lower_case(
    installation: Installation,
    organisation: ParticipantIdentifier,
    ours: str,
    theirs: str,
    together: bool,
) -> None:
    """Some clients write UUIDs in upper case, and some recipients keep them as numbers (RFC 4122 3)."""
    async with installation.open(organisation, MT) as vault:
        record = await sent(vault, getattr(str(uuid4()), ours)())
    answer = accepting(record, message_id=getattr(record.id, theirs)())
    named = answer.receipt.message_id
    async with installation.open(organisation, MT) as vault:
        if together:
            _, known = await vault.concerned([], [named])
            message = known.get(named)
        else:
            _, message = await vault.answered_by("item", named, now=NOW)
        await match_receipt(vault, answer, message, NOW)
    assert await status(installation, organisation, record.id) is MessageStatus.ACCEPTED
    async with installation.open(organisation, MT) as vault:
        assert await vault.receipt_for_message(record.id, Direction.IN) is not None


async def test_a_message_has_a_deadline_from_its_birth(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    sender = Address(organisation, "Vi", "registrator", "Registrator")
    profile = OrganisationProfile(organisation, "Vi", frozenset({sender.functional_address}))
    full = replace(SETTINGS, parallel=0)
    sending = _Sender(installation, full)
    screening = Screening(malware_scanner(MalwareConfig(None)))
    book = NoAddressBook()
    service = MessageService(
        SETTINGS, installation.gate, sending, screening, book, {organisation: profile}, now
    )
    principal = Principal(PrincipalKind.SYSTEM, "test", organisation.value)
    sent_one = await service.send(principal, organisation, letter(sender, sender))
    late = NOW + SETTINGS.sent_within
    async with installation.open(organisation, MT) as vault:
        work = await vault.claim_work(now=late, lease=MINUTE, limit=10)
        assert WorkItem(WorkKind.DEADLINE, sent_one.id, 1) in work
        await pass_deadline(vault, sent_one.id, late)
    assert await status(installation, organisation, sent_one.id) is MessageStatus.MESSAGE_EXCHANGE_ERROR


class _Sender(Sender):
    """A sender that records what is to be sent."""

    def __init__(self, installation: Installation, settings: MessageServiceSettings) -> None:
        nothing = cast(Any, None)
        super().__init__(settings, installation.gate, nothing, nothing, nothing, now)
        self.begun: list[str] = []

    async def message(
        self, organisation: object, record: MessageRecord, payload: bytes, *, scanned: bool = False
    ) -> None:
        self.begun.append(record.id)


async def test_a_message_that_cannot_be_read_holds_up_no_other(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with installation.open(organisation, MT) as vault:
        broken = message()
        large = await body(vault, bytes(200_000))
        assert await vault.create_outgoing(broken, large, now=NOW, lease=None)
        whole = message()
        assert await vault.create_outgoing(whole, await body(vault), now=NOW, lease=None)
        await vault.schedule(WorkKind.DEADLINE, broken.id, NOW)
    (stored,) = installation.objects(organisation)
    stored.unlink()
    sender = _Sender(installation, SETTINGS)
    running = asyncio.create_task(sender.dispatcher.run(due_now(organisation)))
    try:
        async with asyncio.timeout(60):
            while whole.id not in sender.begun:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
    assert sender.begun == [whole.id]
    final = await status(installation, organisation, broken.id)
    assert final is MessageStatus.MESSAGE_EXCHANGE_ERROR
