"""Verification of an exported log in one pass: valid logs, unreadable ones, and faults of the whole."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from samdrift.attestation.errors import MoveError
from samdrift.audit.events import LogEvent, Retention
from samdrift.audit.logverifying import LogVerdict, LogVerifier
from samdrift.audit.merkle import leaf_hash
from samdrift.audit.notes import SignedCheckpoint, announced
from samdrift.audit.policies import Policy
from samdrift.audit.reading import Malformed
from samdrift.cli.org.events import OrgEvent
from samdrift.evidence import logexport
from samdrift.evidence.logexport import verify_log
from tests.unit.audit.logs import BEGUN, CADENCE, Log, Stated, made, policy, stated
from tests.unit.audit.signing import LOG, ONE, THREE, TWO, Signer

NOW = int(BEGUN.timestamp()) + 10**7
Parts = dict[str, bytes]


def verified(log: Log, folder: Path) -> LogVerdict:
    (folder / "log").unlink(missing_ok=True)
    return verify_log(log.write(folder / "log"), LogVerifier(policy(), NOW))


def parts_of(log: Log, folder: Path) -> Parts:
    with tarfile.open(log.write(folder / "parts")) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]


def packed(parts: Parts, path: Path) -> Path:
    """Write these parts to a file with the headers of an export, and return its path."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in parts.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), 0o600, 1
            archive.addfile(info, io.BytesIO(content))
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content + bytes(-len(content) % 512 + 1024))
    return path


@pytest.mark.parametrize("entries", [1, 2, 255, 256, 257, 511, 512, 513])
def test_logs_of_every_size_around_a_bundle_hold(entries: int, tmp_path: Path) -> None:
    verdict = verified(made(entries, chained=3, each=100), tmp_path)
    assert verdict.holds
    assert (verdict.entries, verdict.size, verdict.unproved) == (entries + 3, entries, 0)


def test_a_verdict_has_the_last_root_and_the_time_at_which_the_quorum_had_seen_it(tmp_path: Path) -> None:
    log = made(90, each=30)
    verdict = verified(log, tmp_path)
    assert verdict.root == log.tree().root()
    at = BEGUN + 89 * (CADENCE / 30) + timedelta(seconds=10)
    assert verdict.witnessed_at == int(at.timestamp()) + 2  # the second witness signs last, 2 s after the log
    assert verdict.origin == LOG.name


def test_entries_after_the_last_accepted_checkpoint_are_counted(tmp_path: Path) -> None:
    log = made(90, each=30)
    log.notes[-1] = replace(log.notes[-1], note=stated(log, 90, BEGUN + CADENCE * 3, (LOG, ONE)))
    verdict = verified(log, tmp_path)
    assert verdict.holds
    assert (verdict.size, verdict.unproved) == (60, 30)


def test_a_log_that_too_few_witnesses_saw_does_not_hold(tmp_path: Path) -> None:
    log = made(20, each=20)
    log.notes = [Stated(20, stated(log, 20, BEGUN + CADENCE, (LOG, ONE)))]
    verdict = verified(log, tmp_path)
    assert verdict.first_wrong is not None
    assert "the policy accepts none of the checkpoints" in verdict.first_wrong.why


def test_a_cosignature_of_the_future_counts_as_none(tmp_path: Path) -> None:
    log = made(20, each=20)
    log.notes = [Stated(20, stated(log, 20, BEGUN + timedelta(days=1000)))]
    assert not verified(log, tmp_path).holds


def test_two_checkpoints_of_one_size_bracket_the_next_entry(tmp_path: Path) -> None:
    """An idle log is witnessed repeatedly: the next entry must be later than the last of these times."""
    log = made(40, each=40)
    log.sign(BEGUN + timedelta(hours=5))
    log.add(OrgEvent.KEYS_CREATED, BEGUN + timedelta(hours=1), bytes(16))
    log.sign(BEGUN + timedelta(hours=6))
    verdict = verified(log, tmp_path)
    assert verdict.first_wrong is not None
    assert verdict.first_wrong.number == 41
    assert verdict.outside == 1
    log.rows[-1] = log.rows[-1].again(replace(log.rows[-1].happening, at=BEGUN + timedelta(hours=5)))
    log.notes[-1] = Stated(41, stated(log, 41, BEGUN + timedelta(hours=6)))
    assert verified(log, tmp_path).holds


