"""Checks of the demonstration's claims about an exchange, against vaults and logs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from samdrift.accesspoint.events import APEvent
from samdrift.audit.chain import LogVerification
from samdrift.contracts import workers
from samdrift.contracts.principals import Purpose, Role
from samdrift.demo.scenario import DemoFailed, Exchange, Party
from samdrift.evidence.trace import Step
from samdrift.messageservice.events import MTEvent

_PATIENCE = 10.0
_PAGE = 500

_AT_SENDER = (
    MTEvent.MT_MESSAGE_SCHEDULED,
    APEvent.AP_TRANSFER_QUEUED,
    MTEvent.MT_MESSAGE_SUBMITTED,
    APEvent.AP_TRANSFER_DELIVERED,
    MTEvent.MT_MESSAGE_ACKNOWLEDGED,
    APEvent.AP_ENVELOPE_RECEIVED,
    MTEvent.MT_RECEIPT_RECEIVED,
    MTEvent.MT_MESSAGE_ACCEPTED,
    APEvent.AP_ENVELOPE_ACKNOWLEDGED,
)
_AT_RECIPIENT = (
    APEvent.AP_ENVELOPE_RECEIVED,
    MTEvent.MT_MESSAGE_RETRIEVED,
    MTEvent.MT_RECEIPT_QUEUED,
    APEvent.AP_ENVELOPE_ACKNOWLEDGED,
    APEvent.AP_TRANSFER_QUEUED,
    MTEvent.MT_RECEIPT_SUBMITTED,
    APEvent.AP_TRANSFER_DELIVERED,
    MTEvent.MT_RECEIPT_ACKNOWLEDGED,
    MTEvent.MT_MESSAGE_NEW,
    MTEvent.MT_MESSAGE_READ,
)
"""Steps of transport-model-extended 3.3.1 that leave a log entry at the recipient.

With the sender's list above, these are all of them, each once at each end.
"""


def prove_way(
    exchange: Exchange, sent: Iterable[Step], received: Iterable[Step], *, pages: bool = False
) -> None:
    """Check that every step was logged exactly once at the organisation that took it.

    With ``pages``, the recipient's message client may have read the message a second time.
    """
    for party, expected, steps in (
        (exchange.sender, _AT_SENDER, sent),
        (exchange.recipient, _AT_RECIPIENT, received),
    ):
        logged = [step.what for step in steps]
        for event in expected:
            most = 2 if pages and event is MTEvent.MT_MESSAGE_READ else 1
            if not 1 <= logged.count(event) <= most:
                raise DemoFailed(
                    f"{event} is recorded {logged.count(event)} times in the log of "
                    f"{party.organisation.value}"
                )


async def prove_rest(parties: Sequence[Party]) -> None:
    """Check that the access points hold no envelopes any more, and that every log's chain is intact."""
    for party in parties:
        await _access_point_is_empty(party)
        for role in Role:
            if party.operator.gate.registry.serves(party.organisation, role):
                await _chain_holds(party, role)


async def _access_point_is_empty(party: Party) -> None:
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        async with party.operator.gate.open(
            workers.DEMONSTRATION, party.organisation, Role.ACCESS_POINT, Purpose.TRACE
        ) as vault:
            if not await vault.inbox(1) and await vault.next_due() is None:
                return
        if asyncio.get_running_loop().time() > deadline:
            raise DemoFailed(f"the access point still holds an envelope of {party.organisation.value}")
        await asyncio.sleep(0.05)


async def _chain_holds(party: Party, role: Role) -> None:
    known: LogVerification | None = None
    while True:
        async with party.operator.gate.open(
            workers.DEMONSTRATION, party.organisation, role, Purpose.TRACE
        ) as vault:
            known = known or LogVerification(vault.log_origin)
            entries = await vault.log(known.head.sequence, _PAGE)
        verdict = known.take(entries)
        if not verdict.intact:
            raise DemoFailed(f"the log of {party.organisation.value} is broken: {verdict.reason}")
        if len(entries) < _PAGE:
            return
