"""Alerts, their tests and the dashboard in deploy/monitoring, which other programs read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "monitoring"
ALERTS = FOLDER / "alerts.yml"
DASHBOARD = FOLDER / "dashboard.json"
PROMTOOL_TESTS = ROOT / "tests" / "interop" / "prometheus"


@dataclass(frozen=True)
class Alert:
    """One alert from the rules file."""

    name: str
    expression: str
    severity: str
    runbook: str
    annotations: frozenset[str]


def alerts() -> list[Alert]:
    """Return every alert; the file has a fixed layout, and ``promtool`` checks it separately."""
    _, *blocks = re.split(r"^ {6}- alert: ", ALERTS.read_text(), flags=re.MULTILINE)
    return [_alert(block) for block in blocks]


def _alert(block: str) -> Alert:
    expression = re.search(r"^ {8}expr: (?:>-\n((?: {10}.+\n)+)|(.+)\n)", block, re.MULTILINE)
    severity = re.search(r"^ {8}labels: \{severity: (\w+)\}$", block, re.MULTILINE)
    annotations = dict(re.findall(r"^ {10}(summary|means|runbook): (.+)$", block, re.MULTILINE))
    assert expression is not None, block
    assert severity is not None, block
    return Alert(
        block.splitlines()[0],
        " ".join((expression[1] or expression[2]).split()),
        severity[1],
        annotations.get("runbook", ""),
        frozenset(annotations),
    )


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard that have queries."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Yield the title and query of each curve and number of the dashboard."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
