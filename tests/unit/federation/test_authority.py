"""The federation's authorities issue certificates as DIGG specifies them (component-pki 2.7.1)."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from samdrift.federation.authority import Authority
from samdrift.federation.shapes import Ca, Use, Validity, key_identifier
from samdrift.federation.store import FederationError
from samdrift.wire.crypto.certificates import common_name
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.official import DIGG, requires_digg
from tests.programs import requires
from tests.unit.federation.conftest import URL, no_key

HABO = ParticipantIdentifier.parse("0203:habo.se")
requires_openssl = requires("openssl", "openssl")


@pytest.fixture
def authority(environment_keys: Path) -> Authority:
    return Authority(environment_keys, URL)


def extension_shape(certificate: x509.Certificate) -> dict[str, bool]:
    return {one.oid.dotted_string: one.critical for one in certificate.extensions}


def published(name: str) -> x509.Certificate:
    data = (DIGG / "certificates" / "qa" / name).read_bytes()
    if data.startswith(b"-----"):
        return x509.load_pem_x509_certificate(data)
    return x509.load_der_x509_certificate(data)


@requires_digg
@pytest.mark.parametrize(
    ("ca", "file"),
    [
        (Ca.ACCESS_POINT_ROOT, "accesspoint/Rot CA eDelivery Accesspunkt - QA.cer"),
        (Ca.ACCESS_POINT, "accesspoint/Accesspunkt CA-SDK-QA.cer"),
        (Ca.SMP, "smp/Rot CA eDelivery SMP-QA.cer"),
    ],
)
def test_authorities_are_like_diggs(authority: Authority, ca: Ca, file: str) -> None:
    ours, theirs = authority.certificate(ca), published(file)
    for kind in (x509.BasicConstraints, x509.KeyUsage):
        mine, other = (one.extensions.get_extension_for_class(kind) for one in (ours, theirs))
        assert (mine.critical, mine.value) == (other.critical, other.value)
    key = theirs.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    identifier = theirs.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert key_identifier(ca, key) == identifier
    own_issuer = theirs.issuer == theirs.subject
    assert (ours.issuer == ours.subject) is own_issuer
    assert (x509.CRLDistributionPoints.oid.dotted_string in extension_shape(ours)) is not own_issuer


@requires_digg
def test_function_certificate_issuers_identify_keys_as_theirs_do() -> None:
    theirs = published("o2o/testsithseidfunctioncav1.cer")
    key = theirs.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    identifier = theirs.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert key_identifier(Ca.ORGANISATION, key) == identifier


def test_access_point_is_known_by_its_common_name(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    certificate = authority.issue_access_point("AP0001-SDK-DEMO", key.public_key())
    assert common_name(certificate) == "AP0001-SDK-DEMO"
    assert certificate.issuer == authority.certificate(Ca.ACCESS_POINT).subject
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.key_encipherment
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert points[0].full_name == [x509.UniformResourceIdentifier(f"{URL}/crl/apca.crl")]
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert [one.access_location.value for one in access] == [f"{URL}/ocsp/apca"]


def test_certificates_are_limited_to_their_use(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    public = key.public_key()
    signing = authority.issue_organisation(HABO, "Habo kommun", public, Use.SIGNING)
    encryption = authority.issue_organisation(HABO, "Habo kommun", public, Use.ENCRYPTION)
    server = authority.issue_tls_server(["localhost", "127.0.0.1"], public)
    client = authority.issue_tls_client("journal", public, organisation="Habo kommun")
    usages = [
        one.extensions.get_extension_for_class(x509.KeyUsage).value for one in (signing, encryption, client)
    ]
    assert [one.digital_signature for one in usages] == [True, False, True]
    assert [one.key_encipherment for one in usages] == [False, True, False]
    for certificate, purposes in (
        (server, [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        (client, [ExtendedKeyUsageOID.CLIENT_AUTH]),
    ):
        extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(extended) == purposes
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    with pytest.raises(FederationError):
        authority.issue_organisation(HABO, "Habo kommun", public, Use.TLS_SERVER)


def test_request_must_prove_possession_of_its_key(authority: Authority, key: rsa.RSAPrivateKey) -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(key, hashes.SHA256())
    pem = request.public_bytes(serialization.Encoding.PEM)
    certificate = authority.issue_access_point("AP0001-SDK-DEMO", pem)
    assert certificate.public_key() == key.public_key()
    der = bytearray(request.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    for refused in (forged, b"", b"-----BEGIN CERTIFICATE REQUEST-----\n"):
        with pytest.raises(FederationError):
            authority.issue_access_point("AP0001-SDK-DEMO", refused)


def test_second_start_makes_no_key_and_keeps_authorities_and_revocations(
    environment_keys: Path, key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Authority(environment_keys, URL)
    certificate = first.issue_access_point("AP0001-SDK-DEMO", key.public_key())
    first.revoke(certificate)
    signer = first.smp_signer().certificate
    monkeypatch.setattr(rsa, "generate_private_key", no_key)
    second = Authority(environment_keys, URL)
    assert all(second.certificate(ca) == first.certificate(ca) for ca in Ca)
    assert second.smp_signer().certificate == signer
    revoked = x509.load_der_x509_crl(second.crl(Ca.ACCESS_POINT))
    assert revoked.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def test_certificates_for_the_test_bed(environment_keys: Path, key: rsa.RSAPrivateKey) -> None:
    authority = Authority(environment_keys, URL)
    now = datetime.now(UTC).replace(microsecond=0)
    past = Validity(now - timedelta(days=9), now - timedelta(days=1))
    expired = authority.issue_access_point("AP0002-SDK-DEMO", key.public_key(), validity=past)
    assert expired.not_valid_after_utc == past.end
    other = authority.issue_access_point("AP0003-OPEN-DEMO", key.public_key(), ca=Ca.OTHER_FEDERATION)
    other_issuer = authority.certificate(Ca.OTHER_FEDERATION)
    other.verify_directly_issued_by(other_issuer)
    other_issuer.verify_directly_issued_by(authority.certificate(Ca.ACCESS_POINT_ROOT))
    with pytest.raises(ValueError, match="Issuer"):
        other.verify_directly_issued_by(authority.certificate(Ca.ACCESS_POINT))


@requires_openssl
@pytest.mark.parametrize("ca", [Ca.ACCESS_POINT, Ca.OTHER_FEDERATION, Ca.ORGANISATION, Ca.SMP])
def test_openssl_follows_every_chain_with_its_lists(
    tmp_path: Path, environment_keys: Path, key: rsa.RSAPrivateKey, ca: Ca
) -> None:
    authority = Authority(environment_keys, URL)
    public = key.public_key()
    leaf = {
        Ca.ACCESS_POINT: lambda: authority.issue_access_point("AP0001-SDK-DEMO", public),
        Ca.OTHER_FEDERATION: lambda: authority.issue_access_point("AP1-OPEN", public, ca=ca),
        Ca.ORGANISATION: lambda: authority.issue_organisation(HABO, "Habo", public, Use.SIGNING),
        Ca.SMP: lambda: authority.issue_smp_signer("SMP0002-SDK-DEMO", public),
    }[ca]()

    def judged() -> tuple[int, str]:
        for name, certificate in (
            ("root", authority.certificate(ca.issuer)),
            ("issuer", authority.certificate(ca)),
            ("leaf", leaf),
        ):
            (tmp_path / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        lists = (x509.load_der_x509_crl(authority.crl(one)) for one in {ca, ca.issuer})
        pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in lists)
        (tmp_path / "crl").write_bytes(pem)
        arguments = (
            "openssl verify -x509_strict -crl_check_all -CAfile root -untrusted issuer -CRLfile crl leaf"
        )
        done = subprocess.run(arguments.split(), cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    code, said = judged()
    assert code == 0, said
    authority.revoke(leaf)
    code, said = judged()
    assert code != 0
    assert "revoked" in said
