"""Exported logs that their signer has crafted, at every command that reads one: a verdict, or one line."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.audit.chain import ChainHead, link, origin
from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.events import LogEvent, Retention
from samdrift.audit.logparts import SALT, facts_in, records
from samdrift.audit.merkle import MemoryTree, leaf_hash
from samdrift.audit.notes import Checkpoint
from samdrift.audit.tiles import Tile, bundle
from samdrift.messageservice.events import MTEvent
from tests.unit.audit.logs import BEGUN, POLICY, Log, Row
from tests.unit.audit.signing import LOG, ONE, TWO
from tests.unit.audit.test_logverifying import Parts, packed, parts_of
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.evidence.crafted import AT_THE_END, canonical, changed, changed_bytes, either, json_line
from tests.unit.evidence.test_logstatements import by_certificate, by_custodian, stated

LAX = f"log {LOG.key}\nquorum none\n".encode()
DISPOSED_OF = 4
"""Number of the entry whose facts a decision has disposed of."""
SEEN = int((BEGUN + timedelta(hours=1)).timestamp())
COMMANDS = (
    ("log", "verify", "{log}", "--policy", "{policy}", "--max-age", "0"),
    ("log", "search", "{log}", "m"),
    ("log", "sample", "{log}", "--seed", "1", "--class", "all"),
    ("log", "hints", "{log}", "--to", "12:30"),
    ("log", "reconcile", "{log}", "{log}", "--policy", "{policy}"),
)


def valid(folder: Path) -> Parts:
    """Return the parts of a small log with entries of both forms, a statement and a disposal."""
    log, head = Log(name="0203:habo.se mt"), origin("log")
    for number in (1, 2):
        happening = Happening(BEGUN, MTEvent.MT_MESSAGE_SCHEDULED, "worker:test", "", {"message": "m"})
        hashed = link(head.hash, number, happening.content())
        log.chain.append(LogEntry.placed(happening, number, head.hash, hashed))
        head = ChainHead(number, hashed)
    log.add(LogEvent.LOG_TREE_BEGUN, BEGUN, bytes(16), entries="2", head=head.hash.hex())
    for event in (MTEvent.MT_MESSAGE_READ, MTEvent.MT_MESSAGE_RETRIEVED, MTEvent.MT_RECEIPT_QUEUED):
        log.add(event, BEGUN, bytes(16), message="m", envelope="e", as4="a")
    log.dispose(Retention.READING, DISPOSED_OF, BEGUN)
    facts = {"message": "m", "case": "c"}
    happening = Happening(BEGUN, MTEvent.MT_MESSAGE_READ, "user:7", "read", facts)
    log.rows.append(Row.of(len(log.rows) + 3, happening, bytes(16)))
    log.keys.append((LOG.key, b""))
    log.add(LogEvent.LOG_KEY_STATED, BEGUN, bytes(16), key=str(LOG.key))
    made = Crafted(parts_of(log, folder))
    made.state(by_certificate(stated()))
    return made.signed()


class Crafted:
    """The parts of a log with one bundle, which can be changed and signed again."""

    def __init__(self, parts: Parts) -> None:
        self.parts = dict(parts)
        (name,) = (name for name in parts if name.startswith("tile/"))
        self.tile, self.beside = Tile.parse(name), name.removeprefix("tile/entries")
        self.leaves = self.tile.entries(parts[name])
        self.facts = facts_in(parts[f"facts{self.beside}"], self.tile)

    def put(self, place: int, content: bytes) -> None:
        """Give an entry other facts."""
        self.facts[place] = self.facts[place][:SALT] + content
        self.leaves[place] = self.leaves[place][:10] + sha256(self.facts[place]).digest()

    def state(self, statement: bytes) -> None:
        """Put in a statement about the log's key, and its digest into the last entry, which names it."""
        described = json.loads(self.parts["log.json"])
        described["keys"][0]["statement"] = b64encode(statement).decode()
        self.parts["log.json"] = json_line(described)
        facts = json.loads(self.facts[-1][SALT:])
        facts["ids"]["statement"] = sha256(statement).hexdigest()
        self.put(len(self.facts) - 1, canonical(facts))

    @property
    def checkpoint(self) -> bytes:
        tree = MemoryTree(map(leaf_hash, self.leaves))
        return Checkpoint(LOG.name, tree.size, tree.root()).text

    def signed(self, text: bytes | None = None, time: int = SEEN) -> Parts:
        """Return the parts with a checkpoint, of another text than its own where one is given."""
        text = self.checkpoint if text is None else text
        note = text + b"\n" + b"".join(each.line(text, time) for each in (LOG, ONE, TWO))
        order = {name: content for name, content in self.parts.items() if name.split("/")[0] in ORDER}
        order[f"checkpoints{self.beside}"] = records([note])
        order[self.tile.path] = bundle(self.leaves)
        order[f"facts{self.beside}"] = records(self.facts)
        return order


