"""One operator's installation, assembled from its configuration and run while a context lasts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from samdrift.accesspoint import role as ap
from samdrift.accesspoint.meters import Meters
from samdrift.audit.operations import failing, unexpected
from samdrift.config.errors import Unusable, shown
from samdrift.config.model import Config
from samdrift.config.organisations import OrganisationConfig
from samdrift.config.roles import (
    AccessPointConfig,
    GovernanceConfig,
    MessageClientRoleConfig,
    MessageServiceConfig,
)
from samdrift.config.toml import ConfigError
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Role
from samdrift.installation import rolesettings
from samdrift.installation.accesspoints import connected_later
from samdrift.installation.authorization import Authorizing, authorizing
from samdrift.installation.control import Command, control_folder, controlled, workers_folder
from samdrift.installation.cover import CoverKeeper, canaries_of, covered, operator_of
from samdrift.installation.covermetrics import CoverMetrics
from samdrift.installation.databasecare import NotificationMetrics, cared_for
from samdrift.installation.doors import Door
from samdrift.installation.evidence import VaultsEvidence
from samdrift.installation.expiry import Expiries, expiry_gauge, watching
from samdrift.installation.health import Dependency, Health, SharedTime, Try, note_set_aside, trying
from samdrift.installation.listeners import Doors, PublicDoors, bound_sockets, with_own_metrics
from samdrift.installation.lives import living
from samdrift.installation.loghandover import logs_handed_over
from samdrift.installation.logkeeping import LogHealth, LogMetrics, logs_kept, operators_log_kept
from samdrift.installation.metrics import (
    HeldMetrics,
    meaningless_gauge,
    metrics_application,
    named_in_metrics,
    nothing_to_measure,
)
from samdrift.installation.newcomers import TakeUp, newcomers_taken_up
from samdrift.installation.objectplace import database_in_words, place_in_words
from samdrift.installation.reconciling import reconciled
from samdrift.installation.remindermetrics import ReminderMetrics
from samdrift.installation.replaceable import (
    identity_for_peers,
    newest_identity,
    own_keys,
    registered_clients,
    server_identities,
)
from samdrift.installation.reporting import HEALTH, answering_health
from samdrift.installation.services import (
    NoAddressBook,
    Services,
    address_book,
    malware_scanner,
    proven_scanner,
    shared_services,
)
from samdrift.installation.unlocking import UNLOCK, unlock_again, unlocking
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import KeyFault, KeyStoreAway, KeyStoreError
from samdrift.messageservice import role as mt
from samdrift.messageservice.access import Authorization
from samdrift.messageservice.service import MessageService
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.net.background import in_background
from samdrift.net.client import http_client
from samdrift.net.clock import system_clock
from samdrift.net.guard import guarded
from samdrift.net.inprocess import LocalApplication, called_here
from samdrift.net.tls import TlsContext, client_tls
from samdrift.scheduling.held import Held, HeldNumber
from samdrift.scheduling.pace import Pace
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.upkeep import keep_up
from samdrift.wire.as4 import DEFAULT_LIMITS
from samdrift.wire.identifiers import ParticipantIdentifier

_SILENCE = 14.0
"""Seconds within which the database must answer a check; other checks have one second more."""
_FEDERATED = frozenset({Role.ACCESS_POINT, Role.MESSAGE_SERVICE})
"""Roles that use the shared services of the federation."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A running installation."""

    config: Config
    gate: Gate
    service: MessageService | None
    authorization: Authorizing | None = None
    """The authorisation of interface D; set if the configuration has ``address_d``."""

    @property
    def messages(self) -> MessageService:
        """Return the message service; :class:`LookupError` in an installation without role ``mt``."""
        if self.service is None:
            raise LookupError("this installation does not run the role mt")
        return self.service


