"""The conformance page is derived from texts, source and tests, and claims no more than they do."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from docs import differences
from docs.citations import (
    SPECIFICATIONS,
    Citation,
    Clause,
    citations,
    citations_below,
    clauses,
    gaps,
    is_product,
    is_proof,
    named,
    of_tests,
)
from docs.conformance import ROOT, SOURCE, TESTS, Row, Standing, current, page, rows, uncited
from docs.rules import RULES, Entry, Rule, entries, name_of, rules_in, rules_of

from samdrift.governance import reportdeclaration
from samdrift.wire import receipt as receipt_rules
from samdrift.wire.sdkmessage import rules as message_rules
from samdrift.wire.xml.schema import Rule as SchemaRule
from tests.official import DIGG, requires_digg

DIFFERENCES = (
    *differences.MESSAGE,
    *differences.RECEIPT,
    *differences.ENVELOPE,
    *differences.ENVELOPE_OF_MESSAGE,
    *differences.EVERY_DOCUMENT,
)
REASONS = ("in part", "not built", "no rule", "DIGG", "organisation", "operator", "federation", "peer")
_MISSING_DOCUMENTS = {"codes-common", "codes-technical"}
"""Texts without a rule of the listed kinds: tables of codes."""


# --- the list of rules, against the texts -----------------------------------------------------------------


@cache
def listed() -> tuple[Entry, ...]:
    return tuple(entries(RULES))


@cache
def known() -> frozenset[Clause]:
    return frozenset(entry.clause for entry in listed())


@requires_digg
def test_the_list_has_every_rule_of_every_text_in_its_order() -> None:
    """A rule that was added, omitted or reworded shows by its place or its digest."""
    in_texts = [(rule.clause, rule.digest) for rule in rules_in(DIGG / "specs")]
    assert [(entry.clause, entry.digest) for entry in listed()] == in_texts


@requires_digg
def test_every_text_is_one_of_the_specifications() -> None:
    texts = {name_of(file) for file in (DIGG / "specs").glob("*.txt")}
    assert texts == set(SPECIFICATIONS)
    assert texts - {entry.document for entry in listed()} == _MISSING_DOCUMENTS


def test_no_rule_is_listed_twice() -> None:
    times = Counter(entry.clause for entry in listed())
    assert [clause for clause, many in times.items() if many > 1] == []


def test_every_reason_is_of_a_known_kind_and_says_something() -> None:
    for entry in listed():
        if entry.why:
            kind, _, text = entry.why.partition(": ")
            assert kind in REASONS, entry.clause
            assert text, entry.clause


def test_no_sentence_of_a_text_is_copied_into_the_list() -> None:
    """The summaries are in our words, and in English."""
    swedish = re.compile(r"\b(ska|skall|måste|och|inte)\b")
    assert [entry.clause for entry in listed() if swedish.search(entry.summary)] == []


def _rules(text: str, document: str = "component-accesspoint") -> list[str]:
    return [f"{rule.section} {rule.label}" for rule in rules_of(document, text)]


def test_letters_numbers_and_sentences_are_rules_in_the_order_of_the_text() -> None:
    text = """Titel
1     Inledning ................................. 1
Något ska gälla. Annat gäller.
1    Inledning
1.1     Regler
En inledning utan krav.
[a] Första regeln ska
    gälla
      1. och loggas
      2. och raderas
[b] Andra regeln.
Utanför måste det stå.
  • En punkt som inte kräver
  • En punkt som ska räknas
