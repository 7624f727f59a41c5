"""The check itself: plants, tries everything both ways, removes, signs, and tells every organisation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from samdrift.audit.events import AuditEvent
from samdrift.config.isolationcheck import IsolationCheckConfig
from samdrift.config.model import Config, OrganisationConfig
from samdrift.config.toml import ConfigError
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation import rolesettings
from samdrift.installation.operator import vault_settings
from samdrift.installation.replaceable import newest_identity
from samdrift.isolationcheck import interface_c, interface_d, result
from samdrift.isolationcheck.atgate import at_gate, hosted_roles, in_own_vaults
from samdrift.isolationcheck.canary import CHECKER, Planted, plant, remove, state
from samdrift.isolationcheck.interface_d import Door, over_interface_d
from samdrift.isolationcheck.ledger import Ledger
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import KeyName, KeyStoreError
from samdrift.messageservice.oauth.issuers import OwnIssuers
from samdrift.net.client import http_client
from samdrift.net.tls import client_tls
from samdrift.vault.crossing import Crossings
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.identifiers import ParticipantIdentifier

_EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class Ground:
    """An installation that is checked, beside whatever runs."""

    config: Config
    own: IsolationCheckConfig
    gate: Gate
    keys: KeyStore
    crossings: Crossings

    def canaries(self) -> tuple[OrganisationConfig, OrganisationConfig]:
        by_name = {one.identifier: one for one in self.config.organisations}
        first, second = (by_name[canary] for canary in self.own.canaries)
        return first, second


async def check(config: Config) -> tuple[result.Document, list[ParticipantIdentifier]]:
    """Check the installation; returns the signed result, and the organisations whose logs could not be told.

    Nothing of any organisation but the canaries is touched.
    """
    async with ground_of(config) as ground:
        key, at, ledger = _signing_key(ground), datetime.now(UTC), Ledger()
        await try_everything(ground, ledger)
        found = result.document(ledger, ground.own, config.federation.identifier, at)
        untold = await tell(ground.gate, found)
        return result.sign(found, key), untold


@contextlib.asynccontextmanager
async def ground_of(config: Config) -> AsyncIterator[Ground]:
    """Open the installation beside whatever runs; :class:`ConfigError` when it names no canaries."""
    if config.isolation_check is None:
        raise ConfigError("isolation_check", "is missing: name two canary organisations")
    settings = vault_settings(config)
    keys = await asyncio.to_thread(open_keys, settings)
    async with AsyncExitStack() as stack:
        gate = await Gate.start(settings, keys=keys)
        stack.push_async_callback(gate.close)
        crossings = await stack.enter_async_context(Crossings.of(settings, keys))
        ground = Ground(config, config.isolation_check, gate, keys, crossings)
        for canary in ground.canaries():
            _require_served(gate, canary)
        yield ground


def _require_served(gate: Gate, canary: OrganisationConfig) -> None:
    """A canary that stands still proves nothing."""
    for role in canary.roles:
        if not gate.registry.serves(canary.identifier, role):
            where, whom = "isolation_check.canaries", f"{canary.identifier} is not served in role {role}"
            raise ConfigError(where, f"{whom}: it is suspended, or has not been added")


async def try_everything(ground: Ground, ledger: Ledger) -> None:
    """Both ways. The logs are looked through first: later attempts name the other's records there."""
    first, second = ground.canaries()
    async with _planted(ground, first) as one, _planted(ground, second) as other:
        pairs = ((first, one, second, other), (second, other, first, one))
        for mine, _, _, planted in pairs:
            await in_own_vaults(ground.gate, mine.identifier, planted, ledger)
        for mine, own, theirs, planted in pairs:
            before = await state(ground.gate, planted)
            await at_gate(ground.gate, mine.identifier, theirs.identifier, ledger)
            await _without_the_gate(ground, mine, theirs, planted, ledger)
            await _over_interface_c(ground, mine, theirs, planted, ledger)
            await _over_interface_d(ground, own, planted, ledger)
            changed = await state(ground.gate, planted) != before
            leak = "the other's records have changed" if changed else ""
            ledger.tried("all", "change the other's records", _EVERYBODY, leak)


@contextlib.asynccontextmanager
async def _planted(ground: Ground, canary: OrganisationConfig) -> AsyncIterator[Planted]:
    await remove(ground.gate, canary.identifier, datetime.now(UTC))
    try:
        yield await plant(ground.gate, canary, datetime.now(UTC))
    finally:
        await remove(ground.gate, canary.identifier, datetime.now(UTC))


