"""`samdrift org keys backup` and `restore`: keys in a file that two custodians open together."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.administration import administering, note
from samdrift.administration.closing import closed_vaults
from samdrift.administration.dualcontrol import Matter, two_persons
from samdrift.audit.events import AuditEvent
from samdrift.cli.org.keyoptions import Workplace, worked
from samdrift.cli.org.options import ConfigFile, Organisation
from samdrift.cli.output import complain, print_line, require_new
from samdrift.cli.persons import By, ByFile, With, WithFile, passphrase, present
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import told
from samdrift.config.inputs import reason
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.installation.loop import run
from samdrift.installation.operator import vault_settings
from samdrift.keystore.backup import (
    BackupHeader,
    Secret,
    VaultBackup,
    read_header,
    unwrap_backup,
    wrap_backup,
)
from samdrift.keystore.durablefiles import write_new
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.vault.errors import VaultError
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier

OfficerFile = Annotated[
    Path | None,
    typer.Option("--officer-passphrase-file", help="Of the organisation's officer, where there is one."),
]


def backup(
    organisation: Organisation,
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", help="A new file, to be kept apart from other backups.")],
    by: By,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
) -> None:
    """Write the organisation's keys to a file that opens with both custodians' passphrases, and no other way.

    Both must be here. Keys in a hardware token are not in it.
    """
    number = f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(3)}"

    async def work(place: Workplace) -> bytes:
        installation = place.installation
        registry, keys = installation.gate.registry, installation.keys
        text = f"write the keys of {organisation} to a file that {by} and {other} open together"
        agreed = await two_persons(installation, Matter("org keys backup", organisation.value, text), persons)
        header = BackupHeader(
            number, organisation.value, datetime.now(UTC).isoformat(), (agreed.first, agreed.second)
        )
        vaults = [found.vault for role in Role if (found := registry.find(organisation, role)) is not None]
        contents = [await asyncio.to_thread(keys.back_up, vault) for vault in vaults]
        data = await asyncio.to_thread(wrap_backup, header, contents, secrets_)
        facts = {"backup": number, "first": agreed.first, "second": agreed.second}
        await place.note(AuditEvent.KEYS_BACKED_UP, by, **facts)
        return data

    with told():
        if other is None:
            raise Unusable(
                "--with is needed: both custodians must be here, for both passphrases go into the file"
            )
        require_new(out)
        persons = present(by, other, by_file, other_file)
        first, second = persons.first, persons.second
        assert second is not None
        secrets_ = Secret(first.name, first.passphrase), Secret(second.name, second.passphrase)
    data = worked(config, organisation, work)
    with told():
        if not write_new(out, data):
            raise Unusable(f"{shown(out)}: is there already")
    print_line(f"backup {number}: opens with the passphrases of {by} and {other}, as they are today")


def restore(
    file: Annotated[Path, typer.Argument(help="What samdrift org keys backup has written.")],
    config: ConfigFile,
    by_file: ByFile = None,
    other_file: WithFile = None,
    officer_file: OfficerFile = None,
) -> None:
    """Bring back an organisation's keys, where they or their seals are lost. Takes both its custodians."""
    with told():
        loaded = load(config)
        data = _read(file)
        header = read_header(data)
        print_line(f"backup {header.number} of {header.organisation}, made {header.at}")
        first, second = header.custodians
        opened = unwrap_backup(
            data,
            {
                first: passphrase(f"Passphrase of {first}", by_file),
                second: passphrase(f"Passphrase of {second}", other_file),
            },
        )
        officer = passphrase("Passphrase of the officer", officer_file) if officer_file is not None else None
        run(_require_not_closed(loaded, opened))
        _restored(loaded, opened, officer)
        try:
            run(_logged(loaded, header))
        except (VaultError, KeyStoreError):
            complain("the keys are restored, but the database cannot be reached: this stands in no log")


async def _require_not_closed(config: Config, vaults: tuple[VaultBackup, ...]) -> None:
    """What was destroyed by a decision does not come back; without the database that cannot be known."""
    try:
        async with administering(config) as installation:
            closed = closed_vaults(await installation.provisioner.closings.all())
    except (VaultError, KeyStoreError):
        return
    if closed & {vault.vault for vault in vaults}:
        raise Unusable(
            "the organisation was closed after this backup was made, and its keys stay destroyed:"
            " destroy this file too"
        )


def _restored(config: Config, vaults: tuple[VaultBackup, ...], officer: bytes | None) -> None:
    """Restore each vault that needs it: a restoration that was interrupted is taken up again."""
    keys, there = open_keys(vault_settings(config)), 0
    for vault in vaults:
        try:
            keys.restore(vault, officer)
        except KeyStoreError as error:
            if error.fault is not KeyFault.ACTIVE:
                raise
            there += 1
    if there == len(vaults):
        raise Unusable("the keys of that organisation are here: there is nothing to restore")


async def _logged(config: Config, header: BackupHeader) -> None:
    async with administering(config) as installation:
        first, second = header.custodians
        facts = {"backup": header.number, "first": first, "second": second}
        organisation = ParticipantIdentifier(header.organisation)
        await note(installation, AuditEvent.KEYS_RESTORED, first, organisation, facts)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unusable(f"{shown(file)}: {reason(error)}") from None