@contextlib.asynccontextmanager
async def running(
    config: Config,
    roles: frozenset[Role] = frozenset(Role),
    clients: Authorization | None = None,
    shared: SharedPart | None = None,
) -> AsyncIterator[Operator]:
    """Run those of ``roles`` that are configured; all are reachable once the context is entered.

    ``clients`` authorises the clients of interface D in place of the configured ones. ``shared`` is what a
    worker gets from its parent, which maintains the database and reports for all workers.
    """
    config = with_own_metrics(config, roles)
    settings = vault_settings(config)
    async with AsyncExitStack() as stack:
        health = Health(system_clock)
        keys = open_keys(settings, begin=True, watch=health.of_tokens())
        care = None
        if shared is None:
            care = await stack.enter_async_context(cared_for(settings, keys, health.note))
        claimant = stack.enter_context(living(config))
        gate = await Gate.start(settings, roles=roles, keys=keys, claimant=claimant)
        stack.push_async_callback(gate.close)
        unlock = unlocking(gate, keys)
        if shared is not None:
            await unlock_again(unlock, shared.unlocked)
        # Bind first: if an address is in use, this process must fail before it takes over work from one that
        # serves.
        bound = shared.sockets if shared is not None else stack.enter_context(bound_sockets(config, roles))
        doors = PublicDoors(config, server_identities(keys), bound.__getitem__)
        workers = workers_folder(config.vaults) if shared is not None else None
        parts = Parts(config, roles, keys, gate, doors, health=health, workers=workers)
        await stack.enter_async_context(trying(parts.health, own_dependencies(config, gate, keys)))
        parts.registry.register(NotificationMetrics(lambda: gate.failed_notifications, care))
        # Only roles that run here: this process would lease the work of others and not do it.
        keeper = gate.lease_keeper(roles & config.roles)
        keeper.of_day, keeper.set_aside = system_clock, partial(note_set_aside, parts.health)
        await stack.enter_async_context(keeper)
        await stack.enter_async_context(watching(_expiries(config, keys, gate, parts.registry)))
        operator = await put_together(stack, parts, clients)
        taking_up = newcomers_taken_up(config, parts.newcomers)
        await stack.enter_async_context(in_background(taking_up, on_failure=unexpected("organisations")))
        own = operators_log_kept(config, gate, keys, system_clock, parts.health.note)
        parts.logs.append(await stack.enter_async_context(own))
        await stack.enter_async_context(reconciled(gate, system_clock, parts.health.note))
        await stack.enter_async_context(
            controlled(
                workers or control_folder(config.vaults),
                {
                    **parts.commands,
                    UNLOCK: unlock,
                    HEALTH: answering_health(roles & config.roles, parts.health, held=parts.held_numbers),
                },
            )
        )
        yield operator


def _expiries(config: Config, keys: KeyStore, gate: Gate, metrics: CollectorRegistry) -> Expiries:
    """Return the watch over certificates that expire; one process of the installation warns of them."""
    return Expiries(
        keys,
        gate.registry,
        system_clock,
        named_in_metrics(config),
        expiry_gauge(metrics),
        warns=lambda: gate.leases.holds(None, None),
    )


@dataclass(frozen=True, slots=True)
class SharedPart:
    """One worker's part of the resources that several workers share (:mod:`samdrift.processes.pool`)."""

    sockets: Mapping[Door, socket.socket]
    """The listeners, including one for the worker's own metrics."""
    unlocked: Mapping[str, str]
    """Passphrases, by organisation, of officers who unlocked their vaults before this worker began."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts from which the roles of one process are composed."""

    config: Config
    roles: frozenset[Role]
    keys: KeyStore
    gate: Gate
    doors: Doors
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    """The metrics of the process."""
    logs: list[LogHealth] = field(default_factory=list)
    """The state of the logs that this process signs."""
    health: Health = field(default_factory=lambda: Health(system_clock))
    """The state of the dependencies of this process."""
    held: Held = field(default_factory=Held)
    """Items that wait in this process."""
    pace: Pace = field(default_factory=Pace)
    """The pace of each organisation's work in this process."""
    newcomers: list[TakeUp] = field(default_factory=list)
    """Functions that make the roles serve organisations that are added to the configuration."""
    workers: Path | None = None
    """Folder of the control sockets of all workers, if this process is one of several."""
    commands: dict[str, Command] = field(default_factory=dict)
    """Control commands added by the roles to those of the process."""
    local: dict[Door, LocalApplication] = field(default_factory=dict)
    """Applications of this process that its other roles call directly."""

    def called_with(self, door: Door) -> TlsContext | None:
        """Return the TLS context with which other roles of this process call a listener directly.

        ``None`` at level ``process``, where a front answers there and passes requests on. A worker calls its
        own application: it is usually also in charge of the organisation's access point.
        """
        return self.doors.tls(door)

    def held_numbers(self) -> tuple[HeldNumber, ...]:
        """Return the numbers of waiting items, by role and reason."""
        return self.held.numbers(system_clock())


