"""Envelopes that we make (envelope-profile-xhe 2.2, 3.2; transport-model-extended 2.11)."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from lxml import etree
from signxml import XMLVerifier

from samdrift.wire.crypto.longtext import LONG_FROM, PLACEHOLDER
from samdrift.wire.envelope import EnvelopeHeader, read, seal, verify
from samdrift.wire.envelope.header import MAX_VALUE
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import RECEIPT_EXTENDED, DocumentIdentifier, ParticipantIdentifier
from tests.official import requires_digg, schema_errors, schematron_errors
from tests.unit.wire.envelope.samples import (
    HEADER,
    PAYLOAD,
    RECIPIENT,
    SENDER,
    decryption_key,
    one,
    sealed,
)


def sealed_as(header: EnvelopeHeader, payload: bytes = PAYLOAD, *, encrypted: bool = True) -> bytes:
    recipient = RECIPIENT.certificate if encrypted else None
    return seal(header, payload, signer=SENDER.signing_key(), recipient=recipient, rng=os.urandom)


@requires_digg
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("encrypted", [True, False])
def test_official_schema_and_schematron_accept_it(signed: bool, encrypted: bool) -> None:
    """Clauses: architecture-sad 5.2.2.2 sentence 3; content-specification 3.2 sentence 1;
    envelope-profile-xhe 3.4.3 a; transport-model-extended 3.3.1 step 5, 3.3.2 step 5.
    """
    data = sealed(signed=signed, encrypted=encrypted)
    assert schema_errors("envelope", data) == []
    assert schematron_errors("envelope", data) == []


def test_the_header_comes_back_as_it_was_given() -> None:
    """Clauses: envelope-profile-xhe 2.2 sentence 11; transport-model-base 2.10 a."""
    assert read(sealed()).header == HEADER
    assert read(sealed(encrypted=False)).header == replace(HEADER, encrypted=False)
    without = replace(HEADER, handling_service_id=None)
    assert read(sealed_as(without)).header == without


def test_the_time_is_in_utc_with_three_fraction_digits() -> None:
    created = datetime(2026, 7, 1, 14, 0, 0, 5000, timezone(timedelta(hours=2)))
    data = sealed_as(replace(HEADER, created=created))
    assert b"<xhb:CreationDateTime>2026-07-01T12:00:00.005Z</xhb:CreationDateTime>" in data


@pytest.mark.parametrize("size", [0, 10_000, LONG_FROM * 2])
def test_the_payload_comes_back_as_it_was_given(size: int) -> None:
    """Clauses: certpub-rest-binding 3.2 step 4."""
    payload = b"<a>" + b"x" * size + "å</a>".encode()
    verdict = verify(sealed_as(HEADER, payload))
    assert verdict.envelope is not None
    assert verdict.envelope.payload([decryption_key()]) == payload
    assert verdict.signer == SENDER.certificate


@pytest.mark.parametrize("prolog", [b'<?xml version="1.0" encoding="UTF-8"?>\n', b"\xef\xbb\xbf", b"\n"])
def test_what_is_encrypted_is_the_element_without_its_prolog(prolog: bytes) -> None:
    """Type Element (3.4.4.1 a): a reader puts the plaintext in place of EncryptedData."""
    verdict = verify(sealed_as(HEADER, prolog + PAYLOAD))
    assert verdict.envelope is not None
    assert verdict.envelope.payload([decryption_key()]) == PAYLOAD


def test_signature_covers_the_ciphertext() -> None:
    """3.2: encrypted first, then signed as a whole.

    Clauses: certpub-rest-binding 3.2 step 5; envelope-profile-xhe 3.2 sentence 1; transport-model-extended
    2.11 a, 3.3.1 step 4, 3.3.2 step 4.
    """
    root = etree.fromstring(sealed())
    value = one(root, "//xenc:EncryptedData/xenc:CipherData/xenc:CipherValue")
    value.text = (value.text or "").swapcase()
    assert not verify(etree.tostring(root)).valid


def test_signxml_verifies_a_sealed_envelope() -> None:
    for data in (sealed(), sealed(encrypted=False)):
        XMLVerifier().verify(data, x509_cert=SENDER.certificate)


def test_a_receipt_is_signed_and_not_encrypted() -> None:
    """Clauses: architecture-sad 4.3.6.1 sentence 1; certpub-rest-binding 3.2 step 8; transport-model-extended
    2.1 sentence 1, 2.11 b.
    """
    receipt = replace(HEADER, document=RECEIPT_EXTENDED, encrypted=False)
    data = sealed_as(receipt, b'<r xmlns="urn:r">ok</r>', encrypted=False)
    verdict = verify(data)
    assert verdict.envelope is not None
    assert verdict.header == receipt
    assert etree.fromstring(verdict.envelope.payload([])).text == "ok"


def test_two_envelopes_of_one_message_share_no_key() -> None:
    values = {one(etree.fromstring(sealed_as(HEADER)), "//xenc:EncryptedKey").xpath("string()") for _ in "ab"}
    assert len(values) == 2


@pytest.mark.parametrize(
    "header",
    [
        replace(HEADER, id="1"),
        replace(HEADER, document_type_code=""),
        replace(HEADER, handling_service_id=" "),
        replace(HEADER, federation=""),
        replace(HEADER, sender=ParticipantIdentifier("habo.se")),
        replace(HEADER, document=DocumentIdentifier("x", scheme="")),
        replace(HEADER, handling_service_id="x" * (MAX_VALUE + 1)),
        replace(HEADER, federation="\x00"),
        replace(HEADER, created=HEADER.created.replace(tzinfo=None)),
    ],
)
def test_an_envelope_that_would_break_the_profile_is_not_made(header: EnvelopeHeader) -> None:
    with pytest.raises(WireError):
        sealed_as(header)


def test_any_text_that_xml_can_hold_comes_back() -> None:
    for value in ("<&>\"'", "å😀", "a\tb", "a\rb", PLACEHOLDER):
        header = replace(HEADER, handling_service_id=value, federation=value)
        for encrypted in (True, False):
            assert verify(sealed_as(header, encrypted=encrypted)).header == replace(
                header, encrypted=encrypted
            )


def test_it_is_written_in_canonical_form() -> None:
    """The hashed bytes are therefore the bytes that are sent."""
    data = sealed_as(replace(HEADER, handling_service_id='<&>\r"')).partition(b"?>\n")[2]
    assert etree.tostring(etree.fromstring(data), method="c14n") == data


BREAKING_OUT = b"<a xmlns='urn:a'/></xha:PayloadContent><xha:PayloadContent><a xmlns='urn:a'/>"


@pytest.mark.parametrize(
    "payload", [b"", b"text", b"<a>", b"<!DOCTYPE a><a/>", b"<a/><b/>", b"<a/>", b"<a/>text", BREAKING_OUT]
)
def test_a_plain_payload_that_is_no_xml_is_not_sealed(payload: bytes) -> None:
    with pytest.raises(WireError):
        sealed_as(HEADER, payload, encrypted=False)
