"""Visible outages: a dependency that goes and comes back is in the log, metrics, health and status."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from samdrift.config.reader import load
from samdrift.contracts.messages import MessageStatus
from samdrift.demo.cast import DemoOperator
from samdrift.federation.server import Failure, Service
from samdrift.installation.control import control_folder
from samdrift.installation.health import Dependency, outcome
from samdrift.installation.operator import own_dependencies
from samdrift.installation.reporting import ask_running
from samdrift.installation.vaultsettings import vault_settings
from samdrift.operations.doctor import Scope, examine
from samdrift.operations.findings import State
from samdrift.operations.machine import check_health
from samdrift.vault.openkeys import open_keys
from tests.roles.member import Member, until
from tests.roles.processes import organisation, played
from tests.roles.stage import Stage
from tests.roles.test_metrics import scraped
from tests.scanner import requires_clamd
from tests.sizes import whole
from tests.unit.cli.commandline import Ended, in_process
from tests.vaults import server_folder


async def health(member: Member, path: str = "/health") -> tuple[int, Any]:
    """Return status and document of the health address."""
    assert member.config.metrics is not None
    listen = member.config.metrics.listen

    def get() -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://{listen.host}:{listen.port}{path}") as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    return await asyncio.to_thread(get)


async def status(member: Member, *arguments: str) -> Ended:
    assert member.config.file is not None
    return await asyncio.to_thread(in_process, "status", "--config", Path(member.config.file), *arguments)


async def state_of(member: Member, dependency: str) -> str:
    _, document = await health(member)
    return next((one["state"] for one in document["dependencies"] if one["dependency"] == dependency), "")


async def held_of(member: Member, reason: str) -> int:
    _, document = await health(member)
    return sum(one["number"] for one in document["held"] if one["reason"] == reason)


@whole
async def test_roles_served_apart_by_one_file_have_metrics_each(stage: Stage) -> None:
    operator = DemoOperator("operator-m", "AP0033-SDK-DEMO", (organisation("tidaholm", "2120000639"),))
    with server_folder() as folder:
        async with played(stage.federation, folder, {operator: ("ap", "mt")}) as those:
            for process in those.processes:
                await process.start()
            config = those.processes[0].config
            assert config.metrics is not None
            for listen in (config.metrics.listen_ap, config.metrics.listen_mt):
                assert listen is not None
                address = f"http://{listen.host}:{listen.port}/health/live"
                with await asyncio.to_thread(urllib.request.urlopen, address) as answer:
                    assert json.loads(answer.read()) == {"live": True}


async def test_what_an_installation_has_of_its_own_is_tried_without_being_needed(stage: Stage) -> None:
    async def tried() -> bool | None:
        states = [await state_of(stage.agency, each) for each in ("database", "object-store", "key-store")]
        return True if states == ["there"] * 3 else None

    await until(tried, "every dependency has been tried")
    assert await health(stage.agency, "/health/live") == (200, {"live": True})
    assert await health(stage.agency, "/health/ready") == (200, {"ready": True})
    metrics = await scraped(stage.agency)
    assert metrics.samples[("samdrift_dependency_gone", "database")] == 0


@requires_clamd
async def test_a_scanner_that_goes_and_comes_back_writes_a_line_each(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def said(word: str) -> bool | None:
        found = [one for one in caplog.messages if one.startswith(f"scanner: {word}")]
        return True if len(found) >= 2 else None  # Both operators' installations run in this process.

    async def seen() -> bool | None:
        return True if await state_of(stage.agency, "scanner") == "there" else None

    await until(seen, "the scanner has been tried")
    stage.scanner.stop()
    try:
        await until(lambda: said("gone since"), "both have noticed")
        code, document = await health(stage.agency)
        (gone,) = (one for one in document["dependencies"] if one["state"] == "gone")
        assert (code, gone["dependency"]) == (503, "scanner")
        assert gone["reason"].endswith(f" at {stage.scanner.socket}")
        assert document["ready"], "messages must be accepted, and wait until they are scanned"
        shown = await status(stage.agency)
        assert shown.status == 1
        assert f"scanner: {gone['reason']}" in shown.output
        assert (await scraped(stage.agency)).samples[("samdrift_dependency_gone", "scanner")] == 1
        found = {one.id: one async for one in check_health(stage.agency.config)}
        assert found["health.scanner"].state is State.FAIL
        assert found["process.served"].state is State.OK
    finally:
        await stage.scanner.start()
    await until(lambda: said("back after"), "both have noticed that it is back")
    lines = [one for one in caplog.messages if one.startswith("scanner: ")]
    assert len(lines) == 4, lines
    assert (await status(stage.agency)).status == 0


async def test_an_smp_that_fails_is_gone_by_its_host_until_it_answers(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    peer = stage.peer()
    stage.federation.outages.failures[Service.SMP] = Failure.ERROR
    try:
        message_id = await stage.habo.send(peer.address)

        async def gone() -> bool | None:
            return True if await state_of(stage.habo, "smp") == "gone" else None

        async def held() -> bool | None:
            return True if await held_of(stage.habo, "smp") == 1 else None

        await until(gone, "the SMP is known to be gone")
        await until(held, "the message is known to wait for it")
        assert (await scraped(stage.habo)).samples[("samdrift_held", "smpmt")] == 1
        assert "HELD       1 mt: smp" in (await status(stage.habo)).output
        assert await state_of(stage.habo, "sml") == "there"
    finally:
        stage.federation.outages.failures.clear()
    await stage.habo.reaches(message_id, MessageStatus.WAITING_FOR_RECEIPT)
    assert await state_of(stage.habo, "smp") == "there"
    assert await held_of(stage.habo, "smp") == 0
    assert ("samdrift_held", "smpmt") not in (await scraped(stage.habo)).samples
    lines = [one for one in caplog.messages if one.startswith("smp ")]
    words = [one.partition(": ")[2].split(" ")[0] for one in lines]
    # Both operators' installations run in this process; the other logs the same if it has asked meanwhile.
    assert words[0] == "gone"
    assert 1 <= words.count("back") <= words.count("gone") <= 2, lines
    assert "it answers 503" in lines[0]


async def test_a_running_installation_reports_what_it_serves(stage: Stage) -> None:
    (running,) = await ask_running(control_folder(stage.agency.config.vaults))
    assert {role.value for role in running.roles} == {"ap", "mt"}
    assert running.serves(stage.agency.organisation, next(iter(running.roles)))
    document = (await status(stage.agency, "--json")).document
    assert document["running"]
    assert document["notServed"] == []


async def test_nothing_runs(tmp_path: Path, stage: Stage) -> None:
    assert stage.agency.config.file is not None
    text = stage.agency.config.file.read_text()
    file = tmp_path / "samdrift.toml"
    file.write_text(text.replace("[vaults]", f'[vaults]\ncontrol = "{tmp_path}/control"'))
    ended = await asyncio.to_thread(in_process, "status", "--config", file)
    assert ended.status == 2
    assert "nothing runs" in ended.output


async def test_where_the_way_to_ask_is_gone_with_the_key_store_status_says_so(
    tmp_path: Path, stage: Stage
) -> None:
    """The installation keeps running, so `nothing runs` would be a wrong answer."""
    assert stage.agency.config.file is not None
    text, secrets = stage.agency.config.file.read_text(), tmp_path / "nowhere"
    file = tmp_path / "samdrift.toml"
    file.write_text(text.replace('secrets = "secrets"', f'secrets = "{secrets}"\nseals = "{tmp_path}/seals"'))
    ended = await asyncio.to_thread(in_process, "status", "--config", file)
    assert ended.status == 2
    assert f"key-store: {secrets} does not exist, so running processes cannot be queried" in ended.complaints
    assert "/health" in ended.complaints
    assert "UNKNOWN" in ended.output
    assert not re.search("nothing runs|NOT SERVED", ended.output)
    found = {one.id: one for one in await examine(load(file), Scope(offline=True))}
    assert found["health.key-store"].state is State.FAIL
    assert found["health.key-store"].found.startswith(f"{secrets} does not exist")
    assert found["process"].state is State.SKIPPED, "doctor must not advise starting what already runs"
    assert not secrets.exists()


async def test_an_object_store_that_is_gone_is_named_with_its_place(stage: Stage) -> None:
    """The place is the folder, or host and port; otherwise the operator would have to look it up."""
    habo = stage.habo
    keys = open_keys(vault_settings(habo.config))
    folder = habo.config.vaults.objects
    assert isinstance(folder, Path)
    tries = own_dependencies(habo.config, habo.operator.gate, keys)
    assert await outcome(tries[Dependency.OBJECTS]) == ""
    aside = folder.rename(folder.with_name("aside"))
    try:
        found = await outcome(tries[Dependency.OBJECTS])
    finally:
        aside.rename(folder)
    assert found == f"object store at {folder}: no such file or directory"


async def test_a_database_that_says_nothing_is_named_with_its_place(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only message used to be `database: no answer in time`."""
    habo = stage.habo

    async def silent() -> float:
        await asyncio.Event().wait()
        return 0.0

    monkeypatch.setattr(habo.operator.gate, "reach", silent)
    monkeypatch.setattr("samdrift.installation.operator._SILENCE", 0.01)
    tries = own_dependencies(habo.config, habo.operator.gate, open_keys(vault_settings(habo.config)))
    place = habo.config.vaults.database
    assert await outcome(tries[Dependency.DATABASE]) == f"no answer in time at {place}"


async def test_a_process_tries_its_clock_with_its_database(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = timedelta(hours=1)
    monkeypatch.setattr("samdrift.installation.operator.system_clock", lambda: datetime.now(UTC) - behind)
    habo = stage.habo
    tries = own_dependencies(habo.config, habo.operator.gate, open_keys(vault_settings(habo.config)))
    assert await outcome(tries[Dependency.DATABASE]) == ""
    assert (await outcome(tries[Dependency.CLOCK])).endswith("s behind the database's")
