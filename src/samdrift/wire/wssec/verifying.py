"""Reading of a SOAP message in the one form that AS4 allows, and verification of its signature.

Signature wrapping moves a signed element away and puts another in its place. So there must be exactly one
Messaging, one Body and at most one Security in the whole document, in their proper places, and every
identifier must be unique (ebms3-core 7.2, 7.6): the header that is verified is the header that is used.

:func:`verify` checks the signature value first, with a certificate from the message or the caller, then the
digests of the elements in the envelope. The attachment's digest is checked by the code that streams it (WSS
SwA profile 1.1, 5.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from urllib.parse import unquote

from cryptography import x509

from samdrift.wire.crypto.xmldsig import (
    Canonicalization,
    Reference,
    Signature,
    ds,
    read_signature,
    unmatched,
)
from samdrift.wire.ebms import parse_time
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.wssec.keyreference import (
    EmbeddedCertificate,
    KeyReference,
    read_key_reference,
)
from samdrift.wire.wssec.names import (
    ATTACHMENT_SIGNATURE,
    MUST_UNDERSTAND,
    WSU_ID,
    soap,
    wsse,
    wsu,
    xenc,
)
from samdrift.wire.wssec.references import ALLOWED, SignedReference
from samdrift.wire.xml import Element, Namespace, XmlLimits, canonical, children, name, parse, text

_MESSAGING = name(Namespace.EBMS3, "Messaging")
_SINGULAR = (soap("Header"), soap("Body"), wsse("Security"), _MESSAGING)
_IDS = frozenset({WSU_ID, "Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id"})
_MAX_MARKUP = 4000
_MAX_DEPTH = 32
_SECURITY_PARTS = (wsu("Timestamp"), ds("Signature"), xenc("EncryptedKey"), xenc("EncryptedData"))


@dataclass(frozen=True, slots=True)
class SecurityHeader:
    """The parts of ``wsse:Security``, each at most once except the tokens."""

    tokens: Mapping[str, Element]
    """The BinarySecurityToken elements by ``wsu:Id``."""
    timestamp: Element | None
    signature: Element | None
    encrypted_key: Element | None
    encrypted_data: Element | None


@dataclass(frozen=True, slots=True)
class SoapDocument:
    """A SOAP 1.2 envelope with its parts in their proper places; nothing in it is verified."""

    messaging: Element
    body: Element
    security: SecurityHeader | None
    identified: Mapping[str, Element]
    """Every element that has an identifier, by that identifier."""


def require_empty_body(document: SoapDocument) -> None:
    """Reject a user message with content in its Body (transport-profile-as4 2.2 a).

    The payload is an attachment. Signals are exempt: a receiver ignores their Body (ebms3-core 6), and a
    Domibus puts a SOAP Fault there in addition to the error in the header.
    """
    if children(document.body) or text(document.body).strip():
        raise _malformed("the profile has the payload in an attachment and nothing here", "Body")


def read_document(data: bytes, max_bytes: int) -> SoapDocument:
    """Read a SOAP envelope, with any Body; raise :class:`WireError` if its structure is not acceptable."""
    root = parse(data, XmlLimits(max_bytes, _MAX_MARKUP, _MAX_DEPTH))
    if root.tag != soap("Envelope"):
        raise WireError(WireFault.UNKNOWN_ROOT, "not a SOAP 1.2 envelope", "root")
    identified = _survey(root)
    parts = children(root)
    if [part.tag for part in parts] != [soap("Header"), soap("Body")]:
        raise _malformed("exactly one Header and one Body are required", "Envelope")
    header, body = parts
    messaging, security = _blocks(header)
    return SoapDocument(
        messaging=messaging,
        body=body,
        security=None if security is None else _read_security(security),
        identified=identified,
    )


def _blocks(header: Element) -> tuple[Element, Element | None]:
    """Return Messaging and Security; reject other blocks only if they must be understood."""
    messaging: Element | None = None
    security: Element | None = None
    for block in children(header):
        if block.tag == _MESSAGING:
            messaging = block
        elif block.tag == wsse("Security"):
            security = block
        elif block.get(MUST_UNDERSTAND, "false") in ("true", "1"):
            raise _malformed("an unknown header block with mustUnderstand", "Header")
    if messaging is None:
        raise _malformed("Messaging is missing", "Header")
    return messaging, security


def _survey(root: Element) -> Mapping[str, Element]:
    """Check that singular parts and identifiers are unique; return the elements by identifier."""
    singular = [element.tag for element in root.iter(*_SINGULAR)]
    if len(singular) != len(set(singular)):
        raise _malformed("a part that may occur once occurs twice", "Envelope")
    identified: dict[str, Element] = {}
    for element in root.iter():
        for attribute, identifier in element.items():
            if attribute in _IDS and identified.setdefault(str(identifier), element) is not element:
                raise _malformed("an identifier occurs twice", "Envelope")
    return MappingProxyType(identified)


def _read_security(security: Element) -> SecurityHeader:
    tokens: dict[str, Element] = {}
    once: dict[str, Element] = {}
    for part in children(security):
        if part.tag == wsse("BinarySecurityToken"):
            tokens[part.get(WSU_ID, "")] = part
        elif part.tag in _SECURITY_PARTS and part.tag not in once:
            once[part.tag] = part
        else:
            raise _malformed("a part that is unknown or occurs twice", "Security")
    return SecurityHeader(
        tokens=MappingProxyType(tokens),
        timestamp=once.get(wsu("Timestamp")),
        signature=once.get(ds("Signature")),
        encrypted_key=once.get(xenc("EncryptedKey")),
        encrypted_data=once.get(xenc("EncryptedData")),
    )


def _malformed(message: str, where: str) -> WireError:
    return WireError(WireFault.STRUCTURE, message, where)


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that is valid for everything in the envelope that it refers to.

    The caller decides whether that is sufficient, and whether ``certificate`` is trusted.
    """

    certificate: x509.Certificate
    references: tuple[SignedReference, ...]
    parts: tuple[Element, ...]
    value: bytes

    def covers(self, element: Element) -> bool:
        """Return whether this very element is signed, not merely an equal one."""
        return any(part is element for part in self.parts)

    def attachment_digest(self, content_id: str) -> bytes | None:
        """Return the SHA-256 required of the attachment; ``None`` unless it is signed exactly once."""
        found = [entry.digest for entry in self.references if attachment_id(entry.uri) == content_id]
        return found[0] if len(found) == 1 else None


