"""A cluster is recovered to a point in time from PostgreSQL's own archive, as docs/backup.md describes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg

from samdrift.contracts.principals import Role
from samdrift.vault.database.postgres import EmbeddedPostgres, programs_folder
from tests.cluster import SCRAM, Cluster, cluster
from tests.vaults import installed, server_folder, submitted

AP = Role.ACCESS_POINT


@contextlib.contextmanager
def received(theirs: Cluster, archive: Path) -> Iterator[None]:
    """Stream the write-ahead log into a folder as it is written; a replication slot retains the rest."""
    archive.mkdir()
    theirs.superuser("SELECT pg_create_physical_replication_slot('archive', true)")
    process = subprocess.Popen(
        [*program(theirs, "pg_receivewal"), "--directory", archive, "--slot=archive", "--no-loop"],
        env=env(theirs),
    )
    try:
        yield
        theirs.ask("SELECT pg_switch_wal()")
        wanted = theirs.ask("SELECT pg_walfile_name(pg_current_wal_lsn())")[0][0]
        theirs.ask("SELECT pg_switch_wal()")
        while not any(each.name > wanted for each in archive.iterdir()):
            assert process.poll() is None
            theirs.superuser("CHECKPOINT")
            theirs.ask("SELECT pg_switch_wal()")
    finally:
        process.terminate()
        process.wait()


def program(theirs: Cluster, name: str) -> list[str]:
    return [str(programs_folder() / name), "-h", "127.0.0.1", "-p", str(theirs.port), "-U", "postgres"]


def env(theirs: Cluster) -> dict[str, str]:
    return {"PGPASSWORD": theirs.password, "PATH": os.defpath}


def given_to_the_server(folder: Path) -> None:
    """Make the user that the server runs as the owner of a folder."""
    if os.geteuid() == 0:
        user = pwd.getpwnam("pgserver")
        subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", folder], check=True)


async def test_a_cluster_is_recovered_to_a_moment_and_has_what_was_stored_until_then() -> None:
    with server_folder() as folder, cluster(folder / "cluster") as theirs:
        theirs.allow(f"{SCRAM}host replication all 127.0.0.1/32 scram-sha-256\n")
        settings, archive, again = theirs.settings(), folder / "archive", folder / "again"
        with received(theirs, archive):
            async with installed(settings) as installation:
                organisation = await installation.organisation([AP])
                again.mkdir()
                base = [*program(theirs, "pg_basebackup"), "--pgdata", again / "data", "--wal-method=none"]
                await asyncio.to_thread(
                    subprocess.run, [*base, "--checkpoint=fast"], env=env(theirs), check=True
                )
                async with installation.open(organisation, AP) as vault:
                    await submitted(vault)
                ((moment,),) = theirs.ask("SELECT clock_timestamp()")
                async with installation.open(organisation, AP) as vault:
                    await submitted(vault)
        theirs.server.control("stop", "-m", "fast")
        for part in archive.glob("*.partial"):
            part.rename(part.with_suffix(""))
        recovery = (
            f"restore_command = 'cp {archive}/%f %p'",
            f"recovery_target_time = '{moment.isoformat()}'",
            "recovery_target_action = 'promote'",
        )
        with (again / "data/postgresql.auto.conf").open("a") as file:
            file.write("\n".join((*recovery, f"port = {theirs.port}", "listen_addresses = '127.0.0.1'", "")))
        (again / "data/recovery.signal").touch()
        for each in (again / "data", archive):
            given_to_the_server(each)
        recovered = EmbeddedPostgres(again, lambda: theirs.password)
        recovered.start()
        try:
            (again / "data/pg_hba.conf").write_text(SCRAM)
            recovered.control("reload")
            async with asyncio.timeout(60):
                while not is_primary(theirs):
                    await asyncio.sleep(0.1)
            async with (
                installed(settings) as installation,
                installation.open(organisation, AP) as vault,
            ):
                assert len(await vault.waiting(10)) == 1
                await submitted(vault)
        finally:
            recovered.control("stop", "-m", "fast")
            theirs.server.control("start")


def is_primary(theirs: Cluster) -> bool:
    """Return whether the server has finished recovery and accepts writes."""
    try:
        return theirs.ask("SELECT pg_is_in_recovery()") == [(False,)]
    except psycopg.OperationalError:
        return False
