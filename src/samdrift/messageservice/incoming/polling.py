"""Polling of interface C: one loop per organisation asks its access point for new items and events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from math import ceil, inf

from samdrift.audit.operations import unexpected
from samdrift.contracts.clock import Clock
from samdrift.contracts.discovery import DiscoveryError
from samdrift.contracts.errors import Temporary
from samdrift.contracts.hold import Hold
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import AccessPoint, InboxItem
from samdrift.messageservice.incoming.inbox import Inbox
from samdrift.messageservice.incoming.judging import RECEIPTS, SenderLimited
from samdrift.messageservice.incoming.together import Together
from samdrift.messageservice.lifecycle.transfers import Transfers
from samdrift.messageservice.settings import MessageServiceSettings
from samdrift.scheduling.held import Held, reason_of
from samdrift.scheduling.leases import Leases, NotLeased
from samdrift.scheduling.pace import Pace
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier

_PASSING = (DiscoveryError, Temporary)
"""Errors that may pass: temporary ones, and those of look-ups, which another organisation can correct."""

_PAUSE = timedelta(seconds=5)
"""Pause before the access point is polled again after a failure."""

_EARLY_SHARE = 0.5
"""Share of the requested wait before which an answer without news is early."""

_EARLY_PAUSE = 0.2
"""Seconds of the pause that follows too many early answers."""

_MAX_EARLY_ANSWERS = 10
"""Consecutive early answers allowed before there is a pause; our own access points may give a few."""

_WHOLE = 0.9
"""Share of the requested wait after which an answer without news used the whole wait."""


@dataclass(slots=True)
class Patience:
    """Seconds that an access point is asked to wait for news; they increase while nothing happens.

    Middleboxes may cut off a silent connection, so a duration that failed once is not requested again.
    """

    least: float = 55.0
    now: float = 55.0
    most: float = inf

    @classmethod
    def of(cls, least: float) -> Patience:
        """Return a wait that begins at ``least`` seconds and never falls below that."""
        return cls(least, least)

    def waited(self, seconds: float, longest: float) -> None:
        """Record an answer without news after ``seconds``; the wait grows up to ``longest``."""
        if seconds >= self.now * _WHOLE:
            self.now = min(self.now * 2, self.most, max(self.least, longest))

    def failed(self) -> None:
        """Record that no answer came, and shorten the wait."""
        if self.now > self.least:
            self.most = max(self.least, self.now / 2)
        self.now = self.least


@dataclass(slots=True)
class _Limit:
    """A sender's limit as far as it is known."""

    until: datetime
    """Time from which one of its envelopes is judged again."""
    probe: str = ""
    """The item that was chosen for that."""


@dataclass(slots=True)
class Limits:
    """Limited senders of one organisation's inbox: their envelopes wait without being judged.

    Judging takes an opening of the vault, a signature and a private key each time. A sender of many
    meaningless envelopes would otherwise take that of its recipient with each of them, again and again, while
    they wait. So one envelope of each is judged now and then, and shows whether its limit is over.
    """

    again_after: timedelta
    """Time between two looks at whether a limit is over."""
    overdue_after: timedelta
    """Age at which an envelope is judged nevertheless: it is refused, because its receipt is overdue."""
    _limits: dict[str, _Limit] = field(default_factory=dict)
    _recorded: set[str] = field(default_factory=set)
    """Items whose wait has been recorded in the organisation's log."""

    def divide(
        self, items: Sequence[InboxItem], now: datetime
    ) -> tuple[list[InboxItem], list[InboxItem], list[InboxItem]]:
        """Return the items to judge, those that wait, and those among them whose wait is not recorded yet."""
        judged, waiting, later = list[InboxItem](), list[InboxItem](), now + self.again_after
        for item in items:
            limit = self._limits.get(item.sender)
            if limit is not None and not now < limit.until <= later and self.applies(item, now):
                limit.until, limit.probe = later, item.id
            (waiting if self.applies(item, now) else judged).append(item)
        return judged, waiting, [each for each in waiting if each.id not in self._recorded]

    def applies(self, item: InboxItem, now: datetime) -> bool:
        """Return whether an item waits because its sender was found to be limited."""
        limit = self._limits.get(item.sender)
        if limit is None or limit.probe == item.id:
            return False
        return _is_encrypted(item) and now < item.received_at + self.overdue_after

    def found(self, item: InboxItem, now: datetime) -> None:
        """Note that an item was judged, and waits because its sender is limited."""
        self._limits[item.sender] = _Limit(now + self.again_after)
        self._recorded.add(item.id)

    def recorded(self, item: InboxItem) -> None:
        """Note that the log says that the item waits."""
        self._recorded.add(item.id)

    def taken(self, item: InboxItem, decrypted: bool) -> None:
        """Note that an item was taken over; if it was its sender's probe, and decrypted, the limit is over.

        One that was refused before that shows nothing: a sender could end its own limit with such envelopes.
        """
        self._recorded.discard(item.id)
        limit = self._limits.get(item.sender)
        if decrypted and limit is not None and limit.probe == item.id:
            del self._limits[item.sender]


