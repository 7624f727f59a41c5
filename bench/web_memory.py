"""Memory of the message client above idle while one message of 30 MB comes in, and while one goes out.

The client is a process of its own (:mod:`bench.web_client`); the message service is in this one.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.unit.messageclient.sparse import SparseService

from bench.measure import Row, reported
from bench.process import Process
from bench.web_client import BYTES
from bench.web_house import ADDRESS, BOX, HABO, MK, WORKER, installed, settings_in
from samdrift.contracts.principals import Purpose
from samdrift.vault.mailrecords import MailboxRecord

_ORDERS = (
    ("fetch", "30 MB from the message service"),
    ("look", "30 MB to a browser"),
    ("upload", "30 MB from a browser"),
    ("send", "30 MB to the message service"),
)
_BAR = 32.0
_MB = 1e6
_PATIENCE = 300


def rows() -> list[Row]:
    """Measure the peak memory above idle in each direction."""
    with tempfile.TemporaryDirectory(prefix="samdrift-bench-") as folder:
        Path(folder).chmod(0o711)
        return asyncio.run(_rows(Path(folder)))


async def _rows(folder: Path) -> list[Row]:
    service = SparseService()
    async with installed(settings_in(folder)) as gate, service.running():
        async with gate.open(WORKER, HABO, MK, Purpose.PROCESS) as vault:
            await vault.keep_mailbox(MailboxRecord(BOX, ADDRESS, "Socialtjänst"))
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.web_client", str(folder), service.url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            await _line(child, "ready")
            await _ordered(child, "fetch")
            return [reported("idling", [Process(child.pid).resident() / _MB], "MB")] + [
                await _measured(child, service, *each) for each in _ORDERS
            ]
        finally:
            child.kill()
            await child.wait()


async def _measured(child: asyncio.subprocess.Process, service: SparseService, order: str, name: str) -> Row:
    if order == "fetch":
        file = b"%PDF-1.7\n" + os.urandom(BYTES)
        service.receives(to=ADDRESS, files=(("a.pdf", "application/pdf", file),))
    process = Process(child.pid)
    idle = process.resident()
    process.forget_peak()
    await _ordered(child, order)
    return reported(f"{name}, above idle", [(process.peak() - idle) / _MB], "MB", bar=_BAR)


async def _ordered(child: asyncio.subprocess.Process, order: str) -> None:
    assert child.stdin is not None
    child.stdin.write(f"{order}\n".encode())
    await _line(child, order)


async def _line(child: asyncio.subprocess.Process, wanted: str) -> None:
    assert child.stdout is not None
    async with asyncio.timeout(_PATIENCE):
        found = (await child.stdout.readline()).decode().strip()
    if found != wanted:
        raise RuntimeError(f"the client said {found!r} in place of {wanted!r}")
