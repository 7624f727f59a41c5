"""Creation of backups while messages are being exchanged, and their verification.

All vaults of an organisation are read in one snapshot of its database, so that data passed between its roles
is in the backup exactly once; the snapshots of two organisations are from different moments. The registry is
read last, so that every vault that it names is in the backup. The data is already encrypted by keys that are
not in the backup, and none of it is decrypted.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyrage

from samdrift import __version__
from samdrift.administration.administration import Administration, note, note_for_operator, record_command
from samdrift.attestation.agefile import encrypting, fingerprint
from samdrift.attestation.archive import Reading, new_folder
from samdrift.audit.events import AuditEvent
from samdrift.evidence.trace import Asked
from samdrift.installation.objectplace import object_place
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.operations import backupset
from samdrift.operations.backupformat import (
    REGISTRY,
    BackupError,
    BackupFault,
    BackupWriter,
    Beginning,
    Contents,
    CopiedVault,
    Looking,
    Taker,
    damaged,
    read_backup,
)
from samdrift.operations.backupset import BackupFile, BackupSet, Manifest, Missing
from samdrift.vault.bodies import new_id
from samdrift.vault.errors import VaultError
from samdrift.vault.inorder import Hosted
from samdrift.vault.objects import Objects
from samdrift.vault.portability import copies
from samdrift.wire.identifiers import ParticipantIdentifier

_NAME = "%Y-%m-%dT%H%M%SZ"
_DRAFTS = ".????-??-??T??????Z.part"
"""Pattern of the folder names that :func:`new_folder` uses for unfinished backups."""


class BackupEvent(AuditEvent):
    """An event of a backup or a restore, in the logs of the operator and of the organisations concerned."""

    ORGANISATION_BACKED_UP = "org:backup:made"
    """An organisation's data was copied, still encrypted, for the recipients that the entry names."""
    ORGANISATION_RESTORED = "org:restore:done"
    """An organisation was restored to the state of a backup; later data is lost here."""
    ORGANISATION_UNSENT = "org:restore:not-sent"
    """An item waited when the backup was made; it may have been sent since, and is not sent again."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished backup."""

    folder: Path
    manifest: Manifest
    sha256: str
    signer: str
    untold: tuple[Missing, ...]
    """Organisations whose logs could not be written at the end, so that only the operator's has the entry."""


@dataclass(slots=True)
class _Source:
    """The source of one backup file: an organisation's vaults, or the registry."""

    installation: Administration
    organisation: str
    where: str | None
    vaults: Sequence[Hosted]
    kept: set[str] = field(default_factory=set)
    """Names in the object store of the bodies that were copied."""
    gone: set[str] = field(default_factory=set)
    """Names of bodies that a snapshot referred to and that were missing from the object store."""
    lost: int = 0

    @property
    def schemas(self) -> list[tuple[str, str, str]]:
        """Return the role, vault and schema of each part."""
        if not self.organisation:
            return [(REGISTRY, "", REGISTRY)]
        return [(each.role.value, each.vault, each.schema) for each in self.vaults]


