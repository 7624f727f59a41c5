"""Coverage by agreements: gaps, circles, ends and their warnings.

The gap is named, whatever duty is taken out of whichever agreement; circles and strays cover
nothing; people are warned of ends, and some functions go on after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.contracts.cover import Mode
from samdrift.governance.coverage import (
    CHAIN_DUTY,
    Basis,
    Coverage,
    Gap,
    Missing,
    Past,
    Standing,
    coverage,
    standing,
)
from samdrift.governance.duties.catalogue import Catalogue, Duty, PassOn, shipped
from samdrift.rights.agreementfold import Register
from samdrift.rights.agreements import (
    ROLES,
    Agreed,
    AgreementKind,
    AtEnd,
    Chosen,
    Extended,
    Function,
    NoticeGiven,
    Party,
    Released,
)
from samdrift.rights.folding import Effect
from samdrift.rights.statements import Objected
from tests.unit.rights.agreementbuilding import (
    CHAIN,
    HOST,
    LAST,
    OPERATOR,
    STAFF,
    STORE,
    TOWN,
    Book,
    agreed,
    named,
)
from tests.unit.rights.building import ANNA, DAG, DAY

CATALOGUES = shipped()
DUTIES = CATALOGUES[-1].duties
PASSED_ON = [each.id for each in DUTIES.values() if each.pass_on is not PassOn.NO]
MOMENT = DAY + timedelta(days=2)
LATER = DAY + timedelta(days=30)
ROLES_HERE = dict.fromkeys((Function.AP, Function.MT, Function.MK), OPERATOR)


def covered_at(book: Book, moment: datetime = MOMENT) -> Coverage:
    return _basis(book).at(moment)


def _basis(book: Book, catalogues: Sequence[Catalogue] = CATALOGUES) -> Basis:
    return Basis(book.agreements, catalogues, ROLES_HERE)


def _chain(without: str = "", in_link: int = 0) -> Book:
    """Return a chain of four agreements, one of which may lack a duty."""
    book = Book(*CHAIN)
    for place, (principal, performer) in enumerate(pairwise(CHAIN)):
        duties = [each for each in PASSED_ON if not (place == in_link and each == without)]
        book.enter(agreed(principal, performer, duties))
    return book


def test_a_chain_whose_agreements_carry_every_duty_is_covered() -> None:
    found = covered_at(_chain())
    assert found.covered
    assert found.functions == tuple(Function)
    assert all(found.covers(each) for each in ROLES)
    held = {(each.function, each.duty, each.party) for each in found.held}
    assert len(held) == len(found.held)
    assert {each.duty for each in found.held} == set(PASSED_ON)
    assert {each.clause for each in found.held if each.duty == sorted(PASSED_ON)[3]} == {"4.3"}


@pytest.mark.parametrize("link", range(4))
def test_each_duty_taken_out_of_each_agreement_in_turn_is_the_gap_that_is_named(link: int) -> None:
    assert len(PASSED_ON) == 33
    for duty in PASSED_ON:
        book = _chain(duty, link)
        found = covered_at(book)
        digest = book.agreements.at(MOMENT).agreements[link].digest
        first = DUTIES[duty].pass_on is PassOn.FIRST and link > 0
        expected = {
            Gap(each, duty, str(CHAIN[link + 1]), Missing.CLAUSE, str(CHAIN[link]), (digest,))
            for each in DUTIES[duty].functions
            if not first
        }
        assert set(found.gaps) == expected, duty
        assert found.covered is (not expected)


def test_a_gap_in_a_function_that_serves_all_roles_is_a_gap_of_each_role() -> None:
    book = Book(*CHAIN)
    book.enter(agreed(duties=PASSED_ON))
    book.enter(agreed(OPERATOR, HOST, (), [Function.HOSTING]))
    found = covered_at(book)
    assert {each.function for each in found.gaps} == {Function.HOSTING}
    assert not any(found.covers(each) for each in ROLES)


def test_a_gap_in_one_role_is_none_of_another() -> None:
    book = Book(*CHAIN)
    book.enter(agreed(duties=PASSED_ON, functions=[Function.MT, Function.MK]))
    found = covered_at(book)
    assert found.gaps == (Gap(Function.AP, CHAIN_DUTY, str(OPERATOR), Missing.AGREEMENT),)
    assert [found.covers(each) for each in (Function.AP, Function.MT, Function.MK)] == [False, True, True]


def test_nothing_is_covered_without_agreements_or_without_the_organisations_own_party() -> None:
    assert set(covered_at(Book()).gaps) == {Gap(each, CHAIN_DUTY, "", Missing.PARTY) for each in ROLES}
    gaps = {Gap(each, CHAIN_DUTY, str(OPERATOR), Missing.AGREEMENT) for each in ROLES}
    assert set(covered_at(Book(*CHAIN)).gaps) == gaps
    nobody = coverage(Book(*CHAIN).agreements.at(MOMENT), DUTIES, dict.fromkeys(ROLES))
    assert {each.missing for each in nobody.gaps} == {Missing.AGREEMENT}
    assert not coverage(Book().agreements.at(MOMENT), DUTIES, {}).covered


def test_an_organisation_that_operates_itself_needs_no_agreement_with_itself() -> None:
    own = dict.fromkeys(ROLES, Party(TOWN.country, TOWN.number, "it"))
    assert coverage(Book(TOWN).agreements.at(MOMENT), DUTIES, own).covered


def test_an_agreement_that_was_not_countersigned_covers_nothing() -> None:
    book = Book(*CHAIN)
    book.state(STAFF, agreed(duties=PASSED_ON), Effect.WAITING)
    assert {each.missing for each in covered_at(book).gaps} == {Missing.AGREEMENT}


def test_a_circle_covers_nothing_by_itself_and_is_shown() -> None:
    book = Book(*CHAIN)
    book.enter(agreed(duties=PASSED_ON))
    book.enter(agreed(OPERATOR, HOST, PASSED_ON))
    book.enter(agreed(HOST, OPERATOR, ()))
    found = covered_at(book)
    assert found.covered
    assert {(each.principal, each.performer) for each in found.circles} == {(HOST, OPERATOR)}
    alone = Book(*CHAIN)
    alone.enter(agreed(OPERATOR, HOST, PASSED_ON))
    alone.enter(agreed(HOST, OPERATOR, PASSED_ON))
    found = covered_at(alone)
    assert {each.missing for each in found.gaps} == {Missing.AGREEMENT}
    assert {each.party for each in found.gaps} == {str(OPERATOR), str(HOST)}
    assert len(found.loose) == 2


def test_a_link_that_is_back_on_one_way_and_onward_on_another_has_to_carry() -> None:
    book = Book(*CHAIN)
    book.enter(agreed(TOWN, OPERATOR, PASSED_ON))
    book.enter(agreed(TOWN, HOST, PASSED_ON))
    book.enter(agreed(OPERATOR, HOST, PASSED_ON))
    book.enter(agreed(HOST, OPERATOR, ()))
    assert {(each.principal, each.party) for each in covered_at(book).gaps} == {(str(HOST), str(OPERATOR))}


def test_overlapping_agreements_cover_by_their_clauses_and_by_nothing_else() -> None:
    book = Book(*CHAIN)
    first, second = PASSED_ON[::2], PASSED_ON[1::2]
    book.enter(agreed(duties=first))
    book.enter(agreed(duties=first, end=DAY + timedelta(days=500)))
    found = covered_at(book)
    assert all(each.overlapping for each in found.links)
    assert {each.duty for each in found.gaps} == set(second)
    book.enter(agreed(duties=second, form=AgreementKind.DATA_PROCESSING))
    assert {each.duty for each in covered_at(book).gaps} == {"apr-3.2.b"} & set(second)


def test_a_clause_in_an_agreement_of_the_wrong_kind_is_named_as_that() -> None:
    book = Book(*CHAIN)
    book.enter(agreed(duties=[each for each in PASSED_ON if each != "apr-3.2.b"]))
    book.enter(agreed(duties=["apr-3.2.b"], form=AgreementKind.DATA_PROCESSING))
    assert [(each.duty, each.missing) for each in covered_at(book).gaps] == [("apr-3.2.b", Missing.KIND)]


def test_a_function_that_is_performed_without_being_agreed_with_the_organisation_is_a_gap() -> None:
    book = Book(*CHAIN)
    book.enter(agreed(duties=PASSED_ON, functions=ROLES))
    book.enter(agreed(OPERATOR, HOST, PASSED_ON, [Function.HOSTING]))
    found = covered_at(book)
    assert found.gaps == (Gap(Function.HOSTING, CHAIN_DUTY, str(OPERATOR), Missing.AGREEMENT),)


def test_a_sub_supplier_that_a_notice_names_needs_a_chain_from_its_day_unless_it_was_objected_to() -> None:
    book = Book(*CHAIN)
    entered = book.enter(agreed(duties=PASSED_ON))
    start = DAY + timedelta(days=30)
    notice = NoticeGiven(entered.digest, HOST, frozenset({Function.BACKUP}), ("SE",), start, start)
    given_ = book.state(STAFF, notice)
    assert covered_at(book, start - timedelta(seconds=1)).covered
    gap = Gap(Function.BACKUP, CHAIN_DUTY, str(HOST), Missing.AGREEMENT)
    assert covered_at(book, start).gaps == (gap,)
    assert standing(_basis(book), Function.AP, MOMENT).until == start
    book.state(DAG, Objected(given_.digest))
    assert covered_at(book, start).covered


def test_people_are_warned_180_90_30_and_7_days_ahead() -> None:
    book = Book(*CHAIN)
    end = DAY + timedelta(days=400)
    book.enter(agreed(duties=PASSED_ON, end=end))
    warnings = {}
    for left in (181, 180, 91, 90, 60, 30, 8, 7, 1):
        now = end - timedelta(days=left)
        found = standing(_basis(book), Function.MT, now)
        assert (found.mode, found.until) == (Mode.ON, end)
        warnings[left] = found.warning(now)
    assert warnings == {181: None, 180: 180, 91: 180, 90: 90, 60: 90, 30: 30, 8: 30, 7: 7, 1: 7}
    assert standing(_basis(book), Function.MT, end).warning(end) == 0


def test_an_agreement_that_continues_another_leaves_no_end_between() -> None:
    book = Book(*CHAIN)
    middle, end = DAY + timedelta(days=100), DAY + timedelta(days=200)
    book.enter(agreed(duties=PASSED_ON, end=middle))
    book.enter(agreed(duties=PASSED_ON, start=middle, end=end))
    assert standing(_basis(book), Function.AP, MOMENT).until == end


@pytest.mark.parametrize(("choice", "mode"), [(AtEnd.STOP, Mode.RECEIVING), (AtEnd.CONTINUE, Mode.UNCOVERED)])
def test_after_the_end_receiving_goes_on_and_sending_as_was_chosen_before(choice: AtEnd, mode: Mode) -> None:
    book = Book(*CHAIN)
    end = DAY + timedelta(days=10)
    book.enter(agreed(duties=PASSED_ON, end=end))
    book.state(ANNA, Chosen(choice))
    before = end - timedelta(seconds=1)
    assert standing(_basis(book), Function.AP, before) == Standing(Function.AP, Mode.ON, None, end, False)
    for now in (end, end + timedelta(days=400)):
        found = standing(_basis(book), Function.AP, now)
        assert (found.mode, found.since) == (mode, end)
        assert (found.receives, found.sends) == (True, choice is AtEnd.CONTINUE)


def test_a_choice_that_is_made_after_the_end_changes_nothing_until_there_is_cover_again() -> None:
    book = Book(*CHAIN)
    end = DAY + timedelta(days=10)
    book.enter(agreed(duties=PASSED_ON, end=end))
    book.state(ANNA, Chosen(AtEnd.CONTINUE), hour=11 * 24)
    assert standing(_basis(book), Function.AP, DAY + timedelta(days=12)).mode is Mode.RECEIVING


def test_a_function_that_never_was_covered_is_off() -> None:
    book = Book(*CHAIN)
    book.state(ANNA, Chosen(AtEnd.CONTINUE))
    found = standing(_basis(book), Function.AP, MOMENT)
    assert (found.mode, found.receives, found.sends) == (Mode.OFF, False, False)
    book.enter(agreed(duties=PASSED_ON, start=DAY + timedelta(days=30)))
    assert standing(_basis(book), Function.AP, MOMENT).mode is Mode.OFF
    assert standing(_basis(book), Function.AP, DAY + timedelta(days=30)).mode is Mode.ON


def test_an_agreement_that_an_officer_ends_ends_the_cover_at_that_second() -> None:
    book = Book(*CHAIN)
    entered = book.enter(agreed(duties=PASSED_ON))
    ended = book.end(entered, DAG)
    assert standing(_basis(book), Function.AP, ended.at - timedelta(seconds=1)).sends
    found = standing(_basis(book), Function.AP, ended.at)
    assert (found.mode, found.since) == (Mode.RECEIVING, ended.at)


def test_two_officers_extend_what_has_ended_and_the_days_between_stay_uncovered() -> None:
    book = Book(*CHAIN)
    end = DAY + timedelta(days=10)
    entered = book.enter(agreed(duties=PASSED_ON, end=end))
    asked = book.state(ANNA, Extended(entered.digest, DAY + timedelta(days=60)), Effect.WAITING, hour=12 * 24)
    assert standing(_basis(book), Function.AP, asked.at).mode is Mode.RECEIVING
    approved = book.approve(asked, DAG)
    found = standing(_basis(book), Function.AP, approved.at)
    assert (found.mode, found.until) == (Mode.ON, DAY + timedelta(days=60))
    assert standing(_basis(book), Function.AP, DAY + timedelta(days=11)).mode is Mode.RECEIVING


def counted(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """Return a list to which each moment is added for which coverage is computed from now on."""
    computed: list[datetime] = []

    def counting(register: Register, duties: Mapping[str, Duty], performers: object) -> Coverage:
        computed.append(register.moment)
        return coverage(register, duties, performers)  # type: ignore[arg-type]

    monkeypatch.setattr("samdrift.governance.coverage.coverage", counting)
    return computed


def test_whoever_only_enters_agreements_makes_no_decision_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    book = Book(*CHAIN)
    computed = counted(monkeypatch)
    standing(_basis(book), Function.AP, MOMENT)
    few = len(computed)
    for each in range(1000):
        book.state(STAFF, agreed(end=DAY + timedelta(days=100 + each)), Effect.WAITING)
    computed.clear()
    assert standing(_basis(book), Function.AP, MOMENT).mode is Mode.OFF
    assert len(computed) == few


def test_a_decision_after_one_more_statement_computes_what_that_can_have_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cover has ended, and notices come every minute: each adds another moment in the past."""
    book, past = Book(*CHAIN), Past()
    entered = book.enter(agreed(duties=PASSED_ON))
    book.end(entered)
    numbers = []
    computed = counted(monkeypatch)
    for each in range(60):
        when = DAY + timedelta(hours=1, minutes=each)
        notice = NoticeGiven(entered.digest, HOST, frozenset({Function.BACKUP}), ("SE",), LATER, LATER)
        stated = book.state(STAFF, notice, hour=(when - DAY) / timedelta(hours=1))
        past.forget(stated.at)
        computed.clear()
        found = standing(_basis(book), Function.AP, when, past)
        numbers.append(len(computed))
        assert found == standing(_basis(book), Function.AP, when)
    assert found.mode is Mode.RECEIVING
    assert max(numbers[1:]) == min(numbers[1:]) < numbers[0]


