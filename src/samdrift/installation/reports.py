"""Reports of running processes, completed with numbers and findings that only the front's metrics have."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from prometheus_client.parser import text_string_to_metric_families

from samdrift.config.isolation import Isolation
from samdrift.config.model import Config, MetricsConfig
from samdrift.installation.control import control_folder
from samdrift.installation.health import FOUND_BY_WORKERS, Condition, Dependency
from samdrift.installation.metrics import HEALTH_PATH, HELD, PATH
from samdrift.installation.reporting import Running, ask_running
from samdrift.net.client import FetchLimits, HttpClient, NoAnswer, fetch, http_client
from samdrift.scheduling.held import HeldNumber

_LIMITS = FetchLimits(max_bytes=16 << 20, seconds=5.0)
Ask = Callable[[], Awaitable[tuple[Running, ...]]]
"""Function that asks running processes for reports (:func:`~samdrift.installation.reporting.ask_running`)."""


async def every_report(config: Config) -> tuple[Running, ...]:
    """Ask all processes on this machine and, at level ``process``, the front for the workers' findings."""
    if config.isolation.level is not Isolation.PROCESS or config.metrics is None:
        return await ask_running(control_folder(config.vaults))
    async with http_client(public_only=False) as client:
        return await processes_of(config, client)()


def processes_of(config: Config, client: HttpClient) -> Ask:
    """Return a function that asks an installation's processes; ``client`` reaches this machine's metrics."""
    ask = partial(ask_running, control_folder(config.vaults))

    async def asked() -> tuple[Running, ...]:
        return await with_found(await with_held(await ask(), config.metrics, client), config.metrics, client)

    return asked


async def with_held(
    running: Sequence[Running], metrics: MetricsConfig | None, client: HttpClient
) -> tuple[Running, ...]:
    """Return reports completed with the numbers of waiting items, which each worker counts separately.

    The front adds them up for the metrics. If the metrics are unavailable, none are returned.
    """
    if metrics is None:
        return tuple(running)
    return tuple(
        [replace(one, held=await _held(metrics, one, client)) if one.workers else one for one in running]
    )


async def with_found(
    running: Sequence[Running], metrics: MetricsConfig | None, client: HttpClient
) -> tuple[Running, ...]:
    """Return reports completed with the workers' findings about SMPs, tokens and other dependencies.

    The front collects them. Because it talks to strangers, none of its text is shown, only a kind and a
    moment.
    """
    if metrics is None:
        return tuple(running)
    found = [await _found(metrics, one, client) if one.workers else () for one in running]
    pairs = zip(running, found, strict=True)
    return tuple(replace(one, conditions=(*one.conditions, *more)) for one, more in pairs)


async def _found(metrics: MetricsConfig, one: Running, client: HttpClient) -> tuple[Condition, ...]:
    answer = await _answer(metrics, one, client, HEALTH_PATH)
    known = {each.dependency for each in one.conditions}
    try:
        said = [(each["dependency"], each["since"]) for each in json.loads(answer)["dependencies"]]
        return tuple(_condition(kind, since) for kind, since in said if kind not in known)
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()


def _condition(kind: str, since: str | None) -> Condition:
    moment = datetime.fromisoformat(since) if since else None
    return Condition(Dependency(kind), "", moment, FOUND_BY_WORKERS if moment else "")


async def _held(metrics: MetricsConfig, one: Running, client: HttpClient) -> tuple[HeldNumber, ...]:
    return tuple(_numbers((await _answer(metrics, one, client, PATH)).decode("utf-8", "replace")))


async def _answer(metrics: MetricsConfig, one: Running, client: HttpClient, path: str) -> bytes:
    """Return the answer at the metrics address; empty if there is none."""
    listen = metrics.address(one.roles)
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    try:
        answer = await fetch(client, f"http://{host}:{listen.port}{path}", _LIMITS)
    except NoAnswer:
        return b""
    return answer.body if answer.status in (200, 503) else b""


def _numbers(text: str) -> Iterator[HeldNumber]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples if family.name == HELD else ():
            if sample.value:
                yield HeldNumber(sample.labels["role"], sample.labels["reason"], int(sample.value))
