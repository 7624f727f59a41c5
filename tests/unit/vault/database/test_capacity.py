"""The number of connections follows the number of vaults, as far as the server has room."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.vault.database.capacity import BURSTS, LEAST_ROOM, SPARE, Capacity, embedded_room
from samdrift.vault.gate import Gate
from samdrift.vault.logins import CONNECTIONS
from tests.vaults import Installation


def test_there_is_one_for_each_vault_and_some_for_bursts() -> None:
    assert Capacity.of(600, 10_000).most == 600 + BURSTS
    assert Capacity.of(600, 10_000).missing == 0


def test_the_more_vaults_there_are_the_longer_an_unused_one_stays() -> None:
    assert [Capacity.of(vaults, 10_000).idle for vaults in (2, 200, 600)] == [
        timedelta(minutes=1),
        timedelta(seconds=200),
        timedelta(minutes=5),
    ]


def test_one_that_was_needed_for_a_look_alone_goes_sooner() -> None:
    found = Capacity.of(600, 10_000)
    assert found.idle_at_first * 2**2 < found.idle <= found.idle_at_first * 6**2


def test_what_the_server_has_no_room_for_is_missing() -> None:
    found = Capacity.of(600, 97)
    assert (found.most, found.missing) == (97 - SPARE, 600 + BURSTS - (97 - SPARE))


def test_one_login_cannot_take_what_is_left_to_commands() -> None:
    """This holds even while the pool has all the connections that it may have."""
    assert SPARE >= 2 * CONNECTIONS


def test_the_operator_chooses_both() -> None:
    found = Capacity.of(600, 1000, most=10, idle=timedelta(seconds=5))
    assert found == Capacity(10, timedelta(seconds=5), timedelta(seconds=5))


@given(vaults=st.integers(0, 5000), room=st.integers(0, 10_000), most=st.none() | st.integers(1, 10_000))
def test_there_is_always_one_and_never_more_than_there_is_room_for(
    vaults: int, room: int, most: int | None
) -> None:
    found = Capacity.of(vaults, room, most)
    assert 1 <= found.most <= max(1, room - SPARE)
    assert found.missing >= 0


@given(vaults=st.integers(0, 5000))
def test_the_embedded_server_is_started_with_room_for_all(vaults: int) -> None:
    assert embedded_room(vaults) >= LEAST_ROOM
    assert Capacity.of(vaults, embedded_room(vaults)).missing == 0


async def test_an_operator_is_told_what_to_set_once(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(installation.settings, connections=100_000)
    with caplog.at_level(logging.WARNING, "samdrift"):
        gate = await Gate.start(settings)
        for _ in range(2):
            gate._forget()
        await gate.close()
    (told,) = [record.getMessage() for record in caplog.records if "max_connections" in record.getMessage()]
    assert f"set vaults.connections to {LEAST_ROOM - 3 - SPARE}" in told
