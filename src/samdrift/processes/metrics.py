"""The metrics of all processes combined, for a monitoring system with one address.

An attacker may control a worker, so its answer must do no harm: it may be only a few kilobytes of known
metrics under the worker's own labels, and is read outside the front's event loop. A worker with an unfit
answer counts as absent. The list of processes comes from the supervisor, not from the workers.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from samdrift.accesspoint.meters import Meters
from samdrift.installation.covermetrics import COVER_END, COVER_FUNCTIONS, CoverMetrics
from samdrift.installation.databasecare import NotificationMetrics
from samdrift.installation.expiry import expiry_gauge
from samdrift.installation.health import FOUND_BY_WORKERS, GONE, Condition, Dependency, Gone
from samdrift.installation.logkeeping import OLDEST_COSIGNATURE, LogMetrics
from samdrift.installation.metrics import HELD, NEEDED, PATH, HeldMetrics, meaningless_gauge
from samdrift.installation.remindermetrics import GOVERNANCE_DUE, GOVERNANCE_WAITING, ReminderMetrics
from samdrift.net.clock import system_clock
from samdrift.net.forwarding import Away, Forwarder
from samdrift.processes.memory import MEMORY, PROCESSES

_SECONDS = 5.0
MAX_BYTES = 24 << 10
"""Maximum size of a worker's answer; an ordinary one is half as large."""
_MAX_LINES = 400
_MAX_LINE = 300
_MAX_VALUE = 64
"""Maximum number of characters of a label's value."""
_HIGHEST = frozenset({"samdrift_ap_oldest_queued_seconds", OLDEST_COSIGNATURE})
_EXPIRY = "samdrift_certificate_expiry_seconds"
_LOWEST = ("_created", _EXPIRY, COVER_END, GOVERNANCE_DUE)
_SUFFIX = re.compile(r"_(?:total|created|bucket|count|sum)\Z")
_LABELS = {
    GONE: frozenset({"dependency"}),
    _EXPIRY: frozenset({"owner", "key"}),
    COVER_FUNCTIONS: frozenset({"role", "state"}),
    COVER_END: frozenset({"owner", "role"}),
    GOVERNANCE_WAITING: frozenset({"matter"}),
    GOVERNANCE_DUE: frozenset({"owner", "matter"}),
    HELD: frozenset({"role", "reason"}),
}
_HELD_IN_COMMON = ("", "operator", "organisations")
"""Label values that any worker may use in place of its organisation."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as the supervisor knows it."""

    place: Path
    kind: str
    organisation: str | None

    def labels(self, *, named: bool) -> tuple[str, ...]:
        return (self.kind, self.organisation or "") if named else (self.kind,)


_GONE = re.compile(rf'^{GONE}\{{dependency="([^"]+)"\}} (\S+)$', re.MULTILINE)
_DEPENDENCIES = frozenset(one.value for one in Dependency)


class Misfit(ValueError):
    """An answer that a genuine worker never sends."""


class Gathered(Collector):
    """Metrics last gathered from the workers, and those that the front adds."""

    def __init__(
        self,
        forwarder: Forwarder,
        workers: Callable[[], Iterable[Worker]],
        own: Collector,
        *,
        named: bool,
        alarms: Callable[[], int],
        conditions: Callable[[], Iterable[Condition]] = tuple,
    ) -> None:
        self._forwarder = forwarder
        self._workers = workers
        self._named = named
        self._alarms = alarms
        self._conditions = conditions
        self._own = CollectorRegistry()
        self._own.register(own)
        self._metrics: list[Metric] = []
        self._found: Mapping[str, int] = {}
        self._since: dict[str, datetime] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)

    async def gather(self) -> None:
        """Ask every process; one that cannot be reached is missing from the sums and the count."""
        workers = list(self._workers())
        texts = await asyncio.gather(*(self._text(worker.place) for worker in workers))
        answers = list(zip(workers, texts, strict=True))
        self._metrics, self._found = await asyncio.to_thread(self._together, answers)

    async def found(self) -> list[Condition]:
        """Ask every process, and return the state of dependencies that only workers see, such as SMP.

        The supervisor's own findings take precedence, and those that decide readiness come from it alone. A
        worker that an attacker controls can change a number, but none of the text that is shown.
        """
        await self.gather()
        known, now, conditions = {one.dependency for one in self._conditions()}, system_clock(), []
        for kind, number in sorted(self._found.items()):
            if kind in known or kind in NEEDED:
                continue
            if not number:
                self._since.pop(kind, None)
            since = self._since.setdefault(kind, now) if number else None
            conditions.append(Condition(kind, "", since, FOUND_BY_WORKERS if number else ""))
        return conditions

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics

    def _together(self, answers: Iterable[tuple[Worker, bytes]]) -> tuple[list[Metric], Mapping[str, int]]:
        """Combine the fitting answers, and count the processes and the workers that miss each dependency."""
        supervisors = CollectorRegistry()
        supervisors.register(Gone(self._conditions()))
        own = (generate_latest(each).decode() for each in (self._own, supervisors))
        texts, there, gone = list(own), Counter[tuple[str, ...]](), Counter[str]()
        for worker, text in answers:
            try:
                fits = fitting(text, worker)
            except (Misfit, UnicodeDecodeError):
                continue
            texts.append(fits)
            for kind, number in _GONE.findall(fits):
                if kind in _DEPENDENCIES:
                    gone[kind] += max(0, int(float(number)))
            there[worker.labels(named=self._named)] += 1
        there[("front", "") if self._named else ("front",)] += 1
        labels = ["kind", "organisation"] if self._named else ["kind"]
        processes = GaugeMetricFamily(PROCESSES, "Processes of a kind that answer", labels=labels)
        for values, number in there.items():
            processes.add_metric(values, number)
        alarms = GaugeMetricFamily(
            "samdrift_key_store_alarms",
            "Vaults whose keys are not opened because their key folder was tampered with",
        )
        alarms.add_metric((), self._alarms())
        return [*merged(texts), processes, alarms], gone

    async def _text(self, place: Path) -> bytes:
        try:
            return await self._forwarder.get(place, PATH, _SECONDS, MAX_BYTES)
        except Away:
            return b""


