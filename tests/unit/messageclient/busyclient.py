"""A message client in its own process that fetches, writes and sends without end, until it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing import current_process, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from samdrift.client.errors import InterfaceError
from samdrift.client.keys import ClientKey
from samdrift.client.mailbox import Mailbox
from samdrift.client.tokens import Tokens
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Role
from samdrift.messageclient.desk import Desk
from samdrift.messageclient.fetching import Fetching
from samdrift.messageclient.mail import DraftContent, Person, Recipient, Submitted
from samdrift.messageclient.owndesk import desk
from samdrift.messageclient.sending import Sending
from samdrift.net.client import http_client
from samdrift.net.clock import system_clock
from samdrift.vault.gate import Gate
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import ALL, EmptyBook, GivenRights
from tests.vaults import settings_in

TO = Recipient("0203:mullsjo.se", "registrator:0203:mullsjo.se", "", "Registrator")
LATER = timedelta(hours=12)
"""Time by which one desk's clock is ahead; its undo windows are still open when the test looks."""
_LEFT, _WITHIN_WINDOW = 0, 1
"""Positions, of every five drafts, of the unsent one and of the one with an open undo window."""
_SERVER = get_context("forkserver")
_PAUSE = 0.05
"""Seconds between two looks, so that polling leaves the machine to the process that is to be killed."""
Told = tuple[str, str, str]
"""An acknowledged act: its kind, its draft, and the text."""


class Client:
    """The process, and the acts that it has acknowledged."""

    def __init__(self, process: BaseProcess, out: asyncio.StreamReader) -> None:
        self._process = process
        self._out = out

    @classmethod
    async def start(cls, folder: Path, organisation: ParticipantIdentifier, url: str, name: str) -> Client:
        """Start it from a process that has imported everything, which is most of the cost of a short life."""
        # Use the run's folder, which is removed as a whole; multiprocessing would look for its own at exit.
        current_process()._config.setdefault("tempdir", tempfile.gettempdir())  # type: ignore[attr-defined]
        _SERVER.set_forkserver_preload([__name__])
        read, write = _SERVER.Pipe(duplex=False)
        process = _SERVER.Process(target=_run, args=(write, folder, organisation, url, name), daemon=True)
        await asyncio.to_thread(process.start)
        write.close()
        out, pipe = asyncio.StreamReader(), os.fdopen(os.dup(read.fileno()), "rb", 0)
        read.close()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(out), pipe)
        return cls(process, out)

    async def told(self) -> Told | None:
        """Return the next acknowledged act; ``None`` once the process is dead."""
        line = await self._out.readline()
        return tuple(json.loads(line)) if line.endswith(b"\n") else None

    def kill(self) -> None:
        """Kill it with signal 9, unless it is dead already."""
        self._process.kill()

    async def ended(self) -> int | None:
        """Wait until it ends and return the exit code."""
        await asyncio.to_thread(self._process.join)
        return self._process.exitcode


@contextlib.contextmanager
def killed_at_the_end(clients: list[Client]) -> Iterator[None]:
    """Kill the clients at the end, so that no process remains."""
    try:
        yield
    finally:
        for each in clients:
            each.kill()


def desk_at(gate: Gate, organisation: ParticipantIdentifier, ahead: timedelta = timedelta()) -> Desk:
    """Return Anna's desk, with a clock that is ahead of the machine's."""

    async def names(vault: MessageClientVault) -> dict[str, str]:
        return {}

    rights = GivenRights("anna", {("anna", "box"): ALL})
    anna = Person("anna", "Anna")
    return desk(gate, organisation, rights, anna, EmptyBook(), lambda: datetime.now(UTC) + ahead, names)


async def _work(folder: Path, organisation: ParticipantIdentifier, url: str, name: str) -> None:
    gate = await Gate.start(settings_in(folder))
    vaults = gate.worker("busy", Role.MESSAGE_CLIENT)
    async with http_client(public_only=False) as http, asyncio.TaskGroup() as group:
        service = Mailbox(http, f"{url}/v1", Tokens(http, f"{url}/token", "c", ClientKey.new(), system_clock))
        group.create_task(_fetch(Fetching(vaults, organisation, service, system_clock)))
        group.create_task(_send(Sending(vaults, organisation, service, system_clock)))
        group.create_task(_write(gate, organisation, name))


async def _fetch(fetching: Fetching) -> None:
    while True:
        with contextlib.suppress(InterfaceError, Temporary):
            if (await fetching.look()).stored:
                continue
        await asyncio.sleep(_PAUSE)


async def _send(sending: Sending) -> None:
    while True:
        with contextlib.suppress(Temporary):
            await sending.turn()
        await asyncio.sleep(_PAUSE)


async def _submitted(desk: Desk, draft: str, version: int) -> Submitted:
    """Submit until it succeeds, as a person does: a database that is busy for too long refuses."""
    while True:
        with contextlib.suppress(Temporary):
            return await desk.submit(draft, version)


async def _write(gate: Gate, organisation: ParticipantIdentifier, name: str) -> None:
    own, slow = desk_at(gate, organisation), desk_at(gate, organisation, LATER)
    number = 0
    while True:
        number += 1
        text = f"{name} {number}"
        try:
            draft = await own.new_draft("box", DraftContent((TO,), "Beslut", "Halv"))
            version = await own.save_draft(draft.id, draft.version, DraftContent((TO,), "Beslut", text))
        except Temporary:
            continue
        _tell("saved", draft.id, text)
        if number % 5 == _LEFT:
            continue
        within = number % 5 == _WITHIN_WINDOW
        tabs = [slow if within else own] * 2
        first, other = await asyncio.gather(*(_submitted(tab, draft.id, version) for tab in tabs))
        assert first.messages == other.messages
        _tell("window" if within else "sent", draft.id, text)


def _tell(*told: str) -> None:
    print(json.dumps(told), flush=True)


def _run(out: Connection, folder: Path, organisation: ParticipantIdentifier, url: str, name: str) -> None:
    os.dup2(out.fileno(), 1)
    out.close()
    asyncio.run(_work(folder, organisation, url, name))
