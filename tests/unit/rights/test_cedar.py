"""A second opinion on rights by Cedar's own engine, which answers every question as `decide` does."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import cedarpy
from hypothesis import given, settings

from samdrift.rights.cedarview import policies, question
from samdrift.rights.deciding import Request, decide_by
from samdrift.rights.fields import Subject, SubjectKind
from samdrift.rights.folding import fold
from samdrift.rights.statements import Right, Scope, Statement
from tests.unit.rights.building import ANNA, BO, HABO, SCHOOL, at, founding, grant, rights
from tests.unit.rights.signers import founded
from tests.unit.rights.test_folding import HOURS, REQUESTS, worlds

EDGES = (*HOURS, 5, 7, 8)


def disagreements(world: list[Statement]) -> list[tuple[Request, float, bool]]:
    state = fold(HABO, world)
    cases = list(product(REQUESTS, EDGES))
    answers = cedarpy.is_authorized_batch(
        [question(request, at(hour)) for request, hour in cases], policies(state, state_of(world)), []
    )
    return [
        (request, hour, answer.allowed)
        for (request, hour), answer in zip(cases, answers, strict=True)
        if answer.diagnostics.errors or answer.allowed is not decide_by(state, request, at(hour)).allowed
    ]


def state_of(world: list[Statement]) -> list[Statement]:
    """Return the statements without duplicates, since repeating one means nothing."""
    return list({each.digest: each for each in world}.values())


@settings(max_examples=20)
@given(worlds())
def test_cedar_answers_as_decide_does(world: list[Statement]) -> None:
    """A soak run has 400 worlds, each with 616 questions."""
    assert len(REQUESTS) * len(EDGES) > 600
    assert disagreements(world) == []


def test_cedar_is_asked_something_and_both_answers_come() -> None:
    world = [*founding(), grant(ANNA, 1, rights(BO, SCHOOL, Right.READ))]
    text = policies(fold(HABO, world), world)
    reads = Request(HABO, BO, Right.READ, SCHOOL)
    found = [cedarpy.is_authorized(question(reads, at(hour)), text, []).allowed for hour in (0, 2)]
    assert found == [False, True]


def test_an_identifier_cannot_leave_its_quotes() -> None:
    odd = Request(HABO, Subject(SubjectKind.SYSTEM, 'x"\\'), Right.READ, Scope('y"); permit(principal'))
    answer = cedarpy.is_authorized(question(odd, at(1)), "permit(principal, action, resource);", [])
    assert answer.allowed
    assert not answer.diagnostics.errors


def test_a_record_has_policies_for_its_officers_and_none_for_its_keys() -> None:
    house = founded()
    text = policies(house.record.state, house.record.statements())
    asked = Request(HABO, ANNA, Right.ADMINISTRATOR)
    assert cedarpy.is_authorized(question(asked, house.now + timedelta(hours=1)), text, []).allowed
    assert text.count("permit(") == 2
