"""The record of signed statements: 2 000 forgeries of nine kinds are refused; valid ones verify again."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from samdrift.rights import (
    Approved,
    Ended,
    Given,
    Objected,
    Outcome,
    Reviewed,
    Right,
    Rights,
    Scope,
    Statement,
    StatementError,
    Subject,
)
from samdrift.rights.agreements import AtEnd, Chosen
from samdrift.rights.folding import Effect
from samdrift.rights.folds import FOLDS
from samdrift.rights.keyacts import Lost
from samdrift.rights.record import GOOD, Broken, Record
from samdrift.rights.signing import MAX_SIGNED, Refusal, Signed, namespace
from samdrift.rights.statements import Act
from samdrift.wire.webauthn import Assertion
from tests.unit.rights.building import ANNA, BO, CARE, CILLA, HABO, KARIN, SCHOOL, rights
from tests.unit.rights.signers import YEAR, Authenticator, House, SecurityKey, Signer, Ssh, founded

MINUTE = timedelta(minutes=1)
FORGERIES = 2000
DAG, EVA = (Subject.parse(f"person:{name}") for name in ("dag", "eva"))


def lived_in() -> House:
    """Return a house with five people who sign in four ways, with grants, requests and ends."""
    house = founded()
    house.enrolled(SecurityKey(CILLA, 3), by=ANNA, approver=BO)
    house.enrolled(SecurityKey(DAG, 4, ecdsa=True), by=BO, approver=ANNA)
    house.enrolled(Authenticator(EVA, 5), by=BO, approver=ANNA)
    house.given(Right.ADMINISTRATOR, EVA, ANNA, KARIN)
    for to, scope in ((CILLA, SCHOOL), (DAG, SCHOOL), (CILLA, CARE)):
        house.state(ANNA, grant(house, to, scope))
    house.state(CILLA, asking(house, CILLA, CARE, Right.WRITE))
    house.state(BO, Lost(next(house.record.keys.in_force(house.now, DAG)).id, house.now))
    return house


def grant(house: House, to: Subject, scope: Scope, right: Right = Right.READ, asked: bool = False) -> Given:
    start = house.now + MINUTE
    return Given(rights(to, scope, right), start, start + YEAR, asked)


def asking(house: House, to: Subject, scope: Scope, right: Right) -> Given:
    return grant(house, to, scope, right, asked=True)


def good_act(house: House, chance: random.Random) -> tuple[Subject, Act]:
    """Return an act that would be accepted, with a person who may sign it."""
    statements = house.record.statements()
    waiting = next(each for each in reversed(statements) if isinstance(each.act, Given) and each.act.asked)
    given = next(each for each in reversed(statements) if isinstance(each.act, Given) and not each.act.asked)
    return chance.choice(
        [
            (ANNA, grant(house, chance.choice([CILLA, DAG, EVA]), chance.choice([SCHOOL, CARE]))),
            (EVA, Approved(waiting.digest)),
            (ANNA, Approved(waiting.digest)),
            (BO, Objected(given.digest)),
            (ANNA, Reviewed(given.digest, Outcome.REMOVE)),
            (BO, Ended(of=given.digest)),
            (BO, house.enrolment(Ssh(Subject.parse(f"person:new-{chance.random()}"), str(chance.random())))),
        ]
    )


Forgery = Callable[[House, random.Random], tuple[Signed, datetime]]


def _now(house: House, signed: Signed) -> tuple[Signed, datetime]:
    return signed, house.now


def forged(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Change a byte of the statement or of its signature."""
    by, act = good_act(house, chance)
    signed = house.sign(by, act)
    if chance.random() < 0.5:
        return _now(house, replace(signed, statement=replace(signed.statement, why="beslut 13")))
    if isinstance(signed.signature, Assertion):
        value = signed.signature.signature
        place = chance.randrange(len(value))
        changed = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        return _now(house, replace(signed, signature=replace(signed.signature, signature=changed)))
    place = chance.randrange(len(signed.signature))
    blob = signed.signature[:place] + bytes([signed.signature[place] ^ 1]) + signed.signature[place + 1 :]
    return _now(house, replace(signed, signature=blob))


