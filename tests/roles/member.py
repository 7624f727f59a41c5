"""An organisation at an operator under test, as seen by its clients, its systems and an auditor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, TypeVar, overload

from cryptography import x509

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.config.model import Config, OrganisationConfig
from samdrift.config.roles import AccessPointConfig
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.contracts.transfer import InboxItem, TransferReason, TransferState
from samdrift.demo.cast import DemoOrganisation
from samdrift.installation.operator import Operator
from samdrift.messageservice.outgoing.compose import Address, Draft
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.opening import Vault
from samdrift.vault.records import MessageRecord, StatusEvent
from samdrift.wire import sdkmessage
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED, DocumentIdentifier, ParticipantIdentifier
from samdrift.wire.sdkmessage import SdkMessage
from tests.roles import web
from tests.roles.interfacec import InterfaceC
from tests.roles.letters import DRAFT, Envelope, enclose, letter

T = TypeVar("T")
AP: Final = Role.ACCESS_POINT
MT: Final = Role.MESSAGE_SERVICE
PATIENCE = 120.0
_AUDITOR = Principal(PrincipalKind.WORKER, "test")


async def until(look: Callable[[], Awaitable[T | None]], what: str, within: float = PATIENCE) -> T:
    """Poll ``look`` until it returns something other than ``None``, and return that."""
    deadline = asyncio.get_running_loop().time() + within
    while asyncio.get_running_loop().time() < deadline:
        found = await look()
        if found is not None:
            return found
        await asyncio.sleep(0.03)
    raise AssertionError(f"not within {within:.0f} s: {what}")


@dataclass(frozen=True)
class Member:
    """One organisation and its access to the operator."""

    operator: Operator
    demo: DemoOrganisation
    as4_address: str
    certificate: x509.Certificate
    """Certificate of the access point."""
    encryption: x509.Certificate

    @property
    def organisation(self) -> ParticipantIdentifier:
        return self.demo.identifier

    @property
    def address(self) -> Address:
        return self.demo.address

    @property
    def principal(self) -> Principal:
        return Principal(PrincipalKind.SYSTEM, "test", self.organisation.value)

    @property
    def config(self) -> Config:
        return self.operator.config

    @property
    def access_point(self) -> AccessPointConfig:
        assert self.config.access_point is not None
        return self.config.access_point

    @property
    def own_config(self) -> OrganisationConfig:
        return next(one for one in self.config.organisations if one.identifier == self.organisation)

    @overload
    def open(self, role: Literal[Role.ACCESS_POINT]) -> AbstractAsyncContextManager[AccessPointVault]: ...

    @overload
    def open(
        self, role: Literal[Role.MESSAGE_SERVICE]
    ) -> AbstractAsyncContextManager[MessageServiceVault]: ...

    def open(self, role: Role) -> AbstractAsyncContextManager[Vault]:
        return self.operator.gate.open(_AUDITOR, self.organisation, role, Purpose.TRACE)

    # --- as a client of the message service -------------------------------------------------------------

    async def send(
        self,
        recipient: Address,
        draft: Draft = DRAFT,
        document: DocumentIdentifier = SDK_MESSAGE_EXTENDED,
        **changes: object,
    ) -> str:
        """Send a message; return its id."""
        message = letter(self.address, recipient, draft, **changes)
        service = self.operator.messages
        return (await service.send(self.principal, self.organisation, message, document)).id

    async def record(self, message_id: str, direction: Direction) -> MessageRecord | None:
        async with self.open(MT) as vault:
            return await vault.message(message_id, direction)

    async def events(self, message_id: str, direction: Direction = Direction.OUT) -> tuple[StatusEvent, ...]:
        """Return the status events of a message, the oldest first."""
        async with self.open(MT) as vault:
            return (await vault.status_events(message_id, direction))[::-1]

    async def ends(
        self, message_id: str, direction: Direction = Direction.OUT, within: float = PATIENCE
    ) -> MessageStatus:
        """Wait until a message has a final status, and return it."""

        async def look() -> MessageStatus | None:
            record = await self.record(message_id, direction)
            return record.status if record is not None and record.status.final else None

        return await until(look, "the message has a final status", within)

    async def reaches(
        self, message_id: str, status: MessageStatus, direction: Direction = Direction.OUT
    ) -> None:
        async def look() -> bool | None:
            record = await self.record(message_id, direction)
            return True if record is not None and record.status is status else None

        await until(look, f"the message is {status.value}")

    async def rejections(self, message_id: str) -> list[tuple[str, str]]:
        """Return the codes and places in the receipt that rejected one of our messages."""
        assert await self.ends(message_id) is MessageStatus.MESSAGE_EXCHANGE_ERROR
        events = await self.events(message_id)
        return [(event.title, event.path) for event in events if event.status is MessageStatus.REJECTED]

    async def failure(self, message_id: str) -> str:
        """Return the reason why one of our messages failed, as reported to its sender."""
        assert await self.ends(message_id) is MessageStatus.MESSAGE_EXCHANGE_ERROR
        last = (await self.events(message_id))[-1]
        return f"{last.title} | {last.detail}"

    async def reads(self, message_id: str) -> SdkMessage:
        """Return a received message with its content."""
        service = self.operator.messages
        message = await service.read(self.principal, self.organisation, message_id, Direction.IN)
        assert message is not None
        return message

    async def holds_content(self, message_id: str) -> bool:
        """Return whether more than metadata is kept of an incoming message."""
        record = await self.record(message_id, Direction.IN)
        return record is not None and (record.size > 0 or record.label != "" or record.sender_address != "")

    # --- as a message service that does what it should not -----------------------------------------------

    def outgoing(
        self,
        message: SdkMessage,
        recipient: ParticipantIdentifier,
        status: MessageStatus,
        size: int,
        now: datetime,
        document: DocumentIdentifier = SDK_MESSAGE_EXTENDED,
    ) -> MessageRecord:
        """Return the message service's record of an outgoing message accepted at ``now``."""
        return MessageRecord(
            id=message.message_id,
            direction=Direction.OUT,
            status=status,
            conversation_id=message.conversation_id,
            ref_to_message_id=message.ref_to_message_id,
            sender=self.organisation,
            recipient=recipient,
            sender_address=self.address.functional_address,
            recipient_address="",
            document=document.value,
            created_at=now,
            updated_at=now,
            dated_at=now,
            label=message.label,
            confidentiality=message.confidentiality,
            size=size,
            attributes="",
        )

    async def plant(self, message: SdkMessage, document: DocumentIdentifier = SDK_MESSAGE_EXTENDED) -> None:
        """Record a message as sent in the message service, for a test that sends it itself."""
        now = datetime.now(UTC)
        payload = sdkmessage.build(message)
        recipient = ParticipantIdentifier(message.recipient.id.extension)
        record = self.outgoing(message, recipient, MessageStatus.SUBMITTED, len(payload), now, document)
        async with self.open(MT) as vault:
            writer = vault.new_body()
            await writer.write(payload)
            lease = timedelta(hours=1)
            assert await vault.create_outgoing(record, await writer.finish(), now=now, lease=lease)

    async def encloses(self, recipient: Address, certificate: x509.Certificate) -> Envelope:
        """Return a sealed message that the message service knows, for the test to submit."""
        message = letter(self.address, recipient)
        await self.plant(message)
        return enclose(message, await self.signing(), certificate)

    async def signing(self) -> SigningKey:
        """Return the organisation's own signing key."""
        async with self.open(MT) as vault:
            return vault.keys().signing

    async def client_tls(self) -> tuple[Path, str]:
        """Return the file and password of the client certificate for interface C."""
        async with self.open(MT) as vault:
            return vault.tls_client()()

    async def interface_c(self) -> InterfaceC:
        context = web.tls(self.config.inner_issuers, await self.client_tls())
        return InterfaceC(f"{self.own_config.access_point}/c/v1", context)

    async def submit(self, envelope: Envelope) -> None:
        """Submit an envelope to the access point."""
        answer = await (await self.interface_c()).submit(envelope.id, envelope.data)
        assert answer.status == 201, answer.body

    # --- as an auditor ----------------------------------------------------------------------------------

    async def log(self, role: Role, identifier: str) -> list[LogEntry]:
        """Return the log entries of one role about a message, envelope, conversation or AS4 message."""
        async with self.operator.gate.open(_AUDITOR, self.organisation, role, Purpose.TRACE) as vault:
            return list(await vault.find_log(identifier))

    async def logged(self, role: Role, identifier: str, event: AuditEvent) -> LogEntry:
        """Wait for an entry with that event, and return the first one."""

        async def look() -> LogEntry | None:
            entries = await self.log(role, identifier)
            return next((entry for entry in entries if entry.event == event), None)

        return await until(look, f"{event.value} in the log")

    async def happened(self, role: Role, envelope_id: str) -> list[str]:
        """Return the events of a message or envelope, in the order of the log."""
        return [
            entry.event
            for entry in await self.log(role, envelope_id)
            if envelope_id in (entry.ids.get("message"), entry.ids.get("envelope"))
        ]

    async def transfer_events(self, envelope_id: str) -> list[tuple[TransferState, TransferReason]]:
        """Return the events of a transfer that interface C reports."""
        async with self.open(AP) as vault:
            events = await vault.events(0, 10_000)
        return [(event.state, event.reason) for event in events if event.envelope_id == envelope_id]

    async def waiting(self) -> tuple[InboxItem, ...]:
        """Return the envelopes that wait at the access point."""
        async with self.open(AP) as vault:
            return await vault.inbox(100)
