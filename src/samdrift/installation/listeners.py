"""Listeners for the applications of an installation, at its own addresses or behind its front."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Protocol

from starlette.types import ASGIApp

from samdrift.audit.operations import summarised
from samdrift.config.model import Config, SocketAddress
from samdrift.config.toml import ConfigError
from samdrift.contracts import messageclients
from samdrift.contracts.principals import Role
from samdrift.installation.doors import ROLES, Door
from samdrift.net.forwarding import behind_front
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import Servers, TlsContext, server_tls

_APART = "roles that are served apart need an address each: listen_ap, listen_mt, listen_mk, listen_gov"
CONNECTIONS_TO_ACCESS_POINT = 16
"""Maximum number of connections from one organisation's message service."""


class Doors(Protocol):
    """Listeners at which applications are served."""

    async def open(self, stack: AsyncExitStack, door: Door, application: ASGIApp) -> None:
        """Serve ``application`` until ``stack`` ends; :class:`OSError` for an address in use."""

    def tls(self, door: Door) -> TlsContext | None:
        """Return the TLS context of a door's connections.

        ``None`` without TLS, or where another process terminates it.
        """


class PublicDoors:
    """Listeners at the configured addresses, with TLS."""

    def __init__(
        self, config: Config, own: Servers, bound: Callable[[Door], socket.socket] | None = None
    ) -> None:
        """``bound`` returns sockets that are already bound; by default, each is bound when its door opens."""
        self._config = config
        self._own = own
        self._bound = bound or (lambda door: bound_socket(config, door))

    async def open(self, stack: AsyncExitStack, door: Door, application: ASGIApp) -> None:
        tls = self.tls(door)
        sock = self._bound(door)
        await stack.enter_async_context(
            serving(
                application,
                sock,
                tls=tls.serving if tls else None,
                per_address=connections_per_address(self._config, door),
                on_refused=summarised(f"{door.value}: too many connections, of one address or of all"),
            )
        )

    def tls(self, door: Door) -> TlsContext | None:
        access_point = self._config.access_point
        pages = {Door.MK: self._config.message_client, Door.GOV: self._config.governance}.get(door)
        if door is Door.METRICS or (pages is not None and pages.plain):
            return None
        if door is Door.C:
            return server_tls(self._own, self._config.inner_issuers)
        asked = door is Door.A and access_point is not None and access_point.client_certificates
        return server_tls(self._own, self._config.federation.tls_issuers if asked else None)


class InnerDoors:
    """Listeners at Unix sockets that only the front can reach."""

    def __init__(self, sockets: Mapping[Door, socket.socket]) -> None:
        self._sockets = sockets

    async def open(self, stack: AsyncExitStack, door: Door, application: ASGIApp) -> None:
        await stack.enter_async_context(serving(behind_front(application), self._sockets[door]))

    def tls(self, door: Door) -> TlsContext | None:
        return None  # The front process terminates TLS.


def connections_per_address(config: Config, door: Door) -> int:
    """Return the maximum number of connections from one address to a door; 0 for no limit.

    The limit includes room for the message services and message clients of this installation, which all
    connect from one address.
    """
    most, own = config.connections_per_address, 0
    if door is Door.C:
        own = CONNECTIONS_TO_ACCESS_POINT
    elif door is Door.D and config.message_client is not None:
        own = messageclients.CONNECTIONS
    return most + own * len(config.organisations) if most else 0


def address_of(config: Config, door: Door) -> SocketAddress | None:
    """Return the address of a door; ``None`` when the configuration does not open it."""
    access_point, message_service, metrics = config.access_point, config.message_service, config.metrics
    message_client, governance = config.message_client, config.governance
    match door:
        case Door.A:
            return access_point.listen if access_point else None
        case Door.C:
            return access_point.listen_c if access_point else None
        case Door.D:
            return message_service.listen_d if message_service else None
        case Door.MK:
            return message_client.listen if message_client else None
        case Door.GOV:
            return governance.listen if governance else None
        case Door.METRICS:
            return metrics.listen if metrics else None
        case Door.LOG:
            return None


def with_own_metrics(config: Config, roles: Collection[Role]) -> Config:
    """Return the configuration with the metrics address of a process that serves ``roles``.

    This keeps processes that each serve a role from one file from competing for one metrics address.
    """
    if config.metrics is None:
        return config
    return replace(config, metrics=replace(config.metrics, listen=config.metrics.address(roles)))


def served_doors(config: Config, roles: Collection[Role]) -> list[Door]:
    """Return the doors that a process for ``roles`` opens at configured addresses."""
    return [
        door for door in Door if ROLES.get(door) in {*roles, None} and address_of(config, door) is not None
    ]


@contextlib.contextmanager
def bound_sockets(config: Config, roles: Collection[Role]) -> Iterator[Mapping[Door, socket.socket]]:
    """Bind the addresses of all doors; close the sockets when the context ends.

    Errors are those of :func:`bound_socket`. Connections are not answered before a door opens.
    """
    with contextlib.ExitStack() as stack:
        yield {
            door: stack.enter_context(contextlib.closing(bound_socket(config, door)))
            for door in served_doors(config, roles)
        }


def bound_socket(config: Config, door: Door) -> socket.socket:
    """Return a socket bound to the door's address; :class:`OSError` names an address that is in use.

    For the metrics address, a :class:`ConfigError` also states which settings to use.
    """
    address = address_of(config, door)
    if address is None:
        raise LookupError(f"the configuration has no address for {door.value}")
    try:
        return listening_socket(address.host, address.port)
    except OSError as error:
        if door is not Door.METRICS or error.errno != errno.EADDRINUSE:
            raise
        text = f"{address.host}:{address.port}: address already in use; {_APART}"
        raise ConfigError("metrics", text) from None
