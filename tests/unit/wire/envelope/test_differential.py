"""Our verdict on envelopes compared with the published schema and Schematron, over thousands of faulty ones.

For each document that XML parsers accept: we find a fault exactly when the schema or the Schematron does and,
if the schema does not, by the same rules. A difference must have an entry in ``ENVELOPE`` of
``docs/differences.py``. The streaming scanner must agree with the check of the tree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from docs.differences import ENVELOPE, EVERY_DOCUMENT
from lxml import etree

from samdrift.wire.codes import Reason
from samdrift.wire.envelope import HeaderScanner, validate
from samdrift.wire.envelope.header import MAX_VALUE
from samdrift.wire.errors import WireError
from samdrift.wire.findings import Finding
from tests.official import read, requires_digg, schema_errors, schematron_failures
from tests.sizes import count, seed, soak
from tests.unit.wire.envelope import envelopes
from tests.unit.wire.mutation import document

DOCUMENTS = count(1500, 30_000)
DOCUMENTED = {difference.name for difference in (*ENVELOPE, *EVERY_DOCUMENT)}
RULES = {f"R{number}-XHE" for number in range(1, 15)} | {"ID", "CreationDateTime", "PartyIdentification"}
CONTENT = f"{{{envelopes.XHA}}}PayloadContent"
SIGNATURE = f"{{{envelopes.DS}}}Signature"


def scanned(data: bytes) -> bool:
    """Return whether the scanner accepts the envelope."""
    scanner = HeaderScanner()
    try:
        scanner.feed(data)
        scanner.close()
    except WireError:
        return False
    return True


def broken_rules(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.text.partition(":")[0] for finding in findings if finding.reason is Reason.RULE}


def without(root: etree._Element, *, payload: bool) -> etree._Element:
    """Return a copy without its signatures and, if requested, with an unknown element as payload."""
    copy = read(etree.tostring(root))
    for signature in copy.findall(SIGNATURE):
        copy.remove(signature)
    for content in copy.iterfind(f".//{CONTENT}") if payload else ():
        content[:] = [
            etree.Element(f"{{{envelopes.FOREIGN}}}x") for child in content if isinstance(child.tag, str)
        ]
    return copy


def explain_structure(root: etree._Element, ours: tuple[Finding, ...]) -> str:
    """Return the name of the difference that explains why only one side finds a fault in the structure."""
    if ours:
        too_long = f"is longer than {MAX_VALUE} characters"
        return "value-length" if all(finding.text.endswith(too_long) for finding in ours) else "structure"
    for name, payload in (("signature-content", False), ("payload-content", True)):
        if not schema_errors("envelope", without(root, payload=payload)):
            return name
    return "structure"


def schematron_rules(root: etree._Element, findings: tuple[Finding, ...]) -> Iterator[str]:
    """Yield rules that the Schematron finds broken, except in elements that we refuse as such (R1-XHE)."""
    refused = tuple(f"{finding.path}/" for finding in findings if finding.text.startswith("R1-XHE"))
    for failure in schematron_failures("envelope", root):
        if failure.path.startswith("/XHE/Signature"):
            yield "signature-content"
        elif not failure.path.startswith(refused):
            yield failure.rule


def compare(data: bytes, tally: Counter[str]) -> Iterator[str]:
    """Yield the names of differences, and count the kind of the document in ``tally``."""
    try:
        root = read(data)
    except etree.XMLSyntaxError:
        tally["not well-formed"] += 1
        with pytest.raises(WireError):
            validate(data)
        assert not scanned(data)
        return
    try:
        findings = validate(data)
    except WireError:
        assert not scanned(data)
        yield "usable-xml" if root.getroottree().docinfo.internalDTD is not None else "refused"
        return
    assert scanned(data) is (not findings)
    structure = tuple(finding for finding in findings if finding.reason is Reason.SCHEMA)
    ours, official = broken_rules(findings), schema_errors("envelope", root)
    if official:
        tally["against the schema"] += 1
        if not findings:
            yield explain_structure(root, ())
        return
    if structure:
        yield explain_structure(root, structure)
        return
    theirs = set(schematron_rules(root, findings))
    if "R10-XHE" in theirs:
        theirs.remove("R11-XHE")  # the same assert twice: see the difference R11-XHE
    tally.update({"valid": not ours, "against a rule": bool(ours), **dict.fromkeys(ours, 1)})
    yield from theirs & {"signature-content"}
    yield from (f"only Schematron: {name}" for name in theirs - ours - {"signature-content"})
    yield from ours - theirs


@soak
@requires_digg
def test_every_difference_is_documented() -> None:
    """Clauses: envelope-profile-xhe 2.5 a, b."""
    rng, tally = Random(seed("samdrift envelope")), Counter[str]()
    unexplained: list[tuple[str, bytes]] = []
    for _ in range(DOCUMENTS):
        data = document(rng, envelopes.ENVELOPE)
        for name in compare(data, tally):
            tally[f"difference {name}"] += 1
            if name not in DOCUMENTED:
                unexplained.append((name, data))
    assert unexplained == [], Counter(name for name, _ in unexplained)
    assert all(
        tally[kind] >= DOCUMENTS // 20 for kind in ("valid", "against the schema", "against a rule")
    ), tally
    assert tally["not well-formed"] >= 10
    assert {f"difference {name}" for name in DOCUMENTED - {"several-signatures"}} <= set(tally), tally
    assert set(tally) >= RULES, "a rule was never broken on its own"
