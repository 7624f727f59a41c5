"""The message receipt, UBL ApplicationResponse in DIGG's profile (message-receipt 1.0).

A :class:`MessageReceipt` is a frozen type whose time has a zone (message-receipt 2.2, 3.1 c).
:func:`build` and :func:`parse` convert it to and from XML; :func:`validate` returns the violations.

One table has the elements, their order and number (message-receipt 3.1, reduced schema 3.6). Another has the
rules beyond the schema: those of the published Schematron have its identifiers, R1-APP to R9-APP. The parts
of R1 and R9 about elements that the reduced schema does not have or requires anyway are left to the schema.
The remaining rules are only in the text; each has its entry in ``docs/differences.py``.

Clauses: message-receipt 3.1 sentence 1, a, b, f, 3.3 a, 3.4 R1-APP, R2-APP, R3-APP, R4-APP, R5-APP,
R6-APP, R7-APP, R8-APP, R9-APP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any, TypeVar

from lxml import etree

from samdrift.wire import xml
from samdrift.wire.codes import Detail, Reason, ReceiptStatus
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import NO_PROCESS, PARTICIPANT_SCHEME, ParticipantIdentifier
from samdrift.wire.xml import Element, Namespace, schema
from samdrift.wire.xml.schema import (
    MAX_FINDINGS,
    WHITESPACE,
    Broken,
    Particle,
    Rule,
    RuleBook,
    Schema,
    Sequence,
    Simple,
    blank_leaves,
    finding,
    require_structure,
    violations,
)

_DATE_LENGTH = len("2021-03-24")
_MIDNIGHT_AFTER = "24:"

CUSTOMIZATION = "urn:fdc:digg.se:edelivery:messagetype:response:1"
"""Identifier of the profile of UBL ApplicationResponse (message-receipt 3.1 a)."""

SCHEME_ATTRIBUTE = "schemeID"
_Code = TypeVar("_Code", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class MessageReceipt:
    """The recipient's response to the sender of a message.

    ``sender`` is the organisation that issues the receipt, ``receiver`` the one that sent the message;
    ``message_id`` is the identifier on that message's envelope. ``issued`` has a time zone. ``findings`` is
    empty exactly if the message was accepted.
    """

    id: str
    issued: datetime
    sender: ParticipantIdentifier
    receiver: ParticipantIdentifier
    message_id: str
    status: ReceiptStatus
    findings: tuple[Finding, ...] = ()


def instant(date: str, time: str) -> datetime | None:
    """Return the time in UTC; ``None`` if it has no zone or is outside the years 1 to 9999.

    A zone on the date, which XML Schema allows, is ignored, since the time has one. ``24:00:00`` is the start
    of the next day.

    Clauses: message-receipt 3.1 c.
    """
    day, clock = date.strip(WHITESPACE)[:_DATE_LENGTH], time.strip(WHITESPACE)
    late = clock.startswith(_MIDNIGHT_AFTER)
    if late:
        clock = clock.replace(_MIDNIGHT_AFTER, "00:", 1)
    try:
        at = datetime.fromisoformat(f"{day}T{clock}")
        return None if at.tzinfo is None else (at + timedelta(days=late)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def date_and_time(at: datetime) -> tuple[str, str]:
    """Return ``IssueDate`` and ``IssueTime`` in UTC, in whole seconds."""
    if at.tzinfo is None:
        raise ValueError("a receipt's time needs a time zone")
    whole = at.astimezone(UTC).replace(tzinfo=None)
    return whole.date().isoformat(), f"{whole.time().isoformat('seconds')}Z"


def root(local: str) -> str:
    """Return the expanded name of an element or type of the document itself."""
    return xml.name(Namespace.UBL_RESPONSE, local)


def cac(local: str) -> str:
    """Return the expanded name of an element that contains elements."""
    return xml.name(Namespace.UBL_AGGREGATE, local)


def cbc(local: str) -> str:
    """Return the expanded name of an element that contains a value."""
    return xml.name(Namespace.UBL_BASIC, local)


def _sequence(type_name: str, *particles: Particle) -> Sequence:
    return Sequence(type_name, particles)


def _declared_value(local: str, *, minimum: int = 1) -> Particle:
    return Particle(cbc(local), Simple(cbc(f"{local}Type")), minimum)


def _identifier(local: str) -> Particle:
    return Particle(cbc(local), Simple(cbc(f"{local}Type"), attributes=frozenset((SCHEME_ATTRIBUTE,))))


def _declared_part(local: str, declared: Sequence, minimum: int = 1, maximum: int | None = 1) -> Particle:
    return Particle(cac(local), declared, minimum, maximum)


_DATE = Simple(cbc("IssueDateType"), schema.is_date, "is not a date")
_TIME = Simple(cbc("IssueTimeType"), schema.is_time, "is not a time")
_PARTY = _sequence(cac("PartyType"), _identifier("EndpointID"))

_STATUS = _sequence(
    cac("StatusType"), _declared_value("StatusReasonCode", minimum=0), _declared_value("StatusReason")
)

_RESPONSE = _sequence(
    cac("ResponseType"), _declared_value("ResponseCode"), _declared_part("Status", _STATUS, minimum=0)
)

_LINE = _sequence(
    cac("LineResponseType"),
    _declared_part("LineReference", _sequence(cac("LineReferenceType"), _identifier("LineID"))),
    _declared_part("Response", _RESPONSE),
)

_DOCUMENT = _sequence(
    cac("DocumentResponseType"),
    _declared_part("Response", _RESPONSE),
    _declared_part("DocumentReference", _sequence(cac("DocumentReferenceType"), _identifier("ID"))),
    _declared_part("LineResponse", _LINE, minimum=0, maximum=None),
)

SCHEMA = Schema(
    Namespace.UBL_RESPONSE,
    root("ApplicationResponse"),
    _sequence(
        root("ApplicationResponseType"),
        _identifier("CustomizationID"),
        _identifier("ProfileID"),
        _identifier("ID"),
        Particle(cbc("IssueDate"), _DATE),
        Particle(cbc("IssueTime"), _TIME),
        _declared_part("SenderParty", _PARTY),
        _declared_part("ReceiverParty", _PARTY),
        _declared_part("DocumentResponse", _DOCUMENT),
    ),
)

_RECEIPT = (root("ApplicationResponse"),)
_DOCUMENT_RESPONSE = (*_RECEIPT, cac("DocumentResponse"))
_RESPONSE_PATH = (*_DOCUMENT_RESPONSE, cac("Response"))
_LINE_RESPONSE = (*_DOCUMENT_RESPONSE, cac("LineResponse"), cac("Response"))
_PARTIES = ((*_RECEIPT, cac("SenderParty")), (*_RECEIPT, cac("ReceiverParty")))

_BARE_IDENTIFIERS = (
    (*_RECEIPT, cbc("CustomizationID")),
    (*_RECEIPT, cbc("ProfileID")),
    (*_RECEIPT, cbc("ID")),
    (*_DOCUMENT_RESPONSE, cac("DocumentReference"), cbc("ID")),
    (*_DOCUMENT_RESPONSE, cac("LineResponse"), cac("LineReference"), cbc("LineID")),
)


def _value_of(element: Element) -> str:
    return xml.text(element).strip(WHITESPACE)


def _one_of(*values: str) -> Callable[[Element], bool]:
    return lambda element: _value_of(element) in values


def _has(tag: str) -> Callable[[Element], bool]:
    return lambda element: next(element.iterchildren(tag), None) is not None


def _lacks(tag: str) -> Callable[[Element], bool]:
    return lambda element: next(element.iterchildren(tag), None) is None


def _lines_only_when(status: ReceiptStatus, *, present: bool) -> Callable[[Element], bool]:
    """Return a rule on a response with ``status``: reasons must be present, or absent, as given."""

    def holds(response: Element) -> bool:
        code = next(response.iterchildren(cbc("ResponseCode")), None)
        if code is None or _value_of(code) != status:
            return True
        return any(True for _ in response.itersiblings(cac("LineResponse"))) is present

    return holds


def _endpoint_has_scheme(party: Element) -> bool:
    """Return whether the party's EndpointID has a scheme.

    Clauses: message-receipt 3.1 d, e.
    """
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
"""Checked on every element without child elements, see :func:`samdrift.wire.xml.schema.blank_leaves`."""

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
        _RESPONSE_PATH,
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
        (*_RESPONSE_PATH, cbc("ResponseCode")),
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
        _RESPONSE_PATH,
        _lines_only_when(ReceiptStatus.ACCEPTED, present=False),
        "A receipt that accepts has no reasons",
    ),
    Rule(
        "R8-APP",
        "message-receipt 3.1 f",
        _RESPONSE_PATH,
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
        "IssueDate and IssueTime must form a time with its time zone",
    ),
)

RULES = RuleBook((*PUBLISHED, *FROM_THE_TEXT))


def validate(data: bytes | Element) -> tuple[Finding, ...]:
    """Return the violations of every rule of message-receipt 3; () for a valid receipt.

    There is no receipt for a receipt: the findings are for the log and for the caller. Raises
    :class:`samdrift.wire.errors.WireError` if the XML is not usable.

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


