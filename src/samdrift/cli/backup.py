"""`samdrift backup`: backups of all organisations' data, their verification and restoration."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pyrage
import typer

from samdrift.administration.administration import administering, provisioning
from samdrift.administration.turns import in_turn
from samdrift.attestation import agefile
from samdrift.cli.inputs import changed, digest_of_input, read_input
from samdrift.cli.org.options import AsJson, ConfigFile, OnlyOrganisation, fingerprint
from samdrift.cli.output import (
    complain,
    print_json,
    print_line,
    print_table,
    print_verdict,
    progress,
    size_text,
)
from samdrift.cli.persons import Actor, Reason, asked, passphrase
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.errors import Explained
from samdrift.evidence.trace import Asked
from samdrift.installation.loop import run
from samdrift.installation.objectplace import object_place
from samdrift.installation.vaultsettings import key_store, vault_settings
from samdrift.keystore.interface import KeyStore
from samdrift.operations import backupset
from samdrift.operations.backup import Made, after, create, signers, verify
from samdrift.operations.backupformat import BackupError
from samdrift.operations.backupset import BackupFile, BackupSet, Manifest, Missing
from samdrift.operations.drill import Drilled, drill
from samdrift.operations.restore import Restored, restore, restore_registry
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.objects import Objects
from samdrift.wire.identifiers import ParticipantIdentifier

app = typer.Typer(add_completion=False)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder that has the backups.")]
Backup = Annotated[Path, typer.Argument(metavar="BACKUP", help="One backup: a folder in it.")]
Identity = Annotated[
    Path, typer.Option("--identity", help="A file with the age key that the backup is encrypted for.")
]
Signer = Annotated[
    str | None,
    typer.Option("--signer", help="The key that signed it, where the key store is a new one."),
]
OfficerFile = Annotated[
    Path | None,
    typer.Option(
        "--officer-passphrase-file",
        help="The passphrase of the organisation's own officer, where that has locked it.",
    ),
]
To = Annotated[
    list[str], typer.Option("--to", help="An age recipient (age1...) of the backup; may be repeated.")
]
ToFile = Annotated[
    Path | None,
    typer.Option("--to-file", help="A file of such recipients, one per line, as age -R reads it."),
]


_LIST_HEADERS = ("backup", "made", "of", "organisations", "missing", "size")


@app.callback()
def backup() -> None:
    """Back up the installation, and verify, test and restore its backups (docs/backup.md)."""


@app.command("create")
def create_backup(
    folder: Folder,
    config: ConfigFile,
    reason: Reason,
    to: To = [],  # noqa: B006
    to_file: ToFile = None,
    organisation: OnlyOrganisation = None,
    by: Actor = None,
    as_json: AsJson = False,
) -> int:
    """Copy database, objects and registry into a new folder, encrypted, while messages flow.

    There is one file per organisation. The copied content stays encrypted as it is stored, and the backup
    contains neither keys nor seals to open it (docs/keys.md). Exit status 1 when an organisation could not be
    copied, or its log could not be written at the end.
    """
    with _reported():
        named = [] if to_file is None else agefile.lines_of(read_input(to_file, agefile.LARGEST_KEY_FILE))
        recipients = agefile.recipients([*to, *named])
        made = run(_create(load(config), folder, recipients, asked(by, reason), organisation))
    manifest = made.manifest
    if as_json:
        untold = [{"organisation": each.organisation, "reason": each.reason} for each in made.untold]
        proven = {"sha256": made.sha256, "signer": made.signer, "not_told": untold}
        print_json({**_document(made.folder, manifest), **proven})
    else:
        print_line(f"{shown(made.folder)}: {_summary(manifest)}")
        print_line(f"sha256     {made.sha256}")
        print_line(f"signed by  {made.signer}")
    for each in made.untold:
        complain(
            f"{each.organisation} is in the backup, which only the operator's log records: {each.reason}"
        )
    return _complaints(manifest) or int(bool(made.untold))


@app.command("list")
def list_backups(folder: Folder, config: ConfigFile, signer: Signer = None, as_json: AsJson = False) -> int:
    """List the backups in a folder: time, organisations, size. Exit status 1 when one cannot be used."""
    with _reported():
        known = _signers(load(config), signer)
        paths = backupset.found_in(folder)
    found: list[tuple[Path, BackupSet | BackupError]] = []
    for path in paths:
        try:
            found.append((path, backupset.read(path, known)))
        except BackupError as error:
            found.append((path, error))
    if as_json:
        print_json({"backups": [_listed(path, each) for path, each in found]})
    else:
        usable = [(path, each.manifest) for path, each in found if isinstance(each, BackupSet)]
        print_table(_LIST_HEADERS, [_cells(path, manifest) for path, manifest in usable])
        for _, each in found:
            if isinstance(each, BackupError):
                complain(str(each))
    return int(any(isinstance(each, BackupError) for _, each in found))


@app.command("verify")
def verify_backup(
    backup: Backup, identity: Identity, config: ConfigFile, signer: Signer = None, as_json: AsJson = False
) -> int:
    """Read an entire backup and compare each digest and number. A single changed byte is detected."""
    with _reported():
        read = backupset.read(backup, _signers(load(config), signer))
        keys = agefile.identities(identity)
        with progress("reading", _bytes(read, None)) as done:
            found = run(verify(read, keys, done))
    if as_json:
        print_json({**_document(backup, read.manifest), "sha256": read.sha256, "intact": True})
    else:
        for file, contents in found:
            print_line(f"{_whose(file)}: {contents.rows} rows, {contents.bodies.count} bodies, {_when(file)}")
        print_verdict("", "intact", good=True)
    return _complaints(read.manifest)


@app.command("drill")
def drill_backup(
    backup: Backup,
    identity: Identity,
    config: ConfigFile,
    reason: Reason,
    organisation: OnlyOrganisation = None,
    by: Actor = None,
    signer: Signer = None,
    as_json: AsJson = False,
) -> int:
    """Restore a backup next to the running installation, compare it, and remove it again.

    The drill is recorded in the logs, for the compliance report. Exit status 1 when something differs.
    """
    with _reported():
        who, opened = _asked(by, reason, backup, identity, signer)
        found = run(_drill(load(config), opened, who, organisation))
    good = all(each.passed for each in found)
    if as_json:
        print_json({"passed": good, "files": [_drilled(each) for each in found]})
    else:
        for each in found:
            told = f"{each.compared} compared, {each.seconds:.0f} s, {_when(each.file)}"
            print_line(f"{_whose(each.file)}: {told}")
            for what in each.differences:
                complain(f"{_whose(each.file)}: differs: {what}")
        print_verdict("", "passed" if good else "failed", good=good)
    return int(not good)


@app.command("restore")
def restore_backup(
    backup: Backup,
    identity: Identity,
    config: ConfigFile,
    reason: Reason,
    organisation: OnlyOrganisation = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="All organisations, into an installation that has none.")
    ] = False,
    officer_file: OfficerFile = None,
    by: Actor = None,
    signer: Signer = None,
    as_json: AsJson = False,
) -> int:
    """Restore one organisation while others send, or all. Their work since the backup is lost here.

    The organisations are suspended afterwards. Messages that waited to be sent are ended and listed, since
    they may have been sent after the backup. Read docs/backup.md before `samdrift org resume`. Exit status 1
    when an organisation was not restored, or was restored without bodies that the object store had lost.
    """
    if everything is (organisation is not None):
        raise Unusable("name one organisation with --organisation, or all with --everything")
    if everything and officer_file is not None:
        raise Unusable("an officer is of one organisation: name it with --organisation")
    with _reported():
        who, opened = _asked(by, reason, backup, identity, signer)
        loaded = load(config)
        officer = None if officer_file is None else passphrase("Passphrase of the officer", officer_file)
        restored, failed = run(_restore(loaded, opened, who, organisation, officer))
    if as_json:
        print_json(
            {
                "restored": [_restored(each) for each in restored],
                "failed": [{"organisation": one, "reason": why} for one, why in failed],
            }
        )
    else:
        for each in restored:
            print_line(f"{_whose(each.file)} is as it was, {_when(each.file)}: {each.compared} compared")
            for waited in each.unsent:
                print_line(f"may have been sent since, and is not sent again: {waited.what} {waited.id}")
            if each.stored_again:
                print_line(f"statements about rights since then, stored again: {each.stored_again}")
            print_line(f"it is suspended; a former database is kept as {each.former}")
    for each in restored:
        for role, count in each.lost.items():
            complain(f"{_whose(each.file)}: bodies of {role} that are not in the object store: {count}")
        for role in each.behind:
            complain(
                f"{_whose(each.file)}: {role} lacks statements about rights that were stored, and the former"
                " database has not got them: nobody reads there (docs/backup.md#a-record-behind-its-head)"
            )
    for one, why in failed:
        complain(f"{one} was not put back: {why}")
    return int(bool(failed) or any(each.lost or each.behind for each in restored))


async def _create(
    config: Config,
    folder: Path,
    recipients: tuple[str, ...],
    who: Asked,
    only: ParticipantIdentifier | None,
) -> Made:
    async with administering(config) as installation:
        hosted = {each.organisation for each in installation.gate.registry.all()}
        with progress("organisations", len(hosted) if only is None else 1) as done:
            return await create(installation, folder, recipients, who, only, done)


Opened = tuple[BackupSet, list[pyrage.x25519.Identity]]


async def _drill(
    config: Config,
    opened: Callable[[KeyStore], Opened],
    who: Asked,
    only: ParticipantIdentifier | None,
) -> list[Drilled]:
    async with administering(config) as installation:
        backup, keys = await asyncio.to_thread(opened, installation.keys)
        with progress("reading", _bytes(backup, only)) as done:
            return await drill(installation, backup, keys, who, only, done)


async def _restore(
    config: Config,
    opened: Callable[[KeyStore], Opened],
    who: Asked,
    organisation: ParticipantIdentifier | None,
    officer: bytes | None,
) -> tuple[list[Restored], list[tuple[str, str]]]:
    """Return what was restored, and the organisations that were not, with the reason."""
    if organisation is None:
        async with in_turn(config.vaults), provisioning(vault_settings(config)) as (store, provisioner):
            backup, keys = await asyncio.to_thread(opened, store)
            await restore_registry(provisioner, Objects(object_place(config.vaults)), backup, keys)
    restored: list[Restored] = []
    failed: list[tuple[str, str]] = []
    async with administering(config) as installation:
        backup, keys = await asyncio.to_thread(opened, installation.keys)
        wanted = [each for each in backup.manifest.files if each.organisation]
        if organisation is not None:
            wanted = [backup.manifest.of(organisation.value)]
        else:
            failed += [(each.organisation, _lacking(each)) for each in backup.manifest.missing]
        read = 0
        with progress("reading", _bytes(backup, organisation)) as done:
            for file in wanted:
                one, advanced = ParticipantIdentifier(file.organisation), after(read, done)
                try:
                    restored.append(await restore(installation, backup, keys, who, one, officer, advanced))
                except Explained as error:
                    if organisation is not None:
                        raise
                    failed.append((one.value, str(error)))
                read += file.bytes
    return restored, failed


def _lacking(missing: Missing) -> str:
    why = f"it is not in the backup, as {missing.reason}"
    return f"{why}: --organisation restores it from another one"


def _asked(
    by: str | None, reason: str, backup: Path, identity: Path, signer: str | None
) -> tuple[Asked, Callable[[KeyStore], Opened]]:
    """Return who asks, and a function that opens the backup if its list is still the one that was read."""
    digest = digest_of_input(backup, backupset.MANIFEST) if backupset.has_list(backup) else ""
    return asked(by, reason), partial(_opened, backup, digest, identity, signer)


def _opened(backup: Path, digest: str, identity: Path, signer: str | None, store: KeyStore) -> Opened:
    """Read the list of a backup and the age key that opens it; refuse a list that has changed since."""
    found = backupset.read(backup, signers(store, _named(signer)))
    if found.sha256 != digest:
        raise changed(backup)
    return found, agefile.identities(identity)


def _bytes(backup: BackupSet, only: ParticipantIdentifier | None) -> int:
    """Return the number of bytes of a backup to read, for one organisation or for all."""
    if only is not None:
        return backup.manifest.of(only.value).bytes
    return sum(each.bytes for each in backup.manifest.files)


def _signers(config: Config, signer: str | None) -> list[str]:
    named = _named(signer)
    return [named] if named is not None else signers(key_store(config), None)


def _named(signer: str | None) -> str | None:
    return None if signer is None else fingerprint("--signer", signer)


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Report any error that stops a command in one line, including the cause of an outage."""
    with reported_as_usage_errors():
        try:
            yield
        except VaultUnavailable as error:
            raise Unusable(f"{error}{f' ({error.cause})' if error.cause else ''}") from None


