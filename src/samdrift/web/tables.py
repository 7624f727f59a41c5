"""Tables as files of CSV, which people open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

BEGINNING = "\ufeff".encode()
"""Begins a file, so that a spreadsheet reads it as UTF-8."""


def csv_lines(rows: Sequence[Sequence[str]]) -> bytes:
    """Return lines of CSV; a cell that would be a formula to a spreadsheet begins with an apostrophe."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([[_harmless(cell) for cell in row] for row in rows])
    return text.getvalue().encode("utf-8", "replace")


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
