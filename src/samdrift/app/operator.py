"""One operator's installation put together from its configuration, and run while a context lasts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute

from samdrift.accesspoint import role as ap
from samdrift.accesspoint.meters import Meters
from samdrift.app import rolesettings
from samdrift.app.accesspoints import connected_later
from samdrift.app.addressbook import address_book
from samdrift.app.authorization import Authorizing, authorizing
from samdrift.app.config import AccessPointConfig, Config, MessageServiceConfig, SocketAddress
from samdrift.app.control import control_folder, controlled
from samdrift.app.expiry import Expiries, expiry_gauge, watching
from samdrift.app.malware import malware_scanner
from samdrift.app.metrics import metrics_application
from samdrift.app.passphrase import read_passphrase
from samdrift.app.replaceable import (
    OPERATOR_KEYS,
    identity_for_peers,
    newest_identity,
    own_keys,
    registered_clients,
)
from samdrift.app.services import Services, shared_services
from samdrift.app.tokens import token_settings
from samdrift.app.toml import ConfigError
from samdrift.app.unlocking import UNLOCK, unlocking
from samdrift.audit.operations import unexpected
from samdrift.contracts.principals import Role
from samdrift.messageservice import role as mt
from samdrift.messageservice.access import Authorization
from samdrift.messageservice.interfaced.application import InterfaceD
from samdrift.messageservice.service import MessageService
from samdrift.net.clock import system_clock
from samdrift.net.guard import guarded
from samdrift.net.http import http_client
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import client_tls, server_tls
from samdrift.vault.gate import Gate
from samdrift.vault.keys.opened import open_keys
from samdrift.vault.keys.store import KeyStore
from samdrift.vault.settings import VaultSettings
from samdrift.wire.as4 import DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class Operator:
    """A running installation."""

    config: Config
    gate: Gate
    service: MessageService | None
    authorization: Authorizing | None = None
    """Who may use interface D; with ``address_d`` in the configuration."""

    @property
    def messages(self) -> MessageService:
        """The message service; an installation without role ``mt`` has none."""
        if self.service is None:
            raise LookupError("this installation does not run the role mt")
        return self.service


def vault_settings(config: Config) -> VaultSettings:
    """The vaults' settings, with the passphrase read from where it is."""
    return VaultSettings(
        database=config.vaults.database,
        objects=config.vaults.objects,
        secrets=config.vaults.secrets,
        seals=config.vaults.seals,
        passphrase=read_passphrase(config.vaults),
        tokens=token_settings(
            config.vaults.tokens, {each.identifier: each.token for each in config.organisations}
        ),
    )


@contextlib.asynccontextmanager
async def running(
    config: Config,
    roles: frozenset[Role] = frozenset(Role),
    clients: Authorization | None = None,
) -> AsyncIterator[Operator]:
    """Run the configured ones of ``roles``; everything is reachable when the context is entered.

    ``clients`` tells whom interface D is for, instead of those who are configured for that.
    """
    settings = vault_settings(config)
    async with AsyncExitStack() as stack:
        keys = open_keys(settings)
        gate = await Gate.start(settings, roles=roles, keys=keys)
        stack.push_async_callback(gate.close)
        services = await stack.enter_async_context(shared_services(config))
        registry = CollectorRegistry()
        if config.access_point is not None and Role.ACCESS_POINT in roles:
            await _run_access_point(stack, config, config.access_point, gate, services, keys, registry)
        expiries = Expiries(keys, gate.registry, system_clock, _named(config), expiry_gauge(registry))
        await stack.enter_async_context(watching(expiries))
        service = authorization = None
        if config.message_service is not None and Role.MESSAGE_SERVICE in roles:
            own = config.message_service
            if own.address_d:
                authorization = await stack.enter_async_context(authorizing(config, own, gate))
            role = await _run_message_service(stack, config, own, gate, services)
            service = role.service
            if own.listen_d is not None:
                whom = clients or (authorization.tokens if authorization else None)
                if whom is None:
                    raise ConfigError("message_service.address_d", "is missing, and there is a listen_d")
                beside = authorization.server.routes() if authorization else []
                await _serve_interface_d(stack, own.listen_d, role.interface_d(whom), beside, keys)
        await stack.enter_async_context(
            controlled(control_folder(config.vaults), {UNLOCK: unlocking(gate, keys)})
        )
        yield Operator(config, gate, service, authorization)


async def _run_access_point(
    stack: AsyncExitStack,
    config: Config,
    own: AccessPointConfig,
    gate: Gate,
    services: Services,
    keys: KeyStore,
    registry: CollectorRegistry,
) -> None:
    identity = newest_identity(partial(keys.tls_server, OPERATOR_KEYS))
    shown = newest_identity(partial(identity_for_peers, keys))
    peers_tls = client_tls(shown if own.client_certificates else None, config.federation.tls_issuers)
    client = http_client(peers_tls, public_only=not config.federation.private_addresses)
    stack.push_async_callback(client.aclose)
    meters = Meters(registry, per_organisation=_named(config))
    around = ap.Surroundings(
        gate, services.discovery, services.checks, client, system_clock, os.urandom, meters
    )
    role = ap.AccessPointRole(
        rolesettings.access_point_settings(config, own),
        around,
        own_keys(keys, own.party).current,
        registered_clients(config),
        DEFAULT_LIMITS,
    )
    await stack.enter_async_context(role.working())
    tls_a = server_tls(identity, config.federation.tls_issuers if own.client_certificates else None)
    tls_c = server_tls(identity, config.inner_issuers)
    socket_a = listening_socket(own.listen.host, own.listen.port)
    socket_c = listening_socket(own.listen_c.host, own.listen_c.port)
    await stack.enter_async_context(serving(role.interface_a, socket_a, tls=tls_a.serving))
    await stack.enter_async_context(serving(role.interface_c, socket_c, tls=tls_c.serving))
    if config.metrics is not None:
        metrics = guarded(metrics_application(registry, role.queue_lengths.measure), unexpected("metrics"))
        socket = listening_socket(config.metrics.listen.host, config.metrics.listen.port)
        await stack.enter_async_context(serving(metrics, socket))


def _named(config: Config) -> bool:
    """Whether metrics name organisations."""
    return config.metrics is not None and config.metrics.per_organisation


async def _run_message_service(
    stack: AsyncExitStack, config: Config, own: MessageServiceConfig, gate: Gate, services: Services
) -> mt.MessageServiceRole:
    access_points = {
        organisation.identifier: connected_later(stack, organisation, gate, config)
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
        await stack.enter_async_context(address_book(config.address_book, public_only=public_only)),
        malware_scanner(config.malware),
        access_points,
        system_clock,
        os.urandom,
    )
    role = mt.MessageServiceRole(
        rolesettings.message_service_settings(config, own), around, rolesettings.profiles(config)
    )
    await stack.enter_async_context(role.working())
    return role


async def _serve_interface_d(
    stack: AsyncExitStack,
    listen: SocketAddress,
    interface_d: InterfaceD,
    beside: Sequence[BaseRoute],
    keys: KeyStore,
) -> None:
    tls = server_tls(newest_identity(partial(keys.tls_server, OPERATOR_KEYS)))
    application = guarded(interface_d.application(beside), unexpected("interface D"))
    socket = listening_socket(listen.host, listen.port)
    await stack.enter_async_context(serving(application, socket, tls=tls.serving))
    stack.callback(interface_d.close)
