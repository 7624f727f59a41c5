"""The conformance page says what source and tests say now."""

from __future__ import annotations

from docs.conformance import ROOT, current, page


def test_the_page_is_the_one_that_source_and_tests_give() -> None:
    committed = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    assert committed == page(current()), "run: python docs/conformance.py > docs/conformance.md"
