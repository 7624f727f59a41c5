"""Sections in evidence over logs in which facts were disposed of, as vaults have them and as forgers do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.audit.entries import Happening, LogEntry
from samdrift.audit.events import AuditEvent, LogEvent, Retention
from samdrift.audit.merkle import Frontier
from samdrift.contracts.principals import Role
from samdrift.evidence import verifying
from samdrift.evidence.gathering import Evidence, Order
from samdrift.messageservice.events import MTEvent
from samdrift.vault.logbook import append_statement
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.audit.logs import BEGUN, Log, Row
from tests.unit.evidence.test_verifying import KEY, MESSAGE
from tests.vaults import Installation

AP = Role.ACCESS_POINT
ROLES = (AP,)
LONG_AGO = datetime(2021, 5, 1, tzinfo=UTC)


class _Sink:
    def __init__(self) -> None:
        self.data = BytesIO()

    async def write(self, data: bytes) -> None:
        self.data.write(data)


async def test_evidence_with_a_section_over_entries_that_were_disposed_of_holds(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async def log(at: datetime, event: AuditEvent, number: int, **ids: str) -> None:
        happening = Happening(at, event, "worker:test", "process", ids)
        statement, values = append_statement([happening] * number)
        async with installation.open(organisation, AP) as vault:
            await vault._work.query(statement, *values)

    await log(LONG_AGO, MTEvent.MT_MESSAGE_READ, 3, message="another")
    await log(datetime.now(UTC), APEvent.AP_TRANSFER_QUEUED, 1, message=MESSAGE)
    await log(LONG_AGO, MTEvent.MT_MESSAGE_READ, 700, message="another")
    await log(datetime.now(UTC), MTEvent.MT_MESSAGE_READ, 3, message=MESSAGE)
    async with installation.open(organisation, AP) as vault:
        before = LONG_AGO + timedelta(days=1)
        assert await vault.tree.dispose(Retention.READING, before, "plan 5", "kim", "alex") == 703
    order = Order(organisation, MESSAGE, "anna", "complaint 7", section=True)
    evidence = await Evidence.find(installation.gate, order, ROLES)
    assert evidence is not None
    sink = _Sink()
    await evidence.write(sink, KEY)
    sink.data.seek(0)
    verdict = await verifying.verify_evidence_in(sink.data, None)
    assert [finding for finding in verdict.findings if not finding.holds] == []
    said = {finding.what: finding.why for finding in verdict.findings}
    assert said["disposals in the section of ap"] == "a decision disposed of the facts of all 700 entries"
    assert int(said["section of ap"].partition(" ")[0]) > 704


def line(row: Row) -> bytes:
    """Return the line of an entry in a section."""
    if row.content is None:
        leaf = {"sequence": row.number, "retention": row.retention, "hash": row.hash.hex()}
        return json.dumps(leaf).encode()
    entry = LogEntry.placed(row.happening, row.number, b"", row.hash, row.retention, row.salt)
    return json.dumps(entry.document()).encode()


def disposed(log: Log, *numbers: int) -> None:
    """Take the facts of entries away."""
    for number in numbers:
        log.rows[number - 1] = replace(log.rows[number - 1], content=None, salt=b"")


def findings(log: Log, start: int = 3) -> dict[str, tuple[bool, str]]:
    """Return the findings about the section of a log from an entry on; that entry is about the message."""
    tree, said = Frontier(), verifying._Said()
    tree.extend(row.leaf.hash for row in log.rows[: start - 1])
    before = {"size": tree.size, "peaks": [peak.hex() for peak in tree.peaks]}
    lines = [line(row) for row in log.rows[start - 1 :]]
    verifying._look(said, "log/mt.jsonl", lines[0])
    verifying._look(said, verifying.before_file(Role.MESSAGE_SERVICE), json.dumps(before).encode())
    verifying._look(said, verifying.section_file(Role.MESSAGE_SERVICE, 1), b"\n".join(lines))
    size = len(log.rows)
    logs = {"mt": {"entries": log.rows[-1].number, "head": log.tree().root(size).hex(), "size": size}}
    found = [*said.findings, *verifying._section(said, "mt", logs, MESSAGE)]
    return {each.what: (each.holds, each.why) for each in found}


WHERE = "disposals in the section of mt"
ABOUT = {Retention.TRANSFER: MTEvent.MT_MESSAGE_DELETED, Retention.READING: MTEvent.MT_MESSAGE_READ}


def log(*classes: Retention, **decision: str) -> Log:
    """Return a log of entries of these classes, then a decision; the third entry is about the message."""
    made = Log()
    for number, each in enumerate(classes, start=1):
        event = LogEvent.LOG_STAMPED if each is Retention.LOG else ABOUT[each]
        made.add(event, BEGUN, bytes([number]) * 16, message=MESSAGE if number == 3 else "another")
    if decision:
        made.add(LogEvent.LOG_FACTS_DISPOSED, BEGUN, bytes(16), **decision)
    return made


T, R, L = Retention.TRANSFER, Retention.READING, Retention.LOG
DECISION = {"class": "reading", "through": "6", "entries": "3"}


def test_facts_of_a_section_may_be_missing_by_a_decision_in_it() -> None:
    one = log(R, R, T, R, T, R, R, **DECISION)
    disposed(one, 1, 2, 4, 6)
    found = findings(one)
    assert [what for what, (holds, _) in found.items() if not holds] == []
    assert found[WHERE] == (True, "a decision disposed of the facts of all 2 entries")
    assert WHERE not in findings(log(R, R, T, R, T)), "nothing is missing"


MISSING = "the facts of entry {} are missing, and no decision in the section disposed of them"


@pytest.mark.parametrize(
    ("decision", "gone", "why"),
    [
        ({}, (4, 6), MISSING.format(4)),
        (DECISION | {"class": "transfer"}, (4, 6), MISSING.format(4)),
        (DECISION | {"class": "log"}, (4, 6), MISSING.format(4)),
        (DECISION | {"class": "none"}, (4, 6), MISSING.format(4)),
        ({"through": "6"}, (4, 6), MISSING.format(4)),
        (DECISION | {"through": "5"}, (4, 6), MISSING.format(6)),
        (DECISION | {"through": "x"}, (4, 6), MISSING.format(4)),
        (DECISION | {"through": "9"}, (4, 6), MISSING.format(4)),
        (DECISION, (4, 5, 6), MISSING.format(5)),
        (DECISION | {"class": "log", "through": "8"}, (8,), MISSING.format(8)),
        (DECISION, (6,), "entry 4 has facts, although a decision disposed of them"),
    ],
)
def test_facts_of_a_section_that_no_decision_disposed_of_are_missed(
    decision: dict[str, str], gone: tuple[int, ...], why: str
) -> None:
    """Otherwise an entry about the message could be left out by leaving out its facts."""
    one = log(R, R, T, R, T, R, R, L, **decision)
    disposed(one, *gone)
    found = findings(one)
    assert found[WHERE] == (False, why)
    assert [what for what, (holds, _) in found.items() if not holds] == [WHERE]


def test_what_only_names_a_decision_is_none() -> None:
    """The class of an entry is hashed with it, its event is not known to the tree."""
    one = log(R, R, T, R, T, R, R, **DECISION)
    one.rows[-1] = replace(one.rows[-1], retention=Retention.TRANSFER)
    disposed(one, 4, 6)
    assert findings(one)[WHERE] == (False, MISSING.format(4))


@pytest.mark.parametrize("change", [{"hash": "00" * 32}, {"retention": 1}, {"sequence": 5}])
def test_a_leaf_without_facts_is_the_one_in_the_tree(change: dict[str, object]) -> None:
    one = log(R, R, T, R, T, R, R, **DECISION)
    disposed(one, 4, 6)
    changed = json.dumps(json.loads(line(one.rows[3])) | change).encode()
    tree, said = Frontier(), verifying._Said()
    tree.extend(row.leaf.hash for row in one.rows[:2])
    said.before["mt"] = tree
    lines = [line(one.rows[2]), changed, *map(line, one.rows[4:])]
    verifying._look(said, "section/mt-000001.jsonl", b"\n".join(lines))
    logs = {"mt": {"entries": 8, "head": one.tree().root(8).hex(), "size": 8}}
    found = [*said.findings, *verifying._section(said, "mt", logs, MESSAGE)]
    assert "section of mt" in [each.what for each in found if not each.holds]


def test_a_section_begins_a_tree_with_an_entry_that_has_facts() -> None:
    said = verifying._Said()
    bare = json.dumps({"sequence": 1, "retention": 2, "hash": "00" * 32}).encode()
    verifying._look(said, "section/mt-000001.jsonl", bare)
    (found,) = said.findings
    assert (found.holds, found.why) == (False, "the chain is broken after entry 0")


@pytest.mark.parametrize("document", [b"5", b"null", b"[]", b'"content"', b"{}", b'["content"]'])
def test_a_line_that_is_neither_an_entry_nor_a_leaf_is_named_as_that(document: bytes) -> None:
    said = verifying._Said()
    verifying._look(said, "section/mt-000001.jsonl", document)
    (found,) = said.findings
    assert (found.holds, found.why) == (False, "not a leaf of a log")