1.2 Mer
Det får inte ske. Det får ej heller glömmas."""
    assert _rules(text) == [
        "0 sentence 1",
        "1.1 a",
        "1.1 step 1",
        "1.1 step 2",
        "1.1 b",
        "1.1 sentence 1",
        "1.1 sentence 2",
        "1.2 sentence 1",
        "1.2 sentence 2",
    ]


def test_a_number_is_a_heading_only_where_it_can_come_next() -> None:
    text = "1 Ett\n1.1 Första\nDet ska vara.\n\n4.7 Procent ska inte bli en rubrik\n1.2 Andra\nDet ska vara."
    assert _rules(text) == ["1.1 sentence 1", "1.1 sentence 2", "1.2 sentence 1"]


def test_a_rule_flows_over_the_end_of_a_page() -> None:
    cut = "1 Ett\n[a] En regel ska\n\n/digg.se            7\n    fortsätta och måste hållas"
    assert _rules(cut) == ["1 a"]


def test_words_that_change_change_the_digest() -> None:
    (old,) = rules_of("component-sml", "1 Ett\n[a] Det ska vara så")
    (moved,) = rules_of("component-sml", "1 Ett\n[a]    Det ska\n    vara så")
    (new,) = rules_of("component-sml", "1 Ett\n[a] Det ska vara annat")
    assert old == moved
    assert old.digest != new.digest
    assert isinstance(old, Rule)


@pytest.mark.parametrize("line", ["1 a | x | no reason", "1 a | x || ", "a line"])
def test_a_line_that_is_no_rule_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "rules.txt"
    file.write_text(f"## component-sml\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2"):
        list(entries(file))


# --- citations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Does x (message-receipt 3.1 c).", [("message-receipt", "3.1", "c")]),
        ("message-receipt 3.1 c.", [("message-receipt", "3.1", "c")]),
        ("transport-profile-as4 2.10 f, g", [("transport-profile-as4", "2.10", one) for one in "fg"]),
        (
            "transport-profile-as4 2.3.1 a-q",
            [("transport-profile-as4", "2.3.1", one) for one in "abcdefghijklmnopq"],
        ),
        (
            "component-accesspoint\n    3.2.3 b, 3.2.5 A3, A4",
            [
                ("component-accesspoint", "3.2.3", "b"),
                ("component-accesspoint", "3.2.5", "A3"),
                ("component-accesspoint", "3.2.5", "A4"),
            ],
        ),
        (
            "transport-model-extended 3.3.1 steps 2-4, step 7",
            [("transport-model-extended", "3.3.1", f"step {one}") for one in (2, 3, 4, 7)],
        ),
        (
            "accesspoint-test-cases-open-test 3.1.1 TF-01",
            [("accesspoint-test-cases-open-test", "3.1.1", "TF-01")],
        ),
        ("api-mt-mk message sentence 3", [("api-mt-mk", "message", "sentence 3")]),
        ("content-specification 5.3 row 9", [("content-specification", "5.3", "row 9")]),
        ("message-receipt 3.4 R1-APP", [("message-receipt", "3.4", "R1-APP")]),
        ("A content-specification 4.3.2 label", [("content-specification", "4.3.2", "")]),
        ("Missing: component-sml 2.1 a: why. As in component-sml 2.2 b", [("component-sml", "2.2", "b")]),
        ("message-receipt 1.0 is a version, message-receipt alone a name.", []),
    ],
)
def test_what_is_cited(text: str, found: list[Clause]) -> None:
    assert list(clauses(text)) == found


def test_a_citation_knows_the_function_class_or_constant_that_it_is_in(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        '"""component-sml 1."""\n'
        "LIMIT = 1\n"
        '"""component-sml 2."""\n'
        'NAME = "component-sml 3"\n'
        "class One:\n"
        '    """component-sml 4."""\n'
        "    def two(self):\n"
        "        # component-sml 5\n"
        "        return 0\n",
        encoding="utf-8",
    )
    found = {each.clause[1]: each.symbol for each in citations(tmp_path / "module.py", tmp_path)}
    assert found == {"1": "", "2": "LIMIT", "3": "NAME", "4": "One", "5": "One.two"}


def test_a_test_is_named_after_letters_that_rise(tmp_path: Path) -> None:
    """The next letter may be an article, and a name must not stand for rules of two texts."""
    file = tmp_path / "test_x.py"
    file.write_text(
        '"""component-accesspoint, transport-profile-as4."""\n'
        "def test_3_1_6_a_b_c_each(): ...\n"
        "def test_3_1_6_d_a_difference(): ...\n"
        "def test_2_5_z_nothing(): ...\n"
        "def test_3_1_7_a_both(): ...\n"
    )
    rules = {("component-accesspoint", "3.1.6", one) for one in "abcd"}
    both = {(document, "3.1.7", "a") for document in ("component-accesspoint", "transport-profile-as4")}
    found = [(each.symbol, each.clause[2]) for each in named(file, tmp_path, frozenset(rules | both))]
    assert found == [(f"test_3_1_6_{name}", letter) for name, letter in (
        ("a_b_c_each", "a"), ("a_b_c_each", "b"), ("a_b_c_each", "c"), ("d_a_difference", "d"),
    )]  # fmt: skip


@cache
def _everywhere() -> tuple[tuple[str, Citation], ...]:
    """Return every citation in source and tests, with demonstrations, without those invented in this file."""
    found = [("src", each) for each in citations_below(SOURCE)]
    found += [("tests", each) for each in citations_below(TESTS) if each.file != "unit/test_conformance.py"]
    return tuple(found)


@requires_digg
def test_every_cited_clause_is_in_the_texts() -> None:
    astray = [
        f"{where}/{each.file}:{each.line}: {' '.join(each.clause)}"
        for where, each in _everywhere()
        if (each.clause not in known() if each.clause[2] else not _has_section(*each.clause[:2]))
    ]
    assert astray == []


@cache
def _text(name: str) -> str:
    (file,) = (file for file in (DIGG / "specs").glob("*.txt") if name_of(file) == name)
    return file.read_text(encoding="utf-8")


def _has_section(document: str, section: str) -> bool:
    heading = rf"^\s*{re.escape(section)}\.?\s+\S"
    return re.search(heading, _text(document), re.MULTILINE) is not None


@requires_digg
@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
def test_every_difference_points_at_a_section_that_is_there(difference: differences.Difference) -> None:
    document, section, *_ = difference.clause.split()
    assert _has_section(document, section)


@pytest.mark.parametrize(
    ("rules", "section"),
    [
        ((*message_rules.FROM_THE_TEXT, *message_rules.FOR_SENDERS), differences.MESSAGE),
        (receipt_rules.FROM_THE_TEXT, differences.RECEIPT),
    ],
    ids=["message", "receipt"],
)
def test_every_rule_of_the_text_alone_is_a_listed_difference(
    rules: tuple[SchemaRule, ...], section: tuple[differences.Difference, ...]
) -> None:
    listed_differences = {(difference.name, difference.clause) for difference in section}
    assert {(rule.name, rule.clause) for rule in rules} <= listed_differences


def test_differences_have_names_of_their_own() -> None:
    names = [difference.name for difference in DIFFERENCES]
    assert len(names) == len(set(names))


# --- what counts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "symbol", "proves"),
    [
        ("roles/test_x.py", "test_y", True),
        ("roles/test_x.py", "TestOne.test_y", True),
        ("unit/wire/test_x.py", "test_y", True),
        ("roles/test_x.py", "", False),
        ("roles/test_x.py", "helper", False),
        ("unit/test_conformance.py", "test_y", False),
        ("unit/test_documents.py", "test_y", False),
        ("unit/federation/test_smp.py", "test_y", False),
        ("unit/federation/testbed/test_cases.py", "test_y", False),
    ],
)
def test_only_a_test_of_the_product_proves_anything(file: str, symbol: str, proves: bool) -> None:
    assert is_proof(Citation(("component-sml", "1", "a"), file, 1, symbol)) is proves


@pytest.mark.parametrize(
    ("file", "product"),
    [
        ("accesspoint/route.py", True),
        ("federation/smp.py", False),
        ("federation/testbed/cases.py", False),
        ("demo/proof.py", False),
        ("demo/testbed.py", False),
    ],
)
def test_a_demonstration_is_not_the_product(file: str, product: bool) -> None:
    assert is_product(file) is product


def test_no_test_of_a_generator_or_a_demonstration_is_counted() -> None:
    for each in of_tests(TESTS, known()):
        folders = Path(each.file).parts[:-1]
        assert folders != ("unit",), each
        assert "federation" not in folders, each


RULE = Entry("message-receipt", "3.1", "a", "0", "summary", "")
CITED = Citation(RULE.clause, "wire/receipt.py", 1, "check")
PROOF = Citation(RULE.clause, "unit/wire/test_receipt.py", 1, "test_it")


def _row(why: str, *found: Citation) -> Row:
    entry = Entry(RULE.document, RULE.section, RULE.label, RULE.digest, RULE.summary, why)
    (row,) = rows([entry], [one for one in found if one is CITED], [one for one in found if one is PROOF])
    return row


@pytest.mark.parametrize(
    ("why", "found", "standing"),
    [
        ("", (CITED, PROOF), Standing.TESTED),
        ("", (CITED,), Standing.UNTESTED),
        ("", (PROOF,), Standing.MISSING),
        ("", (), Standing.MISSING),
        ("in part: half", (CITED, PROOF), Standing.PARTLY),
        ("not built: later", (CITED, PROOF), Standing.MISSING),
        ("no rule: describes", (), Standing.NO_RULE),
        ("DIGG: theirs", (), Standing.OTHERS),
    ],
)
def test_how_a_rule_stands(why: str, found: tuple[Citation, ...], standing: Standing) -> None:
    assert _row(why, *found).standing is standing


def test_a_rule_is_not_tested_by_a_test_of_its_neighbour_or_its_section() -> None:
    of_section = Citation((*RULE.clause[:2], ""), PROOF.file, 1, PROOF.symbol)
    of_neighbour = Citation((*RULE.clause[:2], "b"), PROOF.file, 1, PROOF.symbol)
    (row,) = rows([RULE], [CITED], [of_section, of_neighbour])
    assert row.standing is Standing.UNTESTED
    assert "| not tested |" in page((row,))


def test_what_the_source_says_is_missing_is_on_the_page() -> None:
    """This includes gaps in texts on which these build, such as DNSSEC of eDelivery BDXL."""
    shown = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    admitted = [what for _, what in gaps(SOURCE)]
    assert any("DNSSEC" in what for what in admitted)
    for what in admitted:
        assert what in shown
        for clause in clauses(what):
            entry = next(entry for entry in listed() if entry.clause == clause)
            assert entry.why.startswith(("not built", "in part")), clause


def test_the_page_says_where_and_why() -> None:
    shown = page((_row("", CITED, PROOF), _row("not built: later")))
    proof = "[it](../tests/unit/wire/test_receipt.py)"
    assert f"| 3.1 a | summary | `wire.receipt: check` | {proof} |" in shown
    assert "| 3.1 a | summary | not built: later |  |" in shown
    assert "| **All** | 2 | 1 | 0 | 0 | 1 | 0 | 0 |" in shown
    assert all(difference.what in shown for difference in DIFFERENCES)


# --- as source and tests are now ---------------------------------------------------------------------------


def test_no_rule_is_missing_from_the_page() -> None:
    assert [row.entry for row in current()] == list(listed())
    shown = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    for row in current():
        assert f"| {row.entry.section} {row.entry.label} | {row.entry.summary} |" in shown


def test_a_rule_that_no_source_cites_has_a_reason() -> None:
    assert [one for one in uncited(current()) if one.endswith("NO REASON GIVEN")] == []


def test_what_is_built_in_part_is_cited_and_what_is_not_built_is_not() -> None:
    """A gap that was filled must not stay on the page, and an existing gap must not be hidden."""
    for row in current():
        if row.standing is Standing.PARTLY:
            assert row.implemented, row.entry.clause
        elif row.entry.why:
            assert not row.implemented, row.entry.clause


def test_uncited_rules_are_listed_by_the_command() -> None:
    command = [sys.executable, "docs/conformance.py", "--uncited"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told == list(uncited(current()))
    assert len(told) > 50


# --- the page ----------------------------------------------------------------------------------------------


def test_the_page_is_the_one_that_source_and_tests_give() -> None:
    committed = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    assert committed == page(current()), "run: python docs/conformance.py > docs/conformance.md"


def test_the_declaration_counts_the_tested_rules_of_the_page() -> None:
    for text, counts in reportdeclaration.TESTED.items():
        asked = [
            row
            for row in current()
            if SPECIFICATIONS[row.entry.clause[0]] == text and row.standing is not Standing.NO_RULE
        ]
        assert counts == (sum(row.standing is Standing.TESTED for row in asked), len(asked)), text
