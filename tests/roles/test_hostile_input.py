"""Hostile input over real sockets: the right error, nothing stored, and memory use that stays low."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from bench.process import Process

from samdrift.accesspoint.events import APEvent
from samdrift.demo.cast import DemoOperator
from samdrift.wire.as4 import ErrorSignal, read_response
from tests.roles import web
from tests.roles.hostile import ATTACKS, ENVELOPES, Attack, damaged
from tests.roles.letters import enclose, letter
from tests.roles.member import AP, Member, until
from tests.roles.processes import organisation, played
from tests.roles.stage import Stage
from tests.sizes import sampled
from tests.vaults import server_folder

MOST = 64 << 20
"""Maximum bytes of memory above idle: half of what any large attack would use if it were kept in memory."""
DAMAGED = 80
"""Number of damaged inputs."""
HOSTS = DemoOperator("operator-h", "AP0008-SDK-DEMO", (organisation("tranas", "2120000555"),))


@dataclass(frozen=True)
class Target:
    """An access point in a process of its own, with one organisation."""

    member: Member
    process: Process
    log: Path

    @contextlib.contextmanager
    def needs_little_memory(self) -> Iterator[None]:
        """Check that the code in the context uses no more memory than :data:`MOST`."""
        idle = self.process.resident()
        self.process.forget_peak()
        yield
        assert self.process.peak() - idle < MOST

    async def takes(self, attack: Attack, content_type: str, body: web.Body) -> web.Answer:
        """Send an AS4 message, and return the answer."""
        headers = {"content-type": content_type}
        with self.needs_little_memory():
            return await web.call(attack.peer.tls, "POST", self.member.as4_address, body, headers)

    async def takes_away(self) -> int:
        """Process waiting envelopes as a message service does; return their number."""
        async with self.member.open(AP) as vault:
            items = await vault.inbox(DAMAGED)
            for item in items:
                await vault.acknowledge(item.id, now=datetime.now(UTC))
        return len(items)

    async def holds_nothing(self) -> None:
        """Check that nothing is in the inbox or the object store, not even half-written."""
        assert not await self.member.waiting()
        objects = self.member.config.vaults.objects
        assert isinstance(objects, Path)
        assert not [file for file in objects.rglob("*") if file.is_file()]
        errors = [line for line in self.log.read_bytes().splitlines() if b"ERROR" in line]
        assert all(b"ALARM access point: a peer has sent too many" in line for line in errors)


@pytest_asyncio.fixture(scope="module")
async def target(stage: Stage) -> AsyncIterator[Target]:
    with server_folder() as folder:
        async with played(stage.federation, folder, {HOSTS: ("ap",)}) as those:
            (process,), (member,) = those.processes, those.members
            await process.start()
            assert process.running is not None
            target = Target(member, Process(process.running.pid), process.log)
            peer = stage.peer()
            assert (await peer.posts(peer.encloses(member), member)).is_receipt_of(member.certificate)
            assert await target.takes_away() == 1
            yield target


@pytest.mark.parametrize("name", sampled(ATTACKS))
async def test_interface_a(stage: Stage, target: Target, name: str) -> None:
    make, codes = ATTACKS[name]
    peer = stage.peer()
    attack = Attack(peer, target.member, peer.encloses(target.member))
    answer = await target.takes(attack, *make(attack))
    assert answer.status == 200
    signal = read_response(answer.content_type, answer.body)
    if codes:
        assert isinstance(signal, ErrorSignal)
        assert {error.code for error in signal.errors} <= codes
        assert signal.signed_by == target.member.certificate
    else:
        assert not isinstance(signal, ErrorSignal)
        message_id = signal.info.ref_to_message_id
        assert message_id is not None
        await target.member.logged(AP, message_id, APEvent.AP_ENVELOPE_REFUSED)
    await target.holds_nothing()


async def test_interface_a_damaged_bytes(stage: Stage, target: Target) -> None:
    """It is refused, unless the damage was outside the message."""
    peer = stage.peer()
    attack = Attack(peer, target.member, peer.encloses(target.member))
    content_type, body = attack.good().build()
    refused = 0
    for number in range(DAMAGED):
        answer = await target.takes(attack, content_type, damaged(body, number))
        assert answer.status == 200
        refused += isinstance(read_response(answer.content_type, answer.body), ErrorSignal)
    assert refused > DAMAGED * 0.9
    await target.takes_away()
    await target.holds_nothing()


@pytest.mark.parametrize("size", [1 << 20, 80 << 20])
@pytest.mark.parametrize("header", ["x-huge", "content-type"])
async def test_huge_headers_of_http(stage: Stage, target: Target, header: str, size: int) -> None:
    """The server answers with an error of either protocol, or hangs up."""
    with target.needs_little_memory():
        try:
            answer = await web.call(
                stage.tls, "POST", target.member.as4_address, b"x", {header: "y" * size}, within=10
            )
        except (ConnectionError, ssl.SSLError, http.client.HTTPException):
            return
    assert answer.status >= 400 or b"eb:Error" in answer.body
    await target.holds_nothing()


@pytest.mark.parametrize("name", sampled(ENVELOPES))
async def test_interface_c(stage: Stage, target: Target, name: str) -> None:
    member, peer = target.member, stage.peer()
    envelope = enclose(letter(member.address, peer.address), await member.signing(), peer.encryption)
    interface = await member.interface_c()
    with target.needs_little_memory():
        answer = await interface.submit(envelope.id, ENVELOPES[name](envelope))
    assert answer.problem == (422, "envelope-invalid")
    assert not await member.transfer_events(envelope.id)
    await target.holds_nothing()


async def test_interface_c_damaged_bytes(stage: Stage, target: Target) -> None:
    """Accepted data is still an envelope, since the access point only sees the outside of it."""
    member, peer = target.member, stage.peer()
    envelope = enclose(letter(member.address, peer.address), await member.signing(), peer.encryption)
    interface = await member.interface_c()
    outside = envelope.data[: envelope.data.index(b"<xha:PayloadContent>")]
    for number in range(DAMAGED):
        data = damaged(outside, number) + envelope.data[len(outside) :]
        answer = await interface.submit(envelope.id, data)
        assert answer.status in (200, 201) or answer.problem[0] in (403, 422)

    async def sent() -> bool | None:
        async with member.open(AP) as vault:
            return True if await vault.next_due() is None else None

    await until(sent, "what was taken is delivered or has failed")
    await target.holds_nothing()
