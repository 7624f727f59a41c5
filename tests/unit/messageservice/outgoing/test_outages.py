"""An outage of an unknown kind is waited for like those that the retry loops name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, cast

import pytest

from samdrift.contracts.errors import Explained, Temporary
from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState, WorkKind
from samdrift.contracts.principals import Role
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.outgoing.sender import Sender
from samdrift.scheduling.held import Held, HeldNumber
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import KeySet
from samdrift.wire.identifiers import FEDERATION_TEST, ParticipantIdentifier
from tests.settings import message_service_settings
from tests.vaults import MINUTE, NOW, Installation, body, message, receipt

MT: Final = Role.MESSAGE_SERVICE
ROLES = (MT,)
SETTINGS: Final = message_service_settings(FEDERATION_TEST)
IN_TIME: Final = timedelta()
TOO_LATE: Final = SETTINGS.submit_within


class LineCut(Temporary):
    """An outage of an unlisted kind."""


class _Sealing:
    """Sealing that always fails."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    async def message(self, *given: object, **named: object) -> bytes:
        raise self._failure

    async def receipt(self, *given: object, **named: object) -> bytes:
        raise self._failure


def outgoing(
    installation: Installation, failure: Exception, after: timedelta, held: Held | None = None
) -> Sender:
    nothing, sealing = cast(Any, None), cast(Any, _Sealing(failure))
    return Sender(SETTINGS, installation.gate, sealing, nothing, nothing, lambda: NOW + after, held)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the keys: the tests' vaults have none, and nothing is signed here."""
    monkeypatch.setattr(MessageServiceVault, "keys", lambda vault: KeySet(cast(Any, None)))


async def events(
    installation: Installation, organisation: ParticipantIdentifier, named: str
) -> Collection[str]:
    async with installation.open(organisation, MT) as vault:
        return [entry.event for entry in await vault.find_log(named)]


async def test_a_message_waits_for_an_outage_of_any_kind_and_its_log_says_why(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    record = replace(message(), created_at=NOW)
    async with installation.open(organisation, MT) as vault:
        assert await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)
    held = Held()
    sender = outgoing(installation, LineCut("the line is cut"), IN_TIME, held)
    again = await sender.message(organisation, record, b"", scanned=True)
    assert again == NOW + SETTINGS.retry_after
    assert held.numbers(NOW) == (HeldNumber("mt", "other", 1),)
    late = outgoing(installation, LineCut("the line is cut"), TOO_LATE, held)
    assert MTEvent.MT_MESSAGE_HELD in await events(installation, organisation, record.id)
    async with installation.open(organisation, MT) as vault:
        stored = await vault.message(record.id, Direction.OUT)
        due = await vault.claim_work(now=again, lease=MINUTE, limit=10)
    assert stored is not None
    assert stored.status is MessageStatus.SCHEDULED
    assert WorkKind.MESSAGE in {each.kind for each in due}
    assert await late.message(organisation, record, b"", scanned=True) is None
    assert held.numbers(NOW) == (), "a message that has failed must not count as held"


async def test_invariant_8_an_outage_of_any_kind_ends_with_its_reason(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    record = replace(message(), created_at=NOW)
    async with installation.open(organisation, MT) as vault:
        assert await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)
    step = outgoing(installation, LineCut("the line is cut"), TOO_LATE)
    assert await step.message(organisation, record, b"", scanned=True) is None
    async with installation.open(organisation, MT) as vault:
        stored = await vault.message(record.id, Direction.OUT)
    assert stored is not None
    assert stored.status is MessageStatus.MESSAGE_EXCHANGE_ERROR


@pytest.mark.parametrize(
    "failure",
    [VaultUnavailable(), Explained("no outage"), ArithmeticError()],
    ids=lambda each: type(each).__name__,
)
async def test_what_is_no_outage_of_a_service_is_left_to_the_lease(
    installation: Installation, organisation: ParticipantIdentifier, failure: Exception
) -> None:
    """A vault that is away cannot record anything, and a fault of ours is reported."""
    record = replace(message(), created_at=NOW)
    async with installation.open(organisation, MT) as vault:
        assert await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)
    with pytest.raises(type(failure)):
        await outgoing(installation, failure, IN_TIME).message(organisation, record, b"", scanned=True)
    assert MTEvent.MT_MESSAGE_HELD not in await events(installation, organisation, record.id)


@pytest.mark.parametrize(
    ("after", "state"), [(IN_TIME, ReceiptState.QUEUED), (TOO_LATE, ReceiptState.FAILED)]
)
async def test_a_receipt_waits_for_an_outage_of_any_kind_until_its_time_is_over(
    installation: Installation, organisation: ParticipantIdentifier, after: timedelta, state: ReceiptState
) -> None:
    incoming = message(Direction.IN)
    answer = replace(receipt(incoming.id, Direction.OUT), created_at=NOW)
    async with installation.open(organisation, MT) as vault:
        stored_body = await body(vault)
        await vault.receive(incoming, stored_body, answer, b"<ar/>", item_id="i", now=NOW, lease=MINUTE)
    step = outgoing(installation, LineCut("the line is cut"), after)
    again = await step.receipt(organisation, answer, b"<ar/>")
    assert again == (NOW + SETTINGS.retry_after if after is IN_TIME else None)
    async with installation.open(organisation, MT) as vault:
        stored = await vault.receipt(answer.id)
    assert stored is not None
    assert stored.state is state
