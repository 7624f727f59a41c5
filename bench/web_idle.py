"""Cost of 300 organisations whose message clients only poll a message service."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import psutil
from tests.unit.messageclient.sparse import SparseService

from bench.measure import Row, reported
from bench.web_house import HABO, cpu_of, database_of, installed, settings_in
from samdrift.client.keys import ClientKey
from samdrift.messageclient.working import ServiceSettings, Working
from samdrift.net.clock import system_clock
from samdrift.wire.identifiers import ParticipantIdentifier

_ORGANISATIONS = 300
_SECONDS, _SETTLE = 120.0, 15.0
_POLL_SECONDS = 30
_CPU_BAR, _MEMORY_BAR = 0.4, 1.0
_MB = 1e6


def rows() -> list[Row]:
    """Measure percent of a core and memory per organisation, without and with a message service."""
    with tempfile.TemporaryDirectory(prefix="samdrift-bench-") as folder:
        Path(folder).chmod(0o711)
        return asyncio.run(_rows(Path(folder)))


async def _rows(folder: Path) -> list[Row]:
    others = tuple(ParticipantIdentifier(f"0203:kommun{number}.se") for number in range(_ORGANISATIONS - 1))
    service = SparseService()
    async with installed(settings_in(folder), (HABO, *others)) as gate, service.running():
        server = database_of(folder)
        before = psutil.Process().memory_info().rss
        ClientKey.new().write(folder / "client.pem")
        key = (folder / "client.pem").read_bytes()
        settings = [
            ServiceSettings(
                each, f"{service.url}/v1", f"{service.url}/token", "bench", key, public_only=False
            )
            for each in (HABO, *others)
        ]
        found = []
        for name, used in (("idle", ()), ("polling", settings)):
            working = Working(gate, used, system_clock, _POLL_SECONDS)
            async with working.running(_raise):
                await asyncio.sleep(_SETTLE)
                found.append(await _cpu(f"{_ORGANISATIONS} organisations, {name}", server))
        memory = (psutil.Process().memory_info().rss - before) / _ORGANISATIONS / _MB
        return [*found, reported("each organisation", [memory], "MB", bar=_MEMORY_BAR)]


async def _cpu(name: str, server: psutil.Process) -> Row:
    def used() -> float:
        return time.process_time() + cpu_of(server)

    began, cpu = time.monotonic(), used()
    await asyncio.sleep(_SECONDS)
    percent = (used() - cpu) / (time.monotonic() - began) * 100
    return reported(name, [percent], "% of a core, process and database", bar=_CPU_BAR)


def _raise(error: BaseException) -> None:
    raise error
