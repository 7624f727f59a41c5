"""Reviews: a no removes immediately, silence removes at the end, and the last administrator stays."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from samdrift.governance.reviews import ItemState, Review, reviews
from samdrift.rights import (
    ORGANISATION,
    Copy,
    Effect,
    Outcome,
    Right,
    State,
    Statement,
    StatementError,
    Subject,
    fold,
)
from samdrift.rights.reviews import MAX_ITEMS, ReviewClosed, ReviewOpened
from tests.sizes import sampled
from tests.unit.rights.building import (
    ANNA,
    BO,
    CARE,
    CILLA,
    DAG,
    HABO,
    KARIN,
    LISTED,
    SCHOOL,
    approve,
    ask,
    at,
    end,
    founding,
    grant,
    listed,
    review,
    rights,
    stated,
)

EVA = Subject.parse("operator:eva")
OPENED, DUE = 10.0, 100.0


def given() -> list[Statement]:
    return [
        grant(ANNA, 2, rights(BO, SCHOOL, Right.READ)),
        grant(ANNA, 3, rights(CILLA, SCHOOL, Right.READ)),
        grant(ANNA, 4, rights(CILLA, CARE, Right.READ)),
    ]


def opening(
    *items: Statement, by: Subject = ANNA, reviewer: Subject = ANNA, stand_in: Subject = DAG
) -> Statement:
    digests = tuple(sorted(each.digest for each in items))
    return stated(by, OPENED, ReviewOpened("mailbox:school", digests, reviewer, stand_in, at(DUE)))


def closing(of: Statement, hour: float = DUE, by: Subject = EVA) -> Statement:
    return stated(by, hour, ReviewClosed(of.digest))


def only(state: State, hour: float) -> Review:
    (found,) = reviews(state, at(hour))
    return found


def states(state: State, hour: float) -> dict[str, ItemState]:
    return {str(each.given.what.subject): each.state for each in only(state, hour).items}


def has(state: State, subject: Subject, hour: float) -> bool:
    return any(True for _ in state.holdings(at(hour), subject))


def test_silence_removes_when_the_review_is_closed_and_an_answer_does_not() -> None:
    school, of_cilla, elsewhere = given()
    opened = opening(school, of_cilla)
    before = [*founding(), school, of_cilla, elsewhere, opened, review(ANNA, 20, school, Outcome.KEEP)]
    state = fold(HABO, before)
    assert states(state, 50) == {str(BO): ItemState.KEPT, str(CILLA): ItemState.WAITS}
    assert has(state, CILLA, 120), "a right must not end by the clock alone"
    assert only(state, 120).overdue(at(120))
    state = fold(HABO, [*before, closing(opened)])
    assert states(state, 120) == {str(BO): ItemState.KEPT, str(CILLA): ItemState.SILENCE}
    assert has(state, BO, 120)
    assert [each.given.what.scope for each in state.holdings(at(120), CILLA)] == [CARE], (
        "the right that was not reviewed must stay"
    )
    assert states(state, 50)[str(CILLA)] is ItemState.WAITS, "the past state must stay the same"
    assert only(state, 120).closed == at(DUE)


def test_no_removes_at_once() -> None:
    school, of_cilla, _ = given()
    opened = opening(school, of_cilla)
    state = fold(HABO, [*founding(), school, of_cilla, opened, review(DAG, 20, school, Outcome.REMOVE)])
    assert not has(state, BO, 20)
    assert states(state, 21)[str(BO)] is ItemState.ENDED
    assert only(state, 21).items[0].by in ("", str(DAG))


def test_it_is_closed_early_only_when_everything_has_an_answer() -> None:
    school, of_cilla, _ = given()
    opened = opening(school, of_cilla)
    state = fold(HABO, [*founding(), school, of_cilla, opened, review(ANNA, 20, school, Outcome.KEEP)])
    assert state.judge(closing(opened, 30)) is Effect.TOO_EARLY
    state.extend([end(ANNA, 25, of_cilla)])
    assert state.judge(closing(opened, 30)) is Effect.TAKEN
    state.extend([closing(opened, 30)])
    assert state.judge(closing(opened, 31)) is Effect.OVER
    assert state.judge(closing(school, 31)) is Effect.NAMES_NOTHING


@pytest.mark.parametrize(("by", "counts"), [(ANNA, True), (DAG, True), (BO, False), (CILLA, False)], ids=str)
def test_the_reviewer_and_the_stand_in_answer_and_nobody_else(by: Subject, counts: bool) -> None:
    school, of_cilla, _ = given()
    opened = opening(school, of_cilla)
    second = [ask(ANNA, 5, rights(BO, ORGANISATION, Right.SECURITY_OFFICER))]
    second += [approve(KARIN, 6, second[0])]
    state = fold(
        HABO,
        [*founding(), *second, school, of_cilla, opened, review(by, 20, of_cilla, Outcome.KEEP)],
    )
    state.extend([closing(opened)])
    assert has(state, CILLA, 120) is counts


def test_nobody_answers_for_what_they_have_themselves() -> None:
    own = grant(ANNA, 2, rights(DAG, SCHOOL, Right.READ))
    opened = opening(own)
    state = fold(HABO, [*founding(), own, opened, review(DAG, 20, own, Outcome.KEEP)])
    assert states(state, 21) == {str(DAG): ItemState.WAITS}
    state.extend([review(ANNA, 30, own, Outcome.KEEP)])
    assert states(state, 31) == {str(DAG): ItemState.KEPT}


def two_administrators() -> list[Statement]:
    second = ask(ANNA, 2, rights(BO, ORGANISATION, Right.ADMINISTRATOR))
    return [*founding(), second, approve(KARIN, 3, second)]


def administrators(state: State, hour: float) -> list[Subject]:
    return [
        each.given.what.subject
        for each in state.holdings(at(hour))
        if Right.ADMINISTRATOR in getattr(each.given.what, "rights", ())
    ]


def test_two_reviews_closed_in_the_same_second_leave_an_administrator() -> None:
    world = two_administrators()
    first, second = (opening(each) for each in (world[0], world[4]))
    state = fold(HABO, [*world, first, second])
    assert administrators(state, 50) == [ANNA, BO]
    state.extend([closing(first)])
    state.extend([closing(second)])
    assert len(administrators(state, 120)) == 1


def test_silence_leaves_an_administrator_when_the_other_one_ends_in_the_same_second() -> None:
    world = two_administrators()
    opened = opening(world[0])
    state = fold(HABO, [*world, opened])
    state.extend([end(DAG, DUE, world[4])])
    state.extend([closing(opened)])
    assert administrators(state, 120) == [ANNA]


def test_nobody_answers_for_what_a_group_has_in_which_they_are() -> None:
    given = grant(ANNA, 1, rights(LISTED, SCHOOL, Right.READ), end=5000)
    opened = stated(ANNA, 10, ReviewOpened("mailbox:school", (given.digest,), ANNA, DAG, at(100)))
    kept = [review(by, 20, given, Outcome.KEEP) for by in (ANNA, DAG)]
    world = [*founding(), given, opened]
    for members, answered in (([DAG], ANNA), ([ANNA], DAG), ([ANNA, DAG], None), ([BO], ANNA)):
        read = listed(5, members)
        answers = [
            fold(HABO, [*world, read, each]).answer(opened.digest, given.digest, at(50)) for each in kept
        ]
        assert answered in {each.by if each else None for each in answers}
        assert not {each.by for each in answers if each} & set(members)


def test_an_answer_of_before_the_review_is_none() -> None:
    school, of_cilla, _ = given()
    opened = opening(school, of_cilla)
    state = fold(HABO, [*founding(), school, of_cilla, review(ANNA, 9, school, Outcome.KEEP), opened])
    state.extend([closing(opened)])
    assert not has(state, BO, 120)


def test_the_last_administrator_is_not_removed_by_silence_and_one_of_two_is() -> None:
    start = founding()
    role = start[0]
    opened = opening(role, by=DAG, reviewer=DAG, stand_in=ANNA)
    state = fold(HABO, [*start, opened, closing(opened)])
    assert has(state, ANNA, 120)
    assert states(state, 120) == {str(ANNA): ItemState.SPARED}
    second = ask(ANNA, 5, rights(BO, ORGANISATION, Right.ADMINISTRATOR))
    state = fold(HABO, [*start, second, approve(KARIN, 6, second), opened, closing(opened)])
    assert not has(state, ANNA, 120), "another administrator is left"
    both = opening(role, second, by=DAG, reviewer=DAG, stand_in=ANNA)
    state = fold(HABO, [*start, second, approve(KARIN, 6, second), both, closing(both)])
    assert [has(state, each, 120) for each in (ANNA, BO)].count(True) == 1


@pytest.mark.parametrize(
    ("by", "reviewer", "stand_in"), [(BO, ANNA, DAG), (ANNA, BO, DAG), (ANNA, ANNA, CILLA), (EVA, ANNA, DAG)]
)
def test_who_has_no_authority_over_an_item_neither_opens_nor_reviews(
    by: Subject, reviewer: Subject, stand_in: Subject
) -> None:
    school, *_ = given()
    state = fold(HABO, [*founding(), school])
    opened = opening(school, by=by, reviewer=reviewer, stand_in=stand_in)
    assert state.judge(opened) is Effect.NO_AUTHORITY


def test_a_mailbox_manager_reviews_the_mailbox_and_no_other() -> None:
    school, _, care = given()
    manager = grant(ANNA, 5, rights(BO, SCHOOL, Right.MANAGE))
    state = fold(HABO, [*founding(), school, care, manager])
    assert state.judge(opening(school, by=BO, reviewer=BO, stand_in=ANNA)) is Effect.TAKEN
    assert state.judge(opening(care, by=BO, reviewer=BO, stand_in=ANNA)) is Effect.NO_AUTHORITY


@pytest.mark.parametrize("by", [ANNA, DAG, EVA, KARIN, BO, CILLA], ids=str)
def test_officers_and_staff_close_what_is_over_and_nobody_else(by: Subject) -> None:
    school, *_ = given()
    opened = opening(school)
    state = fold(HABO, [*founding(), school, opened])
    allowed = by not in (BO, CILLA)
    assert (state.judge(closing(opened, by=by)) is Effect.TAKEN) is allowed


def test_what_is_no_right_is_not_reviewed() -> None:
    school, *_ = given()
    state = fold(HABO, [*founding(), school])
    for item in (end(DAG, 9, school), grant(BO, 9, rights(CILLA, CARE, Right.READ))):
        state.extend([item])
        assert state.judge(opening(item)) is Effect.NAMES_NOTHING


def test_judging_changes_nothing() -> None:
    school, of_cilla, _ = given()
    opened = opening(school, of_cilla)
    state = fold(HABO, [*founding(), school, of_cilla, opened])
    for each in (closing(opened), review(ANNA, DUE, school, Outcome.KEEP)):
        state.judge(each)
        assert states(state, DUE) == {str(BO): ItemState.WAITS, str(CILLA): ItemState.WAITS}
        assert has(state, BO, 150)


@pytest.mark.parametrize("seed", sampled(range(20)))
def test_the_order_of_arrival_means_nothing(seed: int) -> None:
    school, of_cilla, care = given()
    opened = opening(school, of_cilla, care)
    drawn = random.Random(seed)
    every = [*founding(), school, of_cilla, care, opened, closing(opened)]
    for _ in range(6):
        outcome = drawn.choice((Outcome.KEEP, Outcome.REMOVE))
        every.append(review(drawn.choice((ANNA, DAG)), drawn.uniform(5, DUE), drawn.choice(given()), outcome))
    every = [
        Statement(each.organisation, each.by, each.at.replace(microsecond=0), each.why, each.act)
        for each in every
    ]
    expected = fold(HABO, every).as_of(at(DUE + 1))
    drawn.shuffle(every)
    assert fold(HABO, every).as_of(at(DUE + 1)) == expected
    by_turns = Copy.of(HABO)
    by_turns.include(sorted(every, key=lambda each: each.at))
    assert by_turns.state.as_of(at(DUE + 1)) == expected


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"due": at(OPENED + 1)}, "until"),
        ({"due": at(OPENED) + timedelta(days=93)}, "until"),
        ({"stand_in": ANNA}, "stand-in"),
        ({"reviewer": EVA}, "stand-in"),
        ({"items": ()}, "items"),
        ({"items": ("x",)}, "items"),
        ({"items": ("1" * 64, "0" * 64)}, "items"),
        ({"items": tuple(f"{number:064x}" for number in range(MAX_ITEMS + 1))}, "items"),
        ({"about": " x"}, "about"),
    ],
)
def test_bad_input_is_refused_with_its_field(changes: dict[str, object], field: str) -> None:
    values = {"about": "x", "items": ("0" * 64,), "reviewer": ANNA, "stand_in": DAG, "due": at(DUE)}
    with pytest.raises(StatementError) as caught:
        _ = stated(ANNA, OPENED, ReviewOpened(**(values | changes))).content  # type: ignore[arg-type]
    assert caught.value.field == field


def test_the_most_items_fit_in_a_statement() -> None:
    items = tuple(f"{number:064x}" for number in range(MAX_ITEMS))
    assert stated(ANNA, OPENED, ReviewOpened("x", items, ANNA, DAG, at(DUE))).content
