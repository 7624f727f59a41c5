"""Sending by a message client: from a checked document to a stored message (api-mt-mk 4.1)."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from dataclasses import replace
from typing import Any

from samdrift.contracts.clock import Clock
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageservice.access import Access
from samdrift.messageservice.attributes import functional_address
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.interface_d.drafting import draft, own_id, placed
from samdrift.messageservice.interface_d.problems import Refused
from samdrift.messageservice.service import MessageInvalid, MessageService
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.gate import Gate
from samdrift.wire import sdkmessage
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import is_uuid
from samdrift.wire.sdkmessage import SdkMessage, new_timestamp

_ADDRESS = "/data/attributes/senderAttention/subOrganization/extension"
_NOT_THE_CLIENTS = Finding(
    Reason.RULE, Detail.SECURITY, "The client may not send from this functional address", _ADDRESS
)

Members = dict[str, Any]


class Posting:
    """Sending of messages on behalf of message clients."""

    def __init__(self, gate: Gate, service: MessageService, clock: Clock, new_id: Callable[[], str]) -> None:
        self._gate = gate
        self._service = service
        self._clock = clock
        self._new_id = new_id

    async def send(self, access: Access, data: Members) -> str:
        """Store and send a message, and return its id; raise :class:`Refused` if it may not be sent.

        The same message sent again with the same id counts as a repeated call: it is sent only once.

        Clauses: api-mt-mk 4.1 step 4, message sentence 10, sentence 12.
        """
        attributes = data["attributes"]
        given = own_id(data)
        message_id = self._new_id() if given is None else given
        message = draft(
            data,
            message_id=message_id,
            conversation_id=await self._conversation(access, attributes) or message_id,
            created=new_timestamp(self._clock()),
        )
        known_as = message_id if is_uuid(message_id) else None
        if not access.covers(functional_address(message.sender)):
            await self._denied(access, known_as)
            raise Refused([_NOT_THE_CLIENTS], known_as)
        try:
            await self._service.send(access.principal, access.organisation, message)
        except MessageInvalid as invalid:
            if known_as is None or not await self._is_repeated(access, message, attributes):
                raise Refused(map(placed, invalid.findings), known_as) from None
        return message_id

    async def _conversation(self, access: Access, attributes: Members) -> str | None:
        """Return the conversation of the message that this one answers, if the client can see it.

        (content-specification 4.3.2 conversationId)

        Clauses: api-mt-mk message sentence 9; content-specification 4.3.2 sentence 5.
        """
        answered = attributes.get("refToMessageId", "")
        if "conversationId" in attributes or not is_uuid(answered):
            return None
        async with self._gate.open(
            access.principal, access.organisation, Role.MESSAGE_SERVICE, Purpose.COMPOSE
        ) as vault:
            for direction in Direction:
                record = await vault.message(answered, direction)
                if record is not None and access.covers(record.mailbox):
                    return record.conversation_id
        return None

    async def _denied(self, access: Access, message_id: str | None) -> None:
        """Log that the client tried to send from an address that is not its own.

        Clauses: api-mt-mk message sentence 11, sentence 13.
        """
        async with self._gate.open(
            access.principal, access.organisation, Role.MESSAGE_SERVICE, Purpose.COMPOSE
        ) as vault:
            ids = {"message": message_id} if message_id else {}
            vault.record(MTEvent.MT_CLIENT_DENIED, **ids, reason="sends from an address that is not its own")

    async def _is_repeated(self, access: Access, message: SdkMessage, given: Members) -> bool:
        """Return whether this message was sent before under the same id, apart from generated values.

        Conditions that may have changed since, such as the address book, are not considered.
        """
        async with self._gate.open(
            access.principal, access.organisation, Role.MESSAGE_SERVICE, Purpose.COMPOSE
        ) as vault:
            record = await vault.message(message.message_id, Direction.OUT)
            if record is None:
                return False
            try:
                body = await vault.body(record.id, Direction.OUT)
            except UnknownRecord:
                return False
        if "creationDateTime" not in given:
            message = replace(message, created=new_timestamp(record.dated_at))
        if "conversationId" not in given:
            message = replace(message, conversation_id=record.conversation_id)
        prepared = sdkmessage.prepare(message)
        return not prepared.findings and await _equal(body, prepared.write())


async def _equal(pieces: AsyncIterable[bytes], data: bytes) -> bool:
    """Return whether the pieces make up ``data``, without joining them."""
    rest = memoryview(data)
    async for piece in pieces:
        if rest[: len(piece)] != piece:
            return False
        rest = rest[len(piece) :]
    return not rest
