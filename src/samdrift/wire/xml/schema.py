"""Validation of XML as data: tables of elements and rules, and the code that applies them.

The formats of the published schemas and Schematron files are checked here against our own tables, without an
XSD or XSLT processor: a message is checked four times on its way, and 30 MB of attachments must not be copied
for it. Differential tests ensure that the tables agree with the published files; ``docs/differences.py``
lists where they do not.

Tables of elements support only what the published schemas of the SDK message and the message receipt use:
simple types, in the lexical forms of XML Schema part 2 and RFC 4648, and sequences of elements with distinct
names and cardinalities, possibly followed by elements of other namespaces (``xs:any namespace="##other"``,
processed laxly). Tables of rules state of single elements what Schematron states.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from samdrift.wire import xml
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.xml import Element

WHITESPACE = " \t\r\n"
"""White space in XML, XML Schema and XPath, which excludes the no-break space."""

_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
_DAY = r"-?(?P<year>[1-9][0-9]{4,}|[0-9]{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?|24:00:00(?:\.0+)?)"
_DATE = re.compile(_DAY + _ZONE)
_TIME = re.compile(_CLOCK + _ZONE)
_DATE_TIME = re.compile(f"{_DAY}T{_CLOCK}{_ZONE}")
_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE64_STEP = 1 << 16
XSD = "http://www.w3.org/2001/XMLSchema"

MAX_FINDINGS = 100
"""Maximum number of findings in one document, so that a hostile one cannot cause a huge receipt."""

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_XSI_TYPE = f"{_XSI}type"
_XSI_HINTS = (f"{_XSI}schemaLocation", f"{_XSI}noNamespaceSchemaLocation")


def is_blank(value: str) -> bool:
    """Return whether ``value`` has only white space, as defined by XPath's ``normalize-space``."""
    return not value.strip(WHITESPACE)


def is_boolean(value: str) -> bool:
    """Return whether ``value`` is an ``xs:boolean``."""
    return value.strip(WHITESPACE) in ("true", "false", "1", "0")


def is_date(value: str) -> bool:
    """Return whether ``value`` is an ``xs:date``, with or without a time zone."""
    return _on_calendar(_DATE.fullmatch(value.strip(WHITESPACE)))


def is_time(value: str) -> bool:
    """Return whether ``value`` is an ``xs:time``, with or without a time zone."""
    return _TIME.fullmatch(value.strip(WHITESPACE)) is not None


def is_date_time(value: str) -> bool:
    """Return whether ``value`` is an ``xs:dateTime``, with or without a time zone."""
    return _on_calendar(_DATE_TIME.fullmatch(value.strip(WHITESPACE)))


def _on_calendar(match: re.Match[str] | None) -> bool:
    if match is None:
        return False
    year, month, day = int(match["year"][-9:]), int(match["month"]), int(match["day"])
    if match["year"] == "0000":
        return False
    return day <= 28 or day <= monthrange(2000 + year % 400, month)[1]


def is_base64(value: str) -> bool:
    """Return whether ``value`` is base64 without line breaks and with padding (RFC 4648 3.1 to 3.3, 4).

    The search for invalid characters goes piece by piece, so that 30 MB take some 20 ms and no second copy.
    """
    if len(value) % 4 or not value.isascii():
        return False
    body = len(value) - (2 if value.endswith("==") else 1 if value.endswith("=") else 0)
    return not any(
        value[start : min(start + _BASE64_STEP, body)].encode("ascii").translate(None, _BASE64_ALPHABET)
        for start in range(0, body, _BASE64_STEP)
    )


@dataclass(frozen=True, slots=True)
class Simple:
    """The type of an element that contains only text.

    ``type_name`` is the expanded name of its XML Schema type, or ``None`` for an anonymous one. ``accepts``
    tests the text (``None`` accepts any); ``says`` completes "Element … " in the finding. ``attributes`` are
    the permitted ones.
    """

    type_name: str | None
    accepts: Callable[[str], bool] | None = None
    says: str = ""
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Particle:
    """An element in a sequence: expanded name, type and cardinality; without ``maximum`` it is unbounded."""

    tag: str
    type: Sequence | Simple
    minimum: int = 1
    maximum: int | None = 1


@dataclass(frozen=True, slots=True)
class Sequence:
    """The type of an element that contains elements, in this order.

    If ``extensible``, elements of any namespace other than the format's own may follow the last one.
    """

    type_name: str
    particles: tuple[Particle, ...]
    extensible: bool = False
    positions: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        positions = {particle.tag: index for index, particle in enumerate(self.particles)}
        object.__setattr__(self, "positions", positions)


