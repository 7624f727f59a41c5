"""Checks a tree against a table of elements: what a schema processor would refuse, in our words."""

from __future__ import annotations

from samdrift.wire import xml
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.xml import Element
from samdrift.wire.xml.schema.lexical import WHITESPACE
from samdrift.wire.xml.schema.model import Schema, Sequence, Simple

MAX_FINDINGS = 100
"""How many findings a document can give; a hostile one must not become a huge receipt."""

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_XSI_TYPE = f"{_XSI}type"
_XSI_HINTS = (f"{_XSI}schemaLocation", f"{_XSI}noNamespaceSchemaLocation")


def violations(root: Element, schema: Schema) -> list[Finding]:
    """Return the violations of the schema in the tree, in document order, at most :data:`MAX_FINDINGS`.

    Each is ``SV``/``structure`` (content-specification 5.3, situation 2). Text
    of the document is looked at only where its type restricts it, and names that the
    schema does not have are repeated nowhere.
    """
    check = _Check(schema)
    if root.tag == schema.root:
        check.element(root, schema.type)
    else:
        check.add("The root element is not that of this format", root)
    return check.found[:MAX_FINDINGS]


def require_structure(root: Element, schema: Schema) -> None:
    """:class:`WireError` for the first thing that breaks the schema."""
    for finding in violations(root, schema):
        raise WireError(WireFault.STRUCTURE, finding.text, finding.path)


class _Check:
    """One walk through one tree."""

    __slots__ = ("_namespace", "_schema", "found")

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._namespace = f"{{{schema.namespace}}}"
        self.found: list[Finding] = []

    def report(self, element: Element, text: str) -> None:
        """Note what is wrong with an element whose name the schema has."""
        self.add(f"Element {xml.local_name(element)} {text}", element)

    def add(self, text: str, element: Element) -> None:
        if len(self.found) < MAX_FINDINGS:
            path = self._schema.path(element)
            self.found.append(Finding(Reason.SCHEMA, Detail.STRUCTURE, text, path))

    def element(self, element: Element, declared: Sequence | Simple) -> None:
        """An element with a declaration."""
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
                self.report(child, "stands in the wrong place")
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
        """Content of other namespaces: nothing is known of it but that a root element may are in it."""
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
