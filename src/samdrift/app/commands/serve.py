"""`samdrift serve`: run one installation's roles until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from samdrift.app.config import Config
from samdrift.app.configfile import load
from samdrift.app.failures import told
from samdrift.app.loop import run
from samdrift.app.operator import running
from samdrift.contracts.principals import Role

app = typer.Typer(add_completion=False)
_LOGGER = logging.getLogger("samdrift")


class Which(StrEnum):
    """Which roles to run; the configuration says what each needs."""

    AP = "ap"
    MT = "mt"
    ALL = "all"

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(Role) if self is Which.ALL else frozenset({Role(self.value)})


@app.command()
def serve(
    which: Annotated[Which, typer.Argument(help="The roles to run.")],
    config: Annotated[Path, typer.Option(help="The installation's configuration file (TOML).")],
) -> None:
    """Run an access point, a message service, or both."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with told():
        run(_until_stopped(load(config), which))


async def _until_stopped(config: Config, which: Which) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(config, which.roles):
        _LOGGER.info("running %s", which.value)
        await stop.wait()
    _LOGGER.info("stopped")
