"""The accessibility statement (lagen om tillgänglighet till digital offentlig service, 13 §), for everyone.

Its statements about tests come from their last run (``accessibility.json``), stored by
``tests/browser/test_accessibility.py``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.messageclient.administering.frame import ACCESSIBILITY
from samdrift.web.pages import Pages

RESULT = Path(__file__).parent / "accessibility.json"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run of the accessibility tests."""

    at: datetime
    engine: str
    """Name and version of the testing tool."""
    pages: int
    checks: int
    """Number of pages checked: in both languages, in light, dark and forced colours, narrow and wide."""
    faults: tuple[str, ...]
    """Rules that were violated, each with the page."""


@cache
def last_result() -> Result:
    """Return the stored result of the last test run."""
    kept = json.loads(RESULT.read_text())
    return Result(
        datetime.fromisoformat(kept["at"]),
        kept["engine"],
        kept["pages"],
        kept["checks"],
        tuple(kept["faults"]),
    )


def accessibility_route(pages: Pages) -> Route:
    """Return the route of the accessibility statement, which requires no session."""

    async def show(request: Request) -> Response:
        return pages.page(request, "accessibility.html", result=last_result())

    return Route(ACCESSIBILITY, show)
