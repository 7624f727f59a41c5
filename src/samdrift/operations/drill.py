"""Restore drills: restore a backup separately from the running installation, compare it, and remove it.

A backup that was never restored is only a hope. A drill creates a database and a place in the object store
of its own, stores the backup there by the same code as a restore, reads it back, compares the logs entry by
entry with the running ones, and checks that the key store has the keys without which the data could never
be read. Nobody can log in to that database, and nothing is decrypted. The drill is recorded in the
operator's log and the organisation's, for the compliance report, however it ended.
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
from samdrift.config.inputs import reason
from samdrift.contracts.errors import Explained
from samdrift.evidence.trace import Asked
from samdrift.installation.objectplace import object_place
from samdrift.keystore.keyfiles import KeyStoreError
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
    """The outcome of restoring one file of a backup."""

    file: BackupFile
    compared: int
    """Number of rows, bodies and log entries that were compared."""
    differences: tuple[str, ...]
    """Descriptions of the differences, without any of the content."""
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
    """Restore each file of a backup, or only that of one organisation, and record the outcome.

    A file that cannot be restored differs, and the others are drilled; if only one is wanted, the error is
    raised.
    """
    files = [backup.manifest.of(only.value)] if only is not None else list(backup.manifest.files)
    hosted = await copies.hosted_by_organisation(installation.provisioner.database)
    found, read = [], 0
    for file in files:
        organisation = ParticipantIdentifier(file.organisation) if file.organisation else None
        here = organisation if file.organisation in hosted else None
        begun = time.monotonic()
        try:
            if organisation is None or here is not None:
                await record_command(installation, "backup drill", asked, here)
            vaults = hosted.get(file.organisation, [])
            comparison = await _drilled(installation, backup, file, keys, vaults, after(read, progress))
            seconds = time.monotonic() - begun
            done = Drilled(file, comparison.compared, tuple(comparison.differences), seconds)
            await _record(installation, backup, done, asked, here)
        except (Explained, OSError) as error:
            why = str(error) if isinstance(error, Explained) else reason(error)
            done = Drilled(file, 0, (f"it could not be restored: {why}",), time.monotonic() - begun)
            with contextlib.suppress(VaultError, KeyStoreError):
                await _record(installation, backup, done, asked, here)
            if only is not None:
                raise
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
    """Record the drill of an organisation hosted here; do nothing for any other.

    For the registry, the entry about the command itself is the record.
    """
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
        held = {each.role for each in beginning.vaults}
        there_too = [each for each in vaults if each.role.value in held]
        await _compare_logs(installation, inside, there_too, comparison)
        for vault in beginning.vaults:
            there = not vault.vault or await asyncio.to_thread(installation.keys.has_data_key, vault.vault)
            comparison.same(f"keys of {vault.role}: the key store has none that opens it", 0, same=there)
    return comparison


@contextlib.asynccontextmanager
async def _temporary_place(objects: Objects) -> AsyncIterator[str]:
    """Yield a place in the object store that no vault uses; it is cleared when the context ends."""
    prefix = f"drill-{secrets.token_hex(8)}"
    try:
        yield prefix
    finally:
        await objects.clear(prefix)


async def _compare_logs(
    installation: Administration, restored: Connection, vaults: Sequence[Hosted], comparison: Comparison
) -> None:
    """Compare each restored entry with the running log, which must have it and may have more.

    ``vaults`` are the running ones that the backup has too: a role that was added since has no log in it.
    """
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
