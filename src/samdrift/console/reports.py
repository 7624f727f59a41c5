"""The reports of running processes, with the numbers of what waits also where the metrics alone have them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from prometheus_client.parser import text_string_to_metric_families

from samdrift.config.model import Config, MetricsConfig
from samdrift.installation.control import control_folder
from samdrift.installation.metrics import HELD, PATH
from samdrift.installation.reporting import Running, ask_running
from samdrift.net.client import FetchLimits, HttpClient, NoAnswer, fetch
from samdrift.scheduling.held import HeldNumber

_LIMITS = FetchLimits(max_bytes=16 << 20, seconds=5.0)
Ask = Callable[[], Awaitable[tuple[Running, ...]]]
"""Asks the processes that run how they are (:func:`~samdrift.installation.reporting.ask_running`)."""


def processes_of(config: Config, client: HttpClient) -> Ask:
    """Return what asks the processes of an installation; ``client`` reaches this machine's own metrics."""
    ask = partial(ask_running, control_folder(config.vaults))

    async def asked() -> tuple[Running, ...]:
        return await with_held(await ask(), config.metrics, client)

    return asked


async def with_held(
    running: Sequence[Running], metrics: MetricsConfig | None, client: HttpClient
) -> tuple[Running, ...]:
    """Return reports with the numbers of what waits, which the workers of an organisation each count apart.

    They are added up by the front for the metrics. Where those cannot be had, none are returned.
    """
    if metrics is None:
        return tuple(running)
    return tuple(
        [replace(one, held=await _held(metrics, one, client)) if one.workers else one for one in running]
    )


async def _held(metrics: MetricsConfig, one: Running, client: HttpClient) -> tuple[HeldNumber, ...]:
    listen = metrics.address(one.roles)
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    try:
        answer = await fetch(client, f"http://{host}:{listen.port}{PATH}", _LIMITS)
    except NoAnswer:
        return ()
    return tuple(_numbers(answer.body.decode("utf-8", "replace"))) if answer.status == 200 else ()


def _numbers(text: str) -> Iterator[HeldNumber]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples if family.name == HELD else ():
            if sample.value:
                yield HeldNumber(sample.labels["role"], sample.labels["reason"], int(sample.value))