def _complaints(manifest: Manifest) -> int:
    """Report missing parts of a backup; return the exit status."""
    for each in manifest.missing:
        complain(f"{each.organisation} is not in the backup: {each.reason}")
    for file in manifest.files:
        if file.lost:
            complain(f"{_whose(file)}: the object store had lost {file.lost} bodies already")
    return int(bool(manifest.missing) or any(file.lost for file in manifest.files))


def _summary(manifest: Manifest) -> str:
    organisations = [each for each in manifest.files if each.organisation]
    size = sum(each.bytes for each in manifest.files)
    what = "" if manifest.whole else ", without the registry"
    number = f"{len(organisations)} organisation{'' if len(organisations) == 1 else 's'}"
    missing = f", {len(manifest.missing)} missing" if manifest.missing else ""
    return f"{number}{missing}{what}, {size} bytes"


def _cells(path: Path, manifest: Manifest) -> tuple[str, ...]:
    organisations = sum(1 for each in manifest.files if each.organisation)
    what = "everything" if manifest.whole else "organisations alone"
    size = sum(each.bytes for each in manifest.files)
    made = f"{manifest.made_at:%Y-%m-%d %H:%M:%S}Z"
    return shown(path), made, what, str(organisations), str(len(manifest.missing)), size_text(size)


