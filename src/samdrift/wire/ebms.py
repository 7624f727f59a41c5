"""``eb:Messaging`` headers of ebMS 3.0, written and read: user messages, receipts and errors.

Nothing here signs or verifies. A header is written from frozen values as text in exclusive canonical form,
ready to be signed; ``wsu_id`` identifies it for the signature (ebms3-core 5.2, 6.2; as4-profile 5.1.8). User
messages are read strictly by the ebMS 3.0 schema. Signals (receipts and errors) are read more tolerantly, as
peers write them: a response that can be understood is more useful than one that follows the schema, and
nothing is trusted before its signature is verified.

The error codes of ebMS 3.0 and AS4 are in one table for all code that reports or reads one (ebms3-core 6.7.1
and 6.7.2; as4-profile 3.1, 3.2 and 3.4); ``DUPLICATE`` is phase4's own response to a resend. A code from a
peer that is not in the table stays a plain string in :class:`EbmsError`.

Clauses: transport-profile-as4 2.5 c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Self

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, Namespace, children, local_name, name, path, text
from samdrift.wire.xml.writer import XMLNS_EB, XMLNS_EBBP, XMLNS_S12, XMLNS_WSU, attribute, quoted
from samdrift.wire.xml.writer import text as escaped

NOT_SERVICED = "NOT_SERVICED"
"""``ErrorDetail`` of the response for a recipient that is not served here (transport-profile-as4 2.5 c)."""

_XSD_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_MAX_VALUE = 1024
_MANY = 64
_INFORMATION = name(Namespace.EBBP_SIGNALS, "NonRepudiationInformation")
_PART = name(Namespace.EBBP_SIGNALS, "MessagePartNRInformation")
_REFERENCE = name(Namespace.DSIG, "Reference")
_MAX_TEXT = 1024


class Severity(StrEnum):
    """Severity of an error: a failure ends the exchange, a warning does not (ebms3-core 6.2.6)."""

    FAILURE = "failure"
    WARNING = "warning"


class Category(StrEnum):
    """The processing step that detected an error (ebms3-core 6.2.5)."""

    CONTENT = "Content"
    UNPACKAGING = "Unpackaging"
    PROCESSING = "Processing"
    COMMUNICATION = "Communication"


class EbmsErrorCode(StrEnum):
    """An error code of the standard, with its properties; the value is the code itself, ``EBMS:0004``."""

    short_description: str
    severity: Severity
    category: Category

    def __new__(cls, code: str, short_description: str, severity: Severity, category: Category) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.short_description = short_description
        member.severity = severity
        member.category = category
        return member

    VALUE_NOT_RECOGNIZED = "EBMS:0001", "ValueNotRecognized", Severity.FAILURE, Category.CONTENT
    FEATURE_NOT_SUPPORTED = "EBMS:0002", "FeatureNotSupported", Severity.WARNING, Category.CONTENT
    VALUE_INCONSISTENT = "EBMS:0003", "ValueInconsistent", Severity.FAILURE, Category.CONTENT
    OTHER = "EBMS:0004", "Other", Severity.FAILURE, Category.CONTENT
    CONNECTION_FAILURE = "EBMS:0005", "ConnectionFailure", Severity.FAILURE, Category.COMMUNICATION
    EMPTY_CHANNEL = "EBMS:0006", "EmptyMessagePartitionChannel", Severity.WARNING, Category.COMMUNICATION
    MIME_INCONSISTENCY = "EBMS:0007", "MimeInconsistency", Severity.FAILURE, Category.UNPACKAGING
    FEATURE_REFUSED = "EBMS:0008", "FeatureNotSupported", Severity.FAILURE, Category.UNPACKAGING
    INVALID_HEADER = "EBMS:0009", "InvalidHeader", Severity.FAILURE, Category.UNPACKAGING
    PROCESSING_MODE_MISMATCH = "EBMS:0010", "ProcessingModeMismatch", Severity.FAILURE, Category.PROCESSING
    EXTERNAL_PAYLOAD = "EBMS:0011", "ExternalPayloadError", Severity.FAILURE, Category.CONTENT
    FAILED_AUTHENTICATION = "EBMS:0101", "FailedAuthentication", Severity.FAILURE, Category.PROCESSING
    FAILED_DECRYPTION = "EBMS:0102", "FailedDecryption", Severity.FAILURE, Category.PROCESSING
    POLICY_NONCOMPLIANCE = "EBMS:0103", "PolicyNoncompliance", Severity.FAILURE, Category.PROCESSING
    DYSFUNCTIONAL_RELIABILITY = (
        "EBMS:0201",
        "DysfunctionalReliability",
        Severity.FAILURE,
        Category.PROCESSING,
    )
    DELIVERY_FAILURE = "EBMS:0202", "DeliveryFailure", Severity.FAILURE, Category.COMMUNICATION
    MISSING_RECEIPT = "EBMS:0301", "MissingReceipt", Severity.FAILURE, Category.COMMUNICATION
    INVALID_RECEIPT = "EBMS:0302", "InvalidReceipt", Severity.FAILURE, Category.COMMUNICATION
    DECOMPRESSION_FAILURE = "EBMS:0303", "DecompressionFailure", Severity.FAILURE, Category.COMMUNICATION
    DUPLICATE = "EBMS:4001", "Duplicate", Severity.FAILURE, Category.PROCESSING


_BY_CODE = {str(member): member for member in EbmsErrorCode}


def error_code(code: str) -> EbmsErrorCode | str:
    """Return the member of the table for ``code``, or the string itself if there is none."""
    return _BY_CODE.get(code, code)


@dataclass(frozen=True, slots=True)
class EbmsError:
    """One ``eb:Error``, ours or a peer's.

    ``code`` is an :class:`EbmsErrorCode` if the table has it, else the peer's string. ``detail`` and
    ``description`` of a peer are its own words: show them to the operator, but act on ``code`` alone.
    """

    code: EbmsErrorCode | str
    severity: Severity
    short_description: str
    detail: str
    description: str = ""
    ref_to_message_id: str | None = None
    category: str = ""

    @classmethod
    def of(cls, code: EbmsErrorCode, detail: str, ref_to_message_id: str | None = None) -> Self:
        """Create an error of our own, with the table's severity, category and short description."""
        return cls(
            code=code,
            severity=code.severity,
            short_description=code.short_description,
            detail=detail,
            ref_to_message_id=ref_to_message_id,
            category=code.category,
        )


