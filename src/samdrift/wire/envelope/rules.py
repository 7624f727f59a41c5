"""The rules R3 to R13 on the values in an envelope, and the header made from them (envelope-profile-xhe 2.5).

R1, R2 and R14 concern elements as such, and are checked together with the structure
(:mod:`samdrift.wire.envelope.structure`).

Clauses: envelope-profile-xhe 2.2 a.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from samdrift.wire.codes import Detail, Reason
from samdrift.wire.envelope.header import (
    CUSTOMIZATION,
    MAX_VALUE,
    XHE_VERSION,
    EnvelopeHeader,
    ScopeCode,
)
from samdrift.wire.errors import WireError
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import (
    PARTICIPANT_SCHEME,
    DocumentIdentifier,
    ParticipantIdentifier,
    ProcessIdentifier,
    is_uuid,
)
from samdrift.wire.xml.schema import WHITESPACE

_ROOT: Final = "/XHE"
_HEADER: Final = f"{_ROOT}/Header"
_PAYLOAD: Final = f"{_ROOT}/Payloads/Payload"
_ID: Final = f"{_HEADER}/ID"
_CREATED: Final = f"{_HEADER}/CreationDateTime"
_SENDER: Final = f"{_HEADER}/FromParty/PartyIdentification/ID"
_RECIPIENT: Final = f"{_HEADER}/ToParty/PartyIdentification/ID"
_DOCUMENT_TYPE: Final = f"{_PAYLOAD}/DocumentTypeCode"
_CONTENT_TYPE: Final = f"{_PAYLOAD}/ContentTypeCode"
_HANDLING_SERVICE: Final = f"{_PAYLOAD}/HandlingServiceID"
_ENCRYPTED: Final = f"{_PAYLOAD}/InstanceEncryptionIndicator"
_REQUIRED = frozenset({_ID, _SENDER, _RECIPIENT, _DOCUMENT_TYPE, _CONTENT_TYPE, _ENCRYPTED})
CRITERION: Final = f"{_HEADER}/BusinessScope/BusinessScopeCriterion"
CRITERION_CODE: Final = f"{CRITERION}/BusinessScopeCriterionTypeCode"
CRITERION_VALUE: Final = f"{CRITERION}/BusinessScopeCriterionValue"
_CONTENT: Final = f"{_PAYLOAD}/PayloadContent"

_PRESCRIBED = (
    ("R9-XHE", f"{_ROOT}/XHEVersionID", XHE_VERSION),
    ("R3-XHE", f"{_ROOT}/CustomizationID", CUSTOMIZATION),
    ("R10-XHE", f"{_SENDER}/@schemeID", PARTICIPANT_SCHEME),
    ("R11-XHE", f"{_RECIPIENT}/@schemeID", PARTICIPANT_SCHEME),
)
"""Rules that prescribe a fixed value: the rule, the path and the value.

Clauses: envelope-profile-xhe 2.2 sentence 1, sentence 2, sentence 6, sentence 7, 2.5 R3-XHE, R9-XHE,
R10-XHE, R11-XHE.
"""
_SCOPE_RULES = {
    ScopeCode.DOCUMENT: "R4-XHE",
    ScopeCode.DOCUMENT_SCHEME: "R5-XHE",
    ScopeCode.PROCESS: "R6-XHE",
    ScopeCode.PROCESS_SCHEME: "R7-XHE",
    ScopeCode.FEDERATION: "R8-XHE",
}


@dataclass(slots=True)
class Metadata:
    """The elements before the payload: values by path of names, and the criteria in order.

    White space around a value is not significant (the Schematron normalises it).
    """

    values: dict[str, str] = field(default_factory=dict)
    criteria: list[tuple[str, str]] = field(default_factory=list)

    @property
    def encrypted(self) -> bool:
        return self.values.get(_ENCRYPTED) in ("true", "1")


def broken(rule: str, text: str, path: str) -> Finding:
    """Return a finding for a violated rule of the profile."""
    return Finding(Reason.RULE, Detail.INVARIANT, f"{rule}: {text}", path)


def broken_by(metadata: Metadata) -> Iterator[Finding]:
    """Yield the rules that the metadata violates; a missing element violates R14 and no other rule."""
    for rule, path, value in _PRESCRIBED:
        element = path.partition("/@")[0]
        if element in metadata.values and metadata.values.get(path) != value:
            name = path.rpartition("/")[2]
            yield broken(rule, f"{name} must have the value that the profile prescribes", path)
    yield from _broken_by_scope(metadata)
    yield from _broken_by_forms(metadata.values)


def _broken_by_scope(metadata: Metadata) -> Iterator[Finding]:
    """Yield the criteria that are missing or occur more than once.

    Clauses: envelope-profile-xhe 2.5 R4-XHE, R5-XHE, R6-XHE, R7-XHE, R8-XHE.
    """
    counts = Counter(code for code, _ in metadata.criteria)
    for code, rule in _SCOPE_RULES.items():
        if counts[code] == 0:
            yield broken(rule, f"a criterion with the code {code} is missing", CRITERION)
        elif counts[code] > 1:
            yield broken("R14-XHE", f"more than one criterion with the code {code}", CRITERION)


def _broken_by_forms(values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield violations of rules that the syntax mapping states only in words (envelope-profile-xhe 2.2).

    These rules concern identifiers and times.

    Clauses: content-specification 3.2 answer 1; envelope-profile-xhe 2.2 sentence 3.
    """
    if _ID in values and not is_uuid(values[_ID]):
        yield broken("ID", "the envelope's identifier must be a UUID", _ID)
    if _CREATED in values and _instant(values[_CREATED]) is None:
        yield broken("CreationDateTime", "the time of creation must be a time with its time zone", _CREATED)
    for path in (_SENDER, _RECIPIENT):
        if path in values:
            yield from _broken_by_participant(values[path], path)


