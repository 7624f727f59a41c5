"""The worker of the message client: polls the message services, and sends and deletes what is due."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from samdrift.client.errors import InterfaceError
from samdrift.client.keys import Authenticator, ClientKey, KeptKey
from samdrift.client.mailbox import Mailbox
from samdrift.client.tokens import Places, Tokens
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.messageclients import CONNECTIONS
from samdrift.contracts.principals import Purpose, Role
from samdrift.entrance.ownkeys import OwnKeys
from samdrift.messageclient.deleting import Deleting, DeletionRule
from samdrift.messageclient.fetching import Fetching
from samdrift.messageclient.polling import Client, Polling, ServiceStates, Watch
from samdrift.messageclient.sending import LEASE, Sending
from samdrift.net.background import in_background
from samdrift.net.client import http_client, unwatched
from samdrift.net.tls import TlsContext, client_tls
from samdrift.scheduling.claims import Leftovers
from samdrift.scheduling.dispatch import Dispatcher
from samdrift.scheduling.rounds import Rounds, Served
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_DELETE_EVERY = 3600.0
"""Seconds between two rounds of deletion at a message service."""
_DELETE_APART = 1.0
"""Seconds between the starts of deletion for two organisations."""
_LOOK_EVERY = 2.0
"""Seconds between checks for due messages, so that one leaves soon after its undo window."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """The message service of one organisation, and the message client's credentials for it."""

    organisation: ParticipantIdentifier
    interface: str
    """Base address of interface D, including its version."""
    token_endpoint: str
    client_id: str
    key: bytes | OwnKeys = field(repr=False)
    """The private key for authentication: in PEM, or in the organisation's vault."""
    tls_issuers: Path | None = None
    audience: str | None = None
    """Name of the authorisation server in assertions; by default its token endpoint."""
    public_only: bool = True
    deletion: DeletionRule | None = None
    """Without a rule, all messages are kept at the message service."""
    ours: bool = False
    """True if the message service is part of this installation."""

    def authentication(self) -> Authenticator:
        """Return the means of authentication; raises :class:`KeyUnusable` for an unusable key file."""
        return KeptKey(self.key.tokens) if isinstance(self.key, OwnKeys) else ClientKey.read(self.key)


