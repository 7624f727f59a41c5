"""`samdrift console`: serve the operator's console of an installation, in a separate process."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from samdrift.cli.proving import require_owners_alone
from samdrift.config.failures import reported_as_usage_errors
from samdrift.config.model import Config, LogLines
from samdrift.config.reader import load
from samdrift.console.service import console_served
from samdrift.installation.loop import run
from samdrift.net.accepting import raise_descriptor_limit
from samdrift.processes.loglines import write_lines

app = typer.Typer(add_completion=False)
_LOGGER = logging.getLogger("samdrift")


@app.command()
def console(
    config: Annotated[Path, typer.Option("--config", help="The installation's configuration file (TOML).")],
) -> None:
    """Serve the operator's console: health, queues, organisations, certificates, outages; never content.

    Run it as the user that runs the installation, or as root. The staff who may sign in are in the
    configuration.
    """
    write_lines(LogLines.TEXT)
    raise_descriptor_limit()
    with reported_as_usage_errors():
        loaded = load(config)
        require_owners_alone(loaded, config)
        write_lines(loaded.log_lines)
        run(_until_stopped(loaded))


async def _until_stopped(config: Config) -> None:
    async with console_served(config) as served:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        _LOGGER.info("console at %s", served.site.origin)
        await stop.wait()
    _LOGGER.info("stopped")
