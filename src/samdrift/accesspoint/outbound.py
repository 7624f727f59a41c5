"""Interface A, sending: attempts to transfer envelopes, transfers in flight, and queue lengths."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Hashable, Sequence
from datetime import datetime, timedelta
from functools import partial

from cryptography import x509

from samdrift.accesspoint.breaker import Breaker
from samdrift.accesspoint.events import APEvent
from samdrift.accesspoint.facts import keep_peer, peer_facts, signature_facts, transfer_facts
from samdrift.accesspoint.meters import Meters
from samdrift.accesspoint.route import NoRoute, Route, Routes
from samdrift.accesspoint.settings import AccessPointSettings, CurrentKeys
from samdrift.accesspoint.settling import OUTBOUND, Settling
from samdrift.accesspoint.verdict import Answer, judge
from samdrift.audit.operations import failing, summarised
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import TransferReason
from samdrift.net.client import HttpClient, PeerUnreachable, post
from samdrift.scheduling.dispatch import InFlight
from samdrift.scheduling.held import Held
from samdrift.scheduling.pace import Pace
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.bodies import BodyReader
from samdrift.vault.errors import SealBroken, VaultLocked
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.records import Backlog, Transfer
from samdrift.vault.transferrows import reason_and_detail
from samdrift.wire.as4 import Compressed, PreparedMessage, SignedReference, prepare, user_message
from samdrift.wire.crypto.keys import Random
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.verdicts import Grounds

_ENVELOPE_LOST = (
    "access point: a stored envelope is missing or was altered; it is looked for again with each attempt."
    " Is the object store mounted? 'samdrift queue list' names a transfer that waits for it"
)
_IN_ONE_PIECE = 1 << 20
_SOON = timedelta(seconds=10)
"""Time until the next attempt after one that failed because our own access point was restarting."""
_MOST_SPARED = 20
"""Maximum number of a transfer's attempts that are not counted for that reason."""
_STOP_SECONDS = 5.0
"""Seconds by which the end of a process is delayed in order to record finished transfers."""
_TRIES = 8
"""Minimum number of probes of a silent peer in the interval between two attempts at a transfer."""
_LEFT_TO_OTHERS = 4
"""Divisor for the share of a sender's slots that is reserved for other recipients: one in this many."""
_LAST_WAITS = 3
"""Times that a transfer's last attempt is postponed until a probe shows whether its peer is back."""


