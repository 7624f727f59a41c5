"""Restore of one organisation from a backup into the running installation, while others keep sending.

The organisation is suspended first: whatever it received, sent or removed meanwhile would be lost, or be
missing. Then the backup is stored next to its database, by the same code as in a drill, and compared, and the
restored database replaces its own in one transaction. If any of this fails, the organisation is resumed.
Items that waited to be sent when the backup was made are ended, since they may have been sent since. The
organisation stays suspended, so that people can look at what it has lost before they resume it
(docs/backup.md). The former database is kept.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import pyrage

from samdrift.administration.administration import Administration, note, record_command
from samdrift.administration.events import AdminEvent
from samdrift.contracts import workers
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Purpose, Role
from samdrift.evidence.trace import Asked
from samdrift.installation.objectplace import object_place
from samdrift.keystore.interface import KeyStore
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.operations.backup import BackupEvent, Progress, quiet, read_file
from samdrift.operations.backupformat import REGISTRY, BackupError, BackupFault, Beginning, damaged
from samdrift.operations.backupset import BackupFile, BackupSet
from samdrift.operations.restoring import Place, Restoring
from samdrift.vault.errors import SealBroken, VaultError, VaultLocked, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.heads import RecordBehind
from samdrift.vault.inorder import Hosted
from samdrift.vault.objects import Objects
from samdrift.vault.people import StatementKeeping
from samdrift.vault.portability import copies
from samdrift.vault.portability.replacing import make_roles, replace_database, resume, suspend
from samdrift.vault.portability.unsent import Unsent, end_unsent
from samdrift.vault.provision import Provisioner
from samdrift.vault.signedstatements import SignedStatementKeeping, StatementTaken
from samdrift.wire.identifiers import ParticipantIdentifier

_TRIES = 100
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of restoring an organisation."""

    file: BackupFile
    compared: int
    """Number of rows and bodies that were compared with the backup."""
    unsent: tuple[Unsent, ...]
    """Messages, transfers and notices that waited to be sent and were ended."""
    former: str
    """Name of the organisation's previous database."""
    stored_again: int
    """Number of statements about rights that the backup lacks and the former database has."""
    behind: tuple[str, ...]
    """Roles from whose record of statements something is still missing, so that nothing is decided there."""
    lost: Mapping[str, int]
    """By role, the number of bodies that the restored rows name and the object store does not have."""


async def restore_registry(
    provisioner: Provisioner, objects: Objects, backup: BackupSet, keys: Sequence[pyrage.x25519.Identity]
) -> None:
    """Restore the registry into an installation that hosts no organisations.

    All organisations are suspended afterwards and have no database; each is then restored on its own.
    """
    if await provisioner.registrations():
        text = "there are already organisations here: --organisation restores one of them"
        raise BackupError(BackupFault.OCCUPIED, text)
    file = backup.manifest.of("")
    async with copies.registry_storing(provisioner.database) as storing:
        place = Place(REGISTRY, None, REGISTRY, made=True)
        restoring = Restoring(storing, objects, lambda _: place)
        beginning, contents = await read_file(backup, file, keys, restoring)
        comparison = await restoring.compare(beginning, contents)
        if comparison.differences:
            raise damaged(f"what was stored differs from the backup: {', '.join(comparison.differences)}")


