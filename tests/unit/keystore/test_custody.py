"""Custodians and their requests: two different people agree, by passphrase, to the same words, once."""

from __future__ import annotations

import json
import os
import select
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samdrift.keystore.custody import (
    FOLDER,
    LASTS,
    NEEDED,
    Custodian,
    Custodians,
    CustodyError,
    CustodyFault,
    TwoPersons,
    read_small,
    weakness,
)
from samdrift.keystore.requests import Matter, Request, Requests
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
    """A forger may be able to write in the folder, without being a custodian."""
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


_REMOVES = """
import sys
from pathlib import Path
from samdrift.keystore.custody import Custodians, CustodyError
for line in sys.stdin:
    store, name = line.split()
    try:
        Custodians(Path(store)).remove(name)
    except CustodyError:
        pass
    print("done", flush=True)
"""


def test_two_processes_that_remove_at_once_leave_two(tmp_path: Path) -> None:
    """Simultaneous removals left fewer than two in 19 of 300 runs."""
    command = [sys.executable, "-c", _REMOVES]
    removers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    try:
        for number in range(150):
            store = tmp_path / str(number)
            for name, passphrase in WORDS.items():
                Custodians(store, cost=CHEAP).add(name, passphrase)
            for remover, name in zip(removers, ("anna", "bo"), strict=True):
                assert remover.stdin is not None
                remover.stdin.write(f"{store} {name}\n")
            for remover in removers:
                assert remover.stdin is not None
                remover.stdin.flush()
            for remover in removers:
                assert remover.stdout is not None
                assert remover.stdout.readline() == "done\n"
            assert len(Custodians(store).names()) == NEEDED, f"in store {number}"
    finally:
        for remover in removers:
            remover.kill()
            remover.communicate()