@pytest.mark.parametrize(("seconds", "holds"), [(130, True), (140, False)])
def test_an_entry_may_be_as_much_younger_as_clocks_differ(seconds: int, holds: bool, tmp_path: Path) -> None:
    log = made(30, each=30)
    at = BEGUN + 29 * (CADENCE / 30) + timedelta(seconds=seconds)  # the quorum signed it at second 12
    log.rows[-1] = log.rows[-1].again(replace(log.rows[-1].happening, at=at))
    log.notes = [Stated(30, stated(log, 30, BEGUN + 29 * (CADENCE / 30) + timedelta(seconds=10)))]
    assert verified(log, tmp_path).holds is holds


def test_disposal_is_reported_with_its_decision(tmp_path: Path) -> None:
    log = made(200, each=50)
    gone = log.dispose(Retention.READING, 120, log.rows[-1].happening.at)
    again = log.dispose(Retention.READING, 150, log.rows[-1].happening.at)
    log.sign(log.rows[-1].happening.at)
    verdict = verified(log, tmp_path)
    assert verdict.holds
    assert [(each.retention, each.entries, each.decision) for each in verdict.disposed] == [
        ("reading", gone, 201),
        ("reading", again, 202),
    ]


@pytest.mark.parametrize(
    "ids",
    [
        {"class": "reading", "through": "120", "entries": "1"},
        {"class": "reading", "through": "500", "entries": "0"},
        {"class": "log", "through": "100", "entries": "0"},
        {"class": "reading", "through": "many", "entries": "0"},
        {"class": "reading"},
        {},
    ],
)
def test_a_decision_that_does_not_say_what_is_gone_is_wrong(ids: dict[str, str], tmp_path: Path) -> None:
    log = made(150, each=50)
    log.add(LogEvent.LOG_FACTS_DISPOSED, log.rows[-1].happening.at, bytes(16), **ids)
    log.sign(log.rows[-1].happening.at)
    assert not verified(log, tmp_path).holds


def test_the_oldest_facts_of_a_class_miss_by_a_decision_alone(tmp_path: Path) -> None:
    log = made(100, each=50)
    first = next(place for place, row in enumerate(log.rows) if row.retention == Retention.READING)
    log.rows[first] = replace(log.rows[first], content=None, salt=b"")
    verdict = verified(log, tmp_path)
    assert verdict.first_wrong is not None
    assert verdict.first_wrong.number == first + 1


@pytest.mark.parametrize("more", [-1, 1])
def test_a_decision_says_of_how_many_entries_it_disposed(more: int, tmp_path: Path) -> None:
    log = made(100, each=50)
    gone = log.dispose(Retention.READING, 60, log.rows[-1].happening.at)
    decision = log.rows[-1]
    ids = dict(decision.happening.ids) | {"entries": str(gone + more)}
    log.rows[-1] = decision.again(replace(decision.happening, ids=ids))
    log.sign(decision.happening.at)
    verdict = verified(log, tmp_path)
    assert verdict.first_wrong is not None
    assert verdict.first_wrong.number == 101


def test_entries_that_a_checkpoint_has_and_the_file_lacks_are_missed(tmp_path: Path) -> None:
    log = made(90, each=30)
    del log.rows[75:]
    verdict = verified(log, tmp_path)
    assert verdict.first_wrong is not None
    assert verdict.first_wrong.number == 61


