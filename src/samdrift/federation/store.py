"""What a local federation remembers between starts: JSON files that are whole or the ones before."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from samdrift.federation.errors import FederationError


def read(path: Path) -> Any:
    """What ``path`` holds, or ``None`` when there is no such file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise FederationError(f"{path.name} in the federation's folder is damaged") from None


def write(path: Path, content: Any) -> None:
    """Replace what ``path`` holds."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")
    os.replace(draft, path)
