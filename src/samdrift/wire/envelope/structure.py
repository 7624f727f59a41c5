"""The structure of an envelope: the syntax mapping as a table, and the checker that applies it.

The table contains only the elements and attributes that envelope-profile-xhe 2.2 names (R1-XHE), in the order
and number that it prescribes (R14-XHE). ``docs/differences.py`` lists what the XHE schema would allow in
addition.

:class:`Checker` is called with elements and text as they occur, so that the same checker serves a message
service, which has a tree, and an access point, which reads a stream: their results cannot differ. It stores
the header's values and nothing of the payload.

:class:`HeaderScanner` is for access points. They forward envelopes of 100 MB and more that they cannot
decrypt, and must determine sender, recipient, document and process, and check that the envelope follows the
profile, with bounded memory (component-accesspoint 3.1.4 a, 3.1.6, 3.2.2 a).

Clauses: accesspoint-test-cases 6.2.1 TF-06.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from samdrift.wire.codes import Detail, Reason
from samdrift.wire.envelope import rules
from samdrift.wire.envelope.header import MAX_VALUE, EnvelopeHeader
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.xml import LARGE, Namespace, XmlLimits, name
from samdrift.wire.xml.schema import (
    BOOLEAN,
    DATE_TIME,
    MAX_FINDINGS,
    TEXT,
    WHITESPACE,
    Particle,
    Schema,
    Sequence,
    Simple,
)
from samdrift.wire.xml.stream import XmlStream

SCHEME_ID: Final = "schemeID"
XHE_NAMESPACES = (Namespace.XHE, Namespace.XHA, Namespace.XHB, Namespace.XHE_EXT)
_ENCRYPTED_DATA = name(Namespace.XENC, "EncryptedData")

_HINTS = frozenset(
    f"{{http://www.w3.org/2001/XMLSchema-instance}}{local}"
    for local in ("schemaLocation", "noNamespaceSchemaLocation")
)


def xha(local: str) -> str:
    """Return the expanded name of an aggregate component."""
    return name(Namespace.XHA, local)


def xhb(local: str) -> str:
    """Return the expanded name of a basic component."""
    return name(Namespace.XHB, local)


_PARTY_ID = Simple(None, attributes=frozenset({SCHEME_ID}))

_PARTY = Sequence(
    "PartyType",
    (
        Particle(
            xha("PartyIdentification"),
            Sequence("PartyIdentificationType", (Particle(xhb("ID"), _PARTY_ID),)),
        ),
    ),
)

_CRITERION = Sequence(
    "BusinessScopeCriterionType",
    (
        Particle(xhb("BusinessScopeCriterionTypeCode"), TEXT),
        Particle(xhb("BusinessScopeCriterionValue"), TEXT),
    ),
)

_HEADER = Sequence(
    "HeaderType",
    (
        Particle(xhb("ID"), TEXT),
        Particle(xhb("CreationDateTime"), DATE_TIME),
        Particle(
            xha("BusinessScope"),
            Sequence("BusinessScopeType", (Particle(xha("BusinessScopeCriterion"), _CRITERION, 5, 5),)),
        ),
        Particle(xha("FromParty"), _PARTY),
        Particle(xha("ToParty"), _PARTY),
    ),
)

_PAYLOAD_CONTENT = Sequence("PayloadContentType", (), extensible=True)
"""Text, or one element that is not an aggregate component; the inside of that element is not checked."""

_PAYLOAD = Sequence(
    "PayloadType",
    (
        Particle(xhb("DocumentTypeCode"), TEXT),
        Particle(xhb("ContentTypeCode"), TEXT),
        Particle(xhb("HandlingServiceID"), TEXT, 0),
        Particle(xhb("InstanceEncryptionIndicator"), BOOLEAN),
        Particle(xha("PayloadContent"), _PAYLOAD_CONTENT),
    ),
)

_SIGNATURE = Sequence("SignatureType", (), extensible=True)
"""Contents are not checked here: verification of the signature judges them, with its own code (``SIG``)."""

ENVELOPE: Final = Schema(
    Namespace.XHE,
    name(Namespace.XHE, "XHE"),
    Sequence(
        "XHEType",
        (
            Particle(xhb("XHEVersionID"), TEXT),
            Particle(xhb("CustomizationID"), TEXT),
            Particle(xha("Header"), _HEADER),
            Particle(xha("Payloads"), Sequence("PayloadsType", (Particle(xha("Payload"), _PAYLOAD),))),
            Particle(name(Namespace.DSIG, "Signature"), _SIGNATURE, 0, None),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A position in an envelope where an element may occur.

    ``path`` consists of local names, as in findings. ``inner`` maps the expanded names of the elements inside
    to their index in the sequence and their position.
    """

    path: str
    declared: Sequence | Simple
    is_text: bool
    inner: Mapping[str, tuple[int, Place]]


