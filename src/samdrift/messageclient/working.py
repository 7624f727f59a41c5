"""The worker of the message client: looks at the message services of organisations in turn, not at once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from samdrift.client.errors import InterfaceError
from samdrift.client.keys import ClientKey
from samdrift.client.mailbox import Mailbox
from samdrift.client.tokens import Tokens
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageclient.fetching import Fetching
from samdrift.net.background import in_background
from samdrift.net.client import http_client
from samdrift.net.tls import client_tls
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_ROUNDS = 20
"""Rounds after which lists are read whole, and what other clients have sent from our addresses is fetched."""
_LOGGER = logging.getLogger("samdrift")


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """The message service of one organisation, and who its message client is to it."""

    organisation: ParticipantIdentifier
    interface: str
    """Base address of interface D with its version."""
    token_endpoint: str
    client_id: str
    key: bytes = field(repr=False)
    """The private key in PEM by which it shows who it is."""
    tls_issuers: Path | None = None
    audience: str | None = None
    """The authorisation server's name in assertions; its token endpoint by default."""
    public_only: bool = True


class Working:
    """Fetches for all organisations that are served, one after the other."""

    def __init__(self, gate: Gate, settings: Sequence[ServiceSettings], clock: Clock, pause: float) -> None:
        """``pause`` is the time between two rounds, in seconds."""
        self._gate = gate
        self._settings = settings
        self._clock = clock
        self._pause = pause
        self._outages: dict[ParticipantIdentifier, str] = {}

    def outage(self, organisation: ParticipantIdentifier) -> str:
        """Return why a message service could not be used the last time; empty if it could."""
        return self._outages.get(organisation, "")

    @contextlib.asynccontextmanager
    async def running(self, on_failure: Callable[[BaseException], None]) -> AsyncIterator[None]:
        """Work while the context lasts."""
        async with AsyncExitStack() as stack:
            fetching = [(one.organisation, await self._fetching(stack, one)) for one in self._settings]
            await stack.enter_async_context(in_background(self._run(fetching), on_failure=on_failure))
            yield

    async def _fetching(self, stack: AsyncExitStack, one: ServiceSettings) -> Fetching:
        http = http_client(client_tls(trust=one.tls_issuers), public_only=one.public_only)
        stack.push_async_callback(http.aclose)
        tokens = Tokens(
            http,
            one.token_endpoint,
            one.client_id,
            ClientKey.read(one.key),
            self._clock,
            audience=one.audience,
        )
        vaults = self._gate.worker("fetching", Role.MESSAGE_CLIENT)
        return Fetching(vaults, one.organisation, Mailbox(http, one.interface, tokens), self._clock)

    async def _run(self, fetching: Sequence[tuple[ParticipantIdentifier, Fetching]]) -> None:
        for number in itertools.count():
            whole = number % _ROUNDS == 0  # Whatever the order of a list.
            for organisation, each in fetching:
                if self._gate.registry.serves(organisation, Role.MESSAGE_CLIENT):
                    await self._look(organisation, each, whole=whole)
            await asyncio.sleep(self._pause)

    async def _look(self, organisation: ParticipantIdentifier, each: Fetching, *, whole: bool) -> None:
        try:
            await each.look(whole=whole)
            for address in await self._addresses(organisation) if whole else ():
                await each.look_sent(address)
        except (InterfaceError, Temporary) as failure:
            if organisation not in self._outages:  # Once for each outage.
                _LOGGER.warning("message client: a message service cannot be used: %s", failure)
            self._outages[organisation] = str(failure)
        else:
            self._outages.pop(organisation, None)

    async def _addresses(self, organisation: ParticipantIdentifier) -> list[str]:
        vaults = self._gate.worker("fetching", Role.MESSAGE_CLIENT)
        async with vaults.open(organisation, Purpose.RECEIVE) as vault:
            return [one.address for one in await vault.mailboxes()]
