"""Groups of directories: a signature grants the right, and a reading freezes the members."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.rights import (
    Approved,
    Contradiction,
    Copy,
    Decision,
    Effect,
    Ended,
    Request,
    Right,
    Statement,
    StatementError,
    Subject,
    decide,
    fold,
)
from samdrift.rights.fields import SubjectKind
from samdrift.rights.folds import FOLDS
from samdrift.rights.groupfold import groups_in
from samdrift.rights.groups import MAX_CHANGES, MembersListed, changes, listing
from samdrift.rights.keyacts import Enrolled, Scheme
from samdrift.rights.record import Broken, Record
from samdrift.rights.signing import Refusal
from samdrift.rights.statements import Given, Rights
from tests.unit.rights.building import (
    AD,
    ANNA,
    BO,
    CARE,
    CILLA,
    DAG,
    GROUP,
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
    objection,
    rights,
    stated,
)
from tests.unit.rights.signers import YEAR, Authenticator, House, Ssh, founded

READ = rights(LISTED, SCHOOL, Right.READ)


def may(statements: Iterable[Statement], who: Subject, hour: float, right: Right = Right.READ) -> Decision:
    return decide(statements, Request(HABO, who, right, SCHOOL), at(hour))


def test_a_member_has_what_the_group_was_given_by_the_grant_and_by_the_reading() -> None:
    given_, read = grant(ANNA, 1, READ, end=9), listed(2, [BO])
    world = [*founding(), given_, read]
    assert may(world, BO, 3) == Decision(True, (given_.digest, read.digest), at(9))
    assert not may(world, BO, 1.5).allowed
    assert not may(world, BO, 9).allowed
    assert not may(world, CILLA, 3).allowed
    assert not may(world, BO, 3, Right.WRITE).allowed
    assert not decide(world, Request(HABO, BO, Right.READ, CARE), at(3)).allowed


def test_a_reading_alone_gives_nobody_anything() -> None:
    assert may([*founding(), listed(1, [BO])], BO, 2) == Decision(False)


def test_who_is_gone_from_a_full_answer_has_nothing_from_that_second_on() -> None:
    went = listed(4, left=[BO], after=[CILLA])
    world = [*founding(), grant(ANNA, 1, READ), listed(2, [BO, CILLA]), went]
    assert may(world, BO, 3.9).allowed
    assert may(world, BO, 4) == Decision(False, (went.digest,))
    assert may(world, CILLA, 5).allowed


def test_who_comes_and_goes_in_one_second_has_gone() -> None:
    world = [*founding(), grant(ANNA, 1, READ), listed(2, [CILLA, BO]), listed(3, [DAG])]
    went, came = listed(4, left=[BO], after=[CILLA, DAG]), listed(4, [BO], after=[BO, CILLA, DAG])
    for order in ([went, came], [came, went]):
        assert not may([*world, *order], BO, 5).allowed
        assert not list(fold(HABO, [*world, *order]).groups(BO, at(5)))
    first = listed(4, [ANNA]), listed(4, left=[ANNA], after=[BO])
    assert not list(fold(HABO, [*world, *first]).memberships.of(ANNA, at(5)))


def test_a_day_in_march_is_the_same_whatever_the_directory_has_said_since() -> None:
    then = [*founding(), grant(ANNA, 1, READ), listed(2, [BO])]
    now = [*then, listed(30, left=[BO], after=[CILLA], joined=[CILLA])]
    assert fold(HABO, now).as_of(at(24)) == fold(HABO, then).as_of(at(24))
    assert b'"in":"group:ad#cn=Elevh' in fold(HABO, then).as_of(at(24))


def test_nobody_has_by_a_group_what_they_gave_or_approved() -> None:
    gave = [*founding(), grant(ANNA, 1, READ), listed(2, [ANNA, BO])]
    assert not may(gave, ANNA, 3).allowed
    assert may(gave, BO, 3).allowed
    asked = ask(BO, 1, READ)
    approved = [*founding(), asked, approve(ANNA, 2, asked), listed(3, [ANNA, BO])]
    assert not may(approved, ANNA, 4).allowed
    assert may(approved, BO, 4).allowed


def test_what_a_member_has_by_a_group_is_not_lent_and_gives_no_authority() -> None:
    manages = stated(ANNA, 1, Given(rights(BO, SCHOOL, Right.MANAGE), at(1), at(900), asked=False))
    world = [*founding(), manages, grant(BO, 2, READ), listed(3, [CILLA])]
    away = grant(ANNA, 4, _substitute(DAG, CILLA))
    assert may(world, CILLA, 5).allowed
    assert not may([*world, away], DAG, 5).allowed


def _substitute(to: Subject, absent: Subject) -> object:
    from samdrift.rights import Substitution

    return Substitution(to, SCHOOL, absent)


def test_an_end_and_an_objection_stop_the_whole_group() -> None:
    given_ = grant(ANNA, 1, READ)
    world = [*founding(), given_, listed(2, [BO])]
    for stop in (end(DAG, 3, given_), end(DAG, 3, LISTED), objection(DAG, 3, given_)):
        assert may([*world, stop], BO, 4) == Decision(False, (stop.digest,))


def test_a_group_of_another_directory_with_the_same_name_is_another_group() -> None:
    other = Subject.group("external", LISTED.id.partition("#")[2])
    world = [*founding(), grant(ANNA, 1, READ), listed(2, [BO], group=other)]
    assert not may(world, BO, 3).allowed


@pytest.mark.parametrize(
    "by", [ANNA, KARIN, Subject.parse("directory:external"), Subject.parse("operator:ola"), BO]
)
def test_nobody_but_its_directory_states_who_is_in_a_group(by: Subject) -> None:
    act = listed(2, [BO]).act
    with pytest.raises(StatementError, match="directory"):
        _ = stated(by, 2, act).content


def test_a_directory_states_nothing_else() -> None:
    with pytest.raises(StatementError, match="nothing else"):
        _ = stated(AD, 2, Ended(subject=BO)).content
    for act in (Given(rights(AD, SCHOOL, Right.READ), at(2), at(3), asked=False), Approved("0" * 64)):
        with pytest.raises(StatementError):
            _ = stated(AD if isinstance(act, Approved) else ANNA, 2, act).content


def test_a_group_has_content_alone_and_no_role() -> None:
    for right, scope in ((Right.MANAGE, SCHOOL), (Right.ADMINISTRATOR, None)):
        what = rights(LISTED, scope or type(SCHOOL)(), right)
        with pytest.raises(StatementError):
            _ = grant(ANNA, 1, what).content


@pytest.mark.parametrize(
    "name",
    [
        "group:",
        "group:ad",
        "group:ad#",
        "group:#cn=x",
        "group:ad#cn=a\u202eb",
        "group:ad#cn=a\nb",
        "group:ad#cn=a\x00b",
        "group:ad# cn=x",
        "group:ad#" + "x" * 256,
        "directory:ad#x",
        "directory:a b",
    ],
)
def test_a_group_has_a_directory_and_a_visible_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"subject|group|directory"):
        Subject.parse(name)


@pytest.mark.parametrize(
    "change",
    [
        {"joined": ("bo", "anna")},
        {"joined": ("bo", "bo")},
        {"joined": ("b o",)},
        {"joined": ("\u202ebo",)},
        {"joined": ("bo",), "left": ("bo",)},
        {"joined": tuple(f"{number:05}" for number in range(MAX_CHANGES + 1))},
        {"count": -1},
        {"count": True},
        {"count": 1_000_000},
        {"listing": "none"},
        {"read_at": at(3)},
        {"read_at": at(0.5)},
        {"group": GROUP},
        {"server": ""},
    ],
)
def test_a_reading_that_is_not_well_formed_is_refused(change: dict[str, object]) -> None:
    from dataclasses import replace

    act = listed(2, [BO]).act
    assert isinstance(act, MembersListed)
    with pytest.raises(StatementError):
        _ = stated(AD, 2, replace(act, **change)).content  # type: ignore[arg-type]


def test_who_is_in_a_group_is_never_taken_from_a_statement_that_nobody_signed() -> None:
    copy = Copy.of(HABO, [(number, each.content) for number, each in enumerate(founding(), 1)])
    with pytest.raises(Contradiction, match="signed"):
        copy.accept([(5, listed(2, [BO]).content)])
    assert copy.number == 4


# In the record: readings signed by the directory's key, each based on the previous one.


def house(*, enrolled: bool = True) -> House:
    """Return a house whose two officers have enrolled the key of its directory."""
    made = founded()
    made.now += timedelta(hours=1)
    directory = Ssh(AD, "ad")
    if enrolled:
        made.enrolled(directory, ANNA, BO)
    made.signers[AD] = directory
    return made


def read(made: House, before: Iterable[str], after: Iterable[str], group: Subject = LISTED) -> None:
    for act in changes(group, "ldaps://dc1.habo.se", made.now, before, after):
        made.state(AD, act)


def refusal(made: House, act: MembersListed) -> object:
    signed = made.sign(AD, act)
    return made.record.judge(signed, made.now)


def one(made: House, before: Iterable[str], after: Iterable[str]) -> MembersListed:
    (act,) = changes(LISTED, "ldaps://dc1.habo.se", made.now, before, after)
    return act


def test_a_reading_by_a_key_that_officers_did_not_enrol_is_refused() -> None:
    made = house(enrolled=False)
    assert refusal(made, one(made, (), ["cilla"])) is Refusal.UNKNOWN_KEY
    made.signers[AD] = Ssh(AD, "bo")  # Bo's own key, used in the directory's name.
    assert refusal(made, one(made, (), ["cilla"])) is Refusal.OTHERS_KEY


def test_a_key_that_has_ended_reads_no_more_and_takes_nobody_out() -> None:
    made = house()
    read(made, (), ["cilla"])
    (asked,) = (each for each in made.record.keys.all() if each.act.to == AD)
    made.state(BO, Ended(of=asked.id))
    assert refusal(made, one(made, ["cilla"], ["dag"])) is Refusal.KEY_OVER
    assert groups_in(made.record).members(LISTED) == {"cilla"}


def test_custodians_alone_enrol_no_directory() -> None:
    made, key = founded(), Ssh(AD, "ad")
    made.now += timedelta(hours=1)
    verdict = made.record.judge(made.sign(KARIN, made.enrolment(key)), made.now)
    assert verdict is Effect.NO_AUTHORITY
    asked = made.state(ANNA, made.enrolment(key))
    assert made.record.judge(made.sign(ANNA, Approved(asked.digest)), made.now) is Effect.SELF
    made.state(KARIN, Approved(asked.digest))  # A custodian may, as when there is no second officer yet.


def test_a_directory_signs_with_a_key_of_openssh_alone() -> None:
    made = founded()
    for key in (Authenticator(AD, 7).key, Ssh(AD, "x", Scheme.PAPER).key):
        with pytest.raises(StatementError, match="OpenSSH"):
            _ = made.stated(ANNA, Enrolled(AD, "AD", key, made.now + YEAR)).content


def test_a_reading_that_leaves_nobody_is_refused_and_removes_nobody() -> None:
    made = house()
    read(made, (), ["cilla", "dag"])
    assert refusal(made, one(made, ["cilla", "dag"], ())) is Effect.EMPTIES
    assert groups_in(made.record).members(LISTED) == {"cilla", "dag"}


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (["cilla", "dag"], ["cilla"], None),  # removes a person who is not in the group
        ([], ["cilla"], None),  # adds a person who is in it already
        (["cilla"], ["cilla", "eva"], ["cilla"]),  # has the digest of another list
    ],
)
def test_a_reading_that_does_not_go_on_from_the_one_before_is_refused(
    before: list[str], after: list[str], named: list[str] | None
) -> None:
    from dataclasses import replace

    made = house()
    read(made, (), ["cilla"])
    act = one(made, before, after)
    act = act if named is None else replace(act, listing=listing(named))
    assert refusal(made, act) is Effect.OTHER_LISTING


def test_a_record_without_one_of_its_readings_does_not_hold() -> None:
    made = house()
    read(made, (), ["cilla", "dag"])
    read(made, ["cilla", "dag"], ["cilla", "eva"])
    read(made, ["cilla", "eva"], ["dag", "eva"])
    contents = [each.signed.content for each in made.record.entries]
    assert groups_in(Record.of(HABO, contents, FOLDS)).members(LISTED) == {"dag", "eva"}
    with pytest.raises(Broken, match="other-listing"):
        Record.of(HABO, [*contents[:-2], contents[-1]], FOLDS)


def test_ten_thousand_members_come_in_statements_of_bounded_size() -> None:
    many = [f"{number:032x}" for number in range(10_000)]
    acts = changes(LISTED, "ldaps://dc1.habo.se", at(2), (), many)
    assert len(acts) == 34
    assert [each.count for each in acts][-1] == 10_000
    assert max(len(stated(AD, 2, each).content) for each in acts) <= 16 * 1024
    replaced = changes(LISTED, "ldaps://dc1.habo.se", at(2), many, ["new"])
    assert all(each.count for each in replaced)
    assert replaced[-1].listing == listing(["new"])


SOME = st.frozensets(st.sampled_from("abcdefgh"), max_size=6)


@settings(max_examples=60)
@given(st.lists(SOME, max_size=6), st.randoms(use_true_random=False))
def test_after_each_reading_those_are_in_the_group_whom_it_found(
    readings: list[frozenset[str]], chance: random.Random
) -> None:
    """Found members are in from then on, and an empty answer changes nothing."""
    made, wanted = house(), frozenset[str]()
    grants = made.state(
        ANNA,
        Given(Rights(LISTED, SCHOOL, frozenset({Right.READ})), made.now + YEAR / 300, made.now + YEAR, False),
    )
    made.now += timedelta(days=2)
    moments = []
    for found in readings:
        if found:
            read(made, wanted, found)
            wanted = found
        elif wanted:
            assert refusal(made, one(made, wanted, found)) is Effect.EMPTIES
        moments.append((made.now, wanted))
    assert groups_in(made.record).members(LISTED) == wanted
    statements = list(made.record.statements())
    chance.shuffle(statements)
    state = fold(HABO, statements)
    for moment, members in moments:
        for each in "abcdefgh":
            person = Subject(SubjectKind.PERSON, each)
            answer = decide(statements, Request(HABO, person, Right.READ, SCHOOL), moment)
            assert answer.allowed is (each in members)
            assert not answer.allowed or answer.rests_on[0] == grants.digest
        assert {each.id for each in state.memberships.members(LISTED, moment)} == members
