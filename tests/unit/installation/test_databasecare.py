"""Maintenance of the database as its administrator, and a start while it is unavailable."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from samdrift.installation import databasecare
from samdrift.installation.databasecare import cared_for
from samdrift.installation.health import Health
from samdrift.net.clock import system_clock
from samdrift.vault.openkeys import open_keys
from tests.cluster import cluster
from tests.secretfiles import secret_file
from tests.throwawaykeys import CHEAP
from tests.unit.config.test_reader import GOOD, write
from tests.vaults import Installation, server_folder, until

_MEMORY = "SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name = 'CacheMemoryContext'"


async def test_what_an_installation_saw_of_its_vaults_is_not_kept_in_memory(
    installation: Installation,
) -> None:
    """A session that has visited 600 vaults occupies 34 MB for as long as it lasts."""
    for _ in range(4):
        await installation.organisation()
    settings = installation.settings
    async with cared_for(settings, open_keys(settings), Health(system_clock).note) as care:
        ours = await _asked(care.provisioner._connection)
        async with await psycopg.AsyncConnection.connect(care.provisioner.database.administrator()) as fresh:
            unused = await _asked(fresh)
        await care.provisioner.install()
        used = await _asked(care.provisioner._connection)
    assert ours <= unused < used


async def _asked(connection: psycopg.AsyncConnection[tuple[int]]) -> int:
    ((size,),) = await (await connection.execute(_MEMORY.encode())).fetchall()
    return int(size)


async def test_a_database_that_is_not_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databasecare, "_BETWEEN_TRIES", 0.02)
    with server_folder() as folder, cluster(folder / "server") as own:
        settings = own.settings()
        keys = open_keys(settings, begin=True, cost=CHEAP)
        own.server.control("stop", "-m", "fast")
        reasons: list[str] = []
        entered, leave = asyncio.Event(), asyncio.Event()

        async def start() -> None:
            async with cared_for(settings, keys, lambda kind, at, reason, began=None: reasons.append(reason)):
                entered.set()
                await leave.wait()

        starting = asyncio.create_task(start())
        try:
            await until(lambda: len(reasons) > 1)
            assert set(reasons) == {f"connection refused at 127.0.0.1:{own.port}"}
            own.server.control("start")
            await until(entered.is_set)
            assert reasons[-1] == ""
            leave.set()
            await starting
        finally:
            starting.cancel()


async def test_serve_waits_for_its_database_and_ends_when_told_so_meanwhile(tmp_path: Path) -> None:
    secret_file(tmp_path / "passphrase", "open sesame")
    config = write(tmp_path, GOOD.replace("postgresql://db.example/samdrift", "postgresql://a@127.0.0.1:9/b"))
    log = tmp_path / "log"
    command = [sys.executable, "-P", "-m", "samdrift.cli.main", "serve", "all", "--config", str(config)]
    with log.open("w") as written, subprocess.Popen(command, stderr=written) as serving:
        try:
            await until(lambda: "gone since" in log.read_text() or serving.poll() is not None)
            assert serving.poll() is None
            serving.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(serving.wait, 60) == 0
        finally:
            serving.kill()
    (line,) = (line for line in log.read_text().splitlines() if "gone since" in line)
    assert line.endswith("connection refused at 127.0.0.1:9")
    assert log.read_text().endswith("stopped\n")
