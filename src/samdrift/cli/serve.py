"""`samdrift serve`: run the roles of one installation, or of several separate ones, until stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from samdrift.audit.operations import unexpected
from samdrift.cli.installations import Installation, read_installations
from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.isolation import MAX_WORKERS, Isolation
from samdrift.config.model import Config, LogLines
from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from samdrift.contracts.principals import Role
from samdrift.installation.doors import Door
from samdrift.installation.loop import run
from samdrift.installation.operator import SharedPart, running
from samdrift.net.accepting import raise_descriptor_limit
from samdrift.net.background import in_background
from samdrift.processes.child import Child, NotStarted, Supervisor, supervise
from samdrift.processes.confinement import give_large_pieces_back, leave_no_trace
from samdrift.processes.loglines import write_lines
from samdrift.processes.memory import used
from samdrift.processes.pool import WorkerStart, pooling
from samdrift.processes.supervisor import supervising

app = typer.Typer(add_completion=False)
_LOGGER = logging.getLogger("samdrift")
_COMMAND = (sys.executable, "-P", "-m", "samdrift.cli.main", "serve")
ROLL = signal.SIGUSR1
"""Signal that makes a running installation restart its processes one after the other."""


class Which(StrEnum):
    """Roles to run; ``all`` means those that have a table in the configuration."""

    AP = "ap"
    MT = "mt"
    MK = "mk"
    GOV = "gov"
    ALL = "all"

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(Role) if self is Which.ALL else frozenset({Role(self.value)})


@app.command()
def serve(
    which: Annotated[Which, typer.Argument(help="The roles to run.")],
    config: Annotated[
        list[Path],
        typer.Option(
            help="An installation's configuration file (TOML). Repeated: several, each in its own process."
        ),
    ],
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_WORKERS,
            help="Processes that share the work at level `shared`; by default what the configuration says.",
        ),
    ] = None,
    supervised: Annotated[str | None, typer.Option(hidden=True)] = None,
    worker: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run one or all roles of an installation, or of several installations, each in its own process."""
    name = worker or supervised
    write_lines(LogLines.TEXT, name)
    raise_descriptor_limit()
    if len(config) > 1:
        _serve_several(which, read_installations(config), workers)
        return
    give_large_pieces_back()
    try:
        with reported_as_usage_errors():
            loaded = _with_workers(load(config[0]), workers)
            write_lines(loaded.log_lines, name)
            serving = _Serving(loaded, config[0], which, None if name is None else Supervisor())
            if worker is not None and serving.supervisor is not None:
                serving.shared = _handed(serving.supervisor)
            run(_until_stopped(serving))
    except Unusable as error:
        raise error if name is None else Unusable(f"{name}: {error}") from None


@dataclass(slots=True)
class _Serving:
    """The settings with which one process serves."""

    config: Config
    file: Path
    which: Which
    supervisor: Supervisor | None = None
    shared: SharedPart | None = None
    """Set for one of several workers: its part of the shared resources."""


def _with_workers(config: Config, workers: int | None) -> Config:
    """Return the configuration with the number of workers from the command line, if given."""
    if workers is None:
        return config
    if workers > 1 and config.isolation.level is Isolation.PROCESS:
        text = "is for the level shared: at level process each organisation and role has a process"
        raise ConfigError("--workers", text)
    return replace(config, isolation=replace(config.isolation, workers=workers))


def _handed(supervisor: Supervisor) -> SharedPart:
    """Return the shared resources that a worker received from its parent."""
    line, sockets = supervisor.handed(len(Door))
    start = WorkerStart.read(line)
    return SharedPart(dict(zip(start.doors, sockets, strict=True)), start.unlocked)