@dataclass(frozen=True, slots=True)
class Property:
    """A message or part property: name, value and, where given, ``type``."""

    name: str
    value: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class PartInfo:
    """One payload of a user message; ``href`` is ``cid:`` and the MIME part's Content-ID."""

    href: str
    properties: tuple[Property, ...]

    def property(self, name: str) -> str | None:
        """Return the value of the part property ``name``; ``None`` if it is absent."""
        return _value(self.properties, name)


@dataclass(frozen=True, slots=True)
class UserMessage:
    """The ``eb:UserMessage`` of a one-way push (ebms3-core 5.2.2, transport-profile-as4 2.3.1 a-d, j-q).

    Times are aware and in UTC; a missing ``mpc`` means the default channel.
    """

    message_id: str
    timestamp: datetime
    from_party: str
    from_party_type: str | None
    from_role: str
    to_party: str
    to_party_type: str | None
    to_role: str
    service: str
    service_type: str | None
    action: str
    conversation_id: str
    properties: tuple[Property, ...]
    parts: tuple[PartInfo, ...]
    mpc: str | None = None
    ref_to_message_id: str | None = None

    def property(self, name: str) -> str | None:
        """Return the value of the message property ``name``, such as ``finalRecipient``, if present."""
        return _value(self.properties, name)


@dataclass(frozen=True, slots=True)
class SignalInfo:
    """The ``eb:MessageInfo`` of a signal: its own id, and that of the message it responds to."""

    message_id: str
    timestamp: datetime
    ref_to_message_id: str | None


@dataclass(frozen=True, slots=True)
class ReceiptSignalMessage:
    """An ``eb:SignalMessage`` with a receipt, and the ``ds:Reference`` elements that it repeats."""

    info: SignalInfo
    proof: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class ErrorSignalMessage:
    """An ``eb:SignalMessage`` with errors (ebms3-core 6.2)."""

    info: SignalInfo
    errors: tuple[EbmsError, ...]


def _value(properties: tuple[Property, ...], name: str) -> str | None:
    return next((entry.value for entry in properties if entry.name == name), None)


