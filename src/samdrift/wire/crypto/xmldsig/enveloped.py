"""Documents that contain their own signature: envelopes and service metadata (envelope-profile-xhe 3.5).

Only one form is accepted: a ``ds:Signature`` that is a child of the root, with one reference ``URI=""`` to
the whole document. So there is no identifier that could be moved elsewhere (signature wrapping), and the
element that is verified is the root that the caller continues with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from lxml import etree

from samdrift.wire.crypto import certificates
from samdrift.wire.crypto.certificates import to_base64
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.crypto.xmldsig.algorithms import (
    ENVELOPED,
    ENVELOPED_SIGNATURE,
    RSA_SHA256,
    SHA256,
    Canonicalization,
)
from samdrift.wire.crypto.xmldsig.canonical import DigestSink, HashSink, canonical_document
from samdrift.wire.crypto.xmldsig.signature import (
    Reference,
    Transform,
    append_signature,
    ds,
    read_signature,
    unmatched,
)
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.verdicts import SignedPart
from samdrift.wire.xml import Element, Namespace, base64text, text
from samdrift.wire.xml.writer import XMLNS_DS

_MAX_DER = 16 * 1024


def append_certificate(parent: Element, certificate: x509.Certificate) -> Element:
    """Append ``ds:KeyInfo`` with the certificate as its only content.

    Clauses: envelope-profile-xhe 3.5.2.5 a.
    """
    key_info = etree.SubElement(parent, ds("KeyInfo"))
    data = etree.SubElement(key_info, ds("X509Data"))
    etree.SubElement(data, ds("X509Certificate")).text = certificates.to_base64(certificate)
    return key_info


def certificate_elements(key_info: Element) -> list[Element]:
    """Return the certificate elements in ``ds:KeyInfo``, of which the profile requires exactly one."""
    return key_info.findall(f"{ds('X509Data')}/{ds('X509Certificate')}")


def read_certificate(key_info: Element) -> x509.Certificate:
    """Return the certificate in ``ds:KeyInfo``; raise :class:`WireError` unless there is exactly one.

    Names, serial numbers and bare key values next to it are ignored: only the certificate is compared with
    the published one.
    """
    found = certificate_elements(key_info)
    if len(found) != 1:
        raise WireError(WireFault.SIGNATURE, "exactly one certificate is required", "KeyInfo")
    return certificates.from_base64(text(found[0]), "X509Certificate")


def load_certificate(der: bytes) -> x509.Certificate:
    """Parse a certificate; raise :class:`WireError` (``SIGNATURE``) if it cannot be read."""
    if len(der) > _MAX_DER:
        raise WireError(WireFault.SIGNATURE, "certificate too large", "X509Certificate")
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        raise WireError(WireFault.SIGNATURE, "not a certificate", "X509Certificate") from None


class SignatureReason(StrEnum):
    """Reasons why a signature is valid or not, for programs to branch on and people to read."""

    VALID = "valid"
    MISSING = "no-signature"
    SEVERAL = "several-signatures"
    CERTIFICATES = "more-than-one-certificate"
    MALFORMED = "malformed"
    ALGORITHM = "algorithm-not-accepted"
    REFERENCE = "reference-not-accepted"
    DIGEST = "digest-differs"
    VALUE = "signature-value-differs"


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    """Verdict on whether the document is as the holder of ``certificate`` signed it.

    It does not state whether that certificate is trusted. ``certificate`` is set for an invalid signature
    too, if it could be read.
    """

    reason: SignatureReason
    certificate: x509.Certificate | None = None
    signed: SignedPart | None = None
    """The signed bytes and the signature value, if the signature is valid."""

    @property
    def valid(self) -> bool:
        return self.reason is SignatureReason.VALID


def sign_enveloped(
    root: Element, key: SigningKey, *, method: Canonicalization = Canonicalization.INCLUSIVE
) -> None:
    """Sign the document of ``root`` and append the signature as the root's last child.

    Uses RSA-SHA256 and SHA-256, reference ``URI=""`` with the enveloped transform, and the certificate in
    ``KeyInfo`` (envelope-profile-xhe 3.5.2).

    Clauses: envelope-profile-xhe 3.5 sentence 1, 3.5.2.3 a.
    """
    if root.find(ds("Signature")) is not None:
        raise WireError(WireFault.SIGNATURE, "signed already", "Signature")
    transforms = [Transform(ENVELOPED_SIGNATURE)]
    if method is not Canonicalization.INCLUSIVE:
        transforms.append(Transform(method))
    reference = Reference("", tuple(transforms), _digest(root, tuple(transforms), HashSink()))
    append_signature(
        root,
        [reference],
        key,
        Transform(method),
        lambda signature: append_certificate(signature, key.certificate),
    )


def verify_enveloped(root: Element, *, new_sink: Callable[[], DigestSink] = HashSink) -> SignatureVerdict:
    """Verify the one signature of the document of ``root``, and remove it from the tree.

    It is removed in place: a copy of the tree would cost as much memory as the envelope, and the remaining
    tree is exactly what was signed.

    Envelope-profile-xhe 2.2 allows several signatures and does not state what a second one means; a document
    with more than one is not accepted as signed.

    Clauses: envelope-profile-xhe 3.5 sentence 2.
    """
    found = root.findall(ds("Signature"))
    if root.getparent() is not None or not found:
        return SignatureVerdict(SignatureReason.MISSING)
    if len(found) > 1:
        return SignatureVerdict(SignatureReason.SEVERAL)
    try:
        return _judge(root, found[0], new_sink)
    except WireError as error:
        refused = error.fault is WireFault.ALGORITHM
        return SignatureVerdict(SignatureReason.ALGORITHM if refused else SignatureReason.MALFORMED)


def _judge(root: Element, element: Element, new_sink: Callable[[], DigestSink]) -> SignatureVerdict:
    signature = read_signature(element, ENVELOPED)
    if signature.key_info is None:
        return SignatureVerdict(SignatureReason.MALFORMED)
    if len(certificate_elements(signature.key_info)) > 1:
        return SignatureVerdict(SignatureReason.CERTIFICATES)
    certificate = read_certificate(signature.key_info)
    (reference,) = signature.references
    if reference.uri or not is_enveloped(reference.transforms):
        return SignatureVerdict(SignatureReason.REFERENCE, certificate)
    if not signature.made_by(certificate):
        return SignatureVerdict(SignatureReason.VALUE, certificate)
    detach(element)
    differing = unmatched([reference], lambda found: _digest(root, found.transforms, new_sink()))
    if differing:
        return SignatureVerdict(SignatureReason.DIGEST, certificate)
    signed = SignedPart(signature.signed_bytes, signature.value)
    return SignatureVerdict(SignatureReason.VALID, certificate, signed)


def is_enveloped(transforms: tuple[Transform, ...]) -> bool:
    """Return whether the transforms remove the signature and then apply at most one canonical form."""
    algorithms = [transform.algorithm for transform in transforms]
    return algorithms[:1] == [ENVELOPED_SIGNATURE] and (
        len(algorithms) == 1 or (len(algorithms) == 2 and algorithms[1] in frozenset(Canonicalization))
    )


def _digest(root: Element, transforms: tuple[Transform, ...], sink: DigestSink) -> bytes:
    """Return the SHA-256 of the document after the transforms, in inclusive form if they name none."""
    last = transforms[-1] if len(transforms) > 1 else Transform(Canonicalization.INCLUSIVE)
    canonical_document(root, Canonicalization(last.algorithm), last.prefixes, sink)
    return sink.digest()


def detach(signature: Element) -> None:
    """Remove ``signature`` from its tree, but keep the text that follows it."""
    parent, previous = signature.getparent(), signature.getprevious()
    if parent is None:
        raise WireError(WireFault.SIGNATURE, "signature stands alone", "Signature")
    tail = signature.tail or ""
    signature.tail = None
    if previous is None:
        parent.text = (parent.text or "") + tail or None
    else:
        previous.tail = (previous.tail or "") + tail or None
    parent.remove(signature)


def enveloped_signature(digest: bytes, key: SigningKey, in_scope: Mapping[str, str]) -> str:
    """Return ``ds:Signature``, to be written as the last child of the root (envelope-profile-xhe 3.5).

    ``digest`` is the SHA-256 of the document without it, in inclusive canonical form. ``in_scope`` are the
    namespaces that the root declares, by prefix; it has neither a default namespace nor ``xml:`` attributes.
    ``SignedInfo`` with one reference always has the same structure, so the bytes to sign are written directly
    rather than canonicalised from a tree (see :mod:`samdrift.wire.xml.writer`).
    """
    namespaces = sorted({"ds": Namespace.DSIG, **in_scope}.items())
    declarations = "".join(f' xmlns:{prefix}="{namespace}"' for prefix, namespace in namespaces)
    signed_info = _signed_info(digest)
    value = key.sign(f"<ds:SignedInfo{declarations}>{signed_info}".encode())
    return (
        f"<ds:Signature {XMLNS_DS}>"
        f"<ds:SignedInfo>{signed_info}"
        f"<ds:SignatureValue>{base64text.encode(value).decode('ascii')}</ds:SignatureValue>"
        "<ds:KeyInfo><ds:X509Data>"
        f"<ds:X509Certificate>{to_base64(key.certificate)}</ds:X509Certificate>"
        "</ds:X509Data></ds:KeyInfo>"
        "</ds:Signature>"
    )


def _signed_info(digest: bytes) -> str:
    """Return the content of ``ds:SignedInfo`` after its start tag, in canonical form."""
    return (
        f'<ds:CanonicalizationMethod Algorithm="{Canonicalization.INCLUSIVE}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{RSA_SHA256}"></ds:SignatureMethod>'
        '<ds:Reference URI="">'
        f'<ds:Transforms><ds:Transform Algorithm="{ENVELOPED_SIGNATURE}"></ds:Transform></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'
        f"<ds:DigestValue>{base64text.encode(digest).decode('ascii')}</ds:DigestValue>"
        "</ds:Reference>"
        "</ds:SignedInfo>"
    )