async def restore(
    installation: Administration,
    backup: BackupSet,
    keys: Sequence[pyrage.x25519.Identity],
    asked: Asked,
    organisation: ParticipantIdentifier,
    officer: bytes | None = None,
    progress: Progress = quiet,
) -> Restored:
    """Restore an organisation that is hosted here; it is suspended afterwards, or as it was on failure.

    ``officer`` is the passphrase of the organisation's officer, which opens its vaults in this process only.
    It is needed for a cluster without the organisation's logins, since their passwords are sealed with the
    vaults' keys.
    """
    file = backup.manifest.of(organisation.value)
    database = installation.provisioner.database
    hosted = (await copies.hosted_by_organisation(database)).get(organisation.value)
    if hosted is None:
        text = f"{organisation.value} has no vaults here: add it first, or restore everything"
        raise BackupError(BackupFault.ABSENT, text)
    if officer is not None:
        await _unlocked(installation.keys, hosted, officer)
    await _announced(installation, asked, organisation)
    await _make_roles(installation.provisioner, organisation, hosted)
    vaults = {each.role.value: each for each in hosted}
    objects = Objects(object_place(installation.config.vaults))
    async with (
        copies.temporary_database(database, "restore", organisation.value) as (name, inside),
        _suspended(installation.provisioner, organisation, name),
    ):
        async with copies.storing(inside) as storing:
            restoring = Restoring(storing, objects, partial(_place, vaults), partial(_check, vaults))
            beginning, contents = await read_file(backup, file, keys, restoring, progress)
            comparison = await restoring.compare(beginning, contents, file.lost)
            if comparison.differences:
                raise damaged(f"what was stored differs from the backup: {', '.join(comparison.differences)}")
            why = f"restored from a backup of {file.taken_at:%Y-%m-%d %H:%M}Z: it may have been sent since"
            now = datetime.now(UTC)
            unsent = [
                each
                for vault in hosted
                for each in await end_unsent(
                    inside, vault.role, vault.schema, why, BackupEvent.ORGANISATION_UNSENT, now
                )
            ]
        await inside.close()
        former = await replace_database(installation.provisioner, organisation, hosted, name)
    if Role.MESSAGE_SERVICE in {each.role for each in hosted}:
        await _patiently(partial(_look_after_marks, installation.gate, organisation))
    again, behind = await statements_again(installation, organisation, hosted, former)
    lost = await restoring.lost()
    restored = Restored(file, comparison.compared, tuple(unsent), former, again, behind, lost)
    await _record(installation, backup, restored, asked, organisation, officer is not None)
    return restored


@asynccontextmanager
async def _suspended(
    provisioner: Provisioner, organisation: ParticipantIdentifier, filled: str
) -> AsyncIterator[None]:
    """Suspend an organisation until ``filled`` has replaced its database, and after that until it is resumed.

    If the context ends with an error before that, what was active is resumed. Raises :class:`BackupError` if
    that fails, too.
    """
    active = await suspend(provisioner, organisation)
    try:
        yield
    except BaseException as error:
        try:
            await resume(provisioner, active, filled)
        except VaultError:
            why = str(error) if isinstance(error, Explained) else type(error).__name__
            text = (
                f"{why}; {organisation.value} stays suspended, since the database did not respond:"
                " if it is to go on as it was, samdrift org resume"
            )
            raise BackupError(BackupFault.SUSPENDED, text) from error
        raise


async def _unlocked(keys: KeyStore, hosted: Sequence[Hosted], officer: bytes) -> None:
    """Unlock vaults that its officer has locked; raise ``KeyStoreError`` for a wrong passphrase."""
    for each in hosted:
        if keys.locked(each.vault):
            await asyncio.to_thread(keys.unlock, each.vault, officer)


async def _make_roles(
    provisioner: Provisioner, organisation: ParticipantIdentifier, hosted: Sequence[Hosted]
) -> None:
    try:
        await make_roles(provisioner, organisation, hosted)
    except KeyStoreError as error:
        if error.fault is not KeyFault.LOCKED:
            raise
        text = (
            f"{organisation.value}: its own officer has locked its vaults and the passwords needed for a"
            f" new cluster: restore it with --organisation {organisation.value} and"
            " --officer-passphrase-file, with the officer present"
        )
        raise BackupError(BackupFault.LOCKED, text) from None


def _place(vaults: Mapping[str, Hosted], role: str) -> Place:
    vault = vaults.get(role)
    if vault is None:
        text = f"the organisation has no vault of role {role} here, but the backup does: add it first"
        raise BackupError(BackupFault.ABSENT, text)
    return Place(vault.schema, f"o{vault.schema}", vault.vault)


def _check(vaults: Mapping[str, Hosted], beginning: Beginning) -> None:
    """Refuse a backup with other vaults than the organisation has here, since they could not be opened."""
    found = {each.role: each.vault for each in beginning.vaults}
    if found != {role: each.vault for role, each in vaults.items()}:
        text = (
            "the backup is of vaults other than the organisation's here: it was since closed and added"
            " again, or got another role"
        )
        raise BackupError(BackupFault.ABSENT, text)


