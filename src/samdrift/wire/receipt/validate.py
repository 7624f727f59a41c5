"""The verdict on a message receipt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from samdrift.wire import xml
from samdrift.wire.findings import Finding
from samdrift.wire.receipt.rules import NOT_EMPTY, RULES
from samdrift.wire.receipt.schema import SCHEMA
from samdrift.wire.xml import Element
from samdrift.wire.xml.schema.check import MAX_FINDINGS, violations
from samdrift.wire.xml.schema.rules import Broken, blank_leaves, finding


def validate(data: bytes | Element) -> tuple[Finding, ...]:
    """Every rule of message-receipt 3; () is a valid receipt.

    There is no receipt for a receipt: the findings are for the log and for the
    one who asks. :class:`samdrift.wire.errors.WireError` for no usable XML.

    Clauses: message-receipt 3.4 a, b, 3.5 step 1, step 2.
    """
    if isinstance(data, bytes):
        data = xml.parse(data)
    elements = list(data.iter("*"))
    found = violations(data, SCHEMA)
    if data.tag == SCHEMA.root:
        broken = islice(broken_rules(elements), MAX_FINDINGS - len(found))
        found.extend(finding(one, SCHEMA) for one in broken)
    return tuple(found)


def broken_rules(elements: Sequence[Element]) -> Iterator[Broken]:
    """What in a receipt, given as all its elements in order, breaks the rules.

    Clauses: message-receipt 3.5 step 3.
    """
    for element in blank_leaves(elements):
        yield Broken(NOT_EMPTY, element)
    yield from RULES.broken(elements)
