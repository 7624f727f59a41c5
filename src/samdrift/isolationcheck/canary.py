"""A canary organisation, with marked records in its vaults for the other canary to try to reach.

Planted records are claimed for an hour, so that no worker processes them, and are removed when the check
ends. If a check was killed, the next one removes its records; a message that is not removed is sent by the
canary to itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from samdrift.config.model import OrganisationConfig
from samdrift.contracts import workers
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import TransferReason
from samdrift.messageservice.attributes import attributes
from samdrift.messageservice.outgoing.compose import Address, Draft, compose
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.crossing import StoredBody
from samdrift.vault.gate import Gate
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.recordkeeping import RecordKeepingVault
from samdrift.vault.records import IncomingEnvelope, MessageRecord, OutgoingEnvelope
from samdrift.wire import sdkmessage
from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED, ParticipantIdentifier

_DOMAIN = "isolation-check.invalid"
_LABEL = "Isolation check"
_LEASE = timedelta(hours=1)
_MOST = 1000
_LARGE = 200 * 1024
"""Size of a body that is stored in the object store."""


@dataclass(frozen=True, slots=True)
class Planted:
    """Every value by which an organisation's records could be named; they may also be invented."""

    organisation: ParticipantIdentifier
    address: str
    marker: str
    """Text that occurs only in the planted content."""
    message_id: str
    envelope_id: str
    transfer_id: str
    item_id: str
    created_at: datetime
    client: str = ""
    """Id of one of the organisation's message clients."""
    body: StoredBody | None = None

    @property
    def traces(self) -> tuple[str, ...]:
        """Return the values that an answer must not contain unless the request did."""
        ids = (self.message_id, self.envelope_id, self.transfer_id, self.item_id)
        return (self.marker, *ids)


def nonexistent(now: datetime) -> Planted:
    """Return identifiers that exist nowhere.

    Answers about another organisation's records must be identical to answers about these.
    """
    name = secrets.token_hex(8)
    organisation = ParticipantIdentifier.parse(f"0203:{name}.invalid")
    message_id, envelope_id, transfer_id, item_id = (str(uuid4()) for _ in range(4))
    marker = secrets.token_hex(16)
    return Planted(
        organisation,
        f"sdk.{name}",
        marker,
        message_id,
        envelope_id,
        transfer_id,
        item_id,
        now,
        name,
    )


async def plant(gate: Gate, canary: OrganisationConfig, now: datetime) -> Planted:
    """Store a marked message and a marked envelope in the canary's vaults."""
    nothing = nonexistent(now)
    organisation, marker = canary.identifier, f"isolation-{secrets.token_hex(16)}"
    address = next(iter(canary.functional_addresses), f"sdk.isolation-check.{organisation.value}")
    body, transfer_id = None, nothing.transfer_id
    if gate.registry.serves(organisation, Role.ACCESS_POINT):
        async with gate.open(
            workers.ISOLATION_CHECK, organisation, Role.ACCESS_POINT, Purpose.MAINTAIN
        ) as transfers:
            transfer_id, body = await _envelope(transfers, organisation, nothing.envelope_id, marker, now)
    if gate.registry.serves(organisation, Role.MESSAGE_SERVICE):
        async with gate.open(
            workers.ISOLATION_CHECK, organisation, Role.MESSAGE_SERVICE, Purpose.MAINTAIN
        ) as messages:
            await _message(messages, canary, address, nothing.message_id, marker, now)
    for opening in _record_keeping(gate, organisation):
        async with opening as vault:
            vault.keep_record(_record(nothing.message_id), now=now)
    return Planted(
        organisation,
        address,
        marker,
        nothing.message_id,
        nothing.envelope_id,
        transfer_id,
        nothing.item_id,
        now,
        next((one.id for one in canary.message_clients), ""),
        body,
    )


async def remove(gate: Gate, organisation: ParticipantIdentifier, now: datetime) -> None:
    """Remove everything that this check or an earlier one has planted."""
    if gate.registry.serves(organisation, Role.ACCESS_POINT):
        async with gate.open(
            workers.ISOLATION_CHECK, organisation, Role.ACCESS_POINT, Purpose.MAINTAIN
        ) as transfers:
            for status in await transfers.waiting(_MOST):
                if status.as4_message_id.endswith(f"@{_DOMAIN}"):
                    reason = TransferReason.GIVEN_UP
                    await transfers.failed(status.id, now=now, reason=reason, detail=_LABEL)
            for item in await transfers.inbox(_MOST):
                if item.as4_message_id.endswith(f"@{_DOMAIN}"):
                    await transfers.acknowledge(item.id, now=now)
    if gate.registry.serves(organisation, Role.MESSAGE_SERVICE):
        async with gate.open(
            workers.ISOLATION_CHECK, organisation, Role.MESSAGE_SERVICE, Purpose.MAINTAIN
        ) as messages:
            for record in await messages.messages(direction=Direction.OUT, limit=_MOST):
                if record.label.startswith(_LABEL) and record.recipient == record.sender:
                    await messages.set_status(
                        record.id,
                        MessageStatus.MESSAGE_EXCHANGE_ERROR,
                        (),
                        now=now,
                        deadline=None,
                        direction=Direction.OUT,
                    )
                    await messages.delete(record.id, Direction.OUT)
    for opening in _record_keeping(gate, organisation):
        async with opening as vault:
            for record_id in await vault.records(_MOST, _record("")):
                if record_id.startswith(_record("")):
                    await vault.release_record(record_id)


