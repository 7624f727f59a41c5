"""The metrics of all processes as one, for a monitoring that knows one address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from samdrift.app.metrics import PATH
from samdrift.net.forwarding import Away, Forwarder

_SECONDS = 5.0
_MOST = 4 << 20
_HIGHEST = "samdrift_ap_oldest_queued_seconds"
_LOWEST = ("_created", "samdrift_certificate_expiry_seconds")


class Gathered(Collector):
    """What was last gathered of the workers, and what the front adds of itself."""

    def __init__(self, forwarder: Forwarder, places: Callable[[], Iterable[Path]], own: Collector) -> None:
        self._forwarder = forwarder
        self._places = places
        self._own = CollectorRegistry()
        self._own.register(own)
        self._texts: list[str] = []
        self.registry = CollectorRegistry()
        self.registry.register(self)

    async def gather(self) -> None:
        """Ask every process; one that is away is missing from the sums, and from the count of processes."""
        found = await asyncio.gather(*(self._text(place) for place in self._places()))
        self._texts = [generate_latest(self._own).decode(), *filter(None, found)]

    def collect(self) -> Iterator[Metric]:
        yield from merged(self._texts)

    async def _text(self, place: Path) -> str:
        try:
            return (await self._forwarder.get(place, PATH, _SECONDS, _MOST)).decode()
        except (Away, UnicodeDecodeError):
            return ""


def merged(texts: Iterable[str]) -> list[Metric]:
    """Several processes' metrics as one's: sums, but for the highest age, and the soonest end."""
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
    if name == _HIGHEST:
        return max(one, other)
    return min(one, other) if name.endswith(_LOWEST) else one + other
