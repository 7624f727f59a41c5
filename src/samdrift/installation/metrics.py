"""Metrics and health over HTTP, for a Prometheus and other watchers on the same host.

``/health/live`` answers as long as the process does, ``/health/ready`` with 503 while a dependency that every
role needs is gone, ``/health`` with the state of each. None of it names an organisation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from samdrift.config.model import Config
from samdrift.installation.health import Condition, Dependency
from samdrift.scheduling.held import HeldNumber
from samdrift.vault.errors import VaultUnavailable

HEALTH_PATH = "/health"
PATH = "/metrics"
_PATIENCE = 5.0
"""Seconds for a measurement; Prometheus waits for ten."""
HELD = "samdrift_held"
"""Name of the metric of what waits."""


def meaningless_gauge(registry: CollectorRegistry) -> Gauge:
    """Number of envelopes that somebody may have forged from another organisation's; it names nobody."""
    return Gauge(
        "samdrift_mt_meaningless_envelopes",
        "Envelopes since the start that did not decrypt to a message of their sender's",
        registry=registry,
    )


NEEDED = frozenset(
    {
        Dependency.DATABASE,
        Dependency.OBJECTS,
        Dependency.KEY_STORE,
        Dependency.WORKERS,
        Dependency.LEASES,
    }
)
"""Dependencies without which nothing is served, or should not be: other hosts serve."""


class HeldMetrics(Collector):
    """The metric of what waits: messages, receipts and transfers, by role and reason."""

    def __init__(self, numbers: Callable[[], Iterable[HeldNumber]] = tuple) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Return the current value of the metric."""
        metric = GaugeMetricFamily(
            HELD, "Messages, receipts and transfers that wait, by reason", labels=["role", "reason"]
        )
        for one in self._numbers():
            metric.add_metric([one.role, one.reason], one.number)
        yield metric


def health_document(conditions: Iterable[Condition], held: Iterable[HeldNumber] = ()) -> dict[str, Any]:
    """The conditions as one document, with the verdict on them, and the numbers of what waits."""
    known = tuple(conditions)
    ready = not any(one.gone_since for one in known if one.dependency in NEEDED)
    return {
        "ready": ready,
        "healthy": ready and not any(one.gone_since for one in known),
        "dependencies": [one.document() for one in known],
        "held": [one.document() for one in held],
    }


async def nothing_found() -> Iterable[Condition]:
    """Return no condition, where no other process finds any."""
    return ()


def metrics_application(
    registry: CollectorRegistry,
    measure: Callable[[], Awaitable[None]],
    conditions: Callable[[], Iterable[Condition]] = tuple,
    held: Callable[[], Iterable[HeldNumber]] = tuple,
    found: Callable[[], Awaitable[Iterable[Condition]]] = nothing_found,
) -> Starlette:
    """Answers with what ``registry`` holds once ``measure`` has brought it up to date, and with health.

    ``found`` are conditions that others have found, which no readiness depends on.

    While a vault cannot be reached, what was measured before is returned: a watcher that got nothing would
    take the whole installation for gone, and not read that the database is.
    """

    async def answer(request: Request) -> Response:
        with contextlib.suppress(VaultUnavailable, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await measure()
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def live(request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Request) -> Response:
        document = health_document(conditions())
        return JSONResponse({"ready": document["ready"]}, 200 if document["ready"] else 503)

    async def health(request: Request) -> Response:
        document = health_document([*conditions(), *await found()], held())
        return JSONResponse(document, 200 if document["healthy"] else 503)

    return Starlette(
        routes=[
            Route(PATH, answer, methods=["GET"]),
            Route(HEALTH_PATH, health, methods=["GET"]),
            Route("/health/live", live, methods=["GET"]),
            Route("/health/ready", ready, methods=["GET"]),
        ]
    )


async def nothing_to_measure() -> None:
    """Measure nothing, where a role keeps its meters up to date itself."""


def named_in_metrics(config: Config) -> bool:
    """Return whether metrics name organisations."""
    return config.metrics is not None and config.metrics.per_organisation
