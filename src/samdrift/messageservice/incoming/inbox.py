"""Incoming messages: each is judged, stored, answered, and only then acknowledged to the access point.

A message that is not yet stored durably stays at the access point. Waiting messages are found by
:mod:`samdrift.messageservice.incoming.polling`.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256

from samdrift.audit.operations import marks_lost, sender_limited
from samdrift.contracts.addressbook import AddressBook
from samdrift.contracts.clock import Clock
from samdrift.contracts.discovery import DiscoveryError, DiscoveryUnavailable
from samdrift.contracts.errors import Temporary
from samdrift.contracts.messages import Direction, MessageStatus, ReceiptState, WorkKind
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import AccessPoint, InboxItem, TransferUnavailable
from samdrift.messageservice.attributes import attributes, functional_address
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.findings import DUPLICATE, MOST_FINDINGS, REFERS_TO_FAILED
from samdrift.messageservice.incoming.judging import (
    Judgement,
    Judging,
    NewMessage,
    NewReceipt,
    Unanswerable,
)
from samdrift.messageservice.lifecycle import progress
from samdrift.messageservice.lifecycle.ledger import advance, commitments, held
from samdrift.messageservice.offloading import digest
from samdrift.messageservice.outgoing.sender import Sender
from samdrift.messageservice.settings import WORKER, MessageServiceSettings, OrganisationProfile
from samdrift.vault.bodies import Body
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import MessageRecord, ReceiptRecord, Received
from samdrift.vault.sessionkeys import MarksMissing
from samdrift.wire import receipt as receipts
from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.crypto.certificates import fingerprint
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier, receipt_document_for
from samdrift.wire.receipt import MessageReceipt
from samdrift.wire.sdkmessage import instant
from samdrift.wire.xml import LARGE

Answer = tuple[ReceiptRecord, bytes]
"""Record and document of a receipt that is to be sent."""
Storing = Callable[[], Awaitable[None]]
"""A function that stores a judged item without reading anything from the vault."""
_FAILED = (MessageStatus.MESSAGE_EXCHANGE_ERROR, MessageStatus.REJECTED)


@dataclass(frozen=True, slots=True)
class _Ready:
    """The parts of an incoming message that are to be stored, and the answer to it."""

    found: tuple[Finding, ...]
    answer: Answer
    record: MessageRecord | None
    body: Body | None


class Inbox:
    """Handler of incoming envelopes for every organisation that the message service serves."""

    def __init__(
        self,
        settings: MessageServiceSettings,
        gate: Gate,
        judging: Judging,
        address_book: AddressBook,
        access_points: Mapping[ParticipantIdentifier, AccessPoint],
        profiles: Mapping[ParticipantIdentifier, OrganisationProfile],
        sender: Sender,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._vaults = gate.worker(WORKER, Role.MESSAGE_SERVICE)
        self._judging = judging
        self._address_book = address_book
        self._access_points = access_points
        self._profiles = profiles
        self._sender = sender
        self._clock = clock
        self._new_id = new_id
        self.meaningless = 0
        """Number of envelopes since the start that were meaningless when decrypted."""

    async def _look_after_marks(self, organisation: ParticipantIdentifier) -> None:
        """Report lost marks of session keys, a sign that the database was replaced while this process ran."""
        async with self._vaults.open(organisation, Purpose.RECEIVE) as vault:
            lost = await vault.look_after_marks(now=self._clock())
        if lost is not None:
            marks_lost()

    async def take(self, organisation: ParticipantIdentifier, item: InboxItem) -> bool:
        """Take over one envelope durably, so that the access point may delete its copy.

        Returns whether it was decrypted, so that its sender is not limited. Raises if the envelope must wait;
        it then stays at the access point.

        Clauses: certpub-rest-binding 3.2 step 1b.
        """
        try:
            return await self._take(organisation, item)
        except MarksMissing:
            await self._look_after_marks(organisation)
            return await self._take(organisation, item)

    async def _take(self, organisation: ParticipantIdentifier, item: InboxItem) -> bool:
        now = self._clock()
        access_point = self._access_points[organisation]
        data = item.envelope if item.envelope is not None else await fetched(access_point, item.id)
        try:
            async with self._vaults.open(organisation, Purpose.RECEIVE) as vault:
                judgement = await self.judge(organisation, data, item, vault, now)
                envelope = await digest(data)
                del data
                answer = await self._store(vault, item, judgement, envelope, now)
        except (VaultUnavailable, DiscoveryUnavailable, TransferUnavailable):
            raise
        except Temporary as failure:
            async with self._vaults.open(organisation, Purpose.RECEIVE) as vault:
                await held(vault, str(failure), **item_ids(item))
            raise
        if answer is not None:
            self._sender.start_receipt(organisation, *answer)
        return judgement.decrypted

    async def judge(
        self,
        organisation: ParticipantIdentifier,
        data: bytes,
        item: InboxItem,
        vault: MessageServiceVault,
        now: datetime,
    ) -> Judgement:
        """Judge an envelope; a failure is raised, so that it is tried again, until its receipt is overdue.

        After that the envelope is unanswerable (invariant 8). Only the kind of an unexpected failure is
        logged (invariant 9).
        """
        try:
            return await self._judging.judge(data, item, self._profiles[organisation], vault, now)
        except Exception as failure:
            if now < item.received_at + self._settings.receipt_within:
                raise
            expected = isinstance(failure, DiscoveryError | Temporary)
            why = str(failure) if expected else type(failure).__name__
            return Unanswerable(item.envelope_id, f"could not be judged in time: {why}")

    async def _store(
        self,
        vault: MessageServiceVault,
        item: InboxItem,
        judgement: Judgement,
        envelope: bytes,
        now: datetime,
    ) -> Answer | None:
        """Store a judged envelope, and return the answer to it if there is one.

        Clauses: content-specification 2.1 step 3.
        """
        if isinstance(judgement, NewMessage):
            return await self._store_message(vault, item, judgement, envelope, now)
        if isinstance(judgement, NewReceipt):
            new, message = await vault.answered_by(item.id, judgement.receipt.message_id, now=now)
            if new:
                await match_receipt(vault, judgement, message, now, envelope)
        elif not await vault.was_processed(item.id):
            await vault.mark_processed(item.id, now=now)
            refuse(vault, item, judgement)
            await self._count(vault, item, judgement, now)
        return None

    async def _count(
        self, vault: MessageServiceVault, item: InboxItem, judgement: NewMessage | Unanswerable, now: datetime
    ) -> None:
        """Count a meaningless payload against its sender, who is known from the valid signature."""
        if not judgement.meaningless:
            return
        self.meaningless += 1
        limit = self._settings.meaningless_limit
        if await vault.count_refusal(item.sender, limit=limit, now=now) == limit.most:
            vault.record(MTEvent.MT_SENDER_LIMITED, sender=item.sender, number=str(limit.most))
            sender_limited()

    async def _store_message(
        self, vault: MessageServiceVault, item: InboxItem, new: NewMessage, envelope: bytes, now: datetime
    ) -> Answer | None:
        """Store a message and the answer to it; reject one with an id that has been used before.

        Clauses: content-specification 5.3 row 6.
        """
        ready = await self._ready(vault, item, new, now)
        found, answer, lease = ready.found, ready.answer, self._settings.lease
        if not new.meaningless:
            vault.expect()
            await self._note(vault, item, new, answer, found, envelope, now)
        outcome = await vault.receive(
            ready.record, ready.body, *answer, item_id=item.id, now=now, lease=lease
        )
        if outcome is Received.DUPLICATE_DELIVERY:
            return None
        if outcome is Received.DUPLICATE_ID:
            found = (DUPLICATE,)
            answer = answer_to(new, found, self._new_id(), item.conversation_id, now)
            await vault.receive(None, None, *answer, item_id=item.id, now=now, lease=lease)
        elif not new.meaningless:
            return answer
        await self._count(vault, item, new, now)
        await self._note(vault, item, new, answer, found, envelope, now)
        return answer

    async def _ready(
        self, vault: MessageServiceVault, item: InboxItem, new: NewMessage, now: datetime
    ) -> _Ready:
        found = new.findings or await _of_history(vault, new)
        answer = answer_to(new, found, self._new_id(), item.conversation_id, now)
        record = message_record(new, item, bool(found), now) if new.authentic else None
        return _Ready(found, answer, record, None if found else await _body(vault, new.payload))

    async def storing(
        self, vault: MessageServiceVault, item: InboxItem, new: NewMessage, envelope: bytes, now: datetime
    ) -> tuple[Answer, Storing]:
        """Return the answer to a message, and a function that stores both.

        The function is meant for :meth:`MessageServiceVault.suppose`.
        """
        ready = await self._ready(vault, item, new, now)

        async def store() -> None:
            await self._note(vault, item, new, ready.answer, ready.found, envelope, now)
            lease = self._settings.lease
            await vault.receive(
                ready.record, ready.body, *ready.answer, item_id=item.id, now=now, lease=lease
            )

        return ready.answer, store

    async def _note(
        self,
        vault: MessageServiceVault,
        item: InboxItem,
        new: NewMessage,
        answer: Answer,
        found: tuple[Finding, ...],
        envelope: bytes,
        now: datetime,
    ) -> None:
        """Log the message and its answer, and schedule a deadline for delivering the answer."""
        await vault.schedule(WorkKind.DEADLINE, answer[0].id, now + self._settings.sent_within)
        message = await digest(new.payload) if new.payload else None
        committed = commitments(vault, message=message, envelope=envelope)
        _log(vault, item, new, answer, found, committed, now)
        if not found and not self._listed(new):
            vault.record(MTEvent.MT_SENDER_NOT_LISTED, message=new.header.id, sender=item.sender)

    def _listed(self, new: NewMessage) -> bool:
        """Return whether the copy of the address book, if any, lists the sender's functional address.

        The architecture requires checking the sender against the address book (architecture-sad 5.3.6), but
        prescribes no receipt for an unlisted one, and a copy may be outdated. The result is only logged.

        Clauses: architecture-sad 5.3.6.2 step 6, 5.4 step 1b.
        """
        copy = self._address_book.copy
        if copy is None or new.message is None:
            return True
        return copy.address(new.header.sender, functional_address(new.message.sender)) is not None


def item_ids(item: InboxItem, envelope_id: str = "") -> dict[str, str]:
    """Return an envelope's ids for the log; another supplier's access point may not know the envelope id."""
    ids = {"envelope": envelope_id or item.envelope_id, "as4": item.as4_message_id}
    return {key: value for key, value in ids.items() if value}


def refuse(vault: MessageServiceVault, item: InboxItem, judgement: Unanswerable) -> None:
    """Log that an envelope gets no receipt, with the reason."""
    ids = item_ids(item, judgement.envelope_id)
    vault.record(MTEvent.MT_MESSAGE_REFUSED, **ids, reason=judgement.reason)


async def fetched(access_point: AccessPoint, item_id: str) -> bytes:
    """Return a whole envelope, without ever holding it in memory twice.

    Reading stops as soon as the size limit is exceeded, because another supplier's access point might send
    without end.
    """
    data = io.BytesIO()
    async with contextlib.aclosing(access_point.fetch(item_id)) as pieces:
        async for piece in pieces:
            data.write(piece)
            if data.tell() > LARGE.max_bytes:
                break
    return data.getvalue()


async def _body(vault: MessageServiceVault, payload: bytes) -> Body:
    writer = vault.new_body()
    await writer.write(payload)
    return await writer.finish()


async def _of_history(vault: MessageServiceVault, new: NewMessage) -> tuple[Finding, ...]:
    """Reject a message that refers to a failed one (content-specification 5.3 row 11).

    A message between other parties counts as unknown to this sender: the answer must not reveal to one
    organisation the fate of another's message (invariant 1).

    Clauses: content-specification 5.3 row 7.
    """
    referred = new.message.ref_to_message_id if new.message else None
    known = await vault.message(referred) if referred else None
    if known is None or new.header.sender not in (known.sender, known.recipient):
        return ()
    return (REFERS_TO_FAILED,) if known.status in _FAILED else ()


def _log(
    vault: MessageServiceVault,
    item: InboxItem,
    new: NewMessage,
    answer: Answer,
    found: tuple[Finding, ...],
    committed: dict[str, str],
    now: datetime,
) -> None:
    message_id = new.header.id
    ids = {
        "message": message_id,
        "as4": item.as4_message_id,
        "conversation": item.conversation_id,
        **signer_facts(vault, new, now),
        **committed,
    }
    if new.malware:
        vault.record(MTEvent.MT_MALWARE_FOUND, **ids, sender=item.sender, signature=new.malware)
    if found:
        codes = sorted({f"{finding.reason} {finding.detail}" for finding in found})
        vault.record(MTEvent.MT_MESSAGE_REFUSED, **ids, sender=item.sender, reason=", ".join(codes))
    else:
        vault.record(MTEvent.MT_MESSAGE_RETRIEVED, **ids, sender=item.sender)
    record, content = answer
    committed = commitments(vault, receipt=sha256(content).digest())
    vault.record(MTEvent.MT_RECEIPT_QUEUED, envelope=record.id, message=message_id, **committed)


def answer_to(
    new: NewMessage, found: tuple[Finding, ...], receipt_id: str, conversation_id: str, now: datetime
) -> tuple[ReceiptRecord, bytes]:
    """Return the receipt for a message: ACCEPTED, or REJECTED with its findings.

    It is sent under the message's transport model (transport-model-extended 3.2 d) and carries the message's
    HandlingServiceID (content-specification 3.2).

    Clauses: accesspoint-test-cases 4.3.1 TF-04; certpub-rest-binding 3.2 step 7; content-specification 2.1
    step 4, 3.2 sentence 10, 5.2 sentence 1, 5.3 row 1; message-receipt 2.2 sentences 1-3;
    transport-model-base 3.3.1 step 14, step 15, 3.3.2 step 14, step 15; transport-model-extended 3.3.1 step
    20, step 21, 3.3.2 step 21.
    """
    header = new.header
    status = ReceiptStatus.REJECTED if found else ReceiptStatus.ACCEPTED
    document = MessageReceipt(
        id=receipt_id,
        issued=now,
        sender=header.recipient,
        receiver=header.sender,
        message_id=header.id,
        status=status,
        findings=found[:MOST_FINDINGS],
    )
    record = ReceiptRecord(
        id=receipt_id,
        message_id=header.id,
        direction=Direction.OUT,
        status=status,
        counterpart=header.sender,
        document=receipt_document_for(header.document).value,
        handling_service_id=header.handling_service_id,
        conversation_id=conversation_id,
        state=ReceiptState.QUEUED,
        created_at=now,
    )
    return record, receipts.build(document)


def message_record(new: NewMessage, item: InboxItem, refused: bool, now: datetime) -> MessageRecord:
    """Return the record of an incoming message; that of a refused one has only the facts of its envelope."""
    header, message = new.header, new.message if not refused else None
    return MessageRecord(
        id=header.id,
        direction=Direction.IN,
        status=MessageStatus.REJECTED if refused else MessageStatus.RETRIEVED,
        conversation_id=message.conversation_id if message else item.conversation_id,
        ref_to_message_id=message.ref_to_message_id if message else None,
        sender=header.sender,
        recipient=header.recipient,
        sender_address=functional_address(message.sender) if message else "",
        recipient_address=functional_address(message.recipient)
        if message
        else header.handling_service_id or "",
        document=header.document.value,
        created_at=now,
        updated_at=now,
        dated_at=instant(message.created) if message else now,
        label=message.label if message else "",
        confidentiality=message.confidentiality if message else True,
        size=len(new.payload) if message else 0,
        attributes=attributes(message) if message else "",
    )


def signer_facts(vault: MessageServiceVault, new: NewMessage | NewReceipt, now: datetime) -> dict[str, str]:
    """Store the signature and the grounds for trusting its certificate; return the log facts about them."""
    if new.signer is None:
        return {}
    return {
        "signer": new.signer.subject.rfc4514_string(),
        "certificate": fingerprint(new.signer),
        **vault.keep_grounds(new.grounds, now=now),
        **vault.keep_signature(new.signed if new.grounds else None, now=now),
    }


async def match_receipt(
    vault: MessageServiceVault,
    new: NewReceipt,
    message: MessageRecord | None,
    now: datetime,
    envelope: bytes | None = None,
) -> None:
    """Set the final status of the message that a receipt names, if we sent it.

    ``envelope`` is the digest of the receipt's envelope.

    A receipt that matches no message of ours to that party is only logged, and so is one under another
    transport model, which may lack the signature that the message's model demands (transport-model-extended
    3.2 d).

    Clauses: accesspoint-test-cases 4.2.1 TF-01; transport-model-base 3.3.1 step 22, 3.3.2 step 22;
    transport-model-extended 3.3.1 step 30, 3.3.2 step 30.
    """
    settling = partial(settle, vault, new, message, now, envelope)
    if not await vault.suppose(settling):
        await settling()


async def settle(
    vault: MessageServiceVault,
    new: NewReceipt,
    message: MessageRecord | None,
    now: datetime,
    envelope: bytes | None,
) -> None:
    """Perform the work of :func:`match_receipt` without reading anything from the vault."""
    receipt, header = new.receipt, new.header
    if message is None or message.recipient != receipt.sender:
        vault.record(MTEvent.MT_RECEIPT_UNMATCHED, envelope=header.id, message=receipt.message_id)
        return
    if header.document != receipt_document_for(DocumentIdentifier(message.document)):
        why = "under another transport model than the message"
        vault.record(MTEvent.MT_RECEIPT_REFUSED, envelope=header.id, message=receipt.message_id, reason=why)
        return
    record = ReceiptRecord(
        id=header.id,
        message_id=message.id,
        direction=Direction.IN,
        status=receipt.status,
        counterpart=receipt.sender,
        document=header.document.value,
        handling_service_id=header.handling_service_id,
        conversation_id=message.conversation_id,
        state=ReceiptState.RECEIVED,
        created_at=now,
    )
    stored = await vault.store_received_receipt(record, new.payload, now=now)
    content = sha256(new.payload).digest()
    committed = commitments(vault, envelope=envelope, receipt=content) if stored else {}
    vault.record(
        MTEvent.MT_RECEIPT_RECEIVED,
        envelope=header.id,
        message=message.id,
        **signer_facts(vault, new, now),
        **committed,
    )
    await advance(vault, message.id, Direction.OUT, progress.of_receipt(receipt, now), now)