async def put_together(stack: AsyncExitStack, parts: Parts, clients: Authorization | None = None) -> Operator:
    """Run the roles until ``stack`` ends; those with pages start last, since they call the others."""
    parts.registry.register(parts.health)
    parts.registry.register(HeldMetrics(parts.held_numbers))
    keeper = CoverKeeper(
        parts.gate,
        system_clock,
        parts.roles & parts.config.roles,
        parts.health.note,
        per_organisation=named_in_metrics(parts.config),
        canaries=canaries_of(parts.config),
        operator=operator_of(parts.config),
    )
    parts.registry.register(CoverMetrics(keeper.rows))
    await stack.enter_async_context(covered(keeper, parts.gate))
    served = parts.roles & parts.config.roles
    logs = await stack.enter_async_context(
        logs_kept(parts.config, parts.gate, system_clock, (), served, parts.health.note)
    )
    parts.logs.append(logs)
    parts.registry.register(LogMetrics(parts.logs))
    await stack.enter_async_context(
        logs_handed_over(parts.config, parts.gate, system_clock, served, parts.health.note)
    )
    operator = await _run_federated(stack, parts, clients)
    await _run_origins(stack, parts)
    await _remind(stack, parts, keeper)
    return operator


async def _run_federated(stack: AsyncExitStack, parts: Parts, clients: Authorization | None) -> Operator:
    """Run the roles that take part in the federation, and serve the metrics of all roles."""
    config, gate = parts.config, parts.gate
    measure: Callable[[], Awaitable[None]] = nothing_to_measure
    if not _FEDERATED & parts.roles & config.roles:
        await _serve_metrics(stack, parts, measure)
        return Operator(config, gate, None)
    services = await stack.enter_async_context(shared_services(config, parts.health.note))
    if config.access_point is not None and Role.ACCESS_POINT in parts.roles:
        measure = await _run_access_point(stack, parts, config.access_point, services)
    await _serve_metrics(stack, parts, measure)
    if config.message_service is None or Role.MESSAGE_SERVICE not in parts.roles:
        return Operator(config, gate, None)
    own, authorization = config.message_service, None
    profiles = rolesettings.profiles(config)
    if own.address_d:
        authorization = await stack.enter_async_context(authorizing(config, own, gate, profiles))
    role = await _run_message_service(stack, parts, own, services, profiles)
    meaningless_gauge(parts.registry).set_function(lambda: role.meaningless)
    if own.listen_d is not None:
        whom = clients or (authorization.tokens if authorization else None)
        if whom is None:
            raise ConfigError("message_service.address_d", "is missing, but required with listen_d")
        interface_d = role.interface_d(whom, VaultsEvidence(gate, parts.roles))
        beside = authorization.server.routes() if authorization else []
        application = guarded(interface_d.application(beside), unexpected("interface D"))
        await parts.doors.open(stack, Door.D, application)
        stack.callback(interface_d.close)
    return Operator(config, gate, role.service, authorization)


async def _serve_metrics(stack: AsyncExitStack, parts: Parts, measure: Callable[[], Awaitable[None]]) -> None:
    """Serve metrics and health, whichever roles are running."""
    if parts.config.metrics is not None:
        metrics = metrics_application(parts.registry, measure, parts.health.conditions, parts.held_numbers)
        await parts.doors.open(stack, Door.METRICS, guarded(metrics, unexpected("metrics")))


async def _run_origins(stack: AsyncExitStack, parts: Parts) -> None:
    """Run the roles with pages, at the hosts of their organisations."""
    config = parts.config
    if config.message_client is not None and Role.MESSAGE_CLIENT in parts.roles:
        await _run_message_client(stack, parts, config.message_client)
    if config.governance is not None and Role.GOVERNANCE in parts.roles:
        await _run_governance(stack, parts, config.governance)


