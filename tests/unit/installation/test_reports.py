"""Reports of processes: where each organisation has its own, the metrics count what waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from samdrift.config.isolation import Isolation
from samdrift.config.model import Config, MetricsConfig, SocketAddress
from samdrift.contracts.principals import Role
from samdrift.installation import reports
from samdrift.installation.health import FOUND_BY_WORKERS, Condition
from samdrift.installation.metrics import HeldMetrics, metrics_application, nothing_to_measure
from samdrift.installation.reporting import Running
from samdrift.installation.reports import with_found, with_held
from samdrift.net.client import HttpClient, http_client
from samdrift.net.server import listening_socket, serving
from samdrift.operations.findings import State
from samdrift.operations.machine import check_health
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
    """The front's own words are not shown, because it talks to strangers."""
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


async def test_the_doctor_tells_what_the_organisations_processes_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to omit an SMP, a token or an address book that was away, while health and status showed it."""

    async def found() -> Iterable[Condition]:
        return [Condition("smp", "", SINCE, FOUND_BY_WORKERS), Condition("revocation")]

    async def asked(folder: Path) -> tuple[Running, ...]:
        return (SUPERVISED,)

    monkeypatch.setattr(reports, "ask_running", asked)
    sock = listening_socket("127.0.0.1")
    application = metrics_application(CollectorRegistry(), nothing_to_measure, found=found)
    async with serving(application, sock):
        config = cast(
            Config,
            SimpleNamespace(
                roles=ROLES,
                isolation=SimpleNamespace(level=Isolation.PROCESS),
                metrics=MetricsConfig(SocketAddress("127.0.0.1", sock.getsockname()[1])),
                vaults=SimpleNamespace(control=tmp_path, secrets=tmp_path),
            ),
        )
        states = {one.id: (one.state, one.found) async for one in check_health(config)}
    gone = f"smp is gone since 2026-11-02 00:00:00Z: {FOUND_BY_WORKERS}"
    assert states.get("health.smp") == (State.FAIL, gone)
    assert states["health.revocation"][0] is State.OK