async def deliver(gate: Gate, planted: Planted, now: datetime) -> str:
    """Put a marked envelope into the canary's inbox; return the item's id.

    The canary's own message service removes it when it finds that it is not a real envelope.
    """
    as4_message_id = f"{uuid4()}@{_DOMAIN}"
    item = IncomingEnvelope(
        as4_message_id,
        str(uuid4()),
        str(uuid4()),
        planted.organisation.value,
        planted.organisation.value,
        SDK_MESSAGE_EXTENDED.value,
        "isolation-check",
        "00" * 32,
    )
    async with gate.open(
        workers.ISOLATION_CHECK, planted.organisation, Role.ACCESS_POINT, Purpose.MAINTAIN
    ) as vault:
        writer = vault.new_body()
        await writer.write(_filled(planted.marker))
        await vault.accept(item, await writer.finish(), b"", now=now)
        waiting = await vault.inbox(_MOST)
    return next(one.id for one in waiting if one.as4_message_id == as4_message_id)


async def waits(gate: Gate, planted: Planted, item_id: str) -> bool:
    """Return whether an item is still waiting in the canary's inbox."""
    async with gate.open(
        workers.ISOLATION_CHECK, planted.organisation, Role.ACCESS_POINT, Purpose.MAINTAIN
    ) as vault:
        return await vault.incoming_body(item_id) is not None


async def state(gate: Gate, planted: Planted) -> Sequence[object]:
    """Return the planted records as they are now, to check that they are unchanged."""
    found: list[object] = []
    organisation = planted.organisation
    if gate.registry.serves(organisation, Role.ACCESS_POINT):
        async with gate.open(
            workers.ISOLATION_CHECK, organisation, Role.ACCESS_POINT, Purpose.MAINTAIN
        ) as transfers:
            found.append(await transfers.status(planted.transfer_id))
    if gate.registry.serves(organisation, Role.MESSAGE_SERVICE):
        async with gate.open(
            workers.ISOLATION_CHECK, organisation, Role.MESSAGE_SERVICE, Purpose.MAINTAIN
        ) as messages:
            found.append(await messages.message(planted.message_id, Direction.OUT))
    for opening in _record_keeping(gate, organisation):
        async with opening as vault:
            found.append(await vault.records(_MOST, _record("")))
    return found


async def _envelope(
    vault: AccessPointVault, organisation: ParticipantIdentifier, envelope_id: str, marker: str, now: datetime
) -> tuple[str, StoredBody]:
    writer = vault.new_body(digested=True)
    await writer.write(_filled(marker))
    body = await writer.finish()
    transfer, _ = await vault.submit(
        OutgoingEnvelope(
            envelope_id, envelope_id, organisation, organisation, SDK_MESSAGE_EXTENDED, NO_PROCESS
        ),
        body,
        as4_message_id=f"{uuid4()}@{_DOMAIN}",
        now=now,
        lease=_LEASE,
    )
    return transfer.id, StoredBody(body.id, body.size)


async def _message(
    vault: MessageServiceVault,
    canary: OrganisationConfig,
    address: str,
    message_id: str,
    marker: str,
    now: datetime,
) -> None:
    label = f"{_LABEL} {marker}"
    own = Address(canary.identifier, canary.name, address, "")
    message = compose(Draft(label, marker), own, own, message_id=message_id, at=now)
    payload = sdkmessage.build(message)
    writer = vault.new_body()
    await writer.write(payload)
    record = MessageRecord(
        id=message_id,
        direction=Direction.OUT,
        status=MessageStatus.SCHEDULED,
        conversation_id=message_id,
        ref_to_message_id=None,
        sender=canary.identifier,
        recipient=canary.identifier,
        sender_address=address,
        recipient_address=address,
        document=SDK_MESSAGE_EXTENDED.value,
        created_at=now,
        updated_at=now,
        dated_at=sdkmessage.instant(message.created),
        label=label,
        confidentiality=True,
        size=len(payload),
        attributes=attributes(message),
    )
    await vault.create_outgoing(record, await writer.finish(), now=now, lease=_LEASE)


def _record_keeping(
    gate: Gate, organisation: ParticipantIdentifier
) -> Iterator[AbstractAsyncContextManager[RecordKeepingVault]]:
    """Open each vault of the canary that keeps public records."""
    if gate.registry.serves(organisation, Role.MESSAGE_CLIENT):
        yield gate.open(workers.ISOLATION_CHECK, organisation, Role.MESSAGE_CLIENT, Purpose.MAINTAIN)
    if gate.registry.serves(organisation, Role.GOVERNANCE):
        yield gate.open(workers.ISOLATION_CHECK, organisation, Role.GOVERNANCE, Purpose.MAINTAIN)


def _record(message_id: str) -> str:
    """Return the id of a planted public record."""
    return f"{_DOMAIN}-{message_id}"


def _filled(marker: str) -> bytes:
    return marker.encode() * (_LARGE // len(marker) + 1)