async def _run_message_client(stack: AsyncExitStack, parts: Parts, pages: MessageClientRoleConfig) -> None:
    # Imported here: pages take a while to import, and most installations have none.
    from samdrift.installation.mailing import notices
    from samdrift.installation.signin import client_profiles, sites_of, used_services
    from samdrift.messageclient.role import MessageClientRole
    from samdrift.messageclient.working import Working

    config, gate = parts.config, parts.gate
    hosts = config.hosts(Role.MESSAGE_CLIENT)
    sites = await stack.enter_async_context(sites_of(config, pages, gate, watch=parts.health.note))
    public_only = not config.federation.private_addresses
    book = await stack.enter_async_context(address_book(config.address_book, public_only=public_only))
    services = used_services(config, gate)
    profiles = client_profiles(config, services)
    working = Working(gate, services, system_clock, pages.poll_seconds, parts.health.note)
    role = MessageClientRole(
        gate, hosts, sites, system_clock, book, profiles, working.service, working.states.away_since
    )
    await stack.enter_async_context(working.running(failing("fetching", Temporary)))
    left_behind = keep_up(gate, Role.MESSAGE_CLIENT, failing("the upkeep", Temporary))
    await stack.enter_async_context(in_background(left_behind, on_failure=failing("the upkeep", Temporary)))
    hearing = in_background(role.live.hear(), on_failure=unexpected("open pages"))
    await stack.enter_async_context(hearing)
    if parts.workers is not None:
        from samdrift.installation.presence import PRESENT, SharedPresence

        presence = SharedPresence(parts.workers, role.live.presence)
        parts.commands[PRESENT] = presence.hear
        sharing = in_background(presence.share(), on_failure=unexpected("open pages"))
        await stack.enter_async_context(sharing)
    told = notices(config, gate, sites, role.assignments, system_clock, parts.health.note)
    failed = failing("notices", Temporary)
    await stack.enter_async_context(in_background(told.run(gate, failed), on_failure=failed))
    disposing = role.disposing.run(failing("disposal", Temporary))
    await stack.enter_async_context(in_background(disposing, on_failure=failing("disposal", Temporary)))
    await parts.doors.open(stack, Door.MK, role.application(unexpected("the message client")))
    stack.callback(role.live.close)


async def _run_governance(stack: AsyncExitStack, parts: Parts, pages: GovernanceConfig) -> None:
    from samdrift.governance.pages.directory import ClientDirectory
    from samdrift.governance.role import GovernanceRole
    from samdrift.installation.callingout import calling_webhooks
    from samdrift.installation.signin import sites_of

    config, gate = parts.config, parts.gate
    directory = ClientDirectory(gate)
    own = sites_of(config, pages, gate, Role.GOVERNANCE, directory.known, parts.health.note)
    office = GovernanceRole(
        gate, config.hosts(Role.GOVERNANCE), await stack.enter_async_context(own), system_clock, directory
    )
    await parts.doors.open(stack, Door.GOV, office.application(unexpected("governance")))
    await stack.enter_async_context(calling_webhooks(config, gate, office.records, parts.health.note))
    if any(one.directories for one in config.organisations):
        from samdrift.installation.directories import reading_directories

        reading = reading_directories(config, gate, office.records, parts.health.note)
        await stack.enter_async_context(reading)


async def _remind(stack: AsyncExitStack, parts: Parts, keeper: CoverKeeper) -> None:
    """Remind people of organisations with governance of pending matters."""
    config = parts.config
    asked = {Role.GOVERNANCE} | ({Role.MESSAGE_CLIENT} if config.mail is not None else set())
    roles = asked & parts.roles & config.roles
    if roles:
        from samdrift.installation.reminding import Reminders, reminded

        named = named_in_metrics(config)
        reminders = Reminders(parts.gate, system_clock, sorted(roles), keeper, per_organisation=named)
        parts.registry.register(ReminderMetrics(reminders.rows))
        await stack.enter_async_context(reminded(reminders))


async def _run_access_point(
    stack: AsyncExitStack, parts: Parts, own: AccessPointConfig, services: Services
) -> Callable[[], Awaitable[None]]:
    """Run the access point; return the function that updates its meters."""
    config, keys = parts.config, parts.keys
    shown = newest_identity(partial(identity_for_peers, keys))
    peers_tls = client_tls(shown if own.client_certificates else None, config.federation.tls_issuers)
    client = http_client(peers_tls, public_only=not config.federation.private_addresses)
    stack.push_async_callback(client.aclose)
    meters = Meters(parts.registry, per_organisation=named_in_metrics(config))
    base_model = {one.identifier for one in config.organisations if one.base_model}

    def take_up(one: OrganisationConfig) -> None:
        if one.base_model:
            base_model.add(one.identifier)

    parts.newcomers.append(take_up)
    around = ap.Surroundings(
        parts.gate,
        services.discovery,
        services.checks,
        client,
        system_clock,
        os.urandom,
        meters,
        parts.held,
        parts.pace,
    )
    role = ap.AccessPointRole(
        replace(rolesettings.access_point_settings(config, own), base_model=base_model),
        around,
        own_keys(keys, own.party).current,
        registered_clients(config),
        DEFAULT_LIMITS,
    )
    # Reachable before sending starts and until it has ended, since a message may be for an organisation here.
    await parts.doors.open(stack, Door.A, role.interface_a)
    await parts.doors.open(stack, Door.C, role.interface_c)
    if (tls := parts.called_with(Door.C)) is not None:
        parts.local[Door.C] = await stack.enter_async_context(called_here(role.interface_c, tls))
    await stack.enter_async_context(role.working())
    return role.queue_lengths.measure


