"""Findings that only a message service can make, because it knows the sender, keys, addresses and history.

Each is one row of content-specification 5.3, in words that repeat no content.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509

from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice.attributes import functional_address
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.envelope import EnvelopeHeader, EnvelopeVerdict
from samdrift.wire.envelope.header import CONTENT_TYPE, SDK_DOCUMENT_TYPE
from samdrift.wire.filetypes import agrees, canonical, detect
from samdrift.wire.findings import Finding
from samdrift.wire.sdkmessage import File, SdkMessage
from samdrift.wire.verdicts import CertificateVerdict

_HEADER = "/messagePayload/message/messageHeader"
_ADDRESS = f"{_HEADER}/recipient/attention/subOrganization/organizationId"
_PAYLOAD = "/XHE/Payloads/Payload"

MOST_FINDINGS = 50
"""Maximum number of findings that are reported for one message."""

NOT_ENCRYPTED = Finding(
    Reason.SIGNATURE, Detail.SECURITY, "The payload is not encrypted although the transport model requires it"
)
NO_MESSAGE = Finding(
    Reason.SCHEMA, Detail.STRUCTURE, "The payload is not a message that names its id and its sender"
)
DUPLICATE = Finding(
    Reason.RULE, Detail.DUPLICATE, "The message id has been used before", f"{_HEADER}/messageId"
)
REFERS_TO_FAILED = Finding(
    Reason.RULE,
    Detail.NOT_SUPPORTED,
    "The message refers to a message whose exchange has failed",
    f"{_HEADER}/refToMessageId",
)


def of_transport(item: InboxItem, header: EnvelopeHeader) -> list[Finding]:
    """Report parties that differ between AS4 and envelope (content-specification 3.2, 5.3 row 13).

    Clauses: content-specification 3.2 sentence 3, sentence 5.
    """
    agree = (item.sender, item.recipient) == (header.sender.value, header.recipient.value)
    if agree:
        return []
    return [Finding(Reason.RULE, Detail.SECURITY, "Sender or recipient differ between AS4 and envelope")]


def of_signature(
    verdict: EnvelopeVerdict, published: Iterable[x509.Certificate], certificate: CertificateVerdict | None
) -> list[Finding]:
    """Report a signature that is invalid, or not by the sender's published certificate.

    See envelope-profile-xhe 3.5 a, b.

    Clauses: architecture-sad 6.2.4 sentence 1; certpub-rest-binding 3.2 step 4b; content-specification 2.1
    step 2, 4.3.2.2 sentence 5, sentence 6, answer 2, 5.3 row 12; transport-model-extended 3.3.2 step 19.
    """
    if not verdict.valid or verdict.signer is None:
        return [Finding(Reason.SIGNATURE, Detail.SECURITY, "The signature of the envelope does not hold")]
    if verdict.signer not in tuple(published):
        return [
            Finding(
                Reason.SIGNATURE,
                Detail.SECURITY,
                "The signing certificate is not the one that the sender has published",
            )
        ]
    if certificate is not None and not certificate.trusted:
        return [
            Finding(
                Reason.SIGNATURE,
                Detail.SECURITY,
                f"The signing certificate is not valid: {certificate.reason}",
            )
        ]
    return []


def of_message(message: SdkMessage, header: EnvelopeHeader, profile: OrganisationProfile) -> list[Finding]:
    """Report differences between message and envelope, an unknown address, and files not accepted."""
    return [
        *_announcement(header),
        *_identifiers(message, header),
        *_address(message, header, profile),
        *of_files(message, profile),
    ]


def malicious(place: str) -> Finding:
    """Return the finding for malicious code at ``place`` (5.3 row 3).

    Clauses: content-specification 5.3 row 3.
    """
    return Finding(Reason.RULE, Detail.FORBIDDEN, "Malicious code was found", place)


def of_origin(origin: tuple[str, str] | None, header: EnvelopeHeader) -> list[Finding]:
    """Report a decrypted payload that is not a message naming its envelope's own id and sender.

    Until this has been checked the author is unknown, and only these findings are reported: their texts are
    fixed and do not depend on the decrypted data (content-specification 5.3, rows 2 and 13).
    """
    if origin is None:
        return [NO_MESSAGE]
    message_id, sender = origin
    found = []
    if message_id.lower() != header.id.lower():
        found.append(_differs("messageId"))
    if sender.lower() != header.sender.value:
        found.append(_differs("sender/senderID"))
    return found


def _identifiers(message: SdkMessage, header: EnvelopeHeader) -> Iterable[Finding]:
    """Report an id or parties that differ between message and envelope (content-specification 5.3 row 13).

    Clauses: content-specification 3.2 sentence 2, sentence 4, sentence 6, 4.3.2 sentence 2, 4.3.2.1
    sentence 1, answer 1, 4.3.2.2 sentence 1.
    """
    yield from of_origin((message.message_id, message.sender.id.extension), header)
    if message.recipient.id.extension.lower() != header.recipient.value:
        yield _differs("recipient/recipientID")


def _differs(place: str) -> Finding:
    text = f"{place} is not identical to the value in the envelope"
    return Finding(Reason.RULE, Detail.SECURITY, text, f"{_HEADER}/{place}")


def _announcement(header: EnvelopeHeader) -> Iterable[Finding]:
    """Report envelope codes that announce a payload other than an SDK message in XML.

    See content-specification 3.2. The codes are values of a code list, so content-specification 5.3 row 5
    applies.

    Clauses: content-specification 3.2 sentence 7, sentence 8; envelope-profile-xhe 2.2 sentence 8, sentence
    10.
    """
    announced = {
        "DocumentTypeCode": (header.document_type_code, SDK_DOCUMENT_TYPE),
        "ContentTypeCode": (header.content_type_code, CONTENT_TYPE),
    }
    for code, (value, prescribed) in announced.items():
        if value != prescribed:
            yield Finding(
                Reason.RULE,
                Detail.INVARIANT,
                f"{code} must have the value that the specification prescribes for an SDK message",
                f"{_PAYLOAD}/{code}",
            )


def _address(message: SdkMessage, header: EnvelopeHeader, profile: OrganisationProfile) -> Iterable[Finding]:
    """Report an address that the organisation does not have, or that differs from the envelope's.

    An envelope without HandlingServiceID is accepted (envelope-profile-xhe 2.2 HandlingServiceID). If it is
    present but differs, the text prescribes two answers, and the sender gets both (content-specification 3.2
    HandlingServiceID, 4.3.2.3 organizationId).

    Clauses: accesspoint-test-cases 6.2.2 TF-07; content-specification 3.2 sentence 9, answer 2, 4.3.2.3
    answer 2, answer 4, 5.3 row 9; envelope-profile-xhe 2.2 sentence 12.
    """
    address = functional_address(message.recipient)
    if header.handling_service_id is not None and header.handling_service_id != address:
        yield Finding(
            Reason.RULE,
            Detail.NOT_FOUND,
            "Wrong or unknown HandlingServiceID",
            f"{_PAYLOAD}/HandlingServiceID",
        )
        yield Finding(
            Reason.RULE,
            Detail.SECURITY,
            "subOrganization/organizationId must equal HandlingServiceID of the envelope",
            _ADDRESS,
        )
    elif address not in profile.functional_addresses:
        yield Finding(
            Reason.RULE, Detail.NOT_FOUND, "Wrong or unknown subOrganization/organizationId", _ADDRESS
        )


def of_files(message: SdkMessage, profile: OrganisationProfile) -> Iterable[Finding]:
    """Report files of a type that the organisation does not support, or with content of another type.

    Clauses: content-specification 4.3.3.3 sentence 5, answer 1, 5.3 row 8.
    """
    for number, document in enumerate(message.documents, 1):
        for position, file in enumerate(document.files, 1):
            if wrong := _wrong_with(file, profile):
                yield Finding(
                    Reason.RULE,
                    Detail.NOT_SUPPORTED,
                    wrong,
                    f"/messagePayload/message/messageBody/documents[{number}]"
                    f"/ContentFiles[{position}]/contentType",
                )


def _wrong_with(file: File, profile: OrganisationProfile) -> str:
    if canonical(file.content_type) not in profile.file_types:
        return "The type of the file is not supported"
    if not agrees(file.content_type, detect(file.data())):
        return "The content of the file is not of the type that it is declared as"
    return ""


_MAX_UNITS = 256


def labels_in_utf16(message: SdkMessage) -> tuple[Finding, ...]:
    """Return findings about labels that only some recipients accept.

    A label has at most 256 characters. Recipients that count UTF-16 units, as Java and .NET do, count an
    emoji twice and reject labels that others accept; outgoing labels satisfy both.

    Clauses: content-specification 4.3.2 answer 7.
    """
    header = "/messagePayload/message/messageHeader"
    labels = {f"{header}/label": message.label}
    for role, party in (("recipient", message.recipient), ("sender", message.sender)):
        labels[f"{header}/{role}/label"] = party.label or ""
        if party.attention is not None:
            unit = f"{header}/{role}/attention"
            labels[f"{unit}/subOrganization/label"] = party.attention.sub_organisation_label or ""
            for place, person in enumerate(party.attention.persons, 1):
                labels[f"{unit}/person[{place}]/label"] = person.label or ""
            for place, reference in enumerate(party.attention.references, 1):
                labels[f"{unit}/reference[{place}]/label"] = reference.label or ""
    return tuple(
        Finding(Reason.RULE, Detail.STRUCTURE, f"A label is longer than {_MAX_UNITS} units of UTF-16", where)
        for where, label in labels.items()
        if len(label.encode("utf-16-le", "replace")) > 2 * _MAX_UNITS
    )
