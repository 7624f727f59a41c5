"""`samdrift org use-token`: an organisation that gets a token in a hardware security module later."""

from __future__ import annotations

import asyncio

from samdrift.administration.administration import administering
from samdrift.audit.events import AuditEvent
from samdrift.cli.org.options import ConfigFile, Organisation
from samdrift.cli.output import print_line
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import Principal, PrincipalKind
from samdrift.installation.loop import run
from samdrift.installation.unlocking import vaults_of
from samdrift.wire.identifiers import ParticipantIdentifier

_WORKER = Principal(PrincipalKind.WORKER, "locking")


def use_token(organisation: Organisation, config: ConfigFile) -> None:
    """Have the organisation's vaults open with its token from now on, and its next keys made there.

    The token is the one of its entry in the configuration file. Nothing that was copied of
    the key store before opens any more.
    """
    with reported_as_usage_errors():
        run(_use_token(load(config), organisation))
    print_line("its token opens it; keys that were made before stay in files until they are replaced")


async def _use_token(config: Config, organisation: ParticipantIdentifier) -> None:
    async with administering(config) as installation:
        hosted = vaults_of(installation.gate, organisation)
        if not hosted:
            raise Unusable(f"{organisation.value} is not served here")
        for one in hosted:
            there = installation.keys.in_token(one.vault)
            await asyncio.to_thread(installation.keys.use_token, one.vault, organisation)
            if there:
                continue
            await installation.gate.tell_organisation(
                _WORKER, organisation, AuditEvent.VAULT_LOCK_CHANGED, {"by": "token"}, [one.role]
            )