def format_time(at: datetime) -> str:
    """Format a time as ``2024-05-01T12:00:00.000Z``; ``at`` must be aware.

    UTC, three fraction digits and ``Z``: Domibus rejects any other number of digits.
    """
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(spelling: str) -> datetime | None:
    """Parse an xsd:dateTime as an aware time in UTC, the default zone; ``None`` for anything else."""
    if not _XSD_DATE_TIME.fullmatch(spelling):
        return None
    try:
        parsed = datetime.fromisoformat(spelling)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def build_user_message(message: UserMessage, wsu_id: str) -> str:
    """Write ``eb:Messaging`` with one user message.

    Clauses: transport-profile-as4 2.3.1 d.
    """
    info = SignalInfo(message.message_id, message.timestamp, message.ref_to_message_id)
    return _messaging(
        wsu_id,
        f"<eb:UserMessage{attribute('mpc', message.mpc)}>"
        f"{_message_info(info)}"
        "<eb:PartyInfo>"
        "<eb:From>"
        f"<eb:PartyId{attribute('type', message.from_party_type)}>{escaped(message.from_party)}</eb:PartyId>"
        f"<eb:Role>{escaped(message.from_role)}</eb:Role>"
        "</eb:From>"
        "<eb:To>"
        f"<eb:PartyId{attribute('type', message.to_party_type)}>{escaped(message.to_party)}</eb:PartyId>"
        f"<eb:Role>{escaped(message.to_role)}</eb:Role>"
        "</eb:To>"
        "</eb:PartyInfo>"
        "<eb:CollaborationInfo>"
        f"<eb:Service{attribute('type', message.service_type)}>{escaped(message.service)}</eb:Service>"
        f"<eb:Action>{escaped(message.action)}</eb:Action>"
        f"<eb:ConversationId>{escaped(message.conversation_id)}</eb:ConversationId>"
        "</eb:CollaborationInfo>"
        f"{_written_properties('MessageProperties', message.properties)}"
        f"<eb:PayloadInfo>{''.join(map(_part_info, message.parts))}</eb:PayloadInfo>"
        "</eb:UserMessage>",
    )


def build_receipt(info: SignalInfo, proof: Iterable[str], wsu_id: str) -> str:
    """Write ``eb:Messaging`` with one receipt whose only child is NonRepudiationInformation.

    There is exactly one child because Domibus requires it. Each of ``proof`` is a ``ds:Reference`` of the
    acknowledged message, in exclusive canonical form.
    """
    parts = "".join(
        f"<ebbp:MessagePartNRInformation>{reference}</ebbp:MessagePartNRInformation>" for reference in proof
    )
    return _messaging(
        wsu_id,
        "<eb:SignalMessage>"
        f"{_message_info(info)}"
        "<eb:Receipt>"
        f"<ebbp:NonRepudiationInformation {XMLNS_EBBP}>{parts}</ebbp:NonRepudiationInformation>"
        "</eb:Receipt>"
        "</eb:SignalMessage>",
    )


def build_errors(info: SignalInfo, errors: Iterable[EbmsError], wsu_id: str) -> str:
    """Write ``eb:Messaging`` with an error signal (ebms3-core 6.2)."""
    return _messaging(
        wsu_id,
        f"<eb:SignalMessage>{_message_info(info)}{''.join(map(_written_error, errors))}</eb:SignalMessage>",
    )


def _messaging(wsu_id: str, content: str) -> str:
    return (
        f"<eb:Messaging {XMLNS_S12} {XMLNS_EB} {XMLNS_WSU}"
        f' wsu:Id="{quoted(wsu_id)}" S12:mustUnderstand="true">{content}</eb:Messaging>'
    )


def _message_info(info: SignalInfo) -> str:
    reference = info.ref_to_message_id
    refers = "" if reference is None else f"<eb:RefToMessageId>{escaped(reference)}</eb:RefToMessageId>"
    return (
        "<eb:MessageInfo>"
        f"<eb:Timestamp>{format_time(info.timestamp)}</eb:Timestamp>"
        f"<eb:MessageId>{escaped(info.message_id)}</eb:MessageId>{refers}"
        "</eb:MessageInfo>"
    )


def _written_properties(local: str, properties: tuple[Property, ...]) -> str:
    entries = "".join(
        f'<eb:Property name="{quoted(entry.name)}"{attribute("type", entry.type)}>'
        f"{escaped(entry.value)}</eb:Property>"
        for entry in properties
    )
    return f"<eb:{local}>{entries}</eb:{local}>" if entries else ""


def _part_info(part: PartInfo) -> str:
    properties = _written_properties("PartProperties", part.properties)
    return f'<eb:PartInfo href="{quoted(part.href)}">{properties}</eb:PartInfo>'


