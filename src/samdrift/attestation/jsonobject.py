"""JSON files in an archive."""

from __future__ import annotations

import json
from typing import Any

from samdrift.attestation.archive import damaged


def read_object(data: bytes, name: str) -> dict[str, Any]:
    """The JSON object in a file of the export."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise damaged(f"{name} is not a JSON object")
    return document
