"""`samdrift org keys backup`, `restore` and `lost-marks`: backups of keys, and their restoration.

A backup is a file that two custodians open together. After a restore, `lost-marks` shows the session keys
that are not known to have been used, because the older database has no record of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.administration import administering, note
from samdrift.administration.closing import closed_vaults
from samdrift.administration.dualcontrol import Matter, Persons, custodians_of, two_persons
from samdrift.administration.events import AdminEvent
from samdrift.cli.org.events import OrgEvent
from samdrift.cli.org.keyoptions import Workplace, worked
from samdrift.cli.org.options import AsJson, ConfigFile, Organisation
from samdrift.cli.output import complain, print_json, print_line, require_new
from samdrift.cli.persons import Actor, By, ByFile, With, WithFile, passphrase, present
from samdrift.config.errors import Unusable, shown
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.inputs import reason
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.loop import run
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.backup import (
    BackupHeader,
    Secret,
    VaultBackup,
    read_header,
    signed_by,
    unwrap_backup,
    wrap_backup,
)
from samdrift.keystore.custody import Custodians
from samdrift.keystore.durablefiles import write_new
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.vault.errors import VaultError
from samdrift.vault.openkeys import open_keys
from samdrift.vault.sessionkeys import LostMarks, SenderRefusals
from samdrift.wire.identifiers import ParticipantIdentifier

OfficerFile = Annotated[
    Path | None,
    typer.Option(
        "--officer-passphrase-file", help="The passphrase of the organisation's officer, if there is one."
    ),
]

AgreedBy = Annotated[
    str | None, typer.Option("--agreed-by", help="A custodian who accepts an unsigned file.")
]

AgreedWith = Annotated[
    str | None,
    typer.Option(
        "--agreed-with",
        help="The custodian who approves at this terminal; otherwise another custodian approves later.",
    ),
]

AgreedByFile = Annotated[
    Path | None, typer.Option("--agreed-by-passphrase-file", help="The same for the other custodian.")
]

AgreedWithFile = Annotated[
    Path | None, typer.Option("--agreed-with-passphrase-file", help="The same for the other custodian.")
]
_COMMAND = "org-keys-lost-marks"


def backup(
    organisation: Organisation,
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", help="A new file, to be kept separate from other backups.")],
    by: By,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
) -> None:
    """Write the organisation's keys to a file that opens only with the passphrases of both custodians.

    Both must be present. Keys in an HSM are not included.
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
        custodians = custodians_of(installation)
        proved = [await asyncio.to_thread(custodians.prove, one.name, one.passphrase) for one in secrets_]
        data = await asyncio.to_thread(wrap_backup, header, contents, secrets_, (proved[0], proved[1]))
        facts = {"backup": number, "first": agreed.first, "second": agreed.second}
        await place.note(AdminEvent.KEYS_BACKED_UP, by, **facts)
        return data

    with reported_as_usage_errors():
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
    with reported_as_usage_errors():
        if not write_new(out, data):
            raise Unusable(f"{shown(out)}: already exists")
    print_line(f"backup {number}: opens with the passphrases of {by} and {other}, as they are today")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that samdrift org keys backup wrote.")],
    config: ConfigFile,
    by_file: ByFile = None,
    other_file: WithFile = None,
    officer_file: OfficerFile = None,
    unsigned: Annotated[
        bool,
        typer.Option(
            "--accept-unsigned",
            help="Restore a file that two current custodians have not signed; two of them must agree.",
        ),
    ] = False,
    agreed_by: AgreedBy = None,
    agreed_with: AgreedWith = None,
    agreed_by_file: AgreedByFile = None,
    agreed_with_file: AgreedWithFile = None,
) -> None:
    """Restore an organisation's keys if they or their seals are lost. Needs both of the backup's custodians.

    Only a file signed by both, with the keys that they have here, is restored. A file that version 0.1 made,
    or whose custodians have left, needs --accept-unsigned and two current custodians.
    """
    with reported_as_usage_errors():
        loaded = load(config)
        data = _read(file)
        header = read_header(data)
        print_line(f"backup {header.number} of {header.organisation}, made {header.at}")
        accepted = ""
        if not signed_by(data, Custodians(loaded.vaults.secrets)):
            _require_accepted(unsigned, agreed_by)
            persons = present(str(agreed_by), agreed_with, agreed_by_file, agreed_with_file)
            accepted = run(_agreed(loaded, header, data, persons))
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
            run(_logged(loaded, header, accepted))
        except (VaultError, KeyStoreError):
            complain("the keys are restored, but the database cannot be reached: no log records it")


