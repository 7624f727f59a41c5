"""The chain from a certificate to an anchor, found by names and signatures alone.

This check comes first: a certificate that does not lead to one of our anchors costs only signature checks,
and its contents, in particular addresses, are never acted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.trust.policy import ChainPolicy

Chain = tuple[x509.Certificate, ...]
"""A certificate, its issuers in order, and finally the anchor."""

_LONGEST = 6


def find_chain(
    certificate: x509.Certificate,
    policy: ChainPolicy,
    intermediates: tuple[x509.Certificate, ...] = (),
    at: datetime | None = None,
) -> Chain | None:
    """Return the chain of ``certificate``, or ``None`` if it does not lead to the policy's anchors.

    If the policy names issuers, one of them must have issued the certificate directly. An anchor has no
    chain. ``intermediates`` are untrusted and only help to find the path. An issuer's certificate may have
    been renewed with the same key, so that there are several chains: one whose issuers are valid at ``at`` is
    preferred.
    """
    if certificate in policy.anchors:
        return None
    others = (*policy.issuers, *policy.intermediates, *intermediates)
    first = policy.issuers or (*policy.anchors, *others)
    chain = None
    if at is not None:
        chain = _chain(certificate, *(_valid(each, at) for each in (first, policy.anchors, others)))
    return chain or _chain(certificate, first, policy.anchors, others)


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether ``issuer`` has signed ``certificate``, under its own name."""
    try:
        if certificate.issuer != issuer.subject:
            return False
        certificate.verify_directly_issued_by(issuer)
        return _encoded_as_signed(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False


def _encoded_as_signed(certificate: x509.Certificate) -> bool:
    """Return whether the signature fills its bit string; the count of unused bits is not signed.

    Otherwise a certificate with different bytes would be as valid as the one that was issued.
    """
    encoded = certificate.public_bytes(Encoding.DER)
    return encoded[-len(certificate.signature) - 1] == 0


def sorted_out(certificates: Sequence[x509.Certificate]) -> tuple[Chain, Chain]:
    """Return the anchors, and the issuers below them, from certificates in any order.

    A certificate is an anchor if it is a root, or if none of the others has issued it: an issuer that is
    trusted without its root.
    """
    below = tuple(
        each
        for each in certificates
        if not issued(each, each) and any(issued(each, other) for other in certificates)
    )
    return tuple(each for each in certificates if each not in below), below


def issuing(anchors: Chain, below: Chain) -> Chain:
    """Return the issuers of a policy for :func:`sorted_out` certificates, if any is below another.

    An anchor without an issuer below it is one itself: DIGG publishes SITHS with its root, others alone.
    """
    alone = (anchor for anchor in anchors if not any(issued(each, anchor) for each in below))
    return (*below, *alone) if below else ()


def _valid(certificates: Chain, at: datetime) -> Chain:
    return tuple(each for each in certificates if each.not_valid_before_utc <= at <= each.not_valid_after_utc)


def _chain(certificate: x509.Certificate, first: Chain, anchors: Chain, others: Chain) -> Chain | None:
    """Return a chain whose first issuer is one of ``first``."""
    for issuer in first:
        if issued(certificate, issuer):
            rest = _to_anchor(issuer, anchors, others, _LONGEST)
            if rest is not None:
                return (certificate, *rest)
    return None


def _to_anchor(certificate: x509.Certificate, anchors: Chain, others: Chain, left: int) -> Chain | None:
    if certificate in anchors:
        return (certificate,)
    if left == 0:
        return None
    for issuer in (*anchors, *others):
        if issuer != certificate and issued(certificate, issuer):
            rest = _to_anchor(issuer, anchors, others, left - 1)
            if rest is not None:
                return (certificate, *rest)
    return None
