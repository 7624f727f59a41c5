"""A time-stamping authority (RFC 3161) whose stamps OpenSSL makes, with its own root and issuer."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from samdrift.net.client import Fetched, FetchLimits, HttpFault, NoAnswer
from tests import pki

POLICY = "1.3.6.1.4.1.99999.1"
_CONFIG = """
[tsa]
default_tsa = it
[it]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
certs = {folder}/chain.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = {policy}
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""
_TEN_YEARS = timedelta(days=3650)


@dataclass
class TimeStamps:
    """The authority, and the client that calls it."""

    folder: Path
    lasts: timedelta = timedelta(days=365)
    name: str = "Time Stamps"
    stamping: bool = True
    """False if its certificate is to be one that does not allow time stamping."""
    away: bool = False
    answer: bytes | None = None
    """Bytes that are returned instead of a stamp."""
    asked: int = 0
    begun: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(days=1))

    def __post_init__(self) -> None:
        self.folder.mkdir()
        root, issuer, own = pki.key(0), pki.key(1), pki.key(2)
        # OpenSSL writes the authority's certificate first, but DER requires the shorter one first.
        parts = ("Root of Authorities for Time Stamps", "Issuer", "TSA")
        names = [pki.name(f"{self.name} {part}") for part in parts]
        self.root = self._certificate(names[0], names[0], root, root, _TEN_YEARS)
        self.issuer = self._certificate(names[1], names[0], issuer, root, _TEN_YEARS)
        self.certificate = self._certificate(names[2], names[1], own, issuer, self.lasts, ca=False)
        pem = [each.public_bytes(Encoding.PEM) for each in (self.root, self.issuer, self.certificate)]
        (self.folder / "root.pem").write_bytes(pem[0])
        (self.folder / "chain.pem").write_bytes(pem[1])
        (self.folder / "tsa.pem").write_bytes(pem[2])
        private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "tsa.key").write_bytes(private)
        (self.folder / "serial").write_text("01\n")
        (self.folder / "config").write_text(_CONFIG.format(folder=self.folder, policy=POLICY))

    def _certificate(self, subject, issuer, key, by, lasts, *, ca=True) -> x509.Certificate:  # type: ignore[no-untyped-def]
        usages = ("key_cert_sign", "crl_sign") if ca else ("digital_signature",)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.begun)
            .not_valid_after(self.begun + timedelta(days=1) + lasts)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(pki.key_usage(*usages), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False
            )
        )
        if not ca:
            usage = ExtendedKeyUsageOID.TIME_STAMPING if self.stamping else ExtendedKeyUsageOID.CLIENT_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        return builder.sign(by, hashes.SHA256())

    def stamp(self, request: bytes) -> bytes:
        """Answer a request."""
        (self.folder / "request").write_bytes(request)
        answer = self.folder / "answer"
        subprocess.run(
            [
                *("openssl", "ts", "-reply", "-config", self.folder / "config", "-section", "it"),
                *("-queryfile", self.folder / "request", "-out", answer),
            ],
            check=True,
            capture_output=True,
        )
        return answer.read_bytes()

    def over(self, content: bytes) -> bytes:
        """Return a stamp over ``content``."""
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

        request = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).build()
        return self.stamp(request.as_bytes())

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """Answer a request in the way that the guarded client does."""
        assert content is not None
        assert (headers or {})["content-type"] == "application/timestamp-query"
        self.asked += 1
        if self.away:
            raise NoAnswer(HttpFault.UNREACHABLE)
        body = self.answer if self.answer is not None else await asyncio.to_thread(self.stamp, content)
        return Fetched(200, "application/timestamp-reply", body)
