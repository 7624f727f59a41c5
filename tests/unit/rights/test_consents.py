"""Consents to see what the operator may not see alone: approvers, limits, and 2 000 refused ones."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from samdrift.rights import Approved, Ended, Objected, Right, Statement, StatementError, Subject
from samdrift.rights.consentfold import Consent, Stage, consents_of
from samdrift.rights.consents import (
    EVERYTHING,
    LONGEST_CONSENT,
    AccessAsked,
    AccountGiven,
    EmergencyStated,
    Extent,
    Ground,
    Level,
)
from samdrift.rights.folding import Effect
from samdrift.rights.folds import FOLDS
from samdrift.rights.keyacts import Lost
from samdrift.rights.record import GOOD, Record, Verdict
from samdrift.rights.signing import Refusal, Signed
from samdrift.rights.statements import Act
from tests.unit.rights import test_record as forging
from tests.unit.rights.building import ANNA, BO, CILLA, DAG, HABO, KARIN, KURT
from tests.unit.rights.signers import House, Ssh, founded
from tests.unit.rights.test_record import MINUTE

OLA, PIA = (Subject.parse(f"operator:{name}") for name in ("ola", "pia"))
OLA_AS_PERSON, GONE = (Subject.parse(f"person:{name}") for name in ("ola", "gone"))
MESSAGE = Extent.message("0d9b6c1e-6a3f-4f0e-9d7a-1c2b3a4d5e6f")
OTHER = Extent.message("1d9b6c1e-6a3f-4f0e-9d7a-1c2b3a4d5e6f")
DAY = timedelta(days=1)
REFUSED = 2000


def staffed(organisation: str = HABO, now: datetime | None = None) -> House:
    """Return a house with the officers Anna, Bo and Dag, the member Cilla, and the staff Ola and Pia."""
    house = founded(organisation) if now is None else founded(organisation, now)
    for staff in (OLA, PIA):
        house.enrolled(Ssh(staff, f"{staff}"), by=KARIN, approver=KURT)
    for person in (CILLA, DAG, OLA_AS_PERSON, GONE):
        house.enrolled(Ssh(person, f"{person}"), by=ANNA, approver=BO)
    for officer in (DAG, OLA_AS_PERSON, GONE):
        house.given(Right.ADMINISTRATOR, officer, ANNA, KARIN)
        house.now += timedelta(days=1)
    house.state(BO, Lost(next(house.record.keys.in_force(house.now, GONE)).id, house.now))
    return house


def asking(
    to: Subject = OLA,
    level: Level = Level.METADATA,
    extent: Extent = MESSAGE,
    minutes: int = 60,
) -> AccessAsked:
    return AccessAsked(to, Ground.OUTAGE, "INC-4711", extent, level, minutes)


def emergency(to: Subject = OLA) -> EmergencyStated:
    return EmergencyStated(to, Ground.SECURITY, "INC-4712", MESSAGE)


def consent(house: House, statement: Statement) -> Consent:
    found = consents_of(house.record).find(statement.digest)
    assert found is not None
    return found


def stage(house: House, statement: Statement, after: timedelta = timedelta()) -> Stage:
    return consent(house, statement).stage(house.now + after)


def verdict(house: House, by: Subject, act: Act) -> Verdict:
    return house.record.judge(house.sign(by, act), house.now)


def test_one_officer_approves_metadata_and_it_ends_by_itself() -> None:
    house = staffed()
    asked = house.state(OLA, asking())
    assert stage(house, asked) is Stage.WAITING
    approval = house.state(BO, Approved(asked.digest))
    assert stage(house, asked) is Stage.IN_FORCE
    assert consent(house, asked).approvals == [(BO, house.now, approval.digest)]
    assert stage(house, asked, timedelta(minutes=60, seconds=-1)) is Stage.IN_FORCE
    assert stage(house, asked, timedelta(minutes=60)) is Stage.OVER


def test_content_takes_two_persons_of_the_organisation() -> None:
    house = staffed()
    asked = house.state(OLA, asking(level=Level.CONTENT))
    house.state(BO, Approved(asked.digest))
    assert stage(house, asked) is Stage.WAITING
    assert consent(house, asked).missing == 1
    assert verdict(house, BO, Approved(asked.digest)) is Effect.OVER
    assert verdict(house, CILLA, Approved(asked.digest)) is Effect.NO_AUTHORITY
    house.state(DAG, Approved(asked.digest))
    assert stage(house, asked) is Stage.IN_FORCE


def test_an_approval_of_one_who_is_no_officer_any_more_is_not_counted_for_content() -> None:
    house = staffed()
    asked = house.state(OLA, asking(level=Level.CONTENT))
    house.state(DAG, Approved(asked.digest))
    house.state(ANNA, Ended(subject=DAG))
    house.state(BO, Approved(asked.digest))
    assert stage(house, asked) is Stage.WAITING
    house.state(ANNA, Approved(asked.digest))
    assert stage(house, asked) is Stage.IN_FORCE


def test_an_officer_who_asks_for_another_is_one_of_those_who_approve() -> None:
    house = staffed()
    metadata = house.state(BO, asking(to=PIA))
    assert stage(house, metadata) is Stage.IN_FORCE
    content = house.state(BO, asking(to=PIA, level=Level.CONTENT))
    assert stage(house, content) is Stage.WAITING
    assert verdict(house, BO, Approved(content.digest)) is Effect.SELF
    house.state(DAG, Approved(content.digest))
    assert stage(house, content) is Stage.IN_FORCE


def test_nobody_approves_for_themselves_under_any_kind_of_subject() -> None:
    house = staffed()
    asked = house.state(OLA, asking())
    assert verdict(house, OLA, Approved(asked.digest)) is Effect.SELF
    assert verdict(house, OLA_AS_PERSON, Approved(asked.digest)) is Effect.SELF
    own = house.state(BO, asking(to=BO))
    assert stage(house, own) is Stage.WAITING
    assert verdict(house, BO, Approved(own.digest)) is Effect.SELF
    assert stage(house, house.state(OLA_AS_PERSON, asking())) is Stage.WAITING
    assert verdict(house, PIA, Approved(asked.digest)) is Effect.NO_AUTHORITY
    assert verdict(house, KARIN, Approved(asked.digest)) is Effect.NO_AUTHORITY


def test_the_staff_ask_for_themselves_alone() -> None:
    house = staffed()
    assert verdict(house, OLA, asking(to=PIA)) is Effect.NO_AUTHORITY
    assert verdict(house, CILLA, asking()) is Effect.NO_AUTHORITY
    assert verdict(house, OLA, emergency(to=PIA)) is Effect.NO_AUTHORITY


def test_what_nobody_approves_in_four_days_has_lapsed_and_stays_to_be_seen() -> None:
    house = staffed()
    asked = house.state(OLA, asking())
    house.now += 4 * DAY
    assert stage(house, asked) is Stage.LAPSED or house.now <= asked.at + 4 * DAY
    house.now += MINUTE
    assert stage(house, asked) is Stage.LAPSED
    assert verdict(house, BO, Approved(asked.digest)) is Effect.OVER
    assert [each.id for each in consents_of(house.record).all()] == [asked.digest]


def test_any_officer_revokes_and_nothing_brings_it_back() -> None:
    house = staffed()
    asked = house.state(OLA, asking())
    house.state(BO, Approved(asked.digest))
    assert verdict(house, CILLA, Ended(of=asked.digest)) is Effect.NO_AUTHORITY
    assert verdict(house, PIA, Ended(of=asked.digest)) is Effect.NO_AUTHORITY
    house.state(DAG, Ended(of=asked.digest))
    assert stage(house, asked) is Stage.REVOKED
    assert verdict(house, ANNA, Approved(asked.digest)) is Effect.OVER
    declined = house.state(OLA, asking(extent=OTHER))
    house.state(BO, Ended(of=declined.digest))
    assert stage(house, declined) is Stage.DECLINED
    assert verdict(house, ANNA, Approved(declined.digest)) is Effect.OVER
    withdrawn = house.state(OLA, asking(minutes=5))
    house.state(OLA, Ended(of=withdrawn.digest))
    assert stage(house, withdrawn) is Stage.DECLINED


@pytest.mark.parametrize("first", ["approval", "end"])
def test_revoking_wins_over_approving_in_the_same_second(first: str) -> None:
    house = staffed()
    asked = house.state(OLA, asking())
    house.now += MINUTE
    acts: list[tuple[Subject, Act]] = [(BO, Approved(asked.digest)), (DAG, Ended(of=asked.digest))]
    for by, act in acts if first == "approval" else reversed(acts):
        house.record.append(house.signers[by].sign(house.stated(by, act)))
    assert stage(house, asked) in (Stage.REVOKED, Stage.DECLINED)
    assert not consents_of(house.record).in_force(house.now)


def test_an_emergency_takes_two_of_the_staff_and_lasts_an_hour() -> None:
    house = staffed()
    stated = house.state(OLA, emergency())
    assert verdict(house, OLA, Approved(stated.digest)) is Effect.SELF
    assert verdict(house, Subject.parse("person:anna"), Approved(stated.digest)) is Effect.NO_AUTHORITY
    house.state(PIA, Approved(stated.digest))
    found = consent(house, stated)
    assert found.emergency
    assert found.act.level is Level.METADATA
    assert stage(house, stated, timedelta(minutes=59)) is Stage.IN_FORCE
    assert stage(house, stated, timedelta(hours=1)) is Stage.OVER
    assert not found.unanswered(house.now + DAY)
    assert found.unanswered(house.now + DAY + MINUTE)
    assert verdict(house, BO, AccountGiven(stated.digest, "restarted")) is Effect.NO_AUTHORITY
    house.state(PIA, AccountGiven(stated.digest, "the queue was restarted"))
    assert not found.unanswered(house.now + 2 * DAY)
    assert verdict(house, OLA, AccountGiven(stated.digest, "again")) is Effect.OVER


def test_an_emergency_that_the_second_of_the_staff_signs_late_has_lapsed() -> None:
    house = staffed()
    stated = house.state(OLA, emergency())
    house.now += timedelta(hours=1)
    assert verdict(house, PIA, Approved(stated.digest)) is Effect.OVER
    assert stage(house, stated) is Stage.LAPSED
    assert verdict(house, PIA, AccountGiven(stated.digest, "nothing")) is Effect.NAMES_NOTHING


def begun(house: House, *approvers: Subject) -> tuple[Statement, Consent]:
    """Have an emergency stated and approved, each an hour and a half after the one before."""
    house.now += timedelta(minutes=90)
    stated = house.state(OLA, emergency())
    for each in approvers:
        house.state(each, Approved(stated.digest))
    return stated, consent(house, stated)


def test_emergencies_are_not_chained() -> None:
    """Attack: 75 emergencies in three days, one after the other, in place of a consent."""
    house = staffed()
    for _ in range(2):
        assert begun(house, PIA)[1].begins is not None
    for _ in range(5):
        stated, third = begun(house, PIA)
        assert third.begins is None
    house.state(ANNA, Approved(stated.digest))
    assert consent(house, stated).begins == house.now
    assert consents_of(house.record).emergencies(house.now) == 3


def test_a_third_emergency_takes_two_custodians_and_one_more_if_no_officer_answers() -> None:
    house = staffed()
    for _ in range(2):
        begun(house, PIA)
    for few in ((KARIN,), (KARIN, PIA), (KARIN, KURT)):
        assert begun(house, *few)[1].begins is None
    assert begun(house, KARIN, KURT, PIA)[1].begins == house.now


def test_after_a_week_two_of_the_staff_begin_an_emergency_again() -> None:
    house = staffed()
    for _ in range(2):
        begun(house, PIA)
    house.now += timedelta(days=6, hours=20)
    assert begun(house, PIA)[1].begins is None
    house.now += timedelta(hours=6)
    assert begun(house, PIA)[1].begins is not None


def test_an_officer_ends_an_emergency() -> None:
    house = staffed()
    stated = house.state(OLA, emergency())
    house.state(PIA, Approved(stated.digest))
    house.state(BO, Ended(of=stated.digest))
    assert stage(house, stated) is Stage.REVOKED


def test_an_extent_covers_itself_and_spans_cover_what_is_within() -> None:
    start = EVERYTHING.replace(year=2026)
    span = Extent.span(start, start + 7 * DAY)
    assert span.covers(Extent.span(start + DAY, start + 2 * DAY))
    assert not span.covers(Extent.span(start - MINUTE, start + DAY))
    assert not span.covers(Extent.span(start, start + 8 * DAY))
    assert MESSAGE.covers(MESSAGE)
    assert not MESSAGE.covers(OTHER)
    assert not span.covers(MESSAGE)
    assert not MESSAGE.covers(Extent.mailbox(MESSAGE.id))
    for each in (MESSAGE, span, Extent.mailbox("6c1d")):
        assert Extent.parse(str(each)) == each


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"minutes": int(LONGEST_CONSENT / MINUTE) + 1}, "minutes"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": True}, "minutes"),
        ({"extent": Extent.message("not-a-uuid")}, "extent"),
        ({"extent": Extent.mailbox("a\u202eb")}, "extent"),
        ({"extent": Extent.span(EVERYTHING + DAY, EVERYTHING)}, "extent"),
        ({"ticket": ""}, "ticket"),
        ({"ticket": "INC\u200b1"}, ""),
        ({"to": Subject.parse("system:x")}, "to"),
    ],
)
def test_a_request_over_its_limits_is_refused_with_the_field(change: dict[str, object], field: str) -> None:
    house = staffed()
    with pytest.raises(StatementError) as refused:
        house.stated(OLA, replace(asking(), **change)).content  # type: ignore[arg-type]  # noqa: B018
    assert not field or refused.value.field == field


def test_consents_survive_their_bytes() -> None:
    house = staffed()
    asked = house.state(OLA, asking())
    house.state(BO, Approved(asked.digest))
    stated = house.state(OLA, emergency())
    house.state(PIA, Approved(stated.digest))
    house.state(OLA, AccountGiven(stated.digest, "restarted"))
    again = Record.of(HABO, [each.signed.content for each in house.record.entries], FOLDS)
    assert consents_of(again).all() == consents_of(house.record).all()


def good_act(house: House, chance: random.Random) -> tuple[Subject, Act]:
    """Return an act about consents that would be accepted, with a person who may sign it."""
    waiting = house.state(OLA, asking(minutes=1 + chance.randrange(480)))
    acts: list[tuple[Subject, Act]] = [
        (ANNA, Approved(waiting.digest)),
        (BO, Approved(waiting.digest)),
        (DAG, Ended(of=waiting.digest)),
        (PIA, asking(to=PIA, minutes=1 + chance.randrange(480))),
        (BO, asking(to=PIA)),
        (PIA, emergency(to=PIA)),
    ]
    return chance.choice(acts)


def self_made(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Approve a request of the same person, directly or as an officer of that name, or alone for content."""
    content = house.state(OLA, asking(level=Level.CONTENT))
    own = house.state(BO, asking(to=BO))
    house.state(BO, Approved(content.digest))
    stated = house.state(PIA, emergency(to=PIA))
    acts: list[tuple[Subject, Act]] = [
        (OLA, Approved(content.digest)),
        (OLA_AS_PERSON, Approved(content.digest)),
        (BO, Approved(own.digest)),
        (PIA, Approved(stated.digest)),
        (BO, Approved(content.digest)),
    ]
    by, act = chance.choice(acts)
    return house.sign(by, act), house.now