def test_a_removal_waits_while_another_one_is_judged(custodians: Custodians, tmp_path: Path) -> None:
    """The first removal may take any time to be judged."""
    with subprocess.Popen(
        [sys.executable, "-c", _REMOVES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        with custodians.writing():
            custodians.require_removable("bo")
            other.stdin.write(f"{tmp_path} anna\n")
            other.stdin.flush()
            assert not select.select([other.stdout], [], [], 1)[0], "the other removal did not wait"
            custodians.dismiss("bo")
        assert other.communicate(timeout=60)[0] == "done\n"
    assert custodians.names() == ("anna", "cecilia")


def test_a_damaged_custodian_is_not_one_of_the_two_who_remain(custodians: Custodians, tmp_path: Path) -> None:
    (tmp_path / FOLDER / "cecilia.json").write_text("{")
    with pytest.raises(CustodyError) as caught:
        custodians.remove("anna")
    assert caught.value.fault is CustodyFault.TOO_FEW
    assert (custodians.able(), custodians.damaged()) == (("anna", "bo"), ("cecilia",))
    custodians.remove("cecilia")


_REPEATING = (
    "aaaaaaaaaaaaaaaa",
    "abcabcabcabcabc",
    "hej hej hej hej",
    "abcdefghijklmnop",
    "1234567890123456",
    "qwertyuiopasdfgh",
    "1111222233334444",
)
_OBVIOUS = (
    "password password!",
    "P@ssw0rd2026!!",
    "hemligt och hemligt",
    "sommar2026vinter",
    "correct horse battery staple",
    "lösenord-losenord",
    "david-2026-david",
    "D4v1d d4v1d is d4v1d",
)


@pytest.mark.parametrize("passphrase", [*_REPEATING, *_OBVIOUS])
def test_a_passphrase_that_everybody_would_try_is_refused_with_the_reason(
    custodians: Custodians, passphrase: str
) -> None:
    with pytest.raises(CustodyError) as caught:
        custodians.add("david", passphrase.encode())
    assert caught.value.fault is CustodyFault.WEAK
    assert passphrase.casefold() not in caught.value.text.casefold()
    repeats = passphrase in _REPEATING
    assert ("repeats itself" in caught.value.text, "words or names" in caught.value.text) == (
        repeats,
        not repeats,
    )


@pytest.mark.parametrize(
    "passphrase",
    ["förråd krita blåklint", "7f3k-9x2m-4q8z", "the long passphrase of bo", "Vi ses vid kajen 7"],
)
def test_a_sentence_of_ones_own_is_taken(custodians: Custodians, passphrase: str) -> None:
    custodians.add("david", passphrase.encode())
    assert custodians.prove("david", passphrase.encode()).name == "david"


@pytest.mark.usefixtures("product_keys")
def test_a_new_key_costs_more_and_an_old_one_keeps_its_own(custodians: Custodians, tmp_path: Path) -> None:
    """Keys cost at least 128 MiB and two passes, and those of an earlier version still open."""
    new = Custodians(tmp_path)
    new.add("david", b"yet another long row")
    cost = json.loads((tmp_path / FOLDER / "david.json").read_text())
    assert 128 * cost["n"] * cost["r"] >= 128 << 20
    assert cost["n"] * cost["r"] * cost["p"] > 2 * ScryptCost().n * ScryptCost().r * ScryptCost().p
    assert new.prove("anna", WORDS["anna"]).name == "anna"


def test_a_file_that_asks_for_a_cost_that_nobody_can_pay_is_damaged(
    custodians: Custodians, tmp_path: Path
) -> None:
    file = tmp_path / FOLDER / "anna.json"
    for change in ({"n": 1 << 40}, {"r": 1 << 30}, {"p": 1 << 30}, {"n": 0}, {"n": 1000}):
        parts = json.loads(file.read_text())
        file.write_text(json.dumps(parts | change))
        with pytest.raises(CustodyError) as caught:
            custodians.prove("anna", WORDS["anna"])
        assert caught.value.fault is CustodyFault.DAMAGED
        file.write_text(json.dumps(parts))
    custodians.prove("anna", WORDS["anna"])


def test_a_key_waits_for_a_day_and_is_a_custodians_afterwards(custodians: Custodians) -> None:
    key = custodians.new_key("david", b"yet another long row")
    assert custodians.waiting("david", NOW) is None
    custodians.wait(key, NOW)
    assert custodians.waiting("david", NOW) == key
    assert custodians.waiting("david", NOW + LASTS) is None
    assert custodians.waiting("david", NOW - timedelta(seconds=1)) is None, (
        "a key dated in the future must not wait"
    )
    assert "david" not in custodians.names()
    with custodians.writing():
        custodians.admit(key)
    assert custodians.prove("david", b"yet another long row").name == "david"
    assert custodians.waiting("david", NOW) is None


def test_another_custodians_key_makes_no_second_person(custodians: Custodians) -> None:
    """A writer in the folder copies the file of bo as the key of david, and bo would count twice."""
    with pytest.raises(CustodyError) as caught, custodians.writing():
        custodians.admit(replace(custodians.key("bo"), name="david"))
    assert caught.value.fault is CustodyFault.SAME_PERSON


def signed_by(custodians: Custodians, name: str, request: Request, folder: Path) -> Path:
    """Write a request that its custodian has signed without the command, in a file of its own."""
    matter = request.matter
    document = [request.id, matter.action, matter.organisation, matter.text, name, request.at.isoformat()]
    signature = person(custodians, name).key.sign(request.content()).hex()
    file = folder / f"{request.id}.request"
    file.write_text(json.dumps([*document, signature]))
    return file


@pytest.mark.parametrize(
    "at",
    [
        NOW + timedelta(seconds=1),
        NOW + timedelta(days=400),
        datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
        NOW - LASTS,
        NOW - timedelta(days=400),
    ],
    ids=str,
)
def test_a_request_from_the_future_or_older_than_a_day_is_none(
    custodians: Custodians, requests: Requests, tmp_path: Path, at: datetime
) -> None:
    """A custodian could sign a request with a chosen date, so that it lasts for years."""
    anna, folder = person(custodians, "anna"), tmp_path / FOLDER / "requests"
    asked = requests.ask(CLOSE, anna, NOW)
    signed_by(custodians, "anna", Request("0badcafe", CLOSE, "anna", at), folder)
    assert requests.open(NOW) == (asked,)
    with pytest.raises(CustodyError) as caught:
        requests.approve("0badcafe", person(custodians, "bo"), NOW)
    assert caught.value.fault is CustodyFault.NO_REQUEST
    assert requests.unusable(NOW) == (("0badcafe.request",) if at > NOW else ())


def test_a_malformed_file_stops_nobody_and_is_named(
    custodians: Custodians, requests: Requests, tmp_path: Path
) -> None:
    anna, folder = person(custodians, "anna"), tmp_path / FOLDER / "requests"
    request = requests.ask(CLOSE, anna, NOW)
    naive = Request("0badcafe", CLOSE, "anna", NOW.replace(tzinfo=None))
    signed_by(custodians, "anna", naive, folder)
    contents = {
        "00000001": b"[" * 100_000,
        "00000002": b"\xff\xfe",
        "00000003": json.dumps([{}, [], 1, None, ["anna"], 7, 8]).encode(),
        "00000004": b"null",
        "00000005": b" " * (1 << 20),
        "00000006": json.dumps(["00000006", "a", "b", "c", "nobody", NOW.isoformat(), "00"]).encode(),
    }
    for name, content in contents.items():
        (folder / f"{name}.request").write_bytes(content)
    os.mkfifo(folder / "00000007.request")
    (folder / "00000008.request").symlink_to("/etc/passwd")
    (folder / "00000009.request").mkdir()
    (folder / f"{request.id}.approved").write_bytes(b"[" * 100_000)
    (tmp_path / FOLDER / "bo.json").write_bytes(b"[" * 100_000)
    try:
        found = requests.open(NOW)
    except TypeError as error:
        pytest.fail(f"one malformed file breaks all requests: {error}")
    assert found == (request,)
    (folder / f"{request.id}.approved").unlink()
    requests.approve(request.id, person(custodians, "cecilia"), NOW)
    assert requests.take(CLOSE, anna, NOW) == TwoPersons("anna", "cecilia")
    named = [f"0000000{number}.request" for number in range(1, 10)]
    assert requests.unusable(NOW) == (*named, "0badcafe.request")


def test_a_fifo_or_a_link_in_a_custodians_place_keeps_nobody_waiting(
    custodians: Custodians, tmp_path: Path
) -> None:
    folder = tmp_path / FOLDER
    os.mkfifo(folder / "david.json")
    (folder / "erik.json").symlink_to(folder / "anna.json")
    assert custodians.able() == ("anna", "bo", "cecilia")
    assert custodians.damaged() == ("david", "erik")
    assert not custodians.signed("david", b"data", bytes(64))


@pytest.mark.parametrize("passphrase", ["ponmlkjihgfedcba", "poiuytrewq0987654321", "9876543210åpoiuyt"])
def test_a_passphrase_that_runs_backwards_is_as_weak_as_forwards(passphrase: str) -> None:
    assert "follows the alphabet" in (weakness(passphrase) or "")


@pytest.mark.parametrize(
    "passphrase",
    ["bbqqxxttddzzmmkk", "bqxttdddddbqx"],
    ids=["each-twice", "its-beginning-again"],
)
def test_eight_characters_that_nothing_foretells_are_enough(passphrase: str) -> None:
    assert weakness(passphrase) is None
    assert "repeats itself" in (weakness(passphrase.replace("d", "t")) or "")


def test_a_file_of_64_kib_is_read_and_a_larger_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * (64 << 10))
    assert len(read_small(file)) == 64 << 10
    file.write_bytes(b"x" * ((64 << 10) + 1))
    with pytest.raises(ValueError, match="too large"):
        read_small(file)
