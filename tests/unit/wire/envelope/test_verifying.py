"""Invariant 6: the signature is verified before the signed payload is read (envelope-profile-xhe 3.2)."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import replace

import pytest
from lxml import etree

from samdrift.wire.crypto.longtext import LONG_FROM
from samdrift.wire.envelope import read, seal, verify
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import SDK_MESSAGE_BASE
from samdrift.wire.xml import base64text
from tests.unit.wire.envelope.samples import (
    HEADER,
    PAYLOAD,
    RECIPIENT,
    SENDER,
    STRANGER,
    changed,
    decryption_key,
    one,
    sealed,
)

BASE = replace(HEADER, document=SDK_MESSAGE_BASE)


def test_a_verified_envelope_gives_its_payload() -> None:
    """Clauses: certpub-rest-binding 3.2 step 5b."""
    verdict = verify(sealed())
    assert (verdict.valid, verdict.reason) == (True, "valid")
    assert (verdict.header, verdict.signer) == (HEADER, SENDER.certificate)
    assert verdict.envelope is not None
    assert verdict.envelope.payload([decryption_key()]) == PAYLOAD


@pytest.mark.parametrize(
    "path",
    ["//xha:Header/xhb:ID", "//xha:ToParty//xhb:ID", "//xhb:HandlingServiceID", "//xhb:CreationDateTime"],
)
def test_a_changed_header_leaves_nothing_to_decrypt(path: str) -> None:
    """Clauses: certpub-rest-binding 3.2 step 2b; envelope-profile-xhe 3.2 sentence 2, sentence 3, 3.4.1 step
    1.
    """
    other = {
        "//xha:Header/xhb:ID": "ff2693f7-53d4-4d96-b35c-470055710092",
        "//xha:ToParty//xhb:ID": "0203:stranger.se",
        "//xhb:HandlingServiceID": "other",
        "//xhb:CreationDateTime": "2026-03-02T12:00:00.124Z",
    }[path]
    verdict = verify(changed(sealed(), lambda root: setattr(one(root, path), "text", other)))
    assert (verdict.valid, verdict.envelope, verdict.reason) == (False, None, "digest-differs")
    assert verdict.header is not None


def test_who_signs_anew_is_named_as_the_signer() -> None:
    """The caller decides whether the certificate is the sender's, so the right one must be reported."""
    data = seal(
        HEADER,
        PAYLOAD,
        signer=STRANGER.signing_key(),
        recipient=RECIPIENT.certificate,
        rng=os.urandom,
    )
    assert verify(data).signer == STRANGER.certificate


def test_a_broken_envelope_under_a_good_signature_is_not_valid() -> None:
    data = sealed().replace(b"urn:fdc:digg.se:edelivery:xhe:1", b"urn:fdc:digg.se:edelivery:xhe:2")
    verdict = verify(data)
    assert (verdict.valid, verdict.header, verdict.signer) == (False, None, None)
    assert "R3-XHE" in verdict.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "not an XML document"), (b"<a/>", "not the root element"), (b"<!DOCTYPE a><a/>", "document type")],
)
def test_what_is_no_envelope_gets_a_verdict_and_no_exception(data: bytes, reason: str) -> None:
    verdict = verify(data)
    assert not verdict.valid
    assert reason in verdict.reason


def test_two_signatures_are_not_accepted() -> None:
    data = changed(sealed(), lambda root: root.append(deepcopy(one(root, "ds:Signature"))))
    assert verify(data).reason == "several-signatures"


def test_a_genuine_envelope_inside_a_forged_one_is_not_verified() -> None:
    """Signature wrapping: the verdict concerns the root, which was not signed."""
    forged = etree.fromstring(sealed(signed=False, encrypted=False))
    content = one(forged, "//xha:PayloadContent")
    content.replace(content[0], etree.fromstring(sealed()))
    assert verify(etree.tostring(forged)).reason == "no-signature"
    genuine = etree.fromstring(sealed())
    forged.append(deepcopy(one(genuine, "/*/ds:Signature")))
    assert verify(etree.tostring(forged)).reason == "digest-differs"


def test_a_payload_that_brings_its_own_signature_is_no_signed_envelope() -> None:
    inner = etree.tostring(one(etree.fromstring(sealed()), "ds:Signature"))
    data = seal(BASE, inner, signer=None, recipient=None, rng=os.urandom)
    assert verify(data).reason == "no-signature"
    signed = seal(BASE, inner, signer=SENDER.signing_key(), recipient=None, rng=os.urandom)
    envelope = verify(signed).envelope
    assert envelope is not None
    assert b"SignatureValue" in envelope.payload([])


def test_every_failure_to_decrypt_is_the_same() -> None:
    """Clauses: envelope-profile-xhe 3.4.1 step 2."""
    envelope = verify(sealed()).envelope
    assert envelope is not None
    for keys in ([], [decryption_key(STRANGER)]):
        with pytest.raises(WireError) as failed:
            envelope.payload(keys)
        assert (failed.value.fault, str(failed.value)) == (WireFault.DECRYPTION, "cannot be decrypted")


def test_an_unsigned_payload_is_given_under_the_base_model_only() -> None:
    plain = seal(BASE, PAYLOAD, signer=None, recipient=None, rng=os.urandom)
    assert etree.fromstring(read(plain).unprotected_payload()).text == "Hej å ä ö"
    for protected in (sealed(encrypted=False), sealed()):
        with pytest.raises(WireError) as refused:
            read(protected).unprotected_payload()
        assert refused.value.fault is WireFault.SIGNATURE


@pytest.mark.parametrize("size", [10, LONG_FROM * 2])
def test_a_payload_that_is_not_xml_stands_in_base64(size: int) -> None:
    """envelope-profile-xhe 2.2, PayloadContent.

    Clauses: envelope-profile-xhe 2.2 sentence 14.
    """
    data = os.urandom(size)
    text = base64text.encode(data).decode()

    def replace_content(root: etree._Element) -> None:
        content = one(root, "//xha:PayloadContent")
        content.remove(content[0])
        content.text = text

    plain = seal(BASE, PAYLOAD, signer=None, recipient=None, rng=os.urandom)
    assert read(changed(plain, replace_content)).unprotected_payload() == data


def test_a_long_plain_payload_comes_back_whole() -> None:
    payload = b'<a xmlns="urn:a"><b>' + b"QUJD" * LONG_FROM + "</b>å</a>".encode()
    envelope = verify(
        seal(BASE, payload, signer=SENDER.signing_key(), recipient=None, rng=os.urandom)
    ).envelope
    assert envelope is not None
    given = etree.fromstring(envelope.payload([]))
    assert (given.tag, given.xpath("string()")) == ("{urn:a}a", "QUJD" * LONG_FROM + "å")
