"""Interface C: an organisation's systems submit, poll, fetch and acknowledge envelopes, over mutual TLS.

The client's certificate is the scope: it identifies one organisation and one of its systems, and no path or
parameter can name another. Each call can be repeated: an envelope is recognised by its id, and is never
transferred twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine
from dataclasses import replace
from functools import partial
from importlib.resources import files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from samdrift.accesspoint.events import APEvent
from samdrift.accesspoint.outbound import Sending
from samdrift.accesspoint.problems import (
    Problem,
    ProblemKind,
    answer_denied,
    answer_full,
    answer_problem,
    answer_unavailable,
)
from samdrift.accesspoint.settings import AccessPointSettings, Client, CurrentClients
from samdrift.accesspoint.settling import Settling
from samdrift.contracts.clock import Clock
from samdrift.contracts.cover import Cover, NotCovered
from samdrift.contracts.errors import Temporary
from samdrift.contracts.principals import Principal, Purpose, Role
from samdrift.contracts.transfer import OVER_A_NETWORK, WITHIN_A_PROCESS, Poll, Submission
from samdrift.net.interface_c import (
    ENVELOPES,
    PollRequest,
    decode_envelopes,
    decode_poll_request,
    encode_poll,
    encode_submission,
)
from samdrift.net.logserving import NOT_THERE, RESOURCE, part_of_log
from samdrift.net.server import CLIENT_CERTIFICATE, WITHIN_PROCESS
from samdrift.scheduling.pace import Pace
from samdrift.scheduling.places import NoPlace, Places
from samdrift.scheduling.rounds import phase
from samdrift.scheduling.shares import Shares
from samdrift.scheduling.signals import Signals
from samdrift.vault.accesspoint import News
from samdrift.vault.bodies import IN_ROW, BodyWriter
from samdrift.vault.errors import UnknownRecord, VaultDenied
from samdrift.vault.gate import Gate
from samdrift.vault.records import OutgoingEnvelope
from samdrift.wire.as4 import new_message_id
from samdrift.wire.crypto.keys import Random
from samdrift.wire.envelope import EnvelopeHeader, HeaderScanner
from samdrift.wire.errors import WireError
from samdrift.wire.gzip import Gzip
from samdrift.wire.identifiers import RECEIPT_BASE, RECEIPT_EXTENDED, ParticipantIdentifier, is_uuid

_SHORT_WAIT = 600.0
"""Longest wait in seconds that is granted even if the assumption of an empty vault expires during it."""

_NOT_REGISTERED = "this client certificate is not registered here"
_LARGEST_POLL = 64 * 1024
"""Maximum size of the body of a poll request, in bytes."""

_SHARE_OF_ONE = 0.25
"""Share of this process's time that one organisation's requests may take, after a burst."""
_BURST = 0.25
_COST_OF_REQUEST = 0.001
"""Seconds charged for every request, regardless of its outcome."""

_MAX_ITEMS = 50
"""Maximum number of events, and of envelopes, that one poll returns."""

_BELIEVED = 1800.0
"""Seconds for which a vault without notifications is assumed to contain nothing new.

