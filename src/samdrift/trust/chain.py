"""The chain from a certificate to an anchor, found by names and signatures alone.

This check comes first: a certificate that does not lead to one of our anchors costs only signature checks,
and its contents, in particular addresses, are never acted on.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.trust.policy import ChainPolicy

Chain = tuple[x509.Certificate, ...]
"""A certificate, its issuers in order, and finally the anchor."""

_LONGEST = 6


def find_chain(
    certificate: x509.Certificate, policy: ChainPolicy, intermediates: tuple[x509.Certificate, ...] = ()
) -> Chain | None:
    """Return the chain of ``certificate``, or ``None`` if it does not lead to the policy's anchors.

    If the policy names issuers, one of them must have issued the certificate directly. An anchor has no
    chain. ``intermediates`` are untrusted and only help to find the path.
    """
    others = (*policy.issuers, *policy.intermediates, *intermediates)
    first = policy.issuers or (*policy.anchors, *others)
    for issuer in first:
        if certificate not in policy.anchors and issued(certificate, issuer):
            rest = _to_anchor(issuer, policy.anchors, others, _LONGEST)
            if rest is not None:
                return (certificate, *rest)
    return None


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

    A certificate is an anchor if none of the others has issued it: a root, or an issuer that is trusted
    without its root.
    """
    below = tuple(
        each for each in certificates if any(other != each and issued(each, other) for other in certificates)
    )
    return tuple(each for each in certificates if each not in below), below


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