def _is_encrypted(item: InboxItem) -> bool:
    """Return whether the item is counted by the limit: message receipts are never decrypted."""
    document = DocumentIdentifier(item.document)
    return document.requires_protection and document not in RECEIPTS


@dataclass(slots=True)
class _State:
    """Progress of one organisation's polling."""

    patience: Patience
    limits: Limits
    place: int | None = None
    """Sequence of the last event that was applied."""
    taken: set[str] = field(default_factory=set)
    """Items that are stored durably and will be acknowledged with the next poll."""
    deferred: dict[str, datetime] = field(default_factory=dict)
    """Items that could not be taken over, with the time to try again."""
    early_answers: int = 0
    """Number of consecutive early answers without news."""
    past: str = ""
    """Item after which to continue reading the inbox, so that deferred items do not hide others."""

    def due(self, inbox: Sequence[InboxItem], now: datetime) -> list[InboxItem]:
        """Return the items that are not deferred now."""
        later = now + self.limits.again_after
        self.deferred = {item: when for item, when in self.deferred.items() if now < when <= later}
        return [item for item in inbox if item.id not in self.deferred]

    def go_on(self, inbox: Sequence[InboxItem], judged: Sequence[InboxItem]) -> None:
        """Begin the next poll after these items if none of them is judged now.

        Otherwise, or once nothing follows, it begins at the start, since an older item may have arrived late.
        """
        self.past = inbox[-1].id if inbox and not judged else ""

    def wait(self, most: float, now: datetime) -> float:
        """Return the whole seconds until the first deferred item is tried again, at most ``most``."""
        if not self.deferred:
            return most
        first = min(min(self.deferred.values()) - now, self.limits.again_after)
        return min(most, max(1, ceil(first.total_seconds())))


