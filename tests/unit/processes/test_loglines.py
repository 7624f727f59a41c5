"""Lines of the journal: UTC with zone, the same fields in text and JSON, one line each in JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from samdrift.config.model import LogLines
from samdrift.config.reader import load
from samdrift.processes.loglines import JsonLines, TextLines, write_lines
from tests.unit.config.test_reader import GOOD, write

AT = 1772452800.123
"""2026-03-02T12:00:00.123Z."""


def record(message: str, *values: object) -> logging.LogRecord:
    made = logging.LogRecord("samdrift", logging.WARNING, "", 0, message, values, None)
    made.created, made.msecs = AT, 123.0
    return made


@pytest.fixture
def handler() -> Iterator[logging.Handler]:
    added = logging.StreamHandler()
    logging.getLogger().addHandler(added)
    yield added
    logging.getLogger().removeHandler(added)


def test_a_line_of_text_has_its_time_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Stockholm")
    line = TextLines("100 %").format(record("%s: gone", "scanner"))
    assert line == "100 %: 2026-03-02T12:00:00.123Z WARNING scanner: gone"
    assert TextLines().format(record("ends")) == "2026-03-02T12:00:00.123Z WARNING ends"


def test_a_line_of_json_has_the_same_fields_and_stays_one_line() -> None:
    line = JsonLines("ap of 0203:habo.se").format(record("%s", 'two\nlines "quoted"'))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-03-02T12:00:00.123Z",
        "level": "WARNING",
        "name": "ap of 0203:habo.se",
        "message": 'two\nlines "quoted"',
    }


def test_an_exception_is_in_the_message() -> None:
    made = record("failed")
    try:
        raise ArithmeticError
    except ArithmeticError:
        made.exc_info = sys.exc_info()
    line = JsonLines().format(made)
    assert "\n" not in line
    assert "ArithmeticError" in json.loads(line)["message"]


def test_the_form_can_change_when_the_configuration_is_known(handler: logging.Handler) -> None:
    write_lines(LogLines.TEXT)
    assert isinstance(handler.formatter, TextLines)
    write_lines(LogLines.JSON, "first")
    assert isinstance(handler.formatter, JsonLines)


def test_the_form_is_text_unless_json_is_asked_for(tmp_path: Path) -> None:
    assert load(write(tmp_path, GOOD)).log_lines is LogLines.TEXT
    assert load(write(tmp_path, f'log_lines = "json"\n{GOOD}')).log_lines is LogLines.JSON
