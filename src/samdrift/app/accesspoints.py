"""Connects the message service with each organisation's access point, ours or another supplier's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from samdrift.app.config import Config, DomibusConfig, OrganisationConfig
from samdrift.app.replaceable import newest_identity
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.contracts.transfer import AccessPoint
from samdrift.messageservice.transfers import under_way
from samdrift.net.clock import system_clock
from samdrift.net.domibus import DomibusAccessPoint, DomibusSettings, Login, Plugin
from samdrift.net.http import http_client
from samdrift.net.interface_c import HttpAccessPoint
from samdrift.net.tls import TlsIdentity, client_tls
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_WORKER = Principal(PrincipalKind.WORKER, "operator")
_DOMIBUS_SILENCE = 120.0
"""Seconds that a Domibus may take to store a large envelope before it answers."""


async def connected(
    stack: AsyncExitStack, organisation: OrganisationConfig, gate: Gate, config: Config
) -> AccessPoint:
    """The organisation's access point, over TLS with its own client certificate."""
    async with gate.open(_WORKER, organisation.identifier, Role.MESSAGE_SERVICE, Purpose.MAINTAIN) as vault:
        own = newest_identity(vault.tls_client())
    if organisation.domibus is not None:
        return _domibus(stack, organisation.identifier, organisation.domibus, gate, own)
    client = http_client(client_tls(own, config.inner_issuers), public_only=False, connections=16)
    stack.push_async_callback(client.aclose)
    return HttpAccessPoint(client, organisation.access_point)


def _domibus(
    stack: AsyncExitStack,
    organisation: ParticipantIdentifier,
    own: DomibusConfig,
    gate: Gate,
    identity: Callable[[], TlsIdentity],
) -> DomibusAccessPoint:
    """A Domibus gets the client certificate too, if it asks for one."""
    tls = client_tls(identity, own.issuers)
    client = http_client(tls, public_only=False, connections=16, seconds=_DOMIBUS_SILENCE)
    stack.push_async_callback(client.aclose)
    login = Login(own.user, own.password_file) if own.password_file is not None else None
    return DomibusAccessPoint(
        DomibusSettings(organisation, own.party, own.message_id_domain, own.poll_seconds),
        Plugin(client, own.url, login),
        partial(under_way, gate, organisation),
        system_clock,
    )
