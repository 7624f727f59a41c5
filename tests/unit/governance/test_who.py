"""People who can, could and did, computed from statements, counts of doors and logs."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from samdrift.audit.entries import LogEntry
from samdrift.governance.who import Basis, Path, PathKind, changed, document, paths, rows
from samdrift.governance.whodoors import Door, DoorEvent, DoorKind, Doors
from samdrift.governance.whopage import page
from samdrift.governance.whouses import Uses, actors_of
from samdrift.rights import (
    ORGANISATION,
    Copy,
    Request,
    Right,
    Statement,
    Subject,
    Substitution,
)
from samdrift.rights.deciding import decide_by
from samdrift.rights.fields import SubjectKind, moment_text
from samdrift.rights.record import Record
from samdrift.rights.statements import OF_CONTENT
from samdrift.web.tables import csv_lines
from tests.sizes import sampled
from tests.unit.rights.building import (
    ANNA,
    BO,
    CARE,
    CILLA,
    DAG,
    GROUP,
    HABO,
    LISTED,
    ROBOT,
    SCHOOL,
    at,
    end,
    founding,
    grant,
    listed,
    objection,
    rights,
)
from tests.unit.rights.signers import founded

MAILBOXES = (SCHOOL, CARE)


def logged(hour: float, event: str, principal: str = "worker:governance", **ids: str) -> LogEntry:
    return LogEntry(1, at(hour), event, principal, "read", ids, b"", b"")


def seen(hour: float, door: Door) -> LogEntry:
    return logged(hour, DoorEvent.GOV_DOOR_SEEN, door=door.name, **door.facts())


def basis(
    statements: Sequence[Statement],
    *,
    doors: Sequence[LogEntry] = (),
    log: Sequence[LogEntry] = (),
    last: float = 10_000,
) -> Basis:
    copy = Copy.of(HABO, [(number, each.content) for number, each in enumerate(statements, 1)])
    assert copy.number == len(statements)
    uses = Uses(at(last) - timedelta(days=90), at(last))
    uses.take(log)
    return Basis(copy, Record(HABO), Doors.of(doors), uses)


def member(person: Subject, group_grant: Statement) -> Door:
    return Door(DoorKind.MEMBER, str(person), group_grant.digest)


def reach(found: Sequence[Path]) -> set[tuple[str, str, str]]:
    """Return everything that the paths allow: by whom, what and where."""
    kinds = {PathKind.PERSON, PathKind.MEMBER, PathKind.SYSTEM}
    return {(each.who, can, each.where) for each in found if each.kind in kinds for can in each.can}


def is_so(
    copy: Copy, moment: datetime, claims: dict[Subject, frozenset[Subject]]
) -> set[tuple[str, str, str]]:
    """Return the same by trying every door as everyone, with the decision made when a person comes."""
    everybody = (ANNA, BO, CILLA, DAG, ROBOT)
    doors = [(right, scope) for right in Right for scope in (*MAILBOXES, ORGANISATION)]
    return {
        (str(subject), right.value, str(scope))
        for subject, (right, scope) in itertools.product(everybody, doors)
        if decide_by(
            copy.state, Request(HABO, subject, right, scope, claims.get(subject, frozenset())), moment
        ).allowed
    }


def small_world() -> list[Statement]:
    given = grant(ANNA, 2, rights(BO, SCHOOL, Right.READ, Right.WRITE), end=500)
    of_group = grant(ANNA, 3, rights(GROUP, CARE, Right.READ))
    return [
        *founding(),
        given,
        of_group,
        grant(ANNA, 4, Substitution(CILLA, SCHOOL, BO), end=400),
        grant(ANNA, 5, rights(ROBOT, CARE, Right.READ)),
        objection(DAG, 100, given),
    ]


def test_a_path_says_who_by_what_since_when_until_when_and_from_whom() -> None:
    (path,) = [
        each
        for each in paths(basis(small_world()), at(50), at(50))
        if each.who == str(BO) and each.kind is PathKind.PERSON
    ]
    assert document(path) == {
        "kind": "person",
        "who": "person:bo",
        "through": "",
        "can": ["read", "write"],
        "where": "mailbox:school",
        "since": moment_text(at(2)),
        "until": moment_text(at(500)),
        "ended": None,
        "by": "person:anna",
        "statements": ["5"],
        "used": None,
        "unused": False,
    }


def test_a_substitute_has_what_the_absent_person_was_given_and_rests_on_both() -> None:
    (path,) = [each for each in paths(basis(small_world()), at(50), at(50)) if each.who == str(CILLA)]
    assert (path.through, path.can, path.until) == ("substitute for person:bo", ("read", "write"), at(400))
    assert path.rests_on == ("7", "5")
    later = paths(basis(small_world()), at(150), at(150))
    assert not [each for each in later if each.who == str(CILLA)], (
        "an objection has suspended the absent person's right"
    )


@pytest.mark.parametrize("seed", sampled(range(30)))
def test_who_can_is_what_is_so_at_any_moment(seed: int) -> None:
    """Everyone who gets through is in the report, and each path of the report gets through."""
    drawn, statements, hour = random.Random(seed), founding(), 1.0
    groups: list[Statement] = []
    for _ in range(60):
        hour += drawn.choice((0, 1, 7))
        to = drawn.choice((BO, CILLA, DAG, ROBOT, GROUP))
        scope, kind = drawn.choice(MAILBOXES), drawn.random()
        some = drawn.sample(sorted(OF_CONTENT), drawn.randint(1, 3))
        earlier = drawn.choice(statements)
        if kind < 0.5:
            until = hour + drawn.choice((5, 60, 400))
            made = grant(ANNA, hour, rights(to, scope, *map(Right, some)), hour + drawn.choice((0, 3)), until)
            groups += [made] if to is GROUP else []
        elif kind < 0.7:
            absent = drawn.choice((BO, CILLA, DAG))
            people = [each for each in (BO, CILLA, DAG) if each != absent]
            where = drawn.choice((*MAILBOXES, ORGANISATION))
            made = grant(ANNA, hour, Substitution(drawn.choice(people), where, absent), end=hour + 90)
        elif kind < 0.85:
            made = end(DAG, hour, earlier)
        else:
            made = objection(DAG, hour, earlier)
        statements.append(made)
    unique = list({each.digest: each for each in statements}.values())
    doors = [seen(0.5, member(person, each)) for each in groups for person in (BO, CILLA)]
    found = basis(unique, doors=doors)
    claims = {person: frozenset({GROUP}) for person in (BO, CILLA)}
    for _ in range(25):
        moment = at(drawn.uniform(1, hour + 100)).replace(microsecond=0)
        assert reach(paths(found, moment, moment)) == is_so(found.copy, moment, claims)


def test_what_was_never_given_in_a_time_could_not_and_what_was_for_an_hour_could() -> None:
    given = grant(ANNA, 10, rights(BO, SCHOOL, Right.READ), end=500)
    found = basis([*founding(), given, end(DAG, 11, given)])
    assert not [each for each in paths(found, at(12), at(400)) if each.who == str(BO)]
    (path,) = [each for each in paths(found, at(5), at(400)) if each.who == str(BO)]
    assert (path.since, path.ended) == (at(10), at(11))
    (path,) = [each for each in paths(found, at(5), at(10.5)) if each.who == str(BO)]
    assert path.ended is None, "a later statement must not change an earlier answer"


def test_what_is_held_back_all_the_time_could_not_until_the_objection_ends() -> None:
    given = grant(ANNA, 10, rights(BO, SCHOOL, Right.READ), end=500)
    objected = objection(DAG, 20, given)
    found = basis([*founding(), given, objected, end(DAG, 40, objected)])
    assert not [each for each in paths(found, at(25), at(30)) if each.who == str(BO)]
    assert [each for each in paths(found, at(25), at(45)) if each.who == str(BO)]


def test_one_who_left_a_group_and_is_back_in_it_is_there_still() -> None:
    to_group = grant(ANNA, 10, rights(GROUP, SCHOOL, Right.READ), end=500)
    door = member(BO, to_group)
    left = logged(30, DoorEvent.GOV_DOOR_GONE, door=door.name)
    found = basis([*founding(), to_group], doors=[seen(20, door), left, seen(40, door)])
    spans = [(each.since, each.ended) for each in paths(found, at(15), at(100)) if each.who == str(BO)]
    assert sorted(spans, key=lambda span: span[0]) == [(at(20), at(30)), (at(40), None)]


def test_one_who_left_a_group_before_it_was_given_something_never_had_that() -> None:
    first = grant(ANNA, 10, rights(GROUP, SCHOOL, Right.READ), end=500)
    later = grant(ANNA, 50, rights(GROUP, CARE, Right.READ), end=500)
    door = member(BO, first)
    left = logged(30, DoorEvent.GOV_DOOR_GONE, door=door.name)
    found = basis([*founding(), first, later], doors=[seen(20, door), left])
    assert [each.where for each in paths(found, at(15), at(100)) if each.who == str(BO)] == ["mailbox:school"]


def test_two_days_are_compared_by_what_the_paths_are() -> None:
    found = basis(small_world())
    came, went = changed(paths(found, at(50), at(50)), paths(found, at(150), at(150)))
    assert not came
    assert {each.who for each in went} == {str(BO), str(CILLA)}


def test_a_door_is_there_from_its_first_count_until_it_is_gone_and_a_copy_for_good() -> None:
    login = Door(DoorKind.LOGIN, "samdrift_x", "database", ("sealed-rows",), "mt")
    backup = Door(DoorKind.BACKUP, "custodian:karin", "backup 1", since=at(1).isoformat())
    doors = Doors.of([seen(2, login), seen(2, backup), logged(2, DoorEvent.GOV_DOORS_COUNTED)])
    new, gone = doors.changes([])
    assert (new, gone) == ([], [login.name]), "a backup must never be reported as gone"
    doors.take(logged(9, DoorEvent.GOV_DOOR_GONE, door=login.name))
    assert [each for each, *_ in doors.between(at(5), at(5))] == [login, backup]
    assert [(each.who, gone) for each, _, gone in doors.between(at(5), at(20))] == [
        ("samdrift_x", at(9)),
        ("custodian:karin", None),
    ]
    assert [each for each, *_ in doors.between(at(10), at(20))] == [backup]
    assert doors.last_count(at(1)) is None
    assert doors.last_count(at(3)) == at(2)
    assert doors.changes([login, backup]) == ([login], [])


def test_a_door_survives_its_entry_and_a_long_fact_is_cut() -> None:
    door = Door(DoorKind.MESSAGE_CLIENT, "journal", "interface D", ("a", "b"), "x" * 2000, "kim", "")
    read = Door.of(door.facts())
    assert read.can == ("a", "b")
    assert len(read.where) < 1000
    assert read.name == door.name


def test_a_path_that_nobody_used_in_ninety_days_is_marked() -> None:
    used = [
        logged(2200, "mk:reading:message", "user:bo", mailbox="school"),
        logged(2300, "mk:access:denied", "user:cilla", mailbox="care"),
        logged(2300, "mt:token:issued", f"system:{ROBOT.id}"),
    ]
    statements = [
        *founding(),
        grant(ANNA, 2, rights(BO, SCHOOL, Right.READ), end=8000),
        grant(ANNA, 2, rights(CILLA, CARE, Right.READ), end=8000),
        grant(ANNA, 2, rights(ROBOT, CARE, Right.READ), end=8000),
        grant(ANNA, 900, rights(DAG, CARE, Right.READ), end=8000),
    ]
    last = 2400.0
    shown = paths(basis(statements, log=used, last=last), at(last), at(last))
    found = {each.who: each for each in shown if each.where != str(ORGANISATION)}
    assert found[str(BO)].used == at(2200)
    assert not found[str(BO)].unused
    assert found[str(CILLA)].used is None, "a denied attempt must not count as use"
    assert found[str(CILLA)].unused
    assert not found[str(ROBOT)].unused
    assert not found[str(DAG)].unused, "a right younger than 90 days must not count as unused"


def test_commands_under_a_name_and_a_client_that_a_person_acts_through_are_uses() -> None:
    command = logged(1, "org:command:run", "operator:root", by="eva", reason="x")
    assert actors_of(command) == ["operator:eva"]
    through = logged(1, "mt:message:read", "user:bo", through="journal")
    assert actors_of(through) == ["person:bo", "system:journal"]
    agreed = logged(1, "custody:two-persons:agreed", "operator:karin", first="karin", second="kurt")
    assert actors_of(agreed) == ["custodian:karin", "custodian:kurt"]
    found = basis(founding(), log=[logged(9999, "org:command:run", "operator:root", by="eva")])
    assert [each.who for each in paths(found, at(10_000), at(10_000)) if each.kind is PathKind.STAFF] == [
        "operator:eva"
    ]


def test_keys_of_officers_stand_with_their_holders_and_what_enrolled_them() -> None:
    record = founded().record
    last = record.last
    assert last is not None
    copy = Copy.of(HABO)
    copy.include(record.statements())
    found = paths(Basis(copy, record, Doors(), Uses(last, last)), last, last)
    keys = {each.who: each for each in found if each.kind is PathKind.SIGNING_KEY}
    held = {str(each.act.to) for each in record.keys.in_force(last)}
    assert set(keys) == held
    assert keys[str(ANNA)].can == ("decide",)
    assert all(each.rests_on for each in keys.values())


def answer(found: Basis, moment: datetime) -> dict[str, object]:
    at_moment = moment_text(moment)
    head = {"question": "who-can", "organisation": HABO, "from": at_moment, "to": at_moment}
    shown = [document(each) for each in paths(found, moment, moment)]
    return head | {"doors_counted": None, "logs": [], "paths": shown}


@pytest.mark.parametrize("language", ["sv", "en"])
def test_the_page_shows_each_path_and_nothing_that_a_name_would_have_it_do(language: str) -> None:
    names = {str(BO): "<script>Bo</script>", "mailbox:school": "Skolan"}
    shown = page(answer(basis(small_world()), at(50)), names, language)
    assert "<script>" not in shown
    assert "&lt;script&gt;Bo" in shown
    assert "Skolan" in shown
    assert {"sv": "Vilka kan nå", "en": "Who can reach"}[language] in shown
    assert shown.count("<tr>") == 1 + len(paths(basis(small_world()), at(50), at(50)))
    assert not [each for each in ("src=", "href=", "@import") if each in shown], (
        "the page must load no other files"
    )


def test_a_table_has_no_cell_that_is_a_formula() -> None:
    evil = Subject(SubjectKind.PERSON, "=cmd")
    statements = [*founding(), grant(ANNA, 2, rights(evil, SCHOOL, Right.READ))]
    documents = [document(each) for each in paths(basis(statements), at(9), at(9))]
    table = csv_lines(rows(documents, {str(evil): "+1", str(ANNA): "@x"})).decode()
    for cell in table.replace("\r\n", ",").split(","):
        assert cell[1:2] not in ("=", "+", "-", "@"), cell
    assert "'+1" in table


def test_the_same_day_asked_later_is_the_same() -> None:
    statements = small_world()
    doors = [seen(2, Door(DoorKind.CUSTODIAN, "custodian:karin"))]
    log = [logged(40, "mk:reading:message", "user:bo", mailbox="school")]
    before = answer(basis(statements, doors=doors, log=log, last=50), at(50))
    more = [grant(ANNA, 200 + hour, rights(CILLA, CARE, Right.READ), end=900) for hour in range(20)]
    later = basis(
        [*statements, *more, end(DAG, 300, BO)],
        doors=[*doors, logged(300, DoorEvent.GOV_DOOR_GONE, door=doors[0].ids["door"])],
        log=[*log, logged(60, "mk:reading:message", "user:bo", mailbox="school")],
        last=50,
    )
    assert answer(later, at(50)) == before
    assert any(each.kind is PathKind.CUSTODIAN for each in paths(later, at(50), at(50)))


def test_a_substitute_of_a_time_in_which_the_absent_person_had_nothing_could_not() -> None:
    given = grant(ANNA, 2, rights(BO, SCHOOL, Right.READ), end=500)
    late = grant(ANNA, 30, Substitution(CILLA, SCHOOL, BO), end=400)
    found = basis([*founding(), given, end(DAG, 20, given), late])
    assert not [each for each in paths(found, at(5), at(300)) if each.who == str(CILLA)]
    (path,) = [each for each in paths(found, at(5), at(300)) if each.who == str(BO)]
    assert path.ended == at(20)


def test_a_substitute_could_only_what_both_rights_gave_at_the_same_moment() -> None:
    """The absent person's right counts while the substitute is held back, but never together with it."""
    lent = grant(ANNA, 10, rights(BO, SCHOOL, Right.READ), start=30, end=40)
    substitute = grant(ANNA, 10, Substitution(CILLA, SCHOOL, BO), start=20, end=100)
    objected = objection(DAG, 25, substitute)
    found = basis([*founding(), lent, substitute, objected, end(DAG, 50, objected)])
    assert not [each for each in paths(found, at(15), at(200)) if each.who == str(CILLA)]


