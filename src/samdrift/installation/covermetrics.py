"""Metrics of cover by agreements, in their own module because the front of the workers reads them, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

COVER_FUNCTIONS = "samdrift_cover_functions"
COVER_END = "samdrift_cover_end_seconds"


@dataclass(frozen=True, slots=True)
class CoverRow:
    """The state of cover of a function of an organisation, as counted by the metrics."""

    owner: str
    role: str
    state: str
    left: float | None
    """Seconds until cover ends, if known."""


class CoverMetrics(Collector):
    """Metrics of cover: functions by state, and the earliest end per owner and role."""

    def __init__(self, rows: Callable[[], Iterable[CoverRow]]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        """Yield the current metrics."""
        states = GaugeMetricFamily(
            COVER_FUNCTIONS, "Functions of organisations by cover", labels=["role", "state"]
        )
        ends = GaugeMetricFamily(
            COVER_END,
            "Time until cover by agreements ends, the soonest of its owner",
            labels=["owner", "role"],
        )
        numbers: dict[tuple[str, str], int] = {}
        soonest: dict[tuple[str, str], float] = {}
        for one in self._rows():
            numbers[one.role, one.state] = numbers.get((one.role, one.state), 0) + 1
            if one.left is not None:
                whose = one.owner, one.role
                soonest[whose] = min(one.left, soonest.get(whose, one.left))
        for labels, number in sorted(numbers.items()):
            states.add_metric(labels, number)
        for labels, left in sorted(soonest.items()):
            ends.add_metric(labels, left)
        yield from (states, ends)
