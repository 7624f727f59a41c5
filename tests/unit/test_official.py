"""Tests of the judge itself: the Schematron evaluator, and known faults in DIGG's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from tests.official import (
    BROKEN_ASSERTS,
    DIGG,
    SCHEMATRONS,
    Kind,
    read,
    requires_digg,
    schema_errors,
    schematron,
    schematron_errors,
)
from tests.schematron import Schematron, broken_asserts

_RULES = """
<s:schema xmlns:s="http://purl.oclc.org/dsdl/schematron" queryBinding="xslt2">
  <s:ns prefix="t" uri="urn:t"/>
  <s:pattern id="first-rule-only">
    <s:rule context="t:a/t:b"><s:assert test="@x = '1'">b in a</s:assert></s:rule>
    <s:rule context="t:b"><s:assert test="false()">b elsewhere</s:assert></s:rule>
  </s:pattern>
  <s:pattern id="form" abstract="true">
    <s:rule context="$path"><s:assert id="F" test="matches(., '^$form{1,2}$')">not $form</s:assert></s:rule>
  </s:pattern>
  <s:pattern id="form-of-c" is-a="form">
    <s:param name="path" value="t:c | t:d"/><s:param name="form" value="[0-9]"/>
  </s:pattern>
  <s:pattern id="typed">
    <s:rule context="t:e[t:f = true()]"><s:assert test="false()">true</s:assert></s:rule>
  </s:pattern>
</s:schema>
"""


@pytest.fixture
def rules(tmp_path: Path) -> Schematron:
    file = tmp_path / "rules.sch"
    file.write_text(_RULES)
    return Schematron(file)


def _failures(rules: Schematron, inner: str) -> list[tuple[str, str]]:
    root = etree.fromstring(f'<r xmlns="urn:t">{inner}</r>')
    return [(failure.rule, failure.path) for failure in rules.failures(root)]


def test_only_the_first_matching_rule_of_a_pattern_fires(rules: Schematron) -> None:
    assert _failures(rules, '<a><b x="1"/></a>') == []
    assert _failures(rules, "<a><b/></a><b/>") == [
        ("first-rule-only", "/r/a/b"),
        ("first-rule-only", "/r/b"),
    ]


def test_an_abstract_pattern_applies_with_its_parameters(rules: Schematron) -> None:
    assert _failures(rules, "<c>12</c><d>7</d>") == []
    assert _failures(rules, "<c>123</c><d>x</d><c>1\n</c>") == [
        ("F", "/r/c[1]"),
        ("F", "/r/d"),
        ("F", "/r/c[2]"),
    ]


@pytest.mark.parametrize(
    ("value", "matches"), [("true", True), ("1", True), ("false", False), ("0", False), ("x", False)]
)
def test_a_node_compared_with_a_boolean_is_cast_as_xpath_2_says(
    rules: Schematron, value: str, matches: bool
) -> None:
    assert bool(_failures(rules, f"<e><f>{value}</f></e>")) is matches


@requires_digg
@pytest.mark.parametrize("kind", list(SCHEMATRONS))
def test_no_published_assert_is_broken_but_the_documented_one(kind: Kind) -> None:
    assert broken_asserts(SCHEMATRONS[kind]) == BROKEN_ASSERTS.get(SCHEMATRONS[kind], [])


EXAMPLES: list[tuple[Kind, str]] = [
    ("sdk-message", "examples/messageWithAttachments3.xml"),
    ("sdk-message", "testdata/min.xml"),
    ("envelope", "examples/XHE-tm-base.xml"),
    ("envelope", "examples/XHE-tm-base-ext-sigenc.xml"),
    ("receipt", "examples/Kvittens_AP-Accepterat.xml"),
    ("receipt", "examples/Kvittens_RE-AnnatFel.xml"),
    ("receipt", "examples/Kvittens_RE-SIG.xml"),
]


@requires_digg
@pytest.mark.parametrize(("kind", "file"), EXAMPLES)
def test_published_examples_pass_the_published_rules(kind: Kind, file: str) -> None:
    data = (DIGG / file).read_bytes()
    assert schema_errors(kind, data) == []
    assert schematron_errors(kind, data) == []


@requires_digg
def test_case_2_4_1_fails_as_digg_says() -> None:
    data = (DIGG / "testdata/TF2.4.1.xml").read_bytes()
    assert any("xs:dateTime" in error for error in schema_errors("sdk-message", data))
    assert [error.split()[0] for error in schematron_errors("sdk-message", data)] == [
        "creationDateTime",
        "conversationId",
    ]


@requires_digg
@pytest.mark.parametrize(("kind", "file"), EXAMPLES)
def test_both_ways_of_matching_a_context_agree(kind: Kind, file: str) -> None:
    root = read((DIGG / file).read_bytes())
    for context in schematron(kind).contexts:
        assert set(context.nodes(root)) == set(context.nodes_by_xpath2(root)), context.expression
