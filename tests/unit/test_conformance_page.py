"""The conformance page says what the source says now."""

from __future__ import annotations

from docs.conformance import ROOT, TESTS, Coverage, coverage, markers, page


def test_the_page_is_the_one_that_the_source_gives() -> None:
    committed = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    assert committed == page(markers(), coverage(TESTS)), (
        "run: python docs/conformance.py > docs/conformance.md"
    )


def test_no_clause_is_implemented_without_a_test() -> None:
    tested = coverage(TESTS)
    clauses: dict[tuple[str, str, str], set[str]] = {}
    for marker in markers():
        if not marker.missing:
            clause = (marker.document, marker.section, marker.rules)
            clauses.setdefault(clause, set()).update(tested.of(marker))
    assert [clause for clause, files in clauses.items() if not files] == []


def test_a_test_that_names_the_clause_comes_before_one_that_imports_its_module() -> None:
    (marker, *_) = markers()
    named, imported = frozenset({"tests/named.py"}), frozenset({"tests/imports.py"})
    naming = {(marker.document, marker.section): named}
    assert Coverage(naming, {marker.file: imported}).of(marker) == named
    assert Coverage({}, {marker.file: imported}).of(marker) == imported
