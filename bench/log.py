"""Cost of a log: an append (the chain of 0.1 against salted leaves), checkpoints, and a verification.

CPU of the one server process that runs ``append_log``, with the commit, on an embedded PostgreSQL that is as
durable as in operation. It is read from the scheduler, which counts nanoseconds.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from psycopg import sql

from bench import checkpoints, logverify
from bench.measure import Row, against_floor
from samdrift.audit.entries import Happening
from samdrift.vault.database import migrations
from samdrift.vault.database.migrations import Connection
from samdrift.vault.logbook import append_statement
from samdrift.vault.provision import Provisioner
from samdrift.vault.settings import VaultSettings

_CHAIN = ("log-1", "log-2", "log-3")
_LOGS = {"chain": _CHAIN, "leaves": (*_CHAIN, "salted-log-1")}
_BEGIN = "INSERT INTO log_head (sequence, hash, channel) VALUES (0, sha256('log'), 'c')"
_ROUNDS, _REPEATS, _BAR = 31, 200, 1.1


def rows() -> list[Row]:
    """Measure an append in the server's CPU, the checkpoints of idle logs, and a verification."""
    with TemporaryDirectory(prefix="samdrift-bench-") as folder:
        Path(folder).chmod(0o711)
        appends = asyncio.run(_rows(Path(folder)))
    return [*appends, *checkpoints.rows(), *logverify.rows()]


async def _rows(folder: Path) -> list[Row]:
    settings = VaultSettings(
        folder / "database", folder / "objects", folder / "secrets", folder / "seals", b"bench"
    )
    provisioner = await Provisioner.connect(settings)
    connection = await provisioner.database.administrators_connection()
    try:
        await connection.set_autocommit(True)
        costs: dict[str, list[float]] = {name: [] for name in _LOGS}
        for name, scripts in _LOGS.items():
            await _make(connection, name, scripts)
        for number in range(_ROUNDS + 1):
            for name in sorted(_LOGS, reverse=number % 2 == 1):
                cost = await _cost(connection, name)
                if number:
                    costs[name].append(cost)
        return [
            against_floor(
                "append of an entry", costs["chain"], costs["leaves"], bar=_BAR, unit="µs CPU, PostgreSQL"
            )
        ]
    finally:
        await connection.close()
        await provisioner.close()


async def _make(connection: Connection, schema: str, scripts: tuple[str, ...]) -> None:
    name = sql.Identifier(schema)
    await connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
    await connection.execute(sql.SQL("SET search_path = {}").format(name))
    for script in scripts:
        await connection.execute(migrations.script(script).encode())
    await connection.execute(_BEGIN)
    await connection.execute("RESET search_path")


async def _cost(connection: Connection, schema: str) -> float:
    append = sql.SQL("SELECT {}.append_log(%b::bytea[], %b::bigint[], %b::int[])").format(
        sql.Identifier(schema)
    )
    entries = [append_statement([_happening()])[1] for _ in range(_REPEATS)]
    before = _cpu(connection)
    for values in entries:
        await connection.execute(append, values, prepare=True)
    return (_cpu(connection) - before) / _REPEATS / 1000


def _cpu(connection: Connection) -> int:
    """Return the nanoseconds of CPU that the server's process for this connection has used."""
    return int(Path(f"/proc/{connection.info.backend_pid}/schedstat").read_text().split()[0])


def _happening() -> Happening:
    ids = {name: str(uuid4()) for name in ("envelope", "conversation", "transfer", "as4")}
    facts = ids | {"recipient": "0203:habo.se", "size": "10000"}
    return Happening(datetime.now(UTC), "ap:transfer:queued", "worker:access-point", "send", facts)
