"""The worker of the message client: fetches from message services in turn, and sends what is due."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from samdrift.client.errors import InterfaceError
from samdrift.client.keys import ClientKey, KeptKey, ShowsWho
from samdrift.client.mailbox import Mailbox
from samdrift.client.tokens import Tokens
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageclient.entrance.ownkeys import OwnKeys
from samdrift.messageclient.fetching import Fetching
from samdrift.messageclient.sending import Sending
from samdrift.net.background import in_background
from samdrift.net.client import http_client
from samdrift.net.tls import client_tls
from samdrift.scheduling.dispatch import Dispatcher
from samdrift.scheduling.rounds import Rounds
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_ROUNDS = 20
"""Rounds after which lists are read whole, and what other clients have sent from our addresses is fetched."""
_LOOK_EVERY = 2.0
"""Seconds between two questions of what is due: a message is on its way soon after its undo window."""
_LOGGER = logging.getLogger("samdrift")


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """The message service of one organisation, and who its message client is to it."""

    organisation: ParticipantIdentifier
    interface: str
    """Base address of interface D with its version."""
    token_endpoint: str
    client_id: str
    key: bytes | OwnKeys = field(repr=False)
    """The private key by which it shows who it is: in PEM, or in its vault."""
    tls_issuers: Path | None = None
    audience: str | None = None
    """The authorisation server's name in assertions; its token endpoint by default."""
    public_only: bool = True

    def shows_who(self) -> ShowsWho:
        """Return what shows who the message client is; :class:`KeyUnusable` for a file that will not do."""
        return KeptKey(self.key.tokens) if isinstance(self.key, OwnKeys) else ClientKey.read(self.key)


class Working:
    """Fetches for all organisations, one after the other, and sends for each when something is due."""

    def __init__(self, gate: Gate, settings: Sequence[ServiceSettings], clock: Clock, pause: float) -> None:
        """``pause`` is the time between two rounds, in seconds."""
        self._gate = gate
        self._settings = settings
        self._clock = clock
        self._pause = pause
        self._outages: dict[ParticipantIdentifier, str] = {}
        self._services: Mapping[ParticipantIdentifier, Mailbox] = {}

    def service(self, organisation: ParticipantIdentifier) -> Mailbox | None:
        """Return the message service of an organisation, for what a person asks of it; while it runs."""
        return self._services.get(organisation)

    def outage(self, organisation: ParticipantIdentifier) -> str:
        """Return why a message service could not be used the last time; empty if it could."""
        return self._outages.get(organisation, "")

    @contextlib.asynccontextmanager
    async def running(self, on_failure: Callable[[BaseException], None]) -> AsyncIterator[None]:
        """Work while the context lasts."""
        async with AsyncExitStack() as stack:
            services = {one.organisation: await self._service(stack, one) for one in self._settings}
            self._services = services
            sending = self._sending(services, on_failure)
            await stack.enter_async_context(
                in_background(self._run(self._fetching(services), on_failure), sending, on_failure=on_failure)
            )
            yield

    async def _service(self, stack: AsyncExitStack, one: ServiceSettings) -> Mailbox:
        http = http_client(client_tls(trust=one.tls_issuers), public_only=one.public_only)
        stack.push_async_callback(http.aclose)
        tokens = Tokens(
            http,
            one.token_endpoint,
            one.client_id,
            one.shows_who(),
            self._clock,
            audience=one.audience,
        )
        return Mailbox(http, one.interface, tokens)

    def _fetching(
        self, services: Mapping[ParticipantIdentifier, Mailbox]
    ) -> list[tuple[ParticipantIdentifier, Fetching]]:
        vaults = self._gate.worker("fetching", Role.MESSAGE_CLIENT)
        return [(each, Fetching(vaults, each, service, self._clock)) for each, service in services.items()]

    async def _sending(
        self, services: Mapping[ParticipantIdentifier, Mailbox], on_failure: Callable[[BaseException], None]
    ) -> None:
        """Send where something is due; the registry knows, so that no vault is opened to look."""
        role, vaults = Role.MESSAGE_CLIENT, self._gate.worker("sending", Role.MESSAGE_CLIENT)
        senders = {each: Sending(vaults, each, service, self._clock) for each, service in services.items()}

        def served() -> list[ParticipantIdentifier]:
            return [each for each in senders if self._gate.registry.serves(each, role)]

        rounds = Rounds(partial(self._gate.due, role), served, self._clock)
        dispatcher = Dispatcher(lambda each: senders[each].turn(), self._clock, on_failure=on_failure)
        await dispatcher.run(rounds.due, _LOOK_EVERY)

    async def _run(
        self,
        fetching: Sequence[tuple[ParticipantIdentifier, Fetching]],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        for number in itertools.count():
            whole = number % _ROUNDS == 0  # Whatever the order of a list.
            for organisation, each in fetching:
                if self._gate.registry.serves(organisation, Role.MESSAGE_CLIENT):
                    try:
                        await self._look(organisation, each, whole=whole)
                    except Exception as error:  # No fault of one organisation holds up another.
                        on_failure(error)
            await asyncio.sleep(self._pause)

    async def _look(self, organisation: ParticipantIdentifier, each: Fetching, *, whole: bool) -> None:
        try:
            await each.look(whole=whole)
            for address in await self._addresses(organisation) if whole else ():
                await each.look_sent(address)
        except (InterfaceError, Temporary) as failure:
            if organisation not in self._outages:  # Once for each outage.
                told = failure.for_logs if isinstance(failure, InterfaceError) else str(failure)
                _LOGGER.warning("message client: a message service cannot be used: %s", told)
            self._outages[organisation] = str(failure)
        else:
            self._outages.pop(organisation, None)

    async def _addresses(self, organisation: ParticipantIdentifier) -> list[str]:
        vaults = self._gate.worker("fetching", Role.MESSAGE_CLIENT)
        async with vaults.open(organisation, Purpose.RECEIVE) as vault:
            return [one.address for one in await vault.mailboxes()]
