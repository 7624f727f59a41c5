"""`samdrift org use-hsm`: switching an existing organisation to a hardware security module."""

from __future__ import annotations

import asyncio

import typer

from samdrift.administration.administration import administering
from samdrift.cli.org.events import OrgEvent
from samdrift.cli.org.keyoptions import log_key_words
from samdrift.cli.org.options import ConfigFile, Organisation
from samdrift.cli.output import complain, print_line
from samdrift.cli.persons import Acting, Actor, acting
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.installation.loop import run
from samdrift.installation.unlocking import vaults_of
from samdrift.keystore.interface import KeyStore, LogKeyPlace
from samdrift.wire.identifiers import ParticipantIdentifier


def use_hsm(organisation: Organisation, config: ConfigFile, by: Actor = None) -> None:
    """Open the organisation's vaults with its HSM from now on, and make its next keys there.

    The HSM is the one in its entry in the configuration file. Earlier copies of the key store can no longer
    be opened. If the vaults already open with the HSM but the logs are signed with keys in files, they are
    signed with keys in the HSM from now on, provided that it supports such keys.
    """
    with reported_as_usage_errors():
        loaded, who = load(config), acting(by)
        places = run(_use_hsm(loaded, organisation, who))
    print_line("its token opens it; keys that were made before stay in files until they are replaced")
    for role, place in places.items():
        print_line(f"{role.value}: {log_key_words(place)}")


def use_token(organisation: Organisation, config: ConfigFile, by: Actor = None) -> None:
    """Do the same under the former name of the command, which works in version 0.2 only."""
    complain("warning: the command is called samdrift org use-hsm now")
    use_hsm(organisation, config, by)


renamed = typer.Typer(add_completion=False)
renamed.command("use-token", hidden=True)(use_token)


async def _use_hsm(
    config: Config, organisation: ParticipantIdentifier, who: Acting
) -> dict[Role, LogKeyPlace]:
    places = {}
    async with administering(config) as installation:
        hosted = vaults_of(installation.gate, organisation)
        if not hosted:
            raise Unusable(f"{organisation.value} is not served here")
        for one in hosted:
            keys, record = installation.keys, installation.gate.record_for_organisation
            there, before = keys.in_token(one.vault), await _log_key_place(keys, one.vault)
            await asyncio.to_thread(keys.use_hsm, one.vault, organisation)
            place = places[one.role] = await _log_key_place(keys, one.vault)
            if not there:
                facts = {"by": "token", **who.facts()}
                await record(who.principal, organisation, OrgEvent.VAULT_LOCK_CHANGED, facts, [one.role])
            elif before is not place:
                facts = {"key": place.value, **who.facts()}
                await record(who.principal, organisation, OrgEvent.KEYS_LOG_KEY_ROTATED, facts, [one.role])
    return places


async def _log_key_place(keys: KeyStore, vault: str) -> LogKeyPlace:
    return await asyncio.to_thread(keys.log_key_place, vault)
