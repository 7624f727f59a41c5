"""Presence over several workers: people at another are seen here, and forgotten when it falls silent."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import pytest

from samdrift.installation import presence as sharing
from samdrift.installation.control import ControlRefused
from samdrift.installation.presence import PRESENT, SharedPresence
from samdrift.messageclient.live.presence import POLLED_FOR, Presence, Stay
from samdrift.messageclient.mail import Person
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import NOW

HABO, OTHER = ParticipantIdentifier("0203:habo.se"), ParticipantIdentifier("0203:mullsjo.se")
STAY = Stay(Person("1", "Anna Andersson"), "box", "conversation", writing=True)


class Clock:
    """A clock that a test sets."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


def names(presence: Presence, organisation: ParticipantIdentifier = HABO, person: str = "2") -> list[str]:
    found = presence.others(organisation, person, ["box"])
    return [each.person.name for each in found.get("conversation", ())]


async def test_who_is_at_another_worker_is_seen_here_until_that_says_otherwise_or_nothing() -> None:
    clock = Clock()
    there, here = Presence(clock), Presence(clock)
    with there.during(HABO, STAY):
        assert await there.changed(60) == {HABO}
        told = json.loads(json.dumps(there.own(HABO)))
        count = here.changes.count(HABO)
        here.hear(1, HABO, told)
        assert names(here) == ["Anna Andersson"]
        assert names(here, person="1") == []
        assert names(here, OTHER) == []
        assert here.changes.count(HABO) == count + 1
        here.hear(1, HABO, told)
        assert here.changes.count(HABO) == count + 1, "an unchanged report must not notify"
        here.hear(2, HABO, [])
        assert names(here) == ["Anna Andersson"]
    assert await there.changed(60) == {HABO}
    here.hear(1, HABO, there.own(HABO))
    assert names(here) == []
    here.hear(1, HABO, told)
    clock.now = NOW + POLLED_FOR
    assert names(here) == [], "presence at a killed worker must expire"


async def test_all_is_told_again_while_somebody_is_there_and_once_more_when_nobody_is() -> None:
    clock = Clock()
    presence = Presence(clock)
    presence.polled(HABO, STAY)
    with presence.during(OTHER, STAY):
        assert await presence.changed(60) == {HABO, OTHER}
        assert await presence.changed(0) == {HABO, OTHER}
        clock.now = NOW + POLLED_FOR
        assert await presence.changed(0) == {HABO, OTHER}
        assert presence.own(HABO) == []
        assert await presence.changed(0) == {OTHER}


@pytest.mark.parametrize("name", ["Å" * 60, "Å" * 256, "\U0001f600" * 256])
async def test_what_is_told_at_once_is_bounded(name: str) -> None:
    """A control socket's line is 64 KiB at most, and a sign-in service can send any name."""
    presence = Presence(Clock())
    async with AsyncExitStack() as stack:
        for number in range(300):
            person = Person("1" * 36, name)
            stay = Stay(person, "b" * 32, f"{number:032}", writing=False)
            stack.enter_context(presence.during(HABO, stay))
        told = presence.own(HABO)
    assert len(json.dumps({"stays": json.dumps(told)})) < 60_000
    assert len(told) > 10


async def test_workers_tell_each_other_over_their_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two in one process would otherwise see their own answers as the other's, so each has its own id."""
    there, here = Presence(Clock()), Presence(Clock())
    told = list[dict[str, str]]()

    async def tell_process(folder: Path, process: int, command: str, seconds: float, **values: str) -> None:
        assert (folder, process, command) == (tmp_path, 4711, PRESENT)
        told.append(values)
        await SharedPresence(tmp_path, here).hear(values)

    async def listening(folder: Path) -> list[int]:
        return [sharing.os.getpid(), 4711]

    monkeypatch.setattr(sharing, "tell_process", tell_process)
    monkeypatch.setattr(sharing, "listening_processes", listening)
    telling = asyncio.create_task(SharedPresence(tmp_path, there).share())
    with there.during(HABO, STAY):
        assert await here.changes.beyond(HABO, 0, 60)
        assert names(here) == ["Anna Andersson"]
    assert await here.changes.beyond(HABO, 1, 60)
    assert names(here) == []
    telling.cancel()
    assert {each["worker"] for each in told} == {str(sharing.os.getpid())}


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"organisation": "0203:habo.se", "worker": "x", "stays": "[]"},
        {"organisation": "0203:habo.se", "worker": "1", "stays": "["},
        {"organisation": "0203:habo.se", "worker": "1", "stays": "[[1]]"},
        {"organisation": "0203:habo.se", "worker": "1", "stays": "7"},
        {"organisation": "habo", "worker": "1", "stays": "[]"},
    ],
    ids=str,
)
async def test_what_is_no_presence_is_refused(tmp_path: Path, told: dict[str, str]) -> None:
    with pytest.raises(ControlRefused):
        await SharedPresence(tmp_path, Presence(Clock())).hear(told)
