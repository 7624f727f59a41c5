"""Checks of a certificate that an issuer returned for a key of this organisation.

It is checked before use, since others would notice a wrong one: a peer rejects signatures with a certificate
of another organisation, or encrypts for a key that does not exist here. All flaws are reported together, so
that one letter to the issuer is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from samdrift.trust.decide import Evidence, decide
from samdrift.trust.policy import ChainPolicy, KeyUse, RevocationMode
from samdrift.wire.verdicts import TrustReason

MIN_BITS = 3072
LONGEST = timedelta(days=5 * 366)
"""Longest plausible validity; a certificate that exceeds it is a sign of an issuer for tests."""

_UNREADABLE = (x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
_DIGITS = re.compile(r"[0-9]+")
_HYPHENATED = re.compile(r"(?<![0-9])([0-9]{6})-([0-9]{4})(?![0-9])")


class KeyPurpose(StrEnum):
    """The purpose that a key of an organisation is certified for."""

    SIGNATURE = "signature"
    DECRYPTION = "decryption"
    TLS_CLIENT = "tls-client"


class Flaw(StrEnum):
    """A reason not to use a certificate; the value is shown to people."""

    NO_KEY = "does not belong to any key waiting for a certificate here"
    ANOTHER = "names another organisation"
    UNNAMED = "does not name the organisation: neither its number, its name nor its domain"
    ISSUER = "was not issued by an issuer trusted for this"
    PATH = "has no valid path to its issuers (RFC 5280 6.1)"
    USE = "is for another use of the key"
    SHORT = f"is for a key that is not RSA of at least {MIN_BITS} bits"
    EXPIRED = "will have expired when it is needed"
    EARLY = "will not yet be valid when it is needed"
    LONG = "is valid for longer than function certificates may be"
    IN_USE = "or its key is already in use here"


_USES = {
    KeyPurpose.SIGNATURE: frozenset({KeyUse.SIGN, KeyUse.NON_REPUDIATION}),
    KeyPurpose.DECRYPTION: frozenset({KeyUse.ENCRYPT_KEYS}),
    KeyPurpose.TLS_CLIENT: frozenset({KeyUse.SIGN}),
}

_CLIENT = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


@dataclass(frozen=True, slots=True)
class Owner:
    """The organisation that the certificate must name."""

    name: str
    identifier: str
    """The participant identifier."""
    number: str = ""
    """The organisation number, ten digits, if it is known."""

    @property
    def domain(self) -> str:
        """Return the domain name in its identifier; empty for identifiers of other kinds."""
        code, _, value = self.identifier.partition(":")
        return value if code == "0203" else ""


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected properties of a certificate."""

    owner: Owner
    purpose: KeyPurpose
    waiting: Sequence[rsa.RSAPublicKey]
    """Keys that are waiting for a certificate."""
    used: Sequence[x509.Certificate]
    """Certificates that are installed here."""
    issuers: ChainPolicy
    used_from: datetime
    """Time from which the certificate will be used."""


@dataclass(frozen=True, slots=True)
class KeyCertificateVerdict:
    """The flaws of a certificate; none if it can be used."""

    flaws: tuple[Flaw, ...]

    @property
    def usable(self) -> bool:
        return not self.flaws


def judge(
    certificate: x509.Certificate, chain: Sequence[x509.Certificate], expected: Expected
) -> KeyCertificateVerdict:
    """Check a certificate that came with ``chain`` for a key of an organisation; never raises."""
    try:
        return KeyCertificateVerdict(tuple(dict.fromkeys(_flaws(certificate, chain, expected))))
    except (ValueError, TypeError, UnsupportedAlgorithm, *_UNREADABLE):
        return KeyCertificateVerdict((Flaw.PATH,))


