"""OpenFGA itself is asked by command, and its answers are kept: held here are that ours are still the same,
the shape of what it is given, and that our own small evaluation of it names whom the report of who can names.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from samdrift.governance.who import paths
from samdrift.rights import Request, Right, Subject, SubjectKind, Substitution, fold
from samdrift.rights.cedarview import policies
from samdrift.rights.deciding import decide_by
from samdrift.rights.gifts import gifts
from samdrift.rights.openfgaview import bearing, context, document, model, scope_object, tuples, user
from samdrift.rights.reviews import ReviewClosed, ReviewOpened
from tests.openfga.evaluation import Evaluation
from tests.openfga.verdict import Ours, Verdict, answers, digest, drawn, given
from tests.openfga.worlds import LONG, World
from tests.sizes import count
from tests.unit.rights.building import (
    ANNA,
    BO,
    CILLA,
    DAG,
    GROUP,
    HABO,
    LISTED,
    SCHOOL,
    at,
    end,
    founding,
    grant,
    listed,
    objection,
    rights,
    stated,
)

GOLDEN = Path(__file__).parent / "golden.json"


def test_the_export_is_what_it_was() -> None:
    given = grant(ANNA, 1, rights(BO, SCHOOL, Right.READ, Right.MANAGE), end=50)
    objected = objection(DAG, 10, given)
    world = [
        *founding(),
        given,
        objected,
        end(DAG, 20, objected),
        grant(ANNA, 2, Substitution(CILLA, SCHOOL, BO), end=30),
        grant(ANNA, 3, rights(GROUP, LONG, Right.READ), end=40),
    ]
    assert document(fold(HABO, world), world) == json.loads(GOLDEN.read_text())


KEPT = Verdict.read()


@pytest.mark.parametrize("number", range(0, len(KEPT.given), len(KEPT.given) // count(100, len(KEPT.given))))
def test_our_report_and_decide_say_what_openfga_itself_has_said(number: int) -> None:
    world, questions = drawn(KEPT.seed, number)
    again = "OpenFGA was asked about another world or export: ask it again (docs/openfga.md)"
    assert given(world, questions) == KEPT.given[number], again
    ours = [answers(Ours(world), each) for each in questions]
    assert digest(ours) == KEPT.answered[number], f"OpenFGA answered differently about world {number}"


@pytest.mark.parametrize("seed", range(count(12, 400)))
def test_who_can_and_who_could_name_whom_the_tuples_name(seed: int) -> None:
    world = World(f"default {seed}")
    evaluation = Evaluation(model(), world.tuples())
    for question in world.questions(25):
        scope, right = scope_object(question.scope), question.right.value
        for moment in question.moments:
            listed = evaluation.list_users(scope, right, moment)
            assert world.reported(question, moment, moment) == listed
        first, *_, last = question.moments
        could = (evaluation.list_users(scope, right, one) for one in world.beginnings(first, last))
        assert world.reported(question, first, last) == set().union(*could)


def test_the_worlds_have_something_of_everything() -> None:
    worlds = [World(f"default {seed}") for seed in range(12)]
    found = {each.kind.value for one in worlds for each in paths(one.basis, at(0), at(1000))}
    assert found >= {"person", "member", "system", "group"}
    through = [each.through for one in worlds for each in paths(one.basis, at(0), at(1000))]
    assert [each for each in through if each.startswith("substitute for")]
    spans = [each.times for one in worlds for each in gifts(one.copy.state, one.statements)]
    assert [each for each in spans if len(each) > 1], "no world has an objection that ended"
    silent = [
        each
        for one in worlds
        for each in gifts(one.copy.state, one.statements)
        if isinstance(_ended_by(one, each.statement.digest), ReviewClosed)
    ]
    assert silent, "no world has a review that was closed without an answer"


def _ended_by(world: World, digest: str) -> object:
    ended = world.copy.state.ended(digest)
    return None if ended is None else world.copy.state.statement(ended[1]).act


def test_silence_in_a_review_ends_a_right_for_both_engines() -> None:
    given = grant(ANNA, 2, rights(BO, SCHOOL, Right.READ), end=500)
    opened = stated(ANNA, 10, ReviewOpened("mailbox:school", (given.digest,), ANNA, DAG, at(100)))
    world = [*founding(), given, opened, stated(DAG, 100, ReviewClosed(opened.digest))]
    state = fold(HABO, world)
    evaluation = Evaluation(model(), tuples(state, world))
    asked = [evaluation.list_users(scope_object(SCHOOL), "read", at(hour)) for hour in (99.9, 100)]
    assert asked == [{user(BO)}, set()]
    assert f"context.now < {int(at(100).timestamp())}" in policies(state, world)


def test_a_claim_has_people_when_somebody_says_who_shows_it() -> None:
    world = [*founding(), grant(ANNA, 2, rights(GROUP, SCHOOL, Right.READ), end=500)]
    own = tuples(fold(HABO, world), world)
    alone, borne = (Evaluation(model(), [*own, *more]) for more in ((), (bearing(BO, GROUP),)))
    assert alone.list_users(scope_object(SCHOOL), "read", at(3)) == {user(GROUP)}
    assert borne.list_users(scope_object(SCHOOL), "read", at(3)) == {user(GROUP), user(BO)}
    assert context(at(3)) == {"now": "2026-03-02T03:00:00Z"}


def test_a_name_can_be_no_other_name_and_no_wildcard() -> None:
    odd = ["*", "a/b", "a%2Fb", "sha256=x", "sha256%3Dx", "å" * 80, "å" * 81, "x:y#z"]
    names = {user(Subject(SubjectKind.PERSON, each)) for each in odd}
    assert len(names) == len(odd)
    assert all(len(each.encode()) <= 256 and "*" not in each and each.count(":") == 1 for each in names)
    assert user(Subject(SubjectKind.PERSON, "*")) == "person:%2A"


def test_members_of_a_group_of_a_directory_have_its_rights_while_they_are_in_it() -> None:
    """As `decide` says at every edge; whoever gave it has nothing by it, and nobody is lent it."""
    given = grant(ANNA, 2, rights(LISTED, SCHOOL, Right.READ), end=500)
    world = [
        *founding(),
        given,
        listed(5, [ANNA, BO]),
        grant(ANNA, 6, Substitution(DAG, SCHOOL, BO), end=400),
        listed(50, [CILLA], [BO], [ANNA, CILLA]),
        objection(DAG, 60, given),
        listed(70, [BO], after=[ANNA, BO, CILLA]),
    ]
    state = fold(HABO, world)
    evaluation = Evaluation(model(), tuples(state, world))
    for hour in (4.9, 5, 49.9, 50, 59, 60, 71, 500):
        may = {
            user(each)
            for each in (ANNA, BO, CILLA, DAG)
            if decide_by(state, Request(HABO, each, Right.READ, SCHOOL), at(hour)).allowed
        }
        assert evaluation.list_users(scope_object(SCHOOL), "read", at(hour)) == may
    assert evaluation.list_users(scope_object(SCHOOL), "read", at(10)) == {user(BO)}
    assert evaluation.list_users(scope_object(SCHOOL), "read", at(55)) == {user(CILLA)}