async def _announced(installation: Administration, asked: Asked, organisation: ParticipantIdentifier) -> None:
    """Record who restores and why in the organisation's logs or, if these are lost, in the operator's."""
    try:
        await record_command(installation, "backup restore", asked, organisation)
    except VaultError:
        facts = {"command": "backup restore", **asked.facts()}
        about = {"organisation": organisation.value, "organisation_log": "not told"}
        await installation.gate.operator_log(AdminEvent.ORGANISATION_COMMAND, **facts, **about)


async def _record(
    installation: Administration,
    backup: BackupSet,
    restored: Restored,
    asked: Asked,
    organisation: ParticipantIdentifier,
    officer: bool,
) -> None:
    numbers = Counter(each.what for each in restored.unsent)
    facts = {
        "backup": backup.sha256,
        "taken": restored.file.taken_at.isoformat(),
        "compared": str(restored.compared),
        "not_sent": " ".join(f"{what}={count}" for what, count in sorted(numbers.items())),
        "lost": " ".join(f"{role}={count}" for role, count in sorted(restored.lost.items())),
        "former": restored.former,
        "stored_again": str(restored.stored_again),
        "behind": " ".join(restored.behind),
        "reason": asked.reason,
        **({"officer": "present"} if officer else {}),
        **asked.proof.facts(),
    }
    event = BackupEvent.ORGANISATION_RESTORED
    await _patiently(partial(note, installation, event, asked.by, organisation, facts))


async def _look_after_marks(gate: Gate, organisation: ParticipantIdentifier) -> None:
    """Note which session key marks are lost, before anything is sent to the organisation again.

    Envelopes made later open as before. A vault that its officer has locked is handled when it is unlocked.
    """
    with suppress(VaultLocked):
        async with gate.open(workers.RESTORE, organisation, Role.MESSAGE_SERVICE, Purpose.IMPORT) as vault:
            await vault.look_after_marks(now=datetime.now(UTC))


async def statements_again(
    installation: Administration,
    organisation: ParticipantIdentifier,
    hosted: Sequence[Hosted],
    former: str,
) -> tuple[int, tuple[str, ...]]:
    """Store the statements about rights that a former database has and the restored one lacks.

    A right that had ended is thereby not given back by a restore. Return the number of statements, and the
    roles whose record is still behind its head: the former database has not got them either.
    """
    number, behind = 0, []
    for each in hosted:
        again = partial(_again, installation, organisation, each, former)
        try:
            number += await _patiently(again)
        except (VaultLocked, RecordBehind, StatementTaken, SealBroken):
            behind.append(each.role.value)
    return number, tuple(behind)


async def _again(
    installation: Administration, organisation: ParticipantIdentifier, vault: Hosted, former: str
) -> int:
    async def lacking(table: str, stored: int) -> list[tuple[int, bytes]]:
        with suppress(VaultUnavailable):  # The former database may be missing or damaged.
            database = installation.provisioner.database
            return await copies.numbered(database, former, vault.schema, table, stored)
        return []

    number = 0
    async with installation.gate.open(workers.RESTORE, organisation, vault.role, Purpose.IMPORT) as opened:
        assert isinstance(opened, SignedStatementKeeping)
        stored = await opened.stored_signed_statements()
        number += await opened.store_signed_again(await lacking("signed_statements", stored)) - stored
        if isinstance(opened, StatementKeeping):
            stored = await opened.stored_statements()
            number += await opened.store_again(await lacking("statements", stored)) - stored
    async with installation.gate.open(workers.RESTORE, organisation, vault.role, Purpose.IMPORT) as opened:
        assert isinstance(opened, SignedStatementKeeping)
        await opened.last_signed_statement()
        if isinstance(opened, StatementKeeping):
            await opened.last_statement()
    return number


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Do work in a vault, retrying while broken connections to its former database are being noticed."""
    for _ in range(_TRIES):
        try:
            return await work()
        except (VaultLocked, RecordBehind):
            raise
        except VaultUnavailable:
            continue
    return await work()
