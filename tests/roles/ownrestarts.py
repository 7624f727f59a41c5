"""An operator's own restarts under traffic, in one process and in several, and what they cost.

Leases outlast the test, and a transfer has few attempts, so the test notices an attempt that a restart
wasted, or work that waits for the end of a claim.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from samdrift.cli.serve import ROLL
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.demo.cast import DemoOperator
from samdrift.federation.server import LocalFederation
from samdrift.messageservice.events import MTEvent
from tests.roles.isolation.house import FIRST_USER, ROOT, SERVES
from tests.roles.member import AP, MT, Member, until
from tests.roles.processes import Played, Process, organisation, played
from tests.roles.soak import Exchange, faults_of
from tests.roles.traffic import BETWEEN, flowing
from tests.vaults import server_folder

_ATTEMPTS, _LEASE = 3, 7200


class Layout(StrEnum):
    """The processes in which an installation runs."""

    SHARED = "shared"
    WORKERS = "shared, two workers"
    PROCESS = "process"


SETTINGS = {
    Layout.SHARED: "",
    Layout.WORKERS: '[isolation]\nlevel = "shared"\nworkers = 2\n',
    Layout.PROCESS: '[isolation]\nlevel = "process"\n'
    + (f"first_user = {FIRST_USER + 5_000}\n" if ROOT else ""),
}
_PATIENCE = 900.0
"""Seconds for a restart, also on a busy machine."""
_LAST_LINES = 20
_ROLLED = "the rolling restart is complete"
_ROLL_STUCK = "does not serve again; the rolling restart is aborted"
_HERE = organisation("ydre", "2120000423"), organisation("odeshog", "2120000381")
_THERE = (organisation("boxholm", "2120000407"),)
Restart = Callable[[Process, random.Random], Awaitable[None]]


@dataclass(frozen=True)
class Survived:
    """Restarts that took place, and everything that was wrong afterwards."""

    restarts: Counter[str]
    ended: Counter[str]
    """Outcomes at the senders of the messages that interface D accepted, with the reasons of failures."""
    answers: Counter[str]
    """Answers to calls at interface D; calls that were not accepted were repeated."""
    faults: list[str]
    """Messages that were lost, delivered twice, changed or left over (:mod:`tests.roles.soak`)."""
    spent: int
    """Attempts at transfers of the restarted operator, beyond the necessary one each."""


async def stopped(process: Process, rng: random.Random) -> None:
    """Stop and start the installation as an operator does."""
    await process.end(signal.SIGTERM)
    await process.start()


async def killed(process: Process, rng: random.Random) -> None:
    await process.end(signal.SIGKILL)
    await process.start()


async def worker_killed(process: Process, rng: random.Random) -> None:
    """Kill one worker with SIGKILL; its supervisor restarts it."""
    name, number = rng.choice([*running_workers(process).items()])
    text = f"{name}: serves again"
    before = process.log.read_text().count(text)
    os.kill(number, signal.SIGKILL)
    await said(process, text, before + 1)


async def rolled(process: Process, rng: random.Random) -> None:
    """Restart one process after the other, as ``systemctl reload`` does."""
    before = process.log.read_text().count(_ROLLED)
    assert process.running is not None
    process.running.send_signal(ROLL)
    await said(process, _ROLLED, before + 1)


async def worker_killed_meanwhile(process: Process, rng: random.Random) -> None:
    """Kill a worker with SIGKILL somewhere in a rolling restart.

    If it is the one that is being started, the rolling restart reports that and ends; the worker is
    restarted automatically.
    """
    ended = "|".join(map(re.escape, (_ROLLED, _ROLL_STUCK)))
    before = len(re.findall(ended, process.log.read_text()))
    assert process.running is not None
    process.running.send_signal(ROLL)
    await asyncio.sleep(rng.uniform(0, 4))
    name, number = rng.choice([*running_workers(process).items()])
    with contextlib.suppress(ProcessLookupError):  # The rolling restart has just stopped it.
        os.kill(number, signal.SIGKILL)
    await shown(process, "a rolling restart ends", lambda log: len(re.findall(ended, log)) > before)

    def another(log: str) -> bool:
        found = running_workers(process)[name]
        return found != number and psutil.pid_exists(found)

    await shown(process, f"another {name}", another)


def running_workers(process: Process) -> dict[str, int]:
    """Return the process ids of the workers that were started last, by their names in the log."""
    return {name: int(number) for name, number in SERVES.findall(process.log.read_text())}


async def said(process: Process, text: str, times: int) -> None:
    await shown(process, f"{times} times: {text}", lambda log: log.count(text) >= times)


async def shown(process: Process, what: str, holds: Callable[[str], bool]) -> None:
    """Wait until the log meets a condition; a failure shows its last lines."""

    async def look() -> bool | None:
        return True if holds(process.log.read_text()) else None

    try:
        await until(look, what, within=_PATIENCE)
    except AssertionError as error:
        last = process.log.read_text().splitlines()[-_LAST_LINES:]
        raise AssertionError("\n".join([str(error), *last])) from None


_SEVERAL = (worker_killed, rolled, stopped, killed, worker_killed_meanwhile)
RESTARTS: Mapping[Layout, Sequence[Restart]] = {
    Layout.SHARED: (stopped, killed),
    Layout.WORKERS: _SEVERAL,
    Layout.PROCESS: _SEVERAL,
}
"""Ways of restarting an installation in each layout, used in turn."""


@asynccontextmanager
async def two_operators(federation: LocalFederation, layout: Layout) -> AsyncIterator[Played]:
    """Run one operator with two organisations, to be restarted, and another one; both have long leases."""
    folder_of = layout.name.lower()
    restarts = DemoOperator(f"{folder_of}-restarted", "AP0081-SDK-DEMO", _HERE)
    stays = DemoOperator(f"{folder_of}-steady", "AP0082-SDK-DEMO", _THERE)
    operators = {restarts: ("all",), stays: ("all",)}
    with server_folder() as folder:
        async with played(federation, folder, operators, own={restarts: SETTINGS[layout]}) as those:
            restarted, stays_up = those.processes
            patient(restarted.config_file)
            undaunted(stays_up.config_file)
            readable_by_workers(restarted.config_file.parent / "clients")
            for process in those.processes:
                await process.start()
            yield those


def readable_by_workers(folder: Path) -> None:
    """Make files readable for workers with their own Unix users, such as public keys of message clients."""
    folder.chmod(0o755)
    for each in folder.iterdir():
        if each.is_dir():
            readable_by_workers(each)
        elif each.is_file():
            each.chmod(0o644)


def patient(file: Path) -> None:
    """Configure few attempts, and leases that outlast the test."""
    _replaced(
        file,
        {"attempts = 60": f"attempts = {_ATTEMPTS}", "lease_seconds = 3\n": f"lease_seconds = {_LEASE}\n"},
    )


def undaunted(file: Path) -> None:
    """Configure an attempt each second for as long as the other operator's restart may take."""
    _replaced(file, {"attempts = 60": f"attempts = {_LEASE}"})