def test_a_statement_of_the_past_that_arrives_late_changes_what_was_computed_before() -> None:
    book, past = Book(*CHAIN), Past()
    entered = book.enter(agreed(duties=PASSED_ON))
    now = DAY + timedelta(days=1)
    assert standing(_basis(book), Function.AP, now, past).mode is Mode.ON
    ended = book.end(entered)
    past.forget(ended.at)
    found = standing(_basis(book), Function.AP, now, past)
    assert (found.mode, found.since) == (Mode.RECEIVING, ended.at)
    again = book.enter(agreed(duties=PASSED_ON))
    past.forget(again.at)
    assert standing(_basis(book), Function.AP, now, past) == standing(_basis(book), Function.AP, now)


def test_notices_of_one_party_are_one_moment_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A party that the chain reaches is named 500 times, and cover changes at none of these moments."""
    book = _chain()
    of = book.agreements.at(MOMENT).agreements[0].digest
    few = counted(monkeypatch)
    standing(_basis(book), Function.AP, MOMENT)
    before = len(few)
    for each in range(500):
        start = LATER + timedelta(days=each)
        book.state(STAFF, NoticeGiven(of, HOST, frozenset({Function.BACKUP}), ("SE",), start, start))
    few.clear()
    assert standing(_basis(book), Function.AP, MOMENT).mode is Mode.ON
    assert len(few) <= before + 1


def test_new_duties_are_announced_before_they_count_and_vanished_ones_stay_until_let_go() -> None:
    applies = date(2026, 6, 1)
    duties = {key: each for key, each in DUTIES.items() if key != "is-7.4.2"}
    duties["new-1"] = replace(DUTIES["sdk-sep"], id="new-1")
    later = replace(CATALOGUES[-1], version="2026.03", day=date(2026, 3, 1), applies=applies, duties=duties)
    first = replace(CATALOGUES[-1], day=date(2026, 1, 1), applies=date(2026, 1, 1))
    book = Book(*CHAIN)
    book.enter(agreed(duties=PASSED_ON))
    basis = _basis(book, (first, later))
    change = datetime(2026, 6, 1, tzinfo=UTC)
    assert standing(basis, Function.AP, MOMENT).until == change
    assert {each.duty for each in basis.at(change).gaps} == {"new-1"}
    without = Book(*CHAIN)
    without.enter(agreed(duties=[*PASSED_ON, "new-1"]))
    assert _basis(without, (first, later)).at(change).covered
    lacking = Book(*CHAIN)
    lacking.enter(agreed(duties=[each for each in (*PASSED_ON, "new-1") if each != "is-7.4.2"]))
    assert {each.duty for each in _basis(lacking, (first, later)).at(change).gaps} == {"is-7.4.2"}
    asked = lacking.state(ANNA, Released("is-7.4.2", later.label), Effect.WAITING)
    lacking.approve(asked, DAG)
    assert _basis(lacking, (first, later)).at(change).covered
    assert not _basis(lacking, (first, later)).at(MOMENT).covered, (
        "the catalogue in force that day has the duty"
    )


def _ways(
    agreements: Sequence[Agreed], function: Function, party_: Party, seen: tuple[Party, ...]
) -> Iterator[Agreed]:
    """Yield every agreement on any path without repetition, by trying all paths."""
    for each in agreements:
        if each.principal == party_ and function in each.functions and each.performer not in seen:
            yield each
            yield from _ways(agreements, function, each.performer, (*seen, each.performer))


PEOPLE = (TOWN, OPERATOR, HOST, STORE)
SOME = ["sdk-sep", "sdk-nyckel", "apr-3.2.b", "apr-3.3.b"]


@st.composite
def _agreements(draw: st.DrawFn) -> list[Agreed]:
    found = []
    for _ in range(draw(st.integers(0, 7))):
        principal, performer = draw(st.permutations(PEOPLE))[:2]
        functions = draw(st.sets(st.sampled_from((Function.AP, Function.MT, Function.HOSTING)), min_size=1))
        found.append(agreed(principal, performer, draw(st.sets(st.sampled_from(SOME))), functions))
    return found


def _clauses(found: Coverage) -> set[tuple[Function, str, str, str]]:
    return {(each.function, each.duty, each.principal, each.party) for each in found.gaps if each.principal}


@given(_agreements())
@settings(max_examples=200)
def test_a_gap_is_a_duty_that_no_agreement_of_a_link_carries_on_any_way(
    entered: list[Agreed],
) -> None:
    duties = {each: DUTIES[each] for each in SOME}
    book = Book(*PEOPLE)
    for each in entered:
        book.enter(each)
    found = coverage(book.agreements.at(MOMENT), duties, ROLES_HERE)
    expected = set()
    for function in (Function.AP, Function.MT, Function.HOSTING):
        on_the_way = list(_ways(entered, function, TOWN, (TOWN,)))
        for link in {(each.principal, each.performer) for each in on_the_way}:
            carried = {
                duty.duty
                for each in on_the_way
                if (each.principal, each.performer) == link
                for duty in each.duties
            }
            for duty in duties.values():
                wanted = duty.pass_on is PassOn.CHAIN or link[0] == TOWN
                if function in duty.functions and wanted and duty.id not in carried:
                    expected.add((function, duty.id, str(link[0]), str(link[1])))
    clauses = {
        (each.function, each.duty, each.principal, each.party) for each in found.gaps if each.principal
    }
    assert clauses == expected
    reached = {(f, each.performer) for f in ROLES for each in _ways(entered, f, TOWN, (TOWN,))}
    for function in ROLES:
        gap = Gap(function, CHAIN_DUTY, str(OPERATOR), Missing.AGREEMENT)
        if (function, OPERATOR) not in reached:
            assert gap in found.gaps


@given(_agreements(), st.integers(0, 6), st.sampled_from(SOME))
@settings(max_examples=100)
def test_taking_a_duty_out_never_covers_anything(entered: list[Agreed], which: int, duty: str) -> None:
    before, after = Book(*PEOPLE), Book(*PEOPLE)
    for place, each in enumerate(entered):
        before.enter(each)
        kept = tuple(carried for carried in each.duties if carried.duty != duty or place != which)
        after.enter(replace(each, duties=kept))
    gaps = [
        {
            (gap.function, gap.duty, gap.principal, gap.party)
            for gap in coverage(book.agreements.at(MOMENT), DUTIES, {}).gaps
        }
        for book in (before, after)
    ]
    assert gaps[0] <= gaps[1]


def test_the_answer_of_a_moment_is_the_same_whatever_is_stated_later() -> None:
    book = _chain("sdk-sep", 2)
    moment = DAY + timedelta(seconds=book.second)
    before = covered_at(book, moment)
    assert before.gaps
    book.enter(agreed(HOST, LAST, PASSED_ON))
    book.state(ANNA, named(TOWN, "0203:annan.se"))
    book.end(book.enter(agreed(TOWN, LAST, PASSED_ON)))
    assert covered_at(book, moment) == before
    assert covered_at(book) != before


def test_one_inherited_agreement_of_the_vault_carries_a_function_until_its_end_and_is_no_agreement() -> None:
    end = DAY + timedelta(days=90)
    basis = replace(_basis(Book()), inherited=(DAY, end))
    found = basis.at(MOMENT)
    assert (found.covered, found.inherited, found.covers(Function.AP)) == (False, True, True)
    assert standing(basis, Function.AP, MOMENT) == Standing(Function.AP, Mode.ON, None, end, True)
    ended = Standing(Function.AP, Mode.RECEIVING, end, None, False)
    assert standing(basis, Function.AP, end) == ended
    assert standing(basis, Function.AP, end + timedelta(days=400)) == ended
    assert standing(replace(basis, inherited=None), Function.AP, MOMENT).mode is Mode.OFF


def test_agreements_that_cover_are_not_shown_as_inherited_and_last_longer() -> None:
    book = Book(*CHAIN)
    end = DAY + timedelta(days=400)
    book.enter(agreed(duties=PASSED_ON, end=end))
    basis = replace(_basis(book), inherited=(DAY, DAY + timedelta(days=90)))
    assert not basis.at(MOMENT).inherited
    assert standing(basis, Function.AP, MOMENT) == Standing(Function.AP, Mode.ON, None, end, False)
