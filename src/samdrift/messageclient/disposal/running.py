"""The worker of disposal: removes approved conversations one at a time, and resumes after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterable, Callable
from datetime import timedelta
from typing import Any

from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageclient.events import MKEvent
from samdrift.vault.gate import Gate
from samdrift.vault.mailrecords import FileRecord, MailRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.identifiers import ParticipantIdentifier

_PAGE = 100
_EVERY = timedelta(hours=11)
"""Time after which all vaults are checked again; disposals approved in this process start immediately."""
_RETRY = timedelta(minutes=1)
"""Time after which a vault that could not be opened is tried again."""
_BREATH = 0.1
"""Seconds between two vaults, to spread the load."""


class Disposing:
    """Worker that carries out approved disposals for the organisations served in this process."""

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self._gate = gate
        self._vaults = gate.worker("disposal", Role.MESSAGE_CLIENT)
        self._clock = clock
        self._wanted: set[ParticipantIdentifier] = set()
        self._news = asyncio.Event()

    def notify(self, organisation: ParticipantIdentifier) -> None:
        """Note that an organisation has approved a disposal."""
        self._wanted.add(organisation)
        self._news.set()

    async def run(self, on_failure: Callable[[BaseException], None]) -> None:
        """Work until cancelled; a disposal that cannot run now, as in a locked vault, is retried soon."""
        time = asyncio.get_running_loop().time
        again_at, gains = time(), -1
        self._gate.leases.on_gain(self._news.set)
        while True:
            if time() >= again_at or self._gate.leases.gains != gains:
                again_at, gains = time() + _EVERY.total_seconds(), self._gate.leases.gains
                self._wanted.update(self._gate.registry.worked_for(Role.MESSAGE_CLIENT))
            self._news.clear()
            waiting = await self._round(on_failure)
            pause = again_at - time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(pause, _RETRY.total_seconds()) if waiting else pause):
                    await self._news.wait()
            self._wanted |= waiting

    async def _round(self, on_failure: Callable[[BaseException], None]) -> set[ParticipantIdentifier]:
        """Carry out the disposals of waiting organisations; return those that must be retried.

        A locked or suspended vault is recognised without opening it.
        """
        again = set[ParticipantIdentifier]()
        registry = self._gate.registry
        while self._wanted:
            organisation = self._wanted.pop()
            if not registry.serves(organisation, Role.MESSAGE_CLIENT):
                if registry.find(organisation, Role.MESSAGE_CLIENT) is not None:
                    again.add(organisation)
                continue
            try:
                await dispose_agreed(self._vaults, organisation, self._clock)
            except Temporary as outage:
                if not outage.expected:
                    on_failure(outage)
                again.add(organisation)
            except Exception as error:  # A failure of one organisation must not delay the others.
                on_failure(error)
            await asyncio.sleep(_BREATH)
        return again


async def dispose_agreed(
    vaults: WorkerGate[MessageClientVault], organisation: ParticipantIdentifier, clock: Clock
) -> None:
    """Carry out all disposals that an organisation has approved, to the end."""
    async with vaults.open(organisation, Purpose.DISPOSE) as vault:
        agreed = await vault.agreed_disposals()
    for disposal in agreed:
        after, more = "", True
        while more:
            async with vaults.open(organisation, Purpose.DISPOSE) as vault:
                items = await vault.disposal_items(disposal, after, _PAGE)
            for conversation in items:
                async with vaults.open(organisation, Purpose.DISPOSE) as vault:
                    await _dispose(vault, disposal, conversation, clock)
            more = bool(items)
            after = items[-1] if items else after
        async with vaults.open(organisation, Purpose.DISPOSE) as vault:
            if await vault.end_disposal(disposal, now=clock()):
                vault.record(MKEvent.MK_DISPOSAL_DONE, disposal=disposal)


async def _dispose(vault: MessageClientVault, disposal: str, conversation: str, clock: Clock) -> None:
    """Remove one conversation and store the record of it, in one transaction."""
    mail = await vault.mail_of(conversation)
    home = next((one.home for one in await vault.conversations_by_id([conversation])), "")
    owners = {one.id: one.draft or one.id for one in mail}
    files: defaultdict[str, list[FileRecord]] = defaultdict(list)
    for file in await vault.files_of(sorted(set(owners.values()))):
        files[file.owner].append(file)
    registered = (await vault.registrations([conversation])).get(conversation)
    number = registered.content["number"] if registered else ""
    contents = {one.id: await _content(vault, one, files[owners[one.id]], number, home) for one in mail}
    gone = await vault.dispose(disposal, conversation, mail, contents, now=clock())
    vault.record(
        MKEvent.MK_DISPOSAL_GONE if gone else MKEvent.MK_DISPOSAL_KEPT,
        disposal=disposal,
        conversation=conversation,
        messages=str(len(mail)),
    )


async def _content(
    vault: MessageClientVault, one: MailRecord, files: list[FileRecord], number: str, home: str
) -> dict[str, Any]:
    """Return the record of a message: ids, sizes and digests, without content."""
    return {
        "home": home,
        "message_id": one.content["message_id"],
        "remote_id": one.content.get("remote_id"),
        "conversation_id": one.content["conversation_id"],
        "registered": number,
        "sha256": await _digest(await vault.mail_body(one.id)),
        "files": [
            {"size": file.size, "sha256": await _digest(await vault.file_body(file.id, file.owner))}
            for file in files
        ],
    }


async def _digest(pieces: AsyncIterable[bytes]) -> str:
    digest = hashlib.sha256()
    async for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
