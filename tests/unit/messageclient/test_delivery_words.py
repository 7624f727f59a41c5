"""Delivery in words: every stage, status, event and code of a receipt has its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.transfer import TransferReason
from samdrift.messageclient.mail import Delivery, DeliveryEvent, Person, Stage
from samdrift.messageclient.pages import LOCALE
from samdrift.messageclient.pages.delivery import (
    REASONS,
    REJECTIONS,
    STAGES,
    STATUSES,
    STEPS,
    TRANSFERS,
    event_words,
    picture,
    reported,
    words,
)
from samdrift.messageclient.pages.shown import Shown
from samdrift.web.formats import Formats
from samdrift.web.pages import Wording
from samdrift.web.texts import OWN, Language, Texts
from samdrift.web.views import Kind, Step, StepState
from samdrift.wire.codes import Detail, Reason
from tests.unit.web.scene import NOW

TEXTS = Texts([OWN, LOCALE])
SWEDISH = Wording(Formats(Language.SWEDISH, NOW), TEXTS.of(Language.SWEDISH))
SENT = Delivery(Stage.HANDED_OVER, MessageStatus.SUBMITTED, NOW, None, "")


def event(status: MessageStatus | None, title: str = "", detail: str = "") -> DeliveryEvent:
    return DeliveryEvent(NOW, status, status or "X", title, detail)


def test_the_tables_have_every_code() -> None:
    assert set(STAGES) == set(Stage)
    assert set(STATUSES) == set(STEPS) == set(MessageStatus)
    assert set(REJECTIONS) == set(Detail)
    assert set(REASONS) == set(Reason)
    assert set(TRANSFERS) == set(TransferReason)


@pytest.mark.parametrize("language", Language)
def test_every_stage_and_status_has_words_in_both_languages(language: Language) -> None:
    wording = Wording(Formats(language, NOW), TEXTS.of(language))
    for stage, status in product(Stage, (*MessageStatus, None)):
        tag, beside = words(replace(SENT, stage=stage, status=status), wording)
        assert tag.text
        assert beside
        assert "%" not in tag.text


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (MessageStatus.SUBMITTED, "På väg", Kind.PLAIN),
        (MessageStatus.WAITING_FOR_RECEIPT, "Framme, väntar på kvittens", Kind.PLAIN),
        (MessageStatus.ACCEPTED, "Mottaget av organisationen 10:52", Kind.GOOD),
        (MessageStatus.MESSAGE_EXCHANGE_ERROR, "Inte levererat", Kind.BAD),
    ],
)
def test_a_status_is_said_as_a_case_worker_says_it(status: MessageStatus, said: str, kind: Kind) -> None:
    tag, _ = words(replace(SENT, status=status), SWEDISH)
    assert (tag.text, tag.kind) == (said, kind)


def test_that_an_organisation_has_it_does_not_say_that_a_person_read_it() -> None:
    _, beside = words(replace(SENT, status=MessageStatus.ACCEPTED), SWEDISH)
    assert beside == "Det säger inte att någon har läst det."


def test_a_receipt_that_does_not_come_is_said_after_half_an_hour() -> None:
    waiting = replace(SENT, status=MessageStatus.WAITING_FOR_RECEIPT)
    early, _ = words(replace(waiting, since=NOW - timedelta(minutes=29, seconds=59)), SWEDISH)
    late, _ = words(replace(waiting, since=NOW - timedelta(minutes=30)), SWEDISH)
    assert (early.text, late.text) == ("Framme, väntar på kvittens", "Ingen kvittens på 30 minuter")


def test_a_receipt_that_is_not_waited_for_any_more_is_said_to_be_missing() -> None:
    waiting = replace(SENT, status=MessageStatus.WAITING_FOR_RECEIPT)
    for days, said in ((6, "Ingen kvittens på 30 minuter"), (8, "Ingen kvittens kom")):
        tag, beside = words(replace(waiting, since=NOW - timedelta(days=days)), SWEDISH)
        assert tag.text == said
        assert ("fortsätter att vänta" in beside) == (days < 7)


@pytest.mark.parametrize("title", ["BV not-supported", "not-supported", "not-supported BV"])
def test_a_rejection_is_said_by_its_detail_whatever_order_a_supplier_has(title: str) -> None:
    """api-mt-mk, Mappning Kvittens och Event: title is the receipt's code."""
    assert SWEDISH.text(event_words(event(MessageStatus.REJECTED, title))) == (
        "Avvisat: filtypen tas inte emot"
    )