ORDER = ("log.json", "chain")


def other_facts(data: st.DataObject, log: Crafted) -> Parts:
    place = data.draw(st.sampled_from([number for number, record in enumerate(log.facts) if record]))
    log.put(place, either(data, log.facts[place][SALT:], canonical))
    return log.signed()


def another_leaf(data: st.DataObject, log: Crafted) -> Parts:
    place = data.draw(st.integers(0, len(log.leaves) - 1))
    log.leaves[place] = changed_bytes(data, log.leaves[place])
    return log.signed()


def another_description(data: st.DataObject, log: Crafted) -> Parts:
    log.parts["log.json"] = either(data, log.parts["log.json"])
    return log.signed()


def another_chain(data: st.DataObject, log: Crafted) -> Parts:
    first, *rest = log.parts["chain/000001.jsonl"].splitlines()
    if data.draw(st.booleans()):
        entry = json.loads(first)
        content = either(data, entry["content"].encode(), canonical)
        entry["content"] = content.decode("utf-8", "replace")
        entry["hash"] = link(bytes.fromhex(entry["previous"]), 1, content).hex()
        first = json_line(entry)
    else:
        first = either(data, first)
    log.parts["chain/000001.jsonl"] = b"\n".join([first, *rest])
    return log.signed()


def another_checkpoint(data: st.DataObject, log: Crafted) -> Parts:
    text = changed_bytes(data, log.checkpoint) if data.draw(st.booleans()) else log.checkpoint
    return log.signed(text, data.draw(st.sampled_from([0, 1, SEEN, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])))


def another_statement(data: st.DataObject, log: Crafted) -> Parts:
    make = data.draw(st.sampled_from([by_certificate, by_custodian]))
    if data.draw(st.booleans()):
        log.state(either(data, make(stated())))
    else:
        name, odd = data.draw(st.sampled_from(sorted(stated()))), changed(data, "")
        log.state(make({**stated(), name: odd if odd != "\ud800" else AT_THE_END}))
    return log.signed()


def another_part(data: st.DataObject, log: Crafted) -> Parts:
    parts = log.signed()
    name = data.draw(st.sampled_from(sorted(parts)))
    what = data.draw(st.sampled_from(["changed", "gone", "empty", "moved"]))
    if what in ("changed", "empty"):
        return parts | {name: changed_bytes(data, parts[name]) if what == "changed" else b""}
    content = parts.pop(name)
    others = [*sorted(parts), "tile/0/000", "tile/entries/001", "chain/000002.jsonl", "stamps/000001.note"]
    return parts if what == "gone" else parts | {data.draw(st.sampled_from(others)): content}


