"""Statements about agreements: round trip, refusal of malformed fields, and authority at the time."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.rights.agreements import (
    Agreed,
    AtEnd,
    Chosen,
    Extended,
    Function,
    NoticeGiven,
    Party,
    PartyKind,
    PartyNamed,
    Released,
)
from samdrift.rights.canonical import encode
from samdrift.rights.fields import Fields, StatementError, Subject
from samdrift.rights.folding import Effect
from samdrift.rights.folds import read_record
from samdrift.rights.statements import Approved, Ended, Objected, Statement
from tests.unit.rights.agreementbuilding import (
    CHAIN,
    HOST,
    OPERATOR,
    STAFF,
    STORE,
    TOWN,
    Book,
    agreed,
    named,
    number,
)
from tests.unit.rights.building import ANNA, BO, DAG, DAY, HABO, at, stated
from tests.unit.rights.signers import founded

AGREEMENT = stated(ANNA, 1, agreed(duties=["sdk-nyckel", "sdk-sep"]))
PARTY = stated(ANNA, 1, named(TOWN, HABO))
NOTICE = stated(
    ANNA,
    1,
    NoticeGiven(AGREEMENT.digest, HOST, frozenset({Function.HOSTING}), ("FI", "SE"), at(800), at(900)),
)
ALL = [
    AGREEMENT,
    PARTY,
    NOTICE,
    stated(ANNA, 1, named(HOST)),
    stated(ANNA, 1, PartyNamed(Party("SE", number(1), "it"), "It-nämnden", PartyKind.JOINT_BOARD)),
    stated(ANNA, 1, Extended(AGREEMENT.digest, at(900))),
    stated(ANNA, 1, Released("sdk-sep", "sdk/2027.03")),
    stated(ANNA, 1, Chosen(AtEnd.CONTINUE)),
]


@pytest.mark.parametrize("statement", ALL, ids=lambda each: type(each.act).__name__)
def test_a_statement_about_agreements_survives_its_bytes(statement: Statement) -> None:
    read = Statement.parse(statement.content)
    assert read == statement
    assert (read.content, read.digest) == (statement.content, statement.digest)


def changed(statement: Statement, **fields: Any) -> bytes:
    """Return the canonical bytes with some fields changed; ``None`` removes one."""
    was = json.loads(statement.content) | {name.rstrip("_"): value for name, value in fields.items()}
    return encode({name: value for name, value in was.items() if value is not None})


def _but(**fields: Any) -> bytes:
    return changed(AGREEMENT, **fields)


_SIGNED = json.loads(AGREEMENT.content)["signatories"]
_DUTIES = json.loads(AGREEMENT.content)["duties"]


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("note", _but(note="x")),
        ("version", _but(version=2)),
        ("form", _but(form="handshake")),
        ("form", _but(form="internal")),
        ("form", _but(performer=f"{TOWN}#it", signatories=_SIGNED)),
        ("principal", _but(principal="SE:212000-0143")),
        ("principal", _but(principal="SE:811228-9874")),
        ("principal", _but(principal="2120001234")),
        ("performer", _but(performer=str(TOWN))),
        ("performer", _but(performer=None)),
        ("functions", _but(functions=[])),
        ("functions", _but(functions=["mt", "ap"])),
        ("functions", _but(functions=["ap", "ap"])),
        ("functions", _but(functions=["telephony"])),
        ("for", _but(for_=[])),
        ("for", _but(for_=["habo"])),
        ("for", _but(for_="0203:habo.se")),
        ("from", _but(from_="2026-03-02")),
        ("from", _but(from_="2026-03-02T00:00:00")),
        ("until", _but(until="2026-03-02T00:00:00Z")),
        ("until", _but(until="2026-03-01T00:00:00Z")),
        ("until", _but(until="2036-03-11T00:00:00Z")),
        ("notice", _but(notice=-1)),
        ("notice", _but(notice=True)),
        ("notice", _but(notice=4000)),
        ("document", _but(document="D" * 64)),
        ("document", _but(document="d" * 63)),
        ("document", _but(document=None)),
        ("signatories", _but(signatories=[])),
        ("signatories", _but(signatories=_SIGNED[:1])),
        ("signatories", _but(signatories=list(reversed(_SIGNED)))),
        ("signatories[0].name", _but(signatories=[{"party": str(TOWN)}, _SIGNED[1]])),
        ("signatories[0].role", _but(signatories=[_SIGNED[0] | {"role": "x"}, _SIGNED[1]])),
        ("signatories[1]", _but(signatories=[_SIGNED[0], "x"])),
        ("countries", _but(countries=[])),
        ("countries", _but(countries=["Sweden"])),
        ("secrecy", _but(secrecy=["promise"])),
        ("secrecy", _but(secrecy=[])),
        ("duties", _but(duties=list(reversed(_DUTIES)))),
        ("duties", _but(duties=[_DUTIES[0], _DUTIES[0]])),
        ("duties", _but(duties=[_DUTIES[0], _DUTIES[0] | {"clause": "5"}])),
        ("duties[0].clause", _but(duties=[{"duty": "sdk-sep"}])),
        ("duties[0].clause", _but(duties=[{"duty": "sdk-sep", "clause": ""}])),
        ("duties[0].duty", _but(duties=[{"duty": "SDK sep", "clause": "1"}])),
        ("form", _but(form="inherited", until="2026-05-01T00:00:00Z", signatories=[], duties=[])),
        ("party", changed(PARTY, party="SE:212000-00")),
        ("party", changed(PARTY, form="joint-board")),
        ("form", changed(PARTY, form="club")),
        ("name", changed(PARTY, name=" Habo")),
        ("participant", changed(PARTY, participant="habo.se")),
        ("window", changed(NOTICE, window="2026-03-02T01:00:00Z")),
        ("from", changed(NOTICE, from_="2026-03-30T00:00:00Z")),
        ("of", changed(NOTICE, of="x")),
        ("until", changed(ALL[5], until="2026-03-02T01:00:00Z")),
        ("duty", changed(ALL[6], duty="")),
        ("sending", changed(ALL[7], sending="perhaps")),
    ],
)
def test_a_malformed_statement_about_agreements_is_refused_with_the_field(field: str, content: bytes) -> None:
    with pytest.raises(StatementError) as refused:
        Statement.parse(content)
    assert refused.value.field == field


@pytest.mark.parametrize("name", ["Ha\u202ebo", "Ha\u0000bo", "Ha\u200bbo"])
def test_a_name_with_control_or_direction_characters_is_refused_with_the_field(name: str) -> None:
    fields = json.loads(PARTY.content) | {"name": name}
    content = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with pytest.raises(StatementError) as refused:
        Statement.parse(content)
    assert refused.value.field == "name"


@given(st.sampled_from(ALL), st.data())
def test_any_bytes_are_read_or_refused(statement: Statement, data: st.DataObject) -> None:
    content = bytearray(statement.content)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        if not content:
            return
    try:
        read = Statement.parse(bytes(content))
    except StatementError:
        return
    assert read.content == bytes(content)


def test_the_terms_are_the_same_for_all_that_countersign_and_for_no_other_agreement() -> None:
    joint = agreed(organisations=(HABO, "0203:mullsjo.se"))
    ours, theirs = stated(ANNA, 1, joint), stated(DAG, 2, joint, organisation="0203:mullsjo.se")
    assert ours.digest != theirs.digest
    assert ours.act.terms == theirs.act.terms == joint.terms  # type: ignore[union-attr]
    assert agreed().terms != joint.terms


@pytest.mark.parametrize(
    "text", ["SE:212000-0142", "SE:556036-0793", "FI:0109862-8", "SE:212000-0142#it-namnd"]
)
def test_numbers_of_legal_persons_are_read(text: str) -> None:
    assert str(Party.parse(text)) == text


def test_an_agreement_counts_once_an_officer_who_did_not_enter_it_has_countersigned() -> None:
    book = Book(*CHAIN)
    entered = book.state(STAFF, agreed(), Effect.WAITING)
    assert book.agreements.at(at(10)).agreements == ()
    assert [each for each, _ in book.agreements.at(at(10)).waiting] == [entered.digest]
    book.approve(entered, STAFF, Effect.SELF)
    by_anna = book.state(Subject.parse("operator:Anna"), agreed(TOWN, HOST), Effect.WAITING)
    book.approve(by_anna, ANNA, Effect.SELF)
    book.approve(entered, BO, Effect.NO_AUTHORITY)
    signed = book.approve(entered, ANNA)
    book.approve(entered, DAG, Effect.OVER)
    (found,) = book.agreements.at(at(10)).agreements
    assert (found.digest, found.since) == (entered.digest, signed.at)
    assert not found.covers(signed.at - timedelta(seconds=1)), (
        "an agreement must not cover before it is countersigned"
    )
    assert found.covers(signed.at)
    assert book.agreements.at(signed.at - timedelta(seconds=1)).agreements == ()
    by_officer = book.state(ANNA, agreed(TOWN, HOST), Effect.WAITING)
    book.approve(by_officer, ANNA, Effect.SELF)
    book.approve(by_officer, DAG)


def test_others_enter_nothing_and_an_agreement_of_others_is_refused() -> None:
    book = Book(*CHAIN)
    book.state(BO, agreed(), Effect.NO_AUTHORITY)
    book.state(BO, named(TOWN), Effect.NO_AUTHORITY)
    book.state(STAFF, agreed(organisations=("0203:mullsjo.se",)), Effect.OTHER_ORGANISATION)
    book.state(STAFF, agreed(TOWN, Party("SE", number(77))), Effect.NAMES_NOTHING)
    book.state(STAFF, Chosen(AtEnd.CONTINUE), Effect.NO_AUTHORITY)
    assert book.agreements.at(at(10)).waiting == ()


def test_what_the_operator_says_of_a_party_counts_once_an_officer_has_approved_it() -> None:
    book = Book()
    entered = book.state(STAFF, named(TOWN, HABO), Effect.WAITING)
    assert book.agreements.at(at(10)).own is None
    book.approve(entered, DAG)
    assert book.agreements.at(at(10)).own == TOWN


def test_an_officer_ends_an_agreement_and_the_past_stays_as_it_was() -> None:
    book = Book(*CHAIN)
    entered = book.enter(agreed())
    book.end(entered, BO, Effect.NO_AUTHORITY)
    book.end(entered, STAFF, Effect.NO_AUTHORITY)
    end = book.end(entered, DAG)
    book.end(entered, DAG, Effect.OVER)
    before, after = (book.agreements.at(end.at - timedelta(seconds=late)) for late in (1, 0))
    assert before.agreements[0].covers(before.moment)
    assert not after.agreements[0].covers(after.moment)
    book.state(ANNA, Extended(entered.digest, at(30 * 24)), Effect.OVER)


def test_who_entered_an_agreement_takes_it_back_while_nobody_has_countersigned() -> None:
    book = Book(*CHAIN)
    entered = book.state(STAFF, agreed(), Effect.WAITING)
    book.end(entered, STAFF)
    book.approve(entered, ANNA, Effect.OVER)
    assert book.agreements.at(at(10)).waiting == ()


def test_two_officers_extend_by_a_fixed_time_and_one_does_not() -> None:
    book = Book(*CHAIN)
    entered = book.enter(agreed(end=DAY + timedelta(days=30)))
    book.state(ANNA, Extended(entered.digest, DAY + timedelta(days=121)), Effect.TOO_LONG)
    book.state(STAFF, Extended(entered.digest, DAY + timedelta(days=60)), Effect.NO_AUTHORITY)
    book.state(ANNA, Extended("e" * 64, DAY + timedelta(days=60)), Effect.NAMES_NOTHING)
    asked = book.state(ANNA, Extended(entered.digest, DAY + timedelta(days=60)), Effect.WAITING)
    late = DAY + timedelta(days=45)
    assert not book.agreements.at(late).agreements[0].covers(late)
    book.approve(asked, ANNA, Effect.SELF)
    book.approve(asked, STAFF, Effect.NO_AUTHORITY)
    book.approve(asked, DAG)
    (found,) = book.agreements.at(late).agreements
    assert found.covers(late)
    assert found.extended
    assert not found.covers(DAY + timedelta(days=60))


def test_a_sub_supplier_can_be_objected_to_until_the_window_closes() -> None:
    book = Book(*CHAIN)
    entered = book.enter(agreed())
    notice = NoticeGiven(entered.digest, HOST, frozenset({Function.HOSTING}), ("SE",), at(100), at(200))
    book.state(
        STAFF, NoticeGiven("e" * 64, HOST, notice.functions, ("SE",), at(100), at(200)), Effect.NAMES_NOTHING
    )
    book.state(BO, notice, Effect.NO_AUTHORITY)
    given_ = book.state(STAFF, notice)
    book.state(STAFF, Objected(given_.digest), Effect.NO_AUTHORITY)
    objection = book.state(DAG, Objected(given_.digest))
    assert [each.objected for each in book.agreements.at(at(150)).notices] == [True]
    lifted = book.end(objection, ANNA)
    assert [each.objected for each in book.agreements.at(lifted.at).notices] == [False]
    before = lifted.at - timedelta(seconds=1)
    assert [each.objected for each in book.agreements.at(before).notices] == [True]
    book.state(DAG, Objected(given_.digest), Effect.OVER, hour=100)


def test_a_duty_is_let_go_by_two_officers() -> None:
    book = Book()
    book.state(STAFF, Released("sdk-sep", "sdk/2027.03"), Effect.NO_AUTHORITY)
    asked = book.state(ANNA, Released("sdk-sep", "sdk/2027.03"), Effect.WAITING)
    assert book.agreements.at(at(10)).released == frozenset()
    book.approve(asked, ANNA, Effect.SELF)
    book.approve(asked, DAG)
    assert book.agreements.at(at(10)).released == {"sdk-sep"}


def test_the_choice_that_counts_is_the_last_one_before() -> None:
    book = Book()
    assert book.agreements.at(at(10)).chosen(at(10)) is AtEnd.STOP
    book.state(ANNA, Chosen(AtEnd.CONTINUE), hour=5)
    book.state(ANNA, Chosen(AtEnd.STOP), hour=8)
    register = book.agreements.at(at(10))
    assert [register.chosen(at(hour)) for hour in (4, 5, 7.9, 8)] == [
        AtEnd.STOP,
        AtEnd.CONTINUE,
        AtEnd.CONTINUE,
        AtEnd.STOP,
    ]


def test_the_register_of_a_moment_is_the_same_whatever_is_stated_later() -> None:
    book = Book(*CHAIN)
    entered = book.enter(agreed())
    moment = book.statement(ANNA, Chosen(AtEnd.STOP)).at
    before = book.agreements.at(moment)
    book.state(ANNA, named(TOWN, "0203:annan.se"))
    book.enter(agreed(OPERATOR, STORE))
    book.state(ANNA, Chosen(AtEnd.CONTINUE))
    book.end(entered)
    assert book.agreements.at(moment) == before


def test_agreements_are_folded_from_a_signed_record() -> None:
    """An officer enters one and another countersigns it with their own key, and the record verifies it."""
    house = founded()
    contents = [each.signed.content for each in house.record.entries]
    house.record, agreements = read_record(HABO, contents)
    for each in (named(TOWN, HABO), named(OPERATOR)):
        house.state(ANNA, each)
    entered = house.state(ANNA, agreed(duties=["sdk-sep"]))
    alone = house.sign(ANNA, Approved(entered.digest))
    assert house.record.append(alone) is Effect.SELF
    house.state(BO, Approved(entered.digest))
    assert [each.digest for each in agreements.at(house.now).agreements] == [entered.digest]
    later = house.state(ANNA, Ended(of=entered.digest))
    assert not agreements.at(later.at).agreements[0].covers(later.at)
    read, again = read_record(HABO, [entry.signed.content for entry in house.record.entries])
    assert read.number == house.record.number
    assert again.at(house.now) == agreements.at(house.now)


def test_the_agreement_that_the_page_shows_can_be_entered() -> None:
    page = (Path(__file__).parents[3] / "docs" / "agreements.md").read_text()
    fields = Fields(json.loads(page.partition("```json\n")[2].partition("```")[0]))
    read = Agreed.read(fields, at(1))
    fields.end()
    assert Statement.parse(stated(ANNA, 1, read).content).act == read
