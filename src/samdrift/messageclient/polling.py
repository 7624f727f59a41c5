"""Looking for new messages: events of message services that offer them, and questions in turn to all.

Organisations of one message service ask it one after the other, spread over the time of a round. Where it has
events, a message is fetched as soon as one says that it is there, and the questions are a net below that.
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
"""Name of the dependency."""
_WHOLE = 20
"""Questions after which lists are read whole, and what other clients have sent is fetched."""
_MOST_NAMED = 20
"""New messages that are fetched by the ids that events named; a list of more takes fewer questions."""
_TURN = 5.0
"""Seconds after which an organisation with much to fetch lets others at its message service ask."""
_NET = 3600.0
"""Seconds in which the message service of an organisation that hears events is asked once all the same."""
_EARLY = _NET / 4
"""Seconds before that from which it is asked when a stream is resumed with a new access token: the message
service has opened its vault for that, and its connection stands.
"""
_QUIET = 300
"""Seconds that a stream of events may be without a sign of life."""
_TOGETHER = 1.0
"""Seconds of a round in which those that hear events are passed over together."""
_CUT = 30.0
"""Seconds of silence after which the end of a stream may be the work of a proxy in between."""
_AGAIN_AFTER, _LONGEST_PAUSE = 5.0, 300.0
"""Seconds after which a stream of events that ended is taken up again, at first and at most."""
_NOT_OFFERED = frozenset({400, 404, 405, 406, 501})
"""Refusals of a message service that has no events."""
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
"""Statuses of messages that the organisation sends, which another client of it may have written."""
_LOOK_AGAIN = 3600.0
"""Seconds after which one that had no events is asked for them again."""


def _named(data: str) -> tuple[str, str]:
    """Return the message and status that an event names; empty texts for what it does not."""
    try:
        document = json.loads(data)
        found = document["id"], document["attributes"]["messageStatus"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return "", ""
    return (found[0], found[1]) if all(isinstance(each, str) for each in found) else ("", "")


Watch = Callable[[str, str, str], None]
"""Hears of a dependency, where it is, and why it is gone; the reason is empty when it is there."""


@dataclass
class Client:
    """One organisation at its message service."""

    organisation: ParticipantIdentifier
    at: str
    """Host of the message service."""
    service: Mailbox
    fetching: Fetching
    hurry: Callable[[Collection[str]], Awaitable[None]]
    """Has the status of sent messages asked for soon, by their ids at the message service."""
    ours: bool = False
    """It is this installation's own, whose database and object store are this one's."""
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    looks: int = 0
    net_at: float = 0.0
    """Moment of the next question that is asked although events are heard."""
    asks: bool = False
    """True while the question is asked."""
    hears: bool = False
    """A stream of events is open."""
    bears_silence: bool = True
    """Long silence on it has not yet been answered by cutting it off."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: bool = False
    """Something is new, and a list says what."""
    named: dict[str, None] = field(default_factory=dict)
    """New messages by their ids at the message service, in the order in which they came."""
    moved: set[str] = field(default_factory=set)
    """Sent messages that took a step."""
    sent: dict[str, None] = field(default_factory=dict)
    """Ids of them that another client may have sent."""
    missed: bool = False
    """True when another client may have sent something of which no event said anything."""

    def hearing(self) -> bool:
        """Return whether events say now what changes at the message service."""
        return self.hears

    def opened(self) -> None:
        """Note that a stream of events is open; what came before it is looked for."""
        self.hears = self.arrived = self.missed = True
        self.news.set()

    def resumed(self) -> None:
        """Note that a stream goes on where the last one ended: nothing came in between."""
        self.hears = True
        if self.net_at - asyncio.get_running_loop().time() <= _EARLY:
            self.asks = True
            self.news.set()

    def heard(self, event: ServerEvent) -> None:
        """Note an event: a new message, a step of one that was sent, or something that is not understood."""
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
    """Outages of message services: of each organisation for its pages, of each service for the operator."""

    def __init__(self, clock: Clock, watch: Watch) -> None:
        self._clock = clock
        self._watch = watch
        self._away: dict[ParticipantIdentifier, tuple[str, datetime, str]] = {}

    def away_since(self, organisation: ParticipantIdentifier) -> datetime | None:
        """Return since when an organisation's message service cannot be used; ``None`` when it can."""
        known = self._away.get(organisation)
        return None if known is None else known[1]

    def note(
        self, organisation: ParticipantIdentifier, at: str, reason: str, *, reported: bool = False
    ) -> None:
        """Note how an organisation's last use of its service ended.

        A service is gone while it is for one of its organisations. With ``reported`` what is gone has a state
        of its own: the service cannot be used all the same.
        """
        if reason:
            _, since, _ = self._away.get(organisation, ("", self._clock(), ""))
            self._away[organisation] = at, since, "" if reported else reason
        else:
            self._away.pop(organisation, None)
        reasons = (why for where, _, why in self._away.values() if where == at and why)
        self._watch(SERVICE, at, next(reasons, ""))


