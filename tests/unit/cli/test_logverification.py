"""`samdrift log verify`: three outcomes, each with a place, and never a traceback."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samdrift.audit.logverifying import LogVerifier
from samdrift.audit.policies import Policy
from samdrift.evidence import logexport
from samdrift.evidence.logexport import verify_log
from samdrift.messageservice.events import MTEvent
from tests.unit.audit import forgeries
from tests.unit.audit.logs import BEGUN, CADENCE, POLICY, Stated, made, stated
from tests.unit.audit.signing import LOG
from tests.unit.cli.commandline import in_process


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "policy").write_bytes(POLICY)
    return tmp_path / "policy"


def test_a_log_that_holds(policy: Path, tmp_path: Path) -> None:
    log = made(120, chained=4, each=40)
    old = ("--policy", policy, "--max-age", "0")
    ended = in_process("log", "verify", log.write(tmp_path / "log"), *old, "--json")
    assert ended.status == 0
    said = ended.document
    assert {"entries", "size", "root", "witnessed_at", "first_wrong", "disposed"} <= said.keys()
    assert (said["entries"], said["size"], said["first_wrong"], said["disposed"]) == (124, 120, None, [])
    text = in_process("log", "verify", tmp_path / "log", *old).output
    assert "holds" in text
    assert said["root"] in text


def test_a_log_that_stands_still_does_not_hold(policy: Path, tmp_path: Path) -> None:
    """An old state with valid signatures (The Update Framework 1.5.2, freeze attack)."""
    log = made(120, each=40)
    path = log.write(tmp_path / "log")
    ended = in_process("log", "verify", path, "--policy", policy, "--json")
    assert (ended.status, ended.document["holds"], ended.document["first_wrong"]) == (1, False, None)
    (why,) = ended.document["stale"]
    seen = datetime.fromisoformat(ended.document["witnessed_at"])
    assert f"newest cosigned checkpoint is of {seen:%F %T}Z" in why
    age = int((datetime.now(UTC) - seen).total_seconds())
    for more, status in ((60, 0), (-60, 1)):
        ended = in_process("log", "verify", path, "--policy", policy, "--max-age", str(age + more))
        assert ended.status == status, ended.output


@pytest.mark.parametrize(("waited", "status"), [(500, 0), (700, 1)])
def test_an_entry_that_has_waited_two_cadences_for_a_checkpoint_is_a_fault(
    waited: int, status: int, policy: Path, tmp_path: Path
) -> None:
    log, now = made(80, each=40), datetime.now(UTC)
    log.sign(now - timedelta(seconds=800))
    at = now - timedelta(seconds=waited)
    log.add(MTEvent.MT_MESSAGE_READ, at, bytes(16))
    path = log.write(tmp_path / "log")
    ended = in_process("log", "verify", path, "--policy", policy, "--json")
    assert (ended.status, ended.document["unproved"]) == (status, 1), ended.document
    said = [f"an entry of {at:%F %T}Z is in no accepted checkpoint yet: later ones may never be"]
    assert ended.document["stale"] == said * status
    assert in_process("log", "verify", path, "--policy", policy, "--max-age", "0").status == 0


def test_the_age_of_a_log_without_witnesses_is_not_known(policy: Path, tmp_path: Path) -> None:
    path = made(10, each=10).write(tmp_path / "log")
    policy.write_text(f"log {LOG.key}\nquorum none\n")
    ended = in_process("log", "verify", path, "--policy", policy)
    assert (ended.status, "its age is not known" in ended.output) == (1, True)


def test_a_log_that_does_not_hold_names_its_first_wrong_entry(policy: Path, tmp_path: Path) -> None:
    log = made(120, each=40)
    row = log.rows[50]
    log.rows[50] = forgeries.without_facts(row)
    ended = in_process("log", "verify", log.write(tmp_path / "log"), "--policy", policy, "--json")
    assert ended.status == 1
    assert ended.document["first_wrong"]["number"] == 51
    ended = in_process("log", "verify", tmp_path / "log", "--policy", policy)
    assert ended.status == 1
    assert "first wrong: entry 51" in ended.output


def test_a_log_that_was_put_back_is_found_by_a_known_checkpoint(policy: Path, tmp_path: Path) -> None:
    log = made(120, each=40)
    (tmp_path / "known").write_bytes(log.notes[-1].note)
    del log.rows[80:]
    log.notes.pop()
    path = log.write(tmp_path / "log")
    assert in_process("log", "verify", path, "--policy", policy, "--max-age", "0").status == 0
    ended = in_process("log", "verify", path, "--policy", policy, "--known", tmp_path / "known", "--json")
    assert ended.status == 1
    assert ended.document["first_wrong"]["number"] == 81


def test_a_run_with_another_policy_than_the_interrupted_one_says_that_it_begins_again(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = made(700, each=40)
    log.notes = [Stated(each.size, stated(log, each.size, BEGUN + CADENCE, (LOG,))) for each in log.notes]
    path, state = log.write(tmp_path / "log"), tmp_path / "state"

    def stopping(done: int) -> None:
        if state.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(logexport, "_SAVED_AFTER", 0)
    lax = Policy.parse(f"log {LOG.key}\nquorum none\n".encode())
    with pytest.raises(KeyboardInterrupt):
        verify_log(path, LogVerifier(lax, int(time.time())), state, stopping)
    ended = in_process("log", "verify", path, "--policy", policy, "--state", state, "--json")
    assert (ended.status, ended.document["size"], state.exists()) == (1, 0, False)
    assert len(ended.complaints.splitlines()) == 1
    assert f"{state}: the saved state is of another log, policy" in ended.complaints


@pytest.mark.parametrize("broken", ["log", "policy", "known"])
@pytest.mark.parametrize("content", [b"", b"\0" * 600, b"x" * 2_000_000, b"\xff\n\n\xe2\x80\x94 x y\n"])
def test_what_cannot_be_used_ends_with_2_and_one_line(
    broken: str, content: bytes, policy: Path, tmp_path: Path
) -> None:
    log = made(10, each=10)
    (tmp_path / "known").write_bytes(log.notes[-1].note)
    log.write(tmp_path / "log")
    (tmp_path / broken).write_bytes(content)
    ended = in_process("log", "verify", tmp_path / "log", "--policy", policy, "--known", tmp_path / "known")
    assert ended.status == 2
    assert len(ended.complaints.splitlines()) == 1
    assert "Traceback" not in ended.complaints
    assert ended.output == ""
