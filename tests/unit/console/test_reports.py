"""Reports of processes: where each organisation has its own, the metrics have the numbers of what waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest_asyncio
from prometheus_client import CollectorRegistry

from samdrift.config.model import MetricsConfig, SocketAddress
from samdrift.console.reports import with_found, with_held
from samdrift.contracts.principals import Role
from samdrift.installation.health import FOUND_BY_WORKERS, Condition
from samdrift.installation.metrics import HeldMetrics, metrics_application, nothing_to_measure
from samdrift.installation.reporting import Running
from samdrift.net.client import HttpClient, http_client
from samdrift.net.server import listening_socket, serving
from samdrift.scheduling.held import HeldNumber

NUMBERS = (HeldNumber("ap", "peer-refused", 2), HeldNumber("mt", "scanner", 31))
SINCE = datetime(2026, 11, 2, tzinfo=UTC)
ROLES = frozenset({Role.ACCESS_POINT, Role.MESSAGE_SERVICE})
SUPERVISED = Running(SINCE, ROLES, {"ap of 0203:habo.se": True}, ())
SHARED = Running(SINCE, ROLES, {}, (), (HeldNumber("mt", "smp", 1),))


@pytest_asyncio.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with http_client(public_only=False) as own:
        yield own


@pytest_asyncio.fixture
async def metrics() -> AsyncIterator[MetricsConfig]:
    registry = CollectorRegistry()
    registry.register(HeldMetrics(lambda: NUMBERS))
    sock = listening_socket("127.0.0.1")
    async with serving(metrics_application(registry, nothing_to_measure), sock):
        yield MetricsConfig(SocketAddress("127.0.0.1", sock.getsockname()[1]))


async def test_numbers_of_an_installation_with_workers_come_from_its_metrics(
    client: HttpClient, metrics: MetricsConfig
) -> None:
    supervised, shared = await with_held([SUPERVISED, SHARED], metrics, client)
    assert supervised.held == NUMBERS
    assert shared == SHARED


async def test_without_metrics_the_report_is_as_it_was(client: HttpClient) -> None:
    assert await with_held([SUPERVISED], None, client) == (SUPERVISED,)
    with listening_socket("127.0.0.1") as free:
        nowhere = MetricsConfig(SocketAddress("127.0.0.1", free.getsockname()[1]))
    assert await with_held([SUPERVISED], nowhere, client) == (SUPERVISED,)


async def test_what_the_organisations_processes_find_is_in_the_report_by_kind_and_moment(
    client: HttpClient,
) -> None:
    """No word of the front is shown: it talks to strangers."""
    reported: list[Condition] = []

    async def found() -> Iterable[Condition]:
        return reported

    sock = listening_socket("127.0.0.1")
    application = metrics_application(CollectorRegistry(), nothing_to_measure, found=found)
    async with serving(application, sock):
        metrics = MetricsConfig(SocketAddress("127.0.0.1", sock.getsockname()[1]))
        scanner = Condition("scanner", "", SINCE, "connection refused")
        one = replace(SUPERVISED, conditions=(scanner,))
        reported[:] = [
            Condition("scanner"),
            Condition("hsm"),
            Condition("smp", "words", SINCE, "of the front"),
        ]
        (report,) = await with_found([one], metrics, client)
        assert report.conditions == (scanner, Condition("hsm"), Condition("smp", "", SINCE, FOUND_BY_WORKERS))
        reported[:] = [Condition("a word of the front", "", SINCE)]
        assert await with_found([one, SHARED], metrics, client) == (one, SHARED)
