"""Workers of level ``shared``: CPU of an exchange, and exchanges per second, with one and with two, in turn.

CPU is that of the installation alone, its processes and its PostgreSQL: messages are put into the vaults from
here. All eight organisations belong to one operator, so each exchange uses both sides of it.

Each round is run with more and more exchanges at the same time. The knee is the smallest number of them
beyond which the rate hardly grows; this process counts too when the idle time of processors is measured.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import cast

import psutil
from tests.roles.member import Member
from tests.roles.processes import Process, organisation, played

from bench.exchange_pair import SELDOM, Pair, seconds
from bench.measure import Row, against_floor, reported
from samdrift.demo.cast import DemoOperator
from samdrift.demo.scenario import Party
from samdrift.federation.server import LocalFederation, running
from samdrift.installation.loop import run

BAR = 1.1
WORKERS = (1, 2)
IDLE_BAR = 10.0
"""Maximum percent of its time that the least busy of two processors idles at the knee, with two workers."""
_ROUNDS = 3
_EACH = 40
"""Number of exchanges of one pair in one round."""
_AT_ONCE = (2, 4, 8, 16)
"""Numbers of simultaneous exchanges of one pair."""
_KNEE = 0.95
"""Share of the highest rate at which a further increase counts as negligible."""
_NEWEST = 60
_NAMES = "boden", "gallivare", "haparanda", "jokkmokk", "kalix", "kiruna", "lulea", "pitea"
_NUMBER = 2120002600


@dataclass
class House:
    """An installation with some workers, and its measurements by the number of simultaneous exchanges."""

    process: Process
    pairs: list[Pair]
    cpu: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Milliseconds of CPU per exchange in each round."""
    rate: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    idle: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Percent of its time that the least busy processor of the machine was idle in each round.

    Only the middle half of a round counts: fewer exchanges are under way at its beginning and end.
    """

    async def round(self, at_once: int) -> None:
        """Exchange between all pairs at the same time."""
        before, began, looks = installation_cpu(self.process), time.monotonic(), list[_Look]()
        looking = asyncio.create_task(_looks(looks))
        await asyncio.gather(*(pair.batch(_EACH, SELDOM, at_once) for pair in self.pairs))
        looking.cancel()
        number, together = _EACH * len(self.pairs), at_once * len(self.pairs)
        self.rate[together].append(number / (time.monotonic() - began))
        self.cpu[together].append((installation_cpu(self.process) - before) / number * 1e3)
        self.idle[together].append(idlest(looks[len(looks) // 4 : -(len(looks) // 4) or None]))


def installation(process: Process) -> list[psutil.Process]:
    """Return the processes of an installation and of its PostgreSQL; the parent process comes first."""
    assert process.running is not None
    folder = process.config.vaults.database
    assert isinstance(folder, Path)
    server = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))
    serve = psutil.Process(process.running.pid)
    return [server, *server.children(recursive=True), serve, *serve.children(recursive=True)]


def installation_cpu(process: Process) -> float:
    """Return the seconds of CPU so far of an installation and its PostgreSQL, including ended connections.

    None of its own processes has ended.
    """
    server, *others = installation(process)
    return seconds(server, ended=True) + sum(map(seconds, others))


_Look = tuple[float, tuple[float, ...]]
"""A moment, and the idle seconds of each processor until then."""


async def _looks(found: list[_Look]) -> None:
    while True:
        times = psutil.cpu_times(percpu=True)
        mine = sorted(os.sched_getaffinity(0))
        found.append((time.monotonic(), tuple(times[each].idle + times[each].iowait for each in mine)))
        await asyncio.sleep(SELDOM)


def idlest(looks: Sequence[_Look]) -> float:
    """Return the percentage of the time from first to last look that the least busy processor was idle."""
    (began, before), (ended, after) = looks[0], looks[-1]
    return max(late - early for early, late in zip(before, after, strict=True)) / (ended - began) * 100


def knee(rates: Mapping[int, Sequence[float]]) -> int:
    """Return the smallest number of simultaneous exchanges beyond which the rate hardly grows."""
    middle = {number: median(found) for number, found in rates.items()}
    return min(number for number, rate in middle.items() if rate >= _KNEE * max(middle.values()))


def rows(rounds: int | None = None) -> list[Row]:
    """Measure both installations in turn."""
    with tempfile.TemporaryDirectory(prefix="samdrift-workers-") as folder:
        one, two = houses = run(_run(Path(folder), rounds or _ROUNDS))
    knees = [knee(house.rate) for house in houses]
    at_one, at_two = knees
    return [
        *(
            against_floor(
                f"exchange with two workers, over one, {number} at once",
                one.cpu[number],
                two.cpu[number],
                bar=BAR,
                unit="ms CPU",
            )
            for number in one.cpu
        ),
        *(
            reported(f"throughput, workers {workers}, {number} at once", found, "per second")
            for workers, house in zip(WORKERS, houses, strict=True)
            for number, found in house.rate.items()
        ),
        *(
            reported(f"knee, workers {workers}", [float(number)], "at once")
            for workers, number in zip(WORKERS, knees, strict=True)
        ),
        reported("least busy processor at the knee, workers 1", one.idle[at_one], "% idle"),
        reported("least busy processor at the knee, workers 2", two.idle[at_two], "% idle", bar=IDLE_BAR),
        reported("throughput with two workers, over one", _ratios(one.rate[at_one], two.rate[at_two]), ""),
        reported("load of the machine", [*os.getloadavg()], ""),
    ]


def _ratios(one: list[float], two: list[float]) -> list[float]:
    return [more / less for less, more in zip(one, two, strict=True)]


async def _run(folder: Path, rounds: int) -> list[House]:
    async with AsyncExitStack() as stack:
        federation = await stack.enter_async_context(running(folder / "federation"))
        houses = [await _house(stack, federation, folder, number) for number in WORKERS]
        for house in houses:
            await house.round(_AT_ONCE[-1])  # warm-up
            house.cpu.clear()
            house.rate.clear()
            house.idle.clear()
        for _ in range(rounds):
            for at_once in _AT_ONCE:
                for house in houses:
                    await house.round(at_once)
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
    """Return a party for a member, which has operator, principal, organisation and address."""
    return cast(Party, member)
