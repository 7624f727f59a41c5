"""`samdrift log follow` and `promises`: one verdict and one status for each log and each promise."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest

from samdrift.audit.leaves import Leaf
from samdrift.audit.notes import VerifierKey
from samdrift.audit.promises import Promise
from samdrift.cli import logfollowing
from samdrift.transparency.following import LogCopy
from tests.unit.audit.signing import LOG, ONE, Signer, log
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.transparency.test_following import ADDRESS, TIME, Served, numbered

POLICY = f"log {LOG.key}\nwitness W {ONE.key}\nquorum W\n"


class Reached(Served):
    """A log behind the client that the command would use."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Reached:
    served = Reached()
    monkeypatch.setattr(logfollowing, "EnteredAddressClient", lambda *_: served)
    return served


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy"
    file.write_text(POLICY)
    return file


def follow(policy: Path, *more: str, max_age: int = 0) -> Ended:
    asked = ("log", "follow", ADDRESS, policy.with_name("copy"), "--policy", policy, *more)
    return in_process(*asked, "--max-age", str(max_age))


def test_the_copy_is_brought_up_to_date(served: Reached, policy: Path) -> None:
    for size, new in ((3, 3), (3, 0), (5, 2)):
        served.publish(numbered(*range(1, size + 1)))
        ended = follow(policy)
        assert (ended.status, ended.complaints) == (0, "")
        assert f"{size} entries, {new} new, witnessed at 2026-02-25 " in ended.output
    with LogCopy(policy.with_name("copy")) as copy:
        assert copy.last() == 5


def test_a_log_that_stands_still_ends_with_1_and_the_moment(served: Reached, policy: Path) -> None:
    """The Update Framework 1.5.2, freeze attack: old, consistent, and with valid signatures."""
    served.publish(numbered(1, 2, 3))
    copy = policy.with_name("copy")
    by_default = in_process("log", "follow", ADDRESS, copy, "--policy", policy)
    moment = datetime.fromtimestamp(TIME, UTC)
    said = f"it stands still: its newest cosigned checkpoint is of {moment:%F %T}Z, older than 900 s"
    assert (by_default.status, said in by_default.output) == (1, True), by_default.output
    age = int(time.time()) - TIME
    assert follow(policy, max_age=age + 60).status == 0
    assert follow(policy, max_age=age - 60).status == 1


def test_a_log_that_stops_answering_stands_still_for_its_followers(served: Reached, policy: Path) -> None:
    served.publish(numbered(1, 2, 3))
    assert follow(policy).status == 0
    served.broken = True
    ended = follow(policy, "--every", "1", max_age=900)
    assert (ended.status, "it stands still" in ended.output) == (1, True), ended.output


def test_a_log_without_witnesses_has_no_age(served: Reached, policy: Path) -> None:
    served.publish(numbered(1, 2, 3))
    policy.write_text(f"log {LOG.key}\nquorum none\n")
    ended = follow(policy, max_age=900)
    assert (ended.status, "its age is not known" in ended.output) == (1, True), ended.output
    assert follow(policy).status == 0


def test_an_access_token_needs_no_other_means(policy: Path) -> None:
    """Options that would be ignored are refused."""
    ended = in_process(
        *("log", "follow", ADDRESS, policy.with_name("copy"), "--policy", policy),
        *("--client", policy, "--issuers", policy),
    )
    assert (ended.status, "--client" in ended.complaints) == (2, True)


def test_a_log_that_does_not_hold_ends_with_1_and_one_that_is_away_with_2(
    served: Reached, policy: Path
) -> None:
    served.publish(numbered(1, 2, 3))
    assert follow(policy).status == 0
    for facts, signers, said in (
        (numbered(1, 2), (LOG, ONE), "has fewer entries than it had before"),
        (numbered(1, 2, 4, 5), (LOG, ONE), "does not continue what it stated before"),
        (numbered(1, 2, 3, 5), (LOG, ONE), "numbers do not follow each other"),
        (numbered(1, 2, 3, 4), (LOG,), "too few of the policy's witnesses"),
        (numbered(1, 2, 3, 4), (log("log.example/other"), ONE), "not signed by a log known"),
    ):
        served.publish(facts, signers)
        ended = follow(policy)
        assert (ended.status, said in ended.output) == (1, True), ended.output
    served.broken = True
    assert follow(policy).status == 2
    policy.write_text("quorum")
    ended = follow(policy)
    assert (ended.status, "line 1" in ended.complaints) == (2, True)


def test_a_full_disk_is_said_in_one_line(
    served: Reached, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.publish([bytes(2000)] * 200)
    connect = sqlite3.connect

    def on_a_small_disk(*arguments: Any, **options: Any) -> sqlite3.Connection:
        database = connect(*arguments, **options)
        database.execute("PRAGMA max_page_count = 20")
        return database

    monkeypatch.setattr(sqlite3, "connect", on_a_small_disk)
    ended = follow(policy)
    assert (ended.status, ended.output) == (2, "")
    assert "copy: the disk is full; nothing was added to the copy" in ended.complaints
    assert len(ended.complaints.splitlines()) == 1


def given(number: int, leaf: bytes, by: Signer = LOG, at: int = TIME) -> str:
    promise = Promise(LOG.name, at, number, leaf)
    return promise.signed(VerifierKey(LOG.name, LOG.key.algorithm, by.key.public), by.private.sign)


def test_promises_that_were_not_kept_are_named(served: Reached, policy: Path, tmp_path: Path) -> None:
    served.publish(numbered(7, 8, 9))
    assert follow(policy).status == 0
    leaves = {number: Leaf(number, 1, bytes(32)).hash for number in range(7, 12)}
    file = tmp_path / "promises"

    def judged() -> Ended:
        return in_process(
            "log",
            "promises",
            file,
            policy.with_name("copy"),
            "--policy",
            policy,
            "--cadence",
            "300",
            "--json",
        )

    file.write_text(f"{given(7, leaves[7])}, {given(9, leaves[9])}\n\n{given(10, leaves[10], at=1 << 40)}\n")
    ended = judged()
    assert (ended.status, ended.document) == (
        0,
        {"kept": 2, "open": 1, "broken": 0, "forged": 0, "not_kept": []},
    )
    lines = [given(8, leaves[7]), given(10, leaves[10]), given(8, leaves[8], log("log.example/other"))]
    file.write_text("".join(f"{line}\n" for line in lines))
    ended = judged()
    assert ended.status == 1
    assert [(each["line"], each["number"], each["verdict"]) for each in ended.document["not_kept"]] == [
        (1, 8, "broken"),
        (2, 10, "broken"),
        (3, None, "forged"),
    ]
    for line in ("%", "A" * 300_000, json.dumps({})):
        file.write_text(f"{given(7, leaves[7])}\n{line}\n")
        ended = judged()
        assert (ended.status, "line 2" in ended.complaints) == (2, True)


def test_an_old_entry_that_is_served_in_another_form_ends_with_1(served: Reached, policy: Path) -> None:
    served.publish(numbered(1, 2, 3))
    assert follow(policy).status == 0
    checkpoint = served.files["checkpoint"]
    served.publish(numbered(1, 9, 3))
    served.files["checkpoint"] = checkpoint
    ended = follow(policy)
    assert (ended.status, "the first wrong entry is 1" in ended.output) == (1, True), ended.output
