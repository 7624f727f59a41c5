"""Tables as CSV files, for use in spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

BEGINNING = "\ufeff".encode()
"""Byte-order mark, by which a spreadsheet recognises UTF-8."""


_FORMULA = re.compile(r"""^(?=[\t\r])|(?:^|(?<=[,;|\r\n]))(?=["' \t]*[=+\-@＝＋－＠])""")


def csv_lines(rows: Sequence[Sequence[str]]) -> bytes:
    """Return CSV lines in which no cell can be read as a formula."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([[harmless(cell) for cell in row] for row in rows])
    return text.getvalue().encode("utf-8", "replace")


def harmless(cell: str) -> str:
    """Return a cell with an apostrophe before each place where a spreadsheet might start a formula.

    With Swedish settings a spreadsheet splits cells at semicolons, so a formula may also start after one, or
    on a new line.
    """
    return _FORMULA.sub("'", cell)
