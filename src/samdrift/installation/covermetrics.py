"""Metrics of cover by agreements, which the front of workers reads without deciding anything about cover."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

COVER_FUNCTIONS = "samdrift_cover_functions"
COVER_END = "samdrift_cover_end_seconds"


@dataclass(frozen=True, slots=True)
class CoverRow:
    """A function of an organisation, as the metrics count it."""

    owner: str
    role: str
    state: str
    left: float | None
    """Seconds until cover ends, where that is known."""


class CoverMetrics(Collector):
    """The metrics of cover: functions by state, and the soonest end of each owner and role."""

    def __init__(self, rows: Callable[[], Iterable[CoverRow]]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        """Return the metrics as they are now."""
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