def out_of_scope(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Approve, end or ask without authority; approve an expired one, or an emergency as an officer."""
    waiting = house.state(OLA, asking())
    stated = house.state(OLA, emergency())
    acts: list[tuple[Subject, Act]] = [
        *((each, Approved(waiting.digest)) for each in (CILLA, PIA, KARIN, KURT)),
        *((each, Ended(of=waiting.digest)) for each in (CILLA, PIA, KARIN)),
        *((each, asking()) for each in (CILLA, PIA, KARIN)),
        *((each, emergency()) for each in (ANNA, BO, PIA)),
        *((each, Approved(stated.digest)) for each in (ANNA, BO, CILLA)),
        (BO, Objected(waiting.digest)),
        (PIA, AccountGiven(stated.digest, "nothing yet")),
        (BO, AccountGiven(waiting.digest, "none")),
    ]
    by, act = chance.choice(acts)
    return house.sign(by, act), house.now


def over(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Approve one that was ended, has lapsed, or was approved before."""
    waiting = house.state(OLA, asking())
    ending = chance.randrange(3)
    if ending == 0:
        house.state(DAG, Ended(of=waiting.digest))
    elif ending == 1:
        house.state(DAG, Approved(waiting.digest))
    else:
        house.now += 4 * DAY
    return house.sign(BO, Approved(waiting.digest)), house.now


KINDS: tuple[Callable[[House, random.Random], tuple[Signed, datetime]], ...] = (
    *(forging.forged, forging.reused, forging.expired, self_made, forging.other_organisation),
    *(out_of_scope, forging.re_ordered, forging.wrong_challenge, forging.wrong_key, over),
)


def refused(house: House, chance: random.Random, number: int) -> tuple[str, Signed, datetime]:
    """Return the kind of a forgery, the statement to append, and the time."""
    kind = KINDS[number % len(KINDS)]
    return kind.__name__, *kind(house, chance)


def copied(house: House) -> list[Consent]:
    """Return the current consents; only their list of parts can change."""
    return [replace(each, approvals=[*each.approvals]) for each in consents_of(house.record).all()]


def test_every_forged_consent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forging, "good_act", good_act)
    monkeypatch.setattr(forging, "DAG", GONE)  # an officer whose key was reported lost
    house, chance = staffed(), random.Random(15)
    found: dict[str, Counter[str]] = {each.__name__: Counter() for each in KINDS}
    for number in range(REFUSED):
        kind, signed, now = refused(house, chance, number)
        before, standing = house.record.number, copied(house)
        outcome = house.record.judge(signed, now)
        assert outcome not in GOOD, (kind, signed.statement)
        assert house.record.number == before
        assert copied(house) == standing
        found[kind][outcome] += 1
        if number % 50 == 49:
            house = staffed()
    assert sum(each.total() for each in found.values()) == REFUSED
    seen = {reason for each in found.values() for reason in each}
    assert seen >= {
        *(Refusal.OTHER_ORGANISATION, Refusal.EXPIRED, Refusal.OUT_OF_ORDER, Refusal.REPEATED),
        *(Refusal.UNKNOWN_KEY, Refusal.OTHERS_KEY, Refusal.KEY_OVER, Refusal.NAMESPACE, Refusal.CHALLENGE),
        *(Refusal.ORIGIN, Refusal.NOT_VERIFIED, Refusal.SIGNATURE),
        *(Effect.NO_AUTHORITY, Effect.SELF, Effect.OVER, Effect.NAMES_NOTHING),
    }
