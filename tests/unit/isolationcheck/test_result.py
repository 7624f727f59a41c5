"""The result of an isolation check: the conditions for passing, and a signature that shows every change."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from samdrift.config.isolationcheck import IsolationCheckConfig
from samdrift.isolationcheck.ledger import Ledger
from samdrift.isolationcheck.result import NoResult, digest, document, sign, verify
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import pki

CANARIES = IsolationCheckConfig((ParticipantIdentifier("0203:a.se"), ParticipantIdentifier("0203:b.se")))
KEY = SoftwareSigningKey(pki.key(0), pki.root("AP0001", 0).certificate)


def ledger(*, leak: str = "", untried: str = "", expected: bool = False) -> Ledger:
    found = Ledger()
    found.tried("gate", "open ap", "anonymous")
    if leak:
        found.tried("gate", "open mt", "anonymous", leak)
    if untried:
        found.untried("interface D", "all", "everybody", untried, expected=expected)
    return found


def result(found: Ledger) -> dict[str, Any]:
    return sign(document(found, CANARIES, "urn:test", datetime(2026, 3, 2, tzinfo=UTC)), KEY)


def test_a_result_with_nothing_but_denials_has_passed() -> None:
    found = result(ledger())
    assert (found["attempts"], found["denied"], found["leaks"], found["passed"]) == (1, 1, [], True)


def test_nothing_that_was_tried_is_no_proof() -> None:
    assert not result(Ledger())["passed"]


def test_a_leak_is_counted_and_told() -> None:
    found = result(ledger(leak="the vault was opened"))
    assert (found["attempts"], found["denied"], found["passed"]) == (2, 1, False)
    assert [one["operation"] for one in found["leaks"]] == ["open mt"]


@pytest.mark.parametrize("expected", [True, False])
def test_what_was_not_tried_is_never_counted(expected: bool) -> None:
    """It is reported, and does not fail the check only where the installation is meant to lack it."""
    found = result(ledger(untried="does not answer", expected=expected))
    assert (found["attempts"], found["denied"], found["passed"]) == (1, 1, expected)
    assert [(one["interface"], one["expected"]) for one in found["untried"]] == [("interface D", expected)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"passed": 1},
        {"attempts": "all"},
        {"interfaces": {"gate": 1}},
        {"interfaces": {"gate": {"attempts": 1, "denied": {}}}},
        {"leaks": [1]},
        {"untried": [{"interface": "gate"}]},
        {"untried": None},
    ],
    ids=str,
)
def test_whoever_signs_something_else_has_signed_no_result(wrong: dict[str, object]) -> None:
    """Anyone may have a key, so a document that is not a result is not shown at all."""
    said = document(ledger(), CANARIES, "urn:test", datetime(2026, 3, 2, tzinfo=UTC))
    with pytest.raises(NoResult):
        verify(json.dumps(sign({**said, **wrong}, KEY)).encode())


@pytest.mark.parametrize(
    "found",
    [ledger(leak="the vault was opened"), ledger(untried="does not answer"), Ledger()],
    ids=["leak", "untried", "none"],
)
def test_whoever_signs_that_it_passed_beside_what_says_otherwise_has_signed_no_result(found: Ledger) -> None:
    """An operator signs with its own key, so a result must not contradict itself."""
    said = document(found, CANARIES, "urn:test", datetime(2026, 3, 2, tzinfo=UTC))
    signed, _ = verify(json.dumps(sign(said, KEY)).encode())
    assert signed["passed"] is False
    with pytest.raises(NoResult):
        verify(json.dumps(sign({**said, "passed": True}, KEY)).encode())


def test_what_was_signed_is_verified_and_says_who_signed() -> None:
    found = result(ledger())
    read, certificate = verify(json.dumps(found, indent=2).encode())
    assert read == found
    assert certificate == KEY.certificate
    assert found["sha256"] == digest(found)


@pytest.mark.parametrize(
    "change",
    [
        {"denied": 2},
        {"leaks": ["none"]},
        {"passed": False},
        {"sha256": "00"},
        {"format": "another"},
        {"more": 1},
        {"signature": None},
        {"at": "\ud800"},
    ],
    ids=str,
)
def test_every_change_shows(change: dict[str, Any]) -> None:
    with pytest.raises(NoResult):
        verify(json.dumps({**result(ledger()), **change}).encode())


def test_the_key_of_another_does_not_verify() -> None:
    found = result(ledger())
    other = sign(found, SoftwareSigningKey(pki.key(1), pki.root("AP0002", 1).certificate))
    mixed = {**found["signature"], "certificate": other["signature"]["certificate"]}
    with pytest.raises(NoResult):
        verify(json.dumps({**found, "signature": mixed}).encode())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"{", b"null", b"\xff", b"[" * 100_000], ids=lambda d: d[:4]
)
def test_what_is_no_result_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(NoResult):
        verify(data)
