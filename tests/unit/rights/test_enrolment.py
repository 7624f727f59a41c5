"""Keys: the people who enrol and end them, and the limits of the operator's custodians."""

from __future__ import annotations

from datetime import timedelta

import pytest

from samdrift.rights import ORGANISATION, Approved, Ended, Given, Right, Rights, Subject
from samdrift.rights.enrolment import WAITING_TIME
from samdrift.rights.folding import Effect
from samdrift.rights.keyacts import Lost, Scheme
from samdrift.rights.record import Broken
from samdrift.rights.reviews import ReviewOpened
from samdrift.rights.signing import Refusal
from tests.unit.rights.building import ANNA, BO, CILLA, KARIN, KURT
from tests.unit.rights.signers import YEAR, Authenticator, House, SecurityKey, Ssh, founded

DORA = Subject.parse("operator:dora")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def verdict(house: House, by: Subject, act: object) -> object:
    """Return the effect of an act without appending it."""
    return house.record.judge(house.sign(by, act), house.now)  # type: ignore[arg-type]


def own_key(house: House, subject: Subject) -> str:
    (found,) = house.record.keys.in_force(house.now, subject)
    return found.id


def test_two_custodians_bring_an_organisation_in() -> None:
    house = founded()
    keys = {str(each.act.to) for each in house.record.keys.in_force(house.now)}
    assert keys == {str(each) for each in (KARIN, KURT, ANNA, BO)}
    assert house.record.number == 10


def test_two_officers_enrol_a_third_person() -> None:
    house = founded()
    asked = house.enrolled(SecurityKey(CILLA, 3), by=ANNA, approver=BO)
    (found,) = house.record.keys.in_force(house.now, CILLA)
    assert found.id == asked.digest
    assert found.begins == house.now
    assert found.statements == (asked.digest, house.record.entries[-1].statement.digest)


@pytest.mark.parametrize("approver", [ANNA, CILLA], ids=str)
def test_one_officer_is_not_two(approver: Subject) -> None:
    house = founded()
    house.enrolled(Ssh(CILLA, "cilla"), by=ANNA, approver=BO)
    asked = house.state(ANNA, house.enrolment(Ssh(CILLA, "another")))
    assert verdict(house, approver, Approved(asked.digest)) is Effect.SELF


def test_who_has_a_key_and_no_role_enrols_nobody() -> None:
    house = founded()
    house.enrolled(Ssh(CILLA, "cilla"), by=ANNA, approver=BO)
    assert verdict(house, CILLA, house.enrolment(Ssh(CILLA, "further"))) is Effect.NO_AUTHORITY
    asked = house.state(ANNA, house.enrolment(Ssh(BO, "further")))
    assert verdict(house, CILLA, Approved(asked.digest)) is Effect.NO_AUTHORITY


def test_one_officer_and_a_custodian_enrol_where_there_is_no_second_officer() -> None:
    house = founded()
    asked = house.state(ANNA, house.enrolment(Ssh(CILLA, "cilla")))
    house.state(KARIN, Approved(asked.digest))
    assert own_key(house, CILLA) == asked.digest


def test_a_key_that_custodians_enrol_begins_a_week_later_and_an_officer_ends_it_before() -> None:
    """A malicious operator invents an officer; the organisation's own people see it and end it."""
    house = founded()
    forged = Ssh(CILLA, "the operator's")
    asked = house.state(KARIN, house.enrolment(forged))
    house.state(KURT, Approved(asked.digest))
    house.signers[CILLA] = forged
    begins = house.record.keys.enrolment(asked.digest).begins
    assert begins == house.now + WAITING_TIME
    assert verdict(house, CILLA, Ended(subject=ANNA)) is Refusal.KEY_OVER
    house.state(BO, Ended(of=asked.digest))
    house.now += WAITING_TIME
    assert verdict(house, CILLA, Ended(subject=ANNA)) is Refusal.KEY_OVER


def test_custodians_who_backdate_wait_a_week_from_the_entry_in_the_log() -> None:
    """Whoever has both custodians' keys and a clock of their own would gain a day by the stated time."""
    house = founded()
    forged = Ssh(CILLA, "the operator's")
    asked, stated = house.sign(KARIN, house.enrolment(forged)), house.now
    logged = stated + DAY - MINUTE
    assert house.record.append(asked, logged) is Effect.WAITING
    approved = house.sign(KURT, Approved(asked.statement.digest))
    assert house.record.append(approved, logged) is Effect.TAKEN
    assert house.record.keys.enrolment(asked.statement.digest).begins == logged + WAITING_TIME
    start = house.now + WAITING_TIME + MINUTE
    role = Given(
        Rights(CILLA, ORGANISATION, frozenset({Right.ADMINISTRATOR})), start, start + YEAR, asked=True
    )
    soon = house.sign(KARIN, role)
    assert house.record.append(soon, logged) is Effect.NO_AUTHORITY
    assert house.record.append(soon, house.now) is Effect.WAITING