class Outbound:
    """Sends claimed transfers of every organisation that this access point serves."""

    def __init__(
        self,
        settings: AccessPointSettings,
        gate: Gate,
        routes: Routes,
        client: HttpClient,
        keys: CurrentKeys,
        clock: Clock,
        rng: Random,
        meters: Meters,
        settling: Settling,
        held: Held | None = None,
    ) -> None:
        self._settings = settings
        self._settling = settling
        self._vaults = gate.worker(OUTBOUND, Role.ACCESS_POINT)
        self._routes = routes
        self._client = client
        self._keys = keys
        self._envelope_lost = summarised(_ENVELOPE_LOST)
        self._clock = clock
        self._rng = rng
        self._meters = meters
        self._held = held or Held()
        self._breaker = Breaker(settings.retry.interval / _TRIES)

    async def attempt(
        self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader
    ) -> datetime | None:
        """Make one attempt and record the outcome; return the time of the next, ``None`` after the last.

        The claim has already stored the attempt's time.

        The message of a resend has the same signed content as the first one: same MessageId, same payload
        digest (transport-profile-as4 2.2 a, reception awareness). For a peer that gets security timestamps,
        only these differ.

        Clauses: accesspoint-test-cases 4.2.1 TF-01; accesspoint-test-cases-open-test 3.1.1 TF-01;
        transport-model-base 3.3.1 step 17, 3.3.2 step 17; transport-model-extended 3.3.1 step 23, 3.3.2 step
        23.
        """
        began = time.monotonic()
        facts = transfer_facts(transfer)
        references: tuple[SignedReference, ...] = ()
        peer: x509.Certificate | None = None
        grounds: Grounds | None = None
        again: datetime | None = None
        try:
            envelope = transfer.envelope
            route = await self._routes.find(
                envelope.sender, envelope.recipient, envelope.document, self._clock()
            )
        except NoRoute as failure:
            answer = Answer(failure.reason, failure.detail, final=failure.final)
        else:
            peer, grounds, own = route.certificate, route.grounds, route.party == self._settings.party
            facts |= peer_facts(peer)
            at_address = organisation, route.address
            at_recipient = *at_address, envelope.recipient
            if silent := None if own else self._silent(at_address, at_recipient):
                whose, why = silent
                answer = Answer(TransferReason.PEER_UNREACHABLE, f"not tried, as several failed with: {why}")
                if transfer.counted >= self._settings.retry.attempts and transfer.spared < _LAST_WAITS:
                    again = self._breaker.until(whose)
            else:
                message = self._prepare(transfer, route, transfer.attempts[-1].at)
                references = message.references
                answer = await self._exchange(transfer, route, message, body)
                if answer.reason is TransferReason.PEER_UNREACHABLE:
                    whose = at_recipient if answer.bare_status else at_address
                    self._breaker.missed(whose, answer.detail, self._clock())
                elif answer.reason is not TransferReason.ENVELOPE_INVALID:
                    self._breaker.answered(at_address)
                    self._breaker.answered(at_recipient)
                if own and self._spares(transfer, answer):
                    again = self._clock() + min(self._settings.retry.interval, _SOON)
        later = await self._record(organisation, transfer, answer, references, facts, peer, grounds, again)
        if later is None:
            self._held.release(Role.ACCESS_POINT, organisation, transfer.id)
        else:
            until = later + self._settings.lease
            self._held.note(Role.ACCESS_POINT, organisation, transfer.id, answer.reason, until)
        self._meters.attempted(organisation, answer, final=later is None, seconds=time.monotonic() - began)
        return later

    def _silent(self, *peers: Hashable) -> tuple[Hashable, str] | None:
        """Return the first of these at which no attempt is made now, with the reason."""
        found = [(each, self._breaker.open(each, self._clock())) for each in peers]
        return next(((each, why) for each, why in found if why), None)

    def _spares(self, transfer: Transfer, answer: Answer) -> bool:
        """Return whether an attempt at this access point itself is not counted.

        If it reached no listener, or a front whose worker is starting, that is a restart of our own and not
        the recipient's fault, for as long as a restart can take.
        """
        return answer.reason is TransferReason.PEER_UNREACHABLE and transfer.spared < _MOST_SPARED

    def _prepare(self, transfer: Transfer, route: Route, created: datetime) -> PreparedMessage:
        """Prepare the signed AS4 message for a transfer.

        Clauses: component-accesspoint 3.1.5 a; transport-model-base 3.3.1 step 7, 3.3.2 step 7;
        transport-model-extended 3.3.1 step 10, 3.3.2 step 11; transport-profile-as4 2.3.1 g, j.
        """
        envelope = transfer.envelope
        message = user_message(
            route.profile,
            message_id=transfer.as4_message_id,
            timestamp=transfer.created_at,
            from_party=self._settings.party,
            to_party=route.party,
            action=envelope.document.action,
            service=envelope.process.value,
            service_type=envelope.process.scheme,
            conversation_id=envelope.conversation_id,
            original_sender=envelope.sender.value,
            final_recipient=envelope.recipient.value,
        )
        return prepare(
            message,
            Compressed(digest=transfer.digest, size=transfer.size),
            signer=self._keys().newest,
            recipient=route.certificate,
            rng=self._rng,
            created=created if route.profile.security_timestamp else None,
        )

    async def _exchange(
        self, transfer: Transfer, route: Route, message: PreparedMessage, body: BodyReader
    ) -> Answer:
        """Post the message and judge the answer, within the time of the claim.

        A peer that accepts or sends a few bytes now and then is never silent, and could keep the
        organisation's other transfers waiting indefinitely.

        Clauses: architecture-sad 5.3.6.2 step 5; transport-profile-as4 2.3.1 i.
        """
        small = message.content_length <= _IN_ONE_PIECE
        pieces = _encoded(message, body)
        try:
            async with asyncio.timeout(self._settings.lease.total_seconds()):
                answered = await post(
                    self._client,
                    route.address,
                    b"".join([piece async for piece in pieces]) if small else pieces,
                    content_type=message.content_type,
                    content_length=message.content_length,
                    within=self._settings.patience(message.content_length).total_seconds(),
                )
        except TimeoutError:
            return Answer(TransferReason.PEER_UNREACHABLE, "the peer is too slow")
        except PeerUnreachable as failure:
            return Answer(TransferReason.PEER_UNREACHABLE, failure.text)
        except SealBroken:
            # Not final: the folder of objects may be mounted again, or another attempt has just ended the
            # transfer.
            return Answer(TransferReason.ENVELOPE_INVALID, "the stored envelope is missing or was altered")
        if answered.status >= 500 and not answered.body:
            text = f"HTTP status {answered.status}"
            return Answer(TransferReason.PEER_UNREACHABLE, text, bare_status=True)
        return judge(
            answered.content_type,
            answered.body,
            message_id=transfer.as4_message_id,
            sent=[message.references, *self._earlier(transfer, route)],
            peer=route.certificate,
        )

    def _earlier(self, transfer: Transfer, route: Route) -> list[tuple[SignedReference, ...]]:
        """Return the references of earlier attempts, recomputed for those that a crash left unstored.

        An attempt with an outcome but no references was not made, and one that ended with its process has no
        outcome. A peer may answer a resend with the receipt of the first transfer, whose digests are those of
        that attempt, with another security timestamp if there is one.
        """
        return [
            tuple(SignedReference.from_xml(xml) for xml in attempt.references)
            if attempt.references
            else self._prepare(transfer, route, attempt.at).references
            for attempt in transfer.attempts[:-1]
            if attempt.references or reason_and_detail(attempt.error)[0] is TransferReason.NONE
        ]

    async def _record(
        self,
        organisation: ParticipantIdentifier,
        transfer: Transfer,
        answer: Answer,
        references: tuple[SignedReference, ...],
        facts: dict[str, str],
        peer: x509.Certificate | None,
        grounds: Grounds | None,
        again: datetime | None,
    ) -> datetime | None:
        """Record an outcome; ``again`` is the time of the next attempt if this one is not counted."""
        now = self._clock()
        later = again or self._settings.retry.next_attempt(transfer.counted, now, self._rng(1)[0] / 255)
        if answer.delivered:
            facts |= signature_facts(answer.signature)
            settled = partial(_delivered, transfer, answer, facts, peer, grounds, now)
            await self._settling.settle(organisation, transfer, settled)
            return None
        async with self._open_and_notify(organisation) as vault:
            why = {"reason": answer.reason.value, "detail": answer.detail}
            if answer.final or later is None:
                if await vault.failed(transfer.id, now=now, reason=answer.reason, detail=answer.detail):
                    self._report_loss(answer)
                    keep_peer(vault, peer, now)
                    vault.record(VaultEvent.AP_TRANSFER_FAILED, **facts, **why)
                return None
            waits = await vault.postpone(
                transfer.id,
                now=now,
                next_attempt=later,
                reason=answer.reason,
                detail=answer.detail,
                references=[reference.xml for reference in references],
                spared=again is not None,
            )
            if waits:
                self._report_loss(answer)
                keep_peer(vault, peer, now)
                vault.record(APEvent.AP_TRANSFER_POSTPONED, **facts, **why)
            return later

    @contextlib.asynccontextmanager
    async def _open_and_notify(self, organisation: ParticipantIdentifier) -> AsyncIterator[AccessPointVault]:
        """Open the vault, and notify waiting polls once the changes are stored."""
        async with self._vaults.open(organisation, Purpose.SEND) as vault:
            yield vault
        self._settling.notify(organisation)

    def _report_loss(self, answer: Answer) -> None:
        if answer.reason is TransferReason.ENVELOPE_INVALID:
            self._envelope_lost()