def _serve_several(which: Which, installations: Sequence[Installation], workers: int | None) -> None:
    number = [] if workers is None else ["--workers", str(workers)]
    children = [
        Child(
            one.name, [*_COMMAND, which.value, "--config", str(one.file), "--supervised", one.name, *number]
        )
        for one in installations
    ]
    try:
        run(_supervise_until_stopped(children))
    except NotStarted as error:
        raise Unusable(str(error)) from None


async def _supervise_until_stopped(children: Sequence[Child]) -> None:
    def pass_on() -> None:
        for child in children:
            child.signal(ROLL)

    asyncio.get_running_loop().add_signal_handler(ROLL, pass_on)
    stop = asyncio.create_task(_told_to_stop().wait())
    working = asyncio.create_task(supervise(children))
    await asyncio.wait({stop, working}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    _LOGGER.info("stopped")


async def _until_stopped(serving: _Serving) -> None:
    starting = asyncio.current_task()
    stop = _told_to_stop(lambda: starting.cancel() if starting is not None else None)
    try:
        await _serve_until(stop, serving)
    except asyncio.CancelledError:
        if not stop.is_set() or starting is None:
            raise
        starting.uncancel()  # Stopped during the start, for example while waiting for the database.
    _LOGGER.info("stopped")


async def _serve_until(stop: Stop, serving: _Serving) -> None:
    config, which, supervisor = serving.config, serving.which, serving.supervisor

    async def hear(supervisor: Supervisor) -> None:
        await supervisor.hear()
        stop.set()

    isolated = config.isolation.level is Isolation.PROCESS
    if isolated:
        leave_no_trace()
    # Until all processes serve, the signal to roll must neither restart nor end any of them.
    asyncio.get_running_loop().add_signal_handler(ROLL, _nothing_to_roll)
    async with contextlib.AsyncExitStack() as stack:
        roll = _nothing_to_roll
        if isolated:
            rolling = _Rolling(await stack.enter_async_context(supervising(config, which.roles)))
            stack.push_async_callback(rolling.stop)
            roll = rolling.begin
        elif config.isolation.workers > 1 and serving.shared is None:
            pool = pooling(config, serving.file, which.roles, which.value)
            rolling = _Rolling(await stack.enter_async_context(pool))
            stack.push_async_callback(rolling.stop)
            roll = rolling.begin
        else:
            await stack.enter_async_context(running(config, which.roles, shared=serving.shared))
        asyncio.get_running_loop().add_signal_handler(ROLL, roll)
        stop.serves()
        if serving.shared is None:
            _LOGGER.info("running %s", which.value)
        else:
            _LOGGER.info("serves as process %d; %s", os.getpid(), used())
        heard = [hear(supervisor)] if supervisor is not None else []
        async with in_background(*heard, on_failure=lambda error: stop.set()):
            await stop.wait()


def _nothing_to_roll() -> None:
    _LOGGER.warning("a rolling restart is for several processes, once everything serves: nothing is done")


class _Rolling:
    """Rolling restarts, run on request."""

    def __init__(self, roll: Callable[[], Awaitable[None]]) -> None:
        self._roll = roll
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Start a rolling restart; one in progress continues."""
        task = asyncio.ensure_future(self._watched())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Cancel rolling restarts; processes that were not restarted yet keep running."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watched(self) -> None:
        try:
            await self._roll()
        except Exception as error:
            unexpected("the rolling restart")(error)


class Stop(asyncio.Event):
    """Event set by SIGINT and SIGTERM, which also interrupt a start before it serves."""

    def __init__(self, interrupt: Callable[[], object]) -> None:
        super().__init__()
        self._interrupt = interrupt

    def serves(self) -> None:
        """Stop interrupting: from now on, only the event is set."""
        self._interrupt = bool

    def tell(self) -> None:
        """Set the event, and interrupt a start that does not serve yet."""
        self.set()
        interrupt, self._interrupt = self._interrupt, bool
        interrupt()


def _told_to_stop(interrupt: Callable[[], object] = bool) -> Stop:
    stop = Stop(interrupt)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.tell)
    return stop