def test_an_entry_about_the_log_itself_is_never_disposed_of(tmp_path: Path) -> None:
    log = made(50, each=50)
    log.add(LogEvent.LOG_KEY_STATED, log.rows[-1].happening.at, bytes(16))
    log.sign(log.rows[-1].happening.at)
    log.rows[-1] = replace(log.rows[-1], content=None)
    verdict = verified(log, tmp_path)
    assert verdict.first_wrong is not None
    assert verdict.first_wrong.number == 51


def test_a_class_that_is_not_the_event_s_is_named_although_witnesses_saw_it(tmp_path: Path) -> None:
    log = made(50, each=50)
    place = next(place for place, row in enumerate(log.rows) if row.retention == Retention.TRANSFER)
    log.rows[place] = replace(log.rows[place], retention=Retention.ACCESS)
    log.notes = [Stated(50, stated(log, 50, BEGUN + CADENCE))]
    verdict = verified(log, tmp_path)
    assert verdict.first_wrong is not None
    assert verdict.first_wrong.number == place + 1
    assert "class" in verdict.first_wrong.why


def test_an_entry_of_an_unknown_version_is_a_leaf_that_is_not_understood(tmp_path: Path) -> None:
    log = made(3, each=3)
    parts = parts_of(log, tmp_path)
    bundle = parts["tile/entries/000.p/3"]
    parts["tile/entries/000.p/3"] = bundle[:46] + b"\x07" + bundle[47:]
    tree = log.tree()
    tree._levels.clear()
    tree._levels.append([])
    for place in range(3):
        tree.append(leaf_hash(parts["tile/entries/000.p/3"][44 * place + 2 : 44 * place + 44]))
    log.tree = lambda: tree  # type: ignore[method-assign]
    note = stated(log, 3, BEGUN + CADENCE)
    parts["checkpoints/000.p/3"] = len(note).to_bytes(4) + note
    verdict = verify_log(packed(parts, tmp_path / "changed"), LogVerifier(policy(), NOW))
    assert verdict.holds
    assert verdict.not_understood == 1


def test_a_key_that_the_one_before_it_announced_signs_from_then_on(tmp_path: Path) -> None:
    log, new, third = made(60, each=30), *(Signer(LOG.name, LOG.algorithm, each) for each in "23")
    log.keys = [(LOG.key, b""), (new.key, LOG.private.sign(announced(new.key)))]
    log.keys.append((third.key, new.private.sign(announced(third.key))))
    log.notes[-1] = Stated(60, stated(log, 60, BEGUN + 2 * CADENCE, (third, ONE, THREE)))
    assert verified(log, tmp_path).size == 60
    log.keys.pop(1)
    assert not verified(log, tmp_path).holds


def test_an_interrupted_verification_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = made(1500, chained=20, each=50, disposed=True)
    path, state = log.write(tmp_path / "log"), tmp_path / "state"
    whole = verify_log(path, LogVerifier(policy(), NOW))
    monkeypatch.setattr(logexport, "_SAVED_AFTER", 0)
    places = []

    def interrupted(done: int) -> None:
        places.append(done)
        if len(places) in (3, 5):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            verify_log(path, LogVerifier(policy(), NOW), state, interrupted)
    assert verify_log(path, LogVerifier(policy(), NOW), state, places.append) == whole
    assert places == sorted(places)  # no part was read twice
    assert not state.exists()


class _Interrupted(Exception):
    pass


def resumed(path: Path, state: Path, after: int) -> LogVerdict | str:
    """Return the verdict of a verification that was interrupted after some parts, or its fault."""
    read = []

    def interrupted(done: int) -> None:
        read.append(done)
        if len(read) > after:  # the state is saved after this call
            raise _Interrupted

    with pytest.raises(_Interrupted):
        verify_log(path, LogVerifier(policy(), NOW), state, interrupted)
    assert state.exists()
    try:
        return verify_log(path, LogVerifier(policy(), NOW), state)
    except (Malformed, AssertionError) as fault:
        return repr(fault)


