"""A client's message may refer only to messages that the client may know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast
from uuid import uuid4

import pytest

from samdrift.contracts.messageclients import Scope, patterns
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Role
from samdrift.messageservice.access import Access
from samdrift.messageservice.interface_d.posting import Posting
from samdrift.messageservice.outgoing.compose import Address
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.sdkmessage import SdkMessage
from tests.roles.messageclient import document
from tests.vaults import NOW, Installation, body, message

ROLES = (Role.MESSAGE_SERVICE,)


class Service:
    """A service that records what is sent."""

    def __init__(self) -> None:
        self.sent: list[SdkMessage] = []

    async def send(self, principal: object, organisation: object, message: SdkMessage) -> None:
        self.sent.append(message)


@pytest.mark.parametrize(("mailbox", "goes_on"), [("sdk.skola", True), ("sdk.omsorg", False)])
async def test_an_answer_goes_on_in_the_conversation_of_a_message_in_the_clients_mailbox(
    installation: Installation, organisation: ParticipantIdentifier, mailbox: str, goes_on: bool
) -> None:
    """A reference into another client's mailbox counts as none."""
    came_in = replace(message(Direction.IN, recipient_address=mailbox), recipient=organisation)
    async with installation.open(organisation, Role.MESSAGE_SERVICE) as vault:
        stored = await body(vault)
        await vault.receive(came_in, stored, None, None, item_id=came_in.id, now=NOW, lease=None)
    access = Access(organisation, "skola", frozenset(Scope), patterns(["sdk.skola"]))
    service, message_id = Service(), str(uuid4())
    posting = Posting(installation.gate, cast(Any, service), lambda: NOW, lambda: message_id)
    own = Address(organisation, "En kommun", "sdk.skola", "Skolan")
    await posting.send(access, document(own, own, refToMessageId=came_in.id)["data"])
    (sent,) = service.sent
    assert sent.conversation_id == (came_in.conversation_id if goes_on else message_id)
