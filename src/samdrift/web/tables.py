"""Tables as files of CSV, which people open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

BEGINNING = "\ufeff".encode()
"""Begins a file, so that a spreadsheet reads it as UTF-8."""


_FORMULA = re.compile(r"""^(?=[\t\r])|(?:^|(?<=[,;|\r\n]))(?=["' \t]*[=+\-@＝＋－＠])""")


def csv_lines(rows: Sequence[Sequence[str]]) -> bytes:
    """Return lines of CSV, in which no cell is a formula."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([[harmless(cell) for cell in row] for row in rows])
    return text.getvalue().encode("utf-8", "replace")


def harmless(cell: str) -> str:
    """Return a cell with an apostrophe before what a spreadsheet would take for the beginning of a formula.

    One that is set to Swedish parts cells at semicolons: there, and at the end of a line, another one begins.
    """
    return _FORMULA.sub("'", cell)