def broken_rules(elements: list[Element]) -> Iterator[Broken]:
    """Yield the violations of the rules in a receipt, passed as the list of all its elements in order.

    Clauses: message-receipt 3.5 step 3.
    """
    for element in blank_leaves(elements):
        yield Broken(NOT_EMPTY, element)
    yield from RULES.broken(elements)


_PREFIXES: dict[Any, str] = {
    None: SCHEMA.namespace,
    "cac": Namespace.UBL_AGGREGATE,
    "cbc": Namespace.UBL_BASIC,
}


def build(receipt: MessageReceipt) -> bytes:
    """Write the receipt as UTF-8 XML; raise :class:`WireError` if it would violate a rule.

    Clauses: transport-model-base 2.9.3 b.
    """
    date, time = date_and_time(receipt.issued)
    try:
        root = _response(receipt, date, time)
    except ValueError:
        raise WireError(WireFault.STRUCTURE, "a character that XML does not allow", "receipt") from None
    for found in validate(root):
        raise WireError(WireFault.STRUCTURE, found.text, found.path)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _response(receipt: MessageReceipt, date: str, time: str) -> Element:
    root = etree.Element(SCHEMA.root, nsmap=_PREFIXES)
    _append_value(root, "CustomizationID", CUSTOMIZATION)
    _append_value(root, "ProfileID", NO_PROCESS.value)
    _append_value(root, "ID", receipt.id)
    _append_value(root, "IssueDate", date)
    _append_value(root, "IssueTime", time)
    _party(root, "SenderParty", receipt.sender)
    _party(root, "ReceiverParty", receipt.receiver)
    document = _append(root, "DocumentResponse")
    _append_value(_append(document, "Response"), "ResponseCode", receipt.status)
    _append_value(_append(document, "DocumentReference"), "ID", receipt.message_id)
    for each in receipt.findings:
        _line(document, each)
    return root


