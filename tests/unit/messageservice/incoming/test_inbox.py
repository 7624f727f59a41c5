"""Fetching from the access point: the time that a message may wait, and the answer after that."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, cast
from uuid import uuid4

import pytest

from samdrift.contracts.discovery import DiscoveryUnavailable, DiscoveryUntrusted, SharedService
from samdrift.contracts.errors import Explained, Temporary
from samdrift.contracts.malware import ScannerUnavailable
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.incoming.inbox import Inbox, fetched
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import KeySet
from samdrift.wire.identifiers import FEDERATION_TEST, ParticipantIdentifier
from samdrift.wire.xml import LARGE
from tests.settings import message_service_settings
from tests.vaults import NOW, Installation

MT: Final = Role.MESSAGE_SERVICE
ROLES = (MT,)
PIECE: Final = bytes(1 << 20)
SETTINGS = message_service_settings(FEDERATION_TEST, receipt_within=timedelta(hours=24))


class _AccessPoint:
    async def fetch(self, item_id: str) -> AsyncGenerator[bytes, None]:
        yield b"<xhe/>"


class _Endless:
    """An access point whose envelope never ends."""

    left = False

    async def fetch(self, item_id: str) -> AsyncGenerator[bytes, None]:
        try:
            for _ in range(3 * LARGE.max_bytes // len(PIECE)):
                yield PIECE
        finally:
            self.left = True


class _Judging:
    """A judge that always fails."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    async def judge(self, *arguments: object) -> object:
        raise self._failure


def inbox(installation: Installation, organisation: ParticipantIdentifier, failure: Exception) -> Inbox:
    nothing = cast(Any, None)
    return Inbox(
        SETTINGS,
        installation.gate,
        cast(Any, _Judging(failure)),
        nothing,
        {organisation: cast(Any, _AccessPoint())},
        {organisation: OrganisationProfile(organisation, "Vi", frozenset())},
        nothing,
        lambda: NOW,
        nothing,
    )


def item(age: timedelta) -> InboxItem:
    received_at = NOW - age
    return InboxItem(
        str(uuid4()), str(uuid4()), "0203:a.se", "0203:b.se", "d", "c", "m@p", "AP", received_at, 6
    )


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the tests' vaults an empty set of keys, since nothing is decrypted here."""
    nothing = cast(Any, None)
    monkeypatch.setattr(MessageServiceVault, "keys", lambda vault: KeySet(nothing))


class _LineCut(Temporary):
    """An outage of an unlisted kind."""


FAILURES = [
    DiscoveryUnavailable("SMP answered 503", SharedService.SMP),
    DiscoveryUntrusted("the SMP's certificate is expired"),
    _LineCut("the line is cut"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_what_cannot_be_judged_now_stays_at_the_access_point(
    installation: Installation, organisation: ParticipantIdentifier, failure: Explained
) -> None:
    waiting = item(SETTINGS.receipt_within - timedelta(seconds=1))
    with pytest.raises(type(failure)):
        await inbox(installation, organisation, failure).take(organisation, waiting)
    async with installation.open(organisation, MT) as vault:
        assert not await vault.was_processed(waiting.id)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_invariant_8_what_could_not_be_judged_in_time_is_refused_with_the_reason(
    installation: Installation, organisation: ParticipantIdentifier, failure: Explained
) -> None:
    """Its sender has stopped waiting for a receipt, so none is sent."""
    waiting = item(SETTINGS.receipt_within)
    await inbox(installation, organisation, failure).take(organisation, waiting)
    async with installation.open(organisation, MT) as vault:
        assert await vault.was_processed(waiting.id)
        (entry,) = await vault.find_log(waiting.envelope_id)
        assert await vault.find_log(waiting.as4_message_id) == (entry,)
    assert entry.event == MTEvent.MT_MESSAGE_REFUSED
    assert str(failure) in entry.ids["reason"]


async def test_invariant_8_what_fails_as_nobody_expected_ends_in_time_too(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """The error's text may contain content, and is not recorded (invariant 9)."""
    failure = ArithmeticError("a secret")
    with pytest.raises(ArithmeticError):
        await inbox(installation, organisation, failure).take(organisation, item(timedelta()))
    waiting = item(SETTINGS.receipt_within)
    await inbox(installation, organisation, failure).take(organisation, waiting)
    async with installation.open(organisation, MT) as vault:
        (entry,) = await vault.find_log(waiting.envelope_id)
    assert entry.ids["reason"] == "could not be judged in time: ArithmeticError"


async def test_each_message_that_waits_for_the_scanner_is_named_also_where_its_own_id_is_not_known(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Another supplier's access point reports only AS4 ids."""
    failure = ScannerUnavailable("no scanner")
    waiting = [replace(item(timedelta()), envelope_id="", as4_message_id=f"{n}@p") for n in range(2)]
    for each in (*waiting, *waiting):
        with pytest.raises(ScannerUnavailable):
            await inbox(installation, organisation, failure).take(organisation, each)
    async with installation.open(organisation, MT) as vault:
        for each in waiting:
            (entry,) = await vault.find_log(each.as4_message_id)
            assert entry.event == MTEvent.MT_MESSAGE_HELD


async def test_a_message_that_waits_is_named_whatever_else_the_log_has_about_its_envelope(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A copy may have come before, and have been refused."""
    failure = ScannerUnavailable("no scanner")
    waiting = item(timedelta())
    async with installation.open(organisation, MT) as vault:
        vault.record(MTEvent.MT_MESSAGE_REFUSED, envelope=waiting.envelope_id, reason="mt:message:held")
    for _ in range(2):
        with pytest.raises(ScannerUnavailable):
            await inbox(installation, organisation, failure).take(organisation, waiting)
    async with installation.open(organisation, MT) as vault:
        found = await vault.find_log(waiting.envelope_id)
    assert [entry.event for entry in found] == [MTEvent.MT_MESSAGE_REFUSED, MTEvent.MT_MESSAGE_HELD]


@pytest.mark.parametrize("envelope", [None, b"<came/>"])
async def test_an_envelope_that_came_with_the_news_is_not_fetched(
    installation: Installation,
    organisation: ParticipantIdentifier,
    envelope: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged: list[object] = []

    async def judge(judging: object, data: bytes, *others: object) -> object:
        judged.append(data)
        raise _LineCut

    monkeypatch.setattr(_Judging, "judge", judge)
    with pytest.raises(_LineCut):
        await inbox(installation, organisation, _LineCut()).take(
            organisation, replace(item(timedelta()), envelope=envelope)
        )
    assert judged == [envelope or b"<xhe/>"]


async def test_an_envelope_without_an_end_is_not_read_to_it() -> None:
    """A part is enough to show that it is too large, and therefore broken."""
    endless = _Endless()
    data = await fetched(cast(Any, endless), "i")
    assert LARGE.max_bytes < len(data) <= LARGE.max_bytes + len(PIECE)
    assert endless.left
