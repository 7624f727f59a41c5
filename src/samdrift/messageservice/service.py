"""Operations that a message client may request from the message service on behalf of its organisation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from samdrift.contracts.addressbook import AddressBook, Listing
from samdrift.contracts.clock import Clock
from samdrift.contracts.cover import NotCovered
from samdrift.contracts.malware import ScannerUnavailable
from samdrift.contracts.messages import Direction, MessageStatus, WorkKind
from samdrift.contracts.principals import Principal, Purpose, Role
from samdrift.contracts.transfer import TransferReason
from samdrift.messageservice import findings as rules
from samdrift.messageservice.attributes import attributes, functional_address
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.findings import of_files
from samdrift.messageservice.lifecycle import progress
from samdrift.messageservice.lifecycle.ledger import commitments
from samdrift.messageservice.offloading import digest, offload
from samdrift.messageservice.outgoing.sender import Sender
from samdrift.messageservice.screening import Screening
from samdrift.messageservice.settings import MessageServiceSettings, OrganisationProfile
from samdrift.vault.gate import Gate
from samdrift.vault.records import MessageRecord, StatusEvent
from samdrift.wire import sdkmessage
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED, DocumentIdentifier, ParticipantIdentifier
from samdrift.wire.sdkmessage import Prepared, SdkMessage


class MessageInvalid(Exception):
    """A message that may not be sent in its current form; the findings describe the required changes."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(f"{finding.text} ({finding.path})" for finding in findings))
        self.findings = findings