@pytest.mark.parametrize("off", [DAY + MINUTE, -6 * MINUTE])
def test_a_statement_that_came_at_another_time_than_it_says_breaks_the_record(off: timedelta) -> None:
    house = founded()
    signed = house.sign(ANNA, Ended(subject=BO))
    with pytest.raises(Broken, match="expired"):
        house.record.accept(signed.content, house.record.number + 1, house.now + off)
    house.record.accept(signed.content, house.record.number + 1, house.now + DAY - MINUTE)
    assert house.record.entries[-1].logged == house.now + DAY - MINUTE


def test_a_role_that_custodians_give_waits_as_long() -> None:
    house = founded()
    house.enrolled(Ssh(CILLA, "cilla"), by=ANNA, approver=BO)
    what = Rights(CILLA, ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    soon, later = house.now + MINUTE, house.now + WAITING_TIME + 2 * MINUTE
    assert verdict(house, KARIN, Given(what, soon, soon + YEAR, asked=True)) is Effect.NO_AUTHORITY
    asked = house.state(KARIN, Given(what, later, later + YEAR, asked=True))
    house.state(KURT, Approved(asked.digest))
    assert not house.record.state.is_officer(CILLA, house.now + DAY)
    house.state(ANNA, Ended(of=asked.digest))
    assert not house.record.state.is_officer(CILLA, later + DAY)


def test_what_custodians_asked_for_before_is_approved_by_them_within_a_day_or_not_at_all() -> None:
    house = founded()
    first = house.record.entries[0].statement
    assert first.by == KARIN
    early = House(signers={each: house.signers[each] for each in (KARIN, KURT)})
    for custodian in (KARIN, KURT):
        early.state(custodian, early.enrolment(early.signers[custodian]))
    asked = early.state(KARIN, early.enrolment(Ssh(CILLA, "kept in a drawer")))
    start = early.now + MINUTE
    what = Rights(CILLA, ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    role = early.state(KARIN, Given(what, start, start + YEAR, asked=True))
    anna = early.state(KARIN, early.enrolment(Ssh(ANNA, "anna")))
    early.state(KURT, Approved(anna.digest))
    early.now += 2 * DAY
    for waiting in (asked, role):
        assert verdict(early, KURT, Approved(waiting.digest)) is Effect.NO_AUTHORITY


@pytest.mark.parametrize("of", ["key", "role", "all"])
def test_custodians_end_nothing_that_a_person_has(of: str) -> None:
    """Otherwise they could end all keys, and then enrol others without the week."""
    house = founded()
    role = next(each for each in house.record.statements() if isinstance(each.act, Given))
    act = {
        "key": Ended(of=own_key(house, ANNA)),
        "role": Ended(of=role.digest),
        "all": Ended(subject=ANNA),
    }[of]
    for custodian in (KARIN, KURT):
        assert verdict(house, custodian, act) is Effect.NO_AUTHORITY


def test_custodians_open_no_review_while_a_person_has_a_key() -> None:
    """Silence would remove within a day what custodians may not end."""
    house = founded()
    role = next(each for each in house.record.statements() if isinstance(each.act, Given))
    act = ReviewOpened("organisation", (role.digest,), ANNA, BO, house.now + 2 * DAY)
    for custodian in (KARIN, KURT):
        assert verdict(house, custodian, act) is Effect.NO_AUTHORITY
    assert verdict(house, ANNA, act) is Effect.TAKEN


@pytest.mark.parametrize("asks", ["custodian", "officer"])
def test_one_who_is_custodian_and_officer_is_not_two(asks: str) -> None:
    """A small municipality's custodian may be its officer, but a second person is still needed."""
    house = founded()
    both = Subject.parse("person:Karin")
    house.enrolled(Ssh(both, "karin"), by=ANNA, approver=BO)
    what = Rights(both, ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    given = house.state(ANNA, Given(what, house.now + MINUTE, house.now + YEAR, asked=True))
    house.state(KURT, Approved(given.digest))
    house.enrolled(Ssh(CILLA, "cilla"), by=ANNA, approver=BO)
    house.now += 2 * MINUTE
    start = house.now + WAITING_TIME + DAY
    by, other = (KARIN, both) if asks == "custodian" else (both, KARIN)
    role = Given(Rights(CILLA, ORGANISATION, what.rights), start, start + YEAR, asked=True)
    own = Given(what, start, start + YEAR, asked=True)
    for act in (house.enrolment(Ssh(CILLA, "further")), role):
        asked = house.state(by, act)
        assert verdict(house, other, Approved(asked.digest)) is Effect.SELF
    asked = house.state(ANNA, own)
    assert verdict(house, KARIN, Approved(asked.digest)) is Effect.SELF, (
        "the right is for the person who approves"
    )


def test_when_all_keys_are_gone_custodians_bring_the_organisation_in_again() -> None:
    house = founded()
    house.state(BO, Lost(own_key(house, ANNA), house.now))
    house.state(BO, Lost(own_key(house, BO), house.now))
    asked = house.state(KARIN, house.enrolment(Ssh(BO, "new")))
    house.state(KURT, Approved(asked.digest))
    assert own_key(house, BO) == asked.digest


def test_a_lost_key_signs_nothing_and_never_comes_back() -> None:
    house = founded()
    since = house.now - MINUTE
    lost = own_key(house, ANNA)
    house.state(BO, Lost(lost, since))
    assert house.record.keys.enrolment(lost).lost_since == since
    assert verdict(house, ANNA, Ended(subject=CILLA)) is Refusal.KEY_OVER
    assert verdict(house, BO, house.enrolment(house.signers[ANNA])) is Effect.KEY_TAKEN


def test_a_key_ends_by_itself() -> None:
    house = founded()
    house.now += YEAR
    assert verdict(house, BO, Ended(subject=CILLA)) is Refusal.KEY_OVER


def test_a_key_that_another_has_is_refused() -> None:
    house = founded()
    stolen = Ssh(CILLA, "bo")
    assert stolen.key == house.signers[BO].key
    assert verdict(house, ANNA, house.enrolment(stolen)) is Effect.KEY_TAKEN
    assert verdict(house, ANNA, house.enrolment(Ssh(BO, "bo"))) is Effect.KEY_TAKEN


def test_a_code_on_paper_serves_once_and_alone_where_there_is_no_other_officer() -> None:
    house = founded()
    paper = Ssh(ANNA, "paper", Scheme.PAPER)
    asked = house.state(ANNA, house.enrolment(paper))
    house.state(BO, Approved(asked.digest))
    own, officers = house.signers[ANNA], own_key(house, BO)
    house.signers[ANNA] = paper
    assert verdict(house, ANNA, Ended(subject=CILLA)) is Refusal.CODE_SPENT
    assert verdict(house, ANNA, house.enrolment(Ssh(CILLA, "not mine"))) is Effect.NO_AUTHORITY
    assert verdict(house, ANNA, house.enrolment(Ssh(ANNA, "p", Scheme.PAPER))) is Effect.NO_AUTHORITY
    assert verdict(house, ANNA, house.enrolment(Authenticator(ANNA, 9))) is Effect.WAITING
    house.state(BO, Lost(officers, house.now))
    new = house.state(ANNA, house.enrolment(Authenticator(ANNA, 9)))
    assert house.record.keys.enrolment(new.digest).begins == house.now
    assert verdict(house, ANNA, house.enrolment(Authenticator(ANNA, 10))) is Refusal.KEY_OVER
    house.signers[ANNA] = Authenticator(ANNA, 9)
    house.state(ANNA, Lost(house.record.keys.of_key(own.key.fingerprint)[0].id, house.now))


def test_custodians_enrol_the_operators_staff_who_get_nothing_by_it() -> None:
    house = founded()
    asked = house.state(KARIN, house.enrolment(Ssh(DORA, "dora")))
    assert verdict(house, BO, Approved(asked.digest)) is Effect.NO_AUTHORITY
    house.state(KURT, Approved(asked.digest))
    house.signers[DORA] = Ssh(DORA, "dora")
    assert own_key(house, DORA) == asked.digest
    assert verdict(house, DORA, house.enrolment(Ssh(CILLA, "x"))) is Effect.NO_AUTHORITY
    assert verdict(house, DORA, Ended(of=own_key(house, ANNA))) is Effect.NO_AUTHORITY
    assert verdict(house, BO, house.enrolment(Ssh(DORA, "y"))) is Effect.NO_AUTHORITY
    house.state(BO, Ended(of=asked.digest))


def test_a_custodian_states_their_own_key_alone() -> None:
    house = founded()
    other = Ssh(Subject.parse("custodian:kalle"), "kalle")
    assert verdict(house, KARIN, house.enrolment(other)) is Effect.NO_AUTHORITY
    assert verdict(house, BO, house.enrolment(other)) is Effect.NO_AUTHORITY


def test_ending_and_approving_what_is_not_there_changes_nothing() -> None:
    house = founded()
    for act in (Ended(of="0" * 64), Approved("0" * 64), Lost("0" * 64, house.now)):
        assert verdict(house, BO, act) is Effect.NAMES_NOTHING
    ended = own_key(house, ANNA)
    house.state(BO, Ended(of=ended))
    assert verdict(house, BO, Ended(of=ended)) is Effect.OVER
    house.state(BO, Lost(ended, house.now))
    assert verdict(house, BO, Lost(ended, house.now)) is Effect.OVER
    asked = house.state(BO, house.enrolment(Ssh(CILLA, "c")))
    house.state(BO, Ended(of=asked.digest))
    assert verdict(house, KARIN, Approved(asked.digest)) is Effect.OVER
