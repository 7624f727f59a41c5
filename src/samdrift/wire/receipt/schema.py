"""The elements of a message receipt, their order and how often (message-receipt 3.1, reduced schema 3.6).

Clauses: message-receipt 3.1 sentence 1.
"""

from __future__ import annotations

from samdrift.wire import xml
from samdrift.wire.xml import Namespace
from samdrift.wire.xml.schema import lexical
from samdrift.wire.xml.schema.model import Particle, Schema, Sequence, Simple

CUSTOMIZATION = "urn:fdc:digg.se:edelivery:messagetype:response:1"
"""The profile of UBL ApplicationResponse (message-receipt 3.1 a)."""

SCHEME_ATTRIBUTE = "schemeID"


def root(local: str) -> str:
    """The expanded name of an element or type of the document itself."""
    return xml.name(Namespace.UBL_RESPONSE, local)


def cac(local: str) -> str:
    """The expanded name of an element that holds elements."""
    return xml.name(Namespace.UBL_AGGREGATE, local)


def cbc(local: str) -> str:
    """The expanded name of an element that holds a value."""
    return xml.name(Namespace.UBL_BASIC, local)


def _sequence(type_name: str, *particles: Particle) -> Sequence:
    return Sequence(type_name, particles)


def _value(local: str, *, minimum: int = 1) -> Particle:
    return Particle(cbc(local), Simple(cbc(f"{local}Type")), minimum)


def _identifier(local: str) -> Particle:
    return Particle(cbc(local), Simple(cbc(f"{local}Type"), attributes=frozenset((SCHEME_ATTRIBUTE,))))


def _part(local: str, declared: Sequence, minimum: int = 1, maximum: int | None = 1) -> Particle:
    return Particle(cac(local), declared, minimum, maximum)


_DATE = Simple(cbc("IssueDateType"), lexical.is_date, "is not a date")
_TIME = Simple(cbc("IssueTimeType"), lexical.is_time, "is not a time")
_PARTY = _sequence(cac("PartyType"), _identifier("EndpointID"))
_STATUS = _sequence(cac("StatusType"), _value("StatusReasonCode", minimum=0), _value("StatusReason"))
_RESPONSE = _sequence(cac("ResponseType"), _value("ResponseCode"), _part("Status", _STATUS, minimum=0))
_LINE = _sequence(
    cac("LineResponseType"),
    _part("LineReference", _sequence(cac("LineReferenceType"), _identifier("LineID"))),
    _part("Response", _RESPONSE),
)
_DOCUMENT = _sequence(
    cac("DocumentResponseType"),
    _part("Response", _RESPONSE),
    _part("DocumentReference", _sequence(cac("DocumentReferenceType"), _identifier("ID"))),
    _part("LineResponse", _LINE, minimum=0, maximum=None),
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
        _part("SenderParty", _PARTY),
        _part("ReceiverParty", _PARTY),
        _part("DocumentResponse", _DOCUMENT),
    ),
)
