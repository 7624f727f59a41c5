"""Reads a message receipt into its type (message-receipt 2.2)."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from samdrift.wire import xml
from samdrift.wire.codes import Detail, Reason, ReceiptStatus
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import PARTICIPANT_SCHEME, ParticipantIdentifier
from samdrift.wire.receipt.schema import SCHEMA, SCHEME_ATTRIBUTE, cac, cbc
from samdrift.wire.receipt.types import MessageReceipt, instant
from samdrift.wire.xml import Element
from samdrift.wire.xml.schema.check import require_structure
from samdrift.wire.xml.schema.lexical import WHITESPACE

_Code = TypeVar("_Code", bound=StrEnum)


def parse(data: bytes) -> MessageReceipt:
    """The receipt in ``data``; :class:`WireError` when the structure or a value of it is broken.

    Rules between values are not asked: that is :func:`samdrift.wire.receipt.rules`.
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
    """A code that we know in whatever case it came (the text has ``Not-found``), another as it came."""
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
