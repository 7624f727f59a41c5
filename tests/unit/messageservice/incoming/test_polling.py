"""Polling: envelopes that cannot be accepted now hide no others, and are not requested in a hurry."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from samdrift.contracts.clock import Clock
from samdrift.contracts.discovery import DiscoveryUnavailable, SharedService
from samdrift.contracts.transfer import InboxItem, Poll
from samdrift.messageservice.incoming import polling as module
from samdrift.messageservice.incoming.judging import SenderLimited
from samdrift.messageservice.incoming.polling import Limits, Patience, Polling
from samdrift.messageservice.incoming.together import Taken
from samdrift.scheduling.held import Held, HeldNumber
from samdrift.wire.identifiers import FEDERATION_TEST, SDK_MESSAGE_EXTENDED, ParticipantIdentifier
from tests.settings import message_service_settings
from tests.vaults import NOW
from tests.virtualtime import in_virtual_time, now

ORGANISATION = ParticipantIdentifier("0203:b.se")
PAGE = 50


def item(item_id: str) -> InboxItem:
    """Return an item; one that begins with ``l`` or ``r`` is encrypted, and its sender is limited."""
    sender, document = ("0203:l.se", SDK_MESSAGE_EXTENDED.value) if item_id[0] in "lr" else ("0203:a.se", "d")
    return InboxItem(item_id, "e", sender, ORGANISATION.value, document, "c", "m@p", "AP", now(), 1)


class AccessPoint:
    """An access point that keeps the rules of interface C, and records its requests."""

    longest_wait = 600.0

    def __init__(self, *item_ids: str) -> None:
        self.waiting = {item_id: item(item_id) for item_id in item_ids}
        self.polls = 0
        self._came = asyncio.Event()

    def comes(self, item_id: str) -> None:
        self.waiting[item_id] = item(item_id)
        self._came.set()

    async def poll(self, after: int, wait: float, taken: Collection[str] = (), past: str = "") -> Poll:
        self.polls += 1
        for item_id in taken:
            del self.waiting[item_id]
        if not self._page(past):
            self._came.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._came.wait()
        return Poll((), self._page(past))

    def _page(self, past: str) -> tuple[InboxItem, ...]:
        known = [*self.waiting]
        first = known.index(past) + 1 if past in known else 0
        return tuple(self.waiting[each] for each in known[first : first + PAGE])


class Inbox:
    """An inbox that accepts all items except those with ``x``, whose sender cannot be looked up.

    It refuses those with ``r`` before decrypting them.
    """

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.tried = 0
        self.answering = False
        self.limiting = True

    async def take(self, organisation: ParticipantIdentifier, waiting: InboxItem) -> bool:
        self.tried += 1
        if waiting.id.startswith("l") and self.limiting:
            raise SenderLimited
        if waiting.id.startswith("x") and not self.answering:
            raise DiscoveryUnavailable("SMP answered 503", SharedService.SMP)
        self.taken.append(waiting.id)
        return not waiting.id.startswith("r")


class Transfers:
    async def place(self, organisation: ParticipantIdentifier) -> int:
        return 0


class Together:
    """A batch that accepts only items with ``t``; for those with ``l`` it finds the sender limited."""

    def __init__(self, judges: bool = True) -> None:
        self.judged = 0
        self.recorded: list[str] = []
        self._judges = judges

    async def take(
        self,
        organisation: ParticipantIdentifier,
        events: object,
        items: Sequence[InboxItem],
        unrecorded: Sequence[InboxItem] = (),
    ) -> Taken:
        limited = [each.id for each in items if each.id.startswith("l") and self._judges]
        self.judged += len(limited)
        self.recorded += [each.id for each in unrecorded]
        limited += [each.id for each in unrecorded]
        taken = frozenset(each.id for each in items if each.id.startswith("t"))
        return Taken(items=taken, limited=frozenset(limited))


@contextlib.asynccontextmanager
async def polling(
    access_point: AccessPoint,
    inbox: Inbox,
    retry_after: timedelta,
    served: Callable[[ParticipantIdentifier], bool] = lambda _: True,
    held: Held | None = None,
    together: Together | None = None,
    clock: Clock = now,
) -> AsyncIterator[None]:
    settings = message_service_settings(FEDERATION_TEST, retry_after=retry_after)
    points = {ORGANISATION: cast(Any, access_point)}
    others = cast(Any, inbox), cast(Any, Transfers()), cast(Any, together or Together())
    made = Polling(settings, points, *others, served, clock, held)
    running = asyncio.create_task(made.run(ORGANISATION))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until_gone(access_point: AccessPoint, item_id: str) -> None:
    async with asyncio.timeout(60):
        while item_id in access_point.waiting:
            await asyncio.sleep(0.01)


STUCK = tuple(f"x{number}" for number in range(3 * PAGE + 7))


@in_virtual_time
async def test_pages_of_deferred_envelopes_hide_no_others() -> None:
    access_point, inbox = AccessPoint(*STUCK, "a"), Inbox()
    async with polling(access_point, inbox, timedelta(minutes=10)):
        await until_gone(access_point, "a")
        access_point.comes("b")
        await until_gone(access_point, "b")
    assert inbox.taken == ["a", "b"]
    assert [*access_point.waiting] == [*STUCK]


@in_virtual_time
async def test_what_is_taken_over_together_is_acknowledged_and_the_rest_taken_by_itself() -> None:
    access_point, inbox = AccessPoint("a", "t1", "x", "t2"), Inbox()
    async with polling(access_point, inbox, timedelta(minutes=10)):
        for gone in ("a", "t1", "t2"):
            await until_gone(access_point, gone)
    assert (inbox.taken, [*access_point.waiting]) == (["a"], ["x"])


@in_virtual_time
async def test_what_waits_for_its_senders_limit_is_tried_together_again_and_not_by_itself_meanwhile() -> None:
    access_point, inbox, held, together = AccessPoint("l1", "l2", "a"), Inbox(), Held(), Together()
    async with polling(access_point, inbox, timedelta(seconds=5), held=held, together=together):
        await until_gone(access_point, "a")
        await asyncio.sleep(1)
        assert (inbox.tried, together.judged) == (1, 2)
        assert held.numbers(now()) == (HeldNumber("mt", "limit", 2),)
        await asyncio.sleep(6)
        assert (inbox.tried, together.judged) == (1, 3), (
            "judging one of the two must suffice to show that the limit lasts"
        )
        assert held.numbers(now()) == (HeldNumber("mt", "limit", 2),)


@in_virtual_time
async def test_of_many_envelopes_of_a_limited_sender_one_is_judged_each_time() -> None:
    """Otherwise each due one would be judged again, with two openings, a signature and a private key."""
    junk = tuple(f"l{number}" for number in range(3 * PAGE + 7))
    access_point, inbox, held, together = AccessPoint(*junk, "a"), Inbox(), Held(), Together(judges=False)
    async with polling(access_point, inbox, timedelta(seconds=30), held=held, together=together):
        await until_gone(access_point, "a")
        await asyncio.sleep(1)
        assert inbox.tried <= 1 + message_service_settings(FEDERATION_TEST).parallel, (
            "only the first envelopes may be tried"
        )
        before, asked = inbox.tried, access_point.polls
        await asyncio.sleep(5 * 30)
        assert before + 4 <= inbox.tried <= before + 6
        assert access_point.polls - asked <= 6 * (len(junk) // PAGE + 3), (
            "each page must be polled only once per round"
        )
        assert sorted(together.recorded) == sorted(set(junk) - {"l0"}), "each must be recorded only once"
        assert held.numbers(now()) == (HeldNumber("mt", "limit", len(junk)),)
        inbox.limiting = False
        async with asyncio.timeout(120):
            while access_point.waiting:
                await asyncio.sleep(0.1)
    assert sorted(inbox.taken) == sorted([*junk, "a"])
    assert held.numbers(now()) == ()


@in_virtual_time
@pytest.mark.parametrize("kind", ["r", "l"])
async def test_refused_envelopes_of_a_limited_sender_do_not_let_its_others_be_judged(kind: str) -> None:
    """Only one that was decrypted shows that the limit is over; the others pass one by one until then."""
    access_point, inbox = AccessPoint("l0"), Inbox()
    async with polling(access_point, inbox, timedelta(seconds=30), together=Together(judges=False)):
        await asyncio.sleep(1)
        del access_point.waiting["l0"]
        for number in range(1, 9):
            access_point.comes(f"{kind}{number}")
        inbox.limiting = False
        await asyncio.sleep(3 * 30 + 5)
        assert len(access_point.waiting) == {"r": 5, "l": 0}[kind]


@in_virtual_time
async def test_while_all_are_deferred_the_access_point_is_left_alone() -> None:
    access_point, inbox = AccessPoint(*STUCK), Inbox()
    async with polling(access_point, inbox, timedelta(minutes=10)):
        async with asyncio.timeout(60):
            while inbox.tried < len(STUCK):
                await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        asked = access_point.polls
        await asyncio.sleep(5)
        assert access_point.polls == asked


@in_virtual_time
async def test_deferred_envelopes_are_tried_again_when_their_time_has_come() -> None:
    access_point, inbox, held = AccessPoint(*STUCK), Inbox(), Held()
    async with polling(access_point, inbox, timedelta(seconds=1), held=held):
        async with asyncio.timeout(60):
            while inbox.tried < len(STUCK):
                await asyncio.sleep(0.01)
        assert held.numbers(now()) == (HeldNumber("mt", "smp", len(STUCK)),)
        inbox.answering = True
        async with asyncio.timeout(60):
            while access_point.waiting:
                await asyncio.sleep(0.01)
    assert sorted(inbox.taken) == sorted(STUCK)
    assert held.numbers(now()) == ()


@in_virtual_time
@pytest.mark.parametrize("kind", ["x", "l"])
async def test_envelopes_deferred_while_the_clock_was_ahead_are_tried_again_when_it_is_right(
    kind: str,
) -> None:
    """Those that failed, and those of a limited sender."""
    access_point, inbox, ahead = AccessPoint(f"{kind}1", f"{kind}2"), Inbox(), timedelta(hours=24)
    retry, together = timedelta(seconds=30), Together(judges=False)
    async with polling(access_point, inbox, retry, together=together, clock=lambda: now() + ahead):
        await asyncio.sleep(1)
        ahead, inbox.answering, inbox.limiting = timedelta(), True, False
        await asyncio.sleep(3 * 30)
    assert sorted(inbox.taken) == [f"{kind}1", f"{kind}2"]


def test_the_time_of_an_envelope_deferred_while_the_clock_was_ahead_is_not_waited_for() -> None:
    state = module._State(Patience.of(3600), Limits(timedelta(seconds=30), timedelta(hours=4)))
    state.deferred["x"] = NOW + timedelta(hours=24)
    assert state.wait(3600, NOW) == 30


@in_virtual_time
async def test_who_is_not_served_yet_is_left_alone_and_taken_up_without_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PAUSE", timedelta(seconds=0.01))
    access_point, inbox, looked = AccessPoint("a"), Inbox(), 0

    def served(organisation: ParticipantIdentifier) -> bool:
        nonlocal looked
        looked += 1
        return looked > 3

    async with polling(access_point, inbox, timedelta(minutes=10), served):
        async with asyncio.timeout(60):
            while looked < 3:
                assert access_point.polls == 0
                await asyncio.sleep(0.001)
        await until_gone(access_point, "a")
    assert inbox.taken == ["a"]


class InAHurry(AccessPoint):
    """An access point that reports no news immediately, however long it is asked to wait.

    After far too many polls it waits nevertheless: virtual time stands still while none of them does.
    """

    async def poll(self, after: int, wait: float, taken: Collection[str] = (), past: str = "") -> Poll:
        self.polls += 1
        await asyncio.sleep(wait if self.polls > 1000 else 0)
        return Poll((), ())


@in_virtual_time
async def test_an_access_point_whose_polls_end_at_once_is_not_asked_without_pause() -> None:
    access_point = InAHurry()
    async with polling(access_point, Inbox(), timedelta(seconds=1)):
        await asyncio.sleep(1)
    assert 10 < access_point.polls < 20