@pytest.mark.parametrize("after", range(1, 8))
def test_a_verification_that_was_interrupted_after_any_part_ends_with_the_same_verdict(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time stamps come first, then the pages of the chain, then the bundles of the tree."""
    log = made(600, chained=250, each=50)
    log.stamps = [(log.notes[0].note, b"stamp")]
    path, state = log.write(tmp_path / "log"), tmp_path / "state"
    whole = verify_log(path, LogVerifier(policy(), NOW))
    assert whole.holds
    monkeypatch.setattr(logexport, "_SAVED_AFTER", 0)
    assert resumed(path, state, after) == whole


def test_a_broken_chain_is_found_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = made(60, chained=250)
    log.chain[150] = replace(log.chain[150], previous=bytes(32))
    path, state = log.write(tmp_path / "log"), tmp_path / "state"
    whole = verify_log(path, LogVerifier(policy(), NOW))
    assert whole.first_wrong is not None
    assert whole.first_wrong.number == 151
    monkeypatch.setattr(logexport, "_SAVED_AFTER", 0)
    assert resumed(path, state, 1) == whole


def test_a_state_that_lacks_the_pages_of_the_chain_is_not_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier versions saved such states, also in the chain, where they did not suffice to go on."""
    path, state = made(60, chained=250).write(tmp_path / "log"), tmp_path / "state"
    whole = verify_log(path, LogVerifier(policy(), NOW))
    monkeypatch.setattr(logexport, "_SAVED_AFTER", 0)
    resumed_from: list[int] = []

    def interrupted(done: int) -> None:
        if state.exists():
            raise _Interrupted

    with pytest.raises(_Interrupted):
        verify_log(path, LogVerifier(policy(), NOW), state, interrupted)
    saved = json.loads(state.read_text())
    saved.pop("page", None)
    state.write_text(json.dumps(saved))
    assert verify_log(path, LogVerifier(policy(), NOW), state, resumed_from.append) == whole
    assert len(resumed_from) == 4, "three pages and a bundle: all of it was read"


def test_the_state_of_another_file_is_not_taken_up(tmp_path: Path) -> None:
    log, state = made(300), tmp_path / "state"
    path = log.write(tmp_path / "log")
    state.write_text(json.dumps({"about": "another", "place": 0, "bundle": 7, "verifier": {}}))
    assert verify_log(path, LogVerifier(policy(), NOW), state).holds
    state.write_text("[]")
    with pytest.raises(Malformed, match="state"):
        verify_log(path, LogVerifier(policy(), NOW), state)


def interrupted_with(path: Path, verifier: LogVerifier, state: Path) -> None:
    """Verify until the state was saved twice, and stop there."""
    saves = []

    def stopping(done: int) -> None:
        saves.append(done)
        if len(saves) == 3:  # the state is saved after each call
            raise _Interrupted

    with pytest.raises(_Interrupted):
        verify_log(path, verifier, state, stopping)
    assert state.exists()


@pytest.fixture
def saved_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logexport, "_SAVED_AFTER", 0)


@pytest.mark.usefixtures("saved_often")
def test_a_state_saved_under_a_laxer_policy_is_not_continued(tmp_path: Path) -> None:
    log = made(1000, each=40)
    log.notes = [Stated(each.size, stated(log, each.size, BEGUN + CADENCE, (LOG,))) for each in log.notes]
    path, state, told = log.write(tmp_path / "log"), tmp_path / "state", list[str]()
    interrupted_with(path, LogVerifier(Policy.parse(f"log {LOG.key}\nquorum none\n".encode()), NOW), state)
    verdict = verify_log(path, LogVerifier(policy(), NOW), state, again=lambda: told.append("again"))
    assert verdict == verify_log(path, LogVerifier(policy(), NOW))
    assert (verdict.holds, told) == (False, ["again"])


