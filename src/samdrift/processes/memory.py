"""The memory that each process uses, reported by the process itself since others cannot see it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_FIELD = re.compile(r"^(Rss|Pss): +([0-9]+) kB$", re.MULTILINE)
_KIB = 1024
MEMORY = "samdrift_process_memory_bytes"
PROCESSES = "samdrift_processes"


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """The memory of a process, in bytes."""

    rss: int
    """Resident memory."""
    pss: int
    """Proportional set size: shared pages are divided among the processes that share them."""

    def __str__(self) -> str:
        return f"memory {self.rss / 1e6:.0f} MB, its own share {self.pss / 1e6:.0f} MB"


def used() -> MemoryUse:
    """Return the memory of this process; zeros where the system does not report it."""
    try:
        found = dict(_FIELD.findall(Path("/proc/self/smaps_rollup").read_text()))
    except OSError:
        found = {}
    return MemoryUse(int(found.get("Rss", 0)) * _KIB, int(found.get("Pss", 0)) * _KIB)


class Whose(Protocol):
    """The kind of a process and the organisation that it serves."""

    @property
    def kind(self) -> str: ...

    @property
    def organisation(self) -> str | None: ...


class MemoryMetrics(Collector):
    """Memory of this process by its kind, and by its organisation if ``named``."""

    def __init__(self, whose: Whose, *, named: bool) -> None:
        self._labels = {"kind": whose.kind}
        if named:
            self._labels["organisation"] = whose.organisation or ""

    def collect(self) -> Iterator[Metric]:
        now = used()
        names = list(self._labels)
        memory = GaugeMetricFamily(MEMORY, "Memory of all processes of a kind", labels=[*names, "measure"])
        memory.add_metric([*self._labels.values(), "rss"], now.rss)
        memory.add_metric([*self._labels.values(), "pss"], now.pss)
        yield memory
