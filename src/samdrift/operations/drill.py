"""Restores a backup beside the running installation, compares it, and removes it again.

A backup that was never restored is a hope. A drill makes a database and a place in the object store of its
own, stores in them what the backup has by the same code that a restore uses, reads it back, compares the
logs entry by entry with the running ones, and asks the key store for the keys without which nothing of it
could ever be read. Nobody gets into that database, and nothing is opened. It is recorded in the operator's
log and the organisation's, for the compliance report, however it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pyrage

from samdrift.administration.administration import Administration, note, record_command
from samdrift.contracts.errors import Explained
from samdrift.evidence.trace import Asked
from samdrift.installation.objectplace import object_place
from samdrift.operations.backup import Progress, after, quiet, read_file
from samdrift.operations.backupset import BackupFile, BackupSet
from samdrift.operations.compliancelogs import DrillEvent
from samdrift.operations.restoring import Comparison, Place, Restoring
from samdrift.vault.errors import VaultError
from samdrift.vault.inorder import Hosted
from samdrift.vault.logins import Connection
from samdrift.vault.objects import Objects
from samdrift.vault.portability import copies
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Drilled:
    """A file of a backup that was restored, with the outcome."""

    file: BackupFile
    compared: int
    """Rows, bodies and entries of logs that were compared."""
    differences: tuple[str, ...]
    """Each in words, without anything of what differs."""
    seconds: float

    @property
    def passed(self) -> bool:
        return self.compared > 0 and not self.differences


async def drill(
    installation: Administration,
    backup: BackupSet,
    keys: Sequence[pyrage.x25519.Identity],
    asked: Asked,
    only: ParticipantIdentifier | None = None,
    progress: Progress = quiet,
) -> list[Drilled]:
    """Restore each file of a backup, or that of one organisation, and record the outcome."""
    files = [backup.manifest.of(only.value)] if only is not None else list(backup.manifest.files)
    hosted = await copies.hosted_by_organisation(installation.provisioner.database)
    found, read = [], 0
    for file in files:
        organisation = ParticipantIdentifier(file.organisation) if file.organisation else None
        here = organisation if file.organisation in hosted else None
        if organisation is None or here is not None:
            await record_command(installation, "backup drill", asked, here)
        begun = time.monotonic()
        try:
            vaults = hosted.get(file.organisation, [])
            comparison = await _drilled(installation, backup, file, keys, vaults, after(read, progress))
        except (Explained, OSError):
            failed = Drilled(file, 0, ("it could not be restored",), time.monotonic() - begun)
            with contextlib.suppress(VaultError):
                await _record(installation, backup, failed, asked, here)
            raise
        done = Drilled(file, comparison.compared, tuple(comparison.differences), time.monotonic() - begun)
        await _record(installation, backup, done, asked, here)
        found.append(done)
        read += file.bytes
    return found


async def _record(
    installation: Administration,
    backup: BackupSet,
    drilled: Drilled,
    asked: Asked,
    organisation: ParticipantIdentifier | None,
) -> None:
    """Record the drill of an organisation that is here; of the registry's, the command's own entry speaks."""
    if organisation is None:
        return
    facts = {
        "backup": backup.sha256,
        "taken": drilled.file.taken_at.isoformat(),
        "compared": str(drilled.compared),
        "differences": str(len(drilled.differences)),
        "seconds": str(round(drilled.seconds)),
        "passed": "true" if drilled.passed else "false",
        **asked.proof.facts(),
    }
    await note(installation, DrillEvent.ORGANISATION_RESTORE_DRILLED, asked.by, organisation, facts)


async def _drilled(
    installation: Administration,
    backup: BackupSet,
    file: BackupFile,
    keys: Sequence[pyrage.x25519.Identity],
    vaults: Sequence[Hosted],
    progress: Progress,
) -> Comparison:
    database = installation.provisioner.database
    objects = Objects(object_place(installation.config.vaults))
    async with (
        _temporary_place(objects) as prefix,
        copies.temporary_database(database, "drill", file.organisation) as (_, inside),
    ):
        async with copies.storing(inside) as storing:
            restoring = Restoring(storing, objects, lambda role: Place(role, None, prefix))
            beginning, contents = await read_file(backup, file, keys, restoring, progress)
            comparison = await restoring.compare(beginning, contents)
        await _compare_logs(installation, inside, vaults, comparison)
        for vault in beginning.vaults:
            there = not vault.vault or await asyncio.to_thread(installation.keys.has_data_key, vault.vault)
            comparison.same(f"keys of {vault.role}: the key store has none that opens it", 0, same=there)
    return comparison


@contextlib.asynccontextmanager
async def _temporary_place(objects: Objects) -> AsyncIterator[str]:
    """A place of the object store that no vault has, cleared when the context ends."""
    prefix = f"drill-{secrets.token_hex(8)}"
    try:
        yield prefix
    finally:
        await objects.clear(prefix)


async def _compare_logs(
    installation: Administration, restored: Connection, vaults: Sequence[Hosted], comparison: Comparison
) -> None:
    """Compare each entry that was restored with the running log, which has it and may have more."""
    database = installation.provisioner.database
    for vault in vaults:
        running = await database.administrators_connection(vault.where)
        try:
            entries = copies.log_of(running, vault.schema)
            count, same = 0, True
            async for entry in copies.log_of(restored, vault.role.value):
                count += 1
                same = same and await anext(entries, None) == entry
            comparison.same(f"entries of the log of {vault.role.value}", count, same=same)
        finally:
            await running.close()
