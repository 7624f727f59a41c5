"""The pool: sessions per login, an overall limit, and room made by closing the longest idle session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import cast

import pytest
import pytest_asyncio

from samdrift.vault.database.pool import Login, Patience, Pool
from samdrift.vault.database.server import Database
from samdrift.vault.database.session import Session
from samdrift.vault.errors import VaultUnavailable
from tests.vaults import Installation, until
from tests.virtualtime import in_virtual_time

LONG = timedelta(hours=1)


@pytest_asyncio.fixture
async def logins(installation: Installation) -> AsyncIterator[list[Login]]:
    """Yield three logins that differ only in name, which is all that the pool needs."""
    database = await Database.start(installation.settings)
    login = database.registry()
    yield [Login(name, login.password, login.address) for name in ("a", "b", "c")]
    await database.stop()


async def test_a_session_is_reused_by_its_login_alone(logins: list[Login]) -> None:
    pool = Pool(8, 8, LONG)
    first = await pool.borrow(logins[0])
    pool.give_back(logins[0], first)
    other = await pool.borrow(logins[1])
    assert other is not first
    assert await pool.borrow(logins[0]) is first
    assert pool.owns(first.backend)
    assert pool.open == 2
    pool.give_back(logins[0], first)
    pool.give_back(logins[1], other)
    pool.close()
    assert first.closed
    assert not pool.owns(first.backend)
    assert pool.open == 0


async def test_at_the_limit_the_longest_idle_makes_room(logins: list[Login]) -> None:
    pool = Pool(2, 2, LONG)
    sessions = [await pool.borrow(login) for login in logins[:2]]
    for login, session in zip(logins, sessions, strict=False):
        pool.give_back(login, session)
    third = await pool.borrow(logins[2])
    assert (sessions[0].closed, sessions[1].closed) == (True, False)
    assert pool.open == 2
    pool.give_back(logins[2], third)
    pool.close()


@pytest.mark.parametrize(("most", "most_per_login"), [(1, 8), (8, 1)], ids=["of all", "of one login"])
async def test_who_comes_too_many_waits(logins: list[Login], most: int, most_per_login: int) -> None:
    pool = Pool(most, most_per_login, LONG)
    first = await pool.borrow(logins[0])
    waiting = asyncio.create_task(pool.borrow(logins[0]))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    pool.give_back(logins[0], first)
    assert await asyncio.wait_for(waiting, 60) is first
    pool.give_back(logins[0], first)
    pool.close()


async def test_one_login_at_its_limit_leaves_room_for_others(logins: list[Login]) -> None:
    pool = Pool(8, 1, LONG)
    first = await pool.borrow(logins[0])
    waiting = asyncio.create_task(pool.borrow(logins[0]))
    second = await asyncio.wait_for(pool.borrow(logins[1]), 60)
    waiting.cancel()
    pool.give_back(logins[0], first)
    pool.give_back(logins[1], second)
    assert await asyncio.wait_for(pool.borrow(logins[0]), 60) is first, (
        "a request that was cancelled must not keep a place"
    )
    pool.give_back(logins[0], first)
    pool.close()


async def test_what_is_idle_is_closed_in_time(logins: list[Login]) -> None:
    pool = Pool(8, 8, timedelta(milliseconds=50))
    session = await pool.borrow(logins[0])
    pool.give_back(logins[0], session)
    await until(lambda: session.closed)
    assert pool.open == 0
    pool.close()


class Unconnected:
    """A session without a database, for virtual time."""

    backend = 1

    def __init__(self) -> None:
        self.closed = False
        self.on_close: Callable[[], None] = lambda: None

    def close(self) -> None:
        self.closed = True
        self.on_close()


@in_virtual_time
async def test_the_more_often_a_session_was_used_the_longer_it_stays() -> None:
    seldom, often, pool = await _one_used_often(Patience(rest=0))
    assert (seldom.closed, often.closed, pool.open) == (True, False, 1)
    await asyncio.sleep(LONG.total_seconds() - 10)
    assert not often.closed
    await asyncio.sleep(20)
    assert (often.closed, pool.open) == (True, 0), "no session may stay longer than the pool's own limit"


@in_virtual_time
async def test_what_one_moment_needs_is_one_use_however_often_a_session_was_lent() -> None:
    seldom, often, pool = await _one_used_often(Patience(rest=3600))
    assert (seldom.closed, often.closed, pool.open) == (True, True, 0)


async def _one_used_often(patience: Patience) -> tuple[Session, Session, Pool]:
    """Return a session lent once, another login's lent 501 times, and their pool, half a second later."""

    async def log_in(login: Login) -> Session:
        return cast(Session, Unconnected())

    pool = Pool(8, 8, LONG, log_in, patience)
    pool.idle_at_first = timedelta(milliseconds=200)
    one, other = Login("one", "", ""), Login("other", "", "")
    seldom, often = await pool.borrow(one), await pool.borrow(other)
    for _ in range(500):
        pool.give_back(other, often)
        assert await pool.borrow(other) is often
    pool.give_back(other, often)
    pool.give_back(one, seldom)
    await asyncio.sleep(0.5)
    return seldom, often, pool


async def test_a_broken_session_is_not_lent_again(logins: list[Login]) -> None:
    pool = Pool(8, 8, LONG)
    returned = await pool.borrow(logins[0])
    pool.give_back(logins[0], returned)
    returned.close()
    fresh = await pool.borrow(logins[0])
    assert not fresh.closed
    fresh.close()
    pool.give_back(logins[0], fresh)
    assert pool.open == 0
    pool.close()


async def test_a_failed_login_holds_no_room(logins: list[Login]) -> None:
    pool = Pool(1, 1, LONG)
    wrong = Login("a", "guess", logins[0].address.replace("user=", "user=nobody"))
    for _ in range(3):
        with pytest.raises(VaultUnavailable):
            await asyncio.wait_for(pool.borrow(wrong), 60)
    session = await asyncio.wait_for(pool.borrow(logins[0]), 60)
    pool.give_back(logins[0], session)
    pool.close()
    with pytest.raises(VaultUnavailable):
        await pool.borrow(logins[0])


def test_a_login_does_not_show_its_password() -> None:
    assert "secret" not in repr(Login("a", "secret", "password=secret"))