KINDS: tuple[Callable[[st.DataObject, Crafted], Parts], ...] = (
    *(other_facts, another_leaf, another_description, another_chain),
    *(another_checkpoint, another_statement, another_part),
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return valid(tmp_path_factory.mktemp("valid"))


def outcome(command: tuple[str, ...], parts: Parts, folder: Path, policy: bytes = POLICY) -> Ended:
    """Run a command on a log; it ends with a verdict on it, or with 2 and one line."""
    (folder / "policy").write_bytes(policy)
    log = packed(parts, folder / "log")
    try:
        ended = in_process(*(word.format(log=log, policy=folder / "policy") for word in command))
    except Exception as error:
        raise AssertionError(f"{command[1]} ends with {error!r}") from error
    assert (ended.status, len(ended.complaints.splitlines())) in ((0, 0), (1, 0), (2, 1)), ended
    return ended


def test_the_log_from_which_others_are_crafted_holds(parts: Parts, tmp_path: Path) -> None:
    assert [outcome(command, parts, tmp_path).status for command in COMMANDS] == [0, 0, 0, 0, 1]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_a_signer_puts_into_a_log_there_is_a_verdict_or_one_line(
    parts: Parts, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    made = data.draw(st.sampled_from(KINDS))(data, Crafted(parts))
    policy, command = data.draw(st.sampled_from([POLICY, LAX])), data.draw(st.sampled_from(COMMANDS))
    more = data.draw(st.sampled_from([(), ("--json",)]))
    outcome((*command, *more), made, tmp_path_factory.mktemp("crafted"), policy)


def verdict(parts: Parts, folder: Path, policy: bytes = POLICY) -> dict[str, Any]:
    return dict(outcome((*COMMANDS[0], "--json"), parts, folder, policy).document)


@pytest.mark.parametrize("leaf", [b"", b"\x02", b"\x07" * 42])
def test_an_entry_whose_form_is_not_known_is_only_a_leaf(leaf: bytes, parts: Parts, tmp_path: Path) -> None:
    log = Crafted(parts)
    log.leaves[2] = leaf
    found = verdict(log.signed(), tmp_path)
    assert (found["holds"], found["not_understood"], found["size"]) == (True, 1, len(log.leaves))


@pytest.mark.parametrize("leaf", [b"", b"\x02", b"\x07" * 42])
def test_a_tree_begins_with_an_entry_that_is_known(leaf: bytes, parts: Parts, tmp_path: Path) -> None:
    """Its facts name the entries before it, and no other form shows that they are its facts."""
    log = Crafted(parts)
    log.leaves[0] = leaf
    found = verdict(log.signed(), tmp_path)
    assert not found["holds"]
    assert "does not match the entries before it" in found["first_wrong"]["why"]


def decision(log: Crafted) -> int:
    return next(number for number, record in enumerate(log.facts) if b"log:facts:disposed" in record)


@pytest.mark.parametrize("at", [None, 7, "", "soon", [], {}])
@pytest.mark.parametrize("policy", [POLICY, LAX])
def test_a_decision_that_does_not_say_when_is_wrong(
    at: object, policy: bytes, parts: Parts, tmp_path: Path
) -> None:
    log = Crafted(parts)
    place = decision(log)
    facts = json.loads(log.facts[place][SALT:])
    facts = {"at_": facts.pop("at")} | facts | ({} if at is None else {"at": at})
    content = json.dumps(facts, separators=(",", ":")).encode().replace(b'"at_"', b'"aT"')
    log.put(place, content)
    found = verdict(log.signed(), tmp_path, policy)
    assert not found["holds"]
    assert found["first_wrong"]["number"] == DISPOSED_OF


@pytest.mark.parametrize("through", ["1e999", "NaN", "null", '"many"', "[]"])
def test_a_decision_up_to_no_number_is_wrong(through: str, parts: Parts, tmp_path: Path) -> None:
    log = Crafted(parts)
    place = decision(log)
    log.put(place, log.facts[place][SALT:].replace(b'"through":"4"', b'"through":' + through.encode()))
    found = verdict(log.signed(), tmp_path)
    assert not found["holds"]
    assert found["first_wrong"]["number"] == DISPOSED_OF


@pytest.mark.parametrize("command", COMMANDS[1:], ids=lambda command: command[1])
def test_an_entry_at_the_end_of_time_cannot_be_used(
    command: tuple[str, ...], parts: Parts, tmp_path: Path
) -> None:
    """Its time in Sweden, or an hour later, is no time that can be computed with."""
    log = Crafted(parts)
    for place, record in enumerate(log.facts):
        if b"mt:message:read" in record:
            log.put(place, record[SALT:].replace(b"2026-03-02T12:00:00.000000", AT_THE_END[:26].encode()))
    assert outcome(command, log.signed(), tmp_path, LAX).status == 2