def fitting(answer: bytes, worker: Worker) -> str:
    """Return a worker's metrics; raise :class:`Misfit` for unknown metrics or labels of other workers."""
    lines = answer.decode().split("\n")
    if not answer or len(answer) > MAX_BYTES or len(lines) > _MAX_LINES or max(map(len, lines)) > _MAX_LINE:
        raise Misfit
    text = "\n".join(line for line in lines if not line.startswith("#"))
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                _require_fit(sample.name, sample.labels, sample.value, worker)
    except Misfit:
        raise
    except Exception:
        raise Misfit from None
    return _typed(text)


def _require_fit(name: str, labels: Mapping[str, str], value: float, worker: Worker) -> None:
    allowed = _known().get(_base(name))
    if allowed is None or not labels.keys() <= allowed.labels or not math.isfinite(value):
        raise Misfit
    if any(len(each) > _MAX_VALUE or not each.isprintable() for each in labels.values()):
        raise Misfit
    if labels.get("kind", worker.kind) != worker.kind:
        raise Misfit
    whose = {worker.organisation or "", *_HELD_IN_COMMON}
    if any(labels.get(label, "") not in whose for label in ("organisation", "owner")):
        raise Misfit


def _typed(text: str) -> str:
    """Put our own descriptions and types before the samples, so that the worker cannot choose them."""
    heads = [f"# HELP {name} {one.words}\n# TYPE {name} {one.kind}" for name, one in _known().items()]
    by_name: dict[str, list[str]] = {name: [] for name in _known()}
    for line in filter(None, text.split("\n")):
        by_name[_base(re.split(r"[{ ]", line, maxsplit=1)[0])].append(line)
    found = zip(heads, by_name.values(), strict=True)
    return "".join("\n".join([head, *lines, ""]) for head, lines in found if lines)


def _base(name: str) -> str:
    return name if name in _known() else _SUFFIX.sub("", name)


@dataclass(frozen=True, slots=True)
class _Known:
    words: str
    kind: str
    labels: frozenset[str]


@cache
def _known() -> Mapping[str, _Known]:
    """Return every metric that a worker may report, by name."""
    registry = CollectorRegistry()
    Meters(registry, per_organisation=True)
    expiry_gauge(registry)
    meaningless_gauge(registry)
    registry.register(NotificationMetrics(lambda: 0))
    registry.register(LogMetrics())
    registry.register(HeldMetrics())
    registry.register(CoverMetrics(tuple))
    registry.register(ReminderMetrics(tuple))
    registry.register(Gone([Condition(one) for one in Dependency]))
    found = {
        family.name: _Known(family.documentation, family.type, _labels(family.name))
        for family in registry.collect()
    }
    memory = _Known(
        "Memory of all processes of a kind", "gauge", frozenset({"kind", "organisation", "measure"})
    )
    return {**found, MEMORY: memory}


def _labels(name: str) -> frozenset[str]:
    if name.startswith("samdrift_ap_"):
        return frozenset({"organisation", "reason", "outcome", "le"})
    return _LABELS.get(name, frozenset())


def merged(texts: Iterable[str]) -> list[Metric]:
    """Merge the metrics of several processes: sums, except for maximum ages and the earliest times."""
    families: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            known = values.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, tuple(sample.labels.items()))
                known[key] = _both(sample.name, known.get(key), sample.value)
    for name, family in families.items():
        for (sample_name, labels), value in values[name].items():
            family.add_sample(sample_name, dict(labels), value)
    return list(families.values())


def _both(name: str, one: float | None, other: float) -> float:
    if one is None:
        return other
    if name in _HIGHEST:
        return max(one, other)
    return min(one, other) if name.endswith(_LOWEST) else one + other
