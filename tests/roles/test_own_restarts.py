"""An operator's own restarts lose nothing and cost no attempt, and what they cut short waits for no lease.

Leases last far longer than a test waits, and a transfer has few attempts: one that a restart spent, or that
waited for the end of a claim, would be seen.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from samdrift.cli.serve import ROLL
from samdrift.demo.cast import DemoOperator
from samdrift.messageservice.events import MTEvent
from tests.roles.isolation.house import FIRST_USER, ROOT, SERVES
from tests.roles.member import AP, MT, Member, until
from tests.roles.processes import Played, Process, organisation, played
from tests.roles.soak import Exchange, faults_of, send
from tests.roles.stage import Stage
from tests.sizes import count, seed, soak, whole
from tests.vaults import server_folder

RESTARTS = count(3, 20)
EXCHANGES = 4
"""Messages that are on their way while one restart takes place: one each way."""
PATIENCE = count(120, 600)
_ATTEMPTS, _LEASE = 3, 7200
_PROCESS = '[isolation]\nlevel = "process"\n' + (f"first_user = {FIRST_USER + 5_000}\n" if ROOT else "")
_HERE = organisation("ydre", "2120000423"), organisation("odeshog", "2120000381")
_THERE = (organisation("boxholm", "2120000407"),)
Restart = Callable[[Process, random.Random], Awaitable[None]]


async def stopped(process: Process, rng: random.Random) -> None:
    """As an operator stops and starts it."""
    await process.end(signal.SIGTERM)
    await process.start()


async def killed(process: Process, rng: random.Random) -> None:
    await process.end(signal.SIGKILL)
    await process.start()


async def worker_killed(process: Process, rng: random.Random) -> None:
    """kill -9 of one worker, which its supervisor starts again."""
    numbers = SERVES.findall(process.log.read_text())
    name, number = rng.choice([*dict(numbers).items()])
    text = f"{name}: serves again"
    before = process.log.read_text().count(text)
    os.kill(int(number), signal.SIGKILL)
    await said(process, text, before + 1)


async def rolled(process: Process, rng: random.Random) -> None:
    """One process after the other, as with ``systemctl reload``."""
    text = "the rolling restart has come to its end"
    before = process.log.read_text().count(text)
    assert process.running is not None
    process.running.send_signal(ROLL)
    await said(process, text, before + 1)


async def said(process: Process, text: str, times: int) -> None:
    async def look() -> bool | None:
        return True if process.log.read_text().count(text) >= times else None

    try:
        await until(look, f"in the log, {times} times: {text}", within=300)
    except AssertionError:
        last = process.log.read_text().splitlines()[-20:]
        raise AssertionError("\n".join([f"not said within 300 s: {text}", *last])) from None


@asynccontextmanager
async def two_operators(stage: Stage, name: str, settings: str) -> AsyncIterator[Played]:
    """One with two organisations, to be restarted, and one that stays; both wait long for what is claimed."""
    restarts = DemoOperator(f"{name}-restarted", "AP0081-SDK-DEMO", _HERE)
    stays = DemoOperator(f"{name}-steady", "AP0082-SDK-DEMO", _THERE)
    operators = {restarts: ("all",), stays: ("all",)}
    with server_folder() as folder:
        async with played(stage.federation, folder, operators, own={restarts: settings}) as those:
            restarted, _ = those.processes
            patient(restarted.config_file)
            readable_by_workers(restarted.config_file.parent / "clients")
            for process in those.processes:
                await process.start()
            yield those


def readable_by_workers(folder: Path) -> None:
    """Public keys of message clients, which workers with Unix users of their own read."""
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o644)


def patient(file: Path) -> None:
    """Few attempts, and leases that outlast the test."""
    text = file.read_text()
    for before, after in {
        "attempts = 60": f"attempts = {_ATTEMPTS}",
        "lease_seconds = 3\n": f"lease_seconds = {_LEASE}\n",
    }.items():
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)


async def attempts_spent(exchange: Exchange, restarted: Sequence[Member]) -> int:
    """Attempts at transfers of the restarted operator, beyond the one that each needs."""
    ways = []
    if exchange.sender in restarted:
        ways.append((exchange.sender, exchange.id))
    if exchange.recipient in restarted:
        entries = await exchange.recipient.log(MT, exchange.id)
        (receipt,) = [e.ids["envelope"] for e in entries if e.event == MTEvent.MT_RECEIPT_QUEUED]
        ways.append((exchange.recipient, receipt))
    spent = 0
    for member, envelope in ways:
        async with member.open(AP) as vault:
            status = await vault.status(envelope)
        assert status is not None
        spent += status.attempts - 1
    return spent


@soak
async def test_restarts_under_traffic_lose_nothing_and_cost_no_attempt(stage: Stage) -> None:
    await survived(stage, "shared", "", (stopped, killed))


@soak
@whole
async def test_restarts_of_workers_and_supervisor_lose_nothing_and_cost_no_attempt(stage: Stage) -> None:
    await survived(stage, "process", _PROCESS, (worker_killed, rolled, stopped, killed))


async def survived(stage: Stage, level: str, settings: str, restarts: Sequence[Restart]) -> None:
    """Restart one of two operators again and again while messages are on their way."""
    rng = random.Random(seed(20261127))
    sent: list[Exchange] = []
    async with two_operators(stage, level, settings) as those:
        restarted, _ = those.processes
        for number in range(RESTARTS):
            sending = asyncio.create_task(send(those.members, rng, EXCHANGES))
            await asyncio.sleep(rng.uniform(0, 1.5))
            await restarts[number % len(restarts)](restarted, rng)
            sent += await sending
        assert await faults_of(sent, those.members, PATIENCE) == []
        assert [await attempts_spent(one, those.members[:2]) for one in sent] == [0] * len(sent)
    assert len(sent) == RESTARTS * EXCHANGES
