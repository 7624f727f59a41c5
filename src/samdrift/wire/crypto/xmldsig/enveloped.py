"""Documents that carry their own signature: envelopes and service metadata (envelope-profile-xhe 3.5).

One form only: a ``ds:Signature`` that is a child of the root, with one
reference ``URI=""`` to the whole document. So there is no identifier to move
elsewhere (signature wrapping), and what is verified is the root that the caller
goes on with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509

from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.crypto.xmldsig.algorithms import ENVELOPED, ENVELOPED_SIGNATURE, Canonicalization
from samdrift.wire.crypto.xmldsig.canonical import DigestSink, HashSink, canonical_document
from samdrift.wire.crypto.xmldsig.keyinfo import append_certificate, certificate_elements, read_certificate
from samdrift.wire.crypto.xmldsig.signature import append_signature, read_signature, unmatched
from samdrift.wire.crypto.xmldsig.signedinfo import Reference, Transform, ds
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element


class SignatureReason(StrEnum):
    """Why a signature holds or not, for programs to branch on and people to read."""

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
    """Whether the document is as the holder of ``certificate`` signed it.

    Says nothing about whether that certificate is to be trusted. It is given
    also when the signature does not hold, where it could be read.
    """

    reason: SignatureReason
    certificate: x509.Certificate | None = None

    @property
    def valid(self) -> bool:
        return self.reason is SignatureReason.VALID


def sign_enveloped(
    root: Element, key: SigningKey, *, method: Canonicalization = Canonicalization.INCLUSIVE
) -> None:
    """Sign the document of ``root`` and append the signature as the root's last child.

    RSA-SHA256 and SHA-256, reference ``URI=""`` with the enveloped transform,
    the certificate in ``KeyInfo`` (envelope-profile-xhe 3.5.2).

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
    """Judge the one signature of the document of ``root``, and take it out of the tree.

    Taken out in place: a copy of the tree would cost as much memory as the
    envelope, and what is left is exactly what was signed.

    Envelope-profile-xhe 2.2 allows several signatures and does not say what a
    second one means; a document with more than one is not accepted as signed.

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
    if reference.uri or not _is_enveloped(reference.transforms):
        return SignatureVerdict(SignatureReason.REFERENCE, certificate)
    if not signature.made_by(certificate):
        return SignatureVerdict(SignatureReason.VALUE, certificate)
    _take_out(element)
    differing = unmatched([reference], lambda found: _digest(root, found.transforms, new_sink()))
    return SignatureVerdict(SignatureReason.DIGEST if differing else SignatureReason.VALID, certificate)


def _is_enveloped(transforms: tuple[Transform, ...]) -> bool:
    """Whether the transforms are: take the signature out, then at most one canonical form."""
    algorithms = [transform.algorithm for transform in transforms]
    return algorithms[:1] == [ENVELOPED_SIGNATURE] and (
        len(algorithms) == 1 or (len(algorithms) == 2 and algorithms[1] in frozenset(Canonicalization))
    )


def _digest(root: Element, transforms: tuple[Transform, ...], sink: DigestSink) -> bytes:
    """The SHA-256 of the document after the transforms; without a canonical form, of the inclusive one."""
    last = transforms[-1] if len(transforms) > 1 else Transform(Canonicalization.INCLUSIVE)
    canonical_document(root, Canonicalization(last.algorithm), last.prefixes, sink)
    return sink.digest()


def _take_out(signature: Element) -> None:
    """Remove ``signature`` from its tree and leave the text that follows it where it was."""
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
