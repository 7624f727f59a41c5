"""api-mt-mk, KV Meddelandestatus: transitions between statuses, with their events and deadlines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from samdrift.contracts.discovery import DiscoveryUnavailable, SharedService
from samdrift.contracts.errors import Temporary
from samdrift.contracts.malware import ScannerUnavailable
from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.transfer import TransferEvent, TransferReason, TransferState, TransferUnavailable
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.lifecycle import progress
from samdrift.vault.records import StatusEvent
from samdrift.wire.codes import Reason, ReceiptStatus
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import FEDERATION_TEST, ParticipantIdentifier
from samdrift.wire.receipt import MessageReceipt
from tests.settings import message_service_settings

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SETTINGS = message_service_settings(
    FEDERATION_TEST, transfer_within=timedelta(hours=2), receipt_within=timedelta(hours=24)
)


def event(
    state: TransferState, reason: TransferReason = TransferReason.NONE, detail: str = ""
) -> TransferEvent:
    return TransferEvent(7, NOW, "e", "t", "a@b", state, reason, detail)


def receipt(*findings: Finding) -> MessageReceipt:
    status = ReceiptStatus.REJECTED if findings else ReceiptStatus.ACCEPTED
    one, other = ParticipantIdentifier("0203:a.se"), ParticipantIdentifier("0203:b.se")
    return MessageReceipt("r", NOW, one, other, "m", status, findings)


def test_submitted_waits_for_the_transport_receipt_and_undoes_nothing_later() -> None:
    step = progress.submitted(SETTINGS, NOW)
    assert (step.status, step.deadline) == (MessageStatus.SUBMITTED, NOW + SETTINGS.transfer_within)
    assert MessageStatus.WAITING_FOR_RECEIPT in step.overtaken_by
    assert not step.status.final


def test_delivered_waits_for_the_message_receipt_from_the_time_of_delivery() -> None:
    step = progress.of_transfer(SETTINGS, event(TransferState.DELIVERED))
    assert [one.status for one in step.events] == [
        MessageStatus.ACKNOWLEDGE,
        MessageStatus.WAITING_FOR_RECEIPT,
    ]
    assert step.status is MessageStatus.WAITING_FOR_RECEIPT
    assert step.deadline == NOW + SETTINGS.receipt_within


def test_postponed_is_scheduled_for_resend_with_the_reason() -> None:
    step = progress.of_transfer(
        SETTINGS, event(TransferState.QUEUED, TransferReason.PEER_UNREACHABLE, "timeout")
    )
    (told,) = step.events
    assert step.status is told.status is MessageStatus.SCHEDULED_FOR_RESEND
    assert "peer-unreachable" in told.title
    assert told.detail == "timeout"
    assert step.deadline == NOW + SETTINGS.transfer_within


def test_a_failed_transfer_ends_the_exchange_with_the_reason() -> None:
    """Clauses: api-mt-mk message sentence 5."""
    step = progress.of_transfer(
        SETTINGS, event(TransferState.FAILED, TransferReason.NOT_SERVICED, "EBMS:0004 NOT_SERVICED")
    )
    assert step.status is MessageStatus.MESSAGE_EXCHANGE_ERROR
    assert [one.status for one in step.events] == [
        MessageStatus.ERROR,
        MessageStatus.MESSAGE_EXCHANGE_ERROR,
    ]
    assert [one.title for one in step.events] == ["Transfer failed: not-serviced"] * 2
    assert [one.detail for one in step.events] == ["EBMS:0004 NOT_SERVICED"] * 2
    assert step.reason == "EBMS:0004 NOT_SERVICED"
    assert step.deadline is None


def test_an_accepting_receipt_is_the_end() -> None:
    step = progress.of_receipt(receipt(), NOW)
    assert (step.status, step.audit, step.deadline) == (
        MessageStatus.ACCEPTED,
        MTEvent.MT_MESSAGE_ACCEPTED,
        None,
    )


def test_a_rejecting_receipt_tells_every_finding_and_its_place() -> None:
    """api-mt-mk, Mappning Kvittens och Event."""
    findings = (
        Finding(Reason.RULE, "not-found", "unknown address", "/a/b"),
        Finding(Reason.SCHEMA, "structure", "missing", "NA"),
    )
    step = progress.of_receipt(receipt(*findings), NOW)
    assert step.status is MessageStatus.MESSAGE_EXCHANGE_ERROR
    latest_first = step.events[::-1]
    assert latest_first[0].status is MessageStatus.MESSAGE_EXCHANGE_ERROR
    told = [(one.status, one.title, one.detail, one.path) for one in latest_first[1:]]
    assert told == [
        (MessageStatus.REJECTED, "BV not-found", "unknown address", "/a/b"),
        (MessageStatus.REJECTED, "SV structure", "missing", "NA"),
    ]
    assert list(map(progress.rejection, latest_first)) == [None, ("BV", "not-found"), ("SV", "structure")]
    assert step.reason == "BV not-found, SV structure"


def test_a_receipt_with_very_many_findings_tells_some_and_how_many_more() -> None:
    step = progress.of_receipt(receipt(*[Finding(Reason.RULE, "not-found", "no", "/a")] * 1000), NOW)
    *told, error = step.events
    assert 0 < len(told) < 100
    assert str(1000 - len(told)) in error.detail


def test_no_word_of_the_recipients_own_stands_in_the_log() -> None:
    step = progress.of_receipt(receipt(Finding(Reason.RULE, "Anna Andersson 19121212-1212", "no", "/a")), NOW)
    assert step.reason == "BV other"
    assert "Anna" in step.events[0].title, "the sender of the message may read it"


@pytest.mark.parametrize("status", [status for status in MessageStatus if not status.final])
def test_invariant_8_whatever_is_overdue_ends_with_a_reason(status: MessageStatus) -> None:
    step = progress.overdue(status, NOW)
    assert step.status is MessageStatus.MESSAGE_EXCHANGE_ERROR
    assert step.reason
    assert step.deadline is None


def test_what_was_missing_is_named() -> None:
    awaited = {
        MessageStatus.SCHEDULED: "handed over",
        MessageStatus.SUBMITTED: "transport receipt",
        MessageStatus.SCHEDULED_FOR_RESEND: "transport receipt",
        MessageStatus.WAITING_FOR_RECEIPT: "message receipt",
    }
    for status, words in awaited.items():
        assert words in progress.overdue(status, NOW).reason


def test_an_incoming_message_may_be_fetched_when_its_receipt_is_delivered() -> None:
    step = progress.receipt_delivered(NOW)
    assert [one.status for one in step.events] == [MessageStatus.RECEIPT_SENT, MessageStatus.NEW]
    assert step.status.final


def test_every_step_ends_with_the_event_of_its_status() -> None:
    steps = [
        progress.submitted(SETTINGS, NOW),
        progress.failed(NOW, "title", "detail"),
        *(progress.of_transfer(SETTINGS, event(state)) for state in TransferState),
        progress.of_receipt(receipt(), NOW),
        progress.receipt_delivered(NOW),
    ]
    for step in steps:
        assert step.events[-1].status is step.status
        assert (step.deadline is None) == step.status.final


SML_DOWN = DiscoveryUnavailable("SML did not answer (LifetimeTimeout)", SharedService.SML)
OUTAGES = {
    "SML": SML_DOWN,
    "SMP": DiscoveryUnavailable("SMP answered 503", SharedService.SMP),
    "The revocation service": DiscoveryUnavailable("no revocation information", SharedService.REVOCATION),
    "The access point": TransferUnavailable("submit: unreachable"),
    "The malware scanner": ScannerUnavailable("clamd does not answer"),
}


@pytest.mark.parametrize("service", OUTAGES)
def test_4_1_2_a_a_waiting_sender_reads_what_is_down_and_since_when(service: str) -> None:
    """It is shown once per outage, however often the message is retried and whatever the service answers."""
    began = progress.waiting(OUTAGES[service], NOW, ())
    assert began is not None
    assert began.title == f"{service} cannot be reached since 2026-03-02 12:00:00Z"
    assert (began.status, began.detail) == (MessageStatus.SCHEDULED, str(OUTAGES[service]))
    assert progress.waiting(OUTAGES[service], NOW + timedelta(minutes=5), (began,)) is None


def test_4_1_2_a_another_outage_is_another_step_and_a_message_has_no_end_of_them() -> None:
    steps: list[StatusEvent] = []
    for number in range(100):
        outage = list(OUTAGES.values())[number % 2]
        event = progress.waiting(outage, NOW + timedelta(seconds=number), steps)
        steps[:0] = [event] if event is not None else []
    assert len(steps) == progress.MOST_WAITS
    assert len({step.title for step in steps}) == progress.MOST_WAITS


def test_a_message_that_waits_for_its_organisations_officer_says_so_once() -> None:
    locked = Temporary("the organisation's officer has not unlocked it")
    began = progress.waiting(locked, NOW, ())
    assert began is not None
    assert (began.title, began.detail) == ("Waits to be sent", str(locked))
    assert progress.waiting(locked, NOW, (began,)) is None


def test_an_outage_that_comes_back_after_another_one_is_told_again() -> None:
    """A sender reads the latest step, which names the current outage."""
    steps: list[StatusEvent] = []
    for minute, service in enumerate(("SML", "SMP", "SML", "SML")):
        step = progress.waiting(OUTAGES[service], NOW + timedelta(minutes=minute), steps)
        steps[:0] = [step] if step is not None else []
    assert [step.title.partition(" ")[0] for step in steps] == ["SML", "SMP", "SML"]


@pytest.mark.parametrize(("before", "now"), [("a", "b"), ("b", "a")])
def test_a_message_that_waits_for_something_else_than_before_says_so(before: str, now: str) -> None:
    first = progress.waiting(Temporary(before), NOW, ())
    assert first is not None
    then = progress.waiting(Temporary(now), NOW, (first,))
    assert then is not None
    assert (then.title, then.detail) == (first.title, now)