async def create(
    installation: Administration,
    parent: Path,
    to: Sequence[str],
    asked: Asked,
    only: ParticipantIdentifier | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Made:
    """Make a backup of everything, or of ``only`` one organisation, in a new folder in ``parent``.

    The folder appears only when it is complete and durable. An organisation whose vaults cannot be read now
    is listed as missing, and the others are backed up. The person and the reason are recorded in the
    organisation's log before any of its data is read. ``progress`` is called with the number of organisations
    done.
    """
    hosted = await copies.hosted_by_organisation(installation.provisioner.database)
    if only is not None and only.value not in hosted:
        raise BackupError(BackupFault.ABSENT, f"{only.value} has no vaults here")
    await asyncio.to_thread(_drop_drafts, parent)
    now = datetime.now(UTC)
    files: list[BackupFile] = []
    missing: list[Missing] = []
    folder = parent / now.strftime(_NAME)
    with new_folder(folder) as draft:
        for number, organisation in enumerate([only.value] if only else hosted, 1):
            identifier, vaults = ParticipantIdentifier(organisation), hosted[organisation]
            source = _Source(installation, organisation, vaults[0].where, vaults)
            name = f"organisation-{number:04d}.age"
            try:
                await record_command(installation, "backup create", asked, identifier)
                files.append(await _write(source, draft / name, to, now))
            except (VaultError, KeyStoreError) as error:
                if only is not None:
                    raise
                (draft / name).unlink(missing_ok=True)
                missing.append(Missing(organisation, str(error)))
            progress(number)
        if only is None:
            source = _Source(installation, "", None, ())
            files.append(await _write(source, draft / backupset.REGISTRY_FILE, to, now))
        manifest = Manifest(
            id=new_id(),
            made_at=now,
            made_by=f"samdrift {__version__}",
            whole=only is None,
            recipients=tuple(map(fingerprint, to)),
            files=tuple(files),
            missing=tuple(missing),
        )
        keys = await asyncio.to_thread(installation.keys.log_keys, OPERATOR_KEYS)
        digest, signer = backupset.write(draft, manifest, keys[0])
        untold = await _record(installation, manifest, digest, asked)
    return Made(folder, manifest, digest, signer, untold)


def signers(keys: KeyStore, named: str | None) -> list[str]:
    """Return the public keys that may have signed a backup: the one given, or this installation's own."""
    return [named] if named is not None else [each.public.hex() for each in keys.log_keys(OPERATOR_KEYS)]


Progress = Callable[[int], None]
"""Function called with the number of bytes of a backup that have been read so far."""


def quiet(done: int) -> None:
    """Ignore progress."""


def after(before: int, progress: Progress) -> Progress:
    """Return the progress function for one file that is read after ``before`` bytes of other files."""
    return lambda done: progress(before + done)


class _Counted:
    """A backup file that reports progress while it is read.

    Progress counts decrypted bytes, which are about as many as the encrypted ones.
    """

    def __init__(self, source: Reading, progress: Progress) -> None:
        self._source = source
        self._progress = progress
        self._done = 0

    async def read(self, size: int) -> bytes:
        data = await self._source.read(size)
        self._done += len(data)
        self._progress(self._done)
        return data


async def verify(
    backup: BackupSet,
    keys: Sequence[pyrage.x25519.Identity],
    progress: Progress = quiet,
) -> list[tuple[BackupFile, Contents]]:
    """Read a whole backup; raise :class:`BackupError` when any of it differs from what was written."""
    found: list[tuple[BackupFile, Contents]] = []
    read = 0
    for file in backup.manifest.files:
        _, contents = await read_file(backup, file, keys, Looking(), after(read, progress))
        found.append((file, contents))
        read += file.bytes
    return found


async def read_file(
    backup: BackupSet,
    file: BackupFile,
    keys: Sequence[pyrage.x25519.Identity],
    take: Taker,
    progress: Progress = quiet,
) -> tuple[Beginning, Contents]:
    """Read one file of a backup, comparing it with the signed list before and during reading."""
    await backup.check(file)
    async with backup.opened(file, keys) as source:
        beginning, contents = await read_backup(_Counted(source, progress), take)
    progress(file.bytes)
    if beginning.organisation != file.organisation or contents.rows != file.rows:
        raise damaged("a backup file is not the one that its list names")
    return beginning, contents


async def _write(source: _Source, path: Path, to: Sequence[str], now: datetime) -> BackupFile:
    await asyncio.to_thread(path.touch, 0o600)
    database = source.installation.provisioner.database
    objects = Objects(object_place(source.installation.config.vaults))
    async with encrypting(path, to) as sink:
        writer = BackupWriter(sink, source.organisation, now)
        await writer.begin()

        async def keep(reading: copies.Reading) -> bool:
            return await _keep_bodies(source, reading, objects, writer)

        async with copies.without_missing_bodies(database, source.where, keep) as reading:
            vaults = [
                CopiedVault(role, vault, await reading.schema(schema))
                for role, vault, schema in source.schemas
            ]
            await writer.schemas(reading.taken_at, vaults)
            for (role, _, schema), copied in zip(source.schemas, vaults, strict=True):
                for table in copied.schema.tables:
                    await writer.table(role, table, reading.rows(schema, table))
            taken_at = reading.taken_at
        contents = await writer.end()
    size, digest = await backupset.described(path)
    return BackupFile(
        file=path.name,
        organisation=source.organisation,
        taken_at=taken_at,
        bytes=size,
        sha256=digest,
        rows=contents.rows,
        bodies=contents.bodies.count,
        lost=source.lost,
    )


async def _keep_bodies(
    source: _Source, reading: copies.Reading, objects: Objects, writer: BackupWriter
) -> bool:
    """Copy the snapshot's bodies that are not copied yet; return false when one has just been removed.

    A body is removed after its row, so a new snapshot no longer refers to it. A body that two snapshots refer
    to but that is missing is lost; this does not stop the backup, and the list states how many bodies are
    lost.
    """
    whole = True
    for role, vault, schema in source.schemas:
        for body in await reading.remote_bodies(schema):
            name = f"{vault}/{body}"
            if name in source.kept:
                continue
            if await writer.body(role, body, objects.pieces(name)):
                source.kept.add(name)
            elif name in source.gone:
                source.kept.add(name)
                source.lost += 1
            else:
                source.gone.add(name)
                whole = False
    return whole


async def _record(
    installation: Administration, manifest: Manifest, digest: str, asked: Asked
) -> tuple[Missing, ...]:
    """Record the backup in the log of each organisation that it contains, and in the operator's.

    An organisation that cannot be reached any more has been copied all the same, and the backup is kept: the
    operator's log records that the organisation's was not told. Returns these organisations.
    """
    common = {"backup": digest, "recipients": " ".join(manifest.recipients), "reason": asked.reason}
    common |= asked.proof.facts()
    event = BackupEvent.ORGANISATION_BACKED_UP
    untold = []
    for each in manifest.files:
        organisation = ParticipantIdentifier(each.organisation) if each.organisation else None
        facts = {"taken": each.taken_at.isoformat(), "sha256": each.sha256, **common}
        try:
            await note(installation, event, asked.by, organisation, facts)
        except (VaultError, KeyStoreError) as error:
            if organisation is None:
                raise
            await note_for_operator(installation, event, asked.by, organisation, facts, written=False)
            untold.append(Missing(each.organisation, str(error)))
    return tuple(untold)


def _drop_drafts(parent: Path) -> None:
    """Remove unfinished folders of killed runs, except those that another process is writing."""
    for draft in parent.glob(_DRAFTS):
        with contextlib.suppress(OSError):
            descriptor = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(draft)
            finally:
                os.close(descriptor)
