"""A real Prometheus scrapes the federation: it answers every query of the dashboard, and no alert fires."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from samdrift.contracts.messages import MessageStatus
from samdrift.federation.ports import free_port
from tests.monitoring import ALERTS, alerts, queries
from tests.programs import found, requires
from tests.roles.conftest import stage  # noqa: F401 - used as a fixture
from tests.roles.member import Member, until
from tests.roles.stage import HOST, Stage
from tests.scanner import requires_clamd

pytestmark = requires("prometheus", "prometheus")

CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: samdrift
    static_configs: [{{targets: {targets}}}]
"""
SCRAPES = 8


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus of our own, queried over its API."""

    port: int

    async def asked(self, path: str, **parameters: str) -> Any:
        address = f"http://{HOST}:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"

        def get() -> Any:
            with urllib.request.urlopen(address) as answer:
                return json.loads(answer.read())

        document = await asyncio.to_thread(get)
        assert document["status"] == "success", document
        return document["data"]

    async def value(self, query: str) -> list[Any]:
        found: list[Any] = (await self.asked("query", query=query))["result"]
        return found


@contextlib.contextmanager
def _process(folder: Path, port: int) -> Iterator[None]:
    program = found("prometheus") or "prometheus"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={HOST}:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


@asynccontextmanager
async def scraping(folder: Path, members: list[Member]) -> AsyncIterator[Prometheus]:
    """Run a Prometheus with our rules that scrapes the installations of these members."""
    targets = []
    for member in members:
        assert member.config.metrics is not None
        targets.append(f"{HOST}:{member.config.metrics.listen.port}")
    text = CONFIGURATION.format(rules=json.dumps(str(ALERTS)), targets=json.dumps(targets))
    (folder / "prometheus.yml").write_text(text)
    port = free_port(HOST)
    with _process(folder, port):
        prometheus = Prometheus(port)

        async def scraped() -> bool | None:
            with contextlib.suppress(OSError):
                counted = await prometheus.value(
                    f'min(count_over_time(up{{job="samdrift"}}[1m])) >= {SCRAPES}'
                )
                return True if counted else None
            return None

        await until(scraped, "the installations have been scraped")
        yield prometheus


@pytest_asyncio.fixture(scope="module")
async def prometheus(
    stage: Stage,  # noqa: F811 - the fixture is imported
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Prometheus]:
    """Run one that has scraped both operators of the stage while a message went from one to the other."""
    assert await stage.habo.ends(await stage.habo.send(stage.agency.address)) is MessageStatus.ACCEPTED
    async with scraping(tmp_path_factory.mktemp("prometheus"), [stage.habo, stage.agency]) as running:
        yield running


@pytest.mark.parametrize(("title", "query"), list(queries()))
async def test_every_query_of_the_dashboard_is_answered(
    prometheus: Prometheus, title: str, query: str
) -> None:
    """Queries are sent as Grafana would, with all installations selected."""
    asked = query.replace("$instance", ".+").replace("$__rate_interval", "1m")
    assert "$" not in asked
    assert await prometheus.value(asked), f"{title} shows nothing"


async def test_a_running_federation_raises_no_alert_and_every_rule_is_evaluated(
    prometheus: Prometheus,
) -> None:
    (group,) = (await prometheus.asked("rules"))["groups"]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}
    assert len(group["rules"]) == len(alerts())
    assert [rule["name"] for rule in group["rules"] if rule["state"] == "firing"] == []


@requires_clamd
async def test_an_outage_reaches_prometheus(prometheus: Prometheus, stage: Stage) -> None:  # noqa: F811
    """The alert is pending as soon as the installation has noticed the outage, and gone when it is over."""

    async def pending(wanted: bool) -> bool | None:
        found = await prometheus.value('ALERTS{alertname="SamdriftScannerGone"}')
        return True if bool(found) is wanted else None

    stage.scanner.stop()
    try:
        await until(lambda: pending(True), "Prometheus has noticed")
    finally:
        await stage.scanner.start()
    await until(lambda: pending(False), "Prometheus knows that it is back")
