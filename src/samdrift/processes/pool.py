"""Several processes of level ``shared`` behind one set of addresses: a parent and its workers.

The parent binds the addresses, starts and looks after the embedded database, and answers the operator and
monitoring on behalf of all workers. The workers inherit the listening sockets and accept connections as they
have time, so that the death of one affects only connections that it had accepted. Each serves every
organisation; leases decide which of them does recurring work (:mod:`samdrift.scheduling.leases`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
import tempfile
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from samdrift.audit.operations import unexpected
from samdrift.config.model import Config
from samdrift.contracts.principals import Role
from samdrift.installation.control import (
    ControlRefused,
    Unanswered,
    control_folder,
    controlled,
    tell_process,
    workers_folder,
)
from samdrift.installation.databasecare import NotificationMetrics, cared_for
from samdrift.installation.doors import Door
from samdrift.installation.health import GONE, Condition, Dependency, Gone, Health
from samdrift.installation.listeners import PublicDoors, bound_socket, served_doors, with_own_metrics
from samdrift.installation.metrics import PATH, metrics_application
from samdrift.installation.reporting import HEALTH
from samdrift.installation.unlocking import AGAIN, NOT_UNLOCKED, UNLOCK, WHO
from samdrift.installation.vaultsettings import vault_settings
from samdrift.net.background import in_background
from samdrift.net.clock import system_clock
from samdrift.net.forwarding import Away, Forwarder
from samdrift.net.guard import guarded
from samdrift.processes.child import Child, Handed, first_start, keep
from samdrift.processes.memory import PROCESSES
from samdrift.processes.metrics import merged
from samdrift.scheduling.held import HeldNumber
from samdrift.vault.openkeys import open_keys

_COMMAND = (sys.executable, "-P", "-m", "samdrift.cli.main", "serve")
_LOOK_SECONDS = 2.0
"""Seconds between two health checks of the workers."""
_HEALTH_SECONDS = 3.0
"""Seconds within which a worker must report its health; otherwise it counts as not serving."""
_LONGEST_SILENCE = 30.0
"""Seconds after which a worker that does not answer is killed and replaced."""
_ANSWER_SECONDS = 60.0
_UNLOCK_SECONDS = 45.0
"""Seconds after which an officer gets an answer even if workers are still being unlocked."""
_METRICS_SECONDS, _METRICS_BYTES = 5.0, 32 << 20
_LOGGER = logging.getLogger("samdrift")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """A worker's start parameters, in addition to its sockets."""

    doors: tuple[Door, ...]
    """The listeners that the sockets are for, in the same order."""
    unlocked: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Passphrases with which officers have unlocked organisations since the installation was started."""

    def line(self) -> bytes:
        return json.dumps({"doors": [each.value for each in self.doors], "unlocked": self.unlocked}).encode()

    @classmethod
    def read(cls, line: bytes) -> WorkerStart:
        document = json.loads(line)
        return cls(tuple(map(Door, document["doors"])), document["unlocked"])


@contextlib.asynccontextmanager
async def pooling(
    config: Config, file: Path, roles: frozenset[Role], name: str
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Run ``config.isolation.workers`` workers for ``roles``; all serve when the context is entered.

    ``file`` is the configuration file, and ``name`` the name of the roles on the command line. Yields a
    function that restarts the workers one after the other.

    Raises :class:`~samdrift.processes.child.NotStarted` when a worker does not serve after its first start.
    One that ends later is restarted while the others serve.
    """
    config = with_own_metrics(config, roles)
    settings = vault_settings(config)
    async with AsyncExitStack() as stack:
        health = Health(system_clock)
        keys = open_keys(settings, begin=True, watch=health.of_tokens())
        care = await stack.enter_async_context(cared_for(settings, keys, health.note))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="samdrift-workers-")))
        pool = _Pool(config, file, roles & config.roles, name, folder)
        stack.callback(pool.close)
        pool.bind()
        stack.push_async_callback(pool.stop)
        await pool.start()
        await stack.enter_async_context(in_background(pool.follow(), on_failure=unexpected("workers")))
        if config.metrics is not None:
            await _measured(stack, config, pool, NotificationMetrics(lambda: 0, care))
        commands = {UNLOCK: pool.unlock, HEALTH: pool.answer_health}
        await stack.enter_async_context(controlled(control_folder(config.vaults), commands))
        yield pool.roll


