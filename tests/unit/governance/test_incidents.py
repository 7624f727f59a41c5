"""Incidents: clocks that run from awareness, permitted statements, and the view of each organisation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from samdrift.audit.entries import LogEntry
from samdrift.governance.incidentdraft import draft
from samdrift.governance.incidents import (
    EVENTS,
    Known,
    collected,
    concerned,
    document,
    facts_of,
    from_log,
    known_incidents,
)
from samdrift.governance.whouses import Uses
from samdrift.rights import Approved, StatementError, Subject
from samdrift.rights.folding import Effect
from samdrift.rights.folds import FOLDS
from samdrift.rights.incidentfold import Incident, month_after, overdue
from samdrift.rights.incidents import (
    Clock,
    IncidentAct,
    IncidentClosed,
    IncidentNoted,
    IncidentOpened,
    IncidentTold,
)
from samdrift.rights.record import Record
from samdrift.rights.statements import Act, Statement
from tests.unit.rights.building import ANNA, BO, DAG, HABO, KARIN, KURT, at
from tests.unit.rights.signers import House, Ssh, founded

EVA = Subject.parse("operator:eva")
ALL = frozenset(Clock)


def house() -> House:
    """Anna and Bo decide for the organisation, Eva is of the operator's staff, and Dag is of neither."""
    made = founded()
    contents = [each.signed.content for each in made.record.entries]
    made.record = Record.of(HABO, contents, FOLDS)
    asked = made.state(KARIN, made.enrolment(Ssh(EVA, "eva")))
    made.state(KURT, Approved(asked.digest))
    made.signers[EVA] = Ssh(EVA, "eva")
    made.enrolled(Ssh(DAG, "dag"), ANNA, BO)
    return made


def opened(made: House, clocks: frozenset[Clock] = ALL, by: Subject = ANNA) -> Statement:
    now = made.now
    return made.state(
        by, IncidentOpened("Avbrott", now - timedelta(hours=2), now - timedelta(hours=1), clocks)
    )


def only(made: House) -> Incident:
    (known,) = known_incidents(made.record, ())
    return known.incident


def verdict(made: House, by: Subject, act: Act) -> object:
    return made.record.judge(made.sign(by, act), made.now)


def test_each_clock_runs_from_when_it_was_known() -> None:
    made = house()
    opened(made)
    incident = only(made)
    due = {each.clock: each.due for each in incident.running(made.now)}
    aware = incident.aware
    assert due == {
        Clock.CONCERNED: aware + timedelta(hours=6),
        Clock.EARLY_WARNING: aware + timedelta(hours=24),
        Clock.NOTIFICATION: aware + timedelta(hours=72),
        Clock.PERSONAL_DATA: aware + timedelta(hours=72),
        Clock.FINAL_REPORT: month_after(aware + timedelta(hours=72)),
        Clock.FEDERATION: None,
    }


def test_telling_stops_a_clock_and_what_was_late_stays_late() -> None:
    made = house()
    first = opened(made, frozenset({Clock.CONCERNED, Clock.NOTIFICATION}))
    aware = only(made).aware
    made.now += timedelta(hours=7)
    assert [each.clock for _, each in overdue([only(made)], made.now)] == [Clock.CONCERNED]
    told = made.now
    made.state(EVA, IncidentTold(first.digest, Clock.CONCERNED, told, "telefon"))
    concerned_clock, notification = only(made).running(made.now)
    assert (concerned_clock.told, concerned_clock.late) == (told, True)
    assert concerned_clock.left(made.now) is None
    assert notification.left(made.now) == aware + timedelta(hours=72) - made.now
    assert not overdue([only(made)], made.now)
    assert verdict(made, ANNA, IncidentTold(first.digest, Clock.CONCERNED, aware, "igen")) is Effect.OVER


def test_an_earlier_moment_does_not_know_what_was_stated_later() -> None:
    made = house()
    first = opened(made, frozenset({Clock.CONCERNED}))
    before = made.now
    made.state(ANNA, IncidentTold(first.digest, Clock.CONCERNED, before - timedelta(minutes=30), "mejl"))
    made.state(ANNA, IncidentNoted(first.digest, frozenset({Clock.PERSONAL_DATA})))
    (then,) = only(made).running(before)
    assert then.told is None
    assert {each.clock for each in only(made).running(made.now)} == {Clock.CONCERNED, Clock.PERSONAL_DATA}


