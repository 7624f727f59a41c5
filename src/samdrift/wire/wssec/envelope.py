"""The SOAP envelope round a header block and its security (ebms3-core 5.1; WSS 1.1, 5)."""

from __future__ import annotations

from lxml import etree

from samdrift.wire.wssec.names import MUST_UNDERSTAND, WSU_ID, soap, wsse
from samdrift.wire.xml import Element, Namespace

_SECURITY_PREFIXES = {
    "wsse": Namespace.WSSE,
    "wsse11": Namespace.WSSE11,
    "wsu": Namespace.WSU,
    "ds": Namespace.DSIG,
    "xenc": Namespace.XENC,
    "xenc11": Namespace.XENC11,
    "S12": Namespace.SOAP12,
}

MEDIA_TYPE = "application/soap+xml"
CONTENT_TYPE = f"{MEDIA_TYPE}; charset=UTF-8"


def new_security() -> Element:
    """An empty ``wsse:Security`` that must be understood."""
    security = etree.Element(wsse("Security"), nsmap=_SECURITY_PREFIXES)
    security.set(MUST_UNDERSTAND, "true")
    return security


def new_body(wsu_id: str) -> Element:
    """The empty SOAP body, identified as ``wsu_id`` for the signature."""
    body = etree.Element(soap("Body"), nsmap={"S12": Namespace.SOAP12, "wsu": Namespace.WSU})
    body.set(WSU_ID, wsu_id)
    return body


def envelope(security: Element | None, messaging: Element, body: Element) -> bytes:
    """The whole envelope: security first, as WSS4J has it, then the message header."""
    root = etree.Element(soap("Envelope"), nsmap={"S12": Namespace.SOAP12})
    header = etree.SubElement(root, soap("Header"))
    if security is not None:
        header.append(security)
    header.append(messaging)
    root.append(body)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=False)
