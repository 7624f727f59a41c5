"""Metrics of what waits for organisations' people; the front of workers reads them and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

ReminderRow: TypeAlias = tuple[str, str, float, bool]
"""Owner, kind of matter, the seconds that are left, and whether it is the owner's own.

One that several owners have in common is not counted as often as they are.
"""
GOVERNANCE_WAITING = "samdrift_governance_waiting"
GOVERNANCE_DUE = "samdrift_governance_due_seconds"


class ReminderMetrics(Collector):
    """The metrics of what waits: how much of a kind, and the soonest end of each owner and kind.

    The time that is left is less than nothing for what is over and waits still.
    """

    def __init__(self, rows: Callable[[], Iterable[ReminderRow]]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        """Return the metrics as they are now."""
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
