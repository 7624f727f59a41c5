"""Folding and deciding: an example for each rule, and a second opinion computed differently."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import cache
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.rights import (
    ORGANISATION,
    Approved,
    Decision,
    Effect,
    Ended,
    Given,
    Objected,
    Outcome,
    Request,
    Reviewed,
    Right,
    Rights,
    Scope,
    State,
    Statement,
    Subject,
    SubjectKind,
    Substitution,
    decide,
    end_of,
    fold,
)
from samdrift.rights.deciding import decide_by
from samdrift.rights.folding import OutOfOrder
from samdrift.rights.groups import MembersListed
from tests.unit.rights.building import (
    ANNA,
    BO,
    CARE,
    CILLA,
    DAG,
    GROUP,
    HABO,
    KARIN,
    KURT,
    LISTED,
    ROBOT,
    SCHOOL,
    approve,
    ask,
    at,
    end,
    founding,
    grant,
    listed,
    objection,
    review,
    rights,
    stated,
)

READ = rights(BO, SCHOOL, Right.READ)


def may(
    statements: Iterable[Statement],
    subject: Subject,
    hour: float,
    right: Right = Right.READ,
    scope: Scope = SCHOOL,
    claims: Iterable[Subject] = (),
) -> Decision:
    return decide(statements, Request(HABO, subject, right, scope, frozenset(claims)), at(hour))


def test_nobody_may_anything_to_begin_with() -> None:
    for right in Right:
        scope = ORGANISATION if right in (Right.ADMINISTRATOR, Right.SECURITY_OFFICER) else SCHOOL
        assert may([], ANNA, 1, right, scope) == Decision(False)
        assert may(founding(), BO, 1, right, scope) == Decision(False)


def test_a_grant_counts_from_its_beginning_until_before_its_end() -> None:
    given = grant(ANNA, 1, READ, start=2, end=3)
    statements = [*founding(), given]
    assert [may(statements, BO, hour).allowed for hour in (1.99, 2, 2.99, 3)] == [False, True, True, False]
    assert may(statements, BO, 2) == Decision(True, (given.digest,), at(3))
    assert not may(statements, BO, 2, Right.WRITE).allowed
    assert not may(statements, BO, 2, scope=CARE).allowed
    assert not may(statements, CILLA, 2).allowed


def test_an_administrator_and_a_security_officer_get_no_content_by_that() -> None:
    for person in (ANNA, DAG):
        for right in (Right.READ, Right.WRITE, Right.APPROVE, Right.MANAGE):
            assert not may(founding(), person, 5, right).allowed


def test_no_right_includes_another() -> None:
    for had in (Right.READ, Right.WRITE, Right.APPROVE, Right.MANAGE):
        statements = [*founding(), grant(ANNA, 1, rights(BO, SCHOOL, had))]
        for wanted in Right:
            assert may(statements, BO, 2, wanted).allowed == (wanted is had)


def test_a_manager_gives_content_of_that_mailbox_alone_and_never_to_themselves() -> None:
    manager = grant(ANNA, 1, rights(CILLA, SCHOOL, Right.MANAGE))
    before = [*founding(), manager]
    acts = {
        grant(CILLA, 2, READ): Effect.TAKEN,
        grant(CILLA, 2, rights(BO, CARE, Right.READ)): Effect.NO_AUTHORITY,
        grant(CILLA, 2, rights(BO, SCHOOL, Right.MANAGE)): Effect.NO_AUTHORITY,
        grant(CILLA, 2, rights(CILLA, SCHOOL, Right.READ)): Effect.SELF,
        grant(CILLA, 2, rights(BO, ORGANISATION, Right.ADMINISTRATOR)): Effect.TAKES_TWO,
        ask(CILLA, 2, rights(BO, ORGANISATION, Right.ADMINISTRATOR)): Effect.NO_AUTHORITY,
        grant(BO, 2, rights(CILLA, SCHOOL, Right.READ)): Effect.NO_AUTHORITY,
        grant(KARIN, 2, READ): Effect.NO_AUTHORITY,
        grant(CILLA, 2, Substitution(BO, SCHOOL, DAG)): Effect.TAKEN,
        grant(CILLA, 2, Substitution(BO, ORGANISATION, DAG)): Effect.NO_AUTHORITY,
        grant(CILLA, 1, READ): Effect.NO_AUTHORITY,  # her own right has no effect until the next second
    }
    for act, effect in acts.items():
        assert fold(HABO, [*before, act]).effect(act.digest) is effect
        assert fold(HABO, before).judge(act) is effect


def test_a_role_in_the_organisation_takes_two() -> None:
    wanted = ask(ANNA, 1, rights(BO, ORGANISATION, Right.ADMINISTRATOR))
    before = [*founding(), wanted]
    assert not may(before, BO, 9, Right.ADMINISTRATOR, ORGANISATION).allowed
    for refused, effect in {
        approve(ANNA, 2, wanted): Effect.SELF,
        approve(BO, 2, wanted): Effect.SELF,
        approve(DAG, 2, wanted): Effect.NO_AUTHORITY,
        approve(CILLA, 2, wanted): Effect.NO_AUTHORITY,
        approve(KURT, 1000, wanted): Effect.OVER,
    }.items():
        assert fold(HABO, [*before, refused]).effect(refused.digest) is effect
    approved = approve(KURT, 2, wanted)
    decision = may([*before, approved], BO, 2, Right.ADMINISTRATOR, ORGANISATION)
    assert decision == Decision(True, (wanted.digest, approved.digest), at(1000))
    assert fold(HABO, before).effect(wanted.digest) is Effect.WAITING
    assert fold(HABO, [*before, approved]).effect(wanted.digest) is Effect.TAKEN


def test_one_custodian_alone_makes_no_administrator() -> None:
    wanted = ask(KARIN, 0, rights(ANNA, ORGANISATION, Right.ADMINISTRATOR))
    assert not may([wanted, approve(KARIN, 1, wanted)], ANNA, 2, Right.ADMINISTRATOR, ORGANISATION).allowed


def test_anyone_asks_for_a_mailbox_and_one_with_authority_approves() -> None:
    wanted = ask(BO, 1, READ)
    approved = approve(ANNA, 2, wanted)
    statements = [*founding(), wanted, approved]
    assert not may(statements, BO, 1.5).allowed
    assert may(statements, BO, 2).rests_on == (wanted.digest, approved.digest)
    for by in (BO, CILLA, DAG, KARIN):
        assert not may([*founding(), wanted, approve(by, 2, wanted)], BO, 3).allowed


def test_an_end_wins_over_a_grant_and_an_approval_of_the_same_moment() -> None:
    given, wanted = grant(ANNA, 2, READ), ask(BO, 1, READ)
    assert not may([*founding(), given, end(ANNA, 2, given)], BO, 2).allowed
    assert not may([*founding(), given, end(DAG, 2, BO)], BO, 2).allowed
    for hour in (1, 2):
        assert not may([*founding(), wanted, approve(ANNA, 2, wanted), end(DAG, hour, wanted)], BO, 3).allowed


def test_who_loses_the_role_in_a_moment_gives_nothing_in_it() -> None:
    role = founding()[0]
    given = grant(ANNA, 2, READ)
    assert not may([*founding(), end(DAG, 2, role), given], BO, 3).allowed
    assert may([*founding(), end(DAG, 3, role), given], BO, 3).allowed


def test_two_who_end_each_other_in_the_same_moment_both_succeed() -> None:
    administrator, _, officer, _ = founding()
    statements = [*founding(), end(ANNA, 2, officer), end(DAG, 2, administrator)]
    assert not may(statements, ANNA, 2, Right.ADMINISTRATOR, ORGANISATION).allowed
    assert not may(statements, DAG, 2, Right.SECURITY_OFFICER, ORGANISATION).allowed


def test_an_end_is_for_those_whom_it_concerns() -> None:
    given = grant(ANNA, 1, READ)
    for by, ends in ((ANNA, True), (BO, True), (DAG, True), (CILLA, False), (ROBOT, False), (KARIN, False)):
        ended = end(by, 2, given)
        decision = may([*founding(), given, ended], BO, 2)
        assert decision == (
            Decision(False, (ended.digest,)) if ends else Decision(True, (given.digest,), at(1000))
        )
    for by, ends in ((ANNA, True), (BO, True), (DAG, True), (CILLA, False)):
        assert may([*founding(), given, end(by, 2, BO)], BO, 2).allowed is not ends
    later = grant(ANNA, 3, READ)
    assert may([*founding(), given, end(DAG, 2, BO), later], BO, 3).rests_on == (later.digest,)


def test_an_end_before_what_it_names_ends_nothing() -> None:
    given = grant(ANNA, 2, READ)
    early = end(ANNA, 1, given)
    assert may([*founding(), early, given], BO, 2).allowed
    assert fold(HABO, [*founding(), early, given]).effect(early.digest) is Effect.NAMES_NOTHING


def test_a_review_that_removes_ends_and_one_that_keeps_prolongs_nothing() -> None:
    given = grant(ANNA, 1, READ, end=5)
    assert not may([*founding(), given, review(ANNA, 2, given, Outcome.REMOVE)], BO, 2).allowed
    kept = [*founding(), given, review(ANNA, 2, given, Outcome.KEEP)]
    assert may(kept, BO, 4).allowed
    assert not may(kept, BO, 5).allowed
    assert may([*founding(), given, review(CILLA, 2, given, Outcome.REMOVE)], BO, 2).allowed


def test_an_objection_holds_back_until_it_is_ended_by_whoever_made_it_or_an_officer() -> None:
    given = grant(ANNA, 1, READ)
    objected = objection(DAG, 2, given)
    statements = [*founding(), given, objected]
    assert may(statements, BO, 1).allowed
    assert may(statements, BO, 2) == Decision(False, (objected.digest,))
    assert not may([*statements, end(ANNA, 3, objected)], BO, 3).allowed
    lifted = [*statements, end(DAG, 3, objected)]
    assert [may(lifted, BO, hour).allowed for hour in (2, 2.5, 3)] == [False, False, True]
    assert may([*founding(), given, objection(CILLA, 2, given)], BO, 3).allowed


def test_a_claim_gives_what_a_mapping_names_and_only_while_the_session_shows_it() -> None:
    mapping = grant(ANNA, 1, rights(GROUP, SCHOOL, Right.READ), end=9)
    other = Subject.claim("https://idp.habo.se", "groups", "CN=Elevhälsa")
    statements = [*founding(), mapping]
    assert may(statements, BO, 2, claims=[GROUP]) == Decision(True, (mapping.digest,), at(9))
    assert not may(statements, BO, 2).allowed
    assert not may(statements, BO, 2, claims=[other]).allowed
    assert not may(statements, BO, 2, Right.WRITE, claims=[GROUP]).allowed
    assert not may(statements, BO, 2, scope=CARE, claims=[GROUP]).allowed
    assert not may(statements, ROBOT, 2, claims=[GROUP]).allowed
    assert not may(statements, GROUP, 2, claims=[GROUP]).allowed
    assert not may([*statements, end(DAG, 2, GROUP)], BO, 2, claims=[GROUP]).allowed


def test_a_person_cannot_be_shown_as_a_claim() -> None:
    statements = [*founding(), grant(ANNA, 1, rights(CILLA, SCHOOL, Right.READ))]
    assert not may(statements, BO, 2, claims=[CILLA]).allowed


def test_a_substitute_has_the_content_that_the_absent_person_was_given() -> None:
    had = grant(ANNA, 1, rights(CILLA, SCHOOL, Right.READ, Right.MANAGE), end=6)
    stands = grant(ANNA, 1, Substitution(BO, ORGANISATION, CILLA), start=2, end=5)
    statements = [*founding(), had, stands]
    assert [may(statements, BO, hour).allowed for hour in (1, 2, 4.99, 5)] == [False, True, True, False]
    assert may(statements, BO, 2) == Decision(True, (stands.digest, had.digest), at(5))
    assert not may(statements, BO, 2, Right.MANAGE).allowed
    assert not may(statements, BO, 2, Right.WRITE).allowed
    assert not may(statements, CILLA, 2, scope=CARE).allowed
    assert not may([*statements, end(DAG, 3, had)], BO, 3).allowed
    assert not may([*statements, end(DAG, 3, BO)], BO, 3).allowed


def test_a_substitute_gets_nothing_that_the_absent_person_has_by_substituting_or_a_claim() -> None:
    chain = [
        *founding(),
        grant(ANNA, 1, rights(CILLA, SCHOOL, Right.READ)),
        grant(ANNA, 1, Substitution(BO, ORGANISATION, CILLA)),
        grant(ANNA, 1, Substitution(DAG, ORGANISATION, BO)),
        grant(ANNA, 1, rights(GROUP, CARE, Right.READ)),
    ]
    assert may(chain, BO, 2).allowed
    assert not may(chain, DAG, 2).allowed
    assert not may(chain, BO, 2, scope=CARE).allowed


def test_a_substitution_for_one_mailbox_opens_no_other() -> None:
    statements = [
        *founding(),
        grant(ANNA, 1, rights(CILLA, SCHOOL, Right.READ)),
        grant(ANNA, 1, rights(CILLA, CARE, Right.READ)),
        grant(ANNA, 1, Substitution(BO, CARE, CILLA)),
    ]
    assert may(statements, BO, 2, scope=CARE).allowed
    assert not may(statements, BO, 2, scope=SCHOOL).allowed


def test_the_absent_person_cannot_approve_their_own_substitute() -> None:
    manager = grant(ANNA, 1, rights(CILLA, SCHOOL, Right.MANAGE))
    wanted = ask(BO, 2, Substitution(BO, SCHOOL, CILLA))
    approved = approve(CILLA, 3, wanted)
    assert fold(HABO, [*founding(), manager, wanted, approved]).effect(approved.digest) is Effect.SELF


def test_statements_and_requests_of_another_organisation_count_for_nothing() -> None:
    theirs = stated(ANNA, 1, Given(READ, at(1), at(9), False), organisation="0203:other.se")
    assert not may([*founding(), theirs], BO, 2).allowed
    mine = grant(ANNA, 1, READ)
    ended = stated(ANNA, 2, Ended(of=mine.digest), organisation="0203:other.se")
    assert may([*founding(), mine, ended], BO, 3).allowed
    wanted = stated(BO, 1, Given(READ, at(1), at(9), True), organisation="0203:other.se")
    assert not may([*founding(), wanted, approve(ANNA, 2, wanted)], BO, 3).allowed
    state = fold(HABO, [*founding(), mine])
    assert not decide_by(state, Request("0203:other.se", BO, Right.READ, SCHOOL), at(2)).allowed


def test_a_moment_without_a_zone_decides_nothing() -> None:
    with pytest.raises(ValueError, match="zone"):
        decide([], Request(HABO, BO, Right.READ, SCHOOL), at(1).replace(tzinfo=None))


def test_a_day_ends_where_it_is_lived() -> None:
    stockholm = ZoneInfo("Europe/Stockholm")
    assert end_of(date(2026, 3, 3), UTC).isoformat() == "2026-03-03T23:59:59+00:00"
    assert end_of(date(2026, 3, 3), stockholm).astimezone(UTC).isoformat() == "2026-03-03T22:59:59+00:00"
    assert end_of(date(2026, 10, 24), stockholm).astimezone(UTC).isoformat() == "2026-10-24T21:59:59+00:00"


# Properties: random small worlds, compared with a second implementation.

PERSONS = (ANNA, BO, CILLA, DAG)
AUTHORS = (*PERSONS, KARIN, KURT, ROBOT)
SCOPES = (SCHOOL, CARE)
CONTENT = (Right.READ, Right.WRITE, Right.APPROVE)


@st.composite
def worlds(draw: st.DrawFn, most: int = 14) -> list[Statement]:
    """Draw statements of a founded organisation, in an order without meaning."""
    statements = founding()
    hours = st.integers(0, 8)
    for _ in range(draw(st.integers(0, most))):
        by, hour = draw(st.sampled_from(AUTHORS)), draw(hours)
        if draw(st.booleans()):
            by = ANNA
        named = draw(st.sampled_from(statements))
        if draw(st.integers(0, 5)) == 0:
            some = st.sets(st.sampled_from(PERSONS), max_size=2)
            came = draw(some)
            statements.append(listed(hour, came, draw(some) - came))
            continue
        act: Given | Approved | Reviewed | Objected | Ended
        match draw(st.integers(0, 9)):
            case 0:
                act = Ended(of=named.digest)
            case 1:
                act = Ended(subject=draw(st.sampled_from((*PERSONS, GROUP, LISTED))))
            case 2:
                act = Objected(named.digest)
            case 3:
                act = Reviewed(named.digest, draw(st.sampled_from(Outcome)))
            case 4 | 5:
                act = Approved(named.digest)
            case _:
                act = draw(gifts(hour))
        statements.append(stated(by, hour, act, why=f"beslut {draw(st.integers(0, 1))}"))
    return statements


@st.composite
def gifts(draw: st.DrawFn, hour: int) -> Given:
    start = hour + draw(st.integers(0, 1))
    times = (at(start), at(start + draw(st.integers(1, 6))), draw(st.booleans()))
    kind = draw(st.integers(0, 4))
    if kind == 0:
        role = draw(st.sampled_from((Right.ADMINISTRATOR, Right.SECURITY_OFFICER)))
        return Given(rights(draw(st.sampled_from(PERSONS)), ORGANISATION, role), *times)
    if kind == 1:
        one, other = draw(st.permutations(PERSONS))[:2]
        return Given(Substitution(one, draw(st.sampled_from((ORGANISATION, *SCOPES))), other), *times)
    to = draw(st.sampled_from((*PERSONS, ROBOT, GROUP, LISTED)))
    names = (*CONTENT, Right.MANAGE) if to.kind is SubjectKind.PERSON else CONTENT
    wanted = draw(st.sets(st.sampled_from(names), min_size=1, max_size=2))
    return Given(rights(to, draw(st.sampled_from(SCOPES)), *wanted), *times)


def requests() -> list[Request]:
    found = [Request(HABO, each, right, ORGANISATION) for each in PERSONS for right in list(Right)[-2:]]
    for scope in SCOPES:
        for right in (*CONTENT, Right.MANAGE):
            found += [Request(HABO, each, right, scope) for each in (*PERSONS, ROBOT)]
            found.append(Request(HABO, BO, right, scope, frozenset({GROUP})))
    return found


REQUESTS = requests()
HOURS = (0, 1, 2, 3, 4.5, 6, 9, 14)


def answers(state: State, hours: Sequence[float] = HOURS) -> list[Decision]:
    return [decide_by(state, request, at(hour)) for request in REQUESTS for hour in hours]


def past(statement: Statement, moment: datetime, inclusive: bool) -> bool:
    return statement.at < moment or (inclusive and statement.at == moment)


class SecondOpinion:
    """The same rules by recursion from the question back to the founding, without tables or steps."""

    def __init__(self, statements: Iterable[Statement]) -> None:
        self.all = {each.digest: each for each in statements}
        self.begun = cache(self._begun)
        self.valid = cache(self._valid)
        self.has = cache(self._has)

    def _gift(self, digest: str) -> Given | None:
        found = self.all.get(digest)
        return found.act if found is not None and isinstance(found.act, Given) else None

    def _may_give(self, by: Subject, gift: Given, hour: datetime, after_ends: bool) -> bool:
        if self.has(by, Right.ADMINISTRATOR, ORGANISATION, hour, after_ends):
            return True
        if isinstance(gift.what, Rights) and gift.what.scope == ORGANISATION:
            return by.kind is SubjectKind.CUSTODIAN
        content = isinstance(gift.what, Substitution) or gift.what.rights <= set(CONTENT)
        return content and self.has(by, Right.MANAGE, gift.what.scope, hour, after_ends)

    def _valid(self, digest: str) -> bool:
        """Return whether an act had authority."""
        each = self.all[digest]
        match each.act:
            case Given(what, _, _, asked):
                role = what.scope == ORGANISATION and isinstance(what, Rights)
                if asked:
                    return not role or self._may_give(each.by, each.act, each.at, True)
                return (
                    not role and each.by != what.subject and self._may_give(each.by, each.act, each.at, True)
                )
            case Approved(of):
                gift, asked_by = self._gift(of), self.all.get(of)
                if gift is None or asked_by is None or not gift.asked or asked_by.at > each.at:
                    return False
                concerned = {asked_by.by, gift.what.subject}
                if isinstance(gift.what, Substitution):
                    concerned.add(gift.what.absent)
                ended = bool(self._ends(of, each.at, True))
                return (
                    each.by not in concerned
                    and not ended
                    and each.at < gift.end
                    and self.valid(of)
                    and self._may_give(each.by, gift, each.at, True)
                )
            case Ended(None, subject):
                roles = (Right.ADMINISTRATOR, Right.SECURITY_OFFICER)
                return each.by == subject or any(
                    self.has(each.by, role, ORGANISATION, each.at, False) for role in roles
                )
            case Ended(of) | Objected(of) | Reviewed(of):
                named = self.all.get(of or "")
                if named is None or named.at > each.at:
                    return False
                officer = self.has(each.by, Right.SECURITY_OFFICER, ORGANISATION, each.at, False)
                if isinstance(named.act, Objected) and isinstance(each.act, Ended):
                    return each.by == named.by or officer
                if not isinstance(named.act, Given):
                    return False
                approver = {self.all[a].by for a in self._approvals(named.digest, each.at, False)}
                concerned = {named.by, named.act.what.subject} | approver
                return each.by in concerned or officer or self._may_give(each.by, named.act, each.at, False)
        raise AssertionError

    def _approvals(self, digest: str, moment: datetime, inclusive: bool) -> list[str]:
        """Return the first approval that counts up to then, if there is one."""
        found = [
            e
            for e in self.all.values()
            if e.act == Approved(digest) and past(e, moment, inclusive) and self.valid(e.digest)
        ]
        return [min(found, key=lambda e: (e.at, e.digest)).digest] if found else []

    def _ends(self, digest: str, moment: datetime, inclusive: bool) -> list[Statement]:
        named = self.all[digest]
        found = []
        for e in self.all.values():
            by_name = e.act == Ended(of=digest) or e.act == Reviewed(digest, Outcome.REMOVE)
            by_subject = (
                isinstance(e.act, Ended)
                and isinstance(named.act, Given)
                and e.act.subject == named.act.what.subject
                and named.at <= e.at
            )
            if (by_name or by_subject) and past(e, moment, inclusive) and self.valid(e.digest):
                found.append(e)
        return found

    def _begun(self, digest: str, moment: datetime, inclusive: bool) -> bool:
        gift = self._gift(digest)
        assert gift is not None
        if gift.asked:
            return bool(self._approvals(digest, moment, inclusive))
        return past(self.all[digest], moment, inclusive) and self.valid(digest)

    def _stopped(self, digest: str, moment: datetime, inclusive: bool) -> bool:
        if self._ends(digest, moment, inclusive):
            return True
        return any(
            e.act == Objected(digest)
            and past(e, moment, inclusive)
            and self.valid(e.digest)
            and not self._ends(e.digest, moment, inclusive)
            for e in self.all.values()
        )

    def in_force(self, digest: str, moment: datetime, begun: bool, ended: bool) -> bool:
        """Return whether a grant is in force; the flags set whether a start or end at the moment counts."""
        gift = self._gift(digest)
        if gift is None or not gift.start <= moment < gift.end:
            return False
        return self.begun(digest, moment, begun) and not self._stopped(digest, moment, ended)

    def _has(self, subject: Subject, right: Right, scope: Scope, moment: datetime, after_ends: bool) -> bool:
        return any(
            isinstance(e.act, Given)
            and isinstance(e.act.what, Rights)
            and (e.act.what.subject, e.act.what.scope) == (subject, scope)
            and right in e.act.what.rights
            and e.at < moment
            and self.in_force(e.digest, moment, False, after_ends)
            for e in self.all.values()
        )

    def _listed(self, person: Subject, moment: datetime) -> bool:
        """Return whether the last reading that names a person lets them in; leaving wins over joining."""
        turns = [
            (e.at, person.id in e.act.left)
            for e in self.all.values()
            if isinstance(e.act, MembersListed)
            and past(e, moment, True)
            and person.id in (*e.act.joined, *e.act.left)
        ]
        return bool(turns) and not max(turns)[1]

    def _author(self, digest: str, moment: datetime) -> Subject:
        gift = self._gift(digest)
        assert gift is not None
        return self.all[self._approvals(digest, moment, True)[0] if gift.asked else digest].by

    def allowed(self, request: Request, moment: datetime) -> bool:
        for digest, e in self.all.items():
            what = e.act.what if isinstance(e.act, Given) else None
            if (
                isinstance(what, Rights)
                and what.subject == LISTED
                and (what.scope == request.scope and request.right in what.rights)
                and self.in_force(digest, moment, True, True)
                and self._listed(request.subject, moment)
                and self._author(digest, moment) != request.subject
            ):
                return True
        live = [
            e.act.what
            for e in self.all.values()
            if isinstance(e.act, Given) and self.in_force(e.digest, moment, True, True)
        ]
        subjects = {request.subject, *request.claims}
        if request.right in CONTENT:
            subjects |= {
                what.absent
                for what in live
                if isinstance(what, Substitution)
                and what.subject == request.subject
                and what.scope in (ORGANISATION, request.scope)
            }
        return any(
            isinstance(what, Rights)
            and what.subject in subjects
            and what.scope == request.scope
            and request.right in what.rights
            for what in live
        )


@settings(max_examples=40)
@given(worlds())
def test_a_second_opinion_agrees(world: list[Statement]) -> None:
    state, other = fold(HABO, world), SecondOpinion(world)
    for hour in HOURS:
        for request in REQUESTS:
            assert decide_by(state, request, at(hour)).allowed == other.allowed(request, at(hour))


@settings(max_examples=40)
@given(worlds(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_repetition_and_the_pieces_in_which_they_come_mean_nothing(
    world: list[Statement], random: random.Random, pieces: int
) -> None:
    state = fold(HABO, world)
    shuffled = world + random.sample(world, len(world) // 2)
    random.shuffle(shuffled)
    assert answers(fold(HABO, shuffled)) == answers(state)
    grown = State(HABO)
    in_time = sorted(world, key=lambda each: each.at)
    for place in range(pieces):
        grown.extend(in_time[place * len(world) // pieces : (place + 1) * len(world) // pieces])
        grown.extend(in_time[: place * len(world) // pieces])
    assert answers(grown) == answers(state)
    assert [grown.effect(each.digest) for each in world] == [state.effect(each.digest) for each in world]
    assert grown.as_of(at(4)) == state.as_of(at(4))


@settings(max_examples=40)
@given(worlds(), st.sampled_from(HOURS))
def test_the_past_is_the_same_whatever_is_stated_since(world: list[Statement], hour: float) -> None:
    then = fold(HABO, [each for each in world if each.at <= at(hour)])
    now = fold(HABO, world)
    assert now.as_of(at(hour)) == then.as_of(at(hour))
    assert answers(now, [hour]) == answers(then, [hour])


@settings(max_examples=40)
@given(worlds(), worlds(most=3))
def test_judging_leaves_the_state_as_it_is_and_says_what_folding_says(
    world: list[Statement], others: list[Statement]
) -> None:
    state = fold(HABO, world)
    before, effects = answers(state), [state.effect(each.digest) for each in world]
    for other in others:
        if state.last is not None and other.at >= state.last:
            assert state.judge(other) is fold(HABO, [*world, other]).effect(other.digest)
        elif other not in world:
            with pytest.raises(OutOfOrder):
                state.judge(other)
    assert answers(state) == before
    assert [state.effect(each.digest) for each in world] == effects


@settings(max_examples=40)
@given(worlds())
def test_an_end_never_widens_but_by_lifting_an_objection_or_what_the_ended_one_did_later(
    world: list[Statement],
) -> None:
    """The end comes after the last moment, so that it can only take rights away."""
    state = fold(HABO, world)
    for named in world:
        if not isinstance(named.act, Objected):
            grown = fold(HABO, [*world, end(DAG, 9, named), end(ANNA, 9, BO)])
            for request in REQUESTS:
                if decide_by(grown, request, at(10)).allowed:
                    assert decide_by(state, request, at(10)).allowed


@settings(max_examples=40)
@given(worlds(), st.sampled_from(AUTHORS), gifts(9), st.data())
def test_who_has_no_authority_widens_nothing(
    world: list[Statement], by: Subject, gift: Given, data: st.DataObject
) -> None:
    """A person with authority widens only the named subject, rights and scope, and never themselves."""
    state = fold(HABO, world)
    act = data.draw(st.sampled_from([gift, *(Approved(each.digest) for each in world)]))
    statement = stated(by, 9, act)
    grown = fold(HABO, [*world, statement])
    holders = {ANNA, BO, CILLA, DAG} & {
        each
        for each in PERSONS
        for request in REQUESTS
        if request.subject == each
        and request.right in (Right.ADMINISTRATOR, Right.MANAGE)
        and decide_by(state, request, at(9)).allowed
    } | {KARIN, KURT}
    for request in REQUESTS:
        for hour in (9, 10, 14):
            was, now = (decide_by(each, request, at(hour)) for each in (state, grown))
            if now.allowed and not was.allowed:
                assert by in holders
                assert statement.digest in now.rests_on
                given_by = next(each for each in [*world, statement] if each.digest == now.rests_on[0])
                assert isinstance(given_by.act, Given)
                assert given_by.act.what.subject in {request.subject, *request.claims, LISTED}
                assert by != request.subject


@settings(max_examples=40)
@given(worlds())
def test_every_permission_rests_on_statements_that_suffice_for_it(world: list[Statement]) -> None:
    state = fold(HABO, world)
    by_digest = {each.digest: each for each in world}
    for decision in answers(state):
        if decision.allowed:
            assert {state.effect(digest) for digest in decision.rests_on} == {Effect.TAKEN}
            authors = {by_digest[digest].by for digest in decision.rests_on}
            assert authors
            assert decision.until is not None


def test_many_statements_are_decided_on_by_what_concerns_the_subject() -> None:
    """Rows are counted, not time: ten thousand statements, of which one person has three."""
    others = [Subject.parse(f"person:{number}") for number in range(3000)]
    state = fold(HABO, founding())
    state.extend(grant(ANNA, 1, rights(each, SCHOOL, Right.READ)) for each in others)
    looked: list[str] = []
    current = state._current
    state._current = lambda digest, now: looked.append(digest) or current(digest, now)  # type: ignore
    assert decide_by(state, Request(HABO, others[7], Right.READ, SCHOOL), at(2)).allowed
    assert len(looked) <= 3


def test_grants_of_one_moment_are_folded_once_each_and_answer_as_if_they_had_come_together() -> None:
    """Signing over thousands of rights states them in one second; steps are counted, not time."""
    persons = [Subject.parse(f"person:{number}") for number in range(300)]
    many = [grant(ANNA, 1, rights(each, SCHOOL, Right.READ)) for each in persons]
    many += [grant(ANNA, 1, rights(persons[0], SCHOOL, right)) for right in (Right.WRITE, Right.APPROVE)]
    state, steps = fold(HABO, founding()), list[str]()
    give = state._give
    state._give = lambda each, act: steps.append(each.digest) or give(each, act)  # type: ignore
    for each in many:
        assert state.judge(each) is Effect.TAKEN
        state.extend([each])
    assert len(steps) <= 2 * len(many)
    whole = fold(HABO, [*founding(), *many])
    assert list(state.holdings(at(2))) == list(whole.holdings(at(2)))
    assert list(state.holdings(at(2), persons[0])) == list(whole.holdings(at(2), persons[0]))
    late = end(ANNA, 1, many[7])
    assert state.judge(late) is Effect.TAKEN
    state.extend([late])
    assert state.as_of(at(2)) == fold(HABO, [*founding(), *many, late]).as_of(at(2))


def test_what_was_stated_in_pieces_keeps_its_order_when_another_moment_has_come() -> None:
    many = [grant(ANNA, 1, rights(BO, SCHOOL, right)) for right in (Right.READ, Right.WRITE, Right.APPROVE)]
    later = grant(ANNA, 2, rights(BO, CARE, Right.READ))
    whole = list(fold(HABO, [*founding(), *many, later]).holdings(at(3), BO))
    for pieces in permutations(many):
        state = fold(HABO, founding())
        for each in (*pieces, later):
            state.extend([each])
        assert list(state.holdings(at(3), BO)) == whole


def test_ends_and_grants_of_one_moment_amount_to_the_same_in_whatever_order_they_come() -> None:
    """Appended one by one, a grant before the end of its giver's role counts for nothing too."""
    given, other = grant(ANNA, 2, READ), grant(ANNA, 2, rights(CILLA, CARE, Right.READ))
    asked = ask(BO, 2, rights(BO, CARE, Right.READ))
    for many in (
        [given, other, asked, end(DAG, 2, founding()[0])],
        [given, other, asked, end(DAG, 2, BO)],
        [given, other, asked, approve(ANNA, 2, asked)],
        [given, other, objection(DAG, 2, given), end(DAG, 2, other)],
    ):
        whole = fold(HABO, [*founding(), *many])
        for pieces in permutations(many):
            state = fold(HABO, founding())
            for count, each in enumerate(pieces, 1):
                so_far = fold(HABO, [*founding(), *pieces[:count]])
                assert state.judge(each) is so_far.effect(each.digest)
                state.extend([each])
            for each in many:
                assert state.effect(each.digest) is whole.effect(each.digest)
            assert list(state.holdings(at(3))) == list(whole.holdings(at(3)))
