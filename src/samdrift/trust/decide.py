"""The verdict on a certificate (transport-profile-as4 2.10 a-d, f, g; transport-model-extended 3.3.1).

The cheapest and most conclusive checks come first: key, issuer, validity, then path and revocation according
to RFC 5280 and RFC 6960, by pyhanko-certvalidator, and finally the purpose of the key.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pyhanko_certvalidator import CertificateValidator, ValidationContext, errors
from pyhanko_certvalidator.policy_decl import (
    NO_REVOCATION,
    REQUIRE_REVINFO,
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)

from samdrift.trust.chain import Chain, find_chain
from samdrift.trust.policy import ChainPolicy, RevocationMode
from samdrift.wire.verdicts import CertificateVerdict, TrustReason

CLOCK_TOLERANCE = timedelta(minutes=1)
"""Maximum difference between the clocks of a responder and this machine."""

_RULES = {
    RevocationMode.REQUIRED: REQUIRE_REVINFO,
    RevocationMode.LEAF: RevocationCheckingPolicy(
        RevocationCheckingRule.CRL_OR_OCSP_REQUIRED, RevocationCheckingRule.NO_CHECK
    ),
    RevocationMode.NONE: NO_REVOCATION,
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence about a certificate and its issuers, in DER, which has not been verified."""

    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()
    intermediates: tuple[x509.Certificate, ...] = ()


def decide(
    certificate: x509.Certificate, policy: ChainPolicy, evidence: Evidence, at: datetime
) -> CertificateVerdict:
    """Judge ``certificate`` under ``policy`` at the time ``at``.

    Never raises: a certificate or evidence that cannot be read does not make anything trusted.

    Clauses: transport-profile-as4 2.10 sentence 2.
    """
    try:
        return (
            _key(certificate, policy)
            or _path(certificate, policy, evidence, at)
            or _purpose(certificate, policy)
            or CertificateVerdict(TrustReason.TRUSTED)
        )
    except Exception as error:
        return CertificateVerdict(TrustReason.BROKEN, f"cannot be read ({type(error).__name__})")


def _key(certificate: x509.Certificate, policy: ChainPolicy) -> CertificateVerdict | None:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return CertificateVerdict(TrustReason.WEAK_KEY, "not an RSA key")
    if key.key_size < policy.min_rsa_bits:
        return CertificateVerdict(TrustReason.WEAK_KEY, f"fewer than {policy.min_rsa_bits} bits")
    return None


def _path(
    certificate: x509.Certificate, policy: ChainPolicy, evidence: Evidence, at: datetime
) -> CertificateVerdict | None:
    chain = find_chain(certificate, policy, evidence.intermediates, at)
    if chain is None:
        return CertificateVerdict(TrustReason.UNKNOWN_ISSUER, "not issued for this purpose and environment")
    return (
        _validity(chain, at)
        or _listed(chain, policy, evidence, at)
        or _validated(chain, policy, evidence, at)
    )


def _validity(chain: Chain, at: datetime) -> CertificateVerdict | None:
    for certificate in chain:
        if at < certificate.not_valid_before_utc:
            return CertificateVerdict(TrustReason.NOT_YET_VALID)
        if at > certificate.not_valid_after_utc:
            return CertificateVerdict(TrustReason.EXPIRED)
    return None


def _listed(chain: Chain, policy: ChainPolicy, evidence: Evidence, at: datetime) -> CertificateVerdict | None:
    """Reject a certificate that a revocation list names, whatever an OCSP responder answers about it.

    The path validator stops at the first conclusive evidence: an old OCSP response, replayed, would
    hide the list.
    """
    lists = [x509.load_der_x509_crl(crl) for crl in evidence.crls if _readable(x509.load_der_x509_crl, crl)]
    for certificate, issuer in pairwise(chain[:2] if policy.revocation is RevocationMode.LEAF else chain):
        if policy.revocation is not RevocationMode.NONE and any(
            _names(crl, certificate, issuer, at) for crl in lists
        ):
            return CertificateVerdict(TrustReason.REVOKED)
    return None


def _names(
    crl: x509.CertificateRevocationList, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
) -> bool:
    """Return whether ``crl`` is by the issuer, in force, and revokes ``certificate``."""
    key = issuer.public_key()
    if crl.issuer != issuer.subject or not isinstance(key, rsa.RSAPublicKey):
        return False
    if not crl.last_update_utc - CLOCK_TOLERANCE <= at <= (crl.next_update_utc or at):
        return False
    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    return entry is not None and entry.revocation_date_utc <= at and crl.is_signature_valid(key)


