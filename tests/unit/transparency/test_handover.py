"""Entries of a log as syslog messages, and the moment they count as accepted (RFC 5424, RFC 5425)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.audit.entries import Happening
from samdrift.net.addresses import any_address
from samdrift.net.client import HttpFault, NoAnswer
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.tls import TlsIdentity, client_tls
from samdrift.transparency import handover
from samdrift.transparency.handover import Connect, HandedEntry, LogName, NotTaken, frame, hand_over
from tests.unit.transparency.logsystem import LogSystem, messages

LOG = LogName("samdrift.log/00", "0203:habo.se", "mt")
AT = datetime(2026, 3, 2, 9, 0, 0, 7, UTC)


def entry(number: int, event: str = "mt:message:read", **facts: str) -> HandedEntry:
    return HandedEntry(number, Happening(AT, event, "system:journal", "read", facts), bytes([7] * 32))


@asynccontextmanager
async def connecting(system: LogSystem) -> AsyncIterator[Connect]:
    async with system.running() as config:
        tls = client_tls(TlsIdentity(config.certificate), config.tls_issuers, http=False)
        async with EnteredAddressClient(any_address, tls) as client:
            yield lambda: client.connect(config.address.host, config.address.port)


@given(st.text(), st.text(max_size=60), st.integers(1, 2**31 - 1))
def test_whatever_a_fact_says_it_stays_within_one_message(fact: str, event: str, number: int) -> None:
    """Peers may send line ends, quotes, brackets and invisible characters."""
    (found,) = messages(frame(LOG, entry(number, event, message=fact)))
    assert found["log"] == LOG.origin
    assert found["organisation"] == LOG.organisation
    assert (found["number"], found["hash"]) == (number, "07" * 32)
    assert found["event"] == event.encode("utf-8", "replace").decode()
    assert found["ids"]["message"] == fact[:1000].encode("utf-8", "replace").decode()


def test_an_entry_whose_facts_were_disposed_of_says_so() -> None:
    (found,) = messages(frame(LOG, HandedEntry(5, None, bytes(32))))
    assert (found["number"], found["disposed"], "event" in found) == (5, True, False)


def test_a_number_beyond_what_sequence_ids_hold_is_whole_in_the_facts() -> None:
    """RFC 5424 7.3.1: sequence ids start again at 1 after 2147483647."""
    framed = frame(LOG, entry(2**31))
    assert b'sequenceId="1"' in framed
    assert b'"number": 2147483648' in framed


async def test_what_was_taken_came_whole_and_in_order(tmp_path: Path) -> None:
    system = LogSystem(tmp_path)
    async with connecting(system) as connect:
        await hand_over(connect, [frame(LOG, entry(number)) for number in range(1, 400)], settle=0.01)
    assert [each["number"] for each in system.facts] == list(range(1, 400))


@pytest.mark.parametrize("after", [1, 5000])
async def test_what_a_log_system_does_not_stay_for_is_not_taken(tmp_path: Path, after: int) -> None:
    system = LogSystem(tmp_path, leaves_after=after)
    async with connecting(system) as connect:
        with pytest.raises(NotTaken):
            await hand_over(connect, [frame(LOG, entry(number)) for number in range(1, 30)], settle=60)


async def test_a_log_system_that_reads_nothing_has_taken_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine accepts connection and data, but only a reader answers the end."""
    monkeypatch.setattr(handover, "_SECONDS", 0.3)
    system = LogSystem(tmp_path, hangs=True)
    async with connecting(system) as connect:
        with pytest.raises(NotTaken):
            await hand_over(connect, [frame(LOG, entry(1))], settle=0)


async def test_one_that_cannot_be_reached_is_named_without_its_address() -> None:
    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise NoAnswer(HttpFault.FORBIDDEN)

    with pytest.raises(NotTaken, match=r"cannot be reached \(forbidden\)$"):
        await hand_over(connect, [])


async def test_a_log_system_that_takes_little_at_a_time_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A little each minute counted as progress, and a connection kept its place for over twenty minutes."""

    class Slow:
        written = 0
        transport = close = Mock()

        def write(self, _: bytes) -> None:
            self.written += 1

        async def drain(self) -> None:
            await asyncio.sleep(0.05)

        async def wait_closed(self) -> None:
            pass

    async def connect() -> tuple[asyncio.StreamReader, Any]:
        return asyncio.StreamReader(), slow

    slow = Slow()
    monkeypatch.setattr(handover, "_WHOLE_SECONDS", 0.3)
    with pytest.raises(NotTaken, match="too slowly"):
        await hand_over(connect, [b"entry"] * 50, settle=0)
    assert 0 < slow.written < 50
