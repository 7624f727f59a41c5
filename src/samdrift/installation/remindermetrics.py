"""Metrics of matters that wait for organisations' people, which the front of workers reads as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

ReminderRow: TypeAlias = tuple[str, str, float, bool]
"""Owner, kind of matter, seconds left, and whether the matter is the owner's own.

A matter that is not the owner's own is shared by several owners, and is left out of the numbers.
"""
GOVERNANCE_WAITING = "samdrift_governance_waiting"
GOVERNANCE_DUE = "samdrift_governance_due_seconds"


class ReminderMetrics(Collector):
    """Metrics of waiting matters: their number by kind, and the earliest deadline by owner and kind.

    The time left is negative for an overdue matter that still waits.
    """

    def __init__(self, rows: Callable[[], Iterable[ReminderRow]]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        """Yield the current metrics."""
        waiting = GaugeMetricFamily(
            GOVERNANCE_WAITING, "Decisions, answers and accounts that are waited for", labels=["matter"]
        )
        due = GaugeMetricFamily(
            GOVERNANCE_DUE,
            "Time until something that waits for people is over, the soonest of its owner",
            labels=["owner", "matter"],
        )
        numbers: dict[str, int] = {}
        soonest: dict[tuple[str, str], float] = {}
        for owner, matter, left, own in self._rows():
            if own:
                numbers[matter] = numbers.get(matter, 0) + 1
            soonest[owner, matter] = min(left, soonest.get((owner, matter), left))
        for matter, number in sorted(numbers.items()):
            waiting.add_metric([matter], number)
        for labels, left in sorted(soonest.items()):
            due.add_metric(labels, left)
        yield from (waiting, due)
