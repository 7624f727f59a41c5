"""Rules of mails to the operator are the same as those for Prometheus, and pass the same cases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from samdrift.operations.alertmail import Alerts
from samdrift.operations.alertrules import NAMES, OF_THE_MACHINE, RULES, UP, History, Rule, Series
from samdrift.operations.watch import found_by
from tests.monitoring import ALERTS, PROMTOOL_TESTS
from tests.unit.governance.test_operatorview import exported

START = datetime(2026, 11, 2, tzinfo=UTC)
DEFINED = {
    one["alert"]: one for group in yaml.safe_load(ALERTS.read_text())["groups"] for one in group["rules"]
}
FAULTS = yaml.safe_load((PROMTOOL_TESTS / "faults.yml").read_text())["tests"]
(DAY,) = yaml.safe_load((PROMTOOL_TESTS / "normal_day.yml").read_text())["tests"]
_UNITS = {"h": "hours", "m": "minutes", "s": "seconds"}
_RUN = re.compile(r"(-?[\d.]+)(?:([+-][\d.]+))?x(\d+)")


def span(text: str) -> timedelta:
    """Parse a duration in Prometheus notation, such as ``3h35m``."""
    parts = re.findall(r"(\d+)([hms])", text)
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


def series(text: str) -> Series:
    name, _, labels = text.partition("{")
    return name, frozenset(re.findall(r'(\w+)="([^"]*)"', labels))


def values(text: str) -> Iterator[float | None]:
    """Yield samples in promtool's notation, such as ``0x9``, ``0+1x60`` and ``_x3``, and then ``None``."""
    for word in text.split():
        if word.startswith("_"):
            yield from repeat(None, int(word.partition("x")[2] or 1))
        elif (run := _RUN.fullmatch(word)) is not None:
            step = float(run[2] or 0)
            yield from (float(run[1]) + step * number for number in range(int(run[3]) + 1))
        else:
            yield float(word)


def raised(case: Mapping[str, Any], until: timedelta) -> Iterator[tuple[timedelta, set[str]]]:
    """Yield, minute by minute, the alerts raised while a case of promtool's goes on."""
    told = [
        (series(each["series"]), chain(values(each["values"]), repeat(None))) for each in case["input_series"]
    ]
    history, alerts, found = History(), Alerts(RULES), dict[str, set[str]]()
    for minute in range(int(until / timedelta(minutes=1)) + 1):
        at = timedelta(minutes=minute)
        seen = {which: value for which, one in told if (value := next(one)) is not None}
        up = any(value > 0 for (name, labels), value in seen.items() if is_samdrifts(name, labels))
        if up:
            history.add(START + at, {**seen, (UP, frozenset()): 1.0})
            found = found_by(RULES, history)
        alerts.judge(found if up else found | {RULES[0].name: {""}}, START + at)
        yield at, {one.rule.name for one in alerts.raised()}


def is_samdrifts(name: str, labels: frozenset[tuple[str, str]]) -> bool:
    return name == UP and ("job", "samdrift") in labels


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: str(case["name"]))
def test_each_rule_is_raised_where_prometheus_raises_it_and_then(case: Mapping[str, Any]) -> None:
    expected = {
        span(one["eval_time"]): {re.findall(r'alertname="(\w+)"', each["labels"])[0] for each in samples}
        for one in case["promql_expr_test"]
        for samples in [one["exp_samples"]]
    }
    seen = {at: names for at, names in raised(case, max(expected)) if at in expected}
    assert seen == expected


def test_none_is_raised_on_a_normal_day_and_there_would_have_been_cause() -> None:
    pending, history = set[str](), History()
    for at, names in raised(DAY, timedelta(hours=24)):
        assert names == set(), at
    streams = [(series(one["series"]), list(values(one["values"]))) for one in DAY["input_series"]]
    for minute in range(1000):
        history.add(
            START + timedelta(minutes=minute),
            {which: value for which, some in streams if (value := some[minute]) is not None},
        )
        pending |= found_by(RULES, history).keys()
    assert len(pending) > 5


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.name))
def test_each_rule_is_as_the_one_for_prometheus(rule: Rule) -> None:
    defined = DEFINED[rule.name]
    assert rule.after == span(defined.get("for", "0m"))
    assert rule.severity == defined["labels"]["severity"]
    assert f"docs/runbooks/{rule.book}.md" == defined["annotations"]["runbook"]
    assert rule.means.text.replace("’", "'").casefold() == defined["annotations"]["means"].casefold()


def test_no_rule_is_missing_and_what_is_here_alone_is_about_the_machine() -> None:
    assert [rule.name for rule in RULES] == list(DEFINED)
    assert {rule.name for rule in OF_THE_MACHINE} == {"SamdriftDiskFull", "SamdriftDiskLow"}


def test_every_metric_that_a_rule_looks_at_is_exported() -> None:
    """Exceptions are those that the watch measures itself."""
    suffixes = {"counter": "_total", "gauge": ""}
    known = {name + suffixes.get(kind, "") for name, (kind, _) in exported().items()}
    assert NAMES - known == {UP, "samdrift_watched_disk"}