def _require_accepted(unsigned: bool, agreed_by: str | None) -> None:
    if not unsigned:
        raise Unusable(
            "the file is not signed by two who are custodians here, so anyone may have made it: with "
            "--accept-unsigned it is restored anyway, if two custodians agree"
        )
    if agreed_by is None:
        raise Unusable("--accept-unsigned needs two custodians: name them by --agreed-by and --agreed-with")


async def _agreed(config: Config, header: BackupHeader, data: bytes, persons: Persons) -> str:
    """Require two custodians, and return their names.

    Their agreement is recorded only in the operator's log at first, because the organisation's log cannot be
    written before its keys are restored.
    """
    digest = hashlib.sha256(data).hexdigest()
    text = f"restore the keys of {header.organisation} from an unsigned backup with SHA-256 {digest}"
    async with administering(config) as installation:
        agreed = await two_persons(installation, Matter("org keys restore", "", text), persons)
    return f"{agreed.first} {agreed.second}"


async def _require_not_closed(config: Config, vaults: tuple[VaultBackup, ...]) -> None:
    """Refuse to restore keys that were destroyed by decision; without the database this cannot be checked."""
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
    """Restore each vault that needs it, so that an interrupted restoration can be continued."""
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


async def _logged(config: Config, header: BackupHeader, accepted: str) -> None:
    async with administering(config) as installation:
        first, second = header.custodians
        signed = {"signed": "no", "accepted_by": accepted} if accepted else {"signed": "yes"}
        facts = {"backup": header.number, "first": first, "second": second} | signed
        organisation = ParticipantIdentifier(header.organisation)
        await note(installation, OrgEvent.KEYS_RESTORED, first, organisation, facts)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unusable(f"{shown(file)}: {reason(error)}") from None


def lost_marks(
    organisation: Organisation,
    config: ConfigFile,
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept the risk permanently. Needs two custodians.")
    ] = False,
    by: Actor = None,
    other: With = None,
    by_file: ByFile = None,
    other_file: WithFile = None,
    as_json: AsJson = False,
) -> int:
    """Show missing marks of session keys after a restore, and the senders of envelopes that did not decrypt.

    Exit status 1 while there are missing marks that have not been accepted.
    """

    async def look(place: Workplace) -> tuple[tuple[LostMarks, ...], tuple[SenderRefusals, ...]]:
        vaults = place.installation.gate.worker(_COMMAND, Role.MESSAGE_SERVICE)
        async with vaults.open(organisation, Purpose.ADMINISTER) as vault:
            return await vault.lost_marks(), await vault.refusals()

    async def agree(place: Workplace) -> None:
        text = f"answer again what uses session keys of {organisation} whose marks a restore has lost"
        matter = Matter("org keys lost-marks --accept", organisation.value, text)
        await two_persons(place.installation, matter, persons)
        vaults = place.installation.gate.worker(_COMMAND, Role.MESSAGE_SERVICE)
        async with vaults.open(organisation, Purpose.ADMINISTER) as vault:
            number = await vault.accept_lost_marks(now=datetime.now(UTC))
        await place.note(OrgEvent.MT_MARKS_LOSS_ACCEPTED, persons.first.name, number=str(number))

    if accept:
        if by is None:
            raise Unusable("--accept needs two people: name the first with --by")
        with reported_as_usage_errors():
            persons = present(by, other, by_file, other_file)
        worked(config, organisation, agree)
    lost, refused = worked(config, organisation, look)
    if as_json:
        print_json(
            {"lost": [_lost_row(one) for one in lost], "refused": [_refused_row(one) for one in refused]}
        )
    else:
        for line in [*map(_lost_line, lost), *map(_refused_line, refused)] or ["no marks are missing"]:
            print_line(line)
    return int(any(one.accepted_at is None for one in lost))


def _lost_row(lost: LostMarks) -> dict[str, str | None]:
    accepted = None if lost.accepted_at is None else lost.accepted_at.isoformat()
    since = None if lost.since is None else lost.since.isoformat()
    found = lost.found_at.isoformat()
    return {"since": since, "until": lost.until.isoformat(), "found": found, "accepted": accepted}


def _lost_line(lost: LostMarks) -> str:
    since = "the beginning" if lost.since is None else lost.since.isoformat()
    accepted = lost.accepted_at
    then = f"accepted {accepted.isoformat()}" if accepted else "install a new encryption key, or --accept"
    when = f"found {lost.found_at.isoformat()}"
    return f"marks from {since} to {lost.until.isoformat()} are missing  {when}  {then}"


def _refused_row(refused: SenderRefusals) -> dict[str, str | int]:
    return {"sender": refused.sender, "number": refused.number, "since": refused.since.isoformat()}


def _refused_line(refused: SenderRefusals) -> str:
    text = "envelopes could not be decrypted to a message of their sender's since"
    return f"{refused.sender}  {refused.number} {text} {refused.since.isoformat()}"
