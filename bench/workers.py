"""Workers of level ``shared``: CPU of an exchange, and exchanges a second, with one and with two, in turn.

CPU is that of the installation alone, its processes and its PostgreSQL: messages are put into the vaults from
here. All eight organisations are of one operator, so that each exchange goes through all of it on both sides.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import psutil
from tests.roles.member import Member
from tests.roles.processes import Process, organisation, played

from bench.exchange_pair import SELDOM, Pair
from bench.measure import Row, against_floor, reported
from samdrift.demo.cast import DemoOperator
from samdrift.demo.scenario import Party
from samdrift.federation.server import LocalFederation, running
from samdrift.installation.loop import run

BAR = 1.1
WORKERS = (1, 2)
_ROUNDS = 3
_EACH = 20
"""Exchanges of one pair in one round."""
_NEWEST = 60
_NAMES = "boden", "gallivare", "haparanda", "jokkmokk", "kalix", "kiruna", "lulea", "pitea"
_NUMBER = 2120002600


@dataclass
class House:
    """An installation with some workers, and what was measured of it."""

    process: Process
    pairs: list[Pair]
    cpu: list[float] = field(default_factory=list)
    """Milliseconds an exchange, of each round."""
    rate: list[float] = field(default_factory=list)

    async def round(self) -> None:
        """Exchange between all pairs at the same time."""
        before, began = self._seconds(), time.monotonic()
        await asyncio.gather(*(pair.batch(_EACH, SELDOM) for pair in self.pairs))
        number = _EACH * len(self.pairs)
        self.rate.append(number / (time.monotonic() - began))
        self.cpu.append((self._seconds() - before) / number * 1e3)

    def _seconds(self) -> float:
        """CPU of all processes so far; none of them ends meanwhile but connections of PostgreSQL."""
        assert self.process.running is not None
        folder = self.process.config.vaults.database
        assert isinstance(folder, Path)
        server = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))
        serve = psutil.Process(self.process.running.pid)
        found = [serve, *serve.children(recursive=True), *server.children(recursive=True)]
        times = [each.cpu_times() for each in found]
        ended = server.cpu_times()
        own = ended.user + ended.system + ended.children_user + ended.children_system
        return own + sum(each.user + each.system for each in times)


def rows(rounds: int | None = None) -> list[Row]:
    """Measure both in turn."""
    with tempfile.TemporaryDirectory(prefix="samdrift-workers-") as folder:
        houses = run(_run(Path(folder), rounds or _ROUNDS))
    one, two = houses
    return [
        against_floor("exchange with two workers, over one", one.cpu, two.cpu, bar=BAR, unit="ms CPU"),
        *(
            reported(f"throughput, workers {number}", house.rate, "per second")
            for number, house in zip(WORKERS, houses, strict=True)
        ),
        reported("throughput with two workers, over one", _ratios(one.rate, two.rate), ""),
    ]


def _ratios(one: list[float], two: list[float]) -> list[float]:
    return [more / less for less, more in zip(one, two, strict=True)]


async def _run(folder: Path, rounds: int) -> list[House]:
    async with AsyncExitStack() as stack:
        federation = await stack.enter_async_context(running(folder / "federation"))
        houses = [await _house(stack, federation, folder, number) for number in WORKERS]
        for house in houses:
            await house.round()  # Warms it up.
            house.cpu.clear()
            house.rate.clear()
        for _ in range(rounds):
            for house in houses:
                await house.round()
    return houses


async def _house(stack: AsyncExitStack, federation: LocalFederation, folder: Path, workers: int) -> House:
    numbered = enumerate(_NAMES, start=_NUMBER + 10 * workers)
    members = tuple(organisation(f"{name}{workers}", str(number)) for number, name in numbered)
    operator = DemoOperator(f"workers-{workers}", f"AP009{workers}-SDK-DEMO", members)
    own = {operator: f'[isolation]\nlevel = "shared"\nworkers = {workers}\n'}
    those = await stack.enter_async_context(played(federation, folder, {operator: ("all",)}, own=own))
    await those.processes[0].start()
    ways = zip(those.members[::2], those.members[1::2], strict=True)
    return House(
        those.processes[0], [Pair(_party(sender), _party(recipient), _NEWEST) for sender, recipient in ways]
    )


def _party(member: Member) -> Party:
    """A member has all that is asked of a party here: operator, principal, organisation and address."""
    return cast(Party, member)