async def _without_the_gate(
    ground: Ground, mine: OrganisationConfig, theirs: OrganisationConfig, planted: Planted, ledger: Ledger
) -> None:
    """Database, objects, sealed values and keys, with all that one canary's processes hold."""
    crossings, serves = ground.crossings, ground.gate.registry.serves
    for role in hosted_roles(ground.gate):
        if not (serves(mine.identifier, role) and serves(theirs.identifier, role)):
            why = "the canaries have no such vaults"
            ledger.untried("database", f"vaults of role {role}", _EVERYBODY, why, expected=True)
            continue
        own = await crossings.find(mine.identifier, role)
        other = await crossings.find(theirs.identifier, role)
        ledger.add(await crossings.in_database(own, other, role))
        ledger.add(crossings.in_seals(own, other))
        if role is Role.ACCESS_POINT and planted.body is not None:
            ledger.add(await crossings.in_objects(own, other, planted.body))
        if role is Role.MESSAGE_SERVICE:
            ledger.add(await asyncio.to_thread(crossings.in_keys, own, other))


async def _over_interface_c(
    ground: Ground, mine: OrganisationConfig, theirs: OrganisationConfig, planted: Planted, ledger: Ledger
) -> None:
    serves = ground.gate.registry.serves
    if ground.config.access_point is None or not serves(theirs.identifier, Role.ACCESS_POINT):
        why = "the access point is not here"
        ledger.untried(interface_c.INTERFACE, "all", _EVERYBODY, why, expected=True)
        return
    if not (serves(mine.identifier, Role.MESSAGE_SERVICE) and theirs.access_point):
        why = "a canary has no message service here, whose certificate could be shown"
        ledger.untried(interface_c.INTERFACE, "all", _EVERYBODY, why)
        return
    async with AsyncExitStack() as stack:
        issuers = ground.config.inner_issuers
        async with ground.gate.open(
            CHECKER, mine.identifier, Role.MESSAGE_SERVICE, Purpose.MAINTAIN
        ) as vault:
            own = newest_identity(vault.tls_client())
        actors = {
            actor: await stack.enter_async_context(http_client(tls, public_only=False))
            for actor, tls in (
                (interface_c.OTHER, client_tls(own, issuers)),
                (interface_c.ANONYMOUS, client_tls(None, issuers)),
            )
        }
        await interface_c.over_interface_c(ground.gate, theirs.access_point, actors, planted, ledger)


async def _over_interface_d(ground: Ground, own: Planted, planted: Planted, ledger: Ledger) -> None:
    service = ground.config.message_service
    if service is None or service.listen_d is None:
        why = "interface D is not served here"
        ledger.untried(interface_d.INTERFACE, "all", _EVERYBODY, why, expected=True)
        return
    if not (own.client and planted.client):
        why = "a canary has no message client; register one for each"
        ledger.untried(interface_d.INTERFACE, "all", _EVERYBODY, why)
        return
    issuers = OwnIssuers(service.address_d, ground.gate.registry, rolesettings.profiles(ground.config))
    async with http_client(client_tls(trust=_issuers_of_d(ground)), public_only=False) as http:
        await over_interface_d(Door(ground.gate, http, issuers, datetime.now(UTC)), own, planted, ledger)


def _issuers_of_d(ground: Ground) -> Path | None:
    return ground.own.tls_issuers or ground.config.federation.tls_issuers


async def tell(gate: Gate, found: result.Document) -> list[ParticipantIdentifier]:
    """Write the result in the log of every organisation that is hosted here; gives those that have it not."""
    untold, facts = [], result.facts(found)
    for organisation in sorted({one.organisation for one in gate.registry.all()}, key=str):
        try:
            told = await gate.tell_organisation(CHECKER, organisation, AuditEvent.ISOLATION_CHECKED, facts)
        except VaultError:
            told = False
        if not told:
            untold.append(organisation)
    return untold


def _signing_key(ground: Ground) -> SigningKey:
    """The first canary's key for signing logs; the access point's where it has none."""
    registration = ground.gate.registry.find(ground.own.canaries[0], Role.MESSAGE_SERVICE)
    if registration is not None:
        with contextlib.suppress(KeyStoreError):
            return ground.keys.signing_key(registration.vault, KeyName.LOG_SIGNING)
    return ground.keys.signing_key(OPERATOR_KEYS, KeyName.ACCESS_POINT)
