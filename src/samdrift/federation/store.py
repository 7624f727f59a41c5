"""Records that a local federation keeps between starts: JSON files that are replaced atomically."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from samdrift.contracts.errors import Explained


def read(path: Path) -> Any:
    """Return the content of ``path``, or ``None`` if there is no such file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise FederationError(f"{path.name} in the federation's folder is damaged") from None


def write(path: Path, content: Any) -> None:
    """Replace the content of ``path``."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")
    os.replace(draft, path)


class Records:
    """A folder with one file per key, so that the cost of a change does not depend on their number."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def all(self) -> list[Any]:
        """Return all values, in the order of the keys."""
        return [read(path) for path in sorted(self._folder.glob("[!.]*.json"))]

    def put(self, key: str, content: Any) -> None:
        """Store ``content`` under ``key``, replacing any previous value."""
        write(self._file(key), content)

    def remove(self, key: str) -> None:
        """Remove the value under ``key``, if there is one."""
        self._file(key).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._folder / f"{quote(key, safe='')}.json"


class FederationError(Explained):
    """A local federation cannot do what was requested; the text gives the reason."""