def _written_error(error: EbmsError) -> str:
    description = f'<eb:Description xml:lang="en">{escaped(error.description)}</eb:Description>'
    return (
        f"<eb:Error{attribute('category', error.category or None)}"
        f' errorCode="{quoted(error.code)}" origin="ebMS"'
        f"{attribute('refToMessageInError', error.ref_to_message_id)}"
        f' severity="{error.severity}"{attribute("shortDescription", error.short_description or None)}>'
        f"{description if error.description else ''}"
        f"<eb:ErrorDetail>{escaped(error.detail)}</eb:ErrorDetail>"
        "</eb:Error>"
    )


@cache
def _eb(local: str) -> str:
    """Return the expanded name of an ebMS element."""
    return name(Namespace.EBMS3, local)


@dataclass(frozen=True, slots=True)
class _Slot:
    """A child element in a sequence: its expanded name, and how often it may occur."""

    tag: str
    minimum: int = 1
    maximum: int = 1


_Slots = tuple[_Slot, ...]
"""The children that an element may have, in order."""


def _one(local: str) -> _Slot:
    """Return a slot for exactly one child with that name."""
    return _Slot(_eb(local))


def _optional(local: str, maximum: int = 1) -> _Slot:
    """Return a slot for up to ``maximum`` children with that name."""
    return _Slot(_eb(local), 0, maximum)


def _read_sequence(element: Element, slots: _Slots) -> list[list[Element]]:
    """Return the children of ``element`` by slot; raise :class:`WireError` (``STRUCTURE``) on a mismatch."""
    waiting = children(element)
    found: list[list[Element]] = []
    at = 0
    for slot in slots:
        start, end = at, min(len(waiting), at + slot.maximum)
        while at < end and waiting[at].tag == slot.tag:
            at += 1
        if at - start < slot.minimum:
            raise _malformed(element, "an element is missing or misplaced")
        found.append(waiting[start:at])
    if at < len(waiting):
        raise _malformed(element, "has an element that does not belong there")
    return found


def value(element: Element) -> str:
    """Return the text of an element, stripped; raise :class:`WireError` if it is empty or too long."""
    if children(element):
        raise _malformed(element, f"{local_name(element)} holds elements")
    found = text(element).strip()
    if not found or len(found) > _MAX_VALUE:
        raise _malformed(element, f"{local_name(element)} is empty or too long")
    return found


def _malformed(element: Element, message: str) -> WireError:
    """Return the error for a header that does not follow the schema."""
    return WireError(WireFault.STRUCTURE, message, path(element))


_MESSAGING = (_one("UserMessage"),)

_USER_MESSAGE = (
    _one("MessageInfo"),
    _one("PartyInfo"),
    _one("CollaborationInfo"),
    _optional("MessageProperties"),
    _optional("PayloadInfo"),
)

_MESSAGE_INFO = (_one("Timestamp"), _one("MessageId"), _optional("RefToMessageId"))
_PARTY_INFO = (_one("From"), _one("To"))
_PARTY = (_one("PartyId"), _one("Role"))
_COLLABORATION_INFO = (_optional("AgreementRef"), _one("Service"), _one("Action"), _one("ConversationId"))
_PROPERTIES = (_Slot(_eb("Property"), 1, _MANY),)
_PAYLOAD_INFO = (_optional("PartInfo", _MANY),)
_PART_INFO = (_optional("Schema"), _optional("Description", _MANY), _optional("PartProperties"))
_MESSAGE_ID = f"{_eb('UserMessage')}/{_eb('MessageInfo')}/{_eb('MessageId')}"


def parse_user_message(messaging: Element) -> UserMessage:
    """Return the one user message of a header; raise :class:`WireError` (``STRUCTURE``) for anything else.

    Each SOAP envelope has one message, because the profile does not bundle (eDelivery AS4 common
    profile). Property names must be unique, so that no other reader can pick another property than we do.
    """
    ((user,),) = _read_sequence(messaging, _MESSAGING)
    (info,), (parties,), (collaboration,), properties, payload = _read_sequence(user, _USER_MESSAGE)
    message_info = _parse_message_info(info)
    (sender,), (receiver,) = _read_sequence(parties, _PARTY_INFO)
    from_party, from_type, from_role = _party(sender)
    to_party, to_type, to_role = _party(receiver)
    _, (service,), (action,), (conversation,) = _read_sequence(collaboration, _COLLABORATION_INFO)
    return UserMessage(
        message_id=message_info.message_id,
        timestamp=message_info.timestamp,
        from_party=from_party,
        from_party_type=from_type,
        from_role=from_role,
        to_party=to_party,
        to_party_type=to_type,
        to_role=to_role,
        service=value(service),
        service_type=service.get("type"),
        action=value(action),
        conversation_id=value(conversation),
        properties=_properties(properties),
        parts=tuple(_part(part) for part in _parts(payload)),
        mpc=user.get("mpc"),
        ref_to_message_id=message_info.ref_to_message_id,
    )


