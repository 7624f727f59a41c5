"""The path of a message as text, picture and page, showing only what the logs show."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Role
from samdrift.evidence import traceview
from samdrift.evidence.trace import Step
from samdrift.evidence.tracepage import trace_page
from samdrift.evidence.traceview import erds, moments, stations, words
from samdrift.messageclient.events import MKEvent
from samdrift.messageservice.events import STEPS, MTEvent
from samdrift.vault.events import VaultEvent
from samdrift.web.texts import Language
from samdrift.web.views import StepState
from tests.unit.audit.declared import declared
from tests.unit.evidence.exchanges import BEGUN, HABO, MULLSJO, World

MESSAGE = "to-1"


def steps_of(organisation: str, change: Callable[[World], None] = lambda world: None) -> list[Step]:
    """Return what a trace finds in the logs of one end of an exchange."""
    world = World.begun()
    world.exchange(HABO, MULLSJO, MESSAGE)
    change(world)
    found = [
        Step(
            at,
            f"{organisation} {source}",
            event,
            dict(ids),
            organisation,
            Role(source),
            "worker:test",
            number,
        )
        for (whose, source), pages in world.logs.items()
        if whose == organisation
        for number, (at, event, ids) in enumerate(pages.entries, start=1)
        if {MESSAGE, f"{MESSAGE}-receipt"} & set(ids.values())
    ]
    return sorted(found, key=lambda step: step.at)


def without(*events: AuditEvent) -> Callable[[World], None]:
    def change(world: World) -> None:
        for pages in world.logs.values():
            pages.entries = [each for each in pages.entries if each[1] not in events]

    return change


def test_the_recipients_log_has_the_moment_that_counts() -> None:
    """A message counts as dispatched, and as received, when it can be decrypted there (A1.2.9)."""
    steps = steps_of(MULLSJO)
    (moment,) = moments(steps, MESSAGE)
    (retrieved,) = [step for step in steps if step.what == MTEvent.MT_MESSAGE_RETRIEVED]
    assert (moment.name, moment.at) == ("dispatched-and-received", retrieved.at)


def test_the_sender_knows_it_by_the_message_receipt() -> None:
    steps = steps_of(HABO)
    (moment,) = moments(steps, MESSAGE)
    (came,) = [step for step in steps if step.what == MTEvent.MT_RECEIPT_RECEIVED]
    assert (moment.name, moment.at) == ("dispatched-and-received-by", came.at)
    assert "at the latest" in moment.text.text


BEFORE = (MTEvent.MT_RECEIPT_RECEIVED, MTEvent.MT_MESSAGE_ACCEPTED)


def refused(world: World) -> None:
    without(*BEFORE)(world)
    world.add(HABO, MTEvent.MT_MESSAGE_REJECTED, message=MESSAGE)


def failed(world: World) -> None:
    without(*BEFORE, APEvent.AP_TRANSFER_DELIVERED, MTEvent.MT_MESSAGE_ACKNOWLEDGED)(world)
    world.add(HABO, VaultEvent.AP_TRANSFER_FAILED, envelope=MESSAGE)
    world.add(HABO, MTEvent.MT_MESSAGE_FAILED, message=MESSAGE)


@pytest.mark.parametrize(
    ("change", "name", "states"),
    [
        (lambda world: None, "dispatched-and-received-by", "done done done done done"),
        (without(*BEFORE), "under-way", "done done done waiting waiting"),
        (refused, "rejected", "done done done failed waiting"),
        (failed, "failed", "done done failed waiting waiting"),
    ],
)
def test_a_sender_sees_how_far_it_has_come(change: Callable[[World], None], name: str, states: str) -> None:
    steps = steps_of(HABO, change)
    assert [each.name for each in moments(steps, MESSAGE)] == [name]
    assert " ".join(each.state.value for each in stations(steps, MESSAGE)) == states


def test_a_recipient_sees_its_own_part_of_the_way() -> None:
    found = stations(steps_of(MULLSJO), MESSAGE)
    assert [each.text.text for each in found] == [
        "At the recipient’s access point",
        "Decrypted and accepted",
        "Message receipt at the sender",
        "Fetched by a message client",
    ]
    assert {each.state for each in found} == {StepState.DONE}


def test_both_ends_together_are_the_whole_way() -> None:
    steps = sorted([*steps_of(HABO), *steps_of(MULLSJO)], key=lambda step: step.at)
    found = stations(steps, MESSAGE)
    times = [each.at for each in found]
    assert len(found) == 5
    assert times == sorted(time for time in times if time is not None), "stations must be ordered by time"


def test_names_of_etsi_are_for_the_message_and_not_for_its_receipt() -> None:
    named = {(step.what, erds(step, MESSAGE)) for step in steps_of(HABO) if erds(step, MESSAGE)}
    assert named == {
        (MTEvent.MT_MESSAGE_SCHEDULED, "SubmissionAcceptance"),
        (APEvent.AP_TRANSFER_DELIVERED, "RelayAcceptance"),
    }
    named = {(step.what, erds(step, MESSAGE)) for step in steps_of(MULLSJO) if erds(step, MESSAGE)}
    assert (MTEvent.MT_MESSAGE_RETRIEVED, "ContentConsignment") in named
    assert (MTEvent.MT_MESSAGE_READ, "ContentHandover") in named
    assert APEvent.AP_TRANSFER_DELIVERED not in {event for event, _ in named}


def test_every_event_about_a_message_has_words() -> None:
    about = re.compile(r"(ap:(transfer|envelope)|mt:(message|receipt|malware)|mk:message):")
    counted = {APEvent.AP_REFUSALS_COUNTED, MKEvent.MK_MESSAGE_UNDONE}
    assert {event for event in declared() if about.match(event)} - counted <= traceview.WORDS.keys()
    assert traceview.WORDS.keys() >= STEPS
    assert traceview.ERDS.keys() <= traceview.WORDS.keys()


def test_an_event_of_another_version_is_shown_by_its_name() -> None:
    step = Step(BEGUN, "x", "mt:message:unheard-of", {}, HABO, Role.MESSAGE_SERVICE, "", 1)
    assert words(step).text == "mt:message:unheard-of"
    assert erds(step, MESSAGE) is None


@pytest.mark.parametrize("language", list(Language))
def test_the_page_is_one_file_that_loads_nothing_and_needs_no_script(language: Language) -> None:
    page = trace_page(HABO, MESSAGE, steps_of(HABO), BEGUN, language).decode()
    assert page.startswith("<!doctype html>")
    assert f'<html lang="{language}"' in page
    for loading in ("<script", "src=", "href=", "url(", "@import"):
        assert loading not in page
    assert "default-src 'none'" in page
    assert 'content: "";' in page, "the style sheet must not be escaped"
    assert page.count('<li class="done">') == 5
    expected = "Expedierat och inkommet senast då" if language is Language.SWEDISH else "at the latest then"
    assert expected in page
    assert "SubmissionAcceptance" in page
    assert "worker:test" in page


def test_what_a_peer_chose_is_harmless_on_the_page() -> None:
    steps = steps_of(HABO)
    steps[0].ids["reason"] = "<script>alert(1)</script>\u202e"
    page = trace_page(HABO, MESSAGE, steps, BEGUN, Language.SWEDISH).decode()
    assert "<script" not in page
    assert "\u202e" not in page
    assert "⟦U+202E⟧" in page


def test_the_page_has_its_texts_beside_its_code() -> None:
    assert (Path(traceview.__file__).parent / "locale" / "sv.po").is_file()
