"""Interface A, receiving: one AS4 message in, one receipt or error out.

The order of the steps is the protection. The signature over the SOAP part is verified and the peer's
certificate checked before anything is decrypted (invariant 6); decrypted data is not used until its integrity
is proved; the receipt is sent only after the envelope is stored durably in the recipient's vault (invariant
7).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from cryptography import x509
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as HttpResponse
from starlette.routing import Route

from samdrift.accesspoint.agreement import compare, participant, require_fresh
from samdrift.accesspoint.events import APEvent
from samdrift.accesspoint.facts import keep_peer, reception_facts
from samdrift.accesspoint.meters import Meters
from samdrift.accesspoint.peers import Peers
from samdrift.accesspoint.refusals import AUTHENTICATED, PeerWatch, Refusals
from samdrift.accesspoint.settings import AccessPointSettings, CurrentKeys
from samdrift.audit.events import AuditEvent
from samdrift.audit.operations import peer_alarm, postponing
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.scheduling.pace import Pace
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
    NeedData,
    Payload,
    Response,
    SignedHeader,
    SignedReference,
    SignerWanted,
    UserMessage,
    build_error,
    build_receipt,
    new_message_id,
)
from samdrift.wire.crypto.keys import DecryptionKey, Random
from samdrift.wire.ebms import NOT_SERVICED, EbmsErrorCode
from samdrift.wire.envelope import EnvelopeHeader, HeaderScanner
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.profile import PROFILES
from samdrift.wire.verdicts import Grounds

PATH = "/as4"
LATER = {"retry-after": "60"}
_SHARE_OF_STRANGER = 0.2
"""Share of this process's time for answers to one address, after a burst of _BURST seconds."""
_BURST = 1.0
_COST_OF_REFUSAL = 0.02
"""Seconds charged for an error: reading the message, a signature, an entry in the log."""


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A payload that was received completely: its proof, and the envelope's header or the fault in it."""

    complete: Complete
    envelope: EnvelopeHeader | None
    problem: str


