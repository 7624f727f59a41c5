"""Metrics and health over HTTP, for Prometheus and other monitoring on the same host.

``/health/live`` answers as long as the process does, ``/health/ready`` with 503 while a dependency that every
role needs is gone, ``/health`` with the state of each dependency. None of these names an organisation.
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
"""Time limit of a measurement in seconds; Prometheus waits ten."""
HELD = "samdrift_held"
"""Name of the metric of waiting items."""


def meaningless_gauge(registry: CollectorRegistry) -> Gauge:
    """Create the gauge of envelopes that may have been forged in another organisation's name.

    It has no labels, so that it names no organisation.
    """
    return Gauge(
        "samdrift_mt_meaningless_envelopes",
        "Envelopes since the start that did not decrypt to a message of their sender's",
        registry=registry,
    )


NEEDED = frozenset(
    {
        Dependency.DATABASE,
        Dependency.LOCKS,
        Dependency.OBJECTS,
        Dependency.KEY_STORE,
        Dependency.WORKERS,
        Dependency.LEASES,
    }
)
"""Dependencies without which this host cannot or should not serve, so that other hosts do."""


class HeldMetrics(Collector):
    """Metric of waiting messages, receipts and transfers, by role and reason."""

    def __init__(self, numbers: Callable[[], Iterable[HeldNumber]] = tuple) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Yield the current value of the metric."""
        metric = GaugeMetricFamily(
            HELD, "Messages, receipts and transfers that wait, by reason", labels=["role", "reason"]
        )
        for one in self._numbers():
            metric.add_metric([one.role, one.reason], one.number)
        yield metric


def health_document(conditions: Iterable[Condition], held: Iterable[HeldNumber] = ()) -> dict[str, Any]:
    """Return the conditions as one document, with the overall verdict and the numbers of waiting items."""
    known = tuple(conditions)
    ready = not any(one.gone_since for one in known if one.dependency in NEEDED)
    return {
        "ready": ready,
        "healthy": ready and not any(one.gone_since for one in known),
        "dependencies": [one.document() for one in known],
        "held": [one.document() for one in held],
    }


async def nothing_found() -> Iterable[Condition]:
    """Return no conditions, where no other process reports any."""
    return ()


def metrics_application(
    registry: CollectorRegistry,
    measure: Callable[[], Awaitable[None]],
    conditions: Callable[[], Iterable[Condition]] = tuple,
    held: Callable[[], Iterable[HeldNumber]] = tuple,
    found: Callable[[], Awaitable[Iterable[Condition]]] = nothing_found,
) -> Starlette:
    """Return the application that serves health and the metrics in ``registry``, updated by ``measure``.

    ``found`` returns conditions that other processes report, which do not affect readiness. While a vault
    cannot be reached, the previous measurements are returned: without an answer, monitoring would assume that
    the whole installation is down, and not see that only the database is.
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
    """Do nothing, where a role updates its meters itself."""


def named_in_metrics(config: Config) -> bool:
    """Return whether metrics name organisations."""
    return config.metrics is not None and config.metrics.per_organisation