def _broken_by_participant(value: str, path: str) -> Iterator[Finding]:
    try:
        ParticipantIdentifier.parse(value)
    except WireError as error:
        yield broken("PartyIdentification", error.text, path)


def broken_by_payload(metadata: Metadata, encrypted_data: bool) -> Iterator[Finding]:
    """Yield violations of R12 and R13, by which the encryption indicator and the payload must agree.

    Clauses: envelope-profile-xhe 2.5 R12-XHE, R13-XHE.
    """
    if metadata.encrypted and not encrypted_data:
        yield broken("R12-XHE", "the payload must be EncryptedData when it is said to be encrypted", _CONTENT)
    if encrypted_data and not metadata.encrypted:
        yield broken("R13-XHE", "the payload is EncryptedData but is not said to be encrypted", _CONTENT)


def header_of(metadata: Metadata) -> EnvelopeHeader | None:
    """Return the header, if :func:`broken_by` finds nothing; ``None`` if some of it is missing."""
    values, scope = metadata.values, dict(metadata.criteria)
    created = _instant(values.get(_CREATED, ""))
    if created is None or not values.keys() >= _REQUIRED:
        return None
    return EnvelopeHeader(
        id=values[_ID],
        created=created,
        sender=ParticipantIdentifier.parse(values[_SENDER]),
        recipient=ParticipantIdentifier.parse(values[_RECIPIENT]),
        document=DocumentIdentifier(scope[ScopeCode.DOCUMENT], scope[ScopeCode.DOCUMENT_SCHEME]),
        process=ProcessIdentifier(scope[ScopeCode.PROCESS], scope[ScopeCode.PROCESS_SCHEME]),
        federation=scope[ScopeCode.FEDERATION],
        document_type_code=values[_DOCUMENT_TYPE],
        content_type_code=values[_CONTENT_TYPE],
        handling_service_id=values.get(_HANDLING_SERVICE),
        encrypted=metadata.encrypted,
    )


def metadata_of(header: EnvelopeHeader) -> Metadata:
    """Return the elements of an envelope with this header; the inverse of :func:`header_of`."""
    values = {
        _ID: header.id,
        _CREATED: format_time(header.created),
        _SENDER: header.sender.value,
        f"{_SENDER}/@schemeID": header.sender.scheme,
        _RECIPIENT: header.recipient.value,
        f"{_RECIPIENT}/@schemeID": header.recipient.scheme,
        _DOCUMENT_TYPE: header.document_type_code,
        _CONTENT_TYPE: header.content_type_code,
        _ENCRYPTED: "true" if header.encrypted else "false",
    }
    if header.handling_service_id is not None:
        values[_HANDLING_SERVICE] = header.handling_service_id
    return Metadata(values, list(header.scope))


def broken_by_header(header: EnvelopeHeader) -> Iterator[Finding]:
    """Yield the rules that an envelope with this header would violate.

    Clauses: envelope-profile-xhe 2.4 a.
    """
    metadata = metadata_of(header)
    yield from broken_by(metadata)
    for path, value in (
        *metadata.values.items(),
        *((CRITERION_VALUE, value) for _, value in metadata.criteria),
    ):
        if not value.strip(WHITESPACE):
            yield broken("R2-XHE", "empty elements are not allowed", path)
        elif len(value) > MAX_VALUE:
            yield broken("length", f"a value is longer than {MAX_VALUE} characters", path)


def format_time(at: datetime) -> str:
    """Format a time in UTC with three fraction digits; without a zone it stays invalid, as a rule reports."""
    if at.tzinfo is None:
        return at.isoformat(timespec="milliseconds")
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _instant(spelling: str) -> datetime | None:
    """Parse an xsd:dateTime; ``None`` without a time zone or outside the years 1 to 9999.

    Clauses: envelope-profile-xhe 2.2 sentence 4.
    """
    try:
        at = datetime.fromisoformat(spelling)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
