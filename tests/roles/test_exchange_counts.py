"""Counts of one exchange: openings of vaults, round trips to PostgreSQL, log entries, requests.

Exceeding a limit here makes every exchange more expensive; when a count falls, lower the limit here and in
docs/performance.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from bench.exchange_counts import Counts, counted

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.net.clock import system_clock
from samdrift.vault import company
from tests.roles.letters import letter
from tests.roles.member import AP, Member
from tests.roles.stage import Stage

SENT, RECEIVED = 2, 2
"""Envelopes of an exchange: the message and its receipt, with the same work for each."""
OPENINGS = {
    "mt test compose": 1,
    "mt message-service send": SENT,
    "ap message-service submit": SENT,
    "ap access-point-inbound receive": RECEIVED,
    "ap message-service deliver": 4,
    "mt message-service receive": RECEIVED,
    "mt message-service process": 2,
}
ROUND_TRIPS = {
    "mt test compose": 1,
    "mt message-service send": SENT,
    "ap message-service submit": SENT,
    "ap access-point-inbound receive": RECEIVED,
    "ap message-service deliver": 4,
    "mt message-service receive": 4,
    "mt message-service process": 4,
}
ENTRIES = {
    "mt:message:scheduled": 1,
    "mt:message:submitted": 1,
    "mt:message:acknowledged": 1,
    "mt:message:accepted": 1,
    "mt:message:retrieved": 1,
    "mt:message:new": 1,
    "mt:receipt:queued": 1,
    "mt:receipt:submitted": 1,
    "mt:receipt:acknowledged": 1,
    "mt:receipt:received": 1,
    "ap:transfer:queued": SENT,
    "ap:transfer:delivered": SENT,
    "ap:envelope:received": RECEIVED,
    "ap:envelope:acknowledged": RECEIVED,
    "vault:opening:granted": 4,
}
TIMED = {"registry": 100}
"""Upper limit for the registry's notifications, which are batched by time and not by commits."""
REQUESTS = {"POST /as4": SENT, "shared service": 8}
"""Requests of an exchange; the operators of the tests do not cache answers of shared services."""
CALLS = {"PUT /c/v1/envelopes/ID": SENT, "POST /c/v1/poll": 4}

LIMITS = {
    "openings": OPENINGS,
    "round_trips": ROUND_TRIPS | TIMED,
    "entries": ENTRIES,
    "requests": REQUESTS,
    "calls": CALLS,
}
MOST = 12
"""Maximum number of exchanges until each kind was within its limit once.

On a busy machine polls come back at other moments.
"""


def least(counts: Sequence[Counter[str]]) -> dict[str, int]:
    """Return the minimum of each kind over all exchanges, since some include leftovers of earlier tests."""
    kinds = {kind for each in counts for kind in each}
    return {kind: number for kind in kinds if (number := min(each[kind] for each in counts))}


def beyond(found: dict[str, int], limits: dict[str, int]) -> dict[str, int]:
    """Return the kinds that have no limit or exceed it."""
    return {kind: number for kind, number in found.items() if number > limits.get(kind, 0)}


async def nothing_waits(member: Member) -> None:
    """Acknowledge what earlier tests left in the inbox, which each poll would look at again."""
    for item in await member.waiting():
        async with member.open(AP) as vault:
            await vault.acknowledge(item.id, now=system_clock())


async def test_an_exchange_takes_no_more_than_it_needs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a transfer waits for the next poll, however slow the machine is."""
    monkeypatch.setattr(company, "_WITHIN", 60.0)
    habo, agency = stage.habo, stage.agency
    for member in (habo, agency):
        await nothing_waits(member)
    exchanges: list[Counts] = []
    over: dict[str, dict[str, int]] = {}
    while len(exchanges) < MOST:
        message = letter(habo.address, agency.address)
        with counted() as counts:
            await habo.operator.messages.send(habo.principal, habo.organisation, message)
            assert await agency.ends(message.message_id, Direction.IN) is MessageStatus.NEW
            assert await habo.ends(message.message_id) is MessageStatus.ACCEPTED
        exchanges.append(counts)
        found = {name: least([getattr(each, name) for each in exchanges]) for name in LIMITS}
        over = {name: more for name in LIMITS if (more := beyond(found[name], LIMITS[name]))}
        if not over:
            return
    assert over == {}
