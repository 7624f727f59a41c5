"""``ds:Signature``: read it, check its value with a certificate, and make one.

The pieces that enveloped signatures and WS-Security share. What a reference
points to is the caller's business: it resolves references itself, or gives
:func:`unmatched` a function that does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from lxml import etree

from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.crypto.xmldsig.algorithms import AllowList, Canonicalization
from samdrift.wire.crypto.xmldsig.canonical import canonical_part
from samdrift.wire.crypto.xmldsig.signedinfo import (
    Reference,
    Transform,
    append_signed_info,
    ds,
    read_signed_info,
)
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, Namespace, base64text, children, text

Resolver = Callable[[Reference], bytes | None]
"""Gives the SHA-256 of what a reference points to, or ``None`` when it points to nothing acceptable."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as read: nothing in it is true before :meth:`made_by` and the digests say so."""

    references: tuple[Reference, ...]
    signed_bytes: bytes
    """``ds:SignedInfo`` in its canonical form: what the signature value is over."""
    value: bytes
    key_info: Element | None

    def made_by(self, certificate: x509.Certificate) -> bool:
        """Return whether the signature value is that of the certificate's RSA key over
        :attr:`signed_bytes`.
        """
        try:
            key = certificate.public_key()
        except (ValueError, UnsupportedAlgorithm):
            return False
        if not isinstance(key, RSAPublicKey):
            return False
        try:
            key.verify(self.value, self.signed_bytes, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True


def read_signature(element: Element, allowed: AllowList) -> Signature:
    """Read ``ds:Signature`` where it is in its document; :class:`WireError` when it is not acceptable."""
    parts = children(element)
    if [part.tag for part in parts[:2]] != [ds("SignedInfo"), ds("SignatureValue")]:
        raise WireError(WireFault.SIGNATURE, "signature without its parts", "Signature")
    if [part.tag for part in parts[2:]] not in ([], [ds("KeyInfo")]):
        raise WireError(WireFault.SIGNATURE, "signature with parts that are not accepted", "Signature")
    signed_info, value, *key_info = parts
    info = read_signed_info(signed_info, allowed)
    method = Canonicalization(info.canonicalization.algorithm)
    return Signature(
        references=info.references,
        signed_bytes=canonical_part(signed_info, method, info.canonicalization.prefixes),
        value=base64text.decode(text(value), "SignatureValue"),
        key_info=key_info[0] if key_info else None,
    )


def unmatched(references: Sequence[Reference], resolve: Resolver) -> tuple[Reference, ...]:
    """The references whose digest is not that of what they point to; none means that all is as signed."""
    return tuple(reference for reference in references if not _matches(reference, resolve(reference)))


def _matches(reference: Reference, digest: bytes | None) -> bool:
    return digest is not None and compare_digest(reference.digest, digest)


def append_signature(
    parent: Element,
    references: Sequence[Reference],
    key: SigningKey,
    canonicalization: Transform,
    append_key_info: Callable[[Element], Element],
) -> Element:
    """Sign ``references`` and append ``ds:Signature`` to ``parent``.

    Signed where it stands, since the inclusive forms take in the namespaces of
    the ancestors. ``append_key_info`` appends the caller's ``ds:KeyInfo``.
    """
    signature = etree.SubElement(parent, ds("Signature"), nsmap={"ds": Namespace.DSIG})
    signed_info = append_signed_info(signature, canonicalization, references)
    value = etree.SubElement(signature, ds("SignatureValue"))
    append_key_info(signature)
    method = Canonicalization(canonicalization.algorithm)
    signed_bytes = canonical_part(signed_info, method, canonicalization.prefixes)
    value.text = base64text.encode(key.sign(signed_bytes)).decode("ascii")
    return signature
