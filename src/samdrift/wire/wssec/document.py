"""A SOAP envelope as AS4 allows it: one header that is verified is the one that is used.

Signature wrapping moves a signed element aside and puts another in its place. So there is
exactly one Messaging, one Body and at most one Security in the whole document, at the
places where they belong, and no identifier stands twice (ebms3-core 7.2, 7.6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from samdrift.wire.crypto.xmldsig import ds
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.wssec.names import MUST_UNDERSTAND, WSU_ID, soap, wsse, wsu, xenc
from samdrift.wire.xml import Element, Namespace, XmlLimits, children, name, parse, text

_MESSAGING = name(Namespace.EBMS3, "Messaging")
_SINGULAR = (soap("Header"), soap("Body"), wsse("Security"), _MESSAGING)
_IDS = frozenset({WSU_ID, "Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id"})
_MAX_MARKUP = 4000
_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class SecurityHeader:
    """The parts of ``wsse:Security``, each at most once except the tokens."""

    tokens: Mapping[str, Element]
    """BinarySecurityToken by ``wsu:Id``."""
    timestamp: Element | None
    signature: Element | None
    encrypted_key: Element | None
    encrypted_data: Element | None


@dataclass(frozen=True, slots=True)
class SoapDocument:
    """A SOAP 1.2 envelope whose parts stand where they belong; nothing in it is verified."""

    messaging: Element
    body: Element
    security: SecurityHeader | None
    identified: Mapping[str, Element]
    """Every element that has an identifier, by it."""


def require_empty_body(document: SoapDocument) -> None:
    """Reject a user message with content in its Body (transport-profile-as4 2.2 a).

    The payload is an attachment. Signals are exempt: a receiver ignores their Body
    (ebms3-core 6), and a Domibus puts a SOAP Fault there beside the error in the header.
    """
    if children(document.body) or text(document.body).strip():
        raise _malformed("the profile has the payload in an attachment and nothing here", "Body")


def read_document(data: bytes, max_bytes: int) -> SoapDocument:
    """Read a SOAP envelope, with any Body; :class:`WireError` when its structure is not acceptable."""
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
    """Messaging and Security; another block is read over unless it must be understood."""
    messaging: Element | None = None
    security: Element | None = None
    for block in children(header):
        if block.tag == _MESSAGING:
            messaging = block
        elif block.tag == wsse("Security"):
            security = block
        elif block.get(MUST_UNDERSTAND, "false") in ("true", "1"):
            raise _malformed("a block that must be understood is not", "Header")
    if messaging is None:
        raise _malformed("Messaging is missing", "Header")
    return messaging, security


def _survey(root: Element) -> Mapping[str, Element]:
    """Look through the whole document: what may stand once does, and every identifier is unique."""
    singular = [element.tag for element in root.iter(*_SINGULAR)]
    if len(singular) != len(set(singular)):
        raise _malformed("a part that may stand once stands twice", "Envelope")
    identified: dict[str, Element] = {}
    for element in root.iter():
        for attribute, identifier in element.items():
            if attribute in _IDS and identified.setdefault(str(identifier), element) is not element:
                raise _malformed("an identifier stands twice", "Envelope")
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
            raise _malformed("a part that is unknown or stands twice", "Security")
    return SecurityHeader(
        tokens=MappingProxyType(tokens),
        timestamp=once.get(wsu("Timestamp")),
        signature=once.get(ds("Signature")),
        encrypted_key=once.get(xenc("EncryptedKey")),
        encrypted_data=once.get(xenc("EncryptedData")),
    )


_SECURITY_PARTS = (wsu("Timestamp"), ds("Signature"), xenc("EncryptedKey"), xenc("EncryptedData"))


def _malformed(message: str, where: str) -> WireError:
    return WireError(WireFault.STRUCTURE, message, where)
