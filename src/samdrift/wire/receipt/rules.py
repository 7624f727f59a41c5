"""Rules of the message receipt beyond its schema (message-receipt 3.1, 3.3, 3.4), and the verdict.

Those of the published Schematron bear its identifiers, R1-APP to R9-APP. What
R1 and R9 say of elements that the reduced schema does not have or requires
anyway is left to the schema. The rest stand only in the text; each has its entry
in ``docs/differences.py``.

Clauses: message-receipt 3.1 a, b, f, 3.3 a, 3.4 R1-APP, R2-APP, R3-APP, R4-APP, R5-APP, R6-APP, R7-APP,
R8-APP, R9-APP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from samdrift.wire import xml
from samdrift.wire.codes import Reason, ReceiptStatus
from samdrift.wire.errors import WireError
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import NO_PROCESS, PARTICIPANT_SCHEME, ParticipantIdentifier
from samdrift.wire.receipt.schema import CUSTOMIZATION, SCHEMA, SCHEME_ATTRIBUTE, cac, cbc, root
from samdrift.wire.receipt.types import instant
from samdrift.wire.xml import Element
from samdrift.wire.xml.schema.check import MAX_FINDINGS, violations
from samdrift.wire.xml.schema.lexical import WHITESPACE
from samdrift.wire.xml.schema.rules import Broken, Rule, RuleBook, blank_leaves, finding

_RECEIPT = (root("ApplicationResponse"),)
_DOCUMENT_RESPONSE = (*_RECEIPT, cac("DocumentResponse"))
_RESPONSE = (*_DOCUMENT_RESPONSE, cac("Response"))
_LINE_RESPONSE = (*_DOCUMENT_RESPONSE, cac("LineResponse"), cac("Response"))
_PARTIES = ((*_RECEIPT, cac("SenderParty")), (*_RECEIPT, cac("ReceiverParty")))
_BARE_IDENTIFIERS = (
    (*_RECEIPT, cbc("CustomizationID")),
    (*_RECEIPT, cbc("ProfileID")),
    (*_RECEIPT, cbc("ID")),
    (*_DOCUMENT_RESPONSE, cac("DocumentReference"), cbc("ID")),
    (*_DOCUMENT_RESPONSE, cac("LineResponse"), cac("LineReference"), cbc("LineID")),
)


def _value(element: Element) -> str:
    return xml.text(element).strip(WHITESPACE)


def _one_of(*values: str) -> Callable[[Element], bool]:
    return lambda element: _value(element) in values


def _has(tag: str) -> Callable[[Element], bool]:
    return lambda element: next(element.iterchildren(tag), None) is not None


def _lacks(tag: str) -> Callable[[Element], bool]:
    return lambda element: next(element.iterchildren(tag), None) is None


def _lines_only_when(status: ReceiptStatus, *, present: bool) -> Callable[[Element], bool]:
    """Holds unless the response has ``status`` and reasons are not there as they should be."""

    def holds(response: Element) -> bool:
        code = next(response.iterchildren(cbc("ResponseCode")), None)
        if code is None or _value(code) != status:
            return True
        return any(True for _ in response.itersiblings(cac("LineResponse"))) is present

    return holds


def _endpoint_has_scheme(party: Element) -> bool:
    """Clauses: message-receipt 3.1 d, e."""
    return any(
        endpoint.get(SCHEME_ATTRIBUTE) is not None for endpoint in party.iterchildren(cbc("EndpointID"))
    )


def _is_participant(endpoint: Element) -> bool:
    try:
        ParticipantIdentifier.parse(xml.text(endpoint))
    except WireError:
        return False
    return True


def _has_instant(receipt: Element) -> bool:
    date = next(receipt.iterchildren(cbc("IssueDate")), None)
    time = next(receipt.iterchildren(cbc("IssueTime")), None)
    return date is None or time is None or instant(xml.text(date), xml.text(time)) is not None


NOT_EMPTY = Rule(
    "R2-APP", "message-receipt 3.3 a", (), lambda element: True, "Empty elements must not be given"
)
"""Asked of every element without child elements, see :func:`samdrift.wire.xml.schema.rules.blank_leaves`."""

PUBLISHED = (
    *(
        Rule(
            "R1-APP",
            "message-receipt 3.4 R1-APP",
            context,
            lambda element: element.get(SCHEME_ATTRIBUTE) is None,
            "Only EndpointID has a schemeID",
        )
        for context in _BARE_IDENTIFIERS
    ),
    Rule(
        "R1-APP",
        "message-receipt 3.4 R1-APP",
        _RESPONSE,
        _lacks(cac("Status")),
        "The response to the document has no Status",
    ),
    Rule(
        "R3-APP",
        "message-receipt 3.1 a",
        (*_RECEIPT, cbc("CustomizationID")),
        _one_of(CUSTOMIZATION),
        f"CustomizationID must be {CUSTOMIZATION}",
    ),
    Rule(
        "R4-APP",
        "message-receipt 3.1 b",
        (*_RECEIPT, cbc("ProfileID")),
        _one_of(NO_PROCESS.value),
        f"ProfileID must be {NO_PROCESS.value}",
    ),
    Rule(
        "R5-APP",
        "message-receipt 4.1",
        (*_RESPONSE, cbc("ResponseCode")),
        _one_of(*ReceiptStatus),
        "The receipt code must be ACCEPTED or REJECTED",
    ),
    Rule(
        "R6-APP",
        "message-receipt 4.2",
        (*_LINE_RESPONSE, cbc("ResponseCode")),
        _one_of(*Reason),
        "The reason code must be SV, BV or SIG",
    ),
    Rule(
        "R7-APP",
        "message-receipt 3.4 R7-APP",
        _RESPONSE,
        _lines_only_when(ReceiptStatus.ACCEPTED, present=False),
        "A receipt that accepts has no reasons",
    ),
    Rule(
        "R8-APP",
        "message-receipt 3.1 f",
        _RESPONSE,
        _lines_only_when(ReceiptStatus.REJECTED, present=True),
        "A receipt that rejects has at least one reason",
    ),
    Rule(
        "R9-APP",
        "message-receipt 3.4 R9-APP",
        _LINE_RESPONSE,
        _has(cac("Status")),
        "A reason must have a Status",
    ),
    *(
        Rule(
            "R9-APP",
            "message-receipt 3.4 R9-APP",
            context,
            _endpoint_has_scheme,
            "EndpointID must have a schemeID",
        )
        for context in _PARTIES
    ),
)

FROM_THE_TEXT = (
    *(
        Rule(
            "endpoint-scheme",
            "message-receipt 3.1 d, e",
            (*context, cbc("EndpointID")),
            lambda element: element.get(SCHEME_ATTRIBUTE, PARTICIPANT_SCHEME) == PARTICIPANT_SCHEME,
            f"schemeID must be {PARTICIPANT_SCHEME}",
        )
        for context in _PARTIES
    ),
    *(
        Rule(
            "endpoint-participant",
            "message-receipt 2.2",
            (*context, cbc("EndpointID")),
            _is_participant,
            "EndpointID is not a participant identifier of the federation",
        )
        for context in _PARTIES
    ),
    Rule(
        "issue-instant",
        "message-receipt 3.1 c",
        _RECEIPT,
        _has_instant,
        "IssueDate and IssueTime must give a time with its time zone",
    ),
)

RULES = RuleBook((*PUBLISHED, *FROM_THE_TEXT))


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
    """Return the violations of the rules in a receipt, given as all its elements in order.

    Clauses: message-receipt 3.5 step 3.
    """
    for element in blank_leaves(elements):
        yield Broken(NOT_EMPTY, element)
    yield from RULES.broken(elements)
