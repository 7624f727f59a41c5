"""Writes a message receipt (message-receipt 3.1, 3.2)."""

from __future__ import annotations

from typing import Any

from lxml import etree

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import NO_PROCESS, ParticipantIdentifier
from samdrift.wire.receipt.rules import validate
from samdrift.wire.receipt.schema import CUSTOMIZATION, SCHEMA, SCHEME_ATTRIBUTE, cac, cbc
from samdrift.wire.receipt.types import MessageReceipt, date_and_time
from samdrift.wire.xml import Element, Namespace

_PREFIXES: dict[Any, str] = {
    None: SCHEMA.namespace,
    "cac": Namespace.UBL_AGGREGATE,
    "cbc": Namespace.UBL_BASIC,
}


def build(receipt: MessageReceipt) -> bytes:
    """The receipt as UTF-8 XML, valid by construction; :class:`WireError` for what would break a rule.

    Clauses: transport-model-base 2.9.3 b.
    """
    date, time = date_and_time(receipt.issued)
    try:
        root = _response(receipt, date, time)
    except ValueError:
        raise WireError(WireFault.STRUCTURE, "a character that XML does not allow", "receipt") from None
    for finding in validate(root):
        raise WireError(WireFault.STRUCTURE, finding.text, finding.path)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _response(receipt: MessageReceipt, date: str, time: str) -> Element:
    root = etree.Element(SCHEMA.root, nsmap=_PREFIXES)
    _value(root, "CustomizationID", CUSTOMIZATION)
    _value(root, "ProfileID", NO_PROCESS.value)
    _value(root, "ID", receipt.id)
    _value(root, "IssueDate", date)
    _value(root, "IssueTime", time)
    _party(root, "SenderParty", receipt.sender)
    _party(root, "ReceiverParty", receipt.receiver)
    document = _part(root, "DocumentResponse")
    _value(_part(document, "Response"), "ResponseCode", receipt.status)
    _value(_part(document, "DocumentReference"), "ID", receipt.message_id)
    for finding in receipt.findings:
        _line(document, finding)
    return root


def _party(root: Element, local: str, participant: ParticipantIdentifier) -> None:
    endpoint = _value(_part(root, local), "EndpointID", participant.value)
    endpoint.set(SCHEME_ATTRIBUTE, participant.scheme)


def _line(document: Element, finding: Finding) -> None:
    line = _part(document, "LineResponse")
    _value(_part(line, "LineReference"), "LineID", finding.path)
    response = _part(line, "Response")
    _value(response, "ResponseCode", finding.reason)
    status = _part(response, "Status")
    if finding.detail:
        _value(status, "StatusReasonCode", finding.detail)
    _value(status, "StatusReason", finding.text)


def _part(parent: Element, local: str) -> Element:
    return etree.SubElement(parent, cac(local))


def _value(parent: Element, local: str, text: str) -> Element:
    element = etree.SubElement(parent, cbc(local))
    element.text = text
    return element