class Working:
    """Background work of the message client for all organisations: polling, sending, deleting."""

    def __init__(
        self,
        gate: Gate,
        settings: Sequence[ServiceSettings],
        clock: Clock,
        pause: float,
        watch: Watch = unwatched,
    ) -> None:
        """``pause`` is the length of a round of polling, in seconds."""
        self._gate = gate
        self._settings = settings
        self._clock = clock
        self._pause = pause
        self.states = ServiceStates(clock, watch)
        self._services: Mapping[ParticipantIdentifier, Mailbox] = {}

    def service(self, organisation: ParticipantIdentifier) -> Mailbox | None:
        """Return an organisation's message service, for requests of its people, while running."""
        return self._services.get(organisation)

    @contextlib.asynccontextmanager
    async def running(self, on_failure: Callable[[BaseException], None]) -> AsyncIterator[None]:
        """Run the background work while the context lasts."""
        async with AsyncExitStack() as stack:
            bundles = {one.tls_issuers for one in self._settings}
            places = defaultdict[str, Places](Places)
            trusting = {bundle: client_tls(trust=bundle) for bundle in bundles}
            services = {
                one.organisation: await self._service(
                    stack, one, trusting[one.tls_issuers], places[urlsplit(one.token_endpoint).netloc]
                )
                for one in self._settings
            }
            self._services = services
            clients = self._clients(services)
            polling, sending = self._polling(clients, on_failure), self._sending(clients, on_failure)
            work = [*polling.work(), sending, self._deleting(clients, on_failure)]
            await stack.enter_async_context(in_background(*work, on_failure=on_failure))
            yield

    async def _service(
        self, stack: AsyncExitStack, one: ServiceSettings, tls: TlsContext, places: Places
    ) -> Mailbox:
        """Return a client of one organisation's message service.

        ``tls`` has no client identity: organisations share it, since reading a bundle of issuers takes 5 ms.
        ``places`` limits the concurrent requests to the authorisation server.
        """
        http = http_client(tls, public_only=one.public_only, connections=CONNECTIONS)
        stack.push_async_callback(http.aclose)
        tokens = Tokens(
            http,
            one.token_endpoint,
            one.client_id,
            one.authentication(),
            self._clock,
            audience=one.audience,
            places=places,
        )
        return Mailbox(http, one.interface, tokens)

    def _clients(self, services: Mapping[ParticipantIdentifier, Mailbox]) -> list[Client]:
        vaults = self._gate.worker("fetching", Role.MESSAGE_CLIENT)

        async def hurry(organisation: ParticipantIdentifier, remote_ids: Collection[str]) -> None:
            async with vaults.open(organisation, Purpose.SEND) as vault:
                vault.hurry_mail(remote_ids, now=self._clock())

        return [
            Client(
                one.organisation,
                urlsplit(one.interface).netloc,
                services[one.organisation],
                Fetching(vaults, one.organisation, services[one.organisation], self._clock),
                partial(hurry, one.organisation),
                one.ours,
            )
            for one in self._settings
        ]

    def _polling(self, clients: Sequence[Client], on_failure: Callable[[BaseException], None]) -> Polling:
        vaults = self._gate.worker("fetching", Role.MESSAGE_CLIENT)

        async def addresses(organisation: ParticipantIdentifier) -> list[str]:
            async with vaults.open(organisation, Purpose.RECEIVE) as vault:
                return [one.address for one in await vault.mailboxes()]

        return Polling(
            clients,
            self.states,
            pause=self._pause,
            serves=self._works_for,
            leases=self._gate.leases,
            addresses=addresses,
            on_failure=on_failure,
        )

    async def _deleting(self, clients: Sequence[Client], on_failure: Callable[[BaseException], None]) -> None:
        """Delete periodically for organisations that have chosen deletion.

        Each runs on its own, so that a slow message service delays no other organisation.
        """
        vaults = self._gate.worker("deletion", Role.MESSAGE_CLIENT)
        rules = {one.organisation: one.deletion for one in self._settings}
        deleting = [
            Deleting(vaults, each.organisation, each.service, rule, self._clock)
            for each in clients
            if (rule := rules[each.organisation]) is not None
        ]
        async with asyncio.TaskGroup() as tasks:
            for place, one in enumerate(deleting):
                tasks.create_task(self._delete_for(one, place * _DELETE_APART, on_failure))

    async def _delete_for(
        self, one: Deleting, after: float, on_failure: Callable[[BaseException], None]
    ) -> None:
        await asyncio.sleep(after)
        while True:
            try:
                if self._works_for(one.organisation):
                    async with self._gate.leases.working(one.organisation, Role.MESSAGE_CLIENT):
                        await one.turn()
            except (InterfaceError, Temporary):
                pass  # A polling round reports this, once.
            except Exception as error:  # A failure of one organisation must not stop the others.
                on_failure(error)
            await asyncio.sleep(_DELETE_EVERY)

    async def _sending(self, clients: Sequence[Client], on_failure: Callable[[BaseException], None]) -> None:
        """Send for organisations with due work, which the registry knows without opening their vaults."""
        role, vaults = Role.MESSAGE_CLIENT, self._gate.worker("sending", Role.MESSAGE_CLIENT)
        senders = {
            each.organisation: Sending(vaults, each.organisation, each.service, self._clock, each.hearing)
            for each in clients
        }

        served = Served(senders, self._works_for, lambda: self._gate.registry.version)
        rounds = Rounds(partial(self._gate.due, role), served, self._clock)
        left = Leftovers(self._gate.claimant, LEASE, self._clock, self._gate.leases, role)

        async def due(until: datetime) -> list[tuple[ParticipantIdentifier, datetime]]:
            return await left.asked(rounds.due, until)

        async def turn(organisation: ParticipantIdentifier) -> datetime | None:
            async with self._gate.leases.working(organisation, role):
                if ended := left.of(organisation):
                    await senders[organisation].release(ended)
                    left.done(organisation)
                return await senders[organisation].turn()

        dispatcher = Dispatcher(turn, self._clock, on_failure=on_failure)
        self._gate.leases.on_gain(dispatcher.look)
        along = rounds.go_along(self._gate.visits.listen(role), role, dispatcher.wake)
        async with in_background(along, on_failure=on_failure):
            await dispatcher.run(due, _LOOK_EVERY)

    def _works_for(self, organisation: ParticipantIdentifier) -> bool:
        return self._gate.registry.works_for(organisation, Role.MESSAGE_CLIENT)
