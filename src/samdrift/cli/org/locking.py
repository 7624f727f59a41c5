"""`samdrift org lock` and `unlock`: vaults that only the organisation's own officer can open."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from samdrift.administration.administration import administering
from samdrift.audit.entries import Happening
from samdrift.cli.org.events import OrgEvent
from samdrift.cli.org.options import ConfigFile, Organisation
from samdrift.cli.output import print_line
from samdrift.cli.persons import Acting, Actor, acting, passphrase
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import Purpose
from samdrift.installation.control import ControlRefused, control_folder, tell
from samdrift.installation.loop import run
from samdrift.installation.unlocking import UNLOCK, WHO, vaults_of
from samdrift.keystore.custody import weakness
from samdrift.keystore.interface import KeyStore
from samdrift.keystore.keyfiles import KeyFault, KeyStoreError
from samdrift.net.clock import system_clock
from samdrift.processes.survivors import end_left_behind
from samdrift.wire.identifiers import ParticipantIdentifier

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="A file with the officer's passphrase; otherwise it is asked for."
    ),
]
PresentFile = Annotated[
    Path | None,
    typer.Option(
        "--present-passphrase-file", help="A file with the passphrase to be replaced, if there is one."
    ),
]
Operator = Annotated[
    bool,
    typer.Option("--operator", help="Unlock permanently: the operator's passphrase opens the vaults again."),
]


def unlock(
    organisation: Organisation,
    config: ConfigFile,
    passphrase_file: PassphraseFile = None,
    by: Actor = None,
) -> None:
    """Open the organisation's vaults with its officer's passphrase, in the processes that are running now.

    The passphrase is not stored in a file: after a restart the officer must unlock the vaults again.
    """
    with reported_as_usage_errors():
        loaded, who = load(config), acting(by)
        own = passphrase("Passphrase", passphrase_file)
        roles = run(_told_to_unlock(loaded, organisation, own, who))
    print_line(f"unlocked: {' '.join(roles)}" if roles else "it was not locked")


def lock(
    organisation: Organisation,
    config: ConfigFile,
    passphrase_file: PassphraseFile = None,
    present_file: PresentFile = None,
    operator: Operator = False,
    by: Actor = None,
) -> None:
    """Let only the organisation's officer open its vaults from now on, with the officer's own passphrase.

    The operator can then open neither the vaults nor an earlier copy of the key store. Anyone who opened such
    a copy before has its keys. For this reason, new content is sealed with a new data key, the database's
    login and password are replaced, and older private keys are listed, to be replaced one by one.
    """
    with reported_as_usage_errors():
        loaded, who = load(config), acting(by)
        new = None if operator else _new_passphrase(passphrase_file, organisation)
        older = run(_lock(loaded, organisation, new, present_file, who))
        if new is not None:
            run(_told_to_unlock(loaded, organisation, new, who, needed=False))
    print_line("the operator's passphrase opens it" if operator else "its officer's passphrase opens it")
    if older and not operator:
        print_line("older than this lock, and so in copies from before it, are these private keys:")
        for line in older:
            print_line(f"  {line}")
        print_line(
            "replace each (samdrift org keys create), then retire it: until then, copies of them remain "
            "usable"
        )


async def _told_to_unlock(
    config: Config, organisation: ParticipantIdentifier, own: bytes, who: Acting, *, needed: bool = True
) -> list[str]:
    """Return the roles whose vaults running processes have now unlocked."""
    facts = json.dumps({"by": who.name, **who.facts()})
    values = {"organisation": organisation.value, "passphrase": own.decode(), WHO: facts}
    try:
        answers = await tell(control_folder(config.vaults), UNLOCK, **values)
    except ControlRefused as error:
        raise Unusable(str(error)) from None
    if not answers and needed:
        raise Unusable("the installation does not run, and nothing else is unlocked: start it first")
    return sorted({role for answer in answers for role in answer["unlocked"]})


async def _lock(
    config: Config,
    organisation: ParticipantIdentifier,
    new: bytes | None,
    present: Path | None,
    who: Acting,
) -> list[str]:
    """Lock each vault with the new passphrase, and return the private keys that are older than the lock.

    Vaults that an interrupted earlier call has locked already are opened with the same passphrase.
    """
    older = []
    async with administering(config) as installation:
        hosted = vaults_of(installation.gate, organisation)
        if not hosted:
            raise Unusable(f"{organisation.value} is not served here")
        await end_left_behind(config, installation.gate.registry, organisation)
        keys, passphrases = installation.keys, [] if new is None else [new]
        if any(keys.in_token(one.vault) for one in hosted):
            raise Unusable(f"{organisation.value} is locked with its token, and the token's PIN opens it")
        for one in hosted:
            await _open(keys, one.vault, passphrases, present)
            held = await asyncio.to_thread(keys.keys, one.vault)
            await asyncio.to_thread(keys.relock, one.vault, new)
            facts = {"by": "operator" if new is None else "officer", **who.facts()}
            await installation.gate.record_for_organisation(
                who.principal, organisation, OrgEvent.VAULT_LOCK_CHANGED, facts, [one.role]
            )
            rotated = Happening(
                system_clock(),
                OrgEvent.VAULT_LOGIN_ROTATED,
                f"{who.principal.kind}:{who.name}",
                Purpose.MAINTAIN,
                who.facts(),
            )
            await installation.provisioner.rotate_login(organisation, one.role, rotated)
            older += [
                f"{one.role.value}: {key.name.value} {key.number}" for key in held if not key.state.revoked
            ]
    return older


async def _open(keys: KeyStore, vault: str, passphrases: list[bytes], present: Path | None) -> None:
    """Open a vault that has an officer with one of the passphrases; otherwise ask for one and add it."""
    for one in passphrases:
        if not keys.locked(vault):
            return
        try:
            await asyncio.to_thread(keys.unlock, vault, one)
        except KeyStoreError as error:
            if error.fault is not KeyFault.LOCKED:
                raise
    if keys.locked(vault):
        passphrases.append(passphrase("Present passphrase", present))
        await asyncio.to_thread(keys.unlock, vault, passphrases[-1])


def _new_passphrase(file: Path | None, organisation: ParticipantIdentifier) -> bytes:
    new = passphrase("New passphrase", file, again=True)
    weak = weakness(new.decode(), organisation.value)
    if weak is not None:
        raise Unusable(weak)
    return new