async def _delivered(
    transfer: Transfer,
    answer: Answer,
    facts: dict[str, str],
    peer: x509.Certificate | None,
    grounds: Grounds | None,
    now: datetime,
    vault: AccessPointVault,
) -> None:
    """Record that a transfer was delivered, with the proof."""
    vault.record(APEvent.AP_TRANSFER_DELIVERED, **facts, **keep_peer(vault, peer, now, grounds))
    await vault.delivered(transfer.id, now=now, receipt=answer.receipt, peer=facts["peer"])


async def _encoded(message: PreparedMessage, body: BodyReader) -> AsyncIterator[bytes]:
    yield message.head()
    encryptor = message.encryptor()
    async for piece in body:
        yield encryptor.feed(piece)
    yield encryptor.finish()


class Sending(InFlight):
    """Starts attempts, either directly after a submission or from the queue in the vault.

    Clauses: architecture-sad 6.1 sentence 3.
    """

    def __init__(
        self,
        settings: AccessPointSettings,
        gate: Gate,
        outbound: Outbound,
        settling: Settling,
        clock: Clock,
        pace: Pace | None = None,
    ) -> None:
        super().__init__(
            clock,
            parallel=settings.parallel,
            lease=settings.lease,
            on_failure=failing(OUTBOUND, Temporary),
            claimant=gate.claimant,
            pace=pace,
            leases=gate.leases,
            role=Role.ACCESS_POINT,
        )
        self._settings = settings
        self._vaults = gate.worker(OUTBOUND, Role.ACCESS_POINT)
        self._outbound = outbound
        self._settling = settling
        settling.began_to_wait = self._may_go_on
        self._of_one = settings.parallel - settings.parallel // _LEFT_TO_OTHERS
        self._recipients: defaultdict[ParticipantIdentifier, list[ParticipantIdentifier]] = defaultdict(list)
        """Recipients of the attempts in progress, by sender."""
        self._last: dict[ParticipantIdentifier, str] = {}
        """Recipient that had the last turn, by sender."""

    async def stop(self) -> None:
        """Record the ends of finished attempts, so that they are not repeated, and then stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._settling.finish()
        await super().stop()

    def queued(self, organisation: ParticipantIdentifier) -> None:
        """Wake the dispatcher: a transfer was stored without a free slot, and one may be free by now."""
        self.dispatcher.wake(organisation)

    def room_for(self, organisation: ParticipantIdentifier, recipient: ParticipantIdentifier) -> bool:
        """Return whether there is a free slot for another transfer to a recipient."""
        own = self._to(organisation).count(recipient)
        return self.room(organisation) > 0 and own < self._of_one

    def _taken(self, organisation: ParticipantIdentifier) -> int:
        """Return the number of occupied slots; a finished attempt has none, even if unrecorded."""
        return super()._taken(organisation) - len(self._settling.over(organisation))

    def _to(self, organisation: ParticipantIdentifier) -> list[ParticipantIdentifier]:
        """Return the recipient of each attempt that occupies a slot."""
        have = Counter(self._recipients[organisation])
        have.subtract(self._settling.over(organisation))
        return list(have.elements())

    def _may_go_on(self, organisation: ParticipantIdentifier) -> None:
        if organisation in self._backlog:
            self.dispatcher.wake(organisation)

    def start(self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader) -> None:
        """Start an attempt at a claimed transfer in the background."""
        self._recipients[organisation].append(transfer.envelope.recipient)
        self._start(
            organisation,
            transfer.id,
            partial(self._attempt, organisation, transfer, body),
            partial(self._recipients[organisation].remove, transfer.envelope.recipient),
        )

    async def _attempt(
        self, organisation: ParticipantIdentifier, transfer: Transfer, body: BodyReader
    ) -> datetime | None:
        return await self._outbound.attempt(organisation, transfer, body)

    async def _claim(
        self, organisation: ParticipantIdentifier, room: int, cut: Sequence[str]
    ) -> datetime | None:
        now, ended = self._clock(), self._leftovers.of(organisation)
        claimed: tuple[Transfer, ...] = ()
        hopeful: list[Transfer] = []
        bodies: list[BodyReader] = []
        async with self._vaults.open(organisation, Purpose.SEND) as vault:
            if ended:
                await vault.release_claims(ended, now=now)
            vault.resume(cut, now=now)
            due = await vault.next_due()
            if due is not None and due <= now:
                claimed = await self._claimed(organisation, vault, room, now)
                hopeful = [one for one in claimed if not await self._given_up(organisation, vault, one, now)]
                bodies = [await vault.outgoing_body(transfer.id) for transfer in hopeful]
                due = await vault.next_due()
                under_way = bool(hopeful or self._to(organisation))
                if due is not None and due <= now and len(claimed) < room and under_way:
                    self._backlog.add(organisation)  # The rest is for recipients whose slots are all in use.
                    due = await vault.due_after(now)
        self._leftovers.done(organisation)
        for transfer, body in zip(hopeful, bodies, strict=True):
            self.start(organisation, transfer, body)
        return now if len(claimed) == room else due

    async def _claimed(
        self, organisation: ParticipantIdentifier, vault: AccessPointVault, room: int, now: datetime
    ) -> tuple[Transfer, ...]:
        """Claim transfers to the recipients in turn, continuing after the last one."""
        last = self._last.get(organisation, "")
        claimed = await vault.claim_transfers(
            now=now,
            lease=self._lease,
            limit=room,
            of_one=self._of_one,
            busy=self._to(organisation),
            after=last,
        )
        if claimed:
            names = {transfer.envelope.recipient.value for transfer in claimed}
            self._last[organisation] = max(names, key=lambda name: (name <= last, name))
        return claimed

    async def _give_back(self, organisation: ParticipantIdentifier) -> None:
        async with self._vaults.open(organisation, Purpose.SEND) as vault:
            await vault.give_back_claims(now=self._clock())

    async def _given_up(
        self, organisation: ParticipantIdentifier, vault: AccessPointVault, transfer: Transfer, now: datetime
    ) -> bool:
        """End a transfer whose attempts have repeatedly had no outcome (invariant 8)."""
        if transfer.counted <= self._settings.retry.most:
            return False
        reason, detail = TransferReason.GIVEN_UP, "too many attempts ended without an outcome"
        await vault.failed(transfer.id, now=now, reason=reason, detail=detail)
        facts = transfer_facts(transfer)
        vault.record(VaultEvent.AP_TRANSFER_FAILED, **facts, reason=reason.value, detail=detail)
        self._settling.notify(organisation)
        return True


class QueueLengths:
    """Lengths of the queues that this process knows not to be empty.

    Each measurement opens a vault and is recorded in its log, so organisations without work are skipped, and
    the others are measured at most once in ``every``.
    """

    def __init__(self, gate: Gate, sending: Sending, meters: Meters, clock: Clock, every: timedelta) -> None:
        self._vaults = gate.worker("access-point-meters", Role.ACCESS_POINT)
        self._sending = sending
        self._meters = meters
        self._clock = clock
        self._every = every
        self._looked: datetime | None = None
        self._backlogs: dict[ParticipantIdentifier, Backlog] = {}

    async def measure(self) -> None:
        """Update the meters; raise ``VaultUnavailable`` when a vault cannot be reached."""
        now = self._clock()
        if self._looked is None or abs(now - self._looked) >= self._every:
            looked = [(each, await self._backlog(each)) for each in self._sending.busy()]
            self._backlogs = {each: backlog for each, backlog in looked if backlog is not None}
            self._looked = now
        self._meters.queues(self._backlogs, now)

    async def _backlog(self, organisation: ParticipantIdentifier) -> Backlog | None:
        """Return the backlog, or ``None`` while the vault is locked, when nothing moves anyway."""
        try:
            async with self._vaults.open(organisation, Purpose.MEASURE) as vault:
                return await vault.backlog()
        except VaultLocked:
            return None
