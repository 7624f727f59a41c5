"""Sending of messages and receipts to the access point, and handling of the deadlines in the vaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from samdrift.audit.operations import failing
from samdrift.contracts.clock import Clock
from samdrift.contracts.cover import NotCovered
from samdrift.contracts.discovery import DiscoveryError
from samdrift.contracts.errors import Temporary
from samdrift.contracts.messages import Direction, ReceiptState, WorkKind
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import AccessPoint, TransferRefused
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.lifecycle import progress
from samdrift.messageservice.lifecycle.ledger import (
    advance,
    commitments,
    pass_deadline,
    receipt_failed,
    waits,
)
from samdrift.messageservice.offloading import digest, offload
from samdrift.messageservice.outgoing.sealing import SealedMessage, Sealing
from samdrift.messageservice.screening import Malware, Screening
from samdrift.messageservice.settings import WORKER, MessageServiceSettings
from samdrift.scheduling.dispatch import InFlight, Job
from samdrift.scheduling.held import Held, reason_of
from samdrift.scheduling.pace import Pace
from samdrift.vault.errors import VaultError, VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import MessageRecord, ReceiptRecord, WorkItem
from samdrift.wire import sdkmessage
from samdrift.wire.crypto.certificates import fingerprint
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier


class Sender(InFlight):
    """Seals and submits items, directly after they are stored or from the queue in the vault.

    A step that fails for a temporary reason is tried again until its deadline: :meth:`message` and
    :meth:`receipt` return the time of the next attempt, or ``None`` when the record has been handed over or
    has failed permanently.

    Clauses: architecture-sad 6.1 sentence 3.
    """

    def __init__(
        self,
        settings: MessageServiceSettings,
        gate: Gate,
        sealing: Sealing,
        screening: Screening,
        access_points: Mapping[ParticipantIdentifier, AccessPoint],
        clock: Clock,
        held: Held | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._held = held or Held()
        self._failed = failing("message-service-sending", Temporary)
        super().__init__(
            clock,
            parallel=settings.parallel,
            lease=settings.lease,
            on_failure=self._failed,
            claimant=gate.claimant,
            pace=pace,
            leases=gate.leases,
            role=Role.MESSAGE_SERVICE,
        )
        self._settings = settings
        self._vaults = gate.worker(WORKER, Role.MESSAGE_SERVICE)
        self._sealing = sealing
        self._screening = screening
        self._access_points = access_points

    def start_message(
        self, organisation: ParticipantIdentifier, record: MessageRecord, payload: bytes, *, scanned: bool
    ) -> None:
        """Send a stored and claimed message, in the background."""
        job = partial(self.message, organisation, record, payload, scanned=scanned)
        self._start(organisation, (WorkKind.MESSAGE, record.id), job)

    def start_receipt(
        self, organisation: ParticipantIdentifier, record: ReceiptRecord, payload: bytes
    ) -> None:
        """Send a stored and claimed receipt, in the background."""
        job = partial(self.receipt, organisation, record, payload)
        self._start(organisation, (WorkKind.RECEIPT, record.id), job)

    async def _claim(
        self, organisation: ParticipantIdentifier, room: int, cut: Sequence[tuple[WorkKind, str]]
    ) -> datetime | None:
        now, ended = self._clock(), self._leftovers.of(organisation)
        work: tuple[WorkItem, ...] = ()
        jobs: dict[WorkItem, Job] = {}
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            if ended:
                await vault.release_claims(ended, now=now)
            for kind, record_id in cut:
                await vault.reschedule(kind, record_id, next_attempt=now)
            due = await vault.next_due()
            if due is not None and due <= now:
                work = await vault.claim_work(now=now, lease=self._lease, limit=room)
                for item in work:
                    if job := await self._taken_up(organisation, vault, item, now):
                        jobs[item] = job
                due = await vault.next_due()
        self._leftovers.done(organisation)
        for item, job in jobs.items():
            self._start(organisation, (item.kind, item.id), job)
        return now if len(work) == room else due

    async def _give_back(self, organisation: ParticipantIdentifier) -> None:
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            await vault.give_back_claims(now=self._clock())

    async def _taken_up(
        self, organisation: ParticipantIdentifier, vault: MessageServiceVault, item: WorkItem, now: datetime
    ) -> Job | None:
        """Return the job for ``item``, or ``None`` if its vault record cannot be read.

        The item then waits for its deadline and delays no other.
        """
        try:
            return await self._job(organisation, vault, item, now)
        except VaultError as failure:
            self._failed(failure)
            return None

    async def _job(
        self, organisation: ParticipantIdentifier, vault: MessageServiceVault, item: WorkItem, now: datetime
    ) -> Job | None:
        """Return the background job for ``item``; ``None`` if it was completed immediately."""
        if item.kind is WorkKind.MESSAGE:
            message = await vault.message(item.id, Direction.OUT)
            if message is not None:
                body = await (await vault.body(item.id, Direction.OUT)).read_all()
                return partial(self.message, organisation, message, body)
        elif item.kind is WorkKind.RECEIPT:
            receipt = await vault.receipt(item.id)
            if receipt is not None:
                content = await vault.receipt_body(item.id)
                return partial(self.receipt, organisation, receipt, content)
        else:
            await pass_deadline(vault, item.id, now)
        await vault.finish_work(item.kind, item.id)
        return None

    async def message(
        self,
        organisation: ParticipantIdentifier,
        record: MessageRecord,
        payload: bytes,
        *,
        scanned: bool = False,
    ) -> datetime | None:
        """Seal a message for its recipient and hand it over, after scanning it if that has not been done.

        Clauses: envelope-profile-xhe 2 sentence 1.
        """
        now, facts = self._clock(), dict[str, str]()
        async with self._vaults.open(organisation, Purpose.SEND) as vault:
            try:
                (await self._vaults.cover(organisation)).require_sending()
                malware = None if scanned else await self._malware(organisation, payload)
                if malware is not None:
                    await self._drop(vault, record, malware, now)
                    self._release(organisation, record.id)
                    return None
                sealed = await self._sealing.message(
                    payload,
                    message_id=record.id,
                    sender=organisation,
                    recipient=record.recipient,
                    document=DocumentIdentifier(record.document),
                    handling_service_id=record.recipient_address,
                    key=vault.keys().signing,
                    now=now,
                )
                facts = await self._submit(
                    vault, organisation, record.id, record.conversation_id, sealed.envelope
                )
                if facts:
                    facts |= _recipient(vault, sealed, now)
            except VaultUnavailable:
                raise  # Nothing can be recorded now; the message returns when its claim expires.
            except Temporary as error:
                if self._may_wait(record.created_at, now):
                    await waits(vault, record.id, error, now)
                    return await self._later(vault, organisation, WorkKind.MESSAGE, record.id, error, now)
                step = progress.failed(now, "Message could not be handed over in time", str(error))
            except NotCovered as error:
                step = progress.not_covered(now, str(error))
            except (DiscoveryError, TransferRefused) as error:
                step = progress.refused(now, error)
            else:
                step = progress.submitted(self._settings, now)
            await advance(vault, record.id, Direction.OUT, step, now, ends=True, **facts)
            self._release(organisation, record.id)
            return None

    async def _malware(self, organisation: ParticipantIdentifier, payload: bytes) -> Malware | None:
        message = await offload(len(payload), lambda: sdkmessage.parse(payload))
        return await self._screening.malware(organisation, message)

    async def _drop(
        self, vault: MessageServiceVault, record: MessageRecord, malware: Malware, now: datetime
    ) -> None:
        """End the exchange of a message that was accepted without a scan, and remove its content."""
        vault.record(MTEvent.MT_MALWARE_FOUND, message=record.id, signature=malware.signature)
        await vault.drop_content(record.id, Direction.OUT)
        step = progress.failed(now, malware.finding.text, malware.finding.path)
        await advance(vault, record.id, Direction.OUT, step, now)

    async def receipt(
        self, organisation: ParticipantIdentifier, record: ReceiptRecord, payload: bytes
    ) -> datetime | None:
        """Sign a message receipt and hand it over.

        Clauses: certpub-rest-binding 3.2 step 9; transport-model-base 3.3.1 step 16, 3.3.2 step 16;
        transport-model-extended 3.3.1 step 22, 3.3.2 step 22.
        """
        now = self._clock()
        async with self._vaults.open(organisation, Purpose.SEND) as vault:
            try:
                envelope = await self._sealing.receipt(
                    payload,
                    receipt_id=record.id,
                    sender=organisation,
                    recipient=record.counterpart,
                    document=DocumentIdentifier(record.document),
                    handling_service_id=record.handling_service_id,
                    key=vault.keys().signing,
                    now=now,
                )
                facts = await self._submit(vault, organisation, record.id, record.conversation_id, envelope)
            except VaultUnavailable:
                raise
            except Temporary as error:
                if self._may_wait(record.created_at, now):
                    return await self._later(vault, organisation, WorkKind.RECEIPT, record.id, error, now)
                await receipt_failed(vault, record, str(error), now)
            except TransferRefused as error:
                await receipt_failed(vault, record, error.text, now)
            else:
                deadline = now + self._settings.transfer_within
                await vault.set_receipt_state(record.id, ReceiptState.SUBMITTED, now=now, deadline=deadline)
                vault.record(
                    MTEvent.MT_RECEIPT_SUBMITTED, envelope=record.id, message=record.message_id, **facts
                )
            self._release(organisation, record.id)
            return None

    async def _submit(
        self,
        vault: MessageServiceVault,
        organisation: ParticipantIdentifier,
        envelope_id: str,
        conversation_id: str,
        envelope: bytes,
    ) -> dict[str, str]:
        """Submit an envelope, and return the facts about it for the log.

        There are none if the access point already had an envelope under that id, sealed before a crash,
        because it transfers that one.

        Clauses: architecture-sad 5.3.6.2 step 3; certpub-rest-binding 3.2 step 6; content-specification
        4.3.2 sentence 4; transport-model-base 3.3.1 step 4, 3.3.2 step 4; transport-model-extended 3.3.1
        step 7, 3.3.2 step 8.
        """
        submission = await self._access_points[organisation].submit(envelope_id, conversation_id, envelope)
        if not submission.created:
            return {}
        return commitments(vault, envelope=await digest(envelope))

    def _may_wait(self, since: datetime, now: datetime) -> bool:
        return now < since + self._settings.submit_within

    async def _later(
        self,
        vault: MessageServiceVault,
        organisation: ParticipantIdentifier,
        kind: WorkKind,
        subject: str,
        error: Temporary,
        now: datetime,
    ) -> datetime:
        when = now + self._settings.retry_after
        await vault.reschedule(kind, subject, next_attempt=when)
        self._held.note(
            Role.MESSAGE_SERVICE, organisation, subject, reason_of(error), when + self._settings.lease
        )
        return when

    def _release(self, organisation: ParticipantIdentifier, subject: str) -> None:
        self._held.release(Role.MESSAGE_SERVICE, organisation, subject)


def _recipient(vault: MessageServiceVault, sealed: SealedMessage, now: datetime) -> dict[str, str]:
    """Store the grounds for the recipient's certificate; return log facts that name both."""
    if sealed.certificate is None:
        return {}
    named = {"certificate": fingerprint(sealed.certificate)}
    return named | vault.keep_grounds(sealed.grounds, now=now)