@dataclass(frozen=True, slots=True)
class Schema:
    """A format: its target namespace, and its one root element with that element's type."""

    namespace: str
    root: str
    type: Sequence
    names: frozenset[str] = field(init=False, repr=False, compare=False)
    """The expanded name of every element that the format declares."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset({self.root, *_declared(self.type)}))

    def path(self, element: xml.Element) -> str:
        """Return the path of ``element``, cut off before the first name that the schema does not declare.

        An undeclared name was chosen by the document's author, perhaps in the result of a decryption, and
        must not be repeated in a receipt or log. Returns ``NA`` if not even the root is declared.
        """
        named: xml.Element | None = None
        for one in (*reversed(list(element.iterancestors())), element):
            if one.tag not in self.names:
                break
            named = one
        return "NA" if named is None else xml.path(named)


def _declared(sequence: Sequence) -> Iterator[str]:
    for particle in sequence.particles:
        yield particle.tag
        if isinstance(particle.type, Sequence):
            yield from _declared(particle.type)


def limited(length: int) -> Simple:
    """Return an anonymous text type with a maximum length in characters."""
    return Simple(None, lambda value: len(value) <= length, f"is longer than {length} characters")


TEXT = Simple(xml.name(XSD, "string"))
BOOLEAN = Simple(xml.name(XSD, "boolean"), is_boolean, "is not true or false")
DATE_TIME = Simple(xml.name(XSD, "dateTime"), is_date_time, "is not a date and time")


def violations(root: Element, schema: Schema) -> list[Finding]:
    """Return the violations of the schema in the tree, in document order, at most :data:`MAX_FINDINGS`.

    Each is ``SV``/``structure`` (content-specification 5.3, situation 2). Text is examined only where its
    type restricts it, and names that the schema does not declare are never repeated.
    """
    check = _Check(schema)
    if root.tag == schema.root:
        check.element(root, schema.type)
    else:
        check.add("The root element is not that of this format", root)
    return check.found[:MAX_FINDINGS]


def require_structure(root: Element, schema: Schema) -> None:
    """Raise :class:`WireError` for the first violation of the schema."""
    for finding in violations(root, schema):
        raise WireError(WireFault.STRUCTURE, finding.text, finding.path)


class _Check:
    """One validation of one tree."""

    __slots__ = ("_namespace", "_schema", "found")

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._namespace = f"{{{schema.namespace}}}"
        self.found: list[Finding] = []

    def report(self, element: Element, text: str) -> None:
        """Add a finding about an element whose name the schema declares."""
        self.add(f"Element {xml.local_name(element)} {text}", element)

    def add(self, text: str, element: Element) -> None:
        if len(self.found) < MAX_FINDINGS:
            path = self._schema.path(element)
            self.found.append(Finding(Reason.SCHEMA, Detail.STRUCTURE, text, path))

    def element(self, element: Element, declared: Sequence | Simple) -> None:
        """Check an element against its declaration."""
        if element.keys():
            self._attributes(element, declared)
        if isinstance(declared, Sequence):
            self._sequence(element, declared)
        else:
            self._simple(element, declared)

    def _sequence(self, element: Element, declared: Sequence) -> None:
        particles, positions = declared.particles, declared.positions
        counts = [0] * len(particles)
        reached = 0
        stray = _is_text(element.text)
        for child in element:
            stray = stray or _is_text(child.tail)
            tag = child.tag
            if not isinstance(tag, str):
                continue
            position = positions.get(tag)
            if position is None:
                reached = len(particles)
                self._undeclared(child, declared)
            elif position < reached:
                self.report(child, "is in the wrong place")
                counts[position] += 1
            else:
                reached = position
                counts[position] += 1
                self.element(child, particles[position].type)
        if stray:
            self.report(element, "holds text between its elements")
        self._cardinalities(element, declared, counts)

    def _cardinalities(self, element: Element, declared: Sequence, counts: list[int]) -> None:
        for particle, count in zip(declared.particles, counts, strict=True):
            if count < particle.minimum:
                self.report(element, f"lacks {_local(particle.tag)}")
            elif particle.maximum is not None and count > particle.maximum:
                self.report(element, f"has more than {particle.maximum} {_local(particle.tag)}")

    def _undeclared(self, element: Element, parent: Sequence) -> None:
        tag = str(element.tag)
        if parent.extensible and tag.startswith("{") and not tag.startswith(self._namespace):
            self._lax(element)
        elif tag in self._schema.names:
            self.report(element, "is not expected here")
        else:
            self.add("An element that this format does not have is not expected here", element)

    def _lax(self, element: Element) -> None:
        """Check content of other namespaces, in which only the format's own root element is known."""
        if element.tag == self._schema.root:
            self.element(element, self._schema.type)
            return
        for child in element:
            self._lax(child)

    def _simple(self, element: Element, declared: Simple) -> None:
        if len(element) and xml.children(element):
            self.report(element, "holds elements but should hold text only")
        elif declared.accepts is not None and not declared.accepts(xml.text(element)):
            self.report(element, declared.says)

    def _attributes(self, element: Element, declared: Sequence | Simple) -> None:
        allowed = declared.attributes if isinstance(declared, Simple) else frozenset()
        for attribute, value in element.items():
            if attribute == _XSI_TYPE:
                if _expanded(str(value), element) != declared.type_name:
                    self.report(element, "names another type than its own")
            elif attribute not in allowed and attribute not in _XSI_HINTS:
                self.report(element, "has an attribute that is not allowed")


