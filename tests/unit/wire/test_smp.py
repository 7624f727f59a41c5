"""Service metadata with published certificates (component-smp 3.8, certpub-rest-binding 2.2)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml import SignatureConfiguration, XMLSigner, XMLVerifier
from signxml.algorithms import CanonicalizationMethod

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import (
    NO_PROCESS,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
    ProcessIdentifier,
)
from samdrift.wire.smp import (
    Endpoint,
    PublishedCertificates,
    ServiceGroup,
    ServiceMetadata,
    build_service_group,
    build_signed_service_metadata,
    parse_service_group,
    service_group_path,
    service_metadata_path,
    verify_signed_service_metadata,
)
from samdrift.wire.xml import Namespace
from tests import pki

SMP_ROOT = pki.root("Rot SMP", 1)
SMP = SMP_ROOT.issue("SMP0001", private_key=pki.key(2))
ACCESS_POINT = SMP_ROOT.issue("AP0001", private_key=pki.key(3)).certificate
SIGNING = SMP_ROOT.issue("habo.se signering").certificate
ENCRYPTION = SMP_ROOT.issue("habo.se kryptering").certificate
HABO = ParticipantIdentifier.parse("0203:habo.se")

ENDPOINT = Endpoint(
    "digg-transport-as4-v1_0",
    "https://ap.example/services/msh?domain=sdk",
    ACCESS_POINT,
    activation=datetime(2026, 1, 1, tzinfo=UTC),
    expiration=datetime(2027, 1, 1, 12, 30, tzinfo=UTC),
    description="Accesspunkt",
    contact="mailto:drift@ap.example",
)
METADATA = ServiceMetadata(
    HABO,
    SDK_MESSAGE_EXTENDED,
    NO_PROCESS,
    (ENDPOINT,),
    PublishedCertificates((SIGNING,), (ENCRYPTION, SIGNING)),
)
SIGNED = build_signed_service_metadata(METADATA, SMP.signing_key())


def signed_by_signxml(document: bytes) -> bytes:
    """Return the document signed again by an independent implementation, as the EC's SMP signs."""
    root = etree.fromstring(document)
    for signature in root.findall(f"{{{Namespace.DSIG}}}Signature"):
        root.remove(signature)
    signer = XMLSigner(c14n_algorithm=CanonicalizationMethod.CANONICAL_XML_1_0)
    signed = signer.sign(root, key=SMP.private_key, cert=[SMP.certificate])
    return etree.tostring(signed, xml_declaration=True, encoding="UTF-8")


def altered(before: str, after: str) -> bytes:
    """Return our document with one piece of text changed, and signed again."""
    assert before.encode() in SIGNED
    return signed_by_signxml(SIGNED.replace(before.encode(), after.encode()))


def test_metadata_is_read_back_with_its_signer() -> None:
    """Clauses: component-smp 3.8 sentence 1."""
    verdict = verify_signed_service_metadata(SIGNED)
    assert verdict.valid
    assert verdict.signer == SMP.certificate
    assert verdict.metadata == replace(METADATA, signer=SMP.certificate)


def test_an_independent_implementation_verifies_our_signature() -> None:
    result = XMLVerifier().verify(
        SIGNED, x509_cert=SMP.certificate, expect_config=SignatureConfiguration(location="./")
    )
    assert not isinstance(result, list)
    assert result.signed_xml is not None
    assert etree.QName(result.signed_xml).localname == "SignedServiceMetadata"


def test_we_verify_the_signature_of_an_independent_implementation() -> None:
    assert verify_signed_service_metadata(signed_by_signxml(SIGNED)).valid


def test_a_signature_inside_an_extension_is_not_mistaken_for_the_one_of_the_smp() -> None:
    extension = "<Extension><Signature xmlns='http://www.w3.org/2000/09/xmldsig#'><SignedInfo/></Signature></Extension>"
    verdict = verify_signed_service_metadata(
        altered("</ServiceInformation>", f"{extension}</ServiceInformation>")
    )
    assert verdict.valid


