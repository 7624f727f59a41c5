"""Measurement of a piece of work against its floor, in turn and in one run.

Machines differ, and the clock of one machine changes from second to second, so times alone
mean little. Each round times the floor and the work right after each other; the ratio is
the median of the rounds' ratios, so a change of clock between rounds does not affect it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, minimum and maximum over the rounds."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a benchmark: floor and work in ``unit``, their ratio, and the maximum ratio (the bar).

    A figure that is only reported has neither floor nor bar.
    """

    name: str
    floor: float | None
    work: float
    ratio: float | None
    bar: float | None
    reached: bool | None
    unit: str
    floor_spread: Spread | None
    work_spread: Spread
    ratio_spread: Spread | None


def measure(
    name: str, floor: Work, work: Work, *, bar: float, rounds: int = 30, repeats: int = 10, warm_up: int = 20
) -> Row:
    """Time ``floor`` and ``work`` in turn, in milliseconds of this process's CPU per call."""
    for _ in range(warm_up):
        floor()
        work()
    floors: list[float] = []
    works: list[float] = []
    for _ in range(rounds):
        floors.append(_milliseconds(floor, repeats))
        works.append(_milliseconds(work, repeats))
    return against_floor(name, floors, works, bar=bar, unit="ms CPU")


def against_floor(name: str, floors: list[float], works: list[float], *, bar: float, unit: str) -> Row:
    """Return the row for floors and works that were measured in turn, round by round."""
    ratios = Spread.of([work / floor for floor, work in zip(floors, works, strict=True)])
    return Row(
        name=name,
        floor=median(floors),
        work=median(works),
        ratio=ratios.median,
        bar=bar,
        reached=ratios.median <= bar,
        unit=unit,
        floor_spread=Spread.of(floors),
        work_spread=Spread.of(works),
        ratio_spread=ratios,
    )


def reported(name: str, values: list[float], unit: str, *, bar: float | None = None) -> Row:
    """Return the row for a figure without a floor, with or without a bar of its own."""
    spread = Spread.of(values)
    reached = None if bar is None else spread.median <= bar
    return Row(name, None, spread.median, None, bar, reached, unit, None, spread, None)


def _milliseconds(work: Work, repeats: int) -> float:
    gc.collect()
    before = time.process_time_ns()
    for _ in range(repeats):
        work()
    return (time.process_time_ns() - before) / repeats / 1e6
