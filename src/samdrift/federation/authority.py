"""The federation's certificate authorities (component-pki 2.7): they issue, revoke, and report revocations.

One :class:`Authority` is one environment with all its authorities. Another environment, for certificates that
must not be trusted, is another instance; a certificate of another federation in the same environment comes
from :attr:`Ca.OTHER_FEDERATION`, which has the same root.

Issued and revoked certificates are recorded in one append-only file (:class:`Register`), with a line for each
event: a second start reads it quickly, and a crash loses at most the last line.

Revocation lists and OCSP answers are made from it (component-pki 2.8, 2.9; RFC 5280 5, RFC 6960). A responder
to which each authority has delegated signs OCSP answers (RFC 6960 4.2.2.2), which repeat the request's nonce
if there is one.

Missing: component-pki 2.10: there is no interface for administrators, issuing and revoking are calls.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp

from samdrift.federation.shapes import (
    OPERATOR,
    Ca,
    Use,
    Validity,
    ca_common_name,
    ca_extensions,
    key_identifier,
    name,
    revocation_pointers,
    use_extensions,
)
from samdrift.federation.store import FederationError
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from samdrift.wire.identifiers import ParticipantIdentifier

Applicant = rsa.RSAPublicKey | bytes
"""The key to certify: a public key, or a certificate request in PEM."""

_RESPONDER = "ocsp"
_SIGNER = "smp"

MAX_NONCE = 128
"""Maximum length of an accepted nonce in bytes (RFC 9654 2.1)."""

BITS = 3072


def _now() -> datetime:
    return datetime.now(UTC)


class Authority:
    """All authorities of one environment, stored in a folder.

    ``url`` is the responder's address; certificates include it, so a folder belongs to one address.
    ``evidence_lifetime`` is the time for which revocation lists and OCSP answers are valid.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        environment: str = "SDK-DEMO",
        evidence_lifetime: timedelta = timedelta(days=1),
        clock: Callable[[], datetime] = _now,
    ) -> None:
        """Open the folder, or fill a new one with nine keys, which takes seconds."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.environment = environment
        self._folder, self._url, self._clock = folder, url, clock
        self._lifetime = evidence_lifetime
        self._register = Register(folder / "register.jsonl")
        self._keys = _kept_keys(folder, [*Ca, _RESPONDER, _SIGNER])
        self._certificates = {ca: self._kept(ca, partial(self._certify_ca, ca)) for ca in Ca}
        self._issuers = {
            ca: Issuer(ca, self._certificates[ca], self._keys[ca], self._certify_responder(ca)) for ca in Ca
        }

    def certificate(self, ca: Ca) -> x509.Certificate:
        """Return the certificate of one of the authorities."""
        return self._certificates[ca]

    def issue_access_point(
        self,
        common_name: str,
        applicant: Applicant,
        *,
        validity: Validity | None = None,
        ca: Ca = Ca.ACCESS_POINT,
    ) -> x509.Certificate:
        """Issue a certificate for an access point named ``common_name``, such as ``AP0001-SDK-DEMO``."""
        return self._issue(ca, name(common_name), applicant, Use.ACCESS_POINT, validity)

    def issue_smp_signer(
        self, common_name: str, applicant: Applicant, *, validity: Validity | None = None
    ) -> x509.Certificate:
        """Issue a certificate for signing service metadata."""
        return self._issue(Ca.SMP, name(common_name), applicant, Use.SMP, validity)

    def issue_organisation(
        self,
        participant: ParticipantIdentifier,
        organisation: str,
        applicant: Applicant,
        use: Use,
        *,
        organisation_number: str = "",
        validity: Validity | None = None,
    ) -> x509.Certificate:
        """Issue a participant's own certificate, for signing or encryption between organisations."""
        if use not in (Use.SIGNING, Use.ENCRYPTION):
            raise FederationError("an organisation's certificate is for signing or for encryption")
        domain = participant.value.partition(":")[2]
        subject = name(domain, organisation, organisation_number)
        return self._issue(Ca.ORGANISATION, subject, applicant, use, validity)

    def issue_tls_server(
        self, hosts: Iterable[str], applicant: Applicant, *, validity: Validity | None = None
    ) -> x509.Certificate:
        """Issue a server certificate for host names and addresses; the first is its common name."""
        hosts = list(hosts)
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        return self._issue(Ca.TLS, name(hosts[0]), applicant, Use.TLS_SERVER, validity, [(names, False)])

    def issue_tls_client(
        self,
        common_name: str,
        applicant: Applicant,
        *,
        organisation: str = OPERATOR,
        validity: Validity | None = None,
    ) -> x509.Certificate:
        """Issue a client certificate, for mutual TLS between organisations' systems and access points."""
        return self._issue(Ca.TLS, name(common_name, organisation), applicant, Use.TLS_CLIENT, validity)

    def smp_signer(self) -> SoftwareSigningKey:
        """Return the key that this environment's SMP signs with, certified on first use."""
        key, common_name = self._keys[_SIGNER], f"SMP0001-{self.environment}"
        issue = partial(self.issue_smp_signer, common_name, key.public_key())
        return SoftwareSigningKey(key, self._kept(_SIGNER, issue))

    def revoke(
        self, certificate: x509.Certificate, reason: x509.ReasonFlags = x509.ReasonFlags.key_compromise
    ) -> None:
        """Revoke a certificate that was issued here; the next list and OCSP answers report it."""
        revocation = Revocation(self._clock().replace(microsecond=0), reason)
        self._register.revoked(self._issuer_of(certificate), certificate.serial_number, revocation)

    def crl(self, ca: Ca) -> bytes:
        """Return the revocation list of ``ca`` in DER."""
        return _revocation_list(self._issuers[ca], self._register, self._clock(), self._lifetime)

    def ocsp(self, request: bytes) -> bytes:
        """Return the answer to an OCSP request; both are in DER."""
        issuers, key = tuple(self._issuers.values()), self._keys[_RESPONDER]
        return _ocsp_answer(request, issuers, key, self._register, self._clock(), self._lifetime)

    def _issuer_of(self, certificate: x509.Certificate) -> Ca:
        for ca, authority in self._certificates.items():
            if authority.subject == certificate.issuer:
                return ca
        raise FederationError("that certificate was not issued here")

    def _issue(
        self,
        ca: Ca,
        subject: x509.Name,
        applicant: Applicant,
        use: Use,
        validity: Validity | None,
        more: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> x509.Certificate:
        extensions = [*use_extensions(use), *more, *revocation_pointers(self._url, ca)]
        validity = validity or Validity.years(self._yesterday(), 2)
        certificate = self._sign(ca, subject, _public_key_of(applicant), extensions, validity)
        self._register.issued(ca, certificate)
        return certificate

    def _certify_ca(self, ca: Ca) -> x509.Certificate:
        """Return the certificate of an authority, issued by itself for a root, otherwise by its parent."""
        extensions = list(ca_extensions())
        if ca.issuer is not ca:
            extensions += revocation_pointers(self._url, ca.issuer)
        subject = name(ca_common_name(ca, self.environment))
        validity = Validity.years(self._yesterday(), 20)
        certificate = self._sign(ca.issuer, subject, self._keys[ca].public_key(), extensions, validity)
        self._register.issued(ca.issuer, certificate)
        return certificate

    def _certify_responder(self, ca: Ca) -> x509.Certificate:
        subject = name(f"OCSP {ca_common_name(ca, self.environment)}")
        extensions = list(use_extensions(Use.OCSP))
        key = self._keys[_RESPONDER].public_key()
        return self._sign(ca, subject, key, extensions, Validity.years(self._yesterday(), 1))

    def _sign(
        self,
        ca: Ca,
        subject: x509.Name,
        key: rsa.RSAPublicKey,
        extensions: Iterable[tuple[x509.ExtensionType, bool]],
        validity: Validity,
    ) -> x509.Certificate:
        issuer_key = self._keys[ca]
        issuer = name(ca_common_name(ca, self.environment))
        authority_key = x509.AuthorityKeyIdentifier(
            key_identifier(ca, issuer_key.public_key()).digest, None, None
        )
        builder = x509.CertificateBuilder(
            issuer, subject, key, x509.random_serial_number(), validity.start, validity.end
        )
        builder = builder.add_extension(key_identifier(ca, key), critical=False)
        builder = builder.add_extension(authority_key, critical=False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer_key, hashes.SHA256())

    def _kept(self, kept_as: str, make: Callable[[], x509.Certificate]) -> x509.Certificate:
        path = self._folder / f"{kept_as}.pem"
        if not path.exists():
            path.write_bytes(make().public_bytes(serialization.Encoding.PEM))
        return x509.load_pem_x509_certificate(path.read_bytes())

    def _yesterday(self) -> datetime:
        return self._clock().replace(microsecond=0) - timedelta(days=1)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@dataclass(frozen=True, slots=True)
class Revocation:
    """Time and reason of a certificate's revocation (RFC 5280 5.3.1)."""

    at: datetime
    reason: x509.ReasonFlags


class Register:
    """Issued certificates by authority and serial number, with their revocations."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._issued: dict[tuple[Ca, int], Revocation | None] = {}
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                self._read(line)

    def issued(self, ca: Ca, certificate: x509.Certificate) -> None:
        """Record that ``ca`` issued ``certificate``."""
        self._issued[ca, certificate.serial_number] = None
        self._append({"ca": ca, "serial": f"{certificate.serial_number:x}"})

    def revoked(self, ca: Ca, serial: int, revocation: Revocation) -> None:
        """Record a revocation; only the first revocation of a certificate counts."""
        if (ca, serial) not in self._issued:
            raise FederationError("that certificate was not issued here")
        if self._issued[ca, serial] is None:
            self._issued[ca, serial] = revocation
            event = {"ca": ca, "serial": f"{serial:x}"}
            self._append({**event, "revoked": revocation.at.isoformat(), "reason": revocation.reason.name})

    def knows(self, ca: Ca, serial: int) -> bool:
        """Return whether ``ca`` issued a certificate with that serial number."""
        return (ca, serial) in self._issued

    def revocation(self, ca: Ca, serial: int) -> Revocation | None:
        """Return the revocation of a certificate, or ``None`` if it is not revoked."""
        return self._issued.get((ca, serial))

    def revocations(self, ca: Ca) -> list[tuple[int, Revocation]]:
        """Return serial numbers and revocations of the certificates that ``ca`` issued."""
        return [(serial, entry) for (issuer, serial), entry in self._issued.items() if issuer is ca and entry]

    def _append(self, event: dict[str, str]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def _read(self, line: str) -> None:
        try:
            event = json.loads(line)
            key = Ca(event["ca"]), int(event["serial"], 16)
            revoked = event.get("revoked")
            self._issued[key] = (
                Revocation(datetime.fromisoformat(revoked), x509.ReasonFlags[event["reason"]])
                if revoked
                else None
            )
        except (ValueError, KeyError, TypeError):
            raise FederationError("the register of issued certificates is damaged") from None


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authority with its key, and the certificate by which it delegates OCSP answers."""

    ca: Ca
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    responder: x509.Certificate


def _revocation_list(issuer: Issuer, register: Register, at: datetime, lifetime: timedelta) -> bytes:
    """Return the revocation list of ``issuer`` in DER, valid from ``at`` for ``lifetime``."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(at)
        .next_update(at + lifetime)
        .add_extension(_authority_key(issuer.certificate), critical=False)
        .add_extension(x509.CRLNumber(int(at.timestamp())), critical=False)
    )
    for serial, revocation in register.revocations(issuer.ca):
        entry = x509.RevokedCertificateBuilder(serial, revocation.at)
        builder = builder.add_revoked_certificate(
            entry.add_extension(x509.CRLReason(revocation.reason), critical=False).build()
        )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _ocsp_answer(
    request: bytes,
    issuers: Sequence[Issuer],
    responder_key: rsa.RSAPrivateKey,
    register: Register,
    at: datetime,
    lifetime: timedelta,
) -> bytes:
    """Return the answer to an OCSP ``request`` in DER; an unsigned error status if it is invalid."""
    try:
        asked = ocsp.load_der_ocsp_request(request)
        issuer = next((one for one in issuers if _is_issuer(one.certificate, asked)), None)
        nonce = _nonce(asked)
    except (ValueError, NotImplementedError, UnsupportedAlgorithm):
        return _refusal(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    if issuer is None:
        return _refusal(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    revocation = register.revocation(issuer.ca, asked.serial_number)
    known = register.knows(issuer.ca, asked.serial_number)
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            asked.issuer_name_hash,
            asked.issuer_key_hash,
            asked.serial_number,
            asked.hash_algorithm,
            _status(known, revocation is not None),
            at,
            at + lifetime,
            revocation.at if revocation else None,
            revocation.reason if revocation else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.responder)
        .certificates([issuer.responder])
    )
    if nonce is not None:
        builder = builder.add_extension(nonce, critical=False)
    return builder.sign(responder_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _status(known: bool, revoked: bool) -> ocsp.OCSPCertStatus:
    if revoked:
        return ocsp.OCSPCertStatus.REVOKED
    return ocsp.OCSPCertStatus.GOOD if known else ocsp.OCSPCertStatus.UNKNOWN


def _is_issuer(certificate: x509.Certificate, asked: ocsp.OCSPRequest) -> bool:
    key = certificate.public_key()
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    name = certificate.subject.public_bytes()
    return (
        _digest(name, asked.hash_algorithm) == asked.issuer_name_hash
        and _digest(encoded, asked.hash_algorithm) == asked.issuer_key_hash
    )


def _digest(data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()


def _nonce(asked: ocsp.OCSPRequest) -> x509.OCSPNonce | None:
    try:
        nonce = asked.extensions.get_extension_for_class(x509.OCSPNonce).value
    except x509.ExtensionNotFound:
        return None
    if not 0 < len(nonce.nonce) <= MAX_NONCE:
        raise ValueError("the length of the nonce is not accepted")
    return nonce


def _refusal(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(serialization.Encoding.DER)


def _authority_key(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _new_key() -> rsa.RSAPrivateKey:
    """Generate an RSA key of the size that the federation uses, which takes some tenths of a second."""
    return rsa.generate_private_key(65537, BITS)


def _kept_keys(folder: Path, names: Sequence[str]) -> dict[str, rsa.RSAPrivateKey]:
    """Return the keys with those names in ``folder``; missing ones are generated in parallel."""
    missing = [name for name in names if not (folder / f"{name}.key").exists()]
    if missing:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for name, key in zip(missing, pool.map(lambda _: _new_key(), missing), strict=True):
                _write(folder / f"{name}.key", key)
    return {name: _read(folder / f"{name}.key") for name in names}


def _public_key_of(applicant: rsa.RSAPublicKey | bytes) -> rsa.RSAPublicKey:
    """Return the key to certify, if necessary from a certificate request (PEM) that proves its possession."""
    if not isinstance(applicant, bytes):
        return applicant
    try:
        request = x509.load_pem_x509_csr(applicant)
    except ValueError:
        raise FederationError("not a certificate request") from None
    key = request.public_key()
    if not request.is_signature_valid or not isinstance(key, rsa.RSAPublicKey):
        raise FederationError("the certificate request does not prove possession of an RSA key")
    return key


def _write(path: Path, key: rsa.RSAPrivateKey) -> None:
    data = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _read(path: Path) -> rsa.RSAPrivateKey:
    """Read a key that was generated here, without testing its primes again, which would take seconds."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise FederationError(f"{path.name} in the federation's folder is not a key")
    return key
