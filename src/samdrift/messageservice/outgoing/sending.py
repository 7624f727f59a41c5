"""Work of the message service that waits in the vaults: messages and receipts to send, deadlines."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from samdrift.audit.operations import unexpected
from samdrift.contracts.clock import Clock
from samdrift.contracts.messages import Direction, WorkKind
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.messageservice.lifecycle.deadlines import pass_deadline
from samdrift.messageservice.outgoing.outgoing import Outgoing
from samdrift.messageservice.settings import MessageServiceSettings
from samdrift.scheduling.inflight import InFlight, Job
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import MessageRecord, ReceiptRecord, WorkItem
from samdrift.wire.identifiers import ParticipantIdentifier

_WORKER = Principal(PrincipalKind.WORKER, "message-service")


class Sending(InFlight):
    """Starts work, straight after it was stored or from the queue in the vault.

    Clauses: architecture-sad 6.1 sentence 3.
    """

    def __init__(
        self, settings: MessageServiceSettings, gate: Gate, outgoing: Outgoing, clock: Clock
    ) -> None:
        self._unexpected = unexpected("message-service-sending")
        super().__init__(clock, parallel=settings.parallel, lease=settings.lease, on_failure=self._unexpected)
        self._gate = gate
        self._outgoing = outgoing

    def start_message(
        self, organisation: ParticipantIdentifier, record: MessageRecord, payload: bytes, *, scanned: bool
    ) -> None:
        """Send a stored and claimed message, in the background."""
        job = partial(self._outgoing.message, organisation, record, payload, scanned=scanned)
        self._start(organisation, job)

    def start_receipt(
        self, organisation: ParticipantIdentifier, record: ReceiptRecord, payload: bytes
    ) -> None:
        """Send a stored and claimed receipt, in the background."""
        self._start(organisation, partial(self._outgoing.receipt, organisation, record, payload))

    async def _claim(self, organisation: ParticipantIdentifier, room: int) -> datetime | None:
        now = self._clock()
        async with self._gate.open(_WORKER, organisation, Role.MESSAGE_SERVICE, Purpose.PROCESS) as vault:
            work = await vault.claim_work(now=now, lease=self._lease, limit=room)
            jobs = [job for item in work if (job := await self._taken_up(organisation, vault, item, now))]
            due = await vault.next_due()
        for job in jobs:
            self._start(organisation, job)
        return now if len(work) == room else due

    async def _taken_up(
        self, organisation: ParticipantIdentifier, vault: MessageServiceVault, item: WorkItem, now: datetime
    ) -> Job | None:
        """The job for ``item``. One that cannot be taken up holds up no other: it waits for its deadline."""
        try:
            return await self._job(organisation, vault, item, now)
        except VaultError as failure:
            self._unexpected(failure)
            return None

    async def _job(
        self, organisation: ParticipantIdentifier, vault: MessageServiceVault, item: WorkItem, now: datetime
    ) -> Job | None:
        """What there is to do in the background for ``item``; ``None`` when it is done here and now."""
        if item.kind is WorkKind.MESSAGE:
            message = await vault.message(item.id, Direction.OUT)
            if message is not None:
                body = await (await vault.body(item.id, Direction.OUT)).read_all()
                return partial(self._outgoing.message, organisation, message, body)
        elif item.kind is WorkKind.RECEIPT:
            receipt = await vault.receipt(item.id)
            if receipt is not None:
                content = await vault.receipt_body(item.id)
                return partial(self._outgoing.receipt, organisation, receipt, content)
        else:
            await pass_deadline(vault, item.id, now)
        await vault.finish_work(item.kind, item.id)
        return None