class SignerUnknown(WireError):
    """The certificate that the signature refers to is neither in the message nor among the candidates."""


def attachment_id(uri: str) -> str | None:
    """Return the Content-ID in a ``cid:`` URL (RFC 2392); ``None`` for other references."""
    return unquote(uri[4:]) if uri.startswith("cid:") else None


def verify(document: SoapDocument, candidates: Sequence[x509.Certificate] = ()) -> VerifiedSignature:
    """Verify the one signature of ``document``; raise :class:`WireError` (``SIGNATURE``) if it is invalid.

    ``candidates`` are certificates that a reference without a certificate may refer to. Raises
    :class:`SignerUnknown` if it refers to none of them.
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
    """Return the certificate that is referred to and whose key made the signature."""
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
    """Return the elements that the signature refers to; of attachments only the transforms are checked."""
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
    """The times of a ``wsu:Timestamp``, aware and in UTC; the caller decides whether they are acceptable."""

    created: datetime
    expires: datetime | None


def read_timestamp(element: Element) -> SecurityTimestamp:
    """Read ``wsu:Timestamp``; raise :class:`WireError` (``STRUCTURE``) if it is malformed."""
    parts = children(element)
    if [part.tag for part in parts] not in ([wsu("Created")], [wsu("Created"), wsu("Expires")]):
        raise _malformed_timestamp()
    times = [parse_time(text(part).strip()) for part in parts]
    if times[0] is None or times[-1] is None:
        raise _malformed_timestamp()
    return SecurityTimestamp(times[0], times[1] if len(times) > 1 else None)


def _malformed_timestamp() -> WireError:
    return WireError(WireFault.STRUCTURE, "not a timestamp", "Timestamp")
