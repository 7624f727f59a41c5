"""Fair sharing of connections: busy vaults keep theirs, a cold one gets one, few open at a time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.vault.database.pool import Login, Patience, Pool
from samdrift.vault.database.session import Session
from samdrift.vault.errors import VaultUnavailable

HASTY = Patience(own=0.01, busy=0.05, others=0.1)
FOREVER = timedelta(hours=1)


@dataclass(eq=False)
class Connection:
    """The part of a session that the pool uses."""

    login: str
    backend: int
    closed: bool = False
    lent: bool = False
    on_close: Any = None

    def close(self) -> None:
        assert not self.lent, "a connection that is in use was closed"
        self.closed = True


@dataclass
class Server:
    """A server that opens connections slowly, and counts them."""

    seconds: float = 0.002
    opened: list[Connection] = field(default_factory=list)
    opening: int = 0
    most_opening: int = 0
    fails: bool = False

    async def log_in(self, login: Login) -> Session:
        self.opening += 1
        self.most_opening = max(self.most_opening, self.opening)
        try:
            await asyncio.sleep(self.seconds)
            if self.fails:
                raise VaultUnavailable
        finally:
            self.opening -= 1
        connection = Connection(login.name, len(self.opened))
        self.opened.append(connection)
        return cast(Session, connection)

    @property
    def open(self) -> list[Connection]:
        return [each for each in self.opened if not each.closed]

    def logins_of(self, login: Login) -> int:
        return sum(each.login == login.name for each in self.opened)


def vault(name: object) -> Login:
    return Login(f"l{name}", "", "")


async def use(pool: Pool, login: Login, seconds: float = 0.0) -> Session:
    session = await pool.borrow(login)
    connection = cast(Connection, session)
    assert connection.login == login.name, "a connection was lent to another vault"
    assert not connection.lent, "a connection was lent twice"
    connection.lent = True
    try:
        await asyncio.sleep(seconds)
    finally:
        connection.lent = False
        pool.give_back(login, session)
    return session


async def busy(pool: Pool, login: Login, every: float = 0.005) -> None:
    while True:
        await use(pool, login, every)
        await asyncio.sleep(every)


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_busy_vault_keeps_its_connection_while_cold_ones_come_and_go() -> None:
    server = Server()
    pool = Pool(3, 8, FOREVER, server.log_in, HASTY)
    working = asyncio.create_task(busy(pool, vault("busy")))
    for number in range(10):
        await use(pool, vault(number))
    await ended(working)
    assert server.logins_of(vault("busy")) == 1
    assert len(server.open) <= 3
    pool.close()


async def test_what_was_used_just_now_is_not_taken_for_a_cold_vault() -> None:
    server = Server()
    pool = Pool(1, 8, FOREVER, server.log_in, Patience(busy=60, others=60))
    session = await use(pool, vault("busy"))
    cold = asyncio.create_task(use(pool, vault("cold")))
    await asyncio.sleep(0.05)
    assert not session.closed
    assert await use(pool, vault("busy")) is session
    cold.cancel()
    await asyncio.gather(cold, return_exceptions=True)
    pool.close()


async def test_an_idle_connection_that_a_vault_has_besides_another_goes_first() -> None:
    server = Server()
    pool = Pool(3, 8, FOREVER, server.log_in, HASTY)
    await use(pool, vault("first"))
    await asyncio.gather(*(use(pool, vault("twice"), 0.05) for _ in range(2)))
    await use(pool, vault("cold"))
    assert Counter(each.login for each in server.open) == {"lfirst": 1, "ltwice": 1, "lcold": 1}
    pool.close()


async def test_a_cold_vault_gets_a_connection_although_all_others_are_always_busy() -> None:
    server = Server()
    pool = Pool(4, 8, FOREVER, server.log_in, HASTY)
    working = [asyncio.create_task(busy(pool, vault(number))) for number in range(4)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(60):
        await asyncio.gather(*(use(pool, vault(f"cold{number}")) for number in range(6)))
    assert len(server.open) <= 4
    await ended(*working)
    pool.close()


@pytest.mark.parametrize("tasks", [1, 3])
async def test_one_that_is_always_lent_is_given_up_for_a_cold_vault_when_it_comes_back(tasks: int) -> None:
    """Its vault never leaves it idle, and itself waits for it."""
    server = Server()
    pool = Pool(1, 8, FOREVER, server.log_in, HASTY)

    async def incessantly() -> None:
        while True:
            await use(pool, vault("greedy"), 0.005)

    working = [asyncio.create_task(incessantly()) for _ in range(tasks)]
    await asyncio.sleep(0.02)
    cold = asyncio.create_task(use(pool, vault("cold")))
    done, _ = await asyncio.wait([cold], timeout=60)
    assert cold in done
    await ended(*working)
    pool.close()


async def test_few_logins_are_opened_at_once_and_each_vault_has_its_turn() -> None:
    server = Server(seconds=0.01)
    pool = Pool(1000, 100, FOREVER, server.log_in, Patience(own=0.0))
    flood = [asyncio.create_task(use(pool, vault("flood"), 5)) for _ in range(60)]
    await asyncio.sleep(0.005)
    await asyncio.gather(*(use(pool, vault(number)) for number in range(5)))
    before = server.logins_of(vault("flood"))
    assert server.most_opening <= 4
    assert before <= 30, "five others waited for the whole flood"
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
    pool.close()


async def test_one_that_comes_back_soon_is_waited_for_instead_of_another_login() -> None:
    server = Server()
    pool = Pool(100, 8, FOREVER, server.log_in, Patience(own=5.0))
    await asyncio.gather(*(use(pool, vault("a"), 0.001) for _ in range(20)))
    assert len(server.opened) == 1
    pool.close()


async def test_who_waits_for_a_login_that_fails_tries_it_again() -> None:
    server = Server(seconds=0.02, fails=True)
    pool = Pool(2, 1, FOREVER, server.log_in, HASTY)
    results = await asyncio.gather(*(use(pool, vault("a")) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in results] == [VaultUnavailable] * 3
    assert pool.open == 0
    server.fails = False
    await use(pool, vault("a"))
    pool.close()


async def test_who_gives_up_in_the_moment_of_being_handed_a_connection_leaves_it() -> None:
    server = Server()
    pool = Pool(1, 1, FOREVER, server.log_in, Patience(own=5.0))
    session = await pool.borrow(vault("a"))
    waiting = asyncio.create_task(pool.borrow(vault("a")))
    await asyncio.sleep(0)
    pool.give_back(vault("a"), session)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(60):
        assert await pool.borrow(vault("a")) is session


async def test_who_gives_up_in_the_moment_of_being_let_open_a_connection_lets_the_next_one() -> None:
    """Otherwise the next one would wait until somebody else comes for that vault."""
    server = Server()
    pool = Pool(1, 1, FOREVER, server.log_in, Patience(own=5.0))
    session = await pool.borrow(vault("a"))
    gives_up, waits = (asyncio.create_task(pool.borrow(vault("a"))) for _ in range(2))
    await asyncio.sleep(0)
    session.close()
    pool.give_back(vault("a"), session)
    gives_up.cancel()
    done, _ = await asyncio.wait([waits], timeout=60)
    assert waits in done
    assert gives_up.cancelled()
    pool.give_back(vault("a"), waits.result())
    pool.close()
    assert pool.open == 0


@settings(max_examples=25, deadline=None)
@given(
    most=st.integers(1, 6),
    per_login=st.integers(1, 4),
    vaults=st.integers(1, 8),
    seed=st.integers(0, 2**32),
)
async def test_bounds_hold_and_everybody_is_served_whatever_happens(
    most: int, per_login: int, vaults: int, seed: int
) -> None:
    """Borrowers come, break connections and give up at random; in the end nothing is lost."""
    chance = random.Random(seed)
    server = Server(seconds=0.001)
    pool = Pool(most, per_login, FOREVER, server.log_in, Patience(own=0.001, busy=0.002, others=0.005))
    served = Counter[str]()

    async def one(login: Login) -> None:
        session = await use(pool, login, chance.random() * 0.003)
        served[login.name] += 1
        if chance.random() < 0.2 and not cast(Connection, session).lent:
            session.close()
        assert len(server.open) <= most
        assert all(number <= per_login for number in Counter(each.login for each in server.open).values())

    tasks = []
    for _ in range(40):
        tasks.append(asyncio.create_task(one(vault(chance.randrange(vaults)))))
        if chance.random() < 0.2:
            chance.choice(tasks).cancel()
        if chance.random() < 0.3:
            await asyncio.sleep(0.001)
    async with asyncio.timeout(60):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [each for each in results if each is not None and not isinstance(each, asyncio.CancelledError)]
    async with asyncio.timeout(60):
        await asyncio.gather(*(use(pool, vault(number)) for number in range(vaults)))
    pool.close()
    assert pool.open == 0
    assert not server.open
