"""Signatures and ciphertexts of libxmlsec1, an independent implementation (tests/vectors/xmlsec)."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey
from samdrift.wire.crypto.xmldsig import SignatureReason, verify_enveloped
from samdrift.wire.crypto.xmlenc import decrypt_element
from samdrift.wire.xml import parse
from tests.unit.wire.envelope.samples import one

VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "xmlsec"
CERTIFICATE = x509.load_pem_x509_certificate((VECTORS / "certificate.pem").read_bytes())


@pytest.mark.parametrize("form", ["inclusive", "inclusive-1.1", "exclusive"])
def test_its_signatures_verify(form: str) -> None:
    data = (VECTORS / f"signed-{form}.xml").read_bytes()
    verdict = verify_enveloped(parse(data))
    assert (verdict.reason, verdict.certificate) == (SignatureReason.VALID, CERTIFICATE)
    changed = data.replace(b"urn:other", b"urn:another")
    assert verify_enveloped(parse(changed)).reason is SignatureReason.DIGEST


@pytest.mark.parametrize("cipher", ["aes256-cbc", "aes256-gcm", "aes128-gcm"])
def test_its_ciphertexts_are_decrypted(cipher: str) -> None:
    """Clauses: envelope-profile-xhe 3.4 sentence 1."""
    private_key = load_pem_private_key((VECTORS / "key.pem").read_bytes(), None)
    assert isinstance(private_key, RSAPrivateKey)
    document = parse((VECTORS / f"encrypted-{cipher}.xml").read_bytes())
    encrypted = one(document, "xenc:EncryptedData")
    assert decrypt_element(encrypted, [SoftwareDecryptionKey(private_key, CERTIFICATE)]) == (
        b'<p xmlns="urn:p">hej</p>'
    )
