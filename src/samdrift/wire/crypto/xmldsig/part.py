"""Signatures over one element, referenced by its identifier, as in SAML (saml-core 5.4).

The signature is a child of the element that it covers, and its single reference names that element. The
digest is computed over the element that contains the signature and no other. Nothing is looked up by its
identifier, so nothing can be moved elsewhere (signature wrapping). The bytes that were digested are returned
for use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from hmac import compare_digest

from cryptography import x509

from samdrift.wire.crypto.xmldsig.algorithms import ENVELOPED, Canonicalization
from samdrift.wire.crypto.xmldsig.canonical import canonical_part
from samdrift.wire.crypto.xmldsig.enveloped import detach, is_enveloped
from samdrift.wire.crypto.xmldsig.signature import Transform, ds, read_signature
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element


def signed_bytes(element: Element, identifier: str, signers: Sequence[x509.Certificate]) -> bytes:
    """Return the canonical form of ``element`` that one of ``signers`` signed, without its signature.

    The signature is removed from the tree. Raises :class:`WireError` (``SIGNATURE``, ``ALGORITHM``) unless
    there is exactly one, over this element, by one of the signers. Certificates in it are ignored: the
    permitted signers are known in advance.
    """
    found = element.findall(ds("Signature"))
    if len(found) != 1:
        raise _refused("exactly one signature is required")
    signature = read_signature(found[0], ENVELOPED)
    (reference,) = signature.references
    if not identifier or reference.uri != f"#{identifier}" or not is_enveloped(reference.transforms):
        raise _refused("the signature is over something else")
    if not any(signature.made_by(signer) for signer in signers):
        raise _refused("the signature is not one of those who may sign")
    last = (
        reference.transforms[-1] if len(reference.transforms) > 1 else Transform(Canonicalization.INCLUSIVE)
    )
    detach(found[0])
    signed = canonical_part(element, Canonicalization(last.algorithm), last.prefixes)
    if not compare_digest(hashlib.sha256(signed).digest(), reference.digest):
        raise _refused("the content is not what was signed")
    return signed


def _refused(text: str) -> WireError:
    return WireError(WireFault.SIGNATURE, text, "Signature")
