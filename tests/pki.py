"""A small certificate authority for tests, which also issues wrong certificates, lists and answers.

Keys are made once per process and shared between certificates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from tests.throwawaykeys import rsa_key

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@cache
def key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the key with that number, which is the same for the whole run."""
    return rsa_key(key_size=bits)


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def key_usage(*usages: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in usages for usage in USAGES})


@dataclass(frozen=True)
class Certified:
    """A certificate with its private key."""

    certificate: x509.Certificate
    private_key: rsa.RSAPrivateKey

    def signing_key(self) -> SoftwareSigningKey:
        return SoftwareSigningKey(self.private_key, self.certificate)


@dataclass
class Authority:
    """An issuer of certificates, revocation lists and OCSP answers."""

    own: Certified
    crl_url: str | None = None
    ocsp_url: str | None = None
    revoked: set[int] = field(default_factory=set)

    @property
    def certificate(self) -> x509.Certificate:
        return self.own.certificate

    def issue(
        self,
        subject: str | x509.Name,
        *,
        private_key: rsa.RSAPrivateKey | None = None,
        **how: Any,
    ) -> Certified:
        """Return a key with its certificate; ``how`` is passed to :meth:`certify`."""
        private_key = private_key or key(9)
        return Certified(self.certify(subject, private_key.public_key(), **how), private_key)

    def certify(
        self,
        subject: str | x509.Name,
        public_key: rsa.RSAPublicKey,
        *,
        usage: Sequence[str] = ("digital_signature", "key_encipherment"),
        not_before: datetime = NOW - DAY,
        not_after: datetime = NOW + 365 * DAY,
        ca: bool = False,
        ocsp_signer: bool = False,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject if isinstance(subject, x509.Name) else name(subject))
            .issuer_name(self.certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.own.private_key.public_key()),
                critical=False,
            )
        )
        if usage:
            builder = builder.add_extension(key_usage(*usage), critical=True)
        if ocsp_signer:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False
            ).add_extension(x509.OCSPNoCheck(), critical=False)
        if self.crl_url:
            builder = builder.add_extension(_distribution_points(self.crl_url), critical=False)
        if self.ocsp_url:
            builder = builder.add_extension(_authority_information(self.ocsp_url), critical=False)
        return builder.sign(self.own.private_key, hashes.SHA256())

    def subordinate(self, common_name: str, number: int, **where: str | None) -> Authority:
        """Return a certificate authority below this one."""
        issued = self.issue(
            common_name, private_key=key(number), usage=("key_cert_sign", "crl_sign"), ca=True,
            not_before=NOW - 365 * DAY, not_after=NOW + 3650 * DAY,
        )  # fmt: skip
        return Authority(issued, **where)

    def revoke(self, certificate: x509.Certificate) -> None:
        self.revoked.add(certificate.serial_number)

    def crl(
        self,
        *,
        at: datetime = NOW - timedelta(hours=1),
        lasts: timedelta = 7 * DAY,
        revoked_at: datetime | None = None,
    ) -> bytes:
        """Return the revocation list in DER; by default its certificates were revoked a day before it."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(at)
            .next_update(at + lasts)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.own.private_key.public_key()),
                critical=False,
            )
        )
        for serial in sorted(self.revoked):
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            entry = entry.revocation_date(revoked_at or at - DAY)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.own.private_key, hashes.SHA256()).public_bytes(Encoding.DER)

    def ocsp(
        self,
        certificate: x509.Certificate,
        *,
        at: datetime = NOW,
        lasts: timedelta | None = DAY,
        responder: Certified | None = None,
    ) -> bytes:
        """Return the answer about ``certificate`` in DER, signed by ``responder`` or by this authority."""
        signer = responder or self.own
        gone = certificate.serial_number in self.revoked
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=certificate,
                issuer=self.certificate,
                algorithm=hashes.SHA1(),
                cert_status=ocsp.OCSPCertStatus.REVOKED if gone else ocsp.OCSPCertStatus.GOOD,
                this_update=at,
                next_update=None if lasts is None else at + lasts,
                revocation_time=at - DAY if gone else None,
                revocation_reason=x509.ReasonFlags.key_compromise if gone else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
            .certificates([signer.certificate])
        )
        return builder.sign(signer.private_key, hashes.SHA256()).public_bytes(Encoding.DER)


def root(common_name: str, number: int, **where: str | None) -> Authority:
    """Return a self-signed authority; ``where`` are the addresses that it puts into certificates."""
    private_key = key(number)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(name(common_name))
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 365 * DAY)
        .not_valid_after(NOW + 3650 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private_key.public_key()), critical=False)
        .sign(private_key, hashes.SHA256())
    )
    return Authority(Certified(certificate, private_key), **where)


def _distribution_points(url: str) -> x509.CRLDistributionPoints:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
    return x509.CRLDistributionPoints([point])


def _authority_information(url: str) -> x509.AuthorityInformationAccess:
    description = x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url)
    )
    return x509.AuthorityInformationAccess([description])
