"""`samdrift log reconcile` on exported logs: three outcomes, each with the fault and its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.audit.events import LogEvent, Retention
from samdrift.messageservice.events import MTEvent
from tests.unit.audit.logs import POLICY, Log
from tests.unit.audit.signing import LOG
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.evidence.exchanges import BEGUN, HABO, MULLSJO, Pages, World, exchanged


def in_tree(pages: Pages) -> Log:
    """Return the log as a vault has it, with one checkpoint over all of it that witnesses have cosigned."""
    log = Log(name=pages.name, keys=[(LOG.key, b"")])
    for place, (at, event, ids) in enumerate(pages.entries):
        named = {"entries": "0", "head": log.begins.hex()} if event is LogEvent.LOG_TREE_BEGUN else ids
        log.add(event, at, place.to_bytes(16), **named)
    log.sign(pages.entries[-1][0])
    return log


class Files:
    """The logs of a world as files."""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder = folder
        self.world = world
        (folder / "policy").write_bytes(POLICY)

    def of(self, organisation: str, *sources: str) -> list[Path]:
        return [self.write(in_tree(self.world.logs[organisation, source])) for source in sources]

    def write(self, log: Log) -> Path:
        path = self.folder / log.name.replace(":", "-").replace(" ", ".")
        path.unlink(missing_ok=True)
        return log.write(path)

    def reconcile(self, own: list[Path], others: list[Path] | None = None, *more: str) -> Ended:
        other = [part for path in others or [] for part in ("--other", path)]
        return in_process("log", "reconcile", *own, *other, "--policy", self.folder / "policy", *more)


def test_logs_that_agree_end_with_0(tmp_path: Path) -> None:
    files = Files(tmp_path, exchanged())
    own, others = files.of(HABO, "ap", "mt", "mk"), files.of(MULLSJO, "ap", "mt")
    ended = files.reconcile(own, others, "--json")
    assert (ended.status, ended.document["agrees"], ended.document["differences"]) == (0, True, [])
    assert [each["log"] for each in ended.document["logs"]] == [f"{HABO} {s}" for s in ("ap", "mt", "mk")]
    assert ended.document["compared"]["delivered-not-arrived"] == 14
    assert "agree" in files.reconcile(own, others).output


def test_a_difference_ends_with_1_and_names_entry_logs_and_message(tmp_path: Path) -> None:
    world = exchanged(lambda world: world.without(HABO, MTEvent.MT_MESSAGE_RETRIEVED, "from-1"))
    files = Files(tmp_path, world)
    ended = files.reconcile(files.of(HABO, "ap", "mt"), None, "--json")
    found = {each["kind"]: each for each in ended.document["differences"]}
    assert (ended.status, ended.document["agrees"]) == (1, False)
    one = found["arrived-not-fetched"]
    assert (one["about"], one["log"], one["other"]) == ("from-1", f"{HABO} ap", f"{HABO} mt")
    assert world.logs[HABO, "ap"].entries[one["entry"] - 1][1] is APEvent.AP_ENVELOPE_RECEIVED
    text = files.reconcile(files.of(HABO, "ap", "mt")).output
    assert "DO NOT AGREE" in text
    assert "arrived-not-fetched: from-1: the access point has received it" in text


def test_a_log_that_does_not_hold_is_not_compared(tmp_path: Path) -> None:
    files = Files(tmp_path, exchanged())
    log = in_tree(files.world.logs[HABO, "mt"])
    log.rows[5] = log.rows[5].again(replace(log.rows[5].happening, ids={"message": "another"}))
    ended = files.reconcile([*files.of(HABO, "ap"), files.write(log)], None, "--json")
    assert (ended.status, ended.document["compared"]) == (1, {})
    assert ended.document["logs"][1]["first_wrong"] is not None
    assert "nothing was compared" in files.reconcile([*files.of(HABO, "ap"), files.write(log)]).output


def test_what_no_checkpoint_covers_is_not_compared(tmp_path: Path) -> None:
    """An unproven entry neither shows a difference nor fills a gap."""
    world = exchanged(lambda world: world.without(HABO, MTEvent.MT_MESSAGE_RETRIEVED, "from-1"))
    files = Files(tmp_path, world)
    log = in_tree(world.logs[HABO, "mt"])
    ids = {"message": "from-1", "as4": f"from-1@{MULLSJO}"}
    log.add(MTEvent.MT_MESSAGE_RETRIEVED, world.now, bytes(16), **ids)
    ended = files.reconcile([*files.of(HABO, "ap"), files.write(log)], None, "--json")
    assert "arrived-not-fetched" in {each["kind"] for each in ended.document["differences"]}


def test_only_what_is_logged_since_a_day_is_compared(tmp_path: Path) -> None:
    world = exchanged(lambda world: world.without(HABO, MTEvent.MT_MESSAGE_RETRIEVED, "from-1"))
    files = Files(tmp_path, world)
    since = f"{BEGUN + timedelta(days=1):%Y-%m-%d}"
    assert files.reconcile(files.of(HABO, "ap", "mt"), None, "--since", since).status == 0


def test_facts_that_were_disposed_of_by_a_decision_are_not_missed(tmp_path: Path) -> None:
    world = exchanged()
    files = Files(tmp_path, world)
    log = in_tree(world.logs[HABO, "mt"])
    log.dispose(Retention.TRANSFER, 12, world.now)
    log.sign(world.now)
    ended = files.reconcile([*files.of(HABO, "ap"), files.write(log)], None, "--json")
    assert (ended.status, ended.document["differences"]) == (0, [])


def unusable(files: Files) -> list[tuple[list[Path], list[Path], str]]:
    own, (theirs,) = files.of(HABO, "ap", "mt"), files.of(MULLSJO, "ap")
    operators = in_tree(files.world.logs[HABO, "mk"])
    operators.name = "operator"
    lying = in_tree(files.world.logs[HABO, "ap"])
    lying.name = f"{HABO} mk"
    (files.folder / "none").write_bytes(b"no log")
    return [
        ([*own, theirs], [], "the logs of one side are of one organisation"),
        (own, [own[0]], "--other is for the logs of another organisation"),
        ([files.write(operators)], [], "it is not the log of an organisation's"),
        ([files.write(lying)], [], "contains events of ap"),
        ([files.folder / "none"], [], "none: "),
        ([files.folder / "absent"], [], "absent"),
    ]


@pytest.mark.parametrize("place", range(6))
def test_what_cannot_be_used_ends_with_2_and_one_line(place: int, tmp_path: Path) -> None:
    files = Files(tmp_path, exchanged())
    own, others, why = unusable(files)[place]
    ended = files.reconcile(own, others)
    assert (ended.status, ended.output) == (2, "")
    assert why in ended.complaints
    assert len(ended.complaints.splitlines()) == 1


def test_a_log_that_no_policy_knows_ends_with_2(tmp_path: Path) -> None:
    files = Files(tmp_path, exchanged())
    own = files.of(HABO, "ap")
    (tmp_path / "policy").write_text(
        "log other.example/1+7997405b+AQvGhYWmAi5TPnFXSHqoJRHqDhuAkBfyoEHXFRNxVtYo\nquorum none\n"
    )
    ended = files.reconcile(own)
    assert ended.status == 2
    assert len(ended.complaints.splitlines()) == 1