def _place(parent: str, tag: str, declared: Sequence | Simple) -> Place:
    path = f"{parent}/{tag.rpartition('}')[2]}"
    particles = declared.particles if isinstance(declared, Sequence) else ()
    inner = {
        particle.tag: (number, _place(path, particle.tag, particle.type))
        for number, particle in enumerate(particles)
    }
    return Place(path, declared, isinstance(declared, Simple), inner)


ROOT: Final = _place("", ENVELOPE.root, ENVELOPE.type)
"""The table with every element at its position, built once because it is used several times per message."""


def _find(*path: str) -> Place:
    place = ROOT
    for tag in path:
        _, place = place.inner[tag]
    return place


CRITERION: Final = _find(xha("Header"), xha("BusinessScope"), xha("BusinessScopeCriterion"))
PAYLOAD: Final = _find(xha("Payloads"), xha("Payload"))
CONTENT: Final = _find(xha("Payloads"), xha("Payload"), xha("PayloadContent"))
SIGNATURE: Final = _find(name(Namespace.DSIG, "Signature"))


@dataclass(slots=True)
class _Open:
    """An element that has begun and not yet ended."""

    place: Place
    counts: list[int]
    reached: int = 0
    text: str = ""
    length: int = 0
    filled: bool = False


class Checker:
    """A checker of one envelope, in one pass.

    Call :meth:`start`, :meth:`text` and :meth:`end` in document order, then :meth:`finish`. :attr:`findings`
    is extended along the way.

    Clauses: envelope-profile-xhe 2.5 a, R1-XHE, R2-XHE, R14-XHE.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.header: EnvelopeHeader | None = None
        """Set when the payload begins, if there are no findings by then."""
        self._metadata = rules.Metadata()
        self._judged = False
        self._payload_root: str | None = None
        self._open: list[_Open] = []
        self._passed_over = 0

    def start(self, tag: str, attributes: Iterable[tuple[str, str]]) -> bool:
        """Begin an element with expanded names; return false if its content need not be checked."""
        place = None if self._passed_over else self._place(tag)
        if place is None or place is SIGNATURE:
            self._passed_over += 1
            return False
        self._open.append(_Open(place, [0] * len(place.inner)))
        for attribute, value in attributes:
            self._read_attribute(place, attribute, value)
        if place is CONTENT:
            self._judge_metadata()
        return True

    def text(self, data: str) -> None:
        """Add text of the innermost open element."""
        if self._passed_over or not self._open:
            return
        element = self._open[-1]
        blank = not data.strip(WHITESPACE)
        if not blank:
            element.filled = True
        if element.place.is_text:
            element.length += len(data)
            if element.length <= MAX_VALUE:
                element.text += data
        elif not blank and element.place is not CONTENT:
            self._report(element.place.path, "holds text between its elements")

    def end(self) -> None:
        """End the innermost open element."""
        if self._passed_over:
            self._passed_over -= 1
            return
        element = self._open.pop()
        place = element.place
        if not element.filled:
            self._found(rules.broken("R2-XHE", "empty elements are not allowed", place.path))
        if isinstance(place.declared, Simple):
            self._read_value(element, place.declared)
        else:
            self._check_numbers(element, place.declared)
        if place is CRITERION:
            self._take_criterion()
        elif place is PAYLOAD:
            encrypted = self._payload_root == _ENCRYPTED_DATA
            self._found(*rules.broken_by_payload(self._metadata, encrypted))
            self._payload_root = None

    def finish(self) -> None:
        """End the document."""
        self._judge_metadata()

    def _place(self, tag: str) -> Place | None:
        """Return the position of an element that begins here; ``None`` if it is not allowed here."""
        if not self._open:
            return self._root_place(tag)
        parent = self._open[-1]
        parent.filled = True
        number, place = parent.place.inner.get(tag, (-1, None))
        if number < parent.reached:
            self._refuse(parent.place, tag, known=place is not None)
            return None
        parent.reached = number
        parent.counts[number] += 1
        return place

    def _root_place(self, tag: str) -> Place | None:
        if tag == ENVELOPE.root:
            return ROOT
        self._report(f"/{_local(tag)}", "is not the root element of an envelope")
        return None

    def _refuse(self, parent: Place, tag: str, *, known: bool) -> None:
        """Handle an element that its parent does not expect, or not so late; only a payload is accepted."""
        path = f"{parent.path}/{_local(tag)}"
        if parent is CONTENT:
            self._take_payload(tag)
        elif parent.is_text:
            self._report(parent.path, "holds elements but should hold text only")
        elif not known and tag[1:].rpartition("}")[0] in XHE_NAMESPACES:
            self._found(rules.broken("R1-XHE", "the profile does not name this element", path))
        else:
            self._report(path, "is not expected here")

    def _take_payload(self, tag: str) -> None:
        path = CONTENT.path
        if self._payload_root is not None:
            self._report(path, "holds more than one element")
        elif tag[:1] != "{" or tag.startswith(xha("")):
            self._report(path, "holds an element of a namespace that cannot be a payload's")
        self._payload_root = tag

    def _read_attribute(self, place: Place, attribute: str, value: str) -> None:
        if isinstance(place.declared, Simple) and attribute in place.declared.attributes:
            self._metadata.values[f"{place.path}/@{attribute}"] = value[:MAX_VALUE].strip(WHITESPACE)
        elif attribute not in _HINTS:
            text = f"the profile does not name the attribute {_local(attribute)}"
            self._found(rules.broken("R1-XHE", text, place.path))

    def _take_criterion(self) -> None:
        values = self._metadata.values
        pair = values.pop(rules.CRITERION_CODE, ""), values.pop(rules.CRITERION_VALUE, "")
        self._metadata.criteria.append(pair)

    def _read_value(self, element: _Open, declared: Simple) -> None:
        path = element.place.path
        if element.length > MAX_VALUE:
            self._report(path, f"is longer than {MAX_VALUE} characters")
        elif declared.accepts is not None and not declared.accepts(element.text):
            self._report(path, declared.says)
        self._metadata.values[path] = element.text.strip(WHITESPACE)

    def _check_numbers(self, element: _Open, declared: Sequence) -> None:
        for particle, count in zip(declared.particles, element.counts, strict=True):
            if count < particle.minimum:
                text = "is missing or occurs too few times"
            elif particle.maximum is not None and count > particle.maximum:
                text = "occurs too many times"
            else:
                continue
            path = f"{element.place.path}/{_local(particle.tag)}"
            self._found(rules.broken("R14-XHE", text, path))

    def _judge_metadata(self) -> None:
        """Judge the metadata once, when the payload begins or the document ends without one."""
        if self._judged:
            return
        self._judged = True
        self._found(*rules.broken_by(self._metadata))
        if not self.findings:
            self.header = rules.header_of(self._metadata)

    def _report(self, path: str, text: str) -> None:
        """Report a fault that an XML schema processor would find (envelope-profile-xhe 2.5 a)."""
        element = path.rpartition("/")[2]
        self._found(Finding(Reason.SCHEMA, Detail.STRUCTURE, f"Element {element} {text}", path))

    def _found(self, *findings: Finding) -> None:
        self.findings.extend(findings[: MAX_FINDINGS - len(self.findings)])


def _local(expanded: str) -> str:
    return expanded.rpartition("}")[2]


class HeaderScanner:
    """A checker of an envelope that arrives in pieces; violations of the profile raise :class:`WireError`.

    It finds the same faults as :func:`samdrift.wire.envelope.validate`, through the same checker. It cannot
    be used after an error.
    """

    def __init__(self, limits: XmlLimits = LARGE) -> None:
        self._checker = _Strict()
        self._stream = XmlStream(self._checker, limits)

    @property
    def header(self) -> EnvelopeHeader | None:
        """The header, once the payload has begun; preliminary until :meth:`close`."""
        return self._checker.header

    def feed(self, chunk: bytes) -> None:
        """Check the next bytes of the envelope."""
        self._stream.feed(chunk)

    def close(self) -> EnvelopeHeader:
        """End the envelope and return its header."""
        self._stream.close()
        self._checker.finish()
        if self._checker.header is None:
            raise AssertionError("an envelope without findings has a header")
        return self._checker.header


class _Strict(Checker):
    """A checker that raises its first finding."""

    def _found(self, *findings: Finding) -> None:
        for finding in findings:
            raise WireError(WireFault.STRUCTURE, finding.text, finding.path)
