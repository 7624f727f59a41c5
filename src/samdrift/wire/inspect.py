"""Recognition of a document by its root element, and its validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

from samdrift.wire import envelope, receipt, sdkmessage, xml
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.xml import Namespace

_PIECE = 64 << 10


class Kind(StrEnum):
    """Kinds of documents that organisations exchange."""

    SDK_MESSAGE = "sdk-message"
    ENVELOPE = "envelope"
    RECEIPT = "receipt"


@dataclass(frozen=True, slots=True)
class Inspection:
    """The kind of a document, and its violations; a valid document has none."""

    kind: Kind
    findings: tuple[Finding, ...]


_Validate = Callable[[bytes], tuple[Finding, ...]]
_KINDS: dict[str, tuple[Kind, _Validate]] = {
    xml.name(Namespace.SDK_MESSAGE, "messagePayload"): (Kind.SDK_MESSAGE, sdkmessage.validate),
    xml.name(Namespace.XHE, "XHE"): (Kind.ENVELOPE, envelope.validate),
    xml.name(Namespace.UBL_RESPONSE, "ApplicationResponse"): (Kind.RECEIPT, receipt.validate),
}


def inspect(data: bytes) -> Inspection:
    """Validate ``data``; raise :class:`WireError` if it is not usable XML or not of a known kind."""
    kind, validate = _kind(_root(data))
    return Inspection(kind, validate(data))


def _kind(root: str) -> tuple[Kind, _Validate]:
    try:
        return _KINDS[root]
    except KeyError:
        text = "no SDK message, envelope or receipt"
        raise WireError(WireFault.UNKNOWN_ROOT, text, "root element") from None


def _root(data: bytes) -> str:
    """Return the expanded name of the root element, reading no further than that."""
    xml.check_before_parsing(data, xml.LARGE)
    parser = etree.XMLPullParser(("start",), resolve_entities=False, no_network=True, load_dtd=False)
    try:
        for start in range(0, len(data), _PIECE):
            parser.feed(data[start : start + _PIECE])
            if root := _begun(parser):
                return root
        parser.close()  # a document of a few bytes is parsed only now
        if root := _begun(parser):
            return root
    except etree.XMLSyntaxError:
        pass
    raise WireError(WireFault.NOT_XML, "not well-formed XML", "root element")


def _begun(parser: etree.XMLPullParser) -> str:
    """Return the name of the first element that began since the last call; empty if none did."""
    names = (str(element.tag) for _, element in parser.read_events() if isinstance(element, xml.Element))
    return next(names, "")