The assumption expires because a process may be killed after storing something and before notifying of it.
"""

_TOGETHER = 0.25
"""Seconds for which taken items wait for news, so that one opening deletes them and returns the news."""

_HANDED_OVER_AT_ONCE = 64
_HANDED_OVER_AT_ONCE_BY_ONE = 16
"""Limits on concurrent submissions, for all organisations together and for each."""

_POLLED_AT_ONCE = 512
_POLLED_AT_ONCE_BY_ONE = 16
"""Limits on concurrent polls; a message service has one poll in each of its processes."""

_RECEIPTS = frozenset({RECEIPT_EXTENDED, RECEIPT_BASE})
"""Types of message receipts, which are answers and not new messages."""


class InterfaceC:
    """The HTTP application of interface C."""

    def __init__(
        self,
        gate: Gate,
        submissions: Submissions,
        polling: Polling,
        clients: CurrentClients,
        pace: Pace | None = None,
    ) -> None:
        self._gate = gate
        self._pace = pace or Pace()
        self._submissions = submissions
        self._polling = polling
        self._clients = clients
        self._places = Places(_HANDED_OVER_AT_ONCE, _HANDED_OVER_AT_ONCE_BY_ONE)
        self._polls = Places(_POLLED_AT_ONCE, _POLLED_AT_ONCE_BY_ONE)
        self._shares = Shares(_SHARE_OF_ONE, _BURST)
        self._description = (files("samdrift.accesspoint") / "interface-c.json").read_bytes()

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/c/v1/envelopes/{envelope_id}", self._submit, methods=["PUT"]),
                Route("/c/v1/poll", self._poll, methods=["POST"]),
                Route("/c/v1/inbox/{item_id}", self._fetch, methods=["GET"]),
                Route("/c/v1/inbox/{item_id}", self._acknowledge, methods=["DELETE"]),
                Route(f"/c/v1{RESOURCE}", self._log, methods=["GET"]),
                Route("/c/v1/openapi.json", self._describe, methods=["GET"]),
            ],
            exception_handlers={
                Problem: answer_problem,
                VaultDenied: answer_denied,
                Temporary: answer_unavailable,
                NoPlace: answer_full,
            },
        )

    async def _client(self, request: Request) -> Client:
        """Return the client that sent a request, once it is the turn of its organisation.

        Clauses: architecture-sad 6.5 sentence 1; transport-model-base 2.5 sentence 2.
        """
        client = self._clients().get(request.scope.get(CLIENT_CERTIFICATE) or "")
        if client is None:
            raise Problem(ProblemKind.CLIENT_UNKNOWN, _NOT_REGISTERED)
        await self._shares.request(client.organisation, _COST_OF_REQUEST)
        return client

    async def _submit(self, request: Request) -> Response:
        client = await self._client(request)
        with self._places.taken(client.organisation):
            taking = partial(
                self._submissions.take,
                client.principal,
                client.organisation,
                request.path_params["envelope_id"],
                request.headers.get("samdrift-conversation-id"),
                request.stream(),
            )
            submission = await self._pace.of(client.organisation, taking)
        return JSONResponse(encode_submission(submission), status_code=201 if submission.created else 200)

    async def _poll(self, request: Request) -> Response:
        client = await self._client(request)
        with self._polls.taken(client.organisation):
            asked = await _poll_request(request)
            longest = WITHIN_A_PROCESS if request.scope.get(WITHIN_PROCESS) else OVER_A_NETWORK
            asked = replace(asked, wait=min(asked.wait, longest))
            certificate = request.scope.get(CLIENT_CERTIFICATE) or ""
            poll = partial(
                self._polling.poll,
                client.principal,
                client.organisation,
                asked,
                lambda: self._clients().get(certificate) == client,
                small=min(_small(request), IN_ROW),
            )
            found = await _unless_gone(request, self._pace.of(client.organisation, poll))
        return JSONResponse(encode_poll(found or Poll((), ())))

    async def _fetch(self, request: Request) -> Response:
        client = await self._client(request)
        async with self._gate.open(
            client.principal, client.organisation, Role.ACCESS_POINT, Purpose.DELIVER
        ) as vault:
            body = await vault.incoming_body(_item_id(request))
        if body is None:
            raise Problem(ProblemKind.NOT_FOUND, "no such envelope waits here")
        if body.size <= IN_ROW:  # The body is in memory already; a stream would need extra tasks.
            return Response(await body.read_all(), media_type="application/xml")
        pieces = body.pieces()
        first = await anext(pieces)  # Failures can only be reported before the response starts.
        return StreamingResponse(
            _pieces(first, pieces), media_type="application/xml", headers={"content-length": str(body.size)}
        )

    async def _acknowledge(self, request: Request) -> Response:
        client = await self._client(request)
        await self._polling.acknowledge(client.principal, client.organisation, _item_id(request))
        return Response(status_code=204)

    async def _log(self, request: Request) -> Response:
        return await log_answer(self._gate, await self._client(request), request)

    async def _describe(self, request: Request) -> Response:
        return Response(self._description, media_type="application/json")


async def log_answer(gate: Gate, client: Client, request: Request) -> Response:
    """Answer with part of an organisation's log, without logging that, or reading would never end."""
    path = request.path_params["resource"]
    try:
        role = Role(request.path_params["role"])
        async with gate.open(client.principal, client.organisation, role, Purpose.DELIVER) as vault:
            return part_of_log(path, await vault.tree.resource(path))
    except (ValueError, UnknownRecord):
        raise Problem(ProblemKind.NOT_FOUND, NOT_THERE) from None


