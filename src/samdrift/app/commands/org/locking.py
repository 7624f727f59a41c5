"""`samdrift org lock` and `unlock`: vaults that only the organisation's own officer opens."""

from __future__ import annotations

import asyncio
import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from samdrift.app.administration import Administration, administering
from samdrift.app.commands.org.options import ConfigFile, Organisation
from samdrift.app.config import Config
from samdrift.app.configfile import load
from samdrift.app.control import ControlRefused, control_folder, tell
from samdrift.app.failures import told
from samdrift.app.inputs import reason
from samdrift.app.loop import run
from samdrift.app.output import Unusable, shown
from samdrift.app.unlocking import UNLOCK, vaults_of
from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Principal, PrincipalKind
from samdrift.vault.keys.files import KeyFault, KeyStoreError
from samdrift.wire.identifiers import ParticipantIdentifier

_WORKER = Principal(PrincipalKind.WORKER, "locking")
_SHORTEST = 12

PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File with the officer's passphrase, instead of asking for it."),
]
PresentFile = Annotated[
    Path | None,
    typer.Option(
        "--present-passphrase-file", help="File with the passphrase that is to be replaced, if there is one."
    ),
]
Operator = Annotated[
    bool, typer.Option("--operator", help="Give it back: the operator's passphrase opens the vaults again.")
]


def unlock(organisation: Organisation, config: ConfigFile, passphrase_file: PassphraseFile = None) -> None:
    """Open the organisation's vaults with its officer's passphrase, in the processes that run now.

    It is kept in no file: after a restart the officer unlocks again.
    """
    with told():
        loaded = load(config)
        passphrase = _passphrase(passphrase_file, "Passphrase: ")
        roles = run(_told_to_unlock(loaded, organisation, passphrase))
    typer.echo(f"unlocked: {' '.join(roles)}" if roles else "it was not locked")


def lock(
    organisation: Organisation,
    config: ConfigFile,
    passphrase_file: PassphraseFile = None,
    present_file: PresentFile = None,
    operator: Operator = False,
) -> None:
    """Have the organisation's officer open its vaults from now on, with a passphrase of the officer's own.

    The operator cannot open them then, nor what was copied of the key store before.
    """
    with told():
        loaded = load(config)
        passphrase = None if operator else _new_passphrase(passphrase_file)
        run(_lock(loaded, organisation, passphrase, present_file))
        if passphrase is not None:
            run(_told_to_unlock(loaded, organisation, passphrase, needed=False))
    typer.echo("the operator's passphrase opens it" if operator else "its officer's passphrase opens it")


async def _told_to_unlock(
    config: Config, organisation: ParticipantIdentifier, passphrase: bytes, *, needed: bool = True
) -> list[str]:
    """The roles whose vaults were locked in a running process."""
    values = {"organisation": organisation.value, "passphrase": passphrase.decode()}
    try:
        answers = await tell(control_folder(config.vaults), UNLOCK, **values)
    except ControlRefused as error:
        raise Unusable(str(error)) from None
    if not answers and needed:
        raise Unusable("the installation does not run, and nothing else is unlocked: start it first")
    return sorted({role for answer in answers for role in answer["unlocked"]})


async def _lock(
    config: Config, organisation: ParticipantIdentifier, passphrase: bytes | None, present: Path | None
) -> None:
    async with administering(config) as installation:
        hosted = vaults_of(installation.gate, organisation)
        if not hosted:
            raise Unusable(f"{organisation.value} is not served here")
        for one in hosted:
            await _open(installation, one.vault, passphrase, present)
            await asyncio.to_thread(installation.keys.relock, one.vault, passphrase)
            facts = {"by": "operator" if passphrase is None else "officer"}
            await installation.gate.tell_organisation(
                _WORKER, organisation, AuditEvent.VAULT_LOCK_CHANGED, facts, [one.role]
            )


async def _open(
    installation: Administration, vault: str, passphrase: bytes | None, present: Path | None
) -> None:
    """Open a vault that has an officer: with the new passphrase where a call before this one came so far."""
    keys = installation.keys
    if keys.locked(vault) and passphrase is not None:
        try:
            await asyncio.to_thread(keys.unlock, vault, passphrase)
        except KeyStoreError as error:
            if error.fault is not KeyFault.LOCKED:
                raise
    if keys.locked(vault):
        await asyncio.to_thread(keys.unlock, vault, _passphrase(present, "Present passphrase: "))


def _new_passphrase(file: Path | None) -> bytes:
    passphrase = _passphrase(file, "New passphrase: ")
    if len(passphrase) < _SHORTEST:
        raise Unusable(f"the passphrase has fewer than {_SHORTEST} bytes")
    if file is None and _passphrase(None, "Once more: ") != passphrase:
        raise Unusable("the two are not the same")
    return passphrase


def _passphrase(file: Path | None, prompt: str) -> bytes:
    """From a file, or from the terminal without showing it."""
    if file is None:
        if not sys.stdin.isatty():
            raise Unusable("there is no terminal to ask for the passphrase at: name a file that holds it")
        passphrase = getpass.getpass(prompt).encode()
    else:
        try:
            passphrase = file.read_bytes().strip()
            passphrase.decode()
        except OSError as error:
            raise Unusable(f"{shown(file)}: {reason(error)}") from None
        except UnicodeError:
            raise Unusable(f"{shown(file)}: is not text") from None
    if not passphrase:
        raise Unusable("the passphrase is empty")
    return passphrase
