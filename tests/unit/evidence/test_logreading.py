"""Log control on a file: everything that names something, and a sample that can be drawn again."""

from __future__ import annotations

from pathlib import Path

import pytest

from samdrift.audit.events import Retention
from samdrift.audit.reading import Malformed
from samdrift.cli.org.events import OrgEvent
from samdrift.evidence.logreading import entries_of, sample, search
from samdrift.messageservice.events import MTEvent
from tests.unit.audit.logs import BEGUN, Log, made
from tests.unit.cli.commandline import in_process


@pytest.fixture(scope="module")
def log() -> Log:
    return made(600, chained=20, each=100, disposed=True)


@pytest.fixture(scope="module")
def path(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return log.write(tmp_path_factory.mktemp("logs") / "log")


def test_every_entry_with_facts_is_read_in_both_forms(log: Log, path: Path) -> None:
    numbers = [*(entry.sequence for entry in log.chain), *(row.number for row in log.rows if row.content)]
    assert [entry.sequence for entry in entries_of(path)] == numbers


def test_a_search_finds_every_entry_that_names_the_words_and_no_other(log: Log, path: Path) -> None:
    row = next(row for row in log.rows[300:] if row.content is not None)
    wanted = dict(row.happening.ids)["envelope"]
    assert [entry.sequence for entry in search(path, wanted)] == [row.number]
    readings = [each.number for each in log.rows if each.retention == Retention.READING and each.content]
    assert [entry.sequence for entry in search(path, MTEvent.MT_MESSAGE_READ)] == readings
    assert list(search(path, "nothing like this")) == []


def test_a_sample_is_the_same_for_a_seed_and_another_for_another(log: Log, path: Path) -> None:
    drawn = sample(path, "2026-04", 10, Retention.READING)
    assert drawn == sample(path, "2026-04", 10, Retention.READING)
    assert {entry.retention for entry in drawn} == {Retention.READING}
    assert len({entry.sequence for entry in drawn}) == 10
    assert drawn != sample(path, "2026-05", 10, Retention.READING)
    assert len(sample(path, "2026-04", 10_000)) == len(list(entries_of(path)))


def test_a_longer_log_draws_of_its_first_part_what_it_drew_before(tmp_path: Path) -> None:
    log = made(300, each=100)
    before = {entry.sequence for entry in sample(log.write(tmp_path / "before"), "s", 20)}
    log.add(OrgEvent.KEYS_CREATED, BEGUN, bytes(16))
    after = {entry.sequence for entry in sample(log.write(tmp_path / "after"), "s", 20)}
    assert {number for number in after if number <= 300} <= before


def test_facts_that_are_none_are_named(tmp_path: Path) -> None:
    log = made(10, each=10)
    object.__setattr__(log.rows[4], "content", b"no facts")
    with pytest.raises(Malformed, match="entry 5"):
        list(entries_of(log.write(tmp_path / "log")))


def test_the_commands_print_csv_in_which_nothing_is_a_formula(tmp_path: Path) -> None:
    log = made(10, each=10)
    log.add(MTEvent.MT_MESSAGE_READ, BEGUN, bytes(16), message="=cmd()")
    row = log.rows[-1]
    log.rows[-1] = row.again(row.happening.__class__(BEGUN, row.happening.event, "=sum(1)", "", {"a": "b,c"}))
    file = log.write(tmp_path / "log")
    ended = in_process("log", "search", file, "sum")
    assert ended.status == 0
    assert ended.output.splitlines()[0] == "number,at,event,principal,purpose,class,facts"
    assert ',\'=sum(1),,reading,"a=b,c"' in ended.output
    drawn = in_process("log", "sample", file, "--seed", "x", "--count", "1", "--json")
    assert [each["class"] for each in drawn.document["entries"]] == ["reading"]
    assert in_process("log", "search", file, "nobody").status == 1
    assert in_process("log", "sample", file, "--seed", "x", "--class", "none").status == 2
    file.write_bytes(b"x" * 3000)
    assert in_process("log", "search", file, "sum").status == 2