def _item_id(request: Request) -> str:
    """Return the id in the path; an impossible one is answered as not found, whatever its characters."""
    item_id: str = request.path_params["item_id"]
    if not is_uuid(item_id):
        raise Problem(ProblemKind.NOT_FOUND, "no such envelope waits here")
    return item_id


async def _pieces(first: bytes, others: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(others):
        yield first
        async for piece in others:
            yield piece


async def _unless_gone(request: Request, work: Coroutine[None, None, Poll]) -> Poll | None:
    """Return the result of ``work``, or ``None`` if the client disconnects first."""
    working = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _small(request: Request) -> int:
    try:
        return decode_envelopes(request.headers.get(ENVELOPES))
    except ValueError as error:
        raise Problem(ProblemKind.BAD_REQUEST, str(error)) from None


async def _poll_request(request: Request) -> PollRequest:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST_POLL:
            raise Problem(ProblemKind.TOO_LARGE, f"a poll is at most {_LARGEST_POLL} bytes")
    try:
        return decode_poll_request(bytes(body))
    except ValueError as error:
        raise Problem(ProblemKind.BAD_REQUEST, str(error)) from None


class Submissions:
    """Accepts envelopes from message services, stores them compressed, and starts their transfer.

    They are compressed on arrival because AS4 sends them compressed: digest and size are then known before an
    attempt, and each attempt reads the body once.
    """

    def __init__(
        self, settings: AccessPointSettings, gate: Gate, sending: Sending, clock: Clock, rng: Random
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._sending = sending
        self._clock = clock
        self._rng = rng

    async def take(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        envelope_id: str,
        conversation_id: str | None,
        stream: AsyncIterable[bytes],
    ) -> Submission:
        """Store the envelope durably; raise :class:`Problem` if it cannot be transferred.

        ``conversation_id`` becomes the AS4 ConversationId. Without one the envelope's id is used
        (transport-profile-as4 2.7 a; content-specification 4.3.2 requires the message's).

        Clauses: transport-model-base 3.3.1 step 17, 3.3.2 step 17; transport-model-extended 3.3.1 step 23,
        3.3.2 step 23.
        """
        if not is_uuid(envelope_id):
            raise _invalid("the envelope id in the path is not a UUID")
        if conversation_id is not None and not is_uuid(conversation_id):
            raise _invalid("the conversation id is not a UUID")
        now, cover = self._clock(), await self._gate.cover(organisation, Role.ACCESS_POINT)
        async with self._gate.open(principal, organisation, Role.ACCESS_POINT, Purpose.SUBMIT) as vault:
            writer = vault.new_body(digested=True)
            try:
                header = await _spool(stream, writer)
            except WireError as error:
                raise _invalid(str(error)) from None
            self._check(header, organisation, envelope_id)
            body = await writer.finish()
            claim = self._sending.room_for(organisation, header.recipient)
            as4_message_id = new_message_id(self._rng, self._settings.message_id_domain)
            conversation = conversation_id or header.id
            refused = _not_covered(cover, header)
            if refused is None:
                vault.expect()
                vault.record(
                    APEvent.AP_TRANSFER_QUEUED,
                    envelope=header.id,
                    conversation=conversation,
                    as4=as4_message_id,
                    recipient=header.recipient.value,
                )
            transfer, created = await vault.submit(
                _outgoing(header, conversation),
                body,
                as4_message_id=as4_message_id,
                now=now,
                lease=self._settings.lease if claim else None,
            )
            if created and refused is not None:
                raise refused
        if created and claim:
            self._sending.start(organisation, transfer, body.reader())
        elif created:
            self._sending.queued(organisation)
        return Submission(header.id, transfer.id, created)

    def _check(self, header: EnvelopeHeader, organisation: ParticipantIdentifier, envelope_id: str) -> None:
        """Refuse envelopes of other senders or federations, and types of message not transferred here.

        Clauses: envelope-profile-xhe 2.2 sentence 5; transport-profile-as4 2.6 sentence 1.
        """
        if header.id != envelope_id.lower() and header.id != envelope_id:
            raise _invalid("the envelope id in the path differs from the envelope's")
        if header.sender != organisation:
            raise Problem(
                ProblemKind.SENDER_MISMATCH, "the envelope's FromParty is not the organisation of the client"
            )
        if header.federation != self._settings.federation:
            raise _invalid("the envelope names another federation")
        if header.document not in self._settings.documents(organisation):
            raise Problem(ProblemKind.NOT_SERVICED, "this type of message is not transferred here")


def _outgoing(header: EnvelopeHeader, conversation_id: str) -> OutgoingEnvelope:
    return OutgoingEnvelope(
        envelope_id=header.id,
        conversation_id=conversation_id,
        sender=header.sender,
        recipient=header.recipient,
        document=header.document,
        process=header.process,
    )


def _not_covered(cover: Cover, header: EnvelopeHeader) -> Problem | None:
    """Return the refusal of a new message that no agreement covers, or ``None``.

    Receipts are always transferred; an envelope that is already here is not new when it is resubmitted.
    """
    if header.document in _RECEIPTS:
        return None
    try:
        cover.require_sending()
    except NotCovered as refused:
        return Problem(ProblemKind.NOT_COVERED, str(refused))
    return None


async def _spool(stream: AsyncIterable[bytes], writer: BodyWriter) -> EnvelopeHeader:
    """Store an envelope compressed while it arrives, and return its header.

    Clauses: component-accesspoint 3.1.4 a; transport-profile-as4 2.6 a.
    """
    scanner, gzip = HeaderScanner(), Gzip()
    async for piece in stream:
        scanner.feed(piece)
        await writer.write(gzip.feed(piece))
    await writer.write(gzip.finish())
    return scanner.close()


def _invalid(text: str) -> Problem:
    return Problem(ProblemKind.ENVELOPE_INVALID, text)


class Polling:
    """Long polls that open the vault only when something may be new."""

    def __init__(
        self,
        gate: Gate,
        signals: Signals,
        settling: Settling,
        clock: Clock,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gate = gate
        self._signals = signals
        self._settling = settling
        self._clock = clock
        self._seconds = seconds
        self._nothing: dict[ParticipantIdentifier, tuple[tuple[int, str, int], float]] = {}
        """``after``, ``past`` and signal count of the last poll that found nothing more, and its time."""
        self._reported: dict[ParticipantIdentifier, int] = {}
        """The signal count at which everything present had been returned."""
        self._handed: dict[ParticipantIdentifier, dict[str, str]] = {}
        """Items whose envelopes were included in the last answer, with the envelopes' ids."""

    async def poll(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        asked: PollRequest,
        still_registered: Callable[[], bool] = lambda: True,
        *,
        small: int = 0,
    ) -> Poll:
        """Acknowledge taken items, then return news, waiting for it as long as requested.

        Envelopes of up to ``small`` bytes are included in the answer. A client whose registration ends before
        something arrives receives none of it. For a waiting client that is up to date, the acknowledgement is
        delayed for a moment, because there is usually news by then.
        """
        with self._settling.polled(organisation):
            return await self._poll(principal, organisation, asked, still_registered, small)

    async def _poll(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        asked: PollRequest,
        still_registered: Callable[[], bool],
        small: int,
    ) -> Poll:
        count = self._signals.count(organisation)
        if asked.taken and asked.wait and self._reported.get(organisation) == count:
            await self._news(organisation, count, min(asked.wait, _TOGETHER), still_registered)
            count = self._signals.count(organisation)
        place = (asked.after, asked.past, count)
        found, at = self._nothing.get(organisation, (None, 0.0))
        if asked.taken or found != place or self._seconds() - at > _BELIEVED:
            poll = await self._look(principal, organisation, asked, small)
            if poll.events or poll.inbox:
                return poll
        within = min(asked.wait, max(_SHORT_WAIT, self._believed_for(organisation)))
        if asked.wait and await self._news(organisation, count, within, still_registered):
            return await self._look(principal, organisation, replace(asked, taken=()), small)
        return Poll((), ())

    def _believed_for(self, organisation: ParticipantIdentifier) -> float:
        """Return the seconds for which the vault may still be assumed to contain nothing new."""
        _, since = self._nothing.get(organisation, (None, float("-inf")))
        return _BELIEVED - (self._seconds() - since)

    async def _news(
        self,
        organisation: ParticipantIdentifier,
        count: int,
        within: float,
        still_registered: Callable[[], bool],
    ) -> bool:
        """Wait until there may be news; return false if there is none within the time."""
        came = await self._signals.beyond(organisation, count, within)
        if not still_registered():
            raise Problem(ProblemKind.CLIENT_UNKNOWN, _NOT_REGISTERED)
        return came

    async def _look(
        self, principal: Principal, organisation: ParticipantIdentifier, asked: PollRequest, small: int
    ) -> Poll:
        """Acknowledge items and return news; if nothing more is left, remember the place for the next poll.

        It is not remembered while the inbox has items, which are returned until they are taken.
        """
        count = self._signals.count(organisation)
        news = await self._supposed(principal, organisation, asked, small)
        if news is None:
            async with self._gate.open(principal, organisation, Role.ACCESS_POINT, Purpose.DELIVER) as vault:
                news = await vault.news(
                    asked.taken,
                    after=asked.after,
                    past=asked.past,
                    limit=_MAX_ITEMS,
                    small=small,
                    now=self._clock(),
                )
                for envelope_id in news.acknowledged:
                    vault.record(APEvent.AP_ENVELOPE_ACKNOWLEDGED, envelope=envelope_id)
        self._handed[organisation] = {
            item.id: item.envelope_id for item in news.inbox if item.envelope is not None
        }
        if max(len(news.events), len(news.inbox)) < _MAX_ITEMS:
            self._reported[organisation] = count
        if not news.inbox and len(news.events) < _MAX_ITEMS:
            last = news.events[-1].sequence if news.events else asked.after
            since = self._seconds()
            if organisation not in self._nothing:  # Spread the first expiries, which would coincide.
                since -= _BELIEVED * phase(organisation)
            self._nothing[organisation] = (last, asked.past, count), since
        return Poll(news.events, news.inbox)

    async def _supposed(
        self, principal: Principal, organisation: ParticipantIdentifier, asked: PollRequest, small: int
    ) -> News | None:
        """Record pending ends of transfers, acknowledge items, and return news, all in one round trip.

        ``None`` when there is nothing to record or acknowledge, or something is not as expected.
        """
        async with self._settling.along(organisation) as along:
            handed = self._handed.get(organisation, {})
            taken = {item: handed[item] for item in asked.taken if item in handed}
            if len(taken) < len(asked.taken) or not (taken or along.steps):
                return None
            async with self._gate.open(principal, organisation, Role.ACCESS_POINT, Purpose.DELIVER) as vault:

                async def work() -> None:
                    for step in along.steps:
                        await step(vault)
                    for envelope_id in taken.values():
                        vault.record(APEvent.AP_ENVELOPE_ACKNOWLEDGED, envelope=envelope_id)

                news = await vault.supposed_news(
                    work,
                    taken,
                    after=asked.after,
                    past=asked.past,
                    limit=_MAX_ITEMS,
                    small=small,
                    now=self._clock(),
                )
                along.durable = news is not None
                return news

    async def acknowledge(
        self, principal: Principal, organisation: ParticipantIdentifier, item_id: str
    ) -> None:
        """Delete an envelope here because the message service has stored it durably (invariant 7)."""
        async with self._gate.open(principal, organisation, Role.ACCESS_POINT, Purpose.DELIVER) as vault:
            envelope_id = await vault.acknowledge(item_id, now=self._clock())
            if envelope_id is None:
                raise Problem(ProblemKind.NOT_FOUND, "no such envelope waits here")
            vault.record(APEvent.AP_ENVELOPE_ACKNOWLEDGED, envelope=envelope_id)
