"""Rules over single elements, as tables: what Schematron says of the formats, in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from samdrift.wire.codes import Detail, Reason
from samdrift.wire.findings import Finding
from samdrift.wire.xml import Element
from samdrift.wire.xml.schema.lexical import WHITESPACE
from samdrift.wire.xml.schema.model import Schema


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a specification.

    It is asked of every element whose own and nearest ancestors' expanded names
    are ``context``, outermost first, wherever in the document that stands.
    ``text`` says what is wrong without repeating content (content-specification
    4.3.2, label). ``name`` is what a ``Difference`` in ``docs/differences.py``
    refers to it by.

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
    """A rule that does not hold, and the element it was asked of."""

    rule: Rule
    element: Element


class RuleBook:
    """Rules by the name of the element that they are asked of."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_tag: dict[object, list[Rule]] = {}
        for rule in self.rules:
            self._by_tag.setdefault(rule.context[-1], []).append(rule)

    def broken(self, elements: Iterable[Element]) -> Iterator[Broken]:
        """The rules that these elements break, in their order."""
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
    """Return the finding for a broken rule: ``BV`` (message-receipt 4.2)."""
    return Finding(Reason.RULE, broken.rule.detail, broken.rule.text, schema.path(broken.element))


def blank_leaves(elements: Iterable[Element]) -> list[Element]:
    """Those without child elements that hold no text but white space."""
    return [element for element in elements if _is_leaf(element) and not _holds_text(element)]


def blank_elements(elements: Sequence[Element]) -> list[Element]:
    """Those that, with all they contain, hold no text but white space.

    ``elements`` are all of a document, in its order. Each blank one contains a
    blank leaf, so a document without one is done at once.
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