def _flaws(
    certificate: x509.Certificate, chain: Sequence[x509.Certificate], expected: Expected
) -> Iterator[Flaw]:
    key = certificate.public_key()
    if key not in expected.waiting:
        yield Flaw.NO_KEY
    if any(certificate == one or key == one.public_key() for one in expected.used):
        yield Flaw.IN_USE
    yield from _naming(certificate, expected.owner)
    yield from _issuing(certificate, chain, expected)
    if not _may_be_used(certificate, expected.purpose):
        yield Flaw.USE
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < MIN_BITS:
        yield Flaw.SHORT
    if certificate.not_valid_after_utc - certificate.not_valid_before_utc > LONGEST:
        yield Flaw.LONG


def _naming(certificate: x509.Certificate, owner: Owner) -> Iterator[Flaw]:
    """Yield flaws in the naming, by number if certificate and owner have one, else by name or domain."""
    numbers = {
        digits
        for text in (
            *_values(certificate, NameOID.ORGANIZATION_IDENTIFIER),
            *_values(certificate, NameOID.SERIAL_NUMBER),
        )
        for digits in _numbers(text)
    }
    if owner.number and numbers:
        if owner.number not in numbers:
            yield Flaw.ANOTHER
        return
    names = {each.casefold() for each in _values(certificate, NameOID.ORGANIZATION_NAME)}
    if owner.name.casefold() in names:
        return
    domains = {each.casefold() for each in (*_values(certificate, NameOID.COMMON_NAME), *_hosts(certificate))}
    if owner.domain and owner.domain in domains:
        return
    yield Flaw.ANOTHER if names or numbers else Flaw.UNNAMED


def _issuing(
    certificate: x509.Certificate, chain: Sequence[x509.Certificate], expected: Expected
) -> Iterator[Flaw]:
    """Yield flaws of path and validity; revocation is not checked before a certificate is used."""
    policy = replace(expected.issuers, key_uses=(), min_rsa_bits=0, revocation=RevocationMode.NONE)
    verdict = decide(certificate, policy, Evidence(intermediates=tuple(chain)), expected.used_from)
    if verdict.reason is TrustReason.WRONG_PURPOSE:
        yield Flaw.USE
    elif verdict.reason is TrustReason.BROKEN:
        yield Flaw.PATH
    elif verdict.reason is TrustReason.UNKNOWN_ISSUER:
        yield Flaw.ISSUER
    elif verdict.reason is TrustReason.EXPIRED:
        yield Flaw.EXPIRED
    elif verdict.reason is TrustReason.NOT_YET_VALID:
        yield Flaw.EARLY
    elif verdict.reason is TrustReason.WEAK_KEY and isinstance(certificate.public_key(), rsa.RSAPublicKey):
        yield Flaw.PATH
    if expected.used_from > certificate.not_valid_after_utc:
        yield Flaw.EXPIRED
    if expected.used_from < certificate.not_valid_before_utc:
        yield Flaw.EARLY


def _may_be_used(certificate: x509.Certificate, purpose: KeyPurpose) -> bool:
    """Return whether the issuer allows the use; an issuer that states no uses allows all."""
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.KeyUsage):
            allowed = any(getattr(value, use.value) for use in _USES[purpose])
        elif isinstance(value, x509.ExtendedKeyUsage) and purpose is KeyPurpose.TLS_CLIENT:
            allowed = bool(_CLIENT & {*value})
        else:
            continue
        if not allowed:
            return False
    return True


def _values(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    found = certificate.subject.get_attributes_for_oid(oid)
    return tuple(each.value for each in found if isinstance(each.value, str))


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            return tuple(extension.value.get_values_for_type(x509.DNSName))
    return ()


def _numbers(text: str) -> Iterator[str]:
    """Yield organisation numbers in forms such as ``212000-0613``, ``SE2120000613-1AB``, ``162120000613``."""
    for digits in _DIGITS.findall(_HYPHENATED.sub(r"\1\2", text)):
        if len(digits) == 10:
            yield digits
        elif len(digits) == 12 and digits.startswith("16"):
            yield digits[2:]
        elif len(digits) == 12 and digits.endswith("01"):
            yield digits[:10]