def test_a_rejection_with_a_detail_of_no_list_is_said_by_its_reason_and_one_with_neither_plainly() -> None:
    said = [
        SWEDISH.text(event_words(event(MessageStatus.REJECTED, title))) for title in ("SIG x", "RegelID-1")
    ]
    assert said == ["Avvisat: underskriften kunde inte verifieras", "Avvisat av mottagaren"]


def test_a_rejected_message_shows_why_on_its_tag() -> None:
    failed = replace(SENT, status=MessageStatus.MESSAGE_EXCHANGE_ERROR)
    failed = replace(failed, events=(event(MessageStatus.REJECTED, "BV forbidden"),))
    tag, beside = words(failed, SWEDISH)
    assert tag.text == "Avvisat: skadlig kod hittades"
    assert beside == "Mottagaren har inte fått det. Rätta felet och skicka igen."


def test_why_a_transfer_failed_is_said_and_a_step_of_no_list_as_it_came() -> None:
    failed = event(MessageStatus.ERROR, "Transfer failed: peer-unreachable")
    assert SWEDISH.text(event_words(failed)) == "Mottagarens system svarar inte"
    assert SWEDISH.text(event_words(event(None, "En egen händelse"))) == "En egen händelse"


def test_the_reason_of_a_refusal_is_beside_it() -> None:
    refused = replace(SENT, stage=Stage.REFUSED, reason="attribute label is missing")
    assert "attribute label is missing" in words(refused, SWEDISH)[1]


def test_steps_of_one_second_are_told_in_the_order_of_the_way_and_nothing_more_is_not_told() -> None:
    """A message service says NA where it has nothing more to say (api-mt-mk, Mappning Kvittens och Event)."""
    late = event(MessageStatus.WAITING_FOR_RECEIPT, detail="NA")
    early = event(MessageStatus.ACKNOWLEDGE, detail="host unknown")
    before = replace(event(MessageStatus.ACCEPTED), at=NOW - timedelta(seconds=1))
    sent = replace(SENT, events=(late, early, before))
    steps = Shown(SWEDISH, Person("anna", "Anna")).steps(sent)
    assert [(what, detail) for _, what, detail in steps] == [
        ("Kvittens från organisationen", ""),
        ("Framme hos mottagarens system", "host unknown"),
        ("Väntar på organisationens kvittens", ""),
    ]


def test_a_refusal_with_a_code_is_said_in_words_and_what_was_reported_is_on_the_way_alone() -> None:
    report = "HTTP status 400: MESSAGE_EXCHANGE_ERROR: BV: not-supported: The type is not supported"
    refused = replace(SENT, stage=Stage.REFUSED, reason=report)
    assert words(refused, SWEDISH)[1].startswith("Avvisat: filtypen tas inte emot. ")
    assert report not in words(refused, SWEDISH)[1]
    assert reported(refused) == report
    assert reported(replace(refused, reason="attribute label is missing")) == ""


def test_a_message_whose_time_to_undo_is_over_waits_to_be_sent() -> None:
    window = replace(SENT, stage=Stage.WINDOW, status=None, until=NOW + timedelta(seconds=1))
    assert words(window, SWEDISH)[0].text == "Skickas strax"
    assert words(replace(window, until=NOW), SWEDISH)[0].text == "Väntar på att skickas"


def test_a_message_that_waits_beyond_its_deadline_is_not_said_to_be_tried_again() -> None:
    """The message service is still gone, and the words state that the arrival is uncertain."""
    waiting = replace(SENT, stage=Stage.OUTBOX, status=None, until=NOW + timedelta(hours=1))
    assert "Ett nytt försök" in words(waiting, SWEDISH)[1]
    tag, beside = words(replace(waiting, until=NOW), SWEDISH)
    assert (tag.text, tag.kind) == ("Inte skickat i tid", Kind.BAD)
    assert ("skickas inte längre" in beside, "Ett nytt försök" in beside) == (True, False)


def states(delivery: Delivery) -> list[StepState]:
    return [step.state for step in picture(delivery, Step("Skrivet", StepState.DONE, NOW), SWEDISH)]


def test_the_way_shows_what_is_proved_what_failed_and_what_is_not_there_yet() -> None:
    done, waiting, failed = StepState.DONE, StepState.WAITING, StepState.FAILED
    assert states(SENT) == [done, done, done, waiting, waiting]
    assert states(replace(SENT, stage=Stage.OUTBOX, status=None)) == [done, *[waiting] * 4]
    assert states(replace(SENT, status=MessageStatus.ACCEPTED)) == [done] * 5
    lost = replace(
        SENT, status=MessageStatus.MESSAGE_EXCHANGE_ERROR, events=(event(MessageStatus.SUBMITTED),)
    )
    assert states(lost) == [done, done, done, failed]
