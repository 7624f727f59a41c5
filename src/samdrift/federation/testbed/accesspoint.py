"""A test access point: accepts and acknowledges all messages, and sends the messages that a case needs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as HttpResponse
from starlette.routing import Route

from samdrift.federation.testbed import envelopes
from samdrift.federation.testbed.envelopes import Correspondent, Envelope
from samdrift.federation.testbed.parties import Destination, OrganisationKeys
from samdrift.net.client import Answered
from samdrift.wire import receipt as receipts
from samdrift.wire.as4 import (
    As4Fault,
    ErrorSignal,
    PackedMessage,
    build_error,
    build_receipt,
    new_message_id,
    pack,
    read_message,
    read_response,
    user_message,
    verify_receipt,
)
from samdrift.wire.crypto.certificates import common_name
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey
from samdrift.wire.envelope import EnvelopeHeader, verify
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.profile import AS4_1_0
from samdrift.wire.receipt import MessageReceipt

PATH = "/as4"
Post = Callable[[str, str, bytes], Awaitable[Answered]]
"""Posts a body; the arguments are address, content type and body."""
_DOMAIN = "testbed.samdrift.test"


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to an AS4 message: HTTP status, and a description of the signal."""

    as4_message_id: str
    status: int
    receipt: bool
    answer: str
    """``receipt``, or the errors with code and detail."""
    body: bytes


@dataclass(slots=True)
class Inbox:
    """Messages that a test access point has received."""

    messages: dict[str, EnvelopeHeader] = field(default_factory=dict)
    receipts: dict[str, MessageReceipt] = field(default_factory=dict)
    """Receipts by the id of the message that each answers."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class TestAccessPoint:
    """One of the test bed's access points, with its participant."""

    __test__ = False

    def __init__(
        self,
        correspondent: Correspondent,
        keys: OrganisationKeys,
        signing: SoftwareSigningKey,
        decryption: SoftwareDecryptionKey,
        post: Post,
    ) -> None:
        self.correspondent = correspondent
        self.keys = keys
        self.inbox = Inbox()
        self._signing = signing
        self._decryption = decryption
        self._post = post
        self._answering: set[asyncio.Task[None]] = set()
        self.subject: Destination | None = None
        """Access point to which answers are sent."""

    @property
    def participant(self) -> ParticipantIdentifier:
        return self.correspondent.participant

    def application(self) -> Starlette:
        """Return the application that other access points post to."""
        return Starlette(routes=[Route(PATH, self._receive, methods=["POST"])])

    def pack(
        self, subject: Destination, envelope: Envelope, secured: timedelta | None = None, /, **changes: str
    ) -> PackedMessage:
        """Return the AS4 message for an envelope; ``changes`` put false values into its header.

        ``secured`` is the offset of its security timestamp from now; without it there is none.
        """
        header = envelope.header
        values = {
            "from_party": common_name(self._signing.certificate) or "",
            "to_party": subject.party,
            "action": header.document.action,
            "service": header.process.value,
            "service_type": header.process.scheme,
            "conversation_id": header.id,
            "original_sender": header.sender.value,
            "final_recipient": header.recipient.value,
            "message_id": new_message_id(os.urandom, _DOMAIN),
        } | changes
        now = datetime.now(UTC)
        return pack(
            user_message(AS4_1_0, timestamp=now, **values),
            envelope.data,
            signer=self._signing,
            recipient=subject.certificate,
            rng=os.urandom,
            created=None if secured is None else now + secured,
        )

    async def send(self, subject: Destination, envelope: Envelope, **changes: str) -> Sent:
        """Send an envelope and evaluate the answer."""
        message_id = changes.setdefault("message_id", new_message_id(os.urandom, _DOMAIN))
        packed = self.pack(subject, envelope, **changes)
        return await self.resend(subject, packed, message_id)

    async def resend(self, subject: Destination, packed: PackedMessage, message_id: str) -> Sent:
        """Send a message that was packed before."""
        answered = await self._post(subject.as4_address, packed.content_type, packed.body)
        valid, answer = _judged(answered, packed, message_id, subject.certificate)
        return Sent(message_id, answered.status, valid, answer, answered.body)

    async def _receive(self, request: Request) -> HttpResponse:
        now = datetime.now(UTC)
        message_id = new_message_id(os.urandom, _DOMAIN)
        try:
            received = read_message(
                request.headers.get("content-type", ""), await request.body(), self._decryption
            )
        except As4Fault as fault:
            answer = build_error(fault.as_error(), message_id=message_id, now=now, signer=self._signing)
        else:
            self._take(received.payload)
            answer = build_receipt(
                user_message=received.header.user_message,
                references=received.references,
                message_id=message_id,
                now=now,
                signer=self._signing,
            )
        return HttpResponse(answer.body, headers={"content-type": answer.content_type})

    def _take(self, data: bytes) -> None:
        """Store a receipt, or store a message and answer it (accesspoint-test-cases 4.2.1)."""
        verdict = verify(data)
        header = verdict.header
        if header is None:
            return
        if header.document_type_code.endswith("}ApplicationResponse"):
            receipt = receipts.parse(envelopes.payload_of(data))
            self.inbox.receipts[receipt.message_id] = receipt
        elif header.document_type_code.endswith("}messagePayload"):
            self.inbox.messages[header.id] = header
            self._answer(header)
        self.inbox.changed.set()
        self.inbox.changed = asyncio.Event()

    def _answer(self, header: EnvelopeHeader) -> None:
        if self.subject is None:
            return
        envelope = envelopes.receipt(header, header.federation, self.keys.signing)
        task = asyncio.create_task(self._send_answer(self.subject, envelope))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _send_answer(self, subject: Destination, envelope: Envelope) -> None:
        await self.send(subject, envelope)


def _judged(
    answered: Answered, packed: PackedMessage, message_id: str, peer: x509.Certificate
) -> tuple[bool, str]:
    try:
        signal = read_response(answered.content_type, answered.body)
    except As4Fault as fault:
        return False, f"HTTP {answered.status}, no AS4 signal ({fault.detail})"
    if isinstance(signal, ErrorSignal):
        return False, "; ".join(f"{error.code} {error.detail}" for error in signal.errors)
    verdict = verify_receipt(signal, message_id=message_id, sent=[packed.references], expected=peer)
    return verdict.valid, "receipt" if verdict.valid else f"receipt that does not hold ({verdict.reason})"