@dataclass(frozen=True, slots=True)
class _Taken:
    """The result of a message that was received completely, and the receipt for it."""

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
        pace: Pace,
    ) -> None:
        self._pace = pace
        self._settings = settings
        self._gate = gate
        self._vaults = gate.worker("access-point-inbound", Role.ACCESS_POINT)
        self._peers = peers
        self._keys = keys
        self._answers = answers
        self._signals = signals
        self._clock = clock
        self._limits = limits
        self._meters = meters
        self._refusals = refusals
        self._postponed = postponing("interface A")
        self._watched = PeerWatch(settings.peer_alarm, settings.peer_alarm_within)
        self._strangers = Shares(_SHARE_OF_STRANGER, _BURST)

    def application(self) -> Starlette:
        """Return the application of interface A, to which other access points post messages."""
        return Starlette(routes=[Route(PATH, self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> HttpResponse:
        """Answer with a signal, or with 503 if nothing could be stored or decided: the peer resends."""
        try:
            answer = await self.receive(
                request.headers.get("content-type", ""),
                request.stream(),
                request.client.host if request.client else "",
            )
        except Temporary as error:
            self._postponed(error)
            return HttpResponse(status_code=503, headers=LATER)
        return HttpResponse(answer.body, media_type=None, headers={"content-type": answer.content_type})

    async def receive(self, content_type: str, body: AsyncIterable[bytes], source: str = "") -> Response:
        """Process one HTTP request from the address ``source``, and return the AS4 signal to answer with.

        An error costs a signature. One for a sender that is not authenticated waits until its address has
        used no more than its share of the time.

        Raises :class:`samdrift.accesspoint.peers.PeerUndecided` and ``VaultUnavailable`` when the peer should
        try again later.

        Clauses: accesspoint-test-cases 4.3.1 TF-04; component-accesspoint 3.1.2 b.
        """
        now = self._clock()
        facts: dict[str, str] = {}
        peer: x509.Certificate | None = None
        reception: Reception | None = None
        party = ""
        recipient: ParticipantIdentifier | None = None
        try:
            reception = Reception(As4Reader(content_type, self._limits), body)
            header = await reception.header(self._signers)
            facts = reception_facts(header, (*self._settings.profiles, *PROFILES.values()))
            grounds = await self._peers.require_trusted(header, now)
            facts |= AUTHENTICATED
            self._peers.require_named(header)
            party = facts.get("peer", "")
            require_fresh(header, now, self._settings.clock_tolerance)
            peer, recipient = header.certificate, self._served(header.user_message)
            taking = partial(self._take, reception, header, grounds, recipient, facts, now)
            taken = await self._pace.of(recipient, taking)
            self._meters.came_in(recipient, taken.event)
            if taken.event is APEvent.AP_ENVELOPE_REFUSED:
                await self._watch(facts, now)
            self._signals.notify(recipient)
            return taken.receipt
        except As4Fault as fault:
            if reception is not None:
                await reception.drain(self._limits.max_compressed_bytes)
            await self._log_refusal(recipient, party, peer, facts, fault, now)
            self._meters.refused(recipient, fault)
            if AUTHENTICATED.items() <= facts.items():
                await self._watch(facts, now)
            if peer:
                return self._answers.error(fault, now)
            self._strangers.charge(source, _COST_OF_REFUSAL)
            async with self._strangers.step(source):
                return self._answers.error(fault, now)

    async def _watch(self, facts: dict[str, str], now: datetime) -> None:
        """Count a nonconforming message of an approved peer, and raise the alarm once there are too many.

        Clauses: transport-model-base 2.9.5 sentence 1.
        """
        alarm = self._watched.refused(facts["certificate"], now)
        self._meters.nonconforming(alarm=alarm)
        if alarm:
            peer_alarm()
            named = {name: facts[name] for name in ("peer", "certificate")}
            await self._gate.operator_log(APEvent.AP_PEER_ALARM, **named)

    async def _signers(self, message: UserMessage) -> Sequence[x509.Certificate]:
        """Return possible signers; they are looked up only for messages to organisations served here."""
        documents = self._settings.documents(self._served(message))
        return await self._peers.certificates(message, documents)

    def _served(self, message: UserMessage) -> ParticipantIdentifier:
        """Return the recipient of a message, which must be served here and active.

        Clauses: component-accesspoint 3.2.1 a, step 2, step 3; transport-profile-as4 2.5 a, b.
        """
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
        grounds: Grounds | None,
        recipient: ParticipantIdentifier,
        facts: dict[str, str],
        now: datetime,
    ) -> _Taken:
        """Receive the payload of a message from an authenticated peer, and store or refuse its envelope.

        Clauses: accesspoint-test-cases 6.2.4 TF-09; component-accesspoint 3.2.2 step 1, step 2.
        """
        async with self._vaults.open(recipient, Purpose.RECEIVE) as vault:
            writer = vault.new_body()
            addressed = reception.open_with(self._keys().decryption)
            arrived = await self._spool(reception, writer, header)
            receipt = self._answers.receipt(header.user_message, arrived.complete.references, addressed, now)
            if arrived.envelope is None:
                keep_peer(vault, header.certificate, now)
                vault.record(APEvent.AP_ENVELOPE_REFUSED, reason=arrived.problem, **facts)
                return _Taken(receipt, APEvent.AP_ENVELOPE_REFUSED)
            facts["envelope"] = arrived.envelope.id
            peer = header.certificate
            return await self._accept(vault, writer, arrived.envelope, receipt, peer, grounds, facts, now)

    async def _spool(self, reception: Reception, writer: BodyWriter, header: SignedHeader) -> _Arrived:
        """Store the pieces as they arrive while the envelope's header is read from them.

        A broken envelope is still read to its end: the answer concerns only the transfer, never payload
        validation (transport-profile-as4 2.9).

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
        raise AssertionError("the payload must end with Complete or a fault")

    def _arrived(
        self, complete: Complete, scanner: HeaderScanner, problem: str, header: SignedHeader
    ) -> _Arrived:
        """Return the complete payload with its envelope's header, or the fault found in the envelope.

        Clauses: component-accesspoint 3.1.6 d.
        """
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
        peer: x509.Certificate,
        grounds: Grounds | None,
        facts: dict[str, str],
        now: datetime,
    ) -> _Taken:
        """Store an envelope and its receipt; a duplicate is answered with the receipt already sent.

        Clauses: transport-model-base 3.3.1 step 12, step 21, 3.3.2 step 12, step 21;
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
        facts["size"] = str(body.size)
        vault.expect()
        facts |= keep_peer(vault, peer, now, grounds)
        vault.record(APEvent.AP_ENVELOPE_RECEIVED, **facts)
        if await vault.accept(item, body, receipt.body, now=now):
            return _Taken(receipt, APEvent.AP_ENVELOPE_RECEIVED)
        keep_peer(vault, peer, now, grounds)
        vault.record(APEvent.AP_ENVELOPE_DUPLICATE, **facts)
        known = await vault.known_receipt(item.as4_message_id, item.peer)
        answer = Response(receipt.content_type, known) if known else receipt
        return _Taken(answer, APEvent.AP_ENVELOPE_DUPLICATE)

    async def _log_refusal(
        self,
        recipient: ParticipantIdentifier | None,
        party: str,
        peer: x509.Certificate | None,
        facts: dict[str, str],
        fault: As4Fault,
        now: datetime,
    ) -> None:
        """Log a refused message (component-accesspoint 3.2.1 a 1).

        The entry goes to the recipient's log if an authenticated peer named an organisation that is served
        here, otherwise, within limits, to the operator's log: no unknown sender can fill either.

        Clauses: component-accesspoint 3.2.1 step 1.
        """
        if recipient is None:
            await self._refusals.add(party, facts, fault)
            return
        reason = f"{fault.error.value}: {fault.detail}"
        async with self._vaults.open(recipient, Purpose.RECEIVE) as vault:
            keep_peer(vault, peer, now)
            vault.record(APEvent.AP_ENVELOPE_REFUSED, reason=reason, **facts)


def _scan(scanner: HeaderScanner, data: bytes) -> str:
    try:
        scanner.feed(data)
    except WireError as error:
        return str(error)
    return ""


FindSigners = Callable[[UserMessage], Awaitable[Sequence[x509.Certificate]]]
"""Returns certificates that may verify a message, if it names its signer's without including it."""


class Reception:
    """One message being received; memory use does not grow with its size."""

    def __init__(self, reader: As4Reader, body: AsyncIterable[bytes]) -> None:
        self._reader = reader
        self._body = aiter(body)
        self._ended = False

    async def header(self, find_signers: FindSigners) -> SignedHeader:
        """Return the SOAP part with its signature verified; raise :class:`As4Fault` if that fails."""
        while not isinstance(event := self._reader.next_event(), SignedHeader):
            if isinstance(event, SignerWanted):
                return self._reader.signed_by(await find_signers(event.user_message))
            await self._read()
        return event

    def open_with(self, keys: Sequence[DecryptionKey]) -> x509.Certificate:
        """Start to decrypt, and return the certificate that the message is encrypted for.

        Raises :class:`As4Fault` if none of ``keys`` fits.
        """
        return self._reader.decrypt_with(*keys).certificate

    async def payload(self) -> AsyncIterator[Payload | Complete]:
        """Yield decrypted pieces, which must not be trusted before the final :class:`Complete`."""
        while True:
            event = self._reader.next_event()
            if isinstance(event, NeedData):
                await self._read()
            elif isinstance(event, Payload | Complete):
                yield event
                if isinstance(event, Complete):
                    return

    async def drain(self, most: int) -> None:
        """Read up to ``most`` further bytes from the peer, so that it gets to read the answer."""
        while not self._ended and most > 0:
            piece = await anext(self._body, None)
            self._ended = piece is None
            most -= len(piece or b"")

    async def _read(self) -> None:
        piece = await anext(self._body, None)
        self._ended = piece is None
        if piece != b"":
            self._reader.receive(piece or b"")


class Answers:
    """Signs every answer with the access point's own keys (transport-profile-as4 2.10)."""

    def __init__(self, keys: CurrentKeys, domain: str, rng: Random) -> None:
        self._keys = keys
        self._new_id: Callable[[], str] = lambda: new_message_id(rng, domain)

    def receipt(
        self,
        message: UserMessage,
        references: Sequence[SignedReference],
        addressed: x509.Certificate,
        now: datetime,
    ) -> Response:
        """Return a receipt with non-repudiation information for every signed part.

        ``addressed`` is the certificate of ours that the message was encrypted for.

        Clauses: content-specification 2.1 step 1; transport-model-base 3.3.1 step 10, step 19, 3.3.2 step 10,
        step 19; transport-model-extended 3.3.1 step 13, step 25, 3.3.2 step 14, step 25.
        """
        return build_receipt(
            user_message=message,
            references=references,
            message_id=self._new_id(),
            now=now,
            signer=self._keys().of(addressed),
        )

    def error(self, fault: As4Fault, now: datetime) -> Response:
        """Return an error signal; its detail describes the fault and never reveals content."""
        return build_error(fault.as_error(), message_id=self._new_id(), now=now, signer=self._keys().newest)
