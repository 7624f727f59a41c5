"""Interface A, receiving: one AS4 message in, one receipt or error out.

The order is the protection. The signature over the SOAP part is verified and
the peer's certificate judged before anything is decrypted (invariant 6); what
is decrypted is held aside until its integrity is proved; the receipt leaves
only after the envelope is durable in the recipient's vault (invariant 7).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from samdrift.accesspoint.agreement import compare, participant
from samdrift.accesspoint.answers import Answers
from samdrift.accesspoint.facts import reception_facts
from samdrift.accesspoint.freshness import require_fresh
from samdrift.accesspoint.meters import Meters
from samdrift.accesspoint.ownkeys import CurrentKeys
from samdrift.accesspoint.peers import Peers
from samdrift.accesspoint.reception import Reception
from samdrift.accesspoint.refusals import Refusals
from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.audit.events import AuditEvent
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.scheduling.shares import Shares
from samdrift.scheduling.signals import Signals
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.bodies import BodyWriter
from samdrift.vault.errors import VaultSuspended
from samdrift.vault.gate import Gate
from samdrift.vault.records import IncomingEnvelope
from samdrift.wire.as4 import (
    As4Fault,
    As4Limits,
    As4Reader,
    Complete,
    Payload,
    Response,
    SignedHeader,
    UserMessage,
)
from samdrift.wire.ebms import NOT_SERVICED, EbmsErrorCode
from samdrift.wire.envelope import EnvelopeHeader, HeaderScanner
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.profile import PROFILES

_WORKER = Principal(PrincipalKind.WORKER, "access-point-inbound")
_SHARE_OF_STRANGER = 0.2
"""Of the time of this process that answers to one address may take, after a burst of _BURST seconds."""
_BURST = 1.0
_COST_OF_REFUSAL = 0.02
"""Seconds that an error counts as: reading the message, a signature, an entry in the log."""


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A payload that came in whole: the proof, and the envelope's header or why it has none."""

    complete: Complete
    envelope: EnvelopeHeader | None
    problem: str


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of a message that came in whole, and the receipt for it."""

    receipt: Response
    event: AuditEvent


class Inbound:
    """Receives AS4 messages for every organisation that this access point serves."""

    def __init__(
        self,
        settings: AccessPointSettings,
        gate: Gate,
        peers: Peers,
        keys: CurrentKeys,
        answers: Answers,
        signals: Signals,
        clock: Clock,
        limits: As4Limits,
        meters: Meters,
        refusals: Refusals,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._peers = peers
        self._keys = keys
        self._answers = answers
        self._signals = signals
        self._clock = clock
        self._limits = limits
        self._meters = meters
        self._refusals = refusals
        self._strangers = Shares(_SHARE_OF_STRANGER, _BURST)

    async def receive(self, content_type: str, body: AsyncIterable[bytes], source: str = "") -> Response:
        """Take one HTTP request from the address ``source``, and give the AS4 signal to answer with.

        An error costs a signature. One for a sender that has not shown who it is waits
        until its address has used no more than its share of the time.

        Raises :class:`samdrift.accesspoint.peers.PeerUndecided` and
        ``VaultUnavailable`` when the peer should come back later.

        Clauses: accesspoint-test-cases 4.3.1 TF-04; component-accesspoint 3.1.2 b.
        """
        now = self._clock()
        facts: dict[str, str] = {}
        reception: Reception | None = None
        peer = ""
        recipient: ParticipantIdentifier | None = None
        try:
            reception = Reception(As4Reader(content_type, self._limits), body)
            header = await reception.header(self._signers)
            facts = reception_facts(header, (*self._settings.profiles, *PROFILES.values()))
            await self._peers.authenticate(header, now)
            peer = facts.get("peer", "")
            require_fresh(header, now, self._settings.clock_tolerance)
            recipient = self._served(header.user_message)
            taken = await self._take(reception, header, recipient, facts, now)
            self._meters.came_in(recipient, taken.event)
            self._signals.raise_for(recipient)
            return taken.receipt
        except As4Fault as fault:
            if reception is not None:
                await reception.drain(self._limits.max_compressed_bytes)
            await self._log_refusal(recipient, peer, facts, fault)
            self._meters.refused(recipient, fault)
            if peer:
                return self._answers.error(fault, now)
            self._strangers.charge(source, _COST_OF_REFUSAL)
            async with self._strangers.step(source):
                return self._answers.error(fault, now)

    async def _signers(self, message: UserMessage) -> Sequence[x509.Certificate]:
        """Looked up for messages to organisations that are served here, and for no others."""
        documents = self._settings.documents(self._served(message))
        return await self._peers.certificates(message, documents)

    def _served(self, message: UserMessage) -> ParticipantIdentifier:
        """Clauses: component-accesspoint 3.2.1 a, step 2, step 3; transport-profile-as4 2.5 a, b."""
        recipient = participant(message.property("finalRecipient"))
        registration = self._gate.registry.find(recipient, Role.ACCESS_POINT) if recipient else None
        if (
            recipient is None
            or registration is None
            or message.action not in {one.action for one in self._settings.documents(recipient)}
        ):
            raise As4Fault(EbmsErrorCode.OTHER, NOT_SERVICED, ref_to_message_id=message.message_id)
        if not registration.active:
            raise VaultSuspended
        return recipient

    async def _take(
        self,
        reception: Reception,
        header: SignedHeader,
        recipient: ParticipantIdentifier,
        facts: dict[str, str],
        now: datetime,
    ) -> _Taken:
        """Clauses: accesspoint-test-cases 6.2.4 TF-09; component-accesspoint 3.2.2 step 1, step 2."""
        async with self._gate.open(_WORKER, recipient, Role.ACCESS_POINT, Purpose.RECEIVE) as vault:
            writer = vault.new_body()
            addressed = reception.open_with(self._keys().decryption)
            arrived = await self._spool(reception, writer, header)
            receipt = self._answers.receipt(header.user_message, arrived.complete.references, addressed, now)
            if arrived.envelope is None:
                vault.record(AuditEvent.AP_ENVELOPE_REFUSED, reason=arrived.problem, **facts)
                return _Taken(receipt, AuditEvent.AP_ENVELOPE_REFUSED)
            facts["envelope"] = arrived.envelope.id
            return await self._accept(vault, writer, arrived.envelope, receipt, facts, now)

    async def _spool(self, reception: Reception, writer: BodyWriter, header: SignedHeader) -> _Arrived:
        """Store the pieces as they come while the envelope's header is read from them.

        A broken envelope is read to its end all the same: the answer tells of
        the transfer alone, never of payload validation (transport-profile-as4 2.9).

        Clauses: component-accesspoint 3.2.2 a; transport-profile-as4 2.6 a.
        """
        scanner = HeaderScanner()
        problem = ""
        async for event in reception.payload():
            if isinstance(event, Payload):
                if not problem:
                    problem = _scan(scanner, event.data)
                    await writer.write(event.data)
            else:
                return self._arrived(event, scanner, problem, header)
        raise AssertionError("the payload ends with Complete or a fault")

    def _arrived(
        self, complete: Complete, scanner: HeaderScanner, problem: str, header: SignedHeader
    ) -> _Arrived:
        """Clauses: component-accesspoint 3.1.6 d."""
        if problem:
            return _Arrived(complete, None, problem)
        try:
            envelope = scanner.close()
        except WireError as error:
            return _Arrived(complete, None, str(error))
        disagreements = compare(header.user_message, envelope, self._settings.federation)
        if disagreements:
            return _Arrived(complete, None, "; ".join(disagreements))
        return _Arrived(complete, envelope, "")

    async def _accept(
        self,
        vault: AccessPointVault,
        writer: BodyWriter,
        envelope: EnvelopeHeader,
        receipt: Response,
        facts: dict[str, str],
        now: datetime,
    ) -> _Taken:
        """Clauses: transport-model-base 3.3.1 step 12, step 21, 3.3.2 step 12, step 21;
        transport-model-extended 3.3.1 step 15, step 27, 3.3.2 step 16, step 27; transport-profile-as4 2.9
        sentence 1.
        """
        item = IncomingEnvelope(
            as4_message_id=facts["as4"],
            envelope_id=envelope.id,
            conversation_id=facts["conversation"],
            sender=envelope.sender.value,
            recipient=envelope.recipient.value,
            document=envelope.document.value,
            peer=facts["peer"],
            certificate=facts["certificate"],
        )
        body = await writer.finish()
        if await vault.accept(item, body, receipt.body, now=now):
            vault.record(AuditEvent.AP_ENVELOPE_RECEIVED, **facts)
            return _Taken(receipt, AuditEvent.AP_ENVELOPE_RECEIVED)
        vault.record(AuditEvent.AP_ENVELOPE_DUPLICATE, **facts)
        known = await vault.known_receipt(item.as4_message_id, item.peer)
        answer = Response(receipt.content_type, known) if known else receipt
        return _Taken(answer, AuditEvent.AP_ENVELOPE_DUPLICATE)

    async def _log_refusal(
        self, recipient: ParticipantIdentifier | None, peer: str, facts: dict[str, str], fault: As4Fault
    ) -> None:
        """Log a refused message (component-accesspoint 3.2.1 a 1).

        In the recipient's log once an authenticated peer has named an
        organisation that is served here, else in the operator's, and there
        within bounds: nobody unknown can fill either.

        Clauses: component-accesspoint 3.2.1 step 1.
        """
        if recipient is None:
            await self._refusals.add(peer, facts, fault)
            return
        reason = f"{fault.error.value}: {fault.detail}"
        async with self._gate.open(_WORKER, recipient, Role.ACCESS_POINT, Purpose.RECEIVE) as vault:
            vault.record(AuditEvent.AP_ENVELOPE_REFUSED, reason=reason, **facts)


def _scan(scanner: HeaderScanner, data: bytes) -> str:
    try:
        scanner.feed(data)
    except WireError as error:
        return str(error)
    return ""
