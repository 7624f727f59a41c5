"""Seconds from ``NEW`` at the message service until a message is in the list of its mailbox.

By events in the demonstration's world: our own message service and message client, each in a vault of its
own, and a sender at another operator. By polling with a message service that offers no events, at the
default interval; messages then come at random moments. The list is fetched as a browser does, a few times
a second.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import uuid
from contextlib import AsyncExitStack
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from tests.unit.messageclient.sparse import SparseService

from bench.measure import Row, reported
from bench.web_house import ADDRESS, BOX, HABO, MK, WORKER, Browser, installed, known, settings_in, signed_in
from samdrift.client.keys import ClientKey
from samdrift.config.roles import MessageClientRoleConfig
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Purpose
from samdrift.demo import cast
from samdrift.demo.scenario import Party
from samdrift.demo.world import world
from samdrift.installation.loop import run
from samdrift.messageclient.working import ServiceSettings, Working
from samdrift.messageservice.outgoing.compose import Draft, compose
from samdrift.net.background import in_background
from samdrift.net.clock import system_clock
from samdrift.vault.mailrecords import MailboxRecord

_MESSAGES = 50
_LOOK_EVERY = 0.2
_APART = 6.0
"""Mean seconds between two messages when polling is measured."""
_PATIENCE = 120.0
_EVENTS_BAR, _QUESTIONS_BAR = 5.0, 30.0
_PERCENTILE = 0.95
_PAUSE = next(float(each.default) for each in fields(MessageClientRoleConfig) if each.name == "poll_seconds")
"""Default seconds between two polls."""


def rows() -> list[Row]:
    """Measure median, 95th percentile and maximum, by events and by polling."""
    with tempfile.TemporaryDirectory(prefix="samdrift-bench-") as folder:
        Path(folder).chmod(0o711)
        heard = run(by_events(Path(folder) / "world", _MESSAGES))
        (Path(folder) / "asked").mkdir(mode=0o711)
        asked = run(by_questions(Path(folder) / "asked", _MESSAGES, _APART))
    return [*_rows("events", heard, _EVENTS_BAR), *_rows("questions", asked, _QUESTIONS_BAR)]


def _rows(way: str, seconds: list[float], bar: float) -> list[Row]:
    counted = sorted(seconds)
    return [
        reported(f"NEW to visible by {way}, median", [median(counted)], "s"),
        reported(f"NEW to visible by {way}, p95", [counted[int(len(counted) * _PERCENTILE)]], "s"),
        reported(f"NEW to visible by {way}, largest", [counted[-1]], "s", bar=bar),
    ]


class _List:
    """A person's list of a mailbox, as last fetched."""

    def __init__(self, browser: Browser, path: str) -> None:
        self._browser = browser
        self._path = path
        self._text = ""
        self._looked = asyncio.Condition()

    async def look(self) -> None:
        """Fetch the list repeatedly, until cancelled."""
        while True:
            text = (await self._browser.get(self._path)).text()
            async with self._looked:
                self._text = text
                self._looked.notify_all()
            await asyncio.sleep(_LOOK_EVERY)

    async def has(self, subject: str) -> datetime:
        """Wait until a subject is in the list; return the moment."""
        async with asyncio.timeout(_PATIENCE), self._looked:
            await self._looked.wait_for(lambda: subject in self._text)
        return datetime.now(UTC)


async def by_events(folder: Path, messages: int) -> list[float]:
    """Return the seconds of each message that another operator's organisation sends, one after the other."""
    drawn = random.Random(12)
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(world(folder, lambda _: None, pages=True))
        sender, recipient = running.party(cast.AGENCY), running.party(cast.HABO)
        shown = await _list_of(recipient)
        await stack.enter_async_context(in_background(shown.look(), on_failure=_fail))
        found = []
        for number in range(messages):
            subject = f"Prov {number} {uuid.uuid4().hex}"
            message = compose(
                Draft(subject, "Ett meddelande."),
                sender.address,
                recipient.address,
                message_id=str(uuid.uuid4()),
                at=datetime.now(UTC),
            )
            await sender.operator.messages.send(sender.principal, sender.organisation, message)
            visible = await shown.has(subject)
            found.append((visible - await _new_since(recipient, message.message_id)).total_seconds())
            await asyncio.sleep(drawn.random())
        return found


async def _new_since(recipient: Party, message_id: str) -> datetime:
    service = recipient.operator.messages
    kept = await service.status(recipient.principal, recipient.organisation, message_id, Direction.IN)
    assert kept is not None
    return next(event.at for event in kept[1] if event.status is MessageStatus.NEW)


async def _list_of(recipient: Party) -> _List:
    config = recipient.operator.config
    (own,) = [each for each in config.organisations if each.identifier == recipient.organisation]
    assert own.sign_in is not None
    browser = await known(recipient.operator.gate, own.sign_in.issuer, "anna", "Anna Andersson")
    async with recipient.operator.gate.open(WORKER, HABO, MK, Purpose.READ) as vault:
        (box,) = [
            one.id for one in await vault.mailboxes() if one.address == recipient.address.functional_address
        ]
    return _List(browser, f"/mailbox/{box}/open")


async def by_questions(folder: Path, messages: int, apart: float) -> list[float]:
    """Return the seconds of each message that comes at a random moment to a service without events."""
    drawn, service = random.Random(12), SparseService()
    async with installed(settings_in(folder)) as gate, service.running():
        async with gate.open(WORKER, HABO, MK, Purpose.PROCESS) as vault:
            await vault.keep_mailbox(MailboxRecord(BOX, ADDRESS, "Socialtjänst"))
        shown = _List(await signed_in(gate), f"/mailbox/{BOX}/open")
        ClientKey.new().write(folder / "client.pem")
        settings = ServiceSettings(
            HABO,
            f"{service.url}/v1",
            f"{service.url}/token",
            "bench",
            (folder / "client.pem").read_bytes(),
            public_only=False,
        )
        working = Working(gate, [settings], system_clock, _PAUSE)

        async def one() -> float:
            await asyncio.sleep(drawn.random() * messages * apart)
            subject, accepted = f"Prov {uuid.uuid4().hex}", datetime.now(UTC)
            service.receives(label=subject, to=ADDRESS)
            return (await shown.has(subject) - accepted).total_seconds()

        async with working.running(_fail), in_background(shown.look(), on_failure=_fail):
            return list(await asyncio.gather(*(one() for _ in range(messages))))


def _fail(error: BaseException) -> None:
    raise error
