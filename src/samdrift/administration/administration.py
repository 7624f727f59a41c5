"""An installation in the hands of its operator: what the commands about organisations need open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial

from samdrift.audit.events import AuditEvent
from samdrift.config.model import Config
from samdrift.contracts.principals import Principal, PrincipalKind
from samdrift.installation.operator import vault_settings
from samdrift.keystore.interface import KeyStore
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Administration:
    """The parts, all open. The gate knows who is hosted; the provisioner makes and drops vaults."""

    config: Config
    keys: KeyStore
    provisioner: Provisioner
    gate: Gate


@contextlib.asynccontextmanager
async def administering(config: Config, *, begin: bool = False) -> AsyncIterator[Administration]:
    """Open the installation beside whatever runs; an older one is brought up to date.

    A new one is made where ``begin`` says so, for commands that put something into it.
    """
    settings = vault_settings(config)
    async with contextlib.AsyncExitStack() as stack:
        keys, provisioner = await stack.enter_async_context(provisioning(settings, begin=begin))
        gate = await Gate.start(settings, keys=keys)
        stack.push_async_callback(gate.close)
        yield Administration(config, keys, provisioner, gate)


@contextlib.asynccontextmanager
async def provisioning(
    settings: VaultSettings, *, begin: bool = False
) -> AsyncIterator[tuple[KeyStore, Provisioner]]:
    """As :func:`administering` with the administrator's login alone, whatever state the others are in."""
    keys = await asyncio.to_thread(partial(open_keys, settings, begin=begin))
    provisioner = await Provisioner.connect(settings, keys=keys)
    try:
        await provisioner.install()
        yield keys, provisioner
    finally:
        await provisioner.close()


async def note(
    installation: Administration,
    event: AuditEvent,
    by: str,
    organisation: ParticipantIdentifier | None,
    facts: Mapping[str, str],
) -> None:
    """Write what the operator's staff did in the operator's log, and in the organisation's it concerns.

    While a vault waits for its organisation's officer, or is not there, nothing can be
    written in its log; the operator's says so.
    """
    about = {}
    if organisation is not None:
        about = {"organisation": organisation.value}
        principal = Principal(PrincipalKind.OPERATOR, by)
        if not await installation.gate.tell_organisation(principal, organisation, event, facts):
            about["organisation_log"] = "not told"
    await installation.gate.operator_log(event, **facts, **about, by=by)
