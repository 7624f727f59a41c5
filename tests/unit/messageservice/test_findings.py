"""content-specification 5.3: findings that depend on sender, keys or addresses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice import findings
from samdrift.messageservice.outgoing.compose import Address, Attachment
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.envelope import EnvelopeHeader, EnvelopeVerdict, verify
from samdrift.wire.identifiers import PARTICIPANT_SCHEME, ParticipantIdentifier
from samdrift.wire.sdkmessage import Ii, SdkMessage
from samdrift.wire.sdkmessage.types import Person, Reference
from samdrift.wire.verdicts import CertificateVerdict, TrustReason
from tests import pki
from tests.roles.letters import DRAFT, enclose, header, letter
from tests.unit.wire.filetypes.files import HTML, PDF, PE, PNG, ZIP

SENDER = Address(ParticipantIdentifier("0203:a.se"), "A", "sdk.a", "A")
RECIPIENT = Address(ParticipantIdentifier("0203:b.se"), "B", "sdk.b", "B")
PROFILE = OrganisationProfile(
    RECIPIENT.organisation, "B", frozenset({"sdk.b"}), frozenset({"application/pdf", "text/plain"})
)
TRUSTED = CertificateVerdict(TrustReason.TRUSTED)


def item(sender: str = "0203:a.se", recipient: str = "0203:b.se") -> InboxItem:
    at = datetime.now(UTC)
    return InboxItem("i", "e", sender, recipient, "d", "c", "m@p", "AP0002-SDK-TEST", at, 1)


def around(message: SdkMessage) -> EnvelopeHeader:
    """Return the envelope that belongs to the message."""
    return header(
        SENDER.organisation, RECIPIENT.organisation, id=message.message_id, handling_service_id="sdk.b"
    )


def codes(message: SdkMessage, profile: OrganisationProfile = PROFILE) -> list[tuple[Reason, str]]:
    found = findings.of_message(message, around(letter_as_sent), profile)
    return [(finding.reason, finding.detail) for finding in found]


letter_as_sent = letter(SENDER, RECIPIENT)


def test_nothing_is_found_in_what_is_right() -> None:
    assert codes(letter_as_sent) == []


def test_identifiers_are_compared_without_regard_to_case() -> None:
    """RFC 4122 3; component-sml, identifiers in lower case."""
    loud = Ii(PARTICIPANT_SCHEME, "0203:A.SE")
    sender = replace(letter_as_sent.sender, id=loud)
    assert codes(replace(letter_as_sent, sender=sender, message_id=letter_as_sent.message_id.upper())) == []


@pytest.mark.parametrize("place", ["messageId", "sender", "recipient"])
def test_row_13_message_and_envelope_differ(place: str) -> None:
    """Clauses: content-specification 3.2 sentence 2, sentence 4, sentence 6, 4.3.2 sentence 2, 4.3.2.1
    sentence 1, answer 1, 4.3.2.2 sentence 1.
    """
    other = Ii(PARTICIPANT_SCHEME, "0203:c.se")
    changed = {
        "messageId": replace(letter_as_sent, message_id=str(uuid4())),
        "sender": replace(letter_as_sent, sender=replace(letter_as_sent.sender, id=other)),
        "recipient": replace(letter_as_sent, recipient=replace(letter_as_sent.recipient, id=other)),
    }[place]
    assert codes(changed) == [(Reason.RULE, Detail.SECURITY)]


def test_row_13_as4_and_envelope_differ() -> None:
    """Clauses: content-specification 3.2 sentence 3, sentence 5."""
    says = around(letter_as_sent)
    assert findings.of_transport(item(), says) == []
    for differing in (item(sender="0203:c.se"), item(recipient="0203:c.se")):
        (found,) = findings.of_transport(differing, says)
        assert (found.reason, found.detail) == (Reason.RULE, Detail.SECURITY)


def test_row_9_an_address_of_nobody() -> None:
    """Clauses: content-specification 4.3.2.3 answer 2."""
    nobody = replace(PROFILE, functional_addresses=frozenset({"sdk.other"}))
    assert codes(letter_as_sent, nobody) == [(Reason.RULE, Detail.NOT_FOUND)]


def answers(**changes: Any) -> list[tuple[Reason, str, str]]:
    """Return the answer to a correct message in an incorrect envelope."""
    found = findings.of_message(letter_as_sent, replace(around(letter_as_sent), **changes), PROFILE)
    return [(finding.reason, finding.detail, finding.path.rpartition("/")[2]) for finding in found]


def test_3_2_another_handling_service_than_the_functional_address() -> None:
    """content-specification 3.2 HandlingServiceID, 4.3.2.3 organizationId: each prescribes an answer.

    Clauses: content-specification 3.2 sentence 9, answer 2, 4.3.2.3 answer 4.
    """
    assert answers(handling_service_id="sdk.other") == [
        (Reason.RULE, Detail.NOT_FOUND, "HandlingServiceID"),
        (Reason.RULE, Detail.SECURITY, "organizationId"),
    ]


def test_3_2_a_message_without_a_handling_service_is_taken() -> None:
    """envelope-profile-xhe 2.2 HandlingServiceID, accesspoint-test-cases 6.2.2 TF-07.

    Clauses: envelope-profile-xhe 2.2 sentence 12.
    """
    assert answers(handling_service_id=None) == []


@pytest.mark.parametrize(
    "code",
    [
        "",
        "messagePayload",
        "Q{urn:oasis:names:specification:ubl:schema:xsd:ApplicationResponse-2}ApplicationResponse",
        "Q{urn:riv:infrastructure:messaging:MessageWithAttachments:3}message",
        "Q{urn:riv:infrastructure:messaging:MessageWithAttachments:2}messagePayload",
    ],
)
def test_3_2_the_envelope_announces_another_document_than_an_sdk_message(code: str) -> None:
    """content-specification 3.2 DocumentTypeCode, 5.3 row 5.

    Clauses: content-specification 3.2 sentence 7; envelope-profile-xhe 2.2 sentence 8.
    """
    assert answers(document_type_code=code) == [(Reason.RULE, Detail.INVARIANT, "DocumentTypeCode")]


@pytest.mark.parametrize("code", ["", "text/xml", "application/json", "application/xml; charset=utf-8"])
def test_3_2_the_envelope_announces_something_else_than_xml(code: str) -> None:
    """content-specification 3.2 ContentTypeCode, 5.3 row 5.

    Clauses: content-specification 3.2 sentence 8; envelope-profile-xhe 2.2 sentence 10.
    """
    assert answers(content_type_code=code) == [(Reason.RULE, Detail.INVARIANT, "ContentTypeCode")]


@pytest.mark.parametrize(
    ("content_type", "taken"),
    [
        ("application/pdf", True),
        ("Application/PDF", True),
        ("application/x-pdf", True),
        ("application/pdf; name=a", True),
        ("image/png", False),
        ("", False),
    ],
)
def test_row_8_types_of_files(content_type: str, taken: bool) -> None:
    """Clauses: content-specification 4.3.3.3 sentence 2, sentence 4, sentence 5, answer 1."""
    draft = replace(DRAFT, attachments=(Attachment("a", content_type, PDF),))
    message = letter(SENDER, RECIPIENT, draft, message_id=letter_as_sent.message_id)
    assert codes(message) == ([] if taken else [(Reason.RULE, Detail.NOT_SUPPORTED)])


@pytest.mark.parametrize(
    "content", [PNG, PE, PDF + ZIP, HTML, b""], ids=["png", "program", "two", "html", "empty"]
)
def test_row_8_a_file_that_is_not_what_it_is_said_to_be(content: bytes) -> None:
    """The content decides, not the stated type or the ending of the name."""
    draft = replace(DRAFT, attachments=(Attachment("avtal.pdf", "application/pdf", content),))
    message = letter(SENDER, RECIPIENT, draft, message_id=letter_as_sent.message_id)
    assert codes(message) == [(Reason.RULE, Detail.NOT_SUPPORTED)]


def test_row_8_names_the_file() -> None:
    png, pdf = Attachment("a", "image/png", PNG), Attachment("b", "application/pdf", PDF)
    message = letter(SENDER, RECIPIENT, replace(DRAFT, attachments=(pdf, png, png)))
    found = findings.of_message(message, around(message), PROFILE)
    assert [one.path.rpartition("/ContentFiles")[2] for one in found] == [
        "[2]/contentType",
        "[3]/contentType",
    ]


def test_no_finding_repeats_content() -> None:
    """content-specification 4.3.2, invariant 9.

    Clauses: content-specification 4.3.2 sentence 10.
    """
    other = Ii(PARTICIPANT_SCHEME, "0203:hemlig.se")
    draft = replace(DRAFT, attachments=(Attachment("hemlig", "hemlig/typ", b"x"),))
    message = letter(SENDER, replace(RECIPIENT, functional_address="sdk.hemlig"), draft)
    message = replace(message, sender=replace(message.sender, id=other))
    found = findings.of_message(message, around(letter_as_sent), PROFILE)
    assert len(found) == 5
    assert "hemlig" not in str(found)


# --- the signature ----------------------------------------------------------------------------------------

ISSUER = pki.root("Issuer", 0)
SIGNER = ISSUER.issue("a.se", private_key=pki.key(1))
STRANGER = ISSUER.issue("a.se", private_key=pki.key(2))


def signed_by(signer: pki.Certified) -> EnvelopeVerdict:
    recipient = ISSUER.issue("b.se", private_key=pki.key(3)).certificate
    return verify(enclose(letter_as_sent, signer.signing_key(), recipient).data)


def test_row_12_signed_as_published() -> None:
    assert findings.of_signature(signed_by(SIGNER), [SIGNER.certificate], TRUSTED) == []


def test_row_12_one_of_several_published_certificates_is_enough() -> None:
    published = [STRANGER.certificate, SIGNER.certificate]
    assert findings.of_signature(signed_by(SIGNER), published, TRUSTED) == []


@pytest.mark.parametrize("published", [[], [STRANGER.certificate]])
def test_row_12_another_certificate_than_the_published(published: list[object]) -> None:
    """Clauses: architecture-sad 6.2.4 sentence 1; certpub-rest-binding 3.2 step 4b; content-specification 2.1
    step 2, 4.3.2.2 sentence 5; envelope-profile-xhe 3.5 b.
    """
    (found,) = findings.of_signature(signed_by(SIGNER), published, TRUSTED)  # type: ignore[arg-type]
    assert (found.reason, found.detail) == (Reason.SIGNATURE, Detail.SECURITY)


@pytest.mark.parametrize("reason", [TrustReason.REVOKED, TrustReason.EXPIRED, TrustReason.UNKNOWN_ISSUER])
def test_xhe_3_5_a_published_but_not_valid(reason: TrustReason) -> None:
    """Clauses: envelope-profile-xhe 3.5 a."""
    (found,) = findings.of_signature(signed_by(SIGNER), [SIGNER.certificate], CertificateVerdict(reason))
    assert (found.reason, found.detail) == (Reason.SIGNATURE, Detail.SECURITY)


def test_row_12_no_signature_or_a_broken_one() -> None:
    """Clauses: content-specification 4.3.2.2 answer 2."""
    unsigned = verify(enclose(letter_as_sent, None, SIGNER.certificate).data)
    broken = replace(signed_by(SIGNER), envelope=None)
    for verdict in (unsigned, broken):
        (found,) = findings.of_signature(verdict, [SIGNER.certificate], None)
        assert (found.reason, found.detail) == (Reason.SIGNATURE, Detail.SECURITY)


LABEL = "/messagePayload/message/messageHeader/label"


@pytest.mark.parametrize(("label", "found"), [("å" * 256, []), ("😀" * 128, []), ("😀" * 128 + "a", [LABEL])])
def test_4_3_2_a_label_that_is_sent_has_at_most_256_units_of_utf_16(label: str, found: list[str]) -> None:
    """An emoji is one character here and two to a recipient in Java, which would reject 256 of them.

    Clauses: content-specification 4.3.2 answer 7.
    """
    message = replace(letter(SENDER, RECIPIENT), label=label)
    assert [one.path for one in findings.labels_in_utf16(message)] == found
    assert all(label not in one.text for one in findings.labels_in_utf16(message))


@pytest.mark.parametrize("party", ["sender", "recipient"])
def test_4_3_2_labels_of_parties_and_addresses_are_counted_too(party: str) -> None:
    message = letter(SENDER, RECIPIENT)
    of = getattr(message, party)
    long = "😀" * 200
    changed = replace(of, label=long, attention=replace(of.attention, sub_organisation_label=long))
    assert len(findings.labels_in_utf16(replace(message, **{party: changed}))) == 2


@pytest.mark.parametrize(
    ("kind", "element", "made"), [("persons", "person", Person), ("references", "reference", Reference)]
)
def test_4_3_2_labels_of_persons_and_references_are_counted_each(kind: str, element: str, made: Any) -> None:
    """Clauses: content-specification 4.3.2 answer 7."""
    message = letter(SENDER, RECIPIENT)
    of = message.sender
    one = Ii("1.2.752", "a")
    short, long = made(one, label="kort"), made(one, label="😀" * 200)
    changed = replace(of, attention=replace(of.attention, **{kind: (short, long)}))
    (found,) = findings.labels_in_utf16(replace(message, sender=changed))
    assert found.path == f"/messagePayload/message/messageHeader/sender/attention/{element}[2]/label"


def test_row_8_names_the_document_that_the_file_is_in() -> None:
    """Documents are counted from one, as in XPath, and the sender looks there."""
    png = replace(DRAFT, attachments=(Attachment("a", "image/png", PNG),))
    (document,) = letter(SENDER, RECIPIENT, png).documents
    message = replace(letter_as_sent, documents=(*letter_as_sent.documents, document))
    (found,) = findings.of_message(message, around(message), PROFILE)
    assert found.path == "/messagePayload/message/messageBody/documents[2]/ContentFiles[1]/contentType"
