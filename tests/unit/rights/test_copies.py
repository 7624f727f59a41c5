"""Copies of statements: in order, without a gap, never contradicted; a role that is behind reports it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.contracts.errors import Temporary
from samdrift.contracts.statements import RightsBehind
from samdrift.rights import (
    Behind,
    Contradiction,
    Copy,
    Ended,
    Request,
    Right,
    Statement,
    StatementError,
    decide,
    fold,
)
from samdrift.rights.canonical import encode
from tests.unit.rights.building import (
    ANNA,
    BO,
    CILLA,
    DAG,
    HABO,
    SCHOOL,
    at,
    end,
    founding,
    grant,
    rights,
    stated,
)

GRANT = grant(ANNA, 1, rights(BO, SCHOOL, Right.READ))
STATED = [*founding(), GRANT, end(DAG, 2, GRANT)]
NUMBERED = [(number, each.content) for number, each in enumerate(STATED, start=1)]
REQUEST = Request(HABO, BO, Right.READ, SCHOOL)


def changed(statement: Statement, **fields: object) -> bytes:
    return encode(json.loads(statement.content) | fields)


def test_a_copy_that_has_the_number_asked_for_decides() -> None:
    copy = Copy.of(HABO, NUMBERED[:5])
    assert copy.number == 5
    assert copy.decide(REQUEST, at(3), wanted=5).rests_on == (GRANT.digest,)
    copy.accept(NUMBERED[5:])
    assert not copy.decide(REQUEST, at(3), wanted=6).allowed


def test_a_copy_that_lacks_the_number_asked_for_says_how_far_it_is() -> None:
    """A stated end is not ignored, even if the copy would have allowed the request."""
    copy = Copy.of(HABO, NUMBERED[:5])
    with pytest.raises(Behind) as behind:
        copy.decide(REQUEST, at(3), wanted=6)
    assert (behind.value.number, behind.value.wanted) == (5, 6)


def test_a_gap_is_not_jumped() -> None:
    copy = Copy.of(HABO, [*NUMBERED[:3], *NUMBERED[4:]])
    assert copy.number == 3
    copy.accept(NUMBERED)
    assert copy.number == 6


@given(st.lists(st.lists(st.sampled_from(NUMBERED)), max_size=5))
def test_the_pieces_in_which_statements_arrive_mean_nothing(pieces: list[list[tuple[int, bytes]]]) -> None:
    copy = Copy.of(HABO)
    for piece in pieces:
        copy.accept(piece)
    assert copy.digests == [each.digest for each in STATED[: copy.number]]
    copy.accept(NUMBERED)
    assert copy.decide(REQUEST, at(1)) == Copy.of(HABO, NUMBERED).decide(REQUEST, at(1))
    assert copy.number == 6


def test_another_statement_under_a_number_that_is_taken_is_a_contradiction() -> None:
    copy = Copy.of(HABO, NUMBERED)
    with pytest.raises(Contradiction) as refused:
        copy.accept([(6, end(ANNA, 3, GRANT).content)])
    assert refused.value.number == 6
    with pytest.raises(Contradiction):
        copy.accept([(5, changed(GRANT, version=2))])
    with pytest.raises(Contradiction):
        copy.accept([(0, GRANT.content)])
    assert (copy.number, copy.not_understood) == (6, None)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (stated(ANNA, 3, Ended(subject=BO), organisation="0203:other.se").content, "another organisation"),
        (GRANT.content, "earlier number"),
        (end(ANNA, 0, BO).content, "earlier than the one before it"),
    ],
)
def test_what_does_not_continue_the_copy_is_refused_with_its_number(content: bytes, text: str) -> None:
    copy = Copy.of(HABO, NUMBERED)
    with pytest.raises(Contradiction, match=text):
        copy.accept([(7, content)])
    assert copy.number == 6


def test_what_is_malformed_is_refused() -> None:
    copy = Copy.of(HABO, NUMBERED)
    with pytest.raises(StatementError):
        copy.accept([(7, b"{}")])
    assert copy.number == 6


@pytest.mark.parametrize("fields", [{"version": 2}, {"kind": "no such kind"}])
def test_a_statement_that_is_not_understood_stops_the_copy_and_its_answers(fields: dict[str, object]) -> None:
    """It may end the right in question, so an older program does not guess."""
    copy = Copy.of(HABO, [*NUMBERED[:5], (6, changed(STATED[5], **fields)), (7, STATED[5].content)])
    assert (copy.number, copy.not_understood) == (5, 6)
    with pytest.raises(Behind) as behind:
        copy.decide(REQUEST, at(3))
    assert (behind.value.number, behind.value.wanted) == (5, 6)


def test_a_clock_that_is_set_back_prolongs_nothing() -> None:
    copy = Copy.of(HABO, NUMBERED)
    assert not copy.decide(REQUEST, at(1.5)).allowed
    assert decide(STATED, REQUEST, at(1.5)).allowed, "the answer about the past must stay the same"


def test_a_role_that_is_behind_asks_to_come_again() -> None:
    error = RightsBehind(5, 6)
    assert isinstance(error, Temporary)
    assert "up to number 5" in str(error)
    assert "6" in str(error)


def test_signed_statements_count_as_those_of_the_copy_and_each_can_end_the_other() -> None:
    own = founding()
    later = grant(ANNA, 5, rights(BO, SCHOOL, Right.READ))
    signed = [grant(ANNA, 3, rights(CILLA, SCHOOL, Right.READ)), end(ANNA, 7, later)]
    copy = Copy.of(HABO, enumerate((each.content for each in own), 1))
    copy.accept([(len(own) + 1, later.content)])
    copy.include(signed[:1])
    for person in (BO, CILLA):
        assert copy.decide(Request(HABO, person, Right.READ, SCHOOL), at(6)).allowed
    copy.include(signed)
    assert not copy.decide(Request(HABO, BO, Right.READ, SCHOOL), at(8)).allowed
    copy.accept([(len(own) + 2, end(ANNA, 6, signed[0]).content)])
    assert not copy.decide(Request(HABO, CILLA, Right.READ, SCHOOL), at(8)).allowed
    assert [copy.number_of(each.digest) for each in (later, *signed)] == [str(len(own) + 1), "S1", "S2"]
    whole = fold(HABO, [*own, later, *signed, end(ANNA, 6, signed[0])])
    assert copy.state.as_of(at(9)) == whole.as_of(at(9))
