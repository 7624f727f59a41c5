"""The rules of the content specification beyond its schema, and validation of an SDK message.

Findings have the codes that the message's receipt must contain (content-specification 4.3, 5.1). Rules that
are also in the published Schematron come first and have its names. The others are only in the text, or are
stricter there; each has its entry in ``docs/differences.py``.

Clauses: content-specification 4.3.2 sentence 3, answers 3-7, 4.3.2.1 answer 2, 4.3.2.2 answer 3, 4.3.2.3
answer 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice

from samdrift.wire import xml
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.errors import WireError
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import (
    FUNCTIONAL_ADDRESS_ROOT,
    PARTICIPANT_SCHEME,
    ParticipantIdentifier,
    is_uuid,
)
from samdrift.wire.sdkmessage.schema import MAX_LABEL, SCHEMA, tag
from samdrift.wire.xml import Element
from samdrift.wire.xml.schema import (
    MAX_FINDINGS,
    Broken,
    Rule,
    RuleBook,
    blank_elements,
    finding,
    is_base64,
    violations,
)

_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}.[0-9]{1,3}Z")


def _context(path: str) -> tuple[str, ...]:
    return tuple(tag(step) for step in path.split("/"))


def _text(holds: Callable[[str], bool]) -> Callable[[Element], bool]:
    return lambda element: holds(xml.text(element))


def _equals(expected: str) -> Callable[[Element], bool]:
    return lambda element: xml.text(element) == expected


def _at_most(length: int) -> Callable[[Element], bool]:
    return lambda element: len(xml.text(element)) <= length


def _has_one(local: str) -> Callable[[Element], bool]:
    expanded = tag(local)
    return lambda element: sum(1 for _ in element.iterchildren(expanded)) == 1


def _has_any(*locals_: str) -> Callable[[Element], bool]:
    """Return a predicate: an element has a child with one of these names.

    Clauses: content-specification 4.3.3.1 sentence 1.
    """
    tags = [tag(local) for local in locals_]
    return lambda element: next(element.iterchildren(*tags), None) is not None


def _is_timestamp(value: str) -> bool:
    """Return whether ``value`` is a timestamp in UTC with one to three fraction digits.

    Clauses: content-specification 4.3.2 answer 2.
    """
    return _TIMESTAMP.fullmatch(value) is not None


def is_file_content(value: str) -> bool:
    """Return whether ``value`` is valid as the content of a file (content-specification 4.3.3.3 content).

    Clauses: content-specification 4.3.3.3 sentence 6.
    """
    return value != "" and is_base64(value)


def _is_participant(value: str) -> bool:
    """Return whether ``value`` is a participant identifier of the federation.

    Clauses: content-specification 4.3.2.1 sentence 2, 4.3.2.2 sentence 4, answer 1.
    """
    try:
        ParticipantIdentifier.parse(value)
    except WireError:
        return False
    return True


_SCHEME = f"must be {PARTICIPANT_SCHEME}"
_PARTICIPANT = "is not a participant identifier of the federation"

NOT_EMPTY = Rule(
    "verifyNonEmptyElements",
    "content-specification 5.1",
    (),
    lambda element: True,
    "Element is included but empty",
)
"""Checked on every element but the root, see :func:`samdrift.wire.xml.schema.blank_elements`."""

PUBLISHED = (
    Rule(
        "conversationIdMustExist",
        "content-specification 4.3.2 conversationId",
        _context("messageHeader"),
        _has_one("conversationId"),
        "In messageHeader, conversationId must be set once",
    ),
    Rule(
        "creationDateTime",
        "content-specification 4.3.2 creationDateTime",
        _context("creationDateTime"),
        _text(_is_timestamp),
        "Timestamp must match YYYY-MM-DDThh:mm:ss.sZ with one to three fraction digits",
    ),
    Rule(
        "MessageId",
        "content-specification 4.3.2 messageId",
        _context("messageId"),
        _text(is_uuid),
        "messageId is not a valid UUID",
    ),
    Rule(
        "conversationId",
        "content-specification 4.3.2 conversationId",
        _context("conversationId"),
        _text(is_uuid),
        "conversationId is not a valid UUID",
    ),
    Rule(
        "refToMessageId",
        "content-specification 4.3.2 refToMessageId",
        _context("refToMessageId"),
        _text(is_uuid),
        "refToMessageId is not a valid UUID",
    ),
    Rule(
        "subjectlabel",
        "content-specification 4.3.2 label",
        _context("messageHeader/label"),
        _at_most(MAX_LABEL),
        f"In messageHeader/label, string length exceeds {MAX_LABEL}",
        Detail.STRUCTURE,
    ),
    Rule(
        "recipientIdvalue",
        "content-specification 4.3.2.1 recipientId",
        _context("recipientID/root"),
        _equals(PARTICIPANT_SCHEME),
        f"In recipientID, root {_SCHEME}",
    ),
    Rule(
        "senderIdvalue",
        "content-specification 4.3.2.2 senderId",
        _context("senderID/root"),
        _equals(PARTICIPANT_SCHEME),
        f"In senderID, root {_SCHEME}",
    ),
    Rule(
        "subOrgRoot",
        "content-specification 4.3.2.3 subOrganization/organizationId",
        _context("subOrganization/organizationId/root"),
        _equals(FUNCTIONAL_ADDRESS_ROOT),
        f"In organizationId, root must be {FUNCTIONAL_ADDRESS_ROOT}",
    ),
)

FROM_THE_TEXT = (
    Rule(
        "label-required",
        "content-specification 4.3.2 label",
        _context("messageHeader"),
        _has_any("label"),
        "In messageHeader, label must be set",
    ),
    Rule(
        "recipient-participant",
        "content-specification 4.3.2.1 recipientId",
        _context("recipientID/extension"),
        _text(_is_participant),
        f"In recipientID, extension {_PARTICIPANT}",
    ),
    Rule(
        "sender-participant",
        "content-specification 4.3.2.2 senderId",
        _context("senderID/extension"),
        _text(_is_participant),
        f"In senderID, extension {_PARTICIPANT}",
    ),
    Rule(
        "reference-length",
        "content-specification 4.3.2.3 reference/referenceId",
        _context("referenceId/extension"),
        _at_most(MAX_LABEL),
        f"In referenceId, string length exceeds {MAX_LABEL}",
    ),
    Rule(
        "document-content",
        "content-specification 4.3.3.1 documents",
        _context("documents"),
        _has_any("ContentFiles", "ContentText"),
        "A document must hold a text or a file",
    ),
    Rule(
        "contentFiles",
        "content-specification 4.3.3.3 content",
        _context("ContentFiles/content"),
        _text(is_file_content),
        "Content is not base64 as in RFC 4648",
    ),
)


def _sorted_when_several(body: Element) -> bool:
    """Return whether documents, if there are several, all have a number as their index.

    Clauses: content-specification 4.3.3.1 sentence 3, sentence 4.
    """
    documents = body.findall(tag("documents"))
    return len(documents) < 2 or all(
        (document.findtext(tag("index")) or "").isdecimal() for document in documents
    )


FOR_SENDERS = (
    Rule(
        "sender-attention",
        "content-specification 4.3.2.2 attention",
        _context("sender"),
        _has_any("attention"),
        "In sender, attention must be set",
    ),
    Rule(
        "document-index",
        "content-specification 4.3.3.1 Index",
        _context("messageBody"),
        _sorted_when_several,
        "Several documents must each have a number as index",
    ),
)
"""Rules for outgoing messages, not applied to incoming ones."""

RULES = RuleBook((*PUBLISHED, *FROM_THE_TEXT))
OUTGOING_RULES = RuleBook(FOR_SENDERS)

MAX_BYTES = 30 << 20
"""Maximum bytes of a whole message; the text says 30 MB (content-specification 4.3.3.3 content, 5.3)."""


def too_long(max_bytes: int = MAX_BYTES) -> Finding:
    """Return the finding about a message above the size limit (content-specification 5.3).

    Clauses: content-specification 4.3.3.3 sentence 7, answer 2, 5.3 row 4.
    """
    return Finding(Reason.RULE, Detail.TOO_LONG, f"Message is larger than {max_bytes} bytes")


def validate(data: bytes | Element, *, max_bytes: int = MAX_BYTES) -> tuple[Finding, ...]:
    """Return the violations of every rule that needs no lookup; () for a valid message.

    Violations of the schema (``SV``) come first, then those of rules (``BV``), at most
    :data:`samdrift.wire.xml.schema.MAX_FINDINGS`. A message above ``max_bytes`` is not examined; a caller
    that passes a tree must have checked the size. Raises :class:`samdrift.wire.errors.WireError` for unusable
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


def broken_rules(elements: list[Element]) -> Iterator[Broken]:
    """Yield the violations of the content specification's rules in a message.

    ``elements`` are all elements of the message, in order.

    Clauses: content-specification 5.3 row 5.
    """
    for element in blank_elements(elements):
        if element is not elements[0]:
            yield Broken(NOT_EMPTY, element)
    yield from RULES.broken(elements)
