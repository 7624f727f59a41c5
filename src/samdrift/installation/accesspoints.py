"""Connections from the message service to the access point of each organisation, ours or a supplier's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from samdrift.config.kinds import is_loopback
from samdrift.config.model import Config, DomibusConfig, OrganisationConfig
from samdrift.contracts.hold import Hold
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import (
    OVER_A_NETWORK,
    WITHIN_A_PROCESS,
    AccessPoint,
    Poll,
    Submission,
    TransferUnavailable,
)
from samdrift.domibus import DomibusAccessPoint, DomibusSettings, Login, Plugin
from samdrift.installation.listeners import CONNECTIONS_TO_ACCESS_POINT
from samdrift.installation.replaceable import newest_identity
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.messageservice.lifecycle.transfers import under_way
from samdrift.net.client import HttpClient, http_client
from samdrift.net.clock import system_clock
from samdrift.net.inprocess import InProcess, LocalApplication
from samdrift.net.interface_c import HttpAccessPoint
from samdrift.net.tls import TlsIdentity, client_tls
from samdrift.vault.errors import VaultLocked
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

Watch = Callable[[str, str, str, datetime], None]
"""Callback for each call: kind of service, host, reason for failure (empty on success), start of the call."""
_SILENCE = 10.0
"""Seconds that an access point may stay silent at any step of a call; polls have their own limit."""
_DOMIBUS_SILENCE = 120.0
"""Seconds that a Domibus may take to store a large envelope before it answers."""


def connected_later(
    stack: AsyncExitStack,
    organisation: OrganisationConfig,
    gate: Gate,
    config: Config,
    watch: Watch = lambda *told: None,
    local: LocalApplication | None = None,
) -> AccessPoint:
    """Return the organisation's access point, which is connected on first use.

    ``local`` is interface C of this process; it is called directly where it is the organisation's access
    point. Issuer bundles that cannot be used are reported immediately.
    """
    client_tls(None, organisation.domibus.issuers if organisation.domibus else config.inner_issuers)
    where = urlsplit(organisation.domibus.url if organisation.domibus else organisation.access_point)
    told = partial(watch, "access-point", where.netloc)
    ours = organisation.domibus is None and is_ours(config, organisation.access_point)
    return LaterAccessPoint(partial(connected, stack, organisation, gate, config, local), told, ours=ours)


class LaterAccessPoint:
    """An access point to which a connection is opened on first use.

    An organisation that is suspended, not ready yet, or whose vault is locked does not prevent others from
    being served: requests to its access point wait.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[AccessPoint]],
        watch: Callable[[str, datetime], None] = lambda reason, began: None,
        *,
        ours: bool = False,
    ) -> None:
        """``watch`` is notified of each call: the reason for failure, empty on success, and the start.

        ``ours`` marks this installation's own access point. If that one waits for its database, ``watch`` is
        not notified, because the database has a state of its own.
        """
        self._connect = connect
        self._watch = watch
        self._ours = ours
        self._access_point: AccessPoint | None = None
        self._connecting = asyncio.Lock()

    async def submit(
        self, envelope_id: str, conversation_id: str, body: bytes | AsyncIterable[bytes]
    ) -> Submission:
        async with self._watched() as access_point:
            return await access_point.submit(envelope_id, conversation_id, body)

    @property
    def longest_wait(self) -> float:
        """Return the longest wait of a poll at the access point, or 0 before it is connected."""
        return 0.0 if self._access_point is None else self._access_point.longest_wait

    async def poll(self, after: int, wait: float, taken: Collection[str] = (), past: str = "") -> Poll:
        async with self._watched() as access_point:
            return await access_point.poll(after, wait, taken, past)

    async def fetch(self, item_id: str) -> AsyncGenerator[bytes, None]:
        async with (
            self._watched() as access_point,
            contextlib.aclosing(access_point.fetch(item_id)) as pieces,
        ):
            async for piece in pieces:
                yield piece

    async def acknowledge(self, item_id: str) -> None:
        async with self._watched() as access_point:
            await access_point.acknowledge(item_id)

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[AccessPoint]:
        access_point, began = await self._connected(), system_clock()
        try:
            yield access_point
        except TransferUnavailable as error:
            if not (self._ours and error.waits_for == Hold.DATABASE):
                self._watch(error.text, began)
            raise
        self._watch("", began)

    async def _connected(self) -> AccessPoint:
        async with self._connecting:
            if self._access_point is None:
                try:
                    self._access_point = await self._connect()
                except VaultLocked as error:
                    raise TransferUnavailable(error.text) from None
                except KeyStoreError as error:
                    raise TransferUnavailable(f"the access point cannot be called: {error.text}") from None
            return self._access_point