def test_one_who_came_to_a_group_when_its_right_was_over_never_had_that() -> None:
    first = grant(ANNA, 10, rights(GROUP, SCHOOL, Right.READ), end=20)
    later = grant(ANNA, 30, rights(GROUP, CARE, Right.READ), end=500)
    found = basis([*founding(), first, later], doors=[seen(40, member(BO, later))])
    assert [each.where for each in paths(found, at(5), at(100)) if each.who == str(BO)] == ["mailbox:care"]


def signed_basis(statements: Sequence[Statement], last: float = 10_000) -> Basis:
    """Return a basis of signed statements, as readings of groups always are."""
    copy = Copy.of(HABO)
    copy.include(statements)
    return Basis(copy, Record(HABO), Doors.of([]), Uses(at(last) - timedelta(days=90), at(last)))


def test_a_person_in_a_group_of_a_directory_has_a_path_by_it_as_it_was_read() -> None:
    given = grant(ANNA, 5, rights(LISTED, SCHOOL, Right.READ), end=500)
    world = [
        *founding(),
        given,
        listed(6, [BO, ANNA]),
        listed(40, left=[BO], after=[ANNA, CILLA], joined=[CILLA]),
    ]
    found = {
        each.who: each for each in paths(signed_basis(world), at(10), at(10)) if LISTED.id in each.through
    }
    assert set(found) == {str(BO)}, "anna gave this right, so she gains nothing by it"
    bo = found[str(BO)]
    assert (bo.kind, bo.can, bo.where) == (PathKind.MEMBER, ("read",), str(SCHOOL))
    assert bo.through == f"{LISTED}, read {moment_text(at(6))}"
    assert (bo.since, bo.until, bo.ended, bo.rests_on) == (at(6), at(500), None, ("S5", "S6"))
    later = {
        each.who: each for each in paths(signed_basis(world), at(10), at(50)) if LISTED.id in each.through
    }
    assert (later[str(BO)].ended, later[str(CILLA)].since) == (at(40), at(40))
    assert {each.who for each in paths(signed_basis(world), at(50), at(50)) if LISTED.id in each.through} == {
        str(CILLA)
    }
    came, went = changed(
        paths(signed_basis(world), at(10), at(10)), paths(signed_basis(world), at(50), at(50))
    )
    assert ([each.who for each in came], [each.who for each in went]) == ([str(CILLA)], [str(BO)])


@pytest.mark.parametrize("seed", sampled(range(20)))
def test_who_can_by_groups_is_whoever_would_get_in(seed: int) -> None:
    """Each path gets in at that moment, and everyone who gets in has a path."""
    chance = random.Random(f"groups {seed}")
    people = [ANNA, BO, CILLA, DAG]
    world, inside = founding(), set[Subject]()
    for hour in range(2, 30):
        if chance.random() < 0.5:
            found = set(chance.sample(people, chance.randrange(1, 4)))
            world.append(listed(hour, found - inside, inside - found, found))
            inside = found
        else:
            scope, right = chance.choice(MAILBOXES), chance.choice([Right.READ, Right.WRITE])
            giver = chance.choice([ANNA, ANNA, BO])
            world.append(grant(giver, hour, rights(LISTED, scope, right), end=hour + chance.randrange(1, 9)))
        if chance.random() < 0.2:
            world.append(end(DAG, hour, LISTED))
    based = signed_basis(world)
    for hour in range(0, 40):
        reported = reach(paths(based, at(hour), at(hour)))
        assert reported == is_so(based.copy, at(hour), {})