def _is_text(text: str | None) -> bool:
    return text is not None and text.strip(WHITESPACE) != ""


def _local(expanded: str) -> str:
    return expanded.rpartition("}")[2]


def _expanded(qname: str, element: Element) -> str:
    prefix, _, local = qname.strip(WHITESPACE).rpartition(":")
    namespace = element.nsmap.get(prefix or None)
    return xml.name(namespace, local) if namespace else local


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a specification.

    It is checked on every element for which ``context`` lists its own expanded name and those of its nearest
    ancestors, outermost first, anywhere in the document. ``text`` describes the violation without repeating
    content (content-specification 4.3.2, label). A ``Difference`` in ``docs/differences.py`` refers to the
    rule by its ``name``.

    Clauses: content-specification 4.3.2 sentence 10.
    """

    name: str
    clause: str
    context: tuple[str, ...]
    holds: Callable[[Element], bool]
    text: str
    detail: Detail = Detail.INVARIANT


@dataclass(frozen=True, slots=True)
class Broken:
    """A violated rule, and the element that violates it."""

    rule: Rule
    element: Element


class RuleBook:
    """Rules, indexed by the name of the element that they apply to."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_tag: dict[object, list[Rule]] = {}
        for rule in self.rules:
            self._by_tag.setdefault(rule.context[-1], []).append(rule)

    def broken(self, elements: Iterable[Element]) -> Iterator[Broken]:
        """Yield the rules that these elements violate, in document order."""
        for element in elements:
            for rule in self._by_tag.get(element.tag, ()):
                if _stands_in(element, rule.context) and not rule.holds(element):
                    yield Broken(rule, element)


def _stands_in(element: Element, context: tuple[str, ...]) -> bool:
    ancestor = element
    for tag in context[-2::-1]:
        parent = ancestor.getparent()
        if parent is None or parent.tag != tag:
            return False
        ancestor = parent
    return True


def finding(broken: Broken, schema: Schema) -> Finding:
    """Return the finding for a violated rule: ``BV`` (message-receipt 4.2)."""
    return Finding(Reason.RULE, broken.rule.detail, broken.rule.text, schema.path(broken.element))


def blank_leaves(elements: Iterable[Element]) -> list[Element]:
    """Return the elements without child elements whose text is empty or white space."""
    return [element for element in elements if _is_leaf(element) and not _holds_text(element)]


def blank_elements(elements: list[Element]) -> list[Element]:
    """Return the elements that, with all their content, have no text but white space.

    ``elements`` are all elements of a document, in order. Each blank element contains a blank leaf, so a
    document without blank leaves needs no further check.
    """
    if not blank_leaves(elements):
        return []
    filled: set[Element | None] = set()
    for element in reversed(elements):
        if element in filled or _holds_text(element):
            filled.update((element, element.getparent()))
    return [element for element in elements if element not in filled]


def _is_leaf(element: Element) -> bool:
    return len(element) == 0 or next(element.iterchildren("*"), None) is None


def _holds_text(element: Element) -> bool:
    text = element.text
    if text is not None and text.strip(WHITESPACE):
        return True
    return any(child.tail is not None and child.tail.strip(WHITESPACE) for child in element)