def _party(root: Element, local: str, participant: ParticipantIdentifier) -> None:
    endpoint = _append_value(_append(root, local), "EndpointID", participant.value)
    endpoint.set(SCHEME_ATTRIBUTE, participant.scheme)


def _line(document: Element, reported: Finding) -> None:
    line = _append(document, "LineResponse")
    _append_value(_append(line, "LineReference"), "LineID", reported.path)
    response = _append(line, "Response")
    _append_value(response, "ResponseCode", reported.reason)
    status = _append(response, "Status")
    if reported.detail:
        _append_value(status, "StatusReasonCode", reported.detail)
    _append_value(status, "StatusReason", reported.text)


def _append(parent: Element, local: str) -> Element:
    return etree.SubElement(parent, cac(local))


def _append_value(parent: Element, local: str, text: str) -> Element:
    element = etree.SubElement(parent, cbc(local))
    element.text = text
    return element


def parse(data: bytes) -> MessageReceipt:
    """Read a receipt; raise :class:`WireError` if its structure or a value is invalid.

    Rules between values are not checked here: :func:`validate` does that.
    """
    receipt = xml.parse(data)
    require_structure(receipt, SCHEMA)
    document = _one(receipt, cac("DocumentResponse"))
    issued = instant(_text(receipt, "IssueDate"), _text(receipt, "IssueTime"))
    if issued is None:
        raise WireError(WireFault.STRUCTURE, "no time with its time zone", "IssueTime")
    return MessageReceipt(
        id=_text(receipt, "ID"),
        issued=issued,
        sender=_participant(_one(receipt, cac("SenderParty"))),
        receiver=_participant(_one(receipt, cac("ReceiverParty"))),
        message_id=_text(_one(document, cac("DocumentReference")), "ID"),
        status=_code(ReceiptStatus, _one(document, cac("Response"))),
        findings=tuple(map(_finding, document.iterchildren(cac("LineResponse")))),
    )


def _finding(line: Element) -> Finding:
    response = _one(line, cac("Response"))
    status = _one(response, cac("Status"))
    return Finding(
        _code(Reason, response),
        _detail(status),
        _text(status, "StatusReason"),
        _text(_one(line, cac("LineReference")), "LineID"),
    )


def _detail(status: Element) -> str:
    """Return a known code whatever its case (the text has ``Not-found``), and any other as received."""
    code = next(status.iterchildren(cbc("StatusReasonCode")), None)
    text = "" if code is None else xml.text(code).strip(WHITESPACE)
    try:
        return Detail(text.lower())
    except ValueError:
        return text


def _code(codes: type[_Code], response: Element) -> _Code:
    try:
        return codes(_text(response, "ResponseCode"))
    except ValueError:
        raise WireError(WireFault.STRUCTURE, "a code that is not in its list", "ResponseCode") from None


def _participant(party: Element) -> ParticipantIdentifier:
    endpoint = _one(party, cbc("EndpointID"))
    if endpoint.get(SCHEME_ATTRIBUTE) != PARTICIPANT_SCHEME:
        raise WireError(WireFault.IDENTIFIER, f"schemeID is not {PARTICIPANT_SCHEME}", "EndpointID")
    return ParticipantIdentifier.parse(xml.text(endpoint))


def _text(parent: Element, local: str) -> str:
    return xml.text(_one(parent, cbc(local))).strip(WHITESPACE)


def _one(parent: Element, tag: str) -> Element:
    element = next(parent.iterchildren(tag), None)
    if element is None:
        raise WireError(WireFault.STRUCTURE, f"{tag.rpartition('}')[2]} is missing", xml.path(parent))
    return element