class MessageService:
    """Operations for sending, listing and reading messages."""

    def __init__(
        self,
        settings: MessageServiceSettings,
        gate: Gate,
        sender: Sender,
        screening: Screening,
        address_book: AddressBook,
        profiles: Mapping[ParticipantIdentifier, OrganisationProfile],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._sender = sender
        self._screening = screening
        self.address_book = address_book
        """Address book that clients can search; open to all, as the service itself is."""
        self._profiles = profiles
        self._clock = clock

    async def send(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        message: SdkMessage,
        document: DocumentIdentifier = SDK_MESSAGE_EXTENDED,
    ) -> MessageRecord:
        """Validate and store a message, and send it in the background.

        It is stored durably when this returns. Raises :class:`MessageInvalid`: outgoing messages obey the
        same rules as incoming ones (content-specification 5).

        Clauses: certpub-rest-binding 3.2 step 1; transport-model-base 3.3.1 step 2; transport-model-extended
        3.3.1 step 2, 3.3.2 step 2.
        """
        await self._require_cover(organisation)
        size = sum(len(file.content) for one in message.documents for file in one.files)
        prepared, found = await offload(size, lambda: self._prepared(organisation, message, document))
        if found:
            raise MessageInvalid(found)
        checked = await self._require_listed(message)
        scanned = await self._scan(principal, organisation, message)
        payload = prepared.write()
        payload_digest = await digest(payload)
        now = self._clock()
        claim = self._sender.room(organisation) > 0
        record = _record(message, document, now, len(payload))
        async with self._gate.open(principal, organisation, Role.MESSAGE_SERVICE, Purpose.COMPOSE) as vault:
            writer = vault.new_body()
            await writer.write(payload)
            lease = self._settings.lease if claim else None
            body = await writer.finish()
            vault.expect()
            if not checked:
                vault.add_event(record.id, progress.unchecked(now), direction=Direction.OUT)
            await vault.schedule(WorkKind.DEADLINE, record.id, now + self._settings.sent_within)
            vault.record(
                MTEvent.MT_MESSAGE_SCHEDULED,
                message=record.id,
                conversation=record.conversation_id,
                **commitments(vault, message=payload_digest),
            )
            if not await vault.create_outgoing(record, body, now=now, lease=lease):
                raise MessageInvalid((_KNOWN,))
        if claim:
            self._sender.start_message(organisation, record, payload, scanned=scanned)
        else:
            self._sender.dispatcher.wake(organisation)
        return record

    async def _require_cover(self, organisation: ParticipantIdentifier) -> None:
        """Refuse a new message while no agreement covers sending it."""
        try:
            (await self._gate.cover(organisation, Role.MESSAGE_SERVICE)).require_sending()
        except NotCovered as refused:
            raise MessageInvalid((not_covered(refused),)) from None

    def _prepared(
        self, organisation: ParticipantIdentifier, message: SdkMessage, document: DocumentIdentifier
    ) -> tuple[Prepared, tuple[Finding, ...]]:
        """Return the message ready to be written, and the findings that prevent it from being sent.

        Clauses: architecture-sad 5.2.1 sentence 1; content-specification 5 sentence 3.
        """
        prepared = sdkmessage.prepare(message)
        found = prepared.findings or rules.labels_in_utf16(message)
        return prepared, found or self._sender_findings(organisation, message, document)

    async def _require_listed(self, message: SdkMessage) -> bool:
        """Return false when the recipient's functional address cannot be checked against the address book.

        (architecture-sad 5.4, api-mt-mk status 1.) While the address book is unreachable, the message is
        sent and its sender informed; the recipient's message service checks the address too.

        Clauses: architecture-sad 5.4 step 1b.
        """
        recipient = ParticipantIdentifier.parse(message.recipient.id.extension)
        address = functional_address(message.recipient)
        listing = await self.address_book.listing(recipient, address)
        if listing is Listing.NOT_LISTED:
            raise MessageInvalid((_NOT_LISTED,))
        return listing is not Listing.NOT_KNOWN

    async def _scan(
        self, principal: Principal, organisation: ParticipantIdentifier, message: SdkMessage
    ) -> bool:
        """Return whether the message was scanned and found clean; false when it cannot be scanned now."""
        try:
            malware = await self._screening.malware(organisation, message)
        except ScannerUnavailable:
            return False
        if malware is None:
            return True
        async with self._gate.open(principal, organisation, Role.MESSAGE_SERVICE, Purpose.COMPOSE) as vault:
            vault.record(MTEvent.MT_MALWARE_FOUND, message=message.message_id, signature=malware.signature)
        raise MessageInvalid((malware.finding,))

    def _sender_findings(
        self, organisation: ParticipantIdentifier, message: SdkMessage, document: DocumentIdentifier
    ) -> tuple[Finding, ...]:
        """Return findings if an organisation sends as another, or not from an address of its own.

        The sender is checked (content-specification 4.3.2.2). The transport model must be one under
        which it can receive the receipt (transport-model-extended 3.2 c), and files must be of a type that it
        has chosen (content-specification 4.3.3.3).
        """
        profile = self._profiles[organisation]
        if not document.requires_protection and not profile.base_model:
            return (_NOT_MODEL,)
        if message.sender.id.extension.lower() != organisation.value:
            return (_NOT_SENDER,)
        if functional_address(message.sender) not in profile.functional_addresses:
            return (_NOT_ADDRESS,)
        return tuple(of_files(message, profile))

    async def messages(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        direction: Direction | None = None,
        *,
        limit: int = 100,
    ) -> tuple[MessageRecord, ...]:
        """Return the organisation's messages, the newest first, without content."""
        async with self._gate.open(principal, organisation, Role.MESSAGE_SERVICE, Purpose.READ) as vault:
            return await vault.messages(direction=direction, limit=limit)

    async def read(
        self, principal: Principal, organisation: ParticipantIdentifier, message_id: str, direction: Direction
    ) -> SdkMessage | None:
        """Return one message with its content, or ``None``; reading it is logged."""
        async with self._gate.open(principal, organisation, Role.MESSAGE_SERVICE, Purpose.READ) as vault:
            if await vault.message(message_id, direction) is None:
                return None
            vault.record(MTEvent.MT_MESSAGE_READ, message=message_id)
            body = await vault.body(message_id, direction)
        return sdkmessage.parse(await body.read_all())

    async def status(
        self, principal: Principal, organisation: ParticipantIdentifier, message_id: str, direction: Direction
    ) -> tuple[MessageStatus, tuple[StatusEvent, ...]] | None:
        """Return the status of one message, and its events with the newest first."""
        async with self._gate.open(principal, organisation, Role.MESSAGE_SERVICE, Purpose.READ) as vault:
            record = await vault.message(message_id, direction)
            if record is None:
                return None
            return record.status, await vault.status_events(message_id, direction)


def not_covered(refused: NotCovered) -> Finding:
    """Return the finding for a message client while no agreement covers new messages."""
    text = f"{refused} ({TransferReason.NOT_COVERED.value}). {refused.detail}"
    return Finding(Reason.RULE, Detail.NOT_SUPPORTED, text)


_HEADER = "/messagePayload/message/messageHeader"
_KNOWN = Finding(Reason.RULE, Detail.DUPLICATE, "The message id has been used before", f"{_HEADER}/messageId")
_NOT_MODEL = Finding(
    Reason.RULE, Detail.NOT_SUPPORTED, "The organisation does not use the base transport model"
)
_NOT_SENDER = Finding(
    Reason.RULE, Detail.SECURITY, "The sender is another organisation", f"{_HEADER}/sender/senderID"
)
_NOT_LISTED = Finding(
    Reason.RULE,
    Detail.NOT_FOUND,
    "The recipient's functional address is not in the address book",
    f"{_HEADER}/recipient/attention/subOrganization/organizationId",
)
_NOT_ADDRESS = Finding(
    Reason.RULE,
    Detail.NOT_FOUND,
    "The sender's functional address does not belong to the organisation",
    f"{_HEADER}/sender/attention/subOrganization/organizationId",
)


def _record(message: SdkMessage, document: DocumentIdentifier, now: datetime, size: int) -> MessageRecord:
    return MessageRecord(
        id=message.message_id,
        direction=Direction.OUT,
        status=MessageStatus.SCHEDULED,
        conversation_id=message.conversation_id,
        ref_to_message_id=message.ref_to_message_id,
        sender=ParticipantIdentifier.parse(message.sender.id.extension),
        recipient=ParticipantIdentifier.parse(message.recipient.id.extension),
        sender_address=functional_address(message.sender),
        recipient_address=functional_address(message.recipient),
        document=document.value,
        created_at=now,
        updated_at=now,
        dated_at=sdkmessage.instant(message.created),
        label=message.label,
        confidentiality=message.confidentiality,
        size=size,
        attributes=attributes(message),
    )
