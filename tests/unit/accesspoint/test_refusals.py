"""Refusals of strangers' messages in the operator's log: first each of them, then their number."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.accesspoint.refusals import PeerWatch, Refusals
from samdrift.audit.events import AuditEvent
from samdrift.wire.as4 import As4Fault
from samdrift.wire.ebms import EbmsErrorCode
from tests.virtualtime import in_virtual_time

JUNK = As4Fault(EbmsErrorCode.MIME_INCONSISTENCY, "no multipart")
FORGED = As4Fault(EbmsErrorCode.FAILED_AUTHENTICATION, "the signature does not hold")
SECONDS_OF_FLOOD, EACH_SECOND = 60, 92


class Operator:
    """An operator's log and clock."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 26, 8, tzinfo=UTC)
        self.entries: list[tuple[AuditEvent, dict[str, str]]] = []
        self.refusals = Refusals(self.log, lambda: self.now)

    async def log(self, event: AuditEvent, **facts: str) -> None:
        self.entries.append((event, facts))

    async def flood(self) -> None:
        for number in range(SECONDS_OF_FLOOD * EACH_SECOND):
            self.now += timedelta(seconds=1 / EACH_SECOND)
            await self.refusals.add("", {}, FORGED if number % 3 == 0 else JUNK)


@pytest.fixture
def operator() -> Operator:
    return Operator()


async def test_92_refusals_a_second_become_a_few_entries_and_a_count(operator: Operator) -> None:
    await operator.flood()
    one_by_one = len(operator.entries)
    assert 300 <= one_by_one <= 300 + SECONDS_OF_FLOOD // 5 + 1
    await operator.refusals.summarise()
    event, facts = operator.entries[-1]
    assert event == APEvent.AP_REFUSALS_COUNTED
    total = SECONDS_OF_FLOOD * EACH_SECOND
    assert facts["reason"].startswith(f"{total - one_by_one} more since 2026-11-26T08:00:0")
    assert "EBMS:0101" in facts["reason"]
    assert "EBMS:0007" in facts["reason"]
    await operator.refusals.summarise()
    assert len(operator.entries) == one_by_one + 1, "no refusal may be counted twice"


async def test_a_flood_of_strangers_hides_no_refusal_of_a_peers_message(operator: Operator) -> None:
    """Clauses: component-accesspoint 3.2.1 step 1."""
    await operator.flood()
    await operator.refusals.add("AP0001-SDK-TEST", {"as4": "a@b"}, FORGED)
    event, facts = operator.entries[-1]
    assert (event, facts.get("as4")) == (APEvent.AP_ENVELOPE_REFUSED, "a@b")


async def test_single_refusals_are_logged_one_by_one_again_when_the_flood_is_over(operator: Operator) -> None:
    await operator.flood()
    operator.now += timedelta(minutes=5)
    await operator.refusals.add("", {"as4": "a@b"}, JUNK)
    assert operator.entries[-1][1].get("as4") == "a@b"


async def test_300_are_logged_and_then_one_every_five_seconds(operator: Operator) -> None:
    async def refused(times: int) -> int:
        before = len(operator.entries)
        for _ in range(times):
            await operator.refusals.add("", {}, JUNK)
        return len(operator.entries) - before

    assert await refused(400) == 300
    operator.now += timedelta(seconds=4.9)
    assert await refused(10) == 0
    operator.now += timedelta(seconds=0.1)
    assert await refused(10) == 1
    operator.now += timedelta(days=1)
    assert await refused(400) == 300


@in_virtual_time
async def test_what_was_counted_is_in_the_log_within_a_minute_also_after_one_that_failed() -> None:
    operator, failures = Operator(), list[Exception]()

    async def log(event: AuditEvent, **facts: str) -> None:
        if event == APEvent.AP_REFUSALS_COUNTED and not failures:
            raise OSError("the log is away")
        await operator.log(event, **facts)

    operator.refusals = Refusals(log, lambda: operator.now)
    running = asyncio.create_task(operator.refusals.run(failures.append))
    for minute in (1, 2):
        for _ in range(301):
            await operator.refusals.add("AP0001-SDK-TEST", {}, FORGED)
        await asyncio.sleep(61)
        assert len(failures) + len(counted(operator)) == minute
    running.cancel()
    assert [str(failure) for failure in failures] == ["the log is away"]
    assert [facts["peer"] for facts in counted(operator)] == ["AP0001-SDK-TEST"]


def counted(operator: Operator) -> list[dict[str, str]]:
    """Return the facts of the entries that count refusals."""
    return [facts for event, facts in operator.entries if event == APEvent.AP_REFUSALS_COUNTED]


def test_refusals_counted_while_the_clock_was_ahead_do_not_suppress_the_alarm_when_it_is_right() -> None:
    right = datetime(2026, 11, 26, 8, tzinfo=UTC)
    watch = PeerWatch(2, timedelta(days=1))
    assert [watch.refused("peer", right + timedelta(days=30)) for _ in range(3)] == [False, True, False]
    assert [watch.refused("peer", right) for _ in range(3)] == [False, True, False]


@pytest.mark.parametrize(("others", "remembered"), [(9_999, True), (10_000, False)])
def test_ten_thousand_peers_are_watched_and_the_longest_silent_is_forgotten(
    others: int, remembered: bool
) -> None:
    """A holder of many certificates uses limited memory, and hides no peer that has fewer of them."""
    now = datetime(2026, 11, 26, 8, tzinfo=UTC)
    watch = PeerWatch(2, timedelta(days=1))
    assert not watch.refused("first", now)
    assert not any(watch.refused(str(number), now) for number in range(others))
    assert watch.refused("first", now) is remembered