def _whose(file: BackupFile) -> str:
    return file.organisation or "registry"


def _when(file: BackupFile) -> str:
    return f"as of {file.taken_at:%Y-%m-%d %H:%M:%S}Z"


def _document(folder: Path, manifest: Manifest) -> dict[str, Any]:
    return {
        "backup": shown(folder),
        "made_at": manifest.made_at.isoformat(),
        "whole": manifest.whole,
        "files": [
            {
                "organisation": each.organisation or None,
                "taken_at": each.taken_at.isoformat(),
                "bytes": each.bytes,
                "sha256": each.sha256,
                "rows": each.rows,
                "bodies": each.bodies,
                "lost": each.lost,
            }
            for each in manifest.files
        ],
        "missing": [{"organisation": each.organisation, "reason": each.reason} for each in manifest.missing],
    }


def _listed(path: Path, found: BackupSet | BackupError) -> dict[str, Any]:
    if isinstance(found, BackupError):
        return {"backup": shown(path), "fault": found.fault.value, "why": str(found)}
    return {**_document(path, found.manifest), "sha256": found.sha256}


def _restored(found: Restored) -> dict[str, Any]:
    return {
        "organisation": found.file.organisation,
        "taken_at": found.file.taken_at.isoformat(),
        "compared": found.compared,
        "not_sent": [{"what": each.what, "id": each.id} for each in found.unsent],
        "former_database": found.former,
        "stored_again": found.stored_again,
        "behind": list(found.behind),
        "lost": dict(found.lost),
    }


def _drilled(found: Drilled) -> dict[str, Any]:
    return {
        "organisation": found.file.organisation or None,
        "taken_at": found.file.taken_at.isoformat(),
        "compared": found.compared,
        "differences": list(found.differences),
        "seconds": round(found.seconds, 3),
        "passed": found.passed,
    }
