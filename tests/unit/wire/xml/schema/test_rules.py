"""Rules about single elements, and the search for empty ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from samdrift.wire.codes import Detail, Reason
from samdrift.wire.findings import Finding
from samdrift.wire.xml.schema import (
    TEXT,
    Broken,
    Particle,
    Rule,
    RuleBook,
    Schema,
    Sequence,
    blank_elements,
    blank_leaves,
    finding,
)

_RULE = Rule("r", "content-specification 5.1", ("a", "b"), lambda element: element.text == "1", "b must be 1")
_FORMAT = Schema("", "a", Sequence("A", (Particle("b", TEXT),)))
_TEXTS = st.sampled_from((None, "", " ", "\n", "x", "\u00a0"))


def test_a_rule_is_asked_where_its_context_stands() -> None:
    root = etree.fromstring(
        "<r><a><b>1</b><b>2</b></a><b>3</b><c><a><b>4</b></a></c><a><c><b>5</b></c></a></r>"
    )
    assert [each.element.text for each in RuleBook([_RULE]).broken(root.iter("*"))] == ["2", "4"]


def test_a_root_can_lack_the_ancestors_that_a_context_names() -> None:
    assert list(RuleBook([_RULE]).broken([etree.fromstring("<b/>")])) == []


def test_a_broken_rule_becomes_a_finding_without_content() -> None:
    root = etree.fromstring("<a><b>secret</b></a>")
    found = finding(Broken(_RULE, root[0]), _FORMAT)
    assert found == Finding(Reason.RULE, Detail.INVARIANT, "b must be 1", "/a/b")


@st.composite
def _trees(draw: st.DrawFn) -> etree._Element:
    element = etree.Element("e")
    element.text = draw(_TEXTS)
    for kind in draw(st.lists(st.sampled_from(("element", "comment")), max_size=3)):
        child = draw(_trees()) if kind == "element" else etree.Comment("c")
        child.tail = draw(_TEXTS)
        element.append(child)
    return element


@given(_trees())
def test_empty_elements_are_those_that_xpath_finds(root: etree._Element) -> None:
    elements = list(root.iter("*"))
    assert blank_elements(elements) == root.xpath("//*[not(normalize-space())]")
    assert blank_leaves(elements) == root.xpath("//*[not(*) and not(normalize-space())]")
