"""The watch over the access point: silences, recorded hourly, and kept while the log cannot be written."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samdrift.audit.events import AuditEvent
from samdrift.config.model import Config, SocketAddress
from samdrift.console.availability import Watched, month_of
from samdrift.console.watching import EVERY, Watch, reached
from samdrift.contracts.principals import Role
from samdrift.installation.control import ControlRefused
from samdrift.installation.health import Condition
from samdrift.installation.reporting import Running
from samdrift.vault.errors import VaultUnavailable
from tests import pki
from tests.secretfiles import secret_file
from tests.unit.console.scene import config_of

START = datetime(2026, 11, 2, 8, tzinfo=UTC)


@dataclass
class Ground:
    """A watch with a clock and answers that a test sets, and the entries that it writes."""

    now: datetime = START
    answers: bool = True
    away: bool = False
    entries: list[Watched] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = Watch(self.reached, self.opened, lambda: self.now)

    async def reached(self) -> bool:
        return self.answers

    async def opened(self) -> Any:
        if self.away:
            raise VaultUnavailable
        return SimpleNamespace(gate=self)

    async def operator_log(self, event: AuditEvent, **facts: str) -> None:
        assert event == "org:availability:measured"
        self.entries.append(Watched.read(facts))

    async def looks(self, number: int, *, answers: bool = True) -> None:
        self.answers = answers
        for _ in range(number):
            await self.watch.look()
            self.now += EVERY


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def test_a_silence_lasts_from_the_first_look_without_an_answer_to_the_first_with_one() -> None:
    ground = Ground()
    await ground.looks(3)
    await ground.looks(4, answers=False)
    await ground.looks(2)
    assert ground.watch.now() == (Watched((at(0), at(32)), ((at(12), at(28)),)),)
    assert ground.entries == []


async def test_each_hour_is_an_entry_and_a_silence_goes_on_over_its_end() -> None:
    ground = Ground()
    await ground.looks(895)
    await ground.looks(10, answers=False)
    await ground.looks(1)
    assert ground.entries == [Watched((at(0), at(3600)), ((at(3580), at(3600)),))]
    (rest,) = ground.watch.now()
    assert rest == Watched((at(3600), at(3620)), ((at(3600), at(3620)),))


@pytest.mark.parametrize("microsecond", range(0, 1_000_000, 100_000))
async def test_a_silence_over_the_end_of_an_hour_is_as_long_in_the_log_as_it_was(microsecond: int) -> None:
    """Looks are never at whole seconds, and a silence of 12 seconds is an outage on whichever side it is."""
    ground = Ground(now=START + timedelta(microseconds=microsecond))
    await ground.looks(899)
    ground.now += timedelta(milliseconds=700)
    begun = ground.now
    await ground.looks(3, answers=False)
    await ground.looks(2)
    ground.watch._end()
    await ground.watch.record()
    month = month_of((START, START + timedelta(days=1)), ground.entries, [])
    assert month.outages == ((begun, begun + 3 * EVERY),)


async def test_what_cannot_be_written_waits_and_nothing_of_it_is_lost() -> None:
    ground = Ground(away=True)
    await ground.looks(1900)
    assert ground.entries == []
    assert len(ground.watch.now()) == 3
    ground.away = False
    await ground.looks(1)
    assert [each.span for each in ground.entries] == [(at(0), at(3600)), (at(3600), at(7200))]


async def test_a_time_without_looks_was_not_watched() -> None:
    ground = Ground()
    await ground.looks(5)
    ground.now += timedelta(hours=2)
    await ground.looks(5)
    assert [each.span for each in (*ground.entries, *ground.watch.now())] == [
        (at(0), at(16)),
        (at(7220), at(7236)),
    ]


async def test_the_end_of_the_watch_is_recorded() -> None:
    ground = Ground()
    await ground.looks(5)
    keeping = asyncio.create_task(ground.watch.keep())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert [each.span for each in ground.entries] == [(at(0), at(20))]


@dataclass(frozen=True)
class Listener:
    """An access point's listener with an untrusted TLS certificate, and a configuration that names it."""

    config: Config
    server: asyncio.Server

    def stop(self) -> None:
        self.server.close()


@pytest_asyncio.fixture
async def listener(tmp_path: Path) -> AsyncIterator[Listener]:
    own = pki.root("CA", 1).issue("ap.test")
    key = own.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = secret_file(tmp_path / "own.pem", own.certificate.public_bytes(Encoding.PEM) + key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=tls)
    config = config_of(tmp_path)
    assert config.access_point is not None
    address = SocketAddress("0.0.0.0", server.sockets[0].getsockname()[1])
    yield Listener(replace(config, access_point=replace(config.access_point, listen=address)), server)
    server.close()


def answering(*running: Running) -> Callable[[], Awaitable[tuple[Running, ...]]]:
    async def ask() -> tuple[Running, ...]:
        return running

    return ask


def serves(*conditions: Condition, role: Role = Role.ACCESS_POINT) -> Running:
    return Running(START, frozenset({role}), {}, conditions)


async def refusing() -> tuple[Running, ...]:
    raise ControlRefused("a running process does not answer")


async def test_it_is_reached_while_it_answers_serves_and_has_what_it_needs(listener: Listener) -> None:
    assert await reached(listener.config, answering(serves(Condition("scanner", "", START, "away"))))()
    for processes in (
        (),
        (serves(role=Role.MESSAGE_SERVICE),),
        (serves(Condition("database", "", START, "x")),),
    ):
        assert not await reached(listener.config, answering(*processes))()
    assert not await reached(listener.config, refusing)()
    listener.stop()
    assert not await reached(listener.config, answering(serves()))()


async def test_without_an_access_point_nothing_is_reached(tmp_path: Path) -> None:
    config = replace(config_of(tmp_path), access_point=None)
    assert not await reached(config, answering(serves()))()
