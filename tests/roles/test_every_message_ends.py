"""Permanent loss of every service that a message needs: in whatever state the message was, it ends.

Invariant 8. The access point and message service of one organisation run by themselves, with
deadlines of a second instead of hours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partialmethod
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.config.malware import MalwareConfig
from samdrift.config.model import Config
from samdrift.config.roles import MessageServiceConfig
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.demo.cast import DemoOperator
from samdrift.demo.enrolment import enrol
from samdrift.federation.server import Failure, Service
from samdrift.installation.operator import running
from samdrift.messageservice.outgoing.compose import Attachment
from samdrift.scheduling.dispatch import Dispatcher
from samdrift.vault.errors import VaultUnavailable
from tests.roles.crashes import crashed
from tests.roles.letters import DRAFT, letter
from tests.roles.member import Member, until
from tests.roles.peer import Peer
from tests.roles.processes import organisation
from tests.roles.stage import Stage, hasty, member_of
from tests.sizes import sampled
from tests.vaults import server_folder

EXPECTED = ("VaultUnavailable", "SealBroken")
"""Exceptions that the log of the platform may contain here."""

LARGE = replace(
    DRAFT, attachments=(Attachment("f.pdf", "application/pdf", b"%PDF-1.4" + os.urandom(300_000)),)
)
"""A message whose bodies are in the object store, here and at the access point."""
LOOKS_EVERY = 1.0
"""Seconds between checks for unannounced deadlines; minutes in real installations."""
LONG_ENOUGH = 6.0
"""Seconds after which every deadline has passed."""


@dataclass
class World:
    """The installation under test, and the services that can go away."""

    stage: Stage
    member: Member
    access_point: AsyncExitStack
    """Stack whose closing stops the access point."""

    @asynccontextmanager
    async def without(self, service: Service) -> AsyncIterator[None]:
        """Stop one of the shared services while the context lasts."""
        self.stage.federation.outages.failures[service] = Failure.ERROR
        try:
            yield
        finally:
            del self.stage.federation.outages.failures[service]

    @asynccontextmanager
    async def without_access_point(self) -> AsyncIterator[None]:
        await self.access_point.aclose()
        try:
            yield
        finally:
            await self.start()

    @asynccontextmanager
    async def without_objects(self) -> AsyncIterator[None]:
        """Remove the folder of the object store with its content."""
        objects = self.member.config.vaults.objects
        assert isinstance(objects, Path)
        away = objects.rename(objects.with_name("elsewhere"))
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                for made in sorted(objects.rglob("*"), reverse=True):
                    made.rmdir() if made.is_dir() else made.unlink()
                objects.rmdir()
            away.rename(objects)

    @asynccontextmanager
    async def without_database(self) -> AsyncIterator[None]:
        """Stop the database until every deadline has passed, since nothing can end without storage."""
        async with crashed(self.member.config, self.member.operator.gate):
            await asyncio.sleep(LONG_ENOUGH)
        yield

    async def start(self) -> None:
        await self.access_point.enter_async_context(
            running(self.member.config, frozenset({Role.ACCESS_POINT}))
        )


OUTAGES: dict[str, Callable[[World], AbstractAsyncContextManager[None]]] = {
    "SMP": lambda world: world.without(Service.SMP),
    "DNS": lambda world: world.without(Service.SML),
    "revocation": lambda world: world.without(Service.RESPONDER),
    "access point": World.without_access_point,
    "object store": World.without_objects,
    "database": World.without_database,
}


def impatient(config: Config) -> Config:
    """Return the configuration with deadlines of a second, and none at the access point."""
    assert config.access_point is not None
    return replace(
        hasty(config, MalwareConfig(None)),
        access_point=replace(config.access_point, attempts=1000, interval_seconds=1, answer_seconds=1),
        message_service=MessageServiceConfig(
            submit_seconds=1, transfer_seconds=1, receipt_seconds=1, retry_seconds=1, lease_seconds=1
        ),
        metrics=None,
    )


@pytest_asyncio.fixture(scope="module")
async def world(stage: Stage) -> AsyncIterator[World]:
    own = organisation("ydre", "2120000407")
    demo = DemoOperator("operator-g", "AP0013-SDK-DEMO", (own,))
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(server_folder())
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        patched.setattr(Dispatcher, "run", partialmethod(Dispatcher.run, look_every=LOOKS_EVERY))
        enrolled = await enrol(stage.federation, demo, folder / demo.folder)
        config = impatient(enrolled.config)
        access_point = await stack.enter_async_context(AsyncExitStack())
        run = await stack.enter_async_context(running(config, frozenset({Role.MESSAGE_SERVICE})))
        world = World(stage, member_of(stage.federation, run, own), access_point)
        await world.start()
        yield world


Sent = tuple[str, Direction]


async def under_way(world: World) -> list[Sent]:
    """Create a message being retried, one that waits for its receipt, and one whose receipt is retried."""
    member, deaf, mute, sender = world.member, world.stage.peer(), world.stage.peer(), world.stage.peer()
    deaf.respond = sender.respond = lambda received: 503
    tried = await member.send(deaf.address, LARGE)
    waiting = await member.send(mute.address, LARGE)
    incoming = letter(sender.address, member.address, LARGE)
    await sender.posts(sender.seals(incoming, member), member)
    await asyncio.gather(
        *(came(member, *one) for one in ((waiting, Direction.OUT), (incoming.message_id, Direction.IN))),
        deaf.gets(),
        mute.gets(),
    )
    return [(tried, Direction.OUT), (waiting, Direction.OUT), (incoming.message_id, Direction.IN)]


async def came(member: Member, message_id: str, direction: Direction) -> None:
    async def look() -> bool | None:
        return True if await member.record(message_id, direction) is not None else None

    await until(look, "it is known")


async def scheduled(world: World) -> list[Sent]:
    """Send a message during the outage, if it is accepted at all."""
    peer: Peer = world.stage.peer()
    try:
        return [(await world.member.send(peer.address, LARGE), Direction.OUT)]
    except VaultUnavailable:
        return []


@pytest.mark.parametrize("name", sampled(OUTAGES))
async def test_every_message_ends_with_a_reason(world: World, name: str) -> None:
    sent = await under_way(world)
    async with OUTAGES[name](world):
        sent += await scheduled(world)
        for message_id, direction in sent:
            status = await world.member.ends(message_id, direction)
            assert status is MessageStatus.MESSAGE_EXCHANGE_ERROR
            last = (await world.member.events(message_id, direction))[-1]
            assert last.title