async def connected(
    stack: AsyncExitStack,
    organisation: OrganisationConfig,
    gate: Gate,
    config: Config,
    local: LocalApplication | None = None,
) -> AccessPoint:
    """Connect with the organisation's own client certificate, over TLS or directly to ``local``."""
    vaults = gate.worker("operator", Role.MESSAGE_SERVICE)
    async with vaults.open(organisation.identifier, Purpose.MAINTAIN) as vault:
        own = newest_identity(vault.tls_client())
    if organisation.domibus is not None:
        return _domibus(stack, organisation.identifier, organisation.domibus, gate, own)
    tls, name = client_tls(own, config.inner_issuers), name_of_own(config, organisation.access_point)
    if local is not None and is_own_listener(config, organisation.access_point):
        name = name or urlsplit(organisation.access_point).hostname or ""
        way = InProcess(local, tls, server_name=name, connections=CONNECTIONS_TO_ACCESS_POINT)
        client, longest_wait = HttpClient(way, silence=_SILENCE), WITHIN_A_PROCESS
    else:
        longest_wait = OVER_A_NETWORK
        client = http_client(
            tls,
            public_only=False,
            connections=CONNECTIONS_TO_ACCESS_POINT,
            seconds=_SILENCE,
            server_name=name,
        )
    stack.push_async_callback(client.aclose)
    return HttpAccessPoint(client, organisation.access_point, longest_wait)


def is_own_listener(config: Config, access_point: str) -> bool:
    """Return whether a URL is exactly the host and port where interface C of this installation listens.

    Another name of the same host does not count: a different server may answer there.
    """
    own, where = config.access_point, urlsplit(access_point)
    here = own is not None and (where.hostname, where.port) == (own.listen_c.host, own.listen_c.port)
    return here and where.scheme == "https"


def name_of_own(config: Config, access_point: str) -> str | None:
    """Return the TLS server name to expect from this installation's own access point at a loopback address.

    No issuer certifies a loopback address. The certificate is the one that peers see, so it names the host of
    the access point's public address. ``None`` for any other access point, which is verified by its own
    address.
    """
    own = config.access_point
    if own is None or not is_own_listener(config, access_point) or not is_loopback(own.listen_c.host):
        return None
    return urlsplit(own.address).hostname


def is_ours(config: Config, access_point: str) -> bool:
    """Return whether an access point on interface C is this installation's, with the same dependencies."""
    own, where = config.access_point, urlsplit(access_point)
    if own is None or where.port != own.listen_c.port:
        return False
    return where.hostname in (own.listen_c.called, urlsplit(own.address).hostname)


def _domibus(
    stack: AsyncExitStack,
    organisation: ParticipantIdentifier,
    own: DomibusConfig,
    gate: Gate,
    identity: Callable[[], TlsIdentity],
) -> DomibusAccessPoint:
    """Connect to a Domibus, presenting the client certificate if it asks for one."""
    tls = client_tls(identity, own.issuers)
    client = http_client(
        tls, public_only=False, connections=CONNECTIONS_TO_ACCESS_POINT, seconds=_DOMIBUS_SILENCE
    )
    stack.push_async_callback(client.aclose)
    login = Login(own.user, own.password_file) if own.password_file is not None else None
    return DomibusAccessPoint(
        DomibusSettings(organisation, own.party, own.message_id_domain, own.poll_seconds),
        Plugin(client, own.url, login),
        partial(under_way, gate, organisation),
        system_clock,
    )