class _Pool:
    """The workers of one installation."""

    def __init__(self, config: Config, file: Path, roles: frozenset[Role], name: str, folder: Path) -> None:
        self._config = config
        self._roles = roles
        self._folder = folder
        self._control = workers_folder(config.vaults)
        self._since = system_clock()
        self._sockets: dict[Door, socket.socket] = {}
        self._unlocked: dict[str, str] = {}
        """Passphrases with which a worker has opened vaults, by organisation."""
        self._unlocking = set[asyncio.Task[Any]]()
        """Background tasks that unlock vaults, so that workers are watched meanwhile."""
        self._openings = asyncio.Semaphore(os.cpu_count() or 1)
        """Limit on workers that unlock at the same time: deriving a key needs a core and much memory."""
        self._reports: list[Mapping[str, Any]] = []
        self._silent: dict[str, float] = {}
        """Time since which each worker, by name, has been listening without answering."""
        self._keeping: dict[Child, asyncio.Task[None]] = {}
        self._rolling = asyncio.Lock()
        self.forwarder = Forwarder()
        count = config.isolation.workers
        command = (*_COMMAND, name, "--config", str(file), "--workers", str(count))
        self._children = [
            Child(_name(number), (*command, "--worker", _name(number)), partial(self._hand, number))
            for number in range(1, count + 1)
        ]

    def bind(self) -> None:
        """Bind the addresses; raise an :class:`OSError` that names an address already in use."""
        for door in served_doors(self._config, self._roles):
            if door is not Door.METRICS:
                self._sockets[door] = bound_socket(self._config, door)
        for sock in self._sockets.values():
            sock.listen(socket.SOMAXCONN)

    async def start(self) -> None:
        """Start all workers and keep them running; raise :class:`NotStarted` when one does not serve."""
        await asyncio.gather(*(first_start(child) for child in self._children))
        self._keeping = {child: asyncio.create_task(self._keep(child)) for child in self._children}
        await self._look()

    async def stop(self) -> None:
        """Stop all workers, which release their unfinished work and their leases."""
        tasks = [*self._keeping.values(), *self._unlocking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(child.stop() for child in self._children))
        await self.forwarder.aclose()

    async def roll(self) -> None:
        """Restart one worker after the other, each when the one before it serves.

        Ends at the first worker that fails to serve; that one is restarted as after any failure.
        """
        if self._rolling.locked():
            _LOGGER.warning("workers: a rolling restart is already under way")
            return
        async with self._rolling:
            _LOGGER.info("workers: a rolling restart begins")
            for child in self._children:
                self._keeping[child].cancel()
                await child.stop()
                serves = await child.start()
                self._keeping[child] = asyncio.create_task(self._keep(child))
                if not serves:
                    _LOGGER.error("%s: does not serve again; the rolling restart is aborted", child.name)
                    return
                await self._unlock_again(child)
            _LOGGER.info("workers: the rolling restart is complete")

    def close(self) -> None:
        """Stop listening at the addresses."""
        for sock in self._sockets.values():
            sock.close()

    def _hand(self, number: int) -> Handed:
        """Make the handover for a worker: copies of the listening sockets, and a socket for its metrics."""
        place = self.place(number)
        place.unlink(missing_ok=True)
        measured = socket.socket(socket.AF_UNIX)
        measured.bind(str(place))
        doors = (*self._sockets, Door.METRICS)
        sockets = [*(sock.dup() for sock in self._sockets.values()), measured]
        line = WorkerStart(doors, dict(self._unlocked)).line()
        return Handed(line, sockets, credentials=True)

    def place(self, number: int) -> Path:
        """Return the path of the socket for a worker's metrics."""
        return self._folder / f"{number}.sock"

    async def _keep(self, child: Child) -> None:
        """Restart a worker each time it ends, and then unlock in it what was unlocked meanwhile."""

        def serves() -> None:
            self._unlock_aside(self._unlock_again(child))

        await keep(child, serves)

    async def _unlock_again(self, child: Child) -> None:
        """Unlock organisations in a worker that could not be unlocked while it was starting."""
        for organisation, passphrase in list(self._unlocked.items()):
            await self._unlocked_too(child, organisation, passphrase)

    async def follow(self) -> None:
        """Check the workers' health periodically, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        answers = await asyncio.gather(*(self._report(child) for child in self._children))
        self._reports = [each for each in answers if each is not None]

    async def _report(self, child: Child) -> dict[str, Any] | None:
        """Ask a worker for its health; return ``None`` if it does not answer now."""
        answer = None
        if child.serves and child.pid is not None:
            try:
                answer = await tell_process(self._control, child.pid, HEALTH, _HEALTH_SECONDS)
            except Unanswered:
                self._note_silence(child)
                return None
            except (ControlRefused, OSError):
                pass
        if self._silent.pop(child.name, None) is not None and answer is not None:
            _LOGGER.info("%s: answers again", child.name)
        return None if answer is None or "refused" in answer else answer

    def _note_silence(self, child: Child) -> None:
        """Log once that a worker does not answer, and kill it when it has hung for too long."""
        now = asyncio.get_running_loop().time()
        if child.name not in self._silent:
            self._silent[child.name] = now
            _LOGGER.error("%s: does not respond and counts as not serving", child.name)
        elif (silence := now - self._silent[child.name]) >= _LONGEST_SILENCE:
            del self._silent[child.name]
            _LOGGER.error("%s: has not responded for %.0f s and is killed", child.name, silence)
            child.kill()

    def _serves(self, child: Child) -> bool:
        return child.serves and child.name not in self._silent

    async def _told(self, child: Child, command: str, **values: str) -> dict[str, Any] | None:
        """Send one worker a command; return ``None`` when it is not listening, or fails before it answers."""
        if not child.serves or child.pid is None:
            return None
        try:
            return await tell_process(self._control, child.pid, command, _ANSWER_SECONDS, **values)
        except (ControlRefused, OSError):
            return None

    async def unlock(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Unlock an organisation's vaults in all workers; the first one to do so records it.

        Unlocking continues in the background when it takes longer than the officer waits for an answer.
        """
        organisation, passphrase = told.get("organisation"), told.get("passphrase")
        if not isinstance(organisation, str) or not isinstance(passphrase, str):
            raise ControlRefused("an organisation and a passphrase are needed")
        who = {WHO: told[WHO]} if WHO in told else {}
        task = self._unlock_aside(self._unlock_all(organisation, passphrase, who))
        await asyncio.wait({task}, timeout=_UNLOCK_SECONDS)
        if not task.done():
            raise ControlRefused("workers are still unlocking; see the log for the result")
        return task.result()

    async def _unlock_all(self, organisation: str, passphrase: str, who: Mapping[str, Any]) -> dict[str, Any]:
        """Unlock an organisation's vaults in one worker, which records it, and then in the others."""
        told, first = {"organisation": organisation, "passphrase": passphrase, **who}, None
        for child in sorted(self._children, key=lambda child: not self._serves(child)):
            first = await self._told(child, UNLOCK, **told)
            if first is not None:
                rest = [each for each in self._children if each is not child]
                break
        if first is None:
            return {"refused": "no worker responds; they are starting"}
        if not first.get("unlocked") and "refused" in first:
            return first
        self._note_unlocked(organisation, passphrase, first)
        others = await asyncio.gather(
            *(self._unlocked_too(child, organisation, passphrase) for child in rest)
        )
        opened = {role for each in (first, *others) for role in each.get("unlocked", ())}
        refused = [first["refused"]] if "refused" in first else []
        refused += [
            f"not in {child.name}: {each['refused']}"
            for child, each in zip(rest, others, strict=True)
            if "refused" in each
        ]
        if not refused:
            _LOGGER.info("workers: %s is unlocked in all that serve", organisation)
        return {"unlocked": sorted(opened)} | ({"refused": "; ".join(refused)} if refused else {})

    async def _unlocked_too(self, child: Child, organisation: str, passphrase: str) -> dict[str, Any]:
        """Unlock in a worker what another one has recorded, and repeat that until the worker answers.

        Vaults that it opened before its time ran out stay open. A worker that does not serve is restarted,
        and gets this passphrase then.
        """
        told = {"organisation": organisation, "passphrase": passphrase, AGAIN: ""}
        while child.serves:
            async with self._openings:
                answer = await self._told(child, UNLOCK, **told)
            if answer is not None:
                if "refused" in answer:
                    _LOGGER.error(NOT_UNLOCKED, child.name, organisation, answer["refused"])
                self._note_unlocked(organisation, passphrase, answer)
                return answer
            await asyncio.sleep(_LOOK_SECONDS)
        return {}

    def _note_unlocked(self, organisation: str, passphrase: str, answer: Mapping[str, Any]) -> None:
        """Keep the passphrase for workers that start later, if it has opened any vault."""
        if answer.get("unlocked"):
            self._unlocked[organisation] = passphrase

    def _unlock_aside(self, unlocking: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Unlock in a task of its own, which is cancelled at the latest when the installation stops."""
        task = asyncio.create_task(unlocking)
        self._unlocking.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._unlocking.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            unexpected("unlocking")(error)

    async def answer_health(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Report the health of the installation as a single process would."""
        await self._look()
        return {
            "since": self._since.isoformat(timespec="seconds"),
            "roles": sorted(role.value for role in self._roles),
            "workers": {child.name: self._serves(child) for child in self._children},
            "alike": True,
            "dependencies": [one.document() for one in self.conditions()],
            "held": [one.document() for one in self.held()],
        }

    def conditions(self) -> list[Condition]:
        """Return the state of dependencies as last reported by the workers."""
        found = together(Condition.read(one) for each in self._reports for one in each["dependencies"])
        if not any(self._serves(child) for child in self._children):
            found.append(Condition(Dependency.WORKERS, gone_since=system_clock(), reason="no worker serves"))
        return found

    def held(self) -> list[HeldNumber]:
        """Return the numbers of waiting items, summed over all workers."""
        numbers: dict[tuple[str, str], int] = {}
        for one in (HeldNumber.read(each) for report in self._reports for each in report["held"]):
            numbers[one.role, one.reason] = numbers.get((one.role, one.reason), 0) + one.number
        return [HeldNumber(*names, number) for names, number in sorted(numbers.items())]

    def serving(self) -> int:
        """Return the number of workers that serve."""
        return sum(self._serves(child) for child in self._children)

    async def texts(self) -> list[str]:
        """Read the metrics of the workers that answer."""
        places = [self.place(number) for number in range(1, len(self._children) + 1)]
        found = await asyncio.gather(*(self._text(place) for place in places))
        return [text for text in found if text]

    async def _text(self, place: Path) -> str:
        try:
            return (await self.forwarder.get(place, PATH, _METRICS_SECONDS, _METRICS_BYTES)).decode()
        except Away:
            return ""


def _name(number: int) -> str:
    """Return a worker's name in the log and on its command line."""
    return f"worker {number}"


def together(conditions: Iterable[Condition]) -> list[Condition]:
    """Merge what several processes report: a dependency is gone if any process finds it gone."""
    found: dict[tuple[str, str], Condition] = {}
    for one in conditions:
        known = found.get((one.dependency, one.at))
        if known is None or _says_more(one, known):
            found[one.dependency, one.at] = one
    return sorted(found.values(), key=lambda one: (one.gone_since is None, one.dependency, one.at))


def _says_more(one: Condition, known: Condition) -> bool:
    if one.gone_since is None or known.gone_since is None:
        if one.gone_since is not None or known.gone_since is not None:
            return one.gone_since is not None
        return _time(one.last_gone) > _time(known.last_gone)
    return one.gone_since < known.gone_since


def _time(moment: datetime | None) -> float:
    return 0.0 if moment is None else moment.timestamp()


class _Together(Collector):
    """The workers' metrics as last gathered and the parent's own, presented as those of one process."""

    def __init__(self, pool: _Pool, own: Collector) -> None:
        self._pool = pool
        self._own = CollectorRegistry()
        self._own.register(own)
        self._metrics: Sequence[Metric] = ()

    async def gather(self) -> None:
        """Ask every worker; one that does not answer is missing from the sums."""
        texts = [*await self._pool.texts(), generate_latest(self._own).decode()]
        found = await asyncio.to_thread(merged, texts)
        self._metrics = [each for each in found if each.name != GONE]

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics
        yield from Gone(self._pool.conditions()).collect()
        processes = GaugeMetricFamily(PROCESSES, "Processes of a kind that answer", labels=["kind"])
        processes.add_metric(["worker"], self._pool.serving())
        yield processes


async def _measured(stack: AsyncExitStack, config: Config, pool: _Pool, own: Collector) -> None:
    """Serve the metrics and health of all workers at one address."""
    gathered, registry = _Together(pool, own), CollectorRegistry()
    registry.register(gathered)
    application = metrics_application(registry, gathered.gather, pool.conditions, pool.held)
    doors = PublicDoors(config, list)
    await doors.open(stack, Door.METRICS, guarded(application, unexpected("metrics")))
