"""Polling for new messages: event streams where a message service offers them, and regular queries to all.

The organisations of one message service query it one after another, spread over the time of a round. With
events, a message is fetched as soon as one announces it, and the queries are only a safety net.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from samdrift.client.errors import InterfaceError, Refused, Unreachable
from samdrift.client.mailbox import Mailbox, ServerEvent
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.principals import Role
from samdrift.messageclient.fetching import Fetching, NotHandedOut
from samdrift.scheduling.leases import Leases, NotLeased
from samdrift.scheduling.rounds import phase
from samdrift.scheduling.ticks import last_tick
from samdrift.vault.errors import VaultError
from samdrift.wire.identifiers import ParticipantIdentifier

SERVICE = "message-service"
"""Name of the dependency in reports to the operator."""
_WHOLE = 20
"""Number of polls after which lists are read in full, and messages sent by other clients are fetched."""
_MAX_NAMED = 20
"""Maximum number of new messages fetched by the ids from events; for more, a list takes fewer requests."""
_TURN = 5.0
"""Seconds after which an organisation with much to fetch gives way to others at its message service."""
_NET = 3600.0
"""Seconds between polls of a message service by an organisation that hears its events."""
_EARLY = _NET / 4
"""Seconds by which such a poll may be early, when a stream is resumed with a new access token.

At that moment the message service has already opened its vault, and there is a connection to it.
"""
_QUIET = 300
"""Seconds that an event stream may be silent before it is considered dead."""
_TOGETHER = 1.0
"""Seconds of a round in which clients that hear events are skipped together."""
_CUT = 30.0
"""Seconds of silence after which the end of a stream may have been caused by a proxy in between."""
_AGAIN_AFTER, _MAX_PAUSE = 5.0, 300.0
"""Seconds before an event stream that ended is opened again: the first pause, and the longest."""
_NOT_OFFERED = frozenset({400, 404, 405, 406, 501})
"""HTTP statuses with which a message service without events refuses to stream."""
_OF_SENT = frozenset(
    {
        MessageStatus.SCHEDULED,
        MessageStatus.SUBMITTED,
        MessageStatus.SCHEDULED_FOR_RESEND,
        MessageStatus.ACKNOWLEDGE,
        MessageStatus.WAITING_FOR_RECEIPT,
        MessageStatus.MESSAGE_EXCHANGE_ERROR,
        MessageStatus.ACCEPTED,
        MessageStatus.REJECTED,
    }
)
"""Statuses of messages that the organisation sends, possibly from another client."""
_LOOK_AGAIN = 3600.0
"""Seconds after which a message service without events is asked for them again."""


def _named(data: str) -> tuple[str, str]:
    """Return the message id and status that an event names; empty texts if it does not name them."""
    try:
        document = json.loads(data)
        found = document["id"], document["attributes"]["messageStatus"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return "", ""
    return (found[0], found[1]) if all(isinstance(each, str) for each in found) else ("", "")


Watch = Callable[[str, str, str], None]
"""Callback with a dependency's name, its location, and the reason for its outage, empty if there is none."""


@dataclass
class Client:
    """The client of one organisation at its message service."""

    organisation: ParticipantIdentifier
    at: str
    """Host of the message service."""
    service: Mailbox
    fetching: Fetching
    hurry: Callable[[Collection[str]], Awaitable[None]]
    """Callback that asks soon for the status of sent messages, given by their ids at the message service."""
    ours: bool = False
    """True if the message service is part of this installation and shares its database and object store."""
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    looks: int = 0
    net_at: float = 0.0
    """Time of the next poll that is made in spite of events."""
    asks: bool = False
    """True while such a poll is due."""
    hears: bool = False
    """True while a stream of events is open."""
    bears_silence: bool = True
    """True until a stream has been cut off during a long silence."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: bool = False
    """True if something is new that only a list can show."""
    named: dict[str, None] = field(default_factory=dict)
    """Ids of new messages at the message service, in the order of arrival."""
    moved: set[str] = field(default_factory=set)
    """Ids of sent messages with a change of status."""
    sent: dict[str, None] = field(default_factory=dict)
    """Ids of messages with a change of status that another client may have sent."""
    missed: bool = False
    """True if another client may have sent something that no event announced."""

    def hearing(self) -> bool:
        """Return whether events currently report changes at the message service."""
        return self.hears

    def opened(self) -> None:
        """Note that a new event stream is open; whatever arrived before it has to be looked for."""
        self.hears = self.arrived = self.missed = True
        self.news.set()

    def resumed(self) -> None:
        """Note that an event stream continues where the last one ended, so that nothing was missed."""
        self.hears = True
        if self.net_at - asyncio.get_running_loop().time() <= _EARLY:
            self.asks = True
            self.news.set()

    def heard(self, event: ServerEvent) -> None:
        """Note an event: a new message, a step of a sent one, or something that is not understood."""
        identity, status = _named(event.data)
        if not (identity and status):
            self.arrived = True
        elif status == MessageStatus.NEW.value:
            self.named[identity] = None
        else:
            self.moved.add(identity)
            if status in _OF_SENT:
                self.sent[identity] = None
        self.news.set()


class ServiceStates:
    """Outages of message services: by organisation for its pages, and by service for the operator."""

    def __init__(self, clock: Clock, watch: Watch) -> None:
        self._clock = clock
        self._watch = watch
        self._away: dict[ParticipantIdentifier, tuple[str, datetime, str]] = {}

    def away_since(self, organisation: ParticipantIdentifier) -> datetime | None:
        """Return the start of the outage of an organisation's message service; ``None`` without one."""
        known = self._away.get(organisation)
        return None if known is None else known[1]

    def note(
        self, organisation: ParticipantIdentifier, at: str, reason: str, *, reported: bool = False
    ) -> None:
        """Record the result of an organisation's last use of its message service.

        A service counts as away while it is away for any of its organisations. With ``reported`` the cause is
        already reported as a dependency of its own, and only the organisation's pages show the outage.
        """
        if reason:
            _, since, _ = self._away.get(organisation, ("", self._clock(), ""))
            self._away[organisation] = at, since, "" if reported else reason
        else:
            self._away.pop(organisation, None)
        reasons = (why for where, _, why in self._away.values() if where == at and why)
        self._watch(SERVICE, at, next(reasons, ""))