class Polling:
    """Long polls of interface C for every organisation."""

    def __init__(
        self,
        settings: MessageServiceSettings,
        access_points: Mapping[ParticipantIdentifier, AccessPoint],
        inbox: Inbox,
        transfers: Transfers,
        together: Together,
        served: Callable[[ParticipantIdentifier], bool],
        clock: Clock,
        held: Held | None = None,
        pace: Pace | None = None,
        leases: Leases | None = None,
    ) -> None:
        """Create the poller.

        ``served`` and ``leases`` decide which organisations are polled now; others, such as suspended ones,
        wait.
        """
        self._pace = pace or Pace()
        self._settings = settings
        self._access_points = access_points
        self._inbox = inbox
        self._transfers = transfers
        self._together = together
        self._served = served
        self._clock = clock
        self._held = held or Held()
        self._leases = leases or Leases()
        self._unexpected = unexpected("message-service-polling")

    async def run(self, organisation: ParticipantIdentifier, after: float = 0.0) -> None:
        """Poll until cancelled, starting after ``after`` seconds, whenever this process has the lease."""
        await asyncio.sleep(after)
        while True:
            await self._leases.until_held(organisation, Role.MESSAGE_SERVICE)
            with contextlib.suppress(NotLeased):
                async with self._leases.working(organisation, Role.MESSAGE_SERVICE):
                    await self._poll(organisation)

    async def _poll(self, organisation: ParticipantIdentifier) -> None:
        """Poll until cancelled, with a pause after each failure."""
        settings = self._settings
        limits = Limits(settings.retry_after, settings.receipt_within)
        state = _State(Patience.of(settings.poll_wait), limits)
        while True:
            if not self._served(organisation):
                await asyncio.sleep(_PAUSE.total_seconds())
                continue
            try:
                if state.place is None:
                    state.place = await self._transfers.place(organisation)
                turn = partial(self._round, organisation, state, state.place)
                await self._pace.of(organisation, turn)
            except _PASSING:
                await asyncio.sleep(_PAUSE.total_seconds())
            except Exception as error:
                self._unexpected(error)
                await asyncio.sleep(_PAUSE.total_seconds())

    async def _round(self, organisation: ParticipantIdentifier, state: _State, place: int) -> None:
        wait = state.wait(state.patience.now, self._clock())
        taken = tuple(state.taken)
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            poll = await self._access_points[organisation].poll(place, wait, taken, state.past)
        except Temporary:
            state.patience.failed()
            raise
        state.taken.difference_update(taken)
        now = self._clock()
        items = state.due(poll.inbox, now)
        judged, waiting, unrecorded = state.limits.divide(items, now)
        state.go_on(poll.inbox, judged)
        usual = await self._together.take(organisation, poll.events, judged, unrecorded)
        for item in (each for each in judged if each.id in usual.items):
            self._is_taken(organisation, state, item, item.id in usual.decrypted)
        for item in (each for each in judged if each.id in usual.limited):
            state.limits.found(item, self._clock())
        for item in waiting:
            if item.id in usual.limited:
                state.limits.recorded(item)
            self._defer(organisation, state, item.id, Hold.LIMIT)
        if poll.events:
            if not usual.events:
                await self._transfers.apply(organisation, poll.events)
            state.place = poll.events[-1].sequence
        if not (poll.events or poll.inbox or state.deferred):
            state.patience.waited(clock() - began, self._access_points[organisation].longest_wait)
        early = clock() - began < wait * _EARLY_SHARE
        state.early_answers = state.early_answers + 1 if early and not poll.events and not items else 0
        if state.early_answers > _MAX_EARLY_ANSWERS:
            await asyncio.sleep(_EARLY_PAUSE)
        slots = asyncio.Semaphore(self._settings.parallel)
        async with asyncio.TaskGroup() as tasks:
            for item in (each for each in judged if each.id not in usual.items):
                taking = partial(self._take, organisation, item, state, slots)
                tasks.create_task(self._pace.of(organisation, taking))

    async def _take(
        self,
        organisation: ParticipantIdentifier,
        item: InboxItem,
        state: _State,
        slots: asyncio.Semaphore,
    ) -> None:
        async with slots:
            if state.limits.applies(item, self._clock()):
                self._defer(organisation, state, item.id, Hold.LIMIT)
                return
            try:
                decrypted = await self._inbox.take(organisation, item)
                self._is_taken(organisation, state, item, decrypted)
                return
            except SenderLimited as error:
                state.limits.found(item, self._clock())
                reason = reason_of(error)
            except _PASSING as error:
                reason = reason_of(error)
            except Exception as error:
                self._unexpected(error)
                reason = reason_of(error)
            self._defer(organisation, state, item.id, reason)

    def _defer(self, organisation: ParticipantIdentifier, state: _State, item_id: str, reason: Hold) -> None:
        """Record that an item waits, and the reason, until it is tried again."""
        when = state.deferred[item_id] = self._clock() + self._settings.retry_after
        until = when + self._settings.lease
        self._held.note(Role.MESSAGE_SERVICE, organisation, item_id, reason, until)

    def _is_taken(
        self, organisation: ParticipantIdentifier, state: _State, item: InboxItem, decrypted: bool
    ) -> None:
        state.taken.add(item.id)
        state.limits.taken(item, decrypted)
        self._held.release(Role.MESSAGE_SERVICE, organisation, item.id)
