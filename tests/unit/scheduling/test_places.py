"""Shared places are divided fairly among organisations, whatever one of them asks for."""

from __future__ import annotations

import asyncio

import pytest

from samdrift.scheduling.places import NoPlace, Places, Turns
from samdrift.wire.identifiers import ParticipantIdentifier

A, B, C = (ParticipantIdentifier(f"0203:{name}.se") for name in "abc")


def test_one_organisation_is_refused_what_others_need() -> None:
    places = Places(3, 2)
    with places.taken(A), places.taken(A):
        with pytest.raises(NoPlace), places.taken(A):
            pass
        with places.taken(B), places.taken(C), pytest.raises(NoPlace), places.taken(B):
            pass
        with places.taken(B), pytest.raises(NoPlace), places.taken(B):
            pass
    with places.taken(A), places.taken(A):
        pass


async def waited(turns: Turns, organisation: ParticipantIdentifier, order: list[str]) -> None:
    async with turns.turn(organisation):
        order.append(organisation.value[5].upper())
        await asyncio.sleep(0)


async def test_who_comes_behind_thousands_of_another_waits_for_one_of_them() -> None:
    turns, order = Turns(1), list[str]()
    tasks = [asyncio.create_task(waited(turns, A, order)) for _ in range(2000)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(waited(turns, one, order)) for one in (B, B, C)]
    await asyncio.gather(*tasks)
    assert len(order) == 2003
    behind = "".join(order[order.index("B") - 1 :][:6])
    assert order.index("B") <= 3
    assert sorted(behind[:3]) == ["A", "B", "C"]
    assert "B" in behind[3:6]


async def test_no_place_is_lost_with_who_gives_up_waiting() -> None:
    turns, order = Turns(1), list[str]()
    async with turns.turn(A):
        gives_up, stays = (asyncio.create_task(waited(turns, one, order)) for one in (B, C))
        await asyncio.sleep(0)
        gives_up.cancel()
    await stays
    assert order == ["C"]
    async with turns.turn(A):
        given = asyncio.create_task(waited(turns, B, order))
        await asyncio.sleep(0)
    given.cancel()  # It has just been given the place, and has not run yet.
    await asyncio.gather(given, return_exceptions=True)
    async with asyncio.timeout(60), turns.turn(C):
        pass
