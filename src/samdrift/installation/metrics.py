"""The metrics over HTTP, for a Prometheus on the same host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.vault.errors import VaultUnavailable

PATH = "/metrics"


def meaningless_gauge(registry: CollectorRegistry) -> Gauge:
    """Number of envelopes that somebody may have forged from another organisation's; it names nobody."""
    return Gauge(
        "samdrift_mt_meaningless_envelopes",
        "Envelopes since the start that did not decrypt to a message of their sender's",
        registry=registry,
    )


def metrics_application(registry: CollectorRegistry, measure: Callable[[], Awaitable[None]]) -> Starlette:
    """Answers with what ``registry`` holds once ``measure`` has brought it up to date."""

    async def answer(request: Request) -> Response:
        try:
            await measure()
        except VaultUnavailable:
            return Response(status_code=503)
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return Starlette(routes=[Route(PATH, answer, methods=["GET"])])
