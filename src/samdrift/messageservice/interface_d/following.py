"""Progress of messages as server-sent events (an addition to the contract).

An event contains only a message's id and its current status. The event's id is a place in the organisation's
log: a client that reconnects with it misses nothing, since the log is in the order of commit. A client that
was away gets the current status once, however many steps it missed.

While nothing happens, a stream sends keep-alive comments, as rarely as its client allows, and opens no vault.
The token's rights are checked again with each comment, before any event is sent, and when the token expires.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import zip_longest

from samdrift.contracts.clock import Clock
from samdrift.contracts.messageclients import Scope
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageservice.access import Access, Authorization, AuthorizationUnavailable, Unauthorized
from samdrift.messageservice.interface_d.writing import location, text
from samdrift.net.clock import system_clock
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.vault.records import Changes, MessageRecord
from samdrift.wire.identifiers import ParticipantIdentifier

MOST_STREAMS = 5
"""Maximum number of concurrent streams of one client."""

_AT_ONCE = 200
_ALIVE = 15.0
"""Seconds after which a keep-alive comment is sent, unless the client asks for a longer interval."""
_LONGEST_ALIVE = 600.0
_LOOK = 1800.0
"""Seconds after which the vault is read even without a notification, since one may be lost."""
_SPARE = 0.5
"""Margin in seconds between the expiry of a token and the end of its stream."""


class TooManyStreams(Exception):
    """The client already has the maximum number of streams."""


class Following:
    """Event streams of interface D."""

    def __init__(
        self,
        gate: Gate,
        authorization: Authorization,
        alive: float = _ALIVE,
        clock: Clock = system_clock,
    ) -> None:
        self._gate = gate
        self._authorization = authorization
        self._alive = alive
        self._clock = clock
        self._streams: Counter[tuple[ParticipantIdentifier, str]] = Counter()
        self._closing = False

    def close(self) -> None:
        """End every stream; clients reconnect by themselves."""
        self._closing = True
        for organisation, _ in self._streams:
            self._gate.news.notify(organisation)

    async def end(self, access: Access) -> int:
        """Return the current end of the log, after which all events are new."""
        async with self._gate.open(
            access.principal, access.organisation, Role.MESSAGE_SERVICE, Purpose.READ
        ) as vault:
            return await vault.log_end()

    async def follow(
        self, token: str, access: Access, after: int, alive: float | None = None
    ) -> AsyncIterator[str]:
        """Yield events after that place as they happen; raise :class:`TooManyStreams` before the first one.

        ``alive`` is the number of seconds that the client can go without a keep-alive comment.

        Ends when the token or its rights end. The stream has started when it is returned, so that its slot is
        freed even if it is never read.
        """
        client = (access.organisation, access.client)
        if self._streams[client] >= MOST_STREAMS:
            raise TooManyStreams
        wait = self._alive if alive is None else min(max(alive, self._alive), _LONGEST_ALIVE)
        stream = self._stream(client, token, after, wait)
        await anext(stream)
        return stream

    async def _stream(
        self, client: tuple[ParticipantIdentifier, str], token: str, place: int, alive: float
    ) -> AsyncIterator[str]:
        self._streams[client] += 1
        try:
            yield ""
            yield f"id: {place}\n: message status events\n\n"
            async for piece in self._news(token, place, alive):
                yield piece
        except (Unauthorized, AuthorizationUnavailable, VaultError):
            return
        finally:
            self._streams[client] -= 1
            if not self._streams[client]:
                del self._streams[client]

    async def _news(self, token: str, place: int, alive: float) -> AsyncIterator[str]:
        while not self._closing:
            access = await self._allowed(token)
            count = self._gate.news.count(access.organisation)
            changes = await self._look(access, place)
            for event in _events([step for step in changes.steps if access.covers(step[1].mailbox)]):
                yield event
            if changes.place != place:
                place = changes.place
                continue
            async for sign in self._wait(token, access, count, alive):
                yield sign

    async def _wait(self, token: str, access: Access, count: int, alive: float) -> AsyncIterator[str]:
        """Wait until there may be news, and yield keep-alive comments meanwhile."""
        waited = 0.0
        while waited < _LOOK and not self._closing:
            within = min(alive, self._left(access))
            if await self._gate.news.beyond(access.organisation, count, within):
                return
            waited += within
            access = await self._allowed(token)
            yield ": alive\n\n"

    def _left(self, access: Access) -> float:
        """Return the seconds until the token expires, plus a margin."""
        if access.until is None:
            return _LOOK
        return max((access.until - self._clock()).total_seconds(), 0.0) + _SPARE

    async def _allowed(self, token: str) -> Access:
        access = await self._authorization.access(token)
        if Scope.LIST not in access.scopes:
            raise Unauthorized("the token no longer permits this", "insufficient_scope")
        return access

    async def _look(self, access: Access, place: int) -> Changes:
        async with self._gate.open(
            access.principal, access.organisation, Role.MESSAGE_SERVICE, Purpose.READ
        ) as vault:
            return await vault.changes(place, _AT_ONCE)


def _events(steps: Sequence[tuple[int, MessageRecord]]) -> Iterator[str]:
    """Yield events, with the id to resume from on the last event of each place.

    A message from a mailbox to itself has two events in one place.
    """
    for (at, record), following in zip_longest(steps, steps[1:]):
        last = following is None or following[0] != at
        yield (f"id: {at}\n" if last else "") + _event(record)


def _event(record: MessageRecord) -> str:
    data = {
        "type": "messages",
        "id": record.id,
        "attributes": {"messageStatus": record.status.value},
        "links": {"self": location(record.id)},
    }
    return f"event: messageStatus\ndata: {text(data)}\n\n"
