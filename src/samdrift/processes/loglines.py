"""The program's log lines on standard error: the same fields as text or JSON, with times in UTC.

They are collected from there by systemd or a container runtime.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from samdrift.config.model import LogLines


def name_in_log(kind: str, organisation: str | None) -> str:
    """Return the name that a process has in its log lines."""
    return kind if organisation is None else f"{kind} of {organisation}"


def write_lines(form: LogLines, name: str | None = None) -> None:
    """Write log lines in this form from now on, starting with the process's or installation's ``name``."""
    logging.basicConfig(level=logging.INFO)
    formatter = JsonLines(name) if form is LogLines.JSON else TextLines(name)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)


class TextLines(logging.Formatter):
    """Lines for people: name, time, level and message."""

    def __init__(self, name: str | None = None) -> None:
        before = "" if name is None else name.replace("%", "%%") + ": "
        super().__init__(f"{before}%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """Return the time of a record in UTC, with its zone."""
        return _time(record)


class JsonLines(logging.Formatter):
    """Lines for programs: one JSON object with the same fields, always on one line."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        fields = {"time": _time(record), "level": record.levelname, "name": self._name}
        return json.dumps(fields | {"message": message})


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
