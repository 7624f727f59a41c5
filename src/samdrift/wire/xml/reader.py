"""The only entry point for XML, and the namespaces that it uses.

Every parser of this package reads through :func:`parse`: no document type declaration, no entities, no
network, and limits on size, element count and depth (transport and envelope profiles use UTF-8 only).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from lxml import etree

from samdrift.wire.errors import WireError, WireFault

Element = etree._Element


class Namespace:
    """Namespace names of the formats, each defined once."""

    SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
    EBMS3 = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/"
    EBBP_SIGNALS = "http://docs.oasis-open.org/ebxml-bp/ebbp-signals-2.0"
    WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    WSSE11 = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
    WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
    DSIG = "http://www.w3.org/2000/09/xmldsig#"
    XENC = "http://www.w3.org/2001/04/xmlenc#"
    XENC11 = "http://www.w3.org/2009/xmlenc11#"
    EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
    XHE = "http://docs.oasis-open.org/bdxr/ns/XHE/1/ExchangeHeaderEnvelope"
    XHA = "http://docs.oasis-open.org/bdxr/ns/XHE/1/AggregateComponents"
    XHB = "http://docs.oasis-open.org/bdxr/ns/XHE/1/BasicComponents"
    XHE_EXT = "http://docs.oasis-open.org/bdxr/ns/XHE/1/ExtensionComponents"
    SDK_MESSAGE = "urn:riv:infrastructure:messaging:MessageWithAttachments:3"
    UBL_RESPONSE = "urn:oasis:names:specification:ubl:schema:xsd:ApplicationResponse-2"
    UBL_AGGREGATE = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
    UBL_BASIC = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
    SMP1 = "http://docs.oasis-open.org/bdxr/ns/SMP/2016/05"
    SMP2_AGGREGATE = "http://docs.oasis-open.org/bdxr/ns/SMP/2/AggregateComponents"
    SMP2_BASIC = "http://docs.oasis-open.org/bdxr/ns/SMP/2/BasicComponents"
    XOP = "http://www.w3.org/2004/08/xop/include"
    DOMIBUS = "http://eu.domibus.wsplugin/"
    SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
    SAML_PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
    SAML_METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """Limits for one document: bytes, pieces of markup (tags, comments and the like), and nesting."""

    max_bytes: int = 1 << 20
    max_markup: int = 20_000
    max_depth: int = 64


MAX_DECLARATIONS = 2_000
"""Maximum number of namespace declarations in one document; lxml sorts those of an element by insertion."""

MAX_ATTRIBUTES = 256
"""Maximum number of attributes of one element, for the same reason: 25 000 of them cost seconds."""

SMALL = XmlLimits()
"""Limits for SOAP headers, receipts and metadata."""

LARGE = XmlLimits(max_bytes=160 << 20, max_markup=200_000)
"""Limits for messages and envelopes with attachments."""

_BEFORE_ROOT = re.compile(rb"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*", re.DOTALL)
_ENCODING = re.compile(rb"""^<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_BOM = b"\xef\xbb\xbf"
_LIBXML_TEXT_LIMIT = 8 << 20


def parse(data: bytes, limits: XmlLimits = SMALL) -> Element:
    """Parse ``data`` to its root element, or raise :class:`WireError`.

    Rejected before a tree is built: an encoding other than UTF-8, a document type declaration, more bytes or
    markup than ``limits``. Rejected afterwards: nesting over ``limits.max_depth``, an element with too many
    attributes. Comments and processing instructions are kept, since canonical forms depend on them.
    """
    check_before_parsing(data, limits)
    try:
        root = etree.fromstring(data, _parser(huge=len(data) > _LIBXML_TEXT_LIMIT))
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise WireError(WireFault.NOT_XML, "not well-formed XML", f"line {line}, column {column}") from None
    _check_depth(root, limits.max_depth)
    if data.count(b"=") > MAX_ATTRIBUTES and _full_of_attributes()(root):
        raise WireError(WireFault.TOO_LARGE, f"an element with more than {MAX_ATTRIBUTES} attributes")
    return root


def stream_parser(target: object) -> etree.XMLParser:
    """Create a parser for data that :func:`parse` has accepted; it notifies ``target`` and builds no tree."""
    return _parser(huge=True, target=target)


def _parser(*, huge: bool, target: object = None) -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=huge,
        strip_cdata=False,
        target=target,  # type: ignore[arg-type]
    )


