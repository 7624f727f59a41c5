"""Access to an installation for the operator's commands, and to the vaults of one organisation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from samdrift.administration.events import AdminEvent
from samdrift.administration.turns import in_turn
from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.audit.events import AuditEvent
from samdrift.config.errors import Unusable
from samdrift.config.model import Config
from samdrift.contracts import workers
from samdrift.contracts.principals import ORGANISATIONS_OWN, Principal, PrincipalKind, Purpose, Role
from samdrift.evidence.trace import Asked
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.vault.settings import VaultSettings
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Administration:
    """The parts of an open installation: the gate serves existing vaults, the provisioner creates them."""

    config: Config
    keys: KeyStore
    provisioner: Provisioner
    gate: Gate


@contextlib.asynccontextmanager
async def administering(
    config: Config, *, begin: bool = False, changes: bool = True
) -> AsyncIterator[Administration]:
    """Open an installation, running or not, and bring it up to date if it is older and not running.

    With ``begin`` a new one is created, for commands that store something in it. A command that ``changes``
    something waits for other such commands.
    """
    settings = vault_settings(config)
    async with contextlib.AsyncExitStack() as stack:
        if changes:
            await stack.enter_async_context(in_turn(config.vaults))
        keys, provisioner = await stack.enter_async_context(provisioning(settings, begin=begin))
        gate = await Gate.start(settings, keys=keys)
        stack.push_async_callback(gate.close)
        yield Administration(config, keys, provisioner, gate)


@contextlib.asynccontextmanager
async def beside(config: Config, keys: KeyStore) -> AsyncIterator[Administration]:
    """Open an installation for reading only: nothing is created, repaired or brought up to date."""
    settings = vault_settings(config)
    provisioner = await Provisioner.connect(settings, keys=keys)
    try:
        gate = await Gate.start(settings, keys=keys)
        try:
            yield Administration(config, keys, provisioner, gate)
        finally:
            await gate.close()
    finally:
        await provisioner.close()


@contextlib.asynccontextmanager
async def provisioning(
    settings: VaultSettings, *, begin: bool = False
) -> AsyncIterator[tuple[KeyStore, Provisioner]]:
    """Open it like :func:`administering`, but only with the administrator's login, and in any state."""
    keys = await asyncio.to_thread(partial(open_keys, settings, begin=begin))
    provisioner = await Provisioner.connect(settings, keys=keys)
    try:
        await provisioner.install(beside_others=True)
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
    """Record an action of the operator's staff in the logs of the operator and the organisation concerned.

    While a vault waits for its organisation's officer, or does not exist, nothing can be written to its log;
    the operator's log records that.
    """
    written = True
    if organisation is not None:
        principal = Principal(PrincipalKind.OPERATOR, by)
        written = await installation.gate.record_for_organisation(principal, organisation, event, facts)
    await note_for_operator(installation, event, by, organisation, facts, written)


async def note_during_outage(
    installation: Administration,
    event: AuditEvent,
    by: str,
    organisation: ParticipantIdentifier,
    facts: Mapping[str, str],
) -> bool:
    """Record an action like :func:`note`; return whether the organisation's log has it.

    While the organisation's vault cannot be reached, only the operator's log has it. An action that concerns
    several organisations is thus recorded for the others.
    """
    try:
        principal = Principal(PrincipalKind.OPERATOR, by)
        written = await installation.gate.record_for_organisation(principal, organisation, event, facts)
    except VaultError:
        written = False
    await note_for_operator(installation, event, by, organisation, facts, written)
    return written


async def note_for_operator(
    installation: Administration,
    event: AuditEvent,
    by: str,
    organisation: ParticipantIdentifier | None,
    facts: Mapping[str, str],
    written: bool,
) -> None:
    """Record an action in the operator's log, and whether the organisation's log has it (``written``)."""
    about = {} if organisation is None else {"organisation": organisation.value}
    if not written:
        about["organisation_log"] = "not told"
    await installation.gate.operator_log(event, **facts, **about, by=by)


async def record_command(
    installation: Administration,
    command: str,
    asked: Asked,
    organisation: ParticipantIdentifier | None,
    roles: Sequence[Role] = tuple(Role),
    **about: str,
) -> None:
    """Record who runs a command and why in the organisation's logs of some roles, before it begins.

    If it has none of these roles, the first of its logs gets the entry, so that the request is not lost. The
    operator's log gets it for a command about the whole installation, and when no log of the organisation can
    be written because its vaults wait for its officer or do not exist. ``about`` names the command's subject.
    """
    gate, event = installation.gate, AdminEvent.ORGANISATION_COMMAND
    facts = {"command": command, **about, **asked.facts()}
    if organisation is None:
        await gate.operator_log(event, **facts)
        return
    places: list[Sequence[Role]] = [
        (role,) for role in roles if gate.registry.find(organisation, role) is not None
    ]
    principal = Principal(PrincipalKind.OPERATOR, asked.by, proof=asked.proof)
    written = [
        await gate.record_for_organisation(principal, organisation, event, facts, place)
        for place in places or [ORGANISATIONS_OWN]
    ]
    if not all(written):
        untold = {"organisation": organisation.value, "organisation_log": "not told"}
        await gate.operator_log(event, **facts, **untold)


Check = Callable[[], Awaitable[None]]
"""A check before each part of an organisation's data is read; raises when reading must stop."""


async def nothing_to_check() -> None:
    """Permit everything, for data that needs no consent."""


def hosted(gate: Gate, organisation: ParticipantIdentifier) -> tuple[Role, ...]:
    """Return the roles that the organisation has here, whatever their state."""
    roles = tuple(role for role in Role if gate.registry.find(organisation, role))
    if not roles:
        raise MoveError(MoveFault.NOT_HOSTED, "that organisation has no vault in this installation")
    return roles


def require_readable(gate: Gate, organisation: ParticipantIdentifier) -> None:
    """Require that each log of the organisation here can be opened; refuse it with what to do otherwise.

    What is gathered without one of them would look like all that there is.
    """
    closed = [
        found
        for role in hosted(gate, organisation)
        if (found := gate.registry.find(organisation, role)) is not None and not found.active
    ]
    if any(not each.suspended for each in closed):
        raise Unusable(f"{organisation} is being closed, which cannot be undone: org close continues it")
    if closed:
        roles = ", ".join(each.role.value for each in closed)
        raise Unusable(
            f"{organisation} is suspended here in role {roles}, so that its log there cannot be read:"
            f" first samdrift org resume {organisation}"
        )


async def signing_key(
    installation: Administration, organisation: ParticipantIdentifier, roles: Sequence[Role]
) -> SigningKey:
    """Return the organisation's signing key, or the access point's if its message service is elsewhere."""
    message_service = Role.MESSAGE_SERVICE in roles
    role = next(role for role in ORGANISATIONS_OWN if role in roles)
    try:
        async with installation.gate.open(workers.EXPORT, organisation, role, Purpose.EXPORT) as vault:
            return vault.proving_key()
    except KeyStoreError as error:
        if message_service or error.fault is not KeyFault.MISSING:
            raise
    return await operator_key(installation)


async def operator_key(installation: Administration) -> SigningKey:
    """Return the operator's own key, for what the operator says of itself, such as its compliance report."""
    return await asyncio.to_thread(installation.keys.signing_key, OPERATOR_KEYS, KeyName.ACCESS_POINT)
