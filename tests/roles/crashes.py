"""A database server that crashes, and stays down as long as a test needs."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from samdrift.config.model import Config
from samdrift.vault.database.postgres import EmbeddedPostgres
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from tests.roles.member import until


@asynccontextmanager
async def crashed(config: Config, gate: Gate) -> AsyncIterator[None]:
    """Keep the installation's database down while the context lasts, after which it is revived on demand.

    The lock is the one that every process takes before it starts the server.
    """
    folder = config.vaults.database
    assert isinstance(folder, Path)
    with (folder / "starting").open("rb+") as starting:
        await asyncio.to_thread(fcntl.flock, starting, fcntl.LOCK_EX)
        await asyncio.to_thread(EmbeddedPostgres(folder, str).control, "stop", "-m", "immediate")
        yield

    async def answers() -> bool | None:
        with contextlib.suppress(VaultUnavailable):
            await gate.read_operator_log(limit=1)
            return True
        return None

    await until(answers, "the database is back")