@given(st.integers(min_value=0, max_value=len(SIGNED) - 1), st.integers(1, 255))
@settings(max_examples=150)
def test_no_changed_byte_changes_what_a_valid_answer_says(position: int, difference: int) -> None:
    """The signer's certificate is not covered by the signature; its chain is judged elsewhere."""
    changed = bytearray(SIGNED)
    changed[position] ^= difference
    verdict = verify_signed_service_metadata(bytes(changed))
    if verdict.valid and verdict.metadata is not None:
        assert replace(verdict.metadata, signer=None) == METADATA


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_any_bytes_give_a_verdict(data: bytes) -> None:
    verdict = verify_signed_service_metadata(data)
    assert not verdict.valid
    assert verdict.metadata is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("iso6523-actorid-upis", "other-scheme"),
        (">0203:habo.se<", ">0203:<"),
        ("https://ap.example/services/msh?domain=sdk", "ftp://ap.example/"),
        ("2026-01-01T00:00:00.000Z", "yesterday"),
        ("2026-01-01T00:00:00.000Z", "0001-01-01T00:00:00+14:00"),
        ("<ServiceDescription>Accesspunkt</ServiceDescription>", ""),
        ("</ProcessList>", "</ProcessList><Unknown/>"),
        ("<RequireBusinessLevelSignature>false</RequireBusinessLevelSignature>", "<Other/>"),
    ],
)
def test_broken_structure_is_refused_though_it_is_signed(before: str, after: str) -> None:
    verdict = verify_signed_service_metadata(altered(before, after))
    assert not verdict.valid
    assert "habo" not in verdict.reason
    assert verdict.metadata is None


def test_a_redirection_is_refused() -> None:
    """Clauses: component-smp 3.8 sentence 1."""
    root = etree.fromstring(SIGNED)
    metadata = root[0]
    metadata[:] = [
        etree.fromstring(
            f"<Redirect xmlns='{Namespace.SMP1}' href='https://smp.example/'>"
            "<CertificateUID>x</CertificateUID></Redirect>"
        )
    ]
    assert not verify_signed_service_metadata(signed_by_signxml(etree.tostring(root))).valid


@pytest.mark.parametrize(
    "document",
    [
        b"<SignedServiceMetadata xmlns='http://docs.oasis-open.org/bdxr/ns/SMP/2016/05'/>",
        SIGNED.replace(b"SignedServiceMetadata", b"SignedServiceMetadatum"),
        SIGNED.replace(Namespace.SMP1.encode(), b"http://busdox.org/serviceMetadata/publishing/1.0/"),
    ],
)
def test_another_document_is_refused(document: bytes) -> None:
    assert not verify_signed_service_metadata(document).valid


def test_unsigned_metadata_is_refused() -> None:
    root = etree.fromstring(SIGNED)
    root.remove(root[-1])
    assert not verify_signed_service_metadata(etree.tostring(root)).valid


def test_signed_metadata_wrapped_in_other_metadata_is_refused() -> None:
    """Signature wrapping: the element that is read must be the one that was signed."""
    original, forged = etree.fromstring(SIGNED), etree.fromstring(altered("habo.se", "eda.se"))
    forged[-1] = original[-1]
    forged[0].append(original[0])
    assert not verify_signed_service_metadata(etree.tostring(forged)).valid


def test_the_process_of_the_federation_is_taken_among_several() -> None:
    other = (
        "<Process><ProcessIdentifier scheme='other'>other</ProcessIdentifier><ServiceEndpointList/></Process>"
    )
    verdict = verify_signed_service_metadata(altered("<ProcessList>", f"<ProcessList>{other}"))
    assert verdict.metadata is not None
    assert verdict.metadata.process == NO_PROCESS
    assert verdict.metadata.endpoints == METADATA.endpoints


