"""Alerts, dashboard and run books agree with each other and with the exported metrics, so that typos show.

``promtool`` in tests/interop/prometheus shows that each alert fires on its fault and not on a normal day, and
a real Prometheus that each query is answered; tests/roles shows that the run books help.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from samdrift.contracts.hold import Hold
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason
from samdrift.installation.health import Dependency
from samdrift.keystore.keyfiles import KeyName
from tests.monitoring import DASHBOARD, PROMTOOL_TESTS, ROOT, Alert, alerts, queries
from tests.unit.governance.test_operatorview import exported

RUN_BOOKS = sorted(path for path in (ROOT / "docs/runbooks").glob("*.md") if path.stem != "README")
PAGE = (ROOT / "docs/monitoring.md").read_text()
OF_PROMETHEUS = {"up": frozenset[str](), "ALERTS": frozenset({"alertname", "alertstate"})}
OF_EACH_TARGET = {"job", "instance"}
SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "gauge": ("",),
}
WORDS = {
    *("absent", "and", "by", "delta", "histogram_quantile", "increase", "label_replace", "max", "min", "on"),
    *("max_over_time", "or", "rate", "sum", "unless", "vector"),
}
"""Words of the query language that our queries use."""
VALUES = {
    ("samdrift_dependency_gone", "dependency"): {one.value for one in Dependency},
    ("samdrift_held", "reason"): {one.value for one in (*Hold, *TransferReason)},
    ("samdrift_held", "role"): {one.value for one in Role},
    ("samdrift_ap_failed_total", "reason"): {one.value for one in TransferReason},
    ("samdrift_certificate_expiry_seconds", "key"): {one.value for one in KeyName},
    ("samdrift_process_memory_bytes", "measure"): {"rss", "pss"},
    ("up", "job"): {"samdrift"},
}
"""Allowed values of labels that are closed lists."""
SELECTOR = re.compile(r"\b([a-zA-Z_:][\w:]*)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
EXPRESSIONS = [*((one.name, one.expression) for one in alerts()), *queries()]


@cache
def samples() -> dict[str, frozenset[str]]:
    """Return the names under which Prometheus stores our metrics, with their labels."""
    found = dict(OF_PROMETHEUS)
    for name, (kind, labels) in exported().items():
        for suffix in SUFFIXES[kind]:
            found[name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression names."""
    bare = re.sub(r"\{[^}]*\}", "", expression)
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\b(by|on|without|ignoring)\s*\([^)]*\)', r"\1", bare)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - WORDS


def grouped_in(expression: str) -> set[str]:
    """Return the labels by which an expression groups or joins."""
    lists = re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", expression)
    return {label.strip() for each in lists for label in each.split(",")}


def faults(expression: str) -> Iterator[str]:
    """Yield the names in an expression that we do not export."""
    named = names_in(expression)
    yield from (name for name in named if name not in samples())
    known = OF_EACH_TARGET.union(*(samples().get(name, ()) for name in named))
    yield from (f"label {label}" for label in grouped_in(expression) - known)
    for metric, matchers in SELECTOR.findall(expression):
        for label, _, value in MATCHER.findall(matchers):
            if label not in samples().get(metric, frozenset()) | OF_EACH_TARGET:
                yield f"{metric} has no label {label}"
            allowed = VALUES.get((metric, label))
            if allowed is not None and value:
                yield from (f"{metric}: {label} is never {one}" for one in set(value.split("|")) - allowed)


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_every_metric_and_label_of_a_rule_or_a_panel_is_exported(where: str, expression: str) -> None:
    assert list(faults(expression)) == [], where


@pytest.mark.parametrize(
    "expression",
    [
        "samdrift_ap_sent > 0",
        "samdrfit_held > 0",
        'samdrift_held{reasn="lock"} > 0',
        'samdrift_held{reason="locked"} > 0',
        'samdrift_dependency_gone{dependency=~"sml|samp"} > 0',
        "sum by (organization) (samdrift_ap_sent_total)",
        'up{job="other"} == 0',
    ],
)
def test_a_typo_is_found(expression: str) -> None:
    assert list(faults(expression)) != []


@pytest.mark.parametrize("alert", alerts(), ids=lambda one: str(one.name))
def test_every_alert_says_what_it_means_and_has_a_run_book(alert: Alert) -> None:
    assert alert.severity in ("page", "ticket")
    assert alert.annotations == {"summary", "means", "runbook"}
    assert ROOT / alert.runbook in RUN_BOOKS
    book = (ROOT / alert.runbook).read_text()
    assert f"`{alert.name}`" in book, "the run book must name the alert"
    assert f"| `{alert.name}` | {alert.severity} |" in PAGE


def test_no_alert_of_the_page_is_left_over() -> None:
    assert re.findall(r"^\| `(Samdrift\w+)` \|", PAGE, re.MULTILINE) == [one.name for one in alerts()]


@pytest.mark.parametrize("alert", alerts(), ids=lambda one: str(one.name))
def test_every_alert_is_seen_to_fire(alert: Alert) -> None:
    assert f"""labels: '{{alertname="{alert.name}"}}'""" in (PROMTOOL_TESTS / "faults.yml").read_text()


@pytest.mark.parametrize("alert", alerts(), ids=lambda one: str(one.name))
def test_a_normal_day_has_every_metric_that_an_alert_looks_at(alert: Alert) -> None:
    day = (PROMTOOL_TESTS / "normal_day.yml").read_text()
    assert [name for name in names_in(alert.expression) if f"series: '{name}{{" not in day] == []


def test_the_dashboard_can_be_taken_by_any_grafana_and_asks_one_source() -> None:
    document = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in document["panels"]]
    assert len(ids) == len(set(ids))
    sources = set(re.findall(r'"uid": "([^"]*)"', DASHBOARD.read_text())) - {document["uid"]}
    assert sources == {"${datasource}"}


# --- run books ----------------------------------------------------------------------------------------------

PARTS = [
    "What you see",
    "What it means for messages",
    "What to type",
    "It is over when",
    "What not to do",
]
MOST_WORDS = 450
"""Maximum length, because the reader of the page has just been woken."""


@pytest.mark.parametrize("book", RUN_BOOKS, ids=lambda path: str(path.stem))
def test_every_run_book_has_the_same_parts_and_is_one_page(book: Path) -> None:
    text = book.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    assert len(text.split()) <= MOST_WORDS


@pytest.mark.parametrize("book", RUN_BOOKS, ids=lambda path: str(path.stem))
def test_every_run_book_is_in_the_index_and_tried_by_a_test(book: Path) -> None:
    index = (ROOT / "docs/runbooks/README.md").read_text()
    assert f"]({book.name})" in index
    tried = [
        path
        for path in (ROOT / "tests/roles").glob("test_*.py")
        if f'run_book("{book.stem}"' in path.read_text()
    ]
    assert len(tried) == 1, "exactly one test must run the commands of the run book"
