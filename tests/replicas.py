"""A PostgreSQL with a synchronous standby, which can take its place when it goes down."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from samdrift.vault.database.postgres import EmbeddedPostgres, programs_folder
from samdrift.vault.errors import ServerFailed

_REPLICATION = "local all all scram-sha-256\nlocal replication all scram-sha-256\n"


@dataclass(frozen=True)
class Replicated:
    """Two servers, the second of which follows the first; both are reached at sockets."""

    data: Path
    """Data folder of the first server."""
    password: str
    first: EmbeddedPostgres
    second: EmbeddedPostgres

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={_sockets(self.first)},{_sockets(self.second)}"

    def superuser(self) -> psycopg.Connection:
        """Return a connection to the first server with a superuser's rights."""
        return _superuser(self.first, self.password)

    async def lose_the_first(self) -> None:
        """Kill the first server, as a power failure of its host would."""
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        async with asyncio.timeout(60):
            while _answers(self.first, self.password):
                await asyncio.sleep(0.05)

    async def promote(self) -> None:
        """Promote the standby to primary, as a failover manager does."""
        await asyncio.to_thread(self.second.control, "promote")


@contextlib.contextmanager
def replicated(folder: Path) -> Iterator[Replicated]:
    """Run two new servers while the context lasts; every commit is on both disks."""
    password = secrets.token_hex(8)
    with followed(folder / "first", folder / "second", password) as servers:
        yield servers


@contextlib.contextmanager
def followed(first: Path, second: Path, password: str) -> Iterator[Replicated]:
    """Run the server in the first folder, which may exist already, with a new standby in the second.

    No other process may use the first folder meanwhile.
    """
    leading, following = (EmbeddedPostgres(each, lambda: password) for each in (first, second))
    leading.start()
    try:
        (first / "data/pg_hba.conf").write_text(_REPLICATION)
        leading.control("reload")
        second.mkdir()
        subprocess.run(
            [
                programs_folder() / "pg_basebackup",
                *("-h", _sockets(leading), "-U", "postgres", "--write-recovery-conf", "--checkpoint=fast"),
                *("--pgdata", second / "data"),
            ],
            env={"PGPASSWORD": password, "PATH": os.defpath},
            check=True,
        )
        if os.geteuid() == 0:
            user = pwd.getpwnam("pgserver")
            subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", second / "data"], check=True)
        following.start()
        with _superuser(leading, password) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        yield Replicated(first / "data", password, leading, following)
    finally:
        for server in (leading, following):
            with contextlib.suppress(ServerFailed):  # The test has killed one of them.
                server.control("stop", "-m", "immediate")


def _sockets(server: EmbeddedPostgres) -> str:
    return str(server._sockets())


def _superuser(server: EmbeddedPostgres, password: str) -> psycopg.Connection:
    address = f"host={_sockets(server)} user=postgres dbname=postgres"
    return psycopg.connect(address, password=password, autocommit=True)


def _answers(server: EmbeddedPostgres, password: str) -> bool:
    try:
        _superuser(server, password).close()
    except psycopg.OperationalError:
        return False
    return True