def test_the_final_report_is_due_a_month_after_the_notification_or_after_its_last_moment() -> None:
    made = house()
    first = opened(made, frozenset({Clock.NOTIFICATION, Clock.FINAL_REPORT}))
    told = made.now
    made.state(ANNA, IncidentTold(first.digest, Clock.NOTIFICATION, told, "MCF-1"))
    _, final = only(made).running(made.now)
    assert final.due == month_after(told)
    assert month_after(datetime(2027, 1, 31, tzinfo=UTC)) == datetime(2027, 2, 28, tzinfo=UTC)
    assert month_after(datetime(2026, 12, 5, tzinfo=UTC)) == datetime(2027, 1, 5, tzinfo=UTC)
    for first, later in (
        ("2027-01-29T00:30+01:00", "2027-02-28T00:30+01:00"),  # 28 January in UTC
        ("2026-12-01T00:30+01:00", "2027-01-01T00:30+01:00"),
        ("2027-03-01T00:30+01:00", "2027-04-01T00:30+02:00"),
    ):
        assert month_after(datetime.fromisoformat(first)) == datetime.fromisoformat(later)
    late = house()
    second = opened(late, frozenset({Clock.NOTIFICATION, Clock.FINAL_REPORT}))
    latest = only(late).aware + timedelta(hours=72)
    late.now = latest + timedelta(days=9)
    late.state(ANNA, IncidentTold(second.digest, Clock.NOTIFICATION, late.now, "MCF-2"))
    assert only(late).running(late.now)[1].due == month_after(latest), (
        "a late notification must not extend the deadline"
    )


@pytest.mark.parametrize("by", [EVA, KARIN])
def test_the_operator_opens_and_tells_and_does_not_close(by: Subject) -> None:
    made = house()
    first = opened(made, by=by)
    made.state(by, IncidentNoted(first.digest, frozenset(), "0" * 64))
    made.state(by, IncidentTold(first.digest, Clock.CONCERNED, made.now, "telefon"))
    assert verdict(made, by, IncidentClosed(first.digest)) is Effect.NO_AUTHORITY
    made.state(BO, IncidentClosed(first.digest))
    assert verdict(made, ANNA, IncidentClosed(first.digest)) is Effect.OVER


@pytest.mark.parametrize(
    "make",
    [
        lambda of, now: IncidentOpened("X", now, now, ALL),
        lambda of, now: IncidentNoted(of, frozenset()),
        lambda of, now: IncidentTold(of, Clock.CONCERNED, now, "x"),
        lambda of, now: IncidentClosed(of),
    ],
)
def test_a_person_without_a_role_states_nothing(make: object) -> None:
    made = house()
    first = opened(made)
    assert verdict(made, DAG, make(first.digest, made.now)) is Effect.NO_AUTHORITY  # type: ignore[operator]


def test_what_names_no_incident_or_no_clock_of_it_is_refused() -> None:
    made = house()
    first = opened(made, frozenset({Clock.CONCERNED}))
    digest = made.record.entries[0].statement.digest
    for act in (
        IncidentClosed(digest),
        IncidentNoted(digest, ALL),
        IncidentTold(first.digest, Clock.PERSONAL_DATA, made.now, "x"),
        IncidentTold(first.digest, Clock.CONCERNED, made.now - timedelta(days=1), "before it began"),
    ):
        assert verdict(made, ANNA, act) is Effect.NAMES_NOTHING


@pytest.mark.parametrize(
    ("act", "field"),
    [
        (IncidentOpened("X", at(2), at(1), ALL), "aware"),
        (IncidentOpened("X", at(1), at(9), ALL), "aware"),
        (IncidentOpened("", at(1), at(1), ALL), "title"),
        (IncidentOpened("X\u202e", at(1), at(1), ALL), ""),
        (IncidentTold("0" * 64, Clock.CONCERNED, at(9), "x"), "told"),
        (IncidentTold("0" * 64, Clock.CONCERNED, at(1), ""), "reference"),
        (IncidentClosed("x"), "of"),
        (IncidentNoted("0" * 64, ALL, "not a digest"), "file"),
    ],
)
def test_bad_input_is_refused_with_its_field(act: IncidentAct, field: str) -> None:
    with pytest.raises(StatementError) as caught:
        _ = Statement(HABO, ANNA, at(3), "beslut", act).content
    assert caught.value.field.startswith(field)


