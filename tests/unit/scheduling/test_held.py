"""Counts of waiting items by role and reason: each once, until it is done or its time is over."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from samdrift.contracts.discovery import (
    DiscoveryUnavailable,
    DiscoveryUntrusted,
    NotRegistered,
    SharedService,
)
from samdrift.contracts.errors import Temporary
from samdrift.contracts.hold import Hold
from samdrift.contracts.malware import ScannerUnavailable
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason, TransferUnavailable
from samdrift.keystore.keyfiles import HsmUnavailable, KeyFault
from samdrift.net.addressbook import AddressBookUnavailable
from samdrift.scheduling import held as held_module
from samdrift.scheduling.held import Held, HeldNumber, reason_of
from samdrift.vault.errors import NoKeyInUse, VaultLocked, VaultSuspended, VaultUnavailable, VaultUncovered
from samdrift.wire.identifiers import ParticipantIdentifier

ALFA, BETA = ParticipantIdentifier("0203:alfa.se"), ParticipantIdentifier("0203:beta.se")
AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ScannerUnavailable("no answer"), Hold.SCANNER),
        (TransferUnavailable("no answer"), Hold.ACCESS_POINT),
        (DiscoveryUnavailable("no answer", SharedService.SML), Hold.SML),
        (DiscoveryUnavailable("no answer", SharedService.SMP), Hold.SMP),
        (DiscoveryUnavailable("no answer", SharedService.REVOCATION), Hold.REVOCATION),
        (DiscoveryUntrusted("its signer"), Hold.CERTIFICATE),
        (NotRegistered("not there"), Hold.NOT_REGISTERED),
        (AddressBookUnavailable("no answer"), Hold.ADDRESS_BOOK),
        (NoKeyInUse(), Hold.KEY),
        (HsmUnavailable(KeyFault.UNAVAILABLE, "no answer"), Hold.KEY),
        (VaultUnavailable(), Hold.DATABASE),
        (VaultLocked(), Hold.LOCK),
        (VaultSuspended(), Hold.SUSPENDED),
        (VaultUncovered(), Hold.COVER),
        (Temporary("a new kind of outage"), Hold.OTHER),
        (ArithmeticError(), Hold.OTHER),
    ],
)
def test_each_outage_has_its_reason(error: Exception, reason: Hold) -> None:
    assert reason_of(error) is reason


def test_the_same_thing_is_counted_once_under_its_latest_reason() -> None:
    held = Held()
    held.note(MT, ALFA, "m", Hold.SCANNER, LATER)
    held.note(MT, ALFA, "m", Hold.SMP, LATER)
    held.note(MT, BETA, "m", Hold.SMP, LATER)
    held.note(AP, ALFA, "m", TransferReason.PEER_UNREACHABLE, LATER)
    assert held.numbers(NOW) == (HeldNumber("ap", "peer-unreachable", 1), HeldNumber("mt", "smp", 2))


def test_what_is_done_is_not_counted_and_neither_is_what_another_process_may_have_done() -> None:
    held = Held()
    held.note(MT, ALFA, "done", Hold.SCANNER, LATER)
    held.note(MT, ALFA, "waits", Hold.SCANNER, LATER)
    held.release(MT, ALFA, "done")
    held.release(MT, ALFA, "never held")
    assert held.numbers(NOW) == (HeldNumber("mt", "scanner", 1),)
    assert held.numbers(LATER) == ()


def test_a_long_outage_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_module, "_MOST", 3)
    held = Held()
    for number in range(5):
        held.note(MT, ALFA, str(number), Hold.SCANNER, LATER)
    held.note(MT, ALFA, "0", Hold.SMP, LATER)
    assert held.numbers(NOW) == (HeldNumber("mt", "scanner", 2), HeldNumber("mt", "smp", 1))


def test_counts_are_those_of_what_waits_whatever_came_and_went(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_module, "_SPARE", 20)
    held, waits, now, random = Held(), dict[str, tuple[Hold, datetime]](), NOW, Random(12)
    for _ in range(3000):
        name, reason = f"{random.randrange(60)}", random.choice((Hold.SMP, Hold.SCANNER, Hold.KEY))
        until = now + timedelta(seconds=random.randrange(1, 300))
        match random.randrange(8):
            case 0:
                held.release(MT, ALFA, name)
                waits.pop(name, None)
            case 1:
                now += timedelta(seconds=random.randrange(40))
                waits = {key: entry for key, entry in waits.items() if entry[1] > now}
                numbers = sorted(Counter(reason.value for reason, _ in waits.values()).items())
                assert held.numbers(now) == tuple(HeldNumber("mt", *each) for each in numbers)
            case _:
                held.note(MT, ALFA, name, reason, until)
                waits[name] = reason, until
        assert len(held._ends) <= 20 + 2 * 60, "repeated notes must not accumulate"


def test_asking_for_the_numbers_goes_through_nothing_that_waits_still() -> None:
    class Watched(dict[Any, Any]):
        def __getitem__(self, key: Any) -> Any:
            looked.append(key)
            return super().__getitem__(key)

        def __iter__(self) -> Any:
            raise AssertionError("all were walked")

        items = values = keys = __iter__

    held, looked = Held(), list[Any]()
    held._entries = Watched()
    for number in range(1000):
        held.note(MT, ALFA, str(number), Hold.SMP, LATER)
    held.note(MT, ALFA, "soon", Hold.KEY, NOW)
    looked.clear()
    for _ in range(10):
        assert held.numbers(NOW) == (HeldNumber("mt", "smp", 1000),)
    assert len(looked) == 1, "only the entry that has ended may be looked up"


def test_a_number_is_read_as_it_was_written() -> None:
    number = HeldNumber("mt", "smp", 2)
    assert HeldNumber.read(number.document()) == number
