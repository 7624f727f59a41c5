"""Software keys: the operations that formats need from a private key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from samdrift.wire.crypto.keys import Oaep
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey
from samdrift.wire.errors import WireError, WireFault

_HASHES = {
    Oaep.SHA1: (hashes.SHA1, hashes.SHA1),
    Oaep.SHA256_MGF1_SHA1: (hashes.SHA256, hashes.SHA1),
    Oaep.SHA256: (hashes.SHA256, hashes.SHA256),
}


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def certificate(private_key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, private_key.public_key(), 1, now, now + timedelta(1))
    return builder.sign(private_key, hashes.SHA256())


def test_signature_is_rsa_pkcs1_v15_with_sha256(
    private_key: rsa.RSAPrivateKey, certificate: x509.Certificate
) -> None:
    signature = SoftwareSigningKey(private_key, certificate).sign(b"data")
    private_key.public_key().verify(signature, b"data", padding.PKCS1v15(), hashes.SHA256())
    assert len(signature) == 256


@pytest.mark.parametrize("oaep", Oaep)
def test_unwraps_only_what_was_wrapped_with_the_same_oaep(
    oaep: Oaep, private_key: rsa.RSAPrivateKey, certificate: x509.Certificate
) -> None:
    digest, mask = _HASHES[oaep]
    scheme = padding.OAEP(padding.MGF1(mask()), digest(), None)
    wrapped = private_key.public_key().encrypt(b"session key", scheme)
    key = SoftwareDecryptionKey(private_key, certificate)
    assert key.unwrap(wrapped, oaep) == b"session key"
    others = [(wrapped, other) for other in Oaep if other is not oaep]
    for bad, as_oaep in (*others, (wrapped[:-1], oaep), (b"", oaep), (b"\xff" * 256, oaep)):
        with pytest.raises(WireError) as error:
            key.unwrap(bad, as_oaep)
        assert error.value.fault is WireFault.DECRYPTION