def reused(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Append an existing statement once more, or its signature under the person's newer statement."""
    entry = chance.choice(house.record.entries[-9:])
    if chance.random() < 0.5:
        return _now(house, entry.signed)
    later = replace(entry.statement, at=house.now + MINUTE)
    try:
        later.content  # noqa: B018
    except StatementError:
        return _now(house, entry.signed)
    return _now(house, replace(entry.signed, statement=later))


def expired(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Append a good statement too late, or one with a future time."""
    signed = house.sign(*good_act(house, chance))
    late = timedelta(hours=25 + chance.randrange(1000))
    return signed, house.now + late if chance.random() < 0.5 else house.now - timedelta(minutes=6)


def self_made(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Grant rights to the signer, approve the signer's own request, or enrol the signer's own key alone."""
    kind = chance.randrange(3)
    if kind == 0:
        return _now(house, house.sign(ANNA, grant(house, ANNA, chance.choice([SCHOOL, CARE]))))
    if kind == 1:
        waiting = next(
            each for each in reversed(house.record.statements()) if isinstance(each.act, Given)
            and each.act.asked and each.by == CILLA
        )  # fmt: skip
        return _now(house, house.sign(CILLA, Approved(waiting.digest)))
    own = Ssh(CILLA, f"self {chance.random()}")
    statement = house.stated(CILLA, house.enrolment(own))
    return _now(house, own.sign(statement))


def other_organisation(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Append a statement that was signed for another organisation with the same key."""
    by, act = good_act(house, chance)
    house.now += MINUTE
    return _now(house, house.signers[by].sign(house.stated(by, act, "0203:jonkoping.se")))


def out_of_scope(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Do what the person has no authority for."""
    scope = chance.choice([SCHOOL, CARE])
    start = house.now + MINUTE
    role = Rights(DAG, Scope(), frozenset({Right.ADMINISTRATOR}))
    return _now(
        house,
        house.sign(
            *chance.choice(
                [
                    (CILLA, grant(house, DAG, scope)),
                    (BO, grant(house, DAG, scope)),
                    (CILLA, Ended(subject=ANNA)),
                    (CILLA, Given(role, start, start + YEAR, asked=True)),
                    (CILLA, house.enrolment(Ssh(DAG, str(chance.random())))),
                    (KARIN, grant(house, CILLA, scope)),
                    (KARIN, Ended(subject=ANNA)),
                    (ANNA, Given(role, start, start + YEAR, asked=False)),
                ]
            )
        ),
    )


def re_ordered(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Append a statement backdated to a moment before the last one."""
    by, act = good_act(house, chance)
    back = house.record.last
    assert back is not None
    earlier = replace(house.stated(by, act), at=back - timedelta(seconds=1 + chance.randrange(80_000)))
    return house.signers[by].sign(earlier), house.now


def wrong_challenge(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Swap the page's text after the challenge, or sign for another kind of statement."""
    by, act = good_act(house, chance)
    signed = house.sign(by, act)
    signer = house.signers[by]
    if isinstance(signer, Authenticator):
        wanted = hashlib.sha256(signed.statement.content + b" ").digest()
        return _now(house, replace(signed, signature=signer.asserted(wanted)))
    assert isinstance(signer, Ssh)
    other = chance.choice(["samdrift-log-key", "samdrift-log-resolution", "git", "samdrift-"])
    return _now(house, signer.sign(signed.statement, other))


def wrong_key(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Sign with another person's key, or one that is lost, not enrolled, or of another site."""
    by, act = good_act(house, chance)
    house.now += MINUTE
    statement = house.stated(by, act)
    kind = chance.randrange(5)
    signer: Signer
    if kind == 0:
        signer = house.signers[CILLA]
    elif kind == 1:
        signer = house.signers[DAG]
        statement = house.stated(DAG, act)
    elif kind == 2:
        signer = Ssh(by, f"unknown {chance.random()}")
    elif kind == 3:
        signer, statement = replace(authenticator(house), site="habo.se"), house.stated(ANNA, act)
    else:
        signer, statement = replace(authenticator(house), flags=1), house.stated(ANNA, act)
    return _now(house, signer.sign(statement))


def authenticator(house: House) -> Authenticator:
    signer = house.signers[ANNA]
    assert isinstance(signer, Authenticator)
    return signer


def counted_back(house: House, chance: random.Random) -> tuple[Signed, datetime]:
    """Sign with a copied authenticator, which counts from an earlier number."""
    house.now += MINUTE
    known = house.record.keys.of_key(authenticator(house).key.fingerprint)[-1].counter
    copy = replace(authenticator(house), counter=chance.randrange(known))
    return _now(house, copy.sign(house.stated(ANNA, grant(house, CILLA, SCHOOL))))


KINDS: tuple[Forgery, ...] = (
    *(forged, reused, expired, self_made, other_organisation),
    *(out_of_scope, re_ordered, wrong_challenge, wrong_key, counted_back),
)


def test_every_forgery_is_refused() -> None:
    """Each kind has as many new draws; good acts between them show that not everything is refused."""
    house, chance = lived_in(), random.Random(14)
    refused: dict[str, Counter[str]] = {each.__name__: Counter() for each in KINDS}
    for number in range(FORGERIES):
        forge = KINDS[number % len(KINDS)]
        before = house.record.number
        signed, now = forge(house, chance)
        verdict = house.record.judge(signed, now)
        assert verdict not in GOOD, (forge.__name__, signed.statement)
        assert house.record.number == before
        refused[forge.__name__][verdict] += 1
        if number % 100 == 0:
            house.state(ANNA, grant(house, CILLA, SCHOOL))
    assert sum(each.total() for each in refused.values()) == FORGERIES
    found = {reason for each in refused.values() for reason in each}
    assert found >= {
        *(Refusal.OTHER_ORGANISATION, Refusal.EXPIRED, Refusal.OUT_OF_ORDER, Refusal.REPEATED),
        *(Refusal.UNKNOWN_KEY, Refusal.OTHERS_KEY, Refusal.KEY_OVER, Refusal.NAMESPACE, Refusal.CHALLENGE),
        *(Refusal.ORIGIN, Refusal.NOT_VERIFIED, Refusal.COUNTER, Refusal.SIGNATURE, Effect.NO_AUTHORITY),
        *(Effect.SELF, Effect.TAKES_TWO),
    }
    assert set(refused["other_organisation"]) == {Refusal.OTHER_ORGANISATION}
    assert set(refused["counted_back"]) == {Refusal.COUNTER}
    assert set(refused["expired"]) == {Refusal.EXPIRED}
    assert set(refused["re_ordered"]) <= {Refusal.OUT_OF_ORDER, Refusal.EXPIRED}


def test_a_record_is_read_again_from_its_bytes() -> None:
    house = lived_in()
    contents = [each.signed.content for each in house.record.entries]
    again = Record.of(HABO, contents)
    assert [each.effect for each in again.entries] == [each.effect for each in house.record.entries]
    assert again.state.as_of(house.now) == house.record.state.as_of(house.now)
    assert again.keys.all() == house.record.keys.all()
    assert [Signed.parse(each).content for each in contents] == contents


def test_a_page_that_is_read_twice_changes_nothing() -> None:
    """Two requests read the same new statements; the second finds them already there."""
    contents = [each.signed.content for each in founded().record.entries]
    record = Record.of(HABO, contents[:4])
    for _ in range(2):
        for number, content in enumerate(contents[2:7], 3):
            record.accept(content, number)
    assert [each.signed.content for each in record.entries] == contents[:7]
    with pytest.raises(Broken):
        record.accept(contents[2])


@pytest.mark.parametrize("change", ["left out", "swapped", "twice", "changed", "of another"])
def test_a_record_that_was_changed_is_broken_where_it_was(change: str) -> None:
    house = lived_in()
    contents = [each.signed.content for each in house.record.entries]
    place = 7
    if change == "left out":
        del contents[2]  # The request that is approved later.
    elif change == "swapped":
        contents[place], contents[place + 1] = contents[place + 1], contents[place]
    elif change == "twice":
        contents.insert(place, contents[place - 1])
    elif change == "changed":
        contents[place] = contents[place].replace(b"beslut 12", b"beslut 13")
    organisation = "0203:jonkoping.se" if change == "of another" else HABO
    with pytest.raises(Broken) as broken:
        Record.of(organisation, contents)
    assert broken.value.number <= place + 2


def test_a_record_ends_before_what_a_newer_program_stated() -> None:
    house = lived_in()
    contents = [each.signed.content for each in house.record.entries]
    contents.append(contents[-1].replace(rb"\"kind\":\"lose\"", rb"\"kind\":\"loze\""))
    record = Record.of(HABO, contents)
    assert record.not_understood == len(contents)
    assert record.number == len(contents) - 1


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", "character 0"),
        (b"[]", ""),
        (b'{"version":1}', "statement"),
        (b'{"version":2}', "version"),
        (b"{" + b" " * MAX_SIGNED + b"}", ""),
    ],
)
def test_what_is_no_signed_statement_is_refused(content: bytes, field: str) -> None:
    with pytest.raises(StatementError) as refused:
        Signed.parse(content)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b'"key":"', b'"key":"x', "key"),
        (b'"sshsig":"', b'"sshsig":"?', "signature"),
        (b'"sshsig":"', b'"more":"","sshsig":"', "more"),
        (b'"version":1}', b'"version":1,"x":1}', "x"),
    ],
)
def test_a_signed_statement_with_other_members_is_refused(old: bytes, new: bytes, field: str) -> None:
    content = founded().record.entries[0].signed.content
    with pytest.raises(StatementError) as refused:
        Signed.parse(content.replace(old, new))
    assert refused.value.field == field


