"""Reasons that a message did not arrive: the first place that it has not passed, and the fault there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.audit.events import AuditEvent
from samdrift.evidence.why import Standing, arrived, passages
from samdrift.messageclient.events import MKEvent
from samdrift.messageservice.events import MTEvent
from samdrift.vault.events import VaultEvent
from tests.unit.evidence.exchanges import HABO, MULLSJO, World
from tests.unit.evidence.test_trace import MESSAGE, steps_of, without

RECEIPT = (MTEvent.MT_RECEIPT_RECEIVED, MTEvent.MT_MESSAGE_ACCEPTED)
AT_PEER = (*RECEIPT, APEvent.AP_TRANSFER_DELIVERED, MTEvent.MT_MESSAGE_ACKNOWLEDGED)
HANDED_OVER = (*AT_PEER, APEvent.AP_TRANSFER_QUEUED, MTEvent.MT_MESSAGE_SUBMITTED)
READ = (MTEvent.MT_MESSAGE_READ, MKEvent.MK_MESSAGE_STORED)
JUDGED = (*READ, MTEvent.MT_MESSAGE_RETRIEVED, MTEvent.MT_MESSAGE_NEW)


def ended(events: tuple[AuditEvent, ...], organisation: str, *more: AuditEvent) -> Callable[[World], None]:
    """Return a change of a world in which those events have not happened, and ``more`` have instead."""

    def change(world: World) -> None:
        without(*events)(world)
        for event in more:
            named = "envelope" if event.startswith("ap:") else "message"
            world.add(organisation, event, **{named: MESSAGE, "reason": "peer-unreachable"})

    return change


def test_what_has_arrived_has_passed_every_place() -> None:
    for organisation in (HABO, MULLSJO):
        found = passages(steps_of(organisation), MESSAGE)
        assert {each.standing for each in found} == {Standing.PASSED}
        assert arrived(found)
        assert not any(each.todo for each in found)


@pytest.mark.parametrize(
    ("events", "organisation", "more", "place", "standing"),
    [
        (HANDED_OVER, HABO, (), "message service", Standing.WAITING),
        (HANDED_OVER, HABO, (MTEvent.MT_MESSAGE_HELD,), "message service", Standing.STOPPED),
        (HANDED_OVER, HABO, (MTEvent.MT_MALWARE_FOUND,), "message service", Standing.STOPPED),
        (AT_PEER, HABO, (), "access point", Standing.WAITING),
        (AT_PEER, HABO, (APEvent.AP_TRANSFER_POSTPONED,), "access point", Standing.STOPPED),
        (AT_PEER, HABO, (VaultEvent.AP_TRANSFER_FAILED,), "access point", Standing.STOPPED),
        (RECEIPT, HABO, (), "recipient", Standing.WAITING),
        (RECEIPT, HABO, (MTEvent.MT_MESSAGE_REJECTED,), "recipient", Standing.STOPPED),
        (JUDGED, MULLSJO, (), "message service", Standing.WAITING),
        (JUDGED, MULLSJO, (MTEvent.MT_MESSAGE_HELD,), "message service", Standing.STOPPED),
        (READ, MULLSJO, (), "message client", Standing.WAITING),
    ],
)
def test_the_walk_stops_at_the_first_place_that_it_has_not_passed(
    events: tuple[AuditEvent, ...],
    organisation: str,
    more: tuple[AuditEvent, ...],
    place: str,
    standing: Standing,
) -> None:
    found = passages(steps_of(organisation, ended(events, organisation, *more)), MESSAGE)
    assert not arrived(found)
    assert {each.standing for each in found[:-1]} <= {Standing.PASSED}
    last = found[-1]
    assert (last.place, last.standing) == (place, standing)
    assert last.todo
    assert last.reason == ("peer-unreachable" if more else "")


def test_what_to_type_about_a_transfer_names_the_message() -> None:
    found = passages(steps_of(HABO, ended(AT_PEER, HABO, APEvent.AP_TRANSFER_POSTPONED)), MESSAGE)
    assert found[-1].todo == f"docs/runbooks/peer-refuses.md: samdrift queue why {MESSAGE}"


def test_what_went_wrong_before_it_went_on_does_not_stop_it() -> None:
    held = (MTEvent.MT_MESSAGE_HELD, *HANDED_OVER[-1:], APEvent.AP_TRANSFER_DELIVERED)
    found = passages(steps_of(HABO, ended(HANDED_OVER, HABO, *held)), MESSAGE)
    assert (found[-1].place, found[-1].standing) == ("recipient", Standing.WAITING)


def test_an_envelope_that_was_refused_came_no_further() -> None:
    came = (APEvent.AP_ENVELOPE_RECEIVED, APEvent.AP_ENVELOPE_ACKNOWLEDGED, *JUDGED)
    found = passages(
        [
            step
            for step in steps_of(MULLSJO, ended(came, MULLSJO, APEvent.AP_ENVELOPE_REFUSED))
            if step.what == APEvent.AP_ENVELOPE_REFUSED
        ],
        MESSAGE,
    )
    assert [(each.place, each.standing) for each in found] == [("access point", Standing.STOPPED)]


def test_of_a_message_that_is_not_known_nothing_is_said() -> None:
    assert passages(steps_of(HABO), "another") == ()
    assert not arrived(())
