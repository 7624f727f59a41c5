"""Taking over what waits at the access point: how long it may wait, and what the answer does then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final, cast
from uuid import uuid4

import pytest

from samdrift.audit.events import AuditEvent
from samdrift.contracts.discovery import DiscoveryError, DiscoveryUnavailable, DiscoveryUntrusted
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice.inbox import Inbox
from samdrift.messageservice.settings import MessageServiceSettings, OrganisationProfile
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import KeySet
from samdrift.wire.identifiers import FEDERATION_TEST, ParticipantIdentifier
from tests.vaults import NOW, Installation

MT: Final = Role.MESSAGE_SERVICE
SETTINGS = MessageServiceSettings(FEDERATION_TEST, receipt_within=timedelta(hours=24))


class _AccessPoint:
    async def fetch(self, item_id: str) -> AsyncIterator[bytes]:
        yield b"<xhe/>"


class _Judging:
    """Cannot look the sender up."""

    def __init__(self, failure: DiscoveryError) -> None:
        self._failure = failure

    async def judge(self, *arguments: object) -> object:
        raise self._failure


def inbox(installation: Installation, organisation: ParticipantIdentifier, failure: DiscoveryError) -> Inbox:
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
    """The vaults of the tests have none, and nothing is decrypted here."""
    nothing = cast(Any, None)
    monkeypatch.setattr(MessageServiceVault, "keys", lambda vault: KeySet(nothing))


FAILURES = [DiscoveryUnavailable("SMP answered 503"), DiscoveryUntrusted("the SMP's certificate is expired")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_what_cannot_be_judged_now_stays_at_the_access_point(
    installation: Installation, organisation: ParticipantIdentifier, failure: DiscoveryError
) -> None:
    waiting = item(SETTINGS.receipt_within - timedelta(seconds=1))
    with pytest.raises(type(failure)):
        await inbox(installation, organisation, failure).take(organisation, waiting)
    async with installation.open(organisation, MT) as vault:
        assert not await vault.was_processed(waiting.id)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_invariant_8_what_could_not_be_judged_in_time_is_refused_with_the_reason(
    installation: Installation, organisation: ParticipantIdentifier, failure: DiscoveryError
) -> None:
    """Its sender has given up waiting for a receipt; there is none to be sent."""
    waiting = item(SETTINGS.receipt_within)
    await inbox(installation, organisation, failure).take(organisation, waiting)
    async with installation.open(organisation, MT) as vault:
        assert await vault.was_processed(waiting.id)
        (entry,) = await vault.find_log(waiting.envelope_id)
        assert await vault.find_log(waiting.as4_message_id) == (entry,)
    assert entry.event == AuditEvent.MT_MESSAGE_REFUSED
    assert failure.text in entry.ids["reason"]
