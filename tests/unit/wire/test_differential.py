"""Our verdicts compared with the published schemas and Schematron, over thousands of faulty documents.

For each document that XML parsers accept: we find a fault in its structure exactly when the schema does and,
if the schema does not, we find the same rules broken as the Schematron, by name (and place, for messages). A
difference must have an entry in ``docs/differences.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from random import Random

import pytest
from docs.differences import EVERY_DOCUMENT, MESSAGE, RECEIPT, Difference
from lxml import etree

from samdrift.wire import receipt, sdkmessage, xml
from samdrift.wire import receipt as receipt_rules
from samdrift.wire.codes import Reason
from samdrift.wire.errors import WireError
from samdrift.wire.findings import Finding
from samdrift.wire.receipt import broken_rules as broken_receipt_rules
from samdrift.wire.sdkmessage import rules as message_rules
from samdrift.wire.sdkmessage.rules import broken_rules as broken_message_rules
from samdrift.wire.xml.schema import Broken, Rule
from tests.official import Kind, read, requires_digg, schema_errors, schematron_failures
from tests.schematron import Failure
from tests.sizes import count, seed, soak, whole
from tests.unit.wire import formats
from tests.unit.wire.mutation import XSI, Format, document

pytestmark = requires_digg


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of document, with our judge and the official one."""

    kind: Kind
    format: Format
    validate: Callable[[bytes], tuple[Finding, ...]]
    broken: Callable[[Sequence[etree._Element]], Iterator[Broken]]
    rules: tuple[Rule, ...]
    differences: tuple[Difference, ...]
    documents: int

    def ours(self, root: etree._Element) -> set[tuple[str, str]]:
        broken = self.broken(list(root.iter("*")))
        return {self._key(each.rule.name, xml.path(each.element)) for each in broken}

    def theirs(self, failures: list[Failure]) -> set[tuple[str, str]]:
        return {self._key(failure.rule, failure.path) for failure in failures}

    def _key(self, rule: str, path: str) -> tuple[str, str]:
        return rule, path if self.kind == "sdk-message" else ""


MESSAGES = Subject(
    "sdk-message",
    formats.MESSAGE,
    sdkmessage.validate,
    broken_message_rules,
    (message_rules.NOT_EMPTY, *message_rules.RULES.rules),
    MESSAGE,
    count(4000, 40000),
)
RECEIPTS = Subject(
    "receipt",
    formats.RECEIPT,
    receipt.validate,
    broken_receipt_rules,
    (receipt_rules.NOT_EMPTY, *receipt_rules.RULES.rules),
    RECEIPT,
    count(1500, 30000),
)


def _explain_structure(subject: Subject, root: etree._Element, ours: bool) -> str:
    """Return the difference that explains why only we, or only the schema, find a fault in the structure.

    Both differences concern ``xsi:type``: without it, there must be no fault.
    """
    untyped = deepcopy(root)
    for element in untyped.iter("*"):
        element.attrib.pop(f"{{{XSI}}}type", None)
    if ours and not _finds_structure(subject.validate(etree.tostring(untyped, encoding="UTF-8"))):
        return "derived-type"
    if not ours and not schema_errors(subject.kind, untyped):
        return "extension-type"
    return "structure"


def _finds_structure(findings: tuple[Finding, ...]) -> bool:
    return any(finding.reason is Reason.SCHEMA for finding in findings)


def _compare(subject: Subject, data: bytes, tally: Counter[str]) -> Iterator[str]:
    """Yield the names of differences, and count the kind of the document in ``tally``."""
    try:
        root = read(data)
    except etree.XMLSyntaxError:
        tally["not well-formed"] += 1
        with pytest.raises(WireError):
            subject.validate(data)
        return
    try:
        findings = subject.validate(data)
    except WireError:
        tally["unusable"] += 1
        yield "usable-xml" if root.getroottree().docinfo.internalDTD is not None else "refused"
        return
    found_structure = _finds_structure(findings)
    if found_structure is not bool(schema_errors(subject.kind, root)):
        yield _explain_structure(subject, root, found_structure)
        return
    if found_structure:
        tally["against the schema"] += 1
        return
    ours, theirs = subject.ours(root), subject.theirs(schematron_failures(subject.kind, root))
    assert bool(findings) is bool(ours)
    tally.update({"valid": not ours, "against a rule": bool(ours)})
    tally.update({name for name, _ in ours})
    yield from (f"only Schematron: {name}" for name, _ in theirs - ours)
    yield from (name for name, _ in ours - theirs)


NOT_MADE_HERE = {"size"}
"""Differences that would need a document of 30 MB."""


@soak
@pytest.mark.parametrize(
    "subject", [pytest.param(MESSAGES, marks=whole), RECEIPTS], ids=lambda subject: subject.kind
)
def test_every_difference_is_documented_and_every_documented_one_is_made(subject: Subject) -> None:
    """Clauses: content-specification 5 sentence 2; message-receipt 3.4 a, b."""
    differences = (*subject.differences, *EVERY_DOCUMENT)
    documented = {difference.name for difference in differences if difference.changes_verdict}
    rng = Random(seed(f"samdrift {subject.kind}"))
    tally: Counter[str] = Counter()
    made: dict[str, bytes] = {}
    for _ in range(subject.documents):
        data = document(rng, subject.format)
        made.update((name, data) for name in _compare(subject, data, tally))
    assert {name: data for name, data in made.items() if name not in documented} == {}
    assert documented - set(made) <= NOT_MADE_HERE
    _assert_all_was_tried(subject, tally)


def _assert_all_was_tried(subject: Subject, tally: Counter[str]) -> None:
    kinds = ("valid", "against the schema", "against a rule")
    assert all(tally[kind] >= subject.documents // 20 for kind in kinds), tally
    assert tally["not well-formed"] >= 10
    assert {rule.name for rule in subject.rules} <= set(tally), "a rule was never broken on its own"