def _parse_message_info(element: Element) -> SignalInfo:
    """Read ``eb:MessageInfo`` of a user message or a signal."""
    (timestamp,), (message_id,), reference = _read_sequence(element, _MESSAGE_INFO)
    at = parse_time(value(timestamp))
    if at is None:
        raise _malformed(timestamp, "not a time")
    return SignalInfo(value(message_id), at, value(reference[0]) if reference else None)


def message_id_of(messaging: Element) -> str | None:
    """Return the id of a message whose header may otherwise be broken, to name it in an error."""
    found = messaging.find(_MESSAGE_ID)
    return None if found is None or len(found) else (found.text or "").strip()[:255] or None


def _party(element: Element) -> tuple[str, str | None, str]:
    (party,), (role,) = _read_sequence(element, _PARTY)
    return value(party), party.get("type"), value(role)


def _properties(containers: list[Element]) -> tuple[Property, ...]:
    found: dict[str, Property] = {}
    for container in containers:
        (entries,) = _read_sequence(container, _PROPERTIES)
        for entry in entries:
            key = entry.get("name")
            if not key or key in found:
                raise _malformed(entry, "has no name of its own")
            found[key] = Property(key, value(entry), entry.get("type"))
    return tuple(found.values())


def _parts(payload: list[Element]) -> list[Element]:
    return _read_sequence(payload[0], _PAYLOAD_INFO)[0] if payload else []


def _part(element: Element) -> PartInfo:
    _, _, properties = _read_sequence(element, _PART_INFO)
    return PartInfo(element.get("href", ""), _properties(properties))


_SIGNAL = (_one("SignalMessage"),)


def is_signal(messaging: Element) -> bool:
    """Return whether a header contains a signal rather than a user message; nothing else is checked."""
    return any(part.tag == _eb("SignalMessage") for part in children(messaging))


def parse_signal(messaging: Element) -> ReceiptSignalMessage | ErrorSignalMessage:
    """Return the one signal of a header; raise :class:`WireError` (``STRUCTURE``) for anything else.

    A signal with both a receipt and an error is an error: it proves nothing.
    """
    ((signal,),) = _read_sequence(messaging, _SIGNAL)
    parts = children(signal)
    if not parts or parts[0].tag != _eb("MessageInfo"):
        raise _malformed(signal, "MessageInfo is missing or misplaced")
    info = _parse_message_info(parts[0])
    errors = tuple(_error(part) for part in parts[1:] if part.tag == _eb("Error"))
    if errors:
        return ErrorSignalMessage(info, errors)
    receipts = [part for part in parts[1:] if part.tag == _eb("Receipt")]
    if len(receipts) != 1:
        raise _malformed(signal, "neither one receipt nor errors")
    return ReceiptSignalMessage(info, _references(receipts[0]))


def _references(receipt: Element) -> tuple[Element, ...]:
    """Return the ``ds:Reference`` elements of NonRepudiationInformation; phase4 adds a sibling to it."""
    information = receipt.findall(_INFORMATION)
    if len(information) > 1:
        raise _malformed(receipt, "more than one NonRepudiationInformation")
    return tuple(
        reference
        for found in information
        for part in found.findall(_PART)
        for reference in part.findall(_REFERENCE)
    )


def _error(element: Element) -> EbmsError:
    return EbmsError(
        code=error_code(element.get("errorCode", "").strip()[:_MAX_TEXT]),
        severity=Severity.WARNING if element.get("severity", "").lower() == "warning" else Severity.FAILURE,
        short_description=element.get("shortDescription", "")[:_MAX_TEXT],
        detail=_text(element.find(_eb("ErrorDetail"))),
        description=_text(element.find(_eb("Description"))),
        ref_to_message_id=element.get("refToMessageInError"),
        category=element.get("category", "")[:_MAX_TEXT],
    )


def _text(element: Element | None) -> str:
    return "" if element is None else text(element).strip()[:_MAX_TEXT]