def _validated(
    chain: Chain, policy: ChainPolicy, evidence: Evidence, at: datetime
) -> CertificateVerdict | None:
    """Validate path and revocation by RFC 5280; the only path offered is ``chain``.

    The validator accepts lists of an anchor that is not a root only if it is presented as one, and OCSP
    answers that such an anchor signs only if it is not.
    """
    anchor = _asn1(chain[-1])
    verdict = _validated_from(anchor, chain, policy, evidence, at)
    if verdict is not None and verdict.temporary and not anchor.self_issued:
        return _validated_from(_as_root(anchor), chain, policy, evidence, at)
    return verdict


def _as_root(anchor: asn1.Certificate) -> asn1.Certificate:
    """Return an anchor under its own name: only its name and key are trusted (RFC 5280 6.1.1 d)."""
    content = anchor["tbs_certificate"].copy()
    content["issuer"] = content["subject"]
    content["extensions"] = [
        each for each in content["extensions"] if each["extn_id"].native != "authority_key_identifier"
    ]
    signature = {name: anchor[name] for name in ("signature_algorithm", "signature_value")}
    return asn1.Certificate({"tbs_certificate": content, **signature})


def _validated_from(
    anchor: asn1.Certificate, chain: Chain, policy: ChainPolicy, evidence: Evidence, at: datetime
) -> CertificateVerdict | None:
    leaf, *between = [_asn1(certificate) for certificate in chain[:-1]]
    context = ValidationContext(
        trust_roots=[anchor],
        other_certs=between,
        moment=at,
        crls=[crl for crl in evidence.crls if _readable(x509.load_der_x509_crl, crl)],
        ocsps=[answer for answer in evidence.ocsps if _readable(ocsp.load_der_ocsp_response, answer)],
        revinfo_policy=CertRevTrustPolicy(_RULES[policy.revocation]),
        time_tolerance=CLOCK_TOLERANCE,
    )
    try:
        _completed(CertificateValidator(leaf, validation_context=context).async_validate_path())
    except errors.RevokedError:
        return CertificateVerdict(TrustReason.REVOKED)
    except errors.InsufficientRevinfoError:
        return CertificateVerdict(TrustReason.REVOCATION_UNKNOWN, "no valid revocation information")
    except errors.DisallowedAlgorithmError:
        return CertificateVerdict(TrustReason.WEAK_KEY, "weak signature algorithm")
    except (errors.ValidationError, errors.PathError):
        return CertificateVerdict(TrustReason.BROKEN, "the path is not valid (RFC 5280 6.1)")
    return None


def _purpose(certificate: x509.Certificate, policy: ChainPolicy) -> CertificateVerdict | None:
    extensions = certificate.extensions
    for constraints in extensions:
        if isinstance(constraints.value, x509.BasicConstraints) and constraints.value.ca:
            return CertificateVerdict(TrustReason.WRONG_PURPOSE, "a certificate of an issuer")
    for usage in extensions:
        if isinstance(usage.value, x509.KeyUsage):
            allowed = {use for uses in policy.key_uses for use in uses if getattr(usage.value, use.value)}
            if not all(uses & allowed for uses in policy.key_uses):
                return CertificateVerdict(TrustReason.WRONG_PURPOSE, "the key is for another use")
        if isinstance(usage.value, x509.ExtendedKeyUsage) and not policy.extended_uses & {*usage.value}:
            return CertificateVerdict(TrustReason.WRONG_PURPOSE, "the certificate is for another use")
    return None


def _readable(load: Callable[[bytes], object], data: bytes) -> bool:
    """Return whether ``data`` can be parsed, so that a broken item does not invalidate the others."""
    try:
        load(data)
    except (ValueError, x509.InvalidVersion):
        return False
    return True


def _asn1(certificate: x509.Certificate) -> asn1.Certificate:
    return asn1.Certificate.load(certificate.public_bytes(Encoding.DER))


def _completed(work: Coroutine[Any, Any, object]) -> None:
    """Run ``work`` without an event loop; it has nothing to wait for, since all evidence is supplied."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError("validation tried to wait")