@pytest.mark.usefixtures("saved_often")
@pytest.mark.parametrize("stamped", [False, True])
def test_a_state_saved_without_a_known_checkpoint_is_not_continued(stamped: bool, tmp_path: Path) -> None:
    """The log was forked after 40 entries; only a checkpoint from elsewhere, or a time stamp, shows it."""
    path, state = made(1000, each=40).write(tmp_path / "log"), tmp_path / "state"
    other = SignedCheckpoint.parse(made(40, each=40, seed=2).notes[0].note, [LOG.key])
    known, stamps = ((), [(other.checkpoint, None)]) if stamped else ([other], ())
    interrupted_with(path, LogVerifier(policy(), NOW), state)
    assert not verify_log(path, LogVerifier(policy(), NOW, known, stamps), state).holds


@pytest.mark.usefixtures("saved_often")
def test_a_state_saved_without_the_time_of_a_stamp_is_not_continued(tmp_path: Path) -> None:
    log = made(1000, each=40)
    path, state = log.write(tmp_path / "log"), tmp_path / "state"
    checkpoint = SignedCheckpoint.parse(log.notes[5].note, [LOG.key]).checkpoint
    early = int(BEGUN.timestamp()) - 10**6
    interrupted_with(path, LogVerifier(policy(), NOW, (), [(checkpoint, None)]), state)
    verdict = verify_log(path, LogVerifier(policy(), NOW, (), [(checkpoint, early)]), state)
    assert verdict.outside == checkpoint.size


@pytest.mark.usefixtures("saved_often")
def test_a_state_saved_by_a_clock_that_was_ahead_is_not_continued(tmp_path: Path) -> None:
    log, ahead = made(1000, each=1000), timedelta(days=1000)
    log.notes = [Stated(1000, stated(log, 1000, BEGUN + ahead))]
    path, state = log.write(tmp_path / "log"), tmp_path / "state"
    interrupted_with(path, LogVerifier(policy(), NOW + int(ahead.total_seconds())), state)
    assert not verify_log(path, LogVerifier(policy(), NOW), state).holds


@pytest.mark.usefixtures("saved_often")
def test_the_state_of_a_file_that_was_replaced_is_not_continued(tmp_path: Path) -> None:
    """The new file has the size and time of the old one, and forged facts before the saved place."""
    path, state = made(1000, each=40).write(tmp_path / "log"), tmp_path / "state"
    content, was = path.read_bytes(), path.stat()
    interrupted_with(path, LogVerifier(policy(), NOW), state)
    place = content.index(b"worker:test")
    path.unlink()
    path.write_bytes(content[:place] + b"worker:Test" + content[place + 11 :])
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    assert not verify_log(path, LogVerifier(policy(), NOW), state).holds


@pytest.mark.usefixtures("saved_often")
def test_a_state_of_an_earlier_version_is_not_continued(tmp_path: Path) -> None:
    """It was bound to the size and time of the file alone."""
    path, state, told = made(1000, each=40).write(tmp_path / "log"), tmp_path / "state", list[str]()
    interrupted_with(path, LogVerifier(policy(), NOW), state)
    saved = json.loads(state.read_text())
    saved["about"] = f"{path.stat().st_size} {path.stat().st_mtime_ns}"
    for name in ("inputs", "now"):
        saved["verifier"].pop(name, None)
    state.write_text(json.dumps(saved))
    assert verify_log(path, LogVerifier(policy(), NOW), state, again=lambda: told.append("again")).holds
    assert told == ["again"]


