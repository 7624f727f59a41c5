"""The conformance page says what the source says now."""

from __future__ import annotations

from docs.conformance import ROOT, markers, page


def test_the_page_is_the_one_that_the_source_gives() -> None:
    committed = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    assert committed == page(markers()), "run: python docs/conformance.py > docs/conformance.md"
