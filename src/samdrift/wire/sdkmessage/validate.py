"""The verdict on an SDK message, with the codes that its receipt shall carry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from samdrift.wire import xml
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.findings import Finding
from samdrift.wire.sdkmessage.rules import NOT_EMPTY, RULES
from samdrift.wire.sdkmessage.schema import SCHEMA
from samdrift.wire.xml import Element
from samdrift.wire.xml.schema.check import MAX_FINDINGS, violations
from samdrift.wire.xml.schema.rules import Broken, blank_elements, finding

MAX_BYTES = 30 << 20
"""Bytes of a whole message: the text says 30 MB (content-specification 4.3.3.3 content, 5.3)."""


def too_long(max_bytes: int = MAX_BYTES) -> Finding:
    """Return the finding about a message over that size (content-specification 5.3).

    Clauses: content-specification 4.3.3.3 sentence 7, answer 2, 5.3 row 4.
    """
    return Finding(Reason.RULE, Detail.TOO_LONG, f"Message is larger than {max_bytes} bytes")


def validate(data: bytes | Element, *, max_bytes: int = MAX_BYTES) -> tuple[Finding, ...]:
    """Every rule that needs no lookup; () is a valid message.

    First what breaks the schema (``SV``), then what breaks a rule (``BV``), at
    most :data:`samdrift.wire.xml.schema.check.MAX_FINDINGS`. A message over
    ``max_bytes`` is not looked into. Only bytes have a size: one who passes a tree
    has checked it. :class:`samdrift.wire.errors.WireError` for what is no usable
    XML, to which no receipt is sent (message-receipt 2.1.2).

    Clauses: content-specification 5 sentence 2, 5.3 row 2.
    """
    if isinstance(data, bytes):
        if len(data) > max_bytes:
            return (too_long(max_bytes),)
        data = xml.parse(data, xml.LARGE)
    elements = list(data.iter("*"))
    found = violations(data, SCHEMA)
    if data.tag == SCHEMA.root:
        broken = islice(broken_rules(elements), MAX_FINDINGS - len(found))
        found.extend(finding(one, SCHEMA) for one in broken)
    return tuple(found)


def broken_rules(elements: Sequence[Element]) -> Iterator[Broken]:
    """Return the violations of the content specification's rules in a message, given as all its elements in
    order.

    Clauses: content-specification 5.3 row 5.
    """
    for element in blank_elements(elements):
        if element is not elements[0]:
            yield Broken(NOT_EMPTY, element)
    yield from RULES.broken(elements)
