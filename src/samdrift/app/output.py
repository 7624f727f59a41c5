"""What commands print: results on standard output, complaints as one line on standard error."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from samdrift.app.errors import Unusable, shown


def complain(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"samdrift: {text}\n")


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on standard output; what cannot be printed is escaped, as JSON has it."""
    for line in json.dumps(document, ensure_ascii=False, indent=2).split("\n"):
        sys.stdout.write((line if line.isprintable() else "".join(map(_json_shown, line))) + "\n")


def require_new(path: Path) -> None:
    """Return when a file can be made there; asked before what cannot be done twice."""
    if path.exists():
        raise Unusable(f"{shown(path)}: is there already")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise Unusable(f"{shown(path)}: its folder is not there, or cannot be written in")


def _json_shown(each: str) -> str:
    """Around texts there is nothing that cannot be printed: what is escaped stands in one."""
    return each if each.isprintable() else json.dumps(each)[1:-1]
