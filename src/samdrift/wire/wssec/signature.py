"""The signature of a SOAP message verified: over header parts where they stand, and over an attachment.

Order of work: the signature value first, by a certificate that the message or
the caller gives; then the digests of what is in the envelope. The attachment's digest
is left to whoever streams it (WSS SwA profile 1.1, 5.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from cryptography import x509

from samdrift.wire.crypto.xmldsig import (
    Canonicalization,
    Reference,
    Signature,
    read_signature,
    unmatched,
)
from samdrift.wire.ebms.types import parse_time
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.wssec.document import SoapDocument
from samdrift.wire.wssec.keyreference import (
    EmbeddedCertificate,
    KeyReference,
    read_key_reference,
)
from samdrift.wire.wssec.names import ATTACHMENT_SIGNATURE, wsu
from samdrift.wire.wssec.references import ALLOWED, SignedReference
from samdrift.wire.xml import Element, canonical, children, text


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that holds for everything in the envelope that it refers to.

    Whether that is enough is for the caller to ask; ``certificate`` is not judged.
    """

    certificate: x509.Certificate
    references: tuple[SignedReference, ...]
    parts: tuple[Element, ...]
    value: bytes

    def covers(self, element: Element) -> bool:
        """Return whether this very element is signed, not one that looks like it."""
        return any(part is element for part in self.parts)

    def attachment_digest(self, content_id: str) -> bytes | None:
        """The SHA-256 that the attachment must have, or None when it is not signed once."""
        found = [entry.digest for entry in self.references if attachment_id(entry.uri) == content_id]
        return found[0] if len(found) == 1 else None


class SignerUnknown(WireError):
    """A signature whose certificate neither the message nor the caller has: it is only named."""


def attachment_id(uri: str) -> str | None:
    """The Content-ID that a ``cid:`` URL means, or None for other references (RFC 2392)."""
    return unquote(uri[4:]) if uri.startswith("cid:") else None


def verify(document: SoapDocument, candidates: Sequence[x509.Certificate] = ()) -> VerifiedSignature:
    """Verify the one signature of ``document``; :class:`WireError` (``SIGNATURE``) when it does not hold.

    ``candidates`` are certificates that a reference without a certificate may mean;
    :class:`SignerUnknown` when it means none of them.
    """
    security = document.security
    if security is None or security.signature is None:
        raise _refused("not signed")
    signature = read_signature(security.signature, ALLOWED)
    if signature.key_info is None:
        raise _refused("does not say whose it is")
    meant = read_key_reference(signature.key_info, security.tokens)
    certificate = _maker(signature, meant, candidates)
    parts = _signed_parts(document, signature.references)
    if unmatched(tuple(parts), lambda reference: _part_digest(parts[reference], reference)):
        raise _refused("a signed part was changed")
    return VerifiedSignature(
        certificate,
        tuple(map(SignedReference.of, signature.references)),
        tuple(parts.values()),
        signature.value,
    )


def _maker(
    signature: Signature, meant: KeyReference, candidates: Sequence[x509.Certificate]
) -> x509.Certificate:
    """The certificate that is meant and whose key made the signature."""
    named = [certificate for certificate in candidates if meant.names(certificate)]
    if not named:
        if not isinstance(meant, EmbeddedCertificate):
            raise SignerUnknown(WireFault.SIGNATURE, "names a certificate that is not known", "Signature")
        named = [meant.certificate]
    for certificate in named:
        if signature.made_by(certificate):
            return certificate
    raise _refused("not by the certificate that it names")


def _signed_parts(document: SoapDocument, references: Iterable[Reference]) -> dict[Reference, Element]:
    """The elements that the signature refers to; attachments are only checked for their form."""
    parts: dict[Reference, Element] = {}
    for reference in references:
        if attachment_id(reference.uri) is not None:
            expected = ATTACHMENT_SIGNATURE
        else:
            expected = str(Canonicalization.EXCLUSIVE)
            element = document.identified.get(reference.uri[1:]) if reference.uri[:1] == "#" else None
            if element is None:
                raise _refused("refers to something that is not there")
            parts[reference] = element
        if [transform.algorithm for transform in reference.transforms] != [expected]:
            raise WireError(WireFault.ALGORITHM, "transforms that are not accepted", "Reference")
    return parts


def _part_digest(element: Element, reference: Reference) -> bytes:
    return _digest(element, reference.transforms[0].prefixes)


def _digest(element: Element, prefixes: tuple[str, ...]) -> bytes:
    return hashlib.sha256(canonical(element, exclusive=True, inclusive_prefixes=prefixes)).digest()


def _refused(message: str) -> WireError:
    return WireError(WireFault.SIGNATURE, message, "Signature")


@dataclass(frozen=True, slots=True)
class SecurityTimestamp:
    """Aware times in UTC. Whether they are acceptable now is for the caller to say."""

    created: datetime
    expires: datetime | None


def read_timestamp(element: Element) -> SecurityTimestamp:
    """Read ``wsu:Timestamp``; :class:`WireError` (``STRUCTURE``) when malformed."""
    parts = children(element)
    if [part.tag for part in parts] not in ([wsu("Created")], [wsu("Created"), wsu("Expires")]):
        raise _malformed()
    times = [parse_time(text(part).strip()) for part in parts]
    if times[0] is None or times[-1] is None:
        raise _malformed()
    return SecurityTimestamp(times[0], times[1] if len(times) > 1 else None)


def _malformed() -> WireError:
    return WireError(WireFault.STRUCTURE, "not a timestamp", "Timestamp")
