"""Custodians and their requests: two different persons agree, each by passphrase, to the same words, once."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samdrift.keystore.custody import (
    FOLDER,
    Custodian,
    Custodians,
    CustodyError,
    CustodyFault,
    TwoPersons,
)
from samdrift.keystore.requests import LASTS, Matter, Requests
from samdrift.keystore.wrapping import ScryptCost

CHEAP = ScryptCost(n=1 << 4, r=1, p=1)
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CLOSE = Matter("org close", "0203:habo.se", "destroy the keys of 0203:habo.se")
WORDS = {"anna": b"a long row of words", "bo": b"quite another row", "cecilia": b"and yet another one"}


@pytest.fixture
def custodians(tmp_path: Path) -> Custodians:
    found = Custodians(tmp_path, cost=CHEAP)
    for name, passphrase in WORDS.items():
        found.add(name, passphrase)
    return found


@pytest.fixture
def requests(tmp_path: Path, custodians: Custodians) -> Requests:
    return Requests(tmp_path, custodians)


def person(custodians: Custodians, name: str) -> Custodian:
    return custodians.prove(name, WORDS[name])


def test_a_custodian_is_known_by_name_and_passphrase(custodians: Custodians) -> None:
    assert custodians.names() == ("anna", "bo", "cecilia")
    assert person(custodians, "anna").name == "anna"
    for name, passphrase, fault in [
        ("anna", WORDS["bo"], CustodyFault.PASSPHRASE),
        ("anna", b"", CustodyFault.PASSPHRASE),
        ("david", WORDS["anna"], CustodyFault.UNKNOWN),
        ("../anna", WORDS["anna"], CustodyFault.UNKNOWN),
    ]:
        with pytest.raises(CustodyError) as caught:
            custodians.prove(name, passphrase)
        assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("name", "passphrase", "fault"),
    [
        ("Anna Berg", b"a long row of words", CustodyFault.BAD_NAME),
        ("../root", b"a long row of words", CustodyFault.BAD_NAME),
        ("anna", b"a long row of words", CustodyFault.EXISTS),
        ("david", b"eleven char", CustodyFault.WEAK),
    ],
)
def test_a_custodian_that_cannot_be_is_refused(
    custodians: Custodians, name: str, passphrase: bytes, fault: CustodyFault
) -> None:
    with pytest.raises(CustodyError) as caught:
        custodians.add(name, passphrase)
    assert caught.value.fault is fault
    assert custodians.names() == ("anna", "bo", "cecilia")


def test_nothing_of_a_passphrase_is_kept(custodians: Custodians, tmp_path: Path) -> None:
    for file in (tmp_path / FOLDER).iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert not any(words in file.read_bytes() for words in WORDS.values())


def test_two_custodians_always_remain(custodians: Custodians) -> None:
    custodians.remove("anna")
    with pytest.raises(CustodyError) as caught:
        custodians.remove("bo")
    assert caught.value.fault is CustodyFault.TOO_FEW
    assert custodians.names() == ("bo", "cecilia")


def test_a_damaged_file_is_told_and_proves_nobody(custodians: Custodians, tmp_path: Path) -> None:
    (tmp_path / FOLDER / "anna.json").write_text("{")
    with pytest.raises(CustodyError) as caught:
        custodians.prove("anna", WORDS["anna"])
    assert caught.value.fault is CustodyFault.DAMAGED


def test_what_one_asks_for_and_another_approves_is_taken_once(
    custodians: Custodians, requests: Requests
) -> None:
    anna, bo = person(custodians, "anna"), person(custodians, "bo")
    request = requests.ask(CLOSE, anna, NOW)
    assert requests.take(CLOSE, anna, NOW) is None
    assert requests.approve(request.id, bo, NOW).approved_by == "bo"
    assert requests.take(CLOSE, anna, NOW) == TwoPersons("anna", "bo")
    assert requests.take(CLOSE, anna, NOW) is None
    with pytest.raises(CustodyError) as caught:
        requests.approve(request.id, bo, NOW)
    assert caught.value.fault is CustodyFault.NO_REQUEST


def test_nobody_approves_what_he_or_she_asked_for(custodians: Custodians, requests: Requests) -> None:
    anna = person(custodians, "anna")
    request = requests.ask(CLOSE, anna, NOW)
    with pytest.raises(CustodyError) as caught:
        requests.approve(request.id, anna, NOW)
    assert caught.value.fault is CustodyFault.SAME_PERSON
    assert requests.take(CLOSE, anna, NOW) is None


def test_an_approval_is_for_the_person_who_asked_and_for_these_words_alone(
    custodians: Custodians, requests: Requests
) -> None:
    anna, bo = person(custodians, "anna"), person(custodians, "bo")
    requests.approve(requests.ask(CLOSE, anna, NOW).id, bo, NOW)
    for other in (
        replace(CLOSE, action="org export"),
        replace(CLOSE, organisation="0203:mullsjo.se"),
        replace(CLOSE, text="something else"),
    ):
        assert requests.take(other, anna, NOW) is None
    assert requests.take(CLOSE, person(custodians, "cecilia"), NOW) is None
    assert requests.take(CLOSE, bo, NOW) is None


def test_a_request_expires_and_is_removed(custodians: Custodians, requests: Requests, tmp_path: Path) -> None:
    anna, later = person(custodians, "anna"), NOW + LASTS
    request = requests.ask(CLOSE, anna, NOW)
    requests.approve(request.id, person(custodians, "bo"), NOW)
    assert requests.take(CLOSE, anna, later) is None
    assert list((tmp_path / FOLDER / "requests").iterdir()) == []


def test_asking_again_is_the_same_request(custodians: Custodians, requests: Requests) -> None:
    anna = person(custodians, "anna")
    first = requests.ask(CLOSE, anna, NOW)
    assert requests.ask(CLOSE, anna, NOW + timedelta(hours=1)) == first
    assert requests.open(NOW) == (first,)


def test_what_was_not_signed_by_its_person_is_nothing(
    custodians: Custodians, requests: Requests, tmp_path: Path
) -> None:
    """As somebody could write it who can write in the folder, and is no custodian."""
    anna, folder = person(custodians, "anna"), tmp_path / FOLDER / "requests"
    request = requests.ask(CLOSE, anna, NOW)
    forged = ["bo", anna.key.sign(b"approved " + request.content()).hex()]
    (folder / f"{request.id}.approved").write_text(json.dumps(forged))
    assert requests.take(CLOSE, anna, NOW) is None
    file = folder / f"{request.id}.request"
    file.write_text(file.read_text().replace("destroy", "look at"))
    assert requests.open(NOW) == ()


def test_the_approval_of_one_who_is_a_custodian_no_more_counts_no_more(
    custodians: Custodians, requests: Requests
) -> None:
    anna = person(custodians, "anna")
    requests.approve(requests.ask(CLOSE, anna, NOW).id, person(custodians, "bo"), NOW)
    custodians.remove("bo")
    assert requests.take(CLOSE, anna, NOW) is None
