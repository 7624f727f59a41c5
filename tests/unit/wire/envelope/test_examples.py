"""DIGG's published envelopes, which are older than ours."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest
from lxml import etree

from samdrift.wire.envelope import HeaderScanner, read, validate, verify
from samdrift.wire.errors import WireError
from tests.official import DIGG, requires_digg

pytestmark = requires_digg

SIGNED = DIGG / "examples/XHE-tm-base-ext-sigenc.xml"
PLAIN = DIGG / "examples/XHE-tm-base.xml"


@pytest.mark.parametrize("example", [SIGNED, PLAIN], ids=lambda path: path.name)
def test_the_examples_follow_the_profile(example: Path) -> None:
    data = example.read_bytes()
    assert validate(data) == ()
    scanner = HeaderScanner()
    scanner.feed(data)
    assert scanner.close() == read(data).header


def test_the_header_says_what_the_example_says() -> None:
    header = read(SIGNED.read_bytes()).header
    assert header.id == "862693f7-53d4-4d96-b35c-470055710092"
    assert header.created == datetime(2022, 1, 30, 17, 52, 58, 100_000, UTC)
    assert (header.sender.value, header.recipient.value) == ("0203:myndigheta.org", "0203:myndighetb.org")
    assert header.document.value.endswith("::tm-base-ext-sigenc")
    assert header.document.scheme == "busdox-docid-qns"
    assert (header.process.value, header.process.scheme) == (
        "bdx:noprocess",
        "urn:fdc:digg.se:edelivery:process",
    )
    assert header.federation == "urn:fdc:digg.se:edelivery:federation:test"
    assert (header.content_type_code, header.handling_service_id) == ("application/xml", "ABC")
    assert header.encrypted
    assert not read(PLAIN.read_bytes()).header.encrypted


def test_the_signature_of_the_signed_example_holds() -> None:
    verdict = verify(SIGNED.read_bytes())
    assert (verdict.valid, verdict.reason) == (True, "valid")
    assert verdict.signer is not None
    assert "SendOrg2" in verdict.signer.subject.rfc4514_string()


def test_nobody_here_can_decrypt_the_signed_example() -> None:
    verdict = verify(SIGNED.read_bytes())
    assert verdict.envelope is not None
    with pytest.raises(WireError, match="cannot be decrypted"):
        verdict.envelope.payload([])


def test_the_plain_example_is_not_signed_and_gives_its_payload_under_the_base_model() -> None:
    data = PLAIN.read_bytes()
    assert verify(data).reason == "no-signature"
    payload = etree.fromstring(read(data).unprotected_payload())
    assert etree.QName(payload).localname == "Message"


def _means(data: bytes) -> str | None:
    """Return a document's meaning by another parser and canonicalizer: expat and Canonical XML 2.0."""
    try:
        return ElementTree.canonicalize(from_file=BytesIO(data))
    except ElementTree.ParseError:
        return None


def test_any_change_of_a_byte_that_matters_breaks_the_signature() -> None:
    """Every fourth byte is changed in turn, each time in another bit.

    A document may stay valid if it means the same, or has another certificate for the same key, which the
    caller compares with the published one.
    """
    data, rng = SIGNED.read_bytes(), Random(3)
    original, meaning = verify(data).signer, _means(data)
    refused = 0
    for position in range(3, len(data), 4):
        changed = bytearray(data)
        changed[position] ^= 1 << rng.randrange(7)
        verdict = verify(bytes(changed))
        if verdict.valid:
            assert verdict.signer != original or _means(bytes(changed)) == meaning, position
        refused += not verdict.valid
    assert refused > len(data) // 4 * 0.8