class Polling:
    """Polling of message services for all organisations."""

    def __init__(
        self,
        clients: Sequence[Client],
        states: ServiceStates,
        *,
        pause: float,
        serves: Callable[[ParticipantIdentifier], bool],
        addresses: Callable[[ParticipantIdentifier], Awaitable[Sequence[str]]],
        on_failure: Callable[[BaseException], None],
        leases: Leases | None = None,
    ) -> None:
        """``pause`` is the length of a round in seconds; ``addresses`` returns an organisation's addresses.

        ``serves`` returns whether this process works for an organisation now; ``leases`` stop its work for
        others.
        """
        self._clients = clients
        self._states = states
        self._pause = pause
        self._serves = serves
        self._addresses = addresses
        self._on_failure = on_failure
        self._leases = leases or Leases()

    def work(self) -> list[Coroutine[None, None, None]]:
        """Return the coroutines to run: rounds for each message service, and events for each organisation."""
        services = defaultdict[str, list[Client]](list)
        for client in self._clients:
            services[client.at].append(client)
        rounds = [self._rounds(clients) for clients in services.values()]
        events = [each for client in self._clients for each in (self._hear(client), self._take_up(client))]
        return rounds + events

    async def _rounds(self, clients: Sequence[Client]) -> None:
        """Poll for each client once a round; the time that this takes is part of the round."""
        time = asyncio.get_running_loop().time
        due = time()
        for place, client in enumerate(clients):
            client.net_at = due + _NET * place / len(clients)
        while True:
            for client in clients:
                if asks := not client.hears or time() >= client.net_at:
                    await self._ask(client, _TURN if len(clients) > 1 else math.inf)
                due = max(due + self._pause / len(clients), time() - self._pause)
                if asks:
                    await asyncio.sleep(max(due - time(), 0))
                elif due - time() >= _TOGETHER:
                    await asyncio.sleep(last_tick(due, _TOGETHER) - time())

    async def _ask(self, client: Client, seconds: float) -> None:
        """Poll for a client, and read lists in full from time to time."""
        if client.hears:
            client.asks, client.net_at = False, asyncio.get_running_loop().time() + _NET
        await self._look(client, whole=client.looks % _WHOLE == 0, seconds=seconds)
        client.looks += 1

    async def _hear(self, client: Client) -> None:
        """Listen to the events of a message service, and reconnect when a stream ends.

        The first stream ends before its token does, so that all organisations do not renew theirs together.
        """
        pause, last = _AGAIN_AFTER, ""
        time = asyncio.get_running_loop().time
        heard_at, in_step = time(), True

        def placed(place: str) -> None:
            nonlocal last, heard_at
            last, heard_at = place, time()

        def opened() -> None:
            (client.resumed if last else client.opened)()
            if in_step:
                end.reschedule(time() + client.service.token_left() * phase(client.organisation))

        while True:
            await self._leases.until_held(client.organisation, Role.MESSAGE_CLIENT)
            wait, began, renews = pause, time(), False
            try:
                if self._serves(client.organisation):
                    async with (
                        self._leases.working(client.organisation, Role.MESSAGE_CLIENT),
                        asyncio.timeout(None) as end,
                    ):
                        async for event in client.service.events(
                            last,
                            opened=opened,
                            placed=placed,
                            wait=_QUIET if client.bears_silence else None,
                        ):
                            pause = _AGAIN_AFTER
                            client.heard(event)
                    # A stream ends with its access token, and goes on under the next without a polling round.
                    renews = not client.service.has_token() and time() - began > _AGAIN_AFTER
                    wait = 0.0 if renews else _AGAIN_AFTER
            except TimeoutError as error:
                if end.expired():
                    client.service.forget_token()
                    in_step, renews, wait = False, True, 0.0
                else:
                    self._on_failure(error)
                    wait = _MAX_PAUSE
            except NotLeased:
                last, wait = "", 0.0  # Look for what was missed once this process has the lease again.
            except Refused as refused:
                last = ""  # The service may have refused the position itself.
                wait = _LOOK_AGAIN if refused.status in _NOT_OFFERED else pause
                pause = min(pause * 2, _MAX_PAUSE)
            except (InterfaceError, Temporary):  # A polling round reports this, once.
                pause = min(pause * 2, _MAX_PAUSE)
            except Exception as error:
                self._on_failure(error)
                wait = _MAX_PAUSE
            if time() - heard_at > _CUT and client.hears and client.service.has_token():
                client.bears_silence = False
            client.hears = renews
            await asyncio.sleep(wait)

    async def _take_up(self, client: Client) -> None:
        """Fetch and follow up what events have named, in batches of what came in the meantime.

        Whatever could not be fetched is tried again after a pause, since the stream may not mention it again.
        """
        pause = _AGAIN_AFTER
        while True:
            await client.news.wait()
            client.news.clear()
            if client.asks:
                await self._ask(client, _TURN)
            moved, client.moved = client.moved, set()
            if moved:
                await self._try(client, partial(client.hurry, moved))
            named, client.named = client.named, {}
            sent, client.sent = client.sent, {}
            done = await self._take_sent(client, sent)
            if client.arrived or not await self._take(client, named):
                client.arrived, missed, client.missed = False, client.missed, False
                if not await self._look(client, whole=False, sent=missed):
                    client.arrived, client.missed, done = True, client.missed or missed, False
            if done:
                pause = _AGAIN_AFTER
            else:
                asyncio.get_running_loop().call_later(pause, client.news.set)
                pause = min(pause * 2, _MAX_PAUSE)

    async def _take(self, client: Client, named: Collection[str]) -> bool:
        """Fetch messages that events have named; returns false if a list has to be read to find them."""
        taken = not named

        async def take() -> None:
            nonlocal taken
            taken = await client.fetching.take(named)

        if named and len(named) <= _MAX_NAMED and self._serves(client.organisation):
            await self._try(client, take)
        return taken

    async def _take_sent(self, client: Client, sent: dict[str, None]) -> bool:
        """Fetch messages of other clients that events have named; returns false if it must be retried."""
        if not sent or not self._serves(client.organisation):
            return True
        if await self._try(client, partial(client.fetching.take_sent, sent)):
            return True
        client.sent = sent | client.sent
        return False

    async def _look(
        self, client: Client, *, whole: bool, sent: bool = False, seconds: float = math.inf
    ) -> bool:
        """Look for new messages, and with ``sent`` for those sent by other clients.

        Returns false if that failed for an organisation served here. A look that takes longer than
        ``seconds`` continues at its next turn, with a full list.
        """

        async def look() -> None:
            over = (await client.fetching.look(whole=whole, seconds=seconds)).over
            for address in await self._addresses(client.organisation) if whole or sent else ():
                if not over:
                    done = await client.fetching.look_sent(address, whole=whole, seconds=seconds)
                    over = done.over
            if over:
                client.looks = -1

        return not self._serves(client.organisation) or await self._try(client, look)

    async def _try(self, client: Client, work: Callable[[], Awaitable[None]]) -> bool:
        """Do some work with a message service, containing its errors within one organisation.

        Returns false if the work could not be done.
        """
        async with client.busy:
            try:
                async with self._leases.working(client.organisation, Role.MESSAGE_CLIENT):
                    await work()
            except NotLeased:  # Another process polls.
                pass
            except NotHandedOut:  # One message failed, but the service responds.
                self._states.note(client.organisation, client.at, "")
            except InterfaceError as failure:
                waits = client.ours and isinstance(failure, Unreachable) and bool(failure.waits_for)
                self._states.note(client.organisation, client.at, failure.for_logs, reported=waits)
            except VaultError:  # The vault is unavailable; the service is not at fault.
                pass
            except Temporary as failure:
                self._states.note(client.organisation, client.at, str(failure))
            except Exception as error:
                self._on_failure(error)
            else:
                self._states.note(client.organisation, client.at, "")
                return True
            return False
