"""Operators that run in processes of their own, so that tests can kill them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from samdrift.config.model import Config
from samdrift.config.reader import load
from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.demo.enrolment import EnrolledOperator, enrol
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.ports import free_port
from samdrift.federation.server import LocalFederation
from samdrift.installation import rolesettings
from samdrift.installation.operator import Operator
from samdrift.installation.services import NoAddressBook, malware_scanner
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.settings import HsmSettings
from samdrift.messageservice.role import MessageServiceRole, Surroundings
from samdrift.messageservice.service import MessageService
from samdrift.net.clock import system_clock
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.roles.member import Member, until
from tests.roles.stage import HOST, OF_THE_STAGE, member_of
from tests.settings import message_service_settings

_HASTE = {
    "[access_point]": "[access_point]\nattempts = 60\ninterval_seconds = 1\nlease_seconds = 3",
    "[message_service]": "[message_service]\nretry_seconds = 1\nlease_seconds = 3",
}
_EMBEDDED = 'database = "database"'
_START_WITHIN = _END_WITHIN = 300.0
_LAST_LINES = 20
PROGRAM = ("-m", "samdrift.cli.main")
SERVE = (*PROGRAM, "serve")
SOURCES = Path(__file__).parents[2] / "src"


def organisation(
    name: str, number: str, roles: Sequence[Role] = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE)
) -> DemoOrganisation:
    """Return an organisation of the cast, with one mailbox."""
    domain = f"0203:{name}.se"
    mailbox = FunctionalAddress(f"sdk.registrator.{domain}", "Registrator")
    return DemoOrganisation(ParticipantIdentifier(domain), name.title(), number, mailbox, tuple(roles))


@dataclass
class Process:
    """A `serve` process for some roles of an operator."""

    which: str
    config_file: Path
    config: Config
    gate: Gate
    """Gate through which the test opens the same vaults."""
    running: subprocess.Popen[bytes] | None = None
    sources: Path = SOURCES
    """Source of the program: the current one, or that of an earlier version."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Additional environment variables."""

    @property
    def interpreter(self) -> Sequence[str]:
        """Return the command prefix up to the Python interpreter."""
        return (sys.executable,)

    @property
    def program(self) -> Sequence[str]:
        """Return the arguments of Python before the command and its options."""
        return PROGRAM

    @property
    def log(self) -> Path:
        return self.config_file.with_name(f"serve-{self.which}.log")

    async def start(self) -> None:
        """Start it and wait until it serves; retry if it gives up, as a service manager does.

        It gives up when it meets a database that is down or is recovering just then.
        """
        before = self._starts()

        async def serves() -> bool | None:
            if self.running is None or self.running.poll() is not None:
                self._begin()
            return True if self._starts() > before else None

        try:
            await until(serves, "an operator serves", within=_START_WITHIN)
        except AssertionError:
            said = self.log.read_text().splitlines()[-_LAST_LINES:] if self.log.exists() else ["nothing"]
            raise AssertionError("\n".join([f"serve {self.which} does not come to serve:", *said])) from None

    def _begin(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [*self.interpreter, *self.program, "serve", self.which, "--config", self.config_file],
                env={
                    **os.environ,
                    "PYTHONPATH": str(self.sources),
                    "PYTHONSAFEPATH": "1",
                    **self.environment,
                },
                stdout=log,
                stderr=log,
            )

    async def end(self, how: signal.Signals) -> None:
        """Send the signal and wait for the end."""
        assert self.running is not None
        self.running.send_signal(how)
        await asyncio.to_thread(self.running.wait, _END_WITHIN)

    async def stop(self) -> None:
        """Stop it gracefully, if it runs."""
        if self.running is not None and self.running.poll() is None:
            await self.end(signal.SIGTERM)
            assert self.running.returncode == 0, self.log.read_text()[-3000:]

    def _starts(self) -> int:
        return self.log.read_bytes().count(b" INFO running ") if self.log.exists() else 0


@dataclass(frozen=True)
class Played:
    """Operators as processes, and the organisations that they serve."""

    processes: list[Process] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)


@asynccontextmanager
async def played(
    federation: LocalFederation,
    folder: Path,
    operators: Mapping[DemoOperator, Sequence[str]],
    settings: str = "",
    own: Mapping[DemoOperator, str] = MappingProxyType({}),
    *,
    tokens: Mapping[DemoOperator, HsmSettings] = MappingProxyType({}),
    changed: Callable[[DemoOperator, str], str] = lambda operator, text: text,
    replicate: Mapping[DemoOperator, Callable[[EnrolledOperator], str]] = MappingProxyType({}),
) -> AsyncIterator[Played]:
    """Enrol operators, each with the processes that it is to run as, none of them started.

    ``settings`` are additional tables of all configuration files, ``own`` those of individual operators;
    ``changed`` makes further changes to a configuration. ``tokens`` are the tokens of an operator's
    organisations; ``replicate`` replaces the database of the embedded server, and returns the URL.
    """
    async with AsyncExitStack() as stack:
        found = Played()
        for operator, processes in operators.items():
            taken = {one.identifier for one in operator.organisations} & OF_THE_STAGE
            assert not taken, f"{taken} would no longer be registered at the stage"
            enrolled = await enrol(federation, operator, folder / operator.folder, tokens.get(operator))
            text = enrolled.config_file.read_text()
            for table, hasty in _HASTE.items():
                assert table in text
                text = text.replace(table, hasty)
            if len(processes) > 1:
                apart = "".join(f'listen_{which} = "{HOST}:{free_port(HOST)}"\n' for which in processes)
                text, found_once = re.subn(r'(\[metrics\]\nlisten = "[^"]*"\n)', rf"\1{apart}", text)
                assert found_once == 1
            if operator in replicate:
                url = replicate[operator](enrolled)
                assert _EMBEDDED in text
                text = text.replace(_EMBEDDED, f'database = "{url}"')
            enrolled.config_file.write_text(changed(operator, text + settings + own.get(operator, "")))
            config = load(enrolled.config_file)
            gate = await Gate.start(vault_settings(config))
            stack.push_async_callback(gate.close)
            for which in processes:
                process = Process(which, enrolled.config_file, config, gate)
                stack.push_async_callback(process.stop)
                found.processes.append(process)
            window = Operator(config, gate, mailroom(config, gate))
            found.members.extend(member_of(federation, window, one) for one in operator.organisations)
        yield found


def mailroom(config: Config, gate: Gate) -> MessageService:
    """Return a message service that only stores messages, which the process then sends."""
    nothing = cast(Any, None)
    settings = message_service_settings(federation=config.federation.identifier, parallel=0)
    assert config.malware is not None
    scanner = malware_scanner(config.malware)
    around = Surroundings(gate, nothing, nothing, NoAddressBook(), scanner, {}, system_clock, os.urandom)
    return MessageServiceRole(settings, around, rolesettings.profiles(config)).service
