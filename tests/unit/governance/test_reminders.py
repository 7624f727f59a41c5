"""Matters that wait for an organisation's people, and the steps at which they are reminded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from samdrift.governance.reminders import HEARD_WITHIN, Matter, Pending, pending
from samdrift.operations.emergencycheck import judge, judge_own
from samdrift.operations.findings import State
from samdrift.rights import Approved, Ended, Outcome, Reviewed
from samdrift.rights.consents import AccountGiven
from samdrift.rights.incidentfold import Incident, fold_incident
from samdrift.rights.incidents import Clock, IncidentOpened, IncidentTold
from samdrift.rights.reviews import ReviewClosed, ReviewOpened
from tests.unit.rights.building import ANNA, BO
from tests.unit.rights.signers import House
from tests.unit.rights.test_consents import OLA, PIA, asking, emergency, staffed

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def of_the_operator(now: datetime, *clocks: Clock) -> Incident:
    """Return an incident that the operator has opened, as its entry in a log has it."""
    act = IncidentOpened("Avbrott", now, now, frozenset(clocks))
    known: dict[str, Incident] = {}
    fold_incident(known, "e" * 64, act, now, "operator:ola", "INC-7")
    return known["e" * 64]


def waits(house: House, after: timedelta = timedelta()) -> list[Pending]:
    return list(pending(house.record, {}, house.now + after))


def heard(one: Pending, moments: list[datetime]) -> list[timedelta]:
    """Return the steps of which a person is reminded who looks at these moments, each once."""
    steps = [step for each in moments if (step := one.reached(each)) is not None]
    return [each.ahead for each in {step.name: step for step in steps}.values()]


def every(one: Pending, pause: timedelta) -> list[datetime]:
    count = (one.until + 20 * DAY - one.since) // pause
    return [one.since + number * pause for number in range(count)]


def test_a_request_for_consent_waits_until_somebody_decides_or_it_lapses() -> None:
    house = staffed()
    asked = house.state(OLA, asking())
    (one,) = waits(house)
    assert (one.matter, one.of, one.until) == (Matter.CONSENT, asked.digest, asked.at + 4 * DAY)
    assert heard(one, every(one, HOUR)) == [2 * DAY, DAY, 4 * HOUR]
    assert waits(house, 4 * DAY + HOUR) == [], "a lapsed request needs no decision"
    house.state(BO, Approved(asked.digest))
    assert waits(house) == []


def test_a_request_that_is_declined_waits_no_more() -> None:
    house = staffed()
    asked = house.state(OLA, asking())
    house.state(ANNA, Ended(of=asked.digest))
    assert waits(house) == []


def test_an_emergency_waits_for_its_account_also_when_the_day_is_over() -> None:
    house = staffed()
    stated = house.state(OLA, emergency())
    assert waits(house) == [], "an emergency that has not begun needs no account"
    house.state(PIA, Approved(stated.digest))
    begun = house.now
    (one,) = waits(house)
    assert (one.matter, one.until) == (Matter.EMERGENCY, begun + DAY)
    assert heard(one, every(one, HOUR)) == [12 * HOUR, timedelta()]
    assert waits(house, 5 * DAY) == [one]
    house.state(OLA, AccountGiven(stated.digest, "looked at the queue"))
    assert waits(house) == []


def test_a_review_waits_while_something_has_no_answer() -> None:
    house = staffed()
    roles = [
        each.statements[0]
        for each in house.record.state.holdings(house.now)
        if each.given.what.subject not in (ANNA, BO)
    ]
    opened = house.state(
        ANNA, ReviewOpened("organisation", tuple(sorted(roles)), ANNA, BO, house.now + 30 * DAY)
    )
    (one,) = waits(house)
    assert (one.matter, one.of) == (Matter.REVIEW, opened.digest)
    assert heard(one, every(one, DAY)) == [14 * DAY, 7 * DAY, DAY, timedelta()]
    for each in roles:
        house.state(ANNA, Reviewed(each, Outcome.KEEP))
    assert waits(house) == []
    house.state(ANNA, ReviewClosed(opened.digest))
    assert waits(house) == []


def test_each_clock_of_an_incident_waits_until_it_is_stopped() -> None:
    house = staffed()
    now = house.now
    clocks = (Clock.CONCERNED, Clock.NOTIFICATION)
    opened = house.state(ANNA, IncidentOpened("Fel", now, now, frozenset(clocks)))
    found = {each.of.partition(" ")[2]: each for each in waits(house)}
    assert heard(found["concerned"], every(found["concerned"], HOUR / 2)) == [2 * HOUR, timedelta()]
    late = found["notification"]
    assert heard(late, every(late, HOUR / 2)) == [DAY, 6 * HOUR, 2 * HOUR, timedelta()]
    house.state(ANNA, IncidentTold(opened.digest, Clock.CONCERNED, house.now, "telefon"))
    assert [each.of for each in waits(house)] == [late.of]


def test_cover_is_heard_of_180_90_30_and_7_days_ahead_and_when_it_ends() -> None:
    house = staffed()
    end = house.now + 200 * DAY
    (one,) = pending(house.record, {"mt": end}, house.now)
    days = [house.now + number * DAY for number in range(200)]
    assert heard(one, days) == [180 * DAY, 90 * DAY, 30 * DAY, 7 * DAY]
    assert pending(house.record, {"mt": end}, end) == ()


@pytest.mark.parametrize("down", [timedelta(), DAY, HEARD_WITHIN, HEARD_WITHIN + HOUR])
def test_whoever_was_away_hears_of_the_latest_step_alone_and_of_no_old_one(down: timedelta) -> None:
    house = staffed()
    (one,) = pending(house.record, {"mt": house.now + 200 * DAY}, house.now)
    looked = one.until - 90 * DAY + down
    expected = [] if down > HEARD_WITHIN else [90 * DAY]
    assert heard(one, [looked]) == expected


def test_the_next_look_is_when_the_next_step_is_reached() -> None:
    house = staffed()
    house.state(OLA, asking())
    (one,) = waits(house)
    assert one.next_step(one.since) == one.until - 2 * DAY
    assert one.next_step(one.until - 2 * DAY) == one.until - DAY
    assert one.next_step(one.until) is None


def test_a_step_is_the_same_whenever_it_is_found_and_another_after_the_end_was_moved() -> None:
    end = datetime.fromisoformat("2026-12-01T00:00:00+00:00")
    one = Pending(Matter.COVER, "mt", end - 366 * DAY, end)
    first, second = one.reached(end - 6 * DAY), one.reached(end - 5 * DAY)
    moved = Pending(Matter.COVER, "mt", end - 365 * DAY, end + DAY).reached(end - 5 * DAY)
    assert first is not None
    assert second is not None
    assert moved is not None
    assert first.name == second.name != moved.name
    assert first.facts() == {
        "item": first.name,
        "matter": "cover",
        "of": "mt",
        "until": "2026-12-01T00:00:00+00:00",
        "hours_ahead": "168",
    }


def test_the_doctor_says_what_is_to_be_accounted_for_and_fails_after_a_day() -> None:
    house = staffed()
    assert judge(house.record, "0203:habo.se", house.now) == []
    stated = house.state(OLA, emergency())
    house.state(PIA, Approved(stated.digest))
    (soon,) = judge(house.record, "0203:habo.se", house.now + HOUR)
    assert (soon.id, soon.state) == ("emergencies", State.WARN)
    (late,) = judge(house.record, "0203:habo.se", house.now + 25 * HOUR)
    assert late.state is State.FAIL
    assert "samdrift gov emergency account 0203:habo.se" in late.todo
    house.state(OLA, AccountGiven(stated.digest, "looked at the queue"))
    assert judge(house.record, "0203:habo.se", house.now + 25 * HOUR) == []


def test_the_doctor_fails_when_a_clock_of_an_incident_has_run_out() -> None:
    house = staffed()
    house.state(ANNA, IncidentOpened("Fel", house.now, house.now, frozenset({Clock.CONCERNED})))
    assert judge(house.record, "0203:habo.se", house.now + 5 * HOUR) == []
    (late,) = judge(house.record, "0203:habo.se", house.now + 7 * HOUR)
    assert (late.id, late.state) == ("incidents", State.FAIL)


def test_a_clock_of_the_operators_incident_is_heard_of_as_one_of_the_organisations_own() -> None:
    house = staffed()
    told = of_the_operator(house.now, Clock.CONCERNED, Clock.FEDERATION)
    (one,) = pending(house.record, {}, house.now, [told])
    assert (one.matter, one.until) == (Matter.OPERATORS_INCIDENT, house.now + 6 * HOUR)
    assert heard(one, every(one, HOUR / 2)) == [2 * HOUR, timedelta()]
    told.told[Clock.CONCERNED] = (house.now, "telefon", house.now)
    assert pending(house.record, {}, house.now, [told]) == ()


def test_the_doctor_says_which_clock_of_the_operators_incidents_ends_next_and_fails_when_one_has() -> None:
    now = datetime(2026, 11, 2, 8, tzinfo=UTC)
    own = of_the_operator(now, Clock.CONCERNED, Clock.PERSONAL_DATA)
    (runs,) = judge_own([own], now + HOUR)
    assert (runs.id, runs.state, runs.about) == ("incidents", State.WARN, "")
    assert runs.found.endswith("incidents: 2, the next until 2026-11-02 14:00 UTC")
    (late,) = judge_own([own], now + 6 * HOUR)
    assert (late.state, late.found) == (
        State.FAIL,
        "1 clocks of the operator's incidents have run out",
    )
    assert "samdrift gov incident shared tell" in late.todo
    for clock in own.clocks:
        own.told[clock] = (now, "telefon", now)
    assert judge_own([own], now + 100 * HOUR) == []
