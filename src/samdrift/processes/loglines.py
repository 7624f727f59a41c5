"""Lines of the program's journal: one set of fields as text or JSON, with times in UTC.

They go to standard error, from where systemd or a container takes them.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from samdrift.config.model import LogLines


def name_in_log(kind: str, organisation: str | None) -> str:
    """Return the name of a process in its lines."""
    return kind if organisation is None else f"{kind} of {organisation}"


def write_lines(form: LogLines, name: str | None = None) -> None:
    """Write lines of that form from now on; ``name`` is that of the process or installation, if any."""
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
        """Return the time in UTC with zone."""
        return _time(record)


class JsonLines(logging.Formatter):
    """Lines for programs: an object with the same fields, in one line whatever the message is."""

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
