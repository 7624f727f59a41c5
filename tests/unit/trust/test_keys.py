"""Keys and certificates read from files."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from samdrift.trust.keys import KeyMaterialError, certificates, decryption_key, signing_key
from samdrift.wire.crypto.keys import Oaep
from tests import pki

ROOT = pki.root("Rot", 1)
OWN = ROOT.issue("AP")


OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
RUBBISH = b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"


def pem(passphrase: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return OWN.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def test_keys_are_read_with_and_without_passphrase() -> None:
    protected = pem(b"secret")
    signed = signing_key(protected, OWN.certificate, b"secret").sign(b"data")
    assert signed == signing_key(pem(), OWN.certificate).sign(b"data")
    wrapped = OWN.private_key.public_key().encrypt(b"session key", OAEP)
    opens = decryption_key(protected, OWN.certificate, b"secret")
    assert opens.unwrap(wrapped, Oaep.SHA256) == b"session key"


@pytest.mark.parametrize("passphrase", [None, b"", b"wrong"])
def test_a_wrong_passphrase_is_a_typed_error(passphrase: bytes | None) -> None:
    with pytest.raises(KeyMaterialError):
        signing_key(pem(b"secret"), OWN.certificate, passphrase)


def test_a_key_of_another_certificate_or_kind_is_refused() -> None:
    with pytest.raises(KeyMaterialError, match="does not belong"):
        signing_key(pem(), ROOT.certificate)
    elliptic = ec.generate_private_key(ec.SECP256R1())
    other = elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(KeyMaterialError, match="RSA"):
        signing_key(other, OWN.certificate)


def test_certificates_are_read_from_pem_bundles_and_from_der() -> None:
    bundle = b"".join(c.public_bytes(Encoding.PEM) for c in (OWN.certificate, ROOT.certificate))
    assert certificates(bundle) == (OWN.certificate, ROOT.certificate)
    assert certificates(OWN.certificate.public_bytes(Encoding.DER)) == (OWN.certificate,)


@pytest.mark.parametrize("data", [b"", b"rubbish", RUBBISH])
def test_what_is_no_certificate_is_a_typed_error(data: bytes) -> None:
    with pytest.raises(KeyMaterialError):
        certificates(data)
