"""Envelopes of a limited sender wait without being judged, except for one now and then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice.incoming.polling import Limits
from samdrift.wire.identifiers import RECEIPT_EXTENDED, SDK_MESSAGE_BASE, SDK_MESSAGE_EXTENDED
from tests.vaults import NOW

AGAIN, OVERDUE = timedelta(seconds=30), timedelta(hours=4)
LATER = NOW + AGAIN


def item(item_id: str, sender: str = "0203:a.se", document: str = SDK_MESSAGE_EXTENDED.value) -> InboxItem:
    return InboxItem(item_id, "e", sender, "0203:b.se", document, "c", "m@p", "AP", NOW, 1)


MANY = [item(str(number)) for number in range(5)]


def limits(found: InboxItem = MANY[0]) -> Limits:
    made = Limits(AGAIN, OVERDUE)
    made.found(found, NOW)
    return made


def test_of_a_limited_sender_one_envelope_is_judged_each_time() -> None:
    known = limits()
    assert known.divide(MANY, NOW) == ([], MANY, MANY[1:])
    for round_ in (1, 2):
        now = NOW + round_ * AGAIN
        assert known.divide(MANY, now)[:2] == (MANY[:1], MANY[1:])
        assert known.divide(MANY[1:], now)[0] == [], (
            "the next page of the inbox must not be judged in the same round"
        )
        known.found(MANY[0], now)


def test_until_its_time_has_come_a_sender_that_was_found_limited_again_is_left_alone() -> None:
    known = limits()
    known.divide(MANY, LATER)
    known.found(MANY[0], LATER)
    assert known.divide(MANY, LATER + AGAIN / 2)[0] == []


def test_one_whose_outcome_is_not_known_is_not_judged_again_in_a_hurry() -> None:
    known = limits()
    known.divide(MANY, LATER)
    assert known.divide(MANY[1:], LATER + AGAIN / 2)[0] == []
    assert known.divide(MANY[1:], LATER + AGAIN)[0] == MANY[1:2]


def test_a_sender_found_limited_while_the_clock_was_ahead_is_judged_again_when_it_is_right() -> None:
    known = limits()
    right = NOW - timedelta(hours=24)
    assert known.divide(MANY, right)[0] == MANY[:1]
    assert known.divide(MANY[1:], right + AGAIN / 2)[0] == []


@pytest.mark.parametrize(
    "other",
    [
        item("other", sender="0203:c.se"),
        item("receipt", document=RECEIPT_EXTENDED.value),
        item("plain", document=SDK_MESSAGE_BASE.value),
        item("not said", document=""),
        replace(item("overdue"), received_at=NOW - OVERDUE),
    ],
    ids=lambda each: each.id,
)
def test_whatever_is_not_decrypted_and_whatever_is_overdue_is_judged(other: InboxItem) -> None:
    known = limits()
    assert known.divide([*MANY, other], NOW)[0] == [other]
    assert not known.applies(other, NOW)


def test_a_limit_is_over_when_the_one_that_was_judged_is_taken_over_and_not_when_another_is() -> None:
    known = limits()
    known.divide(MANY, LATER)
    known.taken(item("receipt", document=RECEIPT_EXTENDED.value), decrypted=False)
    known.taken(MANY[1], decrypted=True)
    assert known.applies(MANY[1], LATER)
    known.taken(MANY[0], decrypted=True)
    assert known.divide(MANY[1:], LATER)[0] == MANY[1:]


def test_a_sender_does_not_end_its_limit_with_an_envelope_that_is_refused_before_it_is_decrypted() -> None:
    """A limit shows only where something would be decrypted; each such envelope let ten others be judged."""
    known = limits()
    known.divide(MANY, LATER)
    known.taken(MANY[0], decrypted=False)
    assert known.divide(MANY[1:], LATER)[0] == []
    assert known.divide(MANY[1:], LATER + AGAIN)[0] == MANY[1:2], (
        "the next envelope must be judged after the wait"
    )


def test_that_one_waits_is_recorded_once() -> None:
    known = limits()
    *_, unrecorded = known.divide(MANY, NOW)
    assert unrecorded == MANY[1:], "the first one was recorded when it was judged"
    known.recorded(MANY[1])
    assert known.divide(MANY, NOW)[2] == MANY[2:]