def test_a_signature_of_a_grant_opens_nothing_else() -> None:
    house = founded()
    signed = house.sign(BO, Ended(subject=CILLA))
    assert namespace(signed.statement) == "samdrift-end"
    assert isinstance(signed.statement, Statement)
    bo = house.signers[BO]
    assert isinstance(bo, Ssh)
    other = bo.sign(signed.statement, "samdrift-grant")
    assert house.record.judge(other, house.now) is Refusal.NAMESPACE


def test_a_second_has_room_for_so_many_and_for_any_number_of_grants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a member could make each reading of the record take minutes, for which everyone waits."""
    monkeypatch.setattr("samdrift.rights.record.MAX_A_SECOND", 3)
    house = lived_in()
    people = [Subject.parse(f"person:p{number}") for number in range(5)]

    def stated(act: Act) -> Effect | Refusal:
        """Make the statement in the current second."""
        signed = house.signers[ANNA].sign(house.stated(ANNA, act))
        verdict = house.record.judge(signed, house.now)
        return house.record.append(signed) if verdict in GOOD else verdict

    house.now += timedelta(minutes=1)
    assert {stated(grant(house, one, SCHOOL)) for one in people} == {Effect.TAKEN}
    assert stated(Ended(subject=people[0])) is Refusal.CROWDED
    house.now += timedelta(seconds=1)
    assert {stated(Ended(subject=one)) for one in people[:3]} == {Effect.TAKEN}
    assert stated(grant(house, CILLA, SCHOOL)) is Refusal.CROWDED
    house.now += timedelta(seconds=1)
    assert stated(Ended(subject=people[3])) is Effect.TAKEN
    assert stated(grant(house, CILLA, SCHOOL)) is Effect.TAKEN


def test_one_states_so_much_about_agreements_in_a_day_and_the_next_day_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each statement makes decisions about cover a little slower; other people and acts are unaffected."""
    monkeypatch.setattr("samdrift.rights.record.MAX_A_DAY", 3)
    house = lived_in()
    for _ in range(3):
        house.state(ANNA, Chosen(AtEnd.STOP))
    assert house.record.judge(house.sign(ANNA, Chosen(AtEnd.CONTINUE)), house.now) is Refusal.TOO_MANY
    house.state(BO, Chosen(AtEnd.CONTINUE))
    house.state(ANNA, grant(house, CILLA, SCHOOL))
    house.now += timedelta(days=1)
    stated = house.sign(ANNA, Chosen(AtEnd.CONTINUE))
    assert house.record.judge(stated, house.now) is Effect.TAKEN
    contents = [each.signed.content for each in house.record.entries]
    monkeypatch.setattr("samdrift.rights.record.MAX_A_DAY", 1)
    assert Record.of(HABO, contents, FOLDS).number == len(contents), "statements in a record must stay valid"
