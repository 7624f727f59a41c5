"""The form of statements: valid ones survive a round trip, malformed ones are refused with the field."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.rights import (
    ORGANISATION,
    Given,
    NotUnderstood,
    Outcome,
    Right,
    Scope,
    Statement,
    StatementError,
    Subject,
    Substitution,
)
from samdrift.rights.canonical import encode
from tests.unit.rights.building import (
    ANNA,
    BO,
    CILLA,
    GROUP,
    KARIN,
    ROBOT,
    SCHOOL,
    approve,
    ask,
    at,
    end,
    grant,
    objection,
    review,
    rights,
)

GRANT = grant(ANNA, 1, rights(BO, SCHOOL, Right.READ, Right.WRITE))
ALL = [
    GRANT,
    grant(ANNA, 1, rights(ROBOT, SCHOOL, Right.READ)),
    grant(ANNA, 1, rights(GROUP, SCHOOL, Right.READ)),
    grant(ANNA, 1, Substitution(BO, SCHOOL, CILLA)),
    ask(KARIN, 1, rights(ANNA, ORGANISATION, Right.ADMINISTRATOR)),
    approve(BO, 2, GRANT),
    review(BO, 2, GRANT, Outcome.KEEP),
    objection(BO, 2, GRANT),
    end(BO, 2, GRANT),
    end(BO, 2, CILLA),
]


@pytest.mark.parametrize("statement", ALL, ids=lambda each: type(each.act).__name__)
def test_a_statement_survives_its_bytes(statement: Statement) -> None:
    read = Statement.parse(statement.content)
    assert read == statement
    assert (read.content, read.digest) == (statement.content, statement.digest)


def test_the_bytes_of_a_grant_are_these() -> None:
    """The bytes never change, because a digest of today is asked for in ten years."""
    assert GRANT.content.decode() == (
        '{"at":"2026-03-02T01:00:00Z","by":"person:anna","from":"2026-03-02T01:00:00Z","kind":"grant",'
        '"organisation":"0203:habo.se","rights":["read","write"],"scope":"mailbox:school","to":"person:bo",'
        '"until":"2026-04-12T16:00:00Z","version":1,"why":"beslut 12"}'
    )
    assert GRANT.digest == "e7afda56a903c8c43d86d8d26e7f103058469b1bdbd8db7ceb38394e8d70429e"


def changed(statement: Statement = GRANT, **fields: Any) -> bytes:
    """Return the canonical bytes with some fields changed; ``None`` removes one."""
    was = json.loads(statement.content) | {name.rstrip("_"): value for name, value in fields.items()}
    return encode({name: value for name, value in was.items() if value is not None})


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("version", changed(version=None)),
        ("version", changed(version=2)),
        ("version", changed(version=True)),
        ("version", changed(version="1")),
        ("kind", changed(kind=None)),
        ("kind", changed(kind="no such kind")),
        ("kind", changed(kind=["grant"])),
        ("note", changed(note="x")),
        ("of", changed(of=GRANT.digest)),
        ("organisation", changed(organisation="")),
        ("organisation", changed(organisation="x" * 257)),
        ("organisation", changed(organisation=7)),
        ("by", changed(by="anna")),
        ("by", changed(by="person:")),
        ("by", changed(by="person:an na")),
        ("by", changed(by="director:anna")),
        ("by", changed(by="person:" + "x" * 257)),
        ("by", changed(by=str(GROUP))),
        ("to", changed(to="custodian")),
        ("to", changed(to=None)),
        ("at", changed(at="2026-03-02T01:00:00")),
        ("at", changed(at="2026-03-02T01:00:00+01:00")),
        ("at", changed(at="2026-03-02 01:00:00Z")),
        ("at", changed(at="2026-02-30T01:00:00Z")),
        ("at", changed(at="٢٠٢٦-03-02T01:00:00Z")),
        ("at", changed(at=1)),
        ("from", changed(from_="2026-03-02T00:59:59Z")),
        ("until", changed(until="2026-03-02T01:00:00Z")),
        ("until", changed(until="2026-03-01T01:00:00Z")),
        ("until", changed(until="2027-03-04T01:00:00Z")),
        ("until", changed(until=None)),
        ("why", changed(why="")),
        ("why", changed(why=" x")),
        ("why", changed(why="x" * 501)),
        ("why", changed(why=None)),
        ("rights", changed(rights=[])),
        ("rights", changed(rights="read")),
        ("rights", changed(rights=["write", "read"])),
        ("rights", changed(rights=["read", "read"])),
        ("rights", changed(rights=["own"])),
        ("rights", changed(rights=[1])),
        ("rights", changed(rights=["administrator"])),
        ("rights", changed(rights=["administrator", "read"])),
        ("rights", changed(scope="organisation")),
        ("rights", changed(scope="organisation", rights=["administrator", "security-officer"])),
        ("rights", changed(scope="organisation", rights=["administrator", "read"])),
        ("rights", changed(to=str(ROBOT), rights=["manage"])),
        ("rights", changed(to=str(GROUP), scope="organisation", rights=["administrator"])),
        ("rights", changed(to=str(KARIN), rights=["read"])),
        ("rights", changed(to="operator:anna", rights=["read"])),
        ("scope", changed(scope="mailbox:")),
        ("scope", changed(scope="mailbox:a b")),
        ("scope", changed(scope="all")),
        ("rights", changed(for_=str(CILLA))),
        ("for", changed(for_=str(BO), rights=None)),
        ("for", changed(for_=str(ROBOT), rights=None)),
        ("for", changed(for_=str(CILLA), to=str(GROUP), rights=None)),
        ("of", changed(approve(BO, 2, GRANT), of="A" * 64)),
        ("of", changed(approve(BO, 2, GRANT), of="a" * 63)),
        ("outcome", changed(review(BO, 2, GRANT, Outcome.KEEP), outcome="perhaps")),
        ("outcome", changed(review(BO, 2, GRANT, Outcome.KEEP), outcome=["keep"])),
        ("of", changed(end(BO, 2, CILLA), of=GRANT.digest)),
        ("of", changed(end(BO, 2, CILLA), to=None)),
        ("", b"[]"),
        ("", b'"grant"'),
        ("a", b'{"a":1,"a":1}'),
    ],
)
def test_a_malformed_statement_is_refused_with_the_field(field: str, content: bytes) -> None:
    with pytest.raises(StatementError) as refused:
        Statement.parse(content)
    assert refused.value.field == field


def test_another_version_or_kind_is_not_understood_rather_than_malformed() -> None:
    for content in (changed(version=2), changed(kind="no such kind")):
        with pytest.raises(NotUnderstood):
            Statement.parse(content)


@pytest.mark.parametrize(
    "statement",
    [
        replace(GRANT, why=""),
        replace(GRANT, why="a\u202eb"),
        replace(GRANT, at=at(1).replace(tzinfo=None)),
        replace(GRANT, at=at(1) + timedelta(microseconds=1)),
        replace(GRANT, at=at(2)),
        replace(GRANT, organisation="x" * 300),
        replace(GRANT, act=Given(rights(BO, Scope("a b"), Right.READ), at(1), at(2), False)),
        replace(GRANT, act=Given(rights(BO, SCHOOL), at(1), at(2), False)),
    ],
)
def test_a_statement_that_could_not_be_read_again_is_not_written(statement: Statement) -> None:
    with pytest.raises(StatementError):
        _ = statement.digest


@given(st.sampled_from(ALL), st.data())
def test_any_bytes_are_read_or_refused_and_what_is_read_has_those_bytes(
    statement: Statement, data: st.DataObject
) -> None:
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


def test_the_subject_of_a_claim_is_told_from_every_other() -> None:
    """An issuer cannot name its claims so that they pass for another issuer's."""
    assert Subject.claim("https://a", "groups", "x=y").id == "https://a#groups=x=y"
    for issuer, name in (("https://a#groups", "g"), ("https://a", "g#x"), ("https://a", "g=x")):
        with pytest.raises(ValueError, match="an issuer has no #"):
            Subject.claim(issuer, name, "x")
    assert Subject.parse(str(GROUP)) == GROUP