def entry(hour: float, act: IncidentAct, incident: str, **facts: str) -> LogEntry:
    ids = facts_of(act, "orsak") | {"incident": incident} | facts
    return LogEntry(1, at(hour), EVENTS[type(act)], "operator:eva", "administer", ids, b"", b"")


def test_an_incident_of_the_operators_is_read_from_a_log() -> None:
    of = "a" * 64
    act = IncidentOpened("Avbrott", at(1), at(2), frozenset({Clock.CONCERNED}))
    told = IncidentTold(of, Clock.CONCERNED, at(4), "mejl")
    entries = [
        entry(3, act, of, organisation="0203:a.se"),
        entry(3, act, of, organisation="0203:b.se"),
        entry(5, told, of, organisation="0203:a.se"),
        entry(6, IncidentTold(of, Clock.CONCERNED, at(5), "försent"), of),
        entry(6, IncidentNoted("b" * 64, frozenset()), "b" * 64),
        LogEntry(1, at(7), EVENTS[IncidentOpened], "x", "", {"act": "{", "incident": "c" * 64}, b"", b""),
        LogEntry(1, at(7), EVENTS[IncidentOpened], "x", "", {"act": "[]", "incident": "c" * 64}, b"", b""),
    ]
    assert concerned(entries) == {of: {"0203:a.se", "0203:b.se"}}
    (incident,) = from_log(entries).values()
    assert len(incident.notes) == 3, "a note counts once for all organisations concerned"
    assert incident.told[Clock.CONCERNED][0] == at(4), "the first notification counts"
    (known,) = known_incidents(Record(HABO), entries)
    assert document(known, at(9))["from_operator"] is True


def test_the_evidence_turns_when_a_clock_has_run_out_and_again_when_it_is_told() -> None:
    made = house()
    first = opened(made, frozenset({Clock.CONCERNED}))
    assert collected(known_incidents(made.record, ()), made.now).good
    made.now += timedelta(hours=6)
    assert not collected(known_incidents(made.record, ()), made.now).good
    made.state(ANNA, IncidentTold(first.digest, Clock.CONCERNED, made.now, "mejl"))
    assert collected(known_incidents(made.record, ()), made.now).good
    assert collected((), made.now).good


def test_a_closed_incident_is_open_while_a_clock_runs() -> None:
    made = house()
    first = opened(made, frozenset({Clock.CONCERNED, Clock.FEDERATION}))
    made.state(ANNA, IncidentClosed(first.digest))
    assert only(made).open_at(made.now)
    made.state(ANNA, IncidentTold(first.digest, Clock.CONCERNED, made.now, "mejl"))
    assert not only(made).open_at(made.now)
    assert document(Known(only(made), from_operator=False), made.now)["open"] is False


@pytest.mark.parametrize("clock", list(Clock))
def test_a_draft_says_what_is_known_and_leaves_the_rest_blank(clock: Clock) -> None:
    made = house()
    first = opened(made)
    made.state(ANNA, IncidentNoted(first.digest, frozenset(), "ab" * 32))
    uses = Uses(only(made).began, made.now, {"mk"})
    uses.take(
        [
            LogEntry(1, only(made).began, "mk:reading:message", f"user:{person}", "read", {}, b"", b"")
            for person in ("secret-1", "secret-1", "secret-2")
        ]
    )
    text = draft(HABO, only(made), clock, uses, made.now)
    assert "Avbrott" in text
    assert "mk:reading:message: 3 gånger, av 2 person" in text
    assert "secret" not in text, "the draft must not name persons"
    assert "ab" * 32 in text
    assert "Kontaktperson: ____" in text
    assert "____" in draft(HABO, only(made), clock, None, made.now).partition("loggar:")[2]
