"""``ds:Signature``: reading, checking its value with a certificate, and creating one (XML Signature 4.4).

This is the part that enveloped signatures and WS-Security share. The caller resolves the references itself,
or passes :func:`unmatched` a function that does.

Reading ``ds:SignedInfo`` rejects every element, algorithm and transform that is not in the caller's
allow-list, so that nothing is computed on a stranger's terms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hmac import compare_digest

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml import etree

from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.crypto.xmldsig.algorithms import RSA_SHA256, SHA256, AllowList, Canonicalization
from samdrift.wire.crypto.xmldsig.canonical import canonical_part
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, Namespace, base64text, children, name, text

_INCLUSIVE_NAMESPACES = name(Namespace.EXC_C14N, "InclusiveNamespaces")

_DEFAULT_NAMESPACE = "#default"
"""Value in a ``PrefixList`` that lxml silently ignores, so it is rejected rather than digested wrongly."""

_MAX_PREFIXES = 32
"""Maximum length of a ``PrefixList``: each element is searched for each prefix before the signer is known."""

_SHA256_SIZE = 32


@cache
def ds(local: str) -> str:
    """Return the expanded name of an XML Signature element."""
    return name(Namespace.DSIG, local)


@dataclass(frozen=True, slots=True)
class Transform:
    """One step from the referenced data to the bytes that are digested.

    ``prefixes`` is the ``PrefixList`` of ``InclusiveNamespaces`` in exclusive canonical form.
    """

    algorithm: str
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A signed reference: its URI, its transforms, and the SHA-256 of the transformed bytes."""

    uri: str
    transforms: tuple[Transform, ...]
    digest: bytes


@dataclass(frozen=True, slots=True)
class SignedInfo:
    """The canonicalisation of ``ds:SignedInfo`` itself, and the references in it."""

    canonicalization: Transform
    references: tuple[Reference, ...]


def read_signed_info(element: Element, allowed: AllowList) -> SignedInfo:
    """Read ``ds:SignedInfo``; raise :class:`WireError` for anything malformed or not in ``allowed``."""
    parts = children(element)
    expected = [ds("CanonicalizationMethod"), ds("SignatureMethod")] + [ds("Reference")] * (len(parts) - 2)
    if len(parts) < 3 or [part.tag for part in parts] != expected:
        raise _malformed("SignedInfo")
    method, signature_method, *references = parts
    if len(references) > allowed.max_references:
        raise WireError(WireFault.SIGNATURE, "more references than are accepted", "SignedInfo")
    _only(signature_method, RSA_SHA256)
    return SignedInfo(
        _read_transform(method, allowed.canonicalizations),
        tuple(read_reference(reference, allowed) for reference in references),
    )


def read_reference(element: Element, allowed: AllowList) -> Reference:
    """Read one ``ds:Reference``, of a signature or repeated in a receipt.

    Raises :class:`WireError` as :func:`read_signed_info` does.
    """
    parts = children(element)
    if parts and parts[0].tag == ds("Transforms"):
        transforms = tuple(_read_transform(part, allowed.transforms) for part in children(parts.pop(0)))
    else:
        transforms = ()
    if [part.tag for part in parts] != [ds("DigestMethod"), ds("DigestValue")]:
        raise _malformed("Reference")
    method, value = parts
    _only(method, SHA256)
    digest = base64text.decode(text(value), "DigestValue")
    uri = element.get("URI")
    if len(digest) != _SHA256_SIZE or uri is None:
        raise _malformed("Reference")
    return Reference(uri, transforms, digest)


def _read_transform(element: Element, allowed: frozenset[str]) -> Transform:
    algorithm = element.get("Algorithm")
    if algorithm is None or algorithm not in allowed:
        raise _refused(element)
    parts = children(element)
    if not parts:
        return Transform(algorithm)
    if algorithm != Canonicalization.EXCLUSIVE or [part.tag for part in parts] != [_INCLUSIVE_NAMESPACES]:
        raise _refused(element)
    prefixes = tuple((parts[0].get("PrefixList") or "").split())
    if _DEFAULT_NAMESPACE in prefixes or len(prefixes) > _MAX_PREFIXES:
        raise _refused(element)
    return Transform(algorithm, prefixes)


def _only(element: Element, algorithm: str) -> None:
    if element.get("Algorithm") != algorithm or len(children(element)):
        raise _refused(element)


def _refused(element: Element) -> WireError:
    return WireError(WireFault.ALGORITHM, "algorithm not accepted", etree.QName(element).localname)


def _malformed(where: str) -> WireError:
    return WireError(WireFault.SIGNATURE, "not a signature of the form that the profiles prescribe", where)


def append_signed_info(
    parent: Element, canonicalization: Transform, references: Sequence[Reference]
) -> Element:
    """Append ``ds:SignedInfo`` to a ``ds:Signature``."""
    signed_info = etree.SubElement(parent, ds("SignedInfo"))
    _append_transform(signed_info, "CanonicalizationMethod", canonicalization)
    etree.SubElement(signed_info, ds("SignatureMethod"), Algorithm=RSA_SHA256)
    for reference in references:
        element = etree.SubElement(signed_info, ds("Reference"), URI=reference.uri)
        if reference.transforms:
            transforms = etree.SubElement(element, ds("Transforms"))
            for transform in reference.transforms:
                _append_transform(transforms, "Transform", transform)
        etree.SubElement(element, ds("DigestMethod"), Algorithm=SHA256)
        etree.SubElement(element, ds("DigestValue")).text = base64text.encode(reference.digest).decode(
            "ascii"
        )
    return signed_info


def _append_transform(parent: Element, local: str, transform: Transform) -> None:
    element = etree.SubElement(parent, ds(local), Algorithm=transform.algorithm)
    if transform.prefixes:
        etree.SubElement(
            element,
            _INCLUSIVE_NAMESPACES,
            nsmap={"ec": Namespace.EXC_C14N},
            PrefixList=" ".join(transform.prefixes),
        )


Resolver = Callable[[Reference], bytes | None]
"""Function that returns the SHA-256 of the data behind a reference, or ``None`` if it is not acceptable."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as read; its content is unverified until :meth:`made_by` and the digests confirm it."""

    references: tuple[Reference, ...]
    signed_bytes: bytes
    """``ds:SignedInfo`` in canonical form, which the signature value covers."""
    value: bytes
    key_info: Element | None

    def made_by(self, certificate: x509.Certificate) -> bool:
        """Return whether the certificate's RSA key made the signature value over :attr:`signed_bytes`."""
        try:
            key = certificate.public_key()
        except (ValueError, UnsupportedAlgorithm):
            return False
        if not isinstance(key, RSAPublicKey):
            return False
        try:
            key.verify(self.value, self.signed_bytes, PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def read_signature(element: Element, allowed: AllowList) -> Signature:
    """Read ``ds:Signature`` in its document; raise :class:`WireError` if it is not acceptable."""
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
    """Return the references whose digest does not match their data; an empty result means all are valid."""
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

    It is signed in its place, because the inclusive forms include the namespaces of the ancestors.
    ``append_key_info`` appends the caller's ``ds:KeyInfo``.
    """
    signature = etree.SubElement(parent, ds("Signature"), nsmap={"ds": Namespace.DSIG})
    signed_info = append_signed_info(signature, canonicalization, references)
    value = etree.SubElement(signature, ds("SignatureValue"))
    append_key_info(signature)
    method = Canonicalization(canonicalization.algorithm)
    signed_bytes = canonical_part(signed_info, method, canonicalization.prefixes)
    value.text = base64text.encode(key.sign(signed_bytes)).decode("ascii")
    return signature