def own_dependencies(config: Config, gate: Gate, keys: KeyStore) -> Mapping[str, Try]:
    """Return the installation's own dependencies, and for each a function that tries to reach it."""

    before = keys.keys(OPERATOR_KEYS)

    def keys_are_there() -> None:
        """Check for keys that existed at the start, because a missing folder reads like one without keys."""
        for folder in (config.vaults.secrets, config.vaults.seals):
            if not folder.is_dir():
                raise KeyStoreAway(shown(folder))
        if before and not keys.keys(OPERATOR_KEYS):
            secrets = shown(config.vaults.secrets)
            raise KeyStoreError(KeyFault.MISSING, f"{secrets}: the operator's keys are not there any more")

    async def key_store() -> None:
        await asyncio.to_thread(keys_are_there)

    async def objects() -> None:
        """Add the place of the store to its errors, which omit it because they are shown more widely."""
        try:
            await gate.reach_objects()
        except VaultUnavailable as gone:
            cause = gone.cause.removeprefix("object store")
            raise VaultUnavailable(f"object store at {where}{cause}") from None

    async def database() -> None:
        """Add the place of the database to a timeout; its own errors already name it."""
        try:
            async with asyncio.timeout(_SILENCE):
                await time.reach()
        except TimeoutError:
            place = database_in_words(config.vaults.database)
            raise VaultUnavailable(f"no answer in time at {place}") from None

    where = place_in_words(config.vaults)
    time = SharedTime(gate.reach, system_clock)
    tries: dict[str, Try] = {
        Dependency.DATABASE: database,
        Dependency.CLOCK: time.agrees,
        Dependency.OBJECTS: objects,
        Dependency.KEY_STORE: key_store,
    }
    if config.malware is not None and config.malware.clamd is not None:
        tries[Dependency.SCANNER] = proven_scanner(config.malware, config.malware.clamd).check
    return tries


async def _run_message_service(
    stack: AsyncExitStack,
    parts: Parts,
    own: MessageServiceConfig,
    services: Services,
    profiles: dict[ParticipantIdentifier, OrganisationProfile],
) -> mt.MessageServiceRole:
    """Run the message service for the organisations in ``profiles``, including ones added later."""
    config, gate, watch = parts.config, parts.gate, parts.health.note
    connections = await stack.enter_async_context(AsyncExitStack())  # Closed only after polling has ended.
    local = parts.local.get(Door.C)
    access_points = {
        organisation.identifier: connected_later(connections, organisation, gate, config, watch, local)
        for organisation in config.organisations
        if Role.MESSAGE_SERVICE in organisation.roles
    }
    if config.malware is None:
        raise LookupError("the configuration says nothing about malicious code")
    public_only = not config.federation.private_addresses
    around = mt.Surroundings(
        gate,
        services.discovery,
        services.checks,
        await stack.enter_async_context(
            address_book(config.address_book, public_only=public_only, watch=watch)
        ),
        malware_scanner(config.malware, watch),
        access_points,
        system_clock,
        os.urandom,
        parts.held,
        parts.pace,
    )
    role = mt.MessageServiceRole(rolesettings.message_service_settings(config, own), around, profiles)
    await stack.enter_async_context(role.working())

    def take_up(one: OrganisationConfig) -> None:
        if Role.MESSAGE_SERVICE in one.roles:
            access_point = connected_later(connections, one, gate, config, watch, local)
            role.serve(rolesettings.profile(one), access_point)

    parts.newcomers.append(take_up)
    return role


@contextlib.asynccontextmanager
async def submitting(config: Config, gate: Gate) -> AsyncIterator[MessageService]:
    """Provide a message service that only stores messages, for a running installation to send.

    It does not use the address book. :class:`Unusable` if the configuration does not have the role ``mt``.
    """
    if config.message_service is None or config.malware is None:
        raise Unusable("the configuration has no message service")
    gate.covered_by(
        CoverKeeper(
            gate,
            system_clock,
            config.roles,
            canaries=canaries_of(config),
            operator=operator_of(config),
        )
    )
    settings = replace(rolesettings.message_service_settings(config, config.message_service), parallel=0)
    async with shared_services(config) as services:
        around = mt.Surroundings(
            gate,
            services.discovery,
            services.checks,
            NoAddressBook(),
            malware_scanner(config.malware),
            {},
            system_clock,
            os.urandom,
        )
        yield mt.MessageServiceRole(settings, around, rolesettings.profiles(config)).service
