"""Entry point of the processes that the supervisor starts: front or worker, by the first argument.

Everything else comes over standard input, so that the machine's process list does not reveal which
organisations are served here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable

from samdrift.config.errors import Unusable
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import LogLines
from samdrift.installation.loop import run
from samdrift.installation.startup import import_for_life
from samdrift.processes.child import Supervisor
from samdrift.processes.confinement import give_large_pieces_back, leave_no_trace, take_no_more_than
from samdrift.processes.handover import FRONT, FrontHandOver, WorkerHandOver
from samdrift.processes.loglines import name_in_log, write_lines
from samdrift.processes.memory import used

_MOST_SOCKETS = 8
_LOGGER = logging.getLogger("samdrift")


def main() -> int:
    """Run until stopped by a signal or until the supervisor is gone; return 2 when it cannot run."""
    leave_no_trace()
    # Import only one of the two: a front needs none of a worker's modules.
    import_for_life(f"samdrift.processes.{'front' if sys.argv[1] == FRONT else 'worker'}")
    write_lines(LogLines.TEXT)
    give_large_pieces_back()
    try:
        with reported_as_usage_errors():
            run(_until_stopped(sys.argv[1] == FRONT))
    except Unusable as error:
        _LOGGER.error("%s", error)
        return 2
    return 0


async def _until_stopped(front: bool) -> None:
    supervisor = Supervisor()
    line, found = supervisor.handed(_MOST_SOCKETS)
    handed = FrontHandOver.read(line) if front else WorkerHandOver.read(line)
    del line
    take_no_more_than(handed.limits)
    write_lines(LogLines.TEXT, name_in_log(handed.kind, handed.organisation))
    sockets = dict(zip(handed.doors, found, strict=True))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if isinstance(handed, FrontHandOver):
        from samdrift.processes.front import fronting

        async with fronting(handed, sockets) as directory:
            await _serving(supervisor, stop, directory.told)
    else:
        from samdrift.processes.worker import working

        async with working(handed, sockets) as replace_reader:
            await _serving(supervisor, stop, replace_reader)


async def _serving(supervisor: Supervisor, stop: asyncio.Event, hears: Callable[[bytes], None]) -> None:
    """Serve until ``stop`` is set or the supervisor is gone."""
    _LOGGER.info("serves as process %d; %s", os.getpid(), used())
    hearing = asyncio.create_task(supervisor.hear(hears))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (hearing, stopping):
        task.cancel()


if __name__ == "__main__":
    raise SystemExit(main())
