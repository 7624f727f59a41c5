"""A small Schematron evaluator, so that DIGG's published rules can judge our verdicts.

Covers what the published files use: ISO Schematron with the XSLT 2 query
binding, patterns, rules, asserts, namespaces, abstract patterns with
parameters. Within a pattern the first rule whose context matches a node is the
only one that fires for it, as the standard says. Not covered because no file
uses it: phases, ``let``, ``extends``, diagnostics, reports, foreign functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import elementpath
from elementpath.exceptions import ElementPathError
from elementpath.xpath2 import XPath2Parser
from lxml import etree

from samdrift.wire import xml

ISO = "{http://purl.oclc.org/dsdl/schematron}"

_OTHER_SPACES = re.compile(r"[^\S \t\r\n]")
_NO_SPACE = "\ue000"

_TYPED_COMPARISONS = ("true()", "false()")
"""Comparisons on which XPath 1 and 2 differ in the published contexts: a node with a boolean."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An assert that failed: its identifier (or its pattern's), the context node and the message."""

    rule: str
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.path}: {self.text}"


@dataclass(frozen=True, slots=True)
class _Assert:
    name: str
    text: str
    test: Any


@dataclass(frozen=True, slots=True)
class _Rule:
    context: _Context
    asserts: tuple[_Assert, ...]


class _Context:
    """The context of a rule, an XSLT pattern, which finds the matching nodes of a document.

    A pattern matches wherever in the document it fits, so a relative one is
    searched from everywhere. lxml's XPath 1 does that some ten times faster than
    elementpath, with the same result unless a node is compared with a boolean.
    """

    def __init__(self, pattern: str, namespaces: dict[str, str]) -> None:
        branches = [branch.strip() for branch in pattern.split("|")]
        self.expression = " | ".join(
            branch if branch.startswith("/") else f"//{branch}" for branch in branches
        )
        self._typed = any(mark in pattern for mark in _TYPED_COMPARISONS)
        self._parser = XPath2Parser(namespaces=namespaces)
        self._fast = etree.XPath(self.expression, namespaces=namespaces)

    def nodes(self, root: etree._Element) -> list[etree._Element]:
        return self.nodes_by_xpath2(root) if self._typed else cast(list[etree._Element], self._fast(root))

    def nodes_by_xpath2(self, root: etree._Element) -> list[etree._Element]:
        token = self._parser.parse(self.expression)
        context = elementpath.XPathContext(root.getroottree())
        try:
            return [cast(Any, node).elem for node in token.select(context)]
        except ElementPathError:
            return []  # XSLT 2.0 5.5.4: a pattern whose evaluation fails does not match


class Schematron:
    """The rules of one Schematron file, compiled."""

    def __init__(self, file: Path) -> None:
        document = etree.parse(file).getroot()
        self._namespaces = {str(ns.get("prefix")): str(ns.get("uri")) for ns in document.iter(f"{ISO}ns")}
        self._patterns = [
            [self._rule(rule, pattern, parameters) for rule in source.iter(f"{ISO}rule")]
            for pattern, source, parameters in _instances(document)
        ]

    @property
    def contexts(self) -> list[_Context]:
        return [rule.context for pattern in self._patterns for rule in pattern]

    def _rule(self, rule: etree._Element, pattern: str, parameters: dict[str, str]) -> _Rule:
        asserts = tuple(
            _Assert(
                assertion.get("id") or pattern,
                " ".join(str(assertion.xpath("string()")).split()),
                self._test(_substitute(str(assertion.get("test")), parameters)),
            )
            for assertion in rule.iter(f"{ISO}assert")
        )
        context = _substitute(str(rule.get("context")), parameters)
        return _Rule(_Context(context, self._namespaces), asserts)

    def _test(self, expression: str) -> Any:
        return XPath2Parser(namespaces=self._namespaces).parse(f"boolean({expression})")

    def failures(self, root: etree._Element) -> list[Failure]:
        """Return every failed assert of a document, in the order of the patterns."""
        root = _readable(root)
        nodes = elementpath.get_node_tree(root.getroottree())
        return [failure for pattern in self._patterns for failure in _judge(pattern, root, nodes)]


def _readable(root: etree._Element) -> etree._Element:
    """Return a copy without parts that elementpath misreads and no published rule needs.

    elementpath loses the text that follows a comment or processing instruction, and its
    ``normalize-space`` treats every Unicode space as white space, where XPath
    means the four of XML only.
    """
    root = deepcopy(root)
    etree.strip_elements(root, etree.Comment, etree.ProcessingInstruction, with_tail=False)
    for element in root.iter("*"):
        element.text = _OTHER_SPACES.sub(_NO_SPACE, element.text or "")
        element.tail = _OTHER_SPACES.sub(_NO_SPACE, element.tail or "")
    return root


def _judge(pattern: list[_Rule], root: etree._Element, nodes: Any) -> Iterator[Failure]:
    taken: set[etree._Element] = set()
    for rule in pattern:
        for element in rule.context.nodes(root):
            if element in taken:
                continue
            taken.add(element)
            for assertion in rule.asserts:
                if not _holds(assertion.test, nodes, element):
                    yield Failure(assertion.name, xml.path(element), assertion.text)


def _holds(test: Any, nodes: Any, element: etree._Element) -> bool:
    try:
        return bool(test.evaluate(elementpath.XPathContext(nodes, item=nodes.elements[element])))
    except ElementPathError:
        return False  # a processor would report an error, so the document fails


def _instances(document: etree._Element) -> Iterator[tuple[str, etree._Element, dict[str, str]]]:
    """Yield each pattern that applies: its name, the element with its rules, and its parameters' values."""
    patterns = list(document.iter(f"{ISO}pattern"))
    abstract = {pattern.get("id"): pattern for pattern in patterns if pattern.get("abstract") == "true"}
    for position, pattern in enumerate(patterns):
        if pattern.get("abstract") == "true":
            continue
        source = abstract[pattern.get("is-a")] if pattern.get("is-a") else pattern
        parameters = {
            str(param.get("name")): str(param.get("value")) for param in pattern.iter(f"{ISO}param")
        }
        yield pattern.get("id") or f"pattern-{position + 1}", source, parameters


def _substitute(expression: str, parameters: dict[str, str]) -> str:
    for name in sorted(parameters, key=len, reverse=True):
        expression = expression.replace(f"${name}", parameters[name])
    return expression


def broken_asserts(file: Path) -> list[str]:
    """Return tests in the published file, abstract patterns included, that are not valid XPath 2."""
    document = etree.parse(file).getroot()
    namespaces = {str(ns.get("prefix")): str(ns.get("uri")) for ns in document.iter(f"{ISO}ns")}
    broken = []
    for assertion in document.iter(f"{ISO}assert"):
        test = str(assertion.get("test")).replace("$length", "1").replace("($", "($v")
        try:
            XPath2Parser(namespaces=namespaces).parse(test)
        except ElementPathError:
            broken.append(str(assertion.get("test")))
    return broken
