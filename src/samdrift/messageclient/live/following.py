"""Streams of open pages, which signal that something has changed but never what.

A change wakes all streams of an organisation, and one query to its vault serves all of them. A stream ends
with its session or its person's rights, even if another process ended them, since the vault wakes this one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageclient.live.openpages import Change, Watch
from samdrift.messageclient.live.presence import Presence, Stay
from samdrift.rights import Right
from samdrift.vault.gate import Gate
from samdrift.vault.mailmarks import MailMarks
from samdrift.wire.identifiers import ParticipantIdentifier

MAX_OF_PERSON = 3
"""Maximum number of streams of one person: a browser has six connections per site, and pages need some."""
MAX_OF_ORGANISATION = 100
"""Maximum number of streams of one organisation, which may share one address; further pages poll instead."""
_ALIVE = 15.0
"""Seconds after which a sign of life is sent, and the person's rights are checked again."""
_TOGETHER = 0.2
"""Seconds for which a stream waits after a change, to combine it with others that follow."""


class TooManyStreams(Explained):
    """Refusal of a stream because the person or the organisation has reached the limit."""

    def __init__(self) -> None:
        super().__init__("too many open pages are following changes")


May = Callable[[Right, str], bool]
"""Callback that returns whether the person has a right to a mailbox."""


@dataclass(frozen=True, slots=True)
class Following:
    """A page that follows changes: its person, its session, and what it shows."""

    person: str
    session: bytes
    watch: Watch
    stay: Stay | None
    """``None`` for a page without a conversation."""
    again: Callable[[], Awaitable[May]] = field(repr=False)
    """Callback that returns the person's current rights, and raises if they have none."""


@dataclass
class _Organisation:
    """Streams of one organisation, with the result of the latest query for all of them."""

    streams: Counter[str] = field(default_factory=Counter)
    following: list[Following] = field(default_factory=list)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    looked: tuple[int, float, MailMarks] | None = None
    """The count of signals at the time of the query, its time, and its result."""


class Live:
    """Open pages of all organisations that a process serves."""

    def __init__(self, gate: Gate, clock: Clock, alive: float = _ALIVE, together: float = _TOGETHER) -> None:
        self.presence = Presence(clock)
        self._news = gate.news
        self._vaults = gate.worker("live", Role.MESSAGE_CLIENT)
        self._wakeups = gate.wakeups
        self._alive = alive
        self._together = together
        self._organisations: dict[ParticipantIdentifier, _Organisation] = {}
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End every stream; the pages reconnect by themselves."""
        self._closing.set()

    async def hear(self) -> None:
        """Wake streams for changes made by other processes, until cancelled."""
        async for organisation, role in self._wakeups():
            if role is Role.MESSAGE_CLIENT:
                self._news.notify(organisation)

    async def follow(
        self, organisation: ParticipantIdentifier, following: Following
    ) -> AsyncGenerator[Change]:
        """Return a stream of changes; raises :class:`TooManyStreams` before the stream begins."""
        ours = self._organisations.setdefault(organisation, _Organisation())
        if ours.streams[following.person] >= MAX_OF_PERSON or ours.streams.total() >= MAX_OF_ORGANISATION:
            raise TooManyStreams
        stream = self._stream(organisation, ours, following)
        await anext(stream)  # Start the stream, so that it is counted even if it is never read.
        return stream

    async def _stream(
        self, organisation: ParticipantIdentifier, ours: _Organisation, following: Following
    ) -> AsyncGenerator[Change]:
        ours.streams[following.person] += 1
        ours.following.append(following)
        ours.looked = None
        stay = following.stay
        here = contextlib.nullcontext() if stay is None else self.presence.during(organisation, stay)
        try:
            with here:
                yield Change.ALIVE
                async for change in self._changes(organisation, ours, following):
                    yield change
        except Explained:  # The session, the rights or the vault is gone.
            return
        finally:
            ours.following.remove(following)
            ours.streams[following.person] -= 1
            ours.streams += Counter()  # Drops people without streams.
            if not ours.following:
                self._organisations.pop(organisation, None)

    async def _changes(
        self, organisation: ParticipantIdentifier, ours: _Organisation, following: Following
    ) -> AsyncGenerator[Change]:
        watch = following.watch
        shown = watch.list_state, watch.conversation_state
        may, statement = await following.again(), -1
        there: object = {}
        while not self._closing.is_set():
            count, came = self._news.count(organisation), self.presence.changes.count(organisation)
            marks = await self._looked(organisation, ours, count)
            if following.session not in marks.sessions:
                return
            if marks.statement != statement:
                may, statement = await following.again(), marks.statement
            if not all(may(watch.right, mailbox) for mailbox in watch.mailboxes):
                yield Change.OVER
                return
            now = watch.states(marks.lists, marks.conversations)
            if now != shown:
                shown = now
                yield Change.NEWS
            others = self._there(organisation, following)
            if others != there:
                there = others
                yield Change.PRESENT
            if not await self._wait(organisation, count, came):
                may = await following.again()
                yield Change.ALIVE

    def _there(self, organisation: ParticipantIdentifier, following: Following) -> object:
        return self.presence.others(organisation, following.person, following.watch.mailboxes)

    async def _wait(self, organisation: ParticipantIdentifier, count: int, came: int) -> bool:
        """Return true once something may have changed, false after a while without changes."""
        waiting = [
            asyncio.create_task(self._news.beyond(organisation, count, self._alive)),
            asyncio.create_task(self.presence.changes.beyond(organisation, came, self._alive)),
            asyncio.create_task(self._closing.wait()),
        ]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            woken = any(each.result() for each in done)
        finally:
            for task in waiting:
                task.cancel()
        if woken and not self._closing.is_set():
            await asyncio.sleep(self._together)
        return woken

    async def _looked(
        self, organisation: ParticipantIdentifier, ours: _Organisation, count: int
    ) -> MailMarks:
        """Return the state of everything that the organisation's streams watch, from one shared query."""
        async with ours.looking:
            time = asyncio.get_running_loop().time()
            if ours.looked is not None:
                known, at, marks = ours.looked
                if known >= count and time - at < self._alive / 2:
                    return marks
            now = self._news.count(organisation)
            watched = [each.watch for each in ours.following]
            async with self._vaults.open(organisation, Purpose.READ) as vault:
                marks = await vault.marks(
                    {mailbox for each in watched for mailbox in each.mailboxes},
                    {each.conversation for each in watched if each.conversation},
                    {each.session for each in ours.following},
                )
            ours.looked = now, time, marks
            return marks