def test_another_process_alone_is_reported_as_it_is() -> None:
    verdict = verify_signed_service_metadata(altered("bdx:noprocess", "other"))
    assert verdict.metadata is not None
    assert verdict.metadata.process == ProcessIdentifier("other")


def test_white_space_around_values_and_local_times_are_understood() -> None:
    changed = altered(">0203:habo.se<", ">\n  0203:HABO.se\n<")
    verdict = verify_signed_service_metadata(changed)
    assert verdict.metadata is not None
    assert verdict.metadata.participant == HABO
    local = verify_signed_service_metadata(altered("2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00+01:00"))
    assert local.metadata == verdict.metadata


def test_certpub_2_2_certificates_in_pem_and_of_unknown_types() -> None:
    unknown = altered("certpub:signing-cert", "certpub:other-cert")
    verdict = verify_signed_service_metadata(unknown)
    assert verdict.metadata is not None
    assert verdict.metadata.certificates == PublishedCertificates((), METADATA.certificates.encryption)


def test_certpub_2_2_foreign_extensions_are_passed_over() -> None:
    verdict = verify_signed_service_metadata(altered("smp-certpub:1.0", "something-else"))
    assert verdict.metadata is not None
    assert verdict.metadata.certificates == PublishedCertificates()


def test_endpoint_for_prefers_the_first_profile_that_is_active() -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    newer = replace(ENDPOINT, transport_profile="digg-transport-as4-v1_2", activation=None, expiration=None)
    both = replace(METADATA, endpoints=(ENDPOINT, newer))
    profiles = ("digg-transport-as4-v1_2", "digg-transport-as4-v1_0")
    assert both.endpoint_for(profiles, at) == newer
    assert METADATA.endpoint_for(profiles, at) == ENDPOINT
    assert METADATA.endpoint_for(profiles[:1], at) is None
    assert METADATA.endpoint_for(profiles, ENDPOINT.activation or at) == ENDPOINT
    assert METADATA.endpoint_for(profiles, datetime(2025, 12, 31, tzinfo=UTC)) is None
    assert METADATA.endpoint_for(profiles, ENDPOINT.expiration or at) is None
    assert both.endpoint_for(profiles, at + timedelta(days=3650)) == newer


def test_certpub_3_paths_are_percent_encoded_as_in_the_example() -> None:
    participant = ParticipantIdentifier.parse("0203:receivingexample.se")
    document = DocumentIdentifier(
        "urn:riv:infrastructure:messaging:messagewithattachments:2::message::2.0::tm-base-ext-sigenc"
    )
    assert service_metadata_path(participant, document) == (
        "/iso6523-actorid-upis%3A%3A0203%3Areceivingexample.se/services/busdox-docid-qns%3A%3Aurn%3Ariv%3A"
        "infrastructure%3Amessaging%3Amessagewithattachments%3A2%3A%3Amessage%3A%3A2.0%3A%3Atm-base-ext-sigenc"
    )
    assert service_group_path(HABO) == "/iso6523-actorid-upis%3A%3A0203%3Ahabo.se"
    assert "%23%233.0" in service_metadata_path(HABO, SDK_MESSAGE_EXTENDED)


def test_service_group_is_read_back() -> None:
    group = ServiceGroup(HABO, ("https://smp.example" + service_metadata_path(HABO, SDK_MESSAGE_EXTENDED),))
    assert parse_service_group(build_service_group(group)) == group


@pytest.mark.parametrize("data", [b"", b"<a/>", SIGNED, build_service_group(ServiceGroup(HABO, ()))[:-20]])
def test_what_is_no_service_group_is_a_typed_error(data: bytes) -> None:
    with pytest.raises(WireError) as caught:
        parse_service_group(data)
    assert caught.value.fault in {WireFault.NOT_XML, WireFault.UNKNOWN_ROOT}
