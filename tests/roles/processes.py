"""Operators that run as processes of their own, to be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from samdrift.app import rolesettings
from samdrift.app.config import Config
from samdrift.app.configfile import load
from samdrift.app.demo.cast import DemoOperator
from samdrift.app.demo.enrolment import enrol
from samdrift.app.operator import Operator, vault_settings
from samdrift.federation.server import LocalFederation
from samdrift.messageservice.role import MessageServiceRole, Surroundings
from samdrift.messageservice.service import MessageService
from samdrift.messageservice.settings import MessageServiceSettings
from samdrift.net.clock import system_clock
from samdrift.vault.gate import Gate
from tests.roles.member import Member, until
from tests.roles.stage import member_of

_HASTE = {
    "[access_point]": "[access_point]\nattempts = 60\ninterval_seconds = 1\nlease_seconds = 3",
    "[message_service]": "[message_service]\nretry_seconds = 1\nlease_seconds = 3",
}
_SOURCES = Path(__file__).parents[2] / "src"


@dataclass
class Process:
    """One operator: `serve all`, and the database that it keeps its vaults in."""

    config_file: Path
    config: Config
    gate: Gate
    """The test's own way into the same vaults."""
    running: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.config_file.parent / "serve.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "samdrift.app.main", "serve", "all", "--config", self.config_file],
                env={**os.environ, "PYTHONPATH": str(_SOURCES)},
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until interface C can be reached."""
        assert self.config.access_point is not None
        address = self.config.access_point.listen_c

        async def look() -> bool | None:
            with contextlib.suppress(OSError), socket.create_connection((address.host, address.port), 1):
                return True
            return None

        await until(look, "an operator serves")

    async def end(self, how: signal.Signals) -> None:
        """Send the signal and wait for the end."""
        assert self.running is not None
        self.running.send_signal(how)
        await asyncio.to_thread(self.running.wait, 30)


@asynccontextmanager
async def processes(
    federation: LocalFederation, folder: Path, operators: list[DemoOperator]
) -> AsyncIterator[tuple[list[Process], list[Member]]]:
    """Enrol operators and give them as processes, not started, with the organisations that they serve."""
    async with AsyncExitStack() as stack:
        made, members = [], []
        for operator in operators:
            enrolled = await enrol(federation, operator, folder / operator.folder)
            text = enrolled.config_file.read_text()
            for table, hasty in _HASTE.items():
                assert table in text
                text = text.replace(table, hasty)
            enrolled.config_file.write_text(text)
            config = load(enrolled.config_file)
            gate = await Gate.start(vault_settings(config))
            stack.push_async_callback(gate.close)
            process = Process(enrolled.config_file, config, gate)
            stack.push_async_callback(_stop, process)
            made.append(process)
            window = Operator(config, gate, _mailroom(config, gate))
            members += [member_of(federation, window, one) for one in operator.organisations]
        yield made, members


async def _stop(process: Process) -> None:
    if process.running is not None and process.running.poll() is None:
        await process.end(signal.SIGTERM)
        assert process.running.returncode == 0


def _mailroom(config: Config, gate: Gate) -> MessageService:
    """A message service that stores messages for the process to send, and sends nothing itself."""
    nothing = cast(Any, None)
    settings = MessageServiceSettings(federation=config.federation.identifier, parallel=0)
    around = Surroundings(gate, nothing, nothing, {}, system_clock, os.urandom)
    return MessageServiceRole(settings, around, rolesettings.profiles(config)).service
