"""Maintenance of the database as its administrator."""

from __future__ import annotations

import psycopg

from samdrift.installation.databasecare import cared_for
from samdrift.vault.openkeys import open_keys
from tests.vaults import Installation

_MEMORY = "SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name = 'CacheMemoryContext'"


async def test_what_an_installation_saw_of_its_vaults_is_not_kept_in_memory(
    installation: Installation,
) -> None:
    """One session that has been in 600 vaults takes 34 MB for as long as it lasts."""
    for _ in range(4):
        await installation.organisation()
    settings = installation.settings
    async with cared_for(settings, open_keys(settings)) as care:
        ours = await _asked(care.provisioner._connection)
        async with await psycopg.AsyncConnection.connect(care.provisioner.database.administrator()) as fresh:
            unused = await _asked(fresh)
        await care.provisioner.install()
        used = await _asked(care.provisioner._connection)
    assert ours <= unused < used


async def _asked(connection: psycopg.AsyncConnection[tuple[int]]) -> int:
    ((size,),) = await (await connection.execute(_MEMORY.encode())).fetchall()
    return int(size)