class Polling:
    """Fetches for all organisations."""

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
        """``pause`` is the time of a round, in seconds; ``addresses`` returns those of an organisation.

        ``serves`` says for whom this process asks now, and ``leases`` end what it does for others.
        """
        self._clients = clients
        self._states = states
        self._pause = pause
        self._serves = serves
        self._addresses = addresses
        self._on_failure = on_failure
        self._leases = leases or Leases()

    def work(self) -> list[Coroutine[None, None, None]]:
        """Return the work: rounds for each message service, and events for each organisation."""
        services = defaultdict[str, list[Client]](list)
        for client in self._clients:
            services[client.at].append(client)
        rounds = [self._rounds(clients) for clients in services.values()]
        events = [each for client in self._clients for each in (self._hear(client), self._take_up(client))]
        return rounds + events

    async def _rounds(self, clients: Sequence[Client]) -> None:
        """Ask for each client once in a round, whose time the looks themselves are part of."""
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
        """Ask the question of a round, the whole of it once in a while."""
        if client.hears:
            client.asks, client.net_at = False, asyncio.get_running_loop().time() + _NET
        await self._look(client, whole=client.looks % _WHOLE == 0, seconds=seconds)
        client.looks += 1

    async def _hear(self, client: Client) -> None:
        """Hear the events of a message service, and come back where a stream ends.

        The first stream ends sooner than its token, so that those of all organisations, which begin with the
        start, do not ask for their next ones at the same time.
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
                    # A stream ends with its token. It goes on with the next one, and no round asks meanwhile.
                    renews = not client.service.has_token() and time() - began > _AGAIN_AFTER
                    wait = 0.0 if renews else _AGAIN_AFTER
            except TimeoutError as error:
                if end.expired():
                    client.service.forget_token()
                    in_step, renews, wait = False, True, 0.0
                else:
                    self._on_failure(error)
                    wait = _LONGEST_PAUSE
            except NotLeased:
                last, wait = "", 0.0  # What comes meanwhile is looked for when it is this process's again.
            except Refused as refused:
                last = ""  # The place may be what is not understood any more.
                wait = _LOOK_AGAIN if refused.status in _NOT_OFFERED else pause
                pause = min(pause * 2, _LONGEST_PAUSE)
            except (InterfaceError, Temporary):  # A round says so, once.
                pause = min(pause * 2, _LONGEST_PAUSE)
            except Exception as error:
                self._on_failure(error)
                wait = _LONGEST_PAUSE
            if time() - heard_at > _CUT and client.hears and client.service.has_token():
                client.bears_silence = False
            client.hears = renews
            await asyncio.sleep(wait)

    async def _take_up(self, client: Client) -> None:
        """Fetch and follow what events have named, all that came meanwhile together.

        What could not be fetched is looked for again after a pause: the stream may say no more of it.
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
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _take(self, client: Client, named: Collection[str]) -> bool:
        """Fetch messages that events have named; false where a list is to be read for them."""
        taken = not named

        async def take() -> None:
            nonlocal taken
            taken = await client.fetching.take(named)

        if named and len(named) <= _MOST_NAMED and self._serves(client.organisation):
            await self._try(client, take)
        return taken

    async def _take_sent(self, client: Client, sent: dict[str, None]) -> bool:
        """Fetch what others sent that events have named; false where it is to be tried again."""
        if not sent or not self._serves(client.organisation):
            return True
        if await self._try(client, partial(client.fetching.take_sent, sent)):
            return True
        client.sent = sent | client.sent
        return False

    async def _look(
        self, client: Client, *, whole: bool, sent: bool = False, seconds: float = math.inf
    ) -> bool:
        """Look for what is new, and for what others ``sent`` too; false where that could not be done now,
        though the organisation is served.

        What takes longer than so many ``seconds`` goes on at its next turn, with a whole list.
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
        """Do some work with a message service; no fault of one organisation holds up another.

        False where it could not be done.
        """
        async with client.busy:
            try:
                async with self._leases.working(client.organisation, Role.MESSAGE_CLIENT):
                    await work()
            except NotLeased:  # Another process looks.
                pass
            except NotHandedOut:  # One message, at a service that answers.
                self._states.note(client.organisation, client.at, "")
            except InterfaceError as failure:
                waits = client.ours and isinstance(failure, Unreachable) and bool(failure.waits_for)
                self._states.note(client.organisation, client.at, failure.for_logs, reported=waits)
            except VaultError:  # Locked, suspended, or without its database: the service is not at fault.
                pass
            except Temporary as failure:
                self._states.note(client.organisation, client.at, str(failure))
            except Exception as error:
                self._on_failure(error)
            else:
                self._states.note(client.organisation, client.at, "")
                return True
            return False