def _replaced(file: Path, changes: Mapping[str, str]) -> None:
    text = file.read_text()
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)


async def attempts_spent(exchange: Exchange, restarted: Sequence[Member]) -> int:
    """Return the attempts at transfers of the restarted operator, beyond the necessary one each."""
    ways = []
    if exchange.sender in restarted:
        ways.append((exchange.sender, exchange.id))
    if exchange.recipient in restarted:
        entries = await exchange.recipient.log(MT, exchange.id)
        receipts = [e.ids["envelope"] for e in entries if e.event == MTEvent.MT_RECEIPT_QUEUED]
        ways += [(exchange.recipient, receipt) for receipt in receipts]
    spent = 0
    for member, envelope in ways:
        async with member.open(AP) as vault:
            status = await vault.status(envelope)
        spent += max(0, status.attempts - 1) if status is not None else 0
    return spent


async def how_it_ended(exchange: Exchange) -> str:
    """Return a message's status at its sender, with the reason if it failed."""
    record = await exchange.sender.record(exchange.id, Direction.OUT)
    if record is None:
        return "not there"
    if record.status is MessageStatus.ACCEPTED:
        return record.status.value
    events = await exchange.sender.events(exchange.id)
    return f"{record.status.value}: {events[-1].title if events else 'without a reason'}"


async def survived(
    federation: LocalFederation,
    layout: Layout,
    restarts: int,
    rng: random.Random,
    patience: float,
    report: Callable[[str], None] = lambda line: None,
    between: float = BETWEEN,
) -> Survived:
    """Restart one of two operators repeatedly while messages are under way, then check each message.

    ``report`` is called with a line for each restart; ``patience`` is for work that goes on after the last
    one; ``between`` is the maximum of seconds between two messages of one organisation.
    """
    ways = RESTARTS[layout]
    done: Counter[str] = Counter()
    async with two_operators(federation, layout) as those:
        restarted, _ = those.processes
        async with flowing(those, rng, between) as traffic:
            for number in range(restarts):
                way = ways[number % len(ways)]
                await asyncio.sleep(rng.uniform(0.5, 3))
                began = asyncio.get_running_loop().time()
                await way(restarted, rng)
                report(f"{layout}: {way.__name__}, {asyncio.get_running_loop().time() - began:.1f} s")
                done[way.__name__] += 1
        sent = await traffic.settled()
        faults = [*traffic.faults, *await faults_of(sent, those.members, patience)]
        ended = Counter([await how_it_ended(one) for one in sent])
        spent = [await attempts_spent(one, those.members[:2]) for one in sent]
    return Survived(done, ended, traffic.answers, faults, sum(spent))