def check_before_parsing(data: bytes, limits: XmlLimits) -> None:
    """Raise :class:`WireError` for input that must not reach an XML parser at all."""
    if len(data) > limits.max_bytes:
        raise WireError(WireFault.TOO_LARGE, f"larger than {limits.max_bytes} bytes")
    if data.count(b"<") > limits.max_markup:
        raise WireError(WireFault.TOO_LARGE, f"more than {limits.max_markup} pieces of markup")
    if data.count(b"xmlns") > MAX_DECLARATIONS:
        raise WireError(WireFault.TOO_LARGE, f"more than {MAX_DECLARATIONS} namespace declarations")
    body = data[len(_BOM) :] if data.startswith(_BOM) else data
    declared = _ENCODING.match(body)
    if declared and declared[1].upper() not in (b"UTF-8", b"US-ASCII"):
        raise WireError(WireFault.FORBIDDEN_XML, "an encoding other than UTF-8", "XML declaration")
    before = _BEFORE_ROOT.match(body)
    start = before.end() if before else 0
    if body[start : start + 9] == b"<!DOCTYPE":
        raise WireError(WireFault.FORBIDDEN_XML, "document type declarations are not accepted", "DOCTYPE")
    if not body[start : start + 1] == b"<":
        raise WireError(WireFault.NOT_XML, "not an XML document", "start")


def _check_depth(root: Element, max_depth: int) -> None:
    if _deeper_than(max_depth)(root):
        raise WireError(WireFault.TOO_DEEP, f"nested deeper than {max_depth} elements")


@cache
def _deeper_than(depth: int) -> etree.XPath:
    """Return an XPath test for an element with ``depth`` ancestors, evaluated by libxml2, not in Python."""
    return etree.XPath("boolean(" + "/*" * (depth + 1) + ")")


@cache
def _full_of_attributes() -> etree.XPath:
    return etree.XPath(f"boolean(//*[@*[{MAX_ATTRIBUTES + 1}]])")


def name(namespace: str, local: str) -> str:
    """Return the expanded name as lxml writes it, ``{namespace}local``."""
    return f"{{{namespace}}}{local}"


def local_name(element: Element) -> str:
    """Return the name of ``element`` without its namespace."""
    return etree.QName(element).localname


def children(element: Element) -> list[Element]:
    """Return the child elements, without comments and processing instructions."""
    return list(element.iterchildren("*")) if len(element) else []


def text(element: Element) -> str:
    """Return the whole text of an element that contains only text, skipping comments."""
    if not len(element):
        return element.text or ""
    return "".join([element.text or "", *(child.tail or "" for child in element)])


def path(element: Element) -> str:
    """Return an XPath to ``element``, of local names with positions where they are needed.

    It contains only names, so that it can be put in a receipt's ``LineID`` (message-receipt 3.1 g).
    """
    steps: list[str] = []
    current: Element | None = element
    while current is not None:
        parent = current.getparent()
        step = local_name(current)
        if parent is not None:
            same = [child for child in parent if child.tag == current.tag]
            if len(same) > 1:
                step += f"[{same.index(current) + 1}]"
        steps.append(step)
        current = parent
    return "/" + "/".join(reversed(steps))


def canonical(
    element: Element,
    *,
    exclusive: bool,
    with_comments: bool = False,
    inclusive_prefixes: tuple[str, ...] = (),
) -> bytes:
    """Return Canonical XML 1.0 of ``element`` and its content, inclusive or exclusive.

    For the inclusive form, a part of a document is first parsed again as a document of its own, with the
    namespaces in scope: if canonicalised within its document, lxml 6 confuses two default namespaces of which
    one is declared inside the other. Raises :class:`WireError` (``FORBIDDEN_XML``) if no canonical form
    exists: for a namespace that is a relative URI.
    """
    alone = exclusive or element.getparent() is None
    try:
        return etree.tostring(
            element if alone else standalone(element),
            method="c14n",
            exclusive=exclusive,
            with_comments=with_comments,
            inclusive_ns_prefixes=list(inclusive_prefixes) or None,
        )
    except etree.C14NError:
        raise no_canonical_form() from None


def no_canonical_form() -> WireError:
    """Return the error for a document that cannot be digested."""
    return WireError(WireFault.FORBIDDEN_XML, "has no canonical form", "namespaces")


def standalone(element: Element) -> Element:
    """Return a copy of ``element`` as the root of a document, declaring every namespace in scope."""
    return etree.fromstring(etree.tostring(element, with_tail=False), _parser(huge=True))
