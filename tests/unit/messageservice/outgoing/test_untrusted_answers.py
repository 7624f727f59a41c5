"""A message whose recipient's SMP is not trusted ends immediately, with the reason, without hand-over."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Final, cast

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.outgoing.sealing import Sealing
from samdrift.messageservice.outgoing.sender import Sender
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import KeySet
from samdrift.wire import bdxl
from samdrift.wire.identifiers import FEDERATION_TEST, ParticipantIdentifier
from samdrift.wire.verdicts import CertificateVerdict, TrustReason
from tests.settings import message_service_settings
from tests.unit.net.servers import reply
from tests.unit.net.test_discovery import SIGNED, ZONE, Place, place
from tests.vaults import MINUTE, NOW, Installation, body, message

__all__ = ["place"]

MT: Final = Role.MESSAGE_SERVICE
ROLES = (MT,)
SETTINGS: Final = message_service_settings(FEDERATION_TEST)


class _NoAccessPoint:
    """An access point that must not be called."""

    def __getitem__(self, organisation: ParticipantIdentifier) -> Any:
        raise AssertionError("handed over to an access point")


def _stranger(there: Place) -> None:
    there.judge.verdict = CertificateVerdict(TrustReason.UNKNOWN_ISSUER)


def _altered(there: Place) -> None:
    there.answer = reply(SIGNED.replace(b"https://", b"https://evil."), "200 OK", "content-type: text/xml")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_stranger, "the SMP's certificate is not trusted: unknown-issuer"),
        (_altered, "the SMP's answer is not usable"),
    ],
    ids=["another signer", "another signature"],
)
async def test_invariant_8_what_an_untrusted_smp_answers_ends_the_message_with_that_reason(
    installation: Installation,
    organisation: ParticipantIdentifier,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Any,
    reason: str,
) -> None:
    """Clauses: transport-profile-as4 2.10 f, g."""
    monkeypatch.setattr(MessageServiceVault, "keys", lambda vault: KeySet(cast(Any, None)))
    place.dns.records[bdxl.host(organisation, ZONE).lower()] = [bdxl.record(f"{place.url}/smp")]
    spoil(place)
    record = replace(message(), created_at=NOW)
    async with installation.open(organisation, MT) as vault:
        assert await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)
    sealing = Sealing(FEDERATION_TEST, place.discovery, cast(Any, place.judge), os.urandom)
    nothing = cast(Any, None)
    sender = Sender(SETTINGS, installation.gate, sealing, nothing, cast(Any, _NoAccessPoint()), lambda: NOW)
    assert await sender.message(organisation, record, b"", scanned=True) is None
    async with installation.open(organisation, MT) as vault:
        stored = await vault.message(record.id, Direction.OUT)
        entries = await vault.find_log(record.id)
        assert not await vault.claim_work(now=NOW + SETTINGS.submit_within, lease=MINUTE, limit=10)
    assert place.targets
    assert stored is not None
    assert stored.status is MessageStatus.MESSAGE_EXCHANGE_ERROR
    (last,) = (entry for entry in entries if entry.event == MTEvent.MT_MESSAGE_FAILED)
    assert last.ids["reason"].startswith(reason)