def changes() -> dict[str, Callable[[Parts], None]]:
    """Return changes that make a part unreadable, each in a different way."""
    entries, facts, notes = "tile/entries/000.p/90", "facts/000.p/90", "checkpoints/000.p/90"

    def put(name: str, change: Callable[[bytes], bytes]) -> Callable[[Parts], None]:
        return lambda parts: parts.update({name: change(parts[name])})

    def description(**fields: object) -> Callable[[Parts], None]:
        return put("log.json", lambda old: json.dumps(json.loads(old) | fields).encode())

    def move(old: str, new: str) -> Callable[[Parts], None]:
        def moved(parts: Parts) -> None:
            renamed = {new if name == old else name: content for name, content in parts.items()}
            parts.clear()
            parts.update(renamed)

        return moved

    return {
        "no description": lambda parts: parts.pop("log.json") and None,
        "description is no JSON": put("log.json", lambda old: old[:-5]),
        "description is deep": put("log.json", lambda old: b"[" * 60000),
        "another format": description(format="x"),
        "another version": description(version=3),
        "chain begins nowhere": description(chain_begins="00"),
        "keys are no list": description(keys=7),
        "a key is none": description(keys=[{"key": "x", "announced": ""}]),
        "too many keys": description(keys=[{"key": str(LOG.key), "announced": ""}] * 101),
        "page is no JSON": put("chain/000001.jsonl", lambda old: old[:-9]),
        "page is missing": move("chain/000001.jsonl", "chain/000002.jsonl"),
        "bundle ends early": put(entries, lambda old: old[:-1]),
        "bundle is longer": put(entries, lambda old: old + b"\0"),
        "bundle has another width": move(entries, "tile/entries/000.p/89"),
        "bundle of another place": move(entries, "tile/entries/001.p/90"),
        "a tile of hashes": move(entries, "tile/0/000.p/90"),
        "facts end early": put(facts, lambda old: old[:-1]),
        "facts of too few": put(facts, lambda old: old[4 + int.from_bytes(old[:4]) :]),
        "facts end within a salt": put(
            facts, lambda old: b"\0\0\0\5salty" + old[4 + int.from_bytes(old[:4]) :]
        ),
        "facts are missing": lambda parts: parts.pop(facts) and None,
        "checkpoints end early": put(notes, lambda old: old[:-1]),
        "a checkpoint is no note": put(notes, lambda old: b"\0\0\0\4note"),
        "a checkpoint is no checkpoint": put(notes, lambda old: (n := LOG_NOTE) and len(n).to_bytes(4) + n),
        "checkpoints at another place": move(notes, "checkpoints/007"),
        "checkpoints alone at the end": lambda parts: parts.update({"checkpoints/001": parts[notes]}),
        "something unknown": lambda parts: parts.update({"readme": b"x"}),
    }


LOG_NOTE = b"x\ny\n" + b"\n" + LOG.line(b"x\ny\n")


@pytest.mark.parametrize("change", changes().values(), ids=changes())
def test_what_cannot_be_read_is_said_with_its_place(change: Callable[[Parts], None], tmp_path: Path) -> None:
    parts = parts_of(made(90, chained=5, each=30), tmp_path)
    change(parts)
    with pytest.raises((Malformed, MoveError)) as fault:
        verify_log(packed(parts, tmp_path / "changed"), LogVerifier(policy(), NOW))
    assert str(fault.value)


def test_a_damaged_file_is_refused_or_does_not_hold_and_never_ends_otherwise(tmp_path: Path) -> None:
    """Bytes are changed, inserted, removed and cut off; only a few bytes of the description are unsigned."""
    content = made(90, chained=5, each=30).write(tmp_path / "log").read_bytes()
    path, drawn, held = tmp_path / "damaged", random.Random(3), 0
    for _ in range(400):
        place = drawn.randrange(len(content))
        rest = content[place + 1 :]
        damaged = drawn.choice(
            [
                content[:place] + bytes((content[place] ^ 1 << drawn.randrange(8),)) + rest,
                content[:place] + drawn.randbytes(1) + content[place:],
                content[:place] + rest,
                content[:place],
            ]
        )
        path.write_bytes(damaged)
        try:
            held += verify_log(path, LogVerifier(policy(), NOW)).holds
        except (Malformed, MoveError):
            continue
    assert held <= 4


def test_only_two_witnesses_of_three_are_wanted(tmp_path: Path) -> None:
    log = made(20, each=20)
    for pair in ((ONE, TWO), (TWO, THREE), (THREE, ONE)):
        log.notes = [Stated(20, stated(log, 20, BEGUN + CADENCE, (LOG, *pair)))]
        assert verified(log, tmp_path).holds
