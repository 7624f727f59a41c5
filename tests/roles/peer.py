"""Another operator's access point with one organisation behind it, controlled by a test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as HttpResponse
from starlette.routing import Route

from samdrift.messageservice.outgoing.compose import Address
from samdrift.wire.as4 import (
    ErrorSignal,
    PackedMessage,
    ReceiptSignal,
    ReceivedMessage,
    Response,
    SignedReference,
    UserMessage,
    build_receipt,
    new_message_id,
    pack,
    read_message,
    read_response,
    user_message,
    verify_receipt,
)
from samdrift.wire.crypto.keys import DecryptionKey, SigningKey
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED, DocumentIdentifier
from samdrift.wire.profile import AS4_1_0, TransportProfile
from samdrift.wire.receipt import MessageReceipt
from samdrift.wire.sdkmessage import SdkMessage
from tests.roles import web
from tests.roles.letters import Envelope, enclose, letter, receipt_in
from tests.roles.member import Member, until

Respond = Callable[[ReceivedMessage], Response | int]
"""Answer of a peer: a signal, or a bare HTTP status."""
Once = Callable[["Peer", ReceivedMessage], Response | int] | int


@dataclass(frozen=True)
class Posted:
    """An AS4 message that was sent, and the answer to it."""

    message_id: str
    packed: PackedMessage
    answer: web.Answer

    def signal(self) -> ReceiptSignal | ErrorSignal:
        assert self.answer.status == 200
        return read_response(self.answer.content_type, self.answer.body)

    def is_receipt_of(self, certificate: x509.Certificate) -> bool:
        """Return whether the answer proves that the holder of ``certificate`` received the message."""
        signal = self.signal()
        if isinstance(signal, ErrorSignal):
            return False
        return verify_receipt(
            signal, message_id=self.message_id, sent=[self.packed.references], expected=certificate
        ).valid

    def errors(self) -> list[tuple[str, str]]:
        """Return codes and details of an error that came instead of a receipt."""
        signal = self.signal()
        assert isinstance(signal, ErrorSignal)
        return [(str(error.code), error.detail) for error in signal.errors]


@dataclass
class Peer:
    """An access point, known by ``party``, and the organisation that it serves."""

    party: str
    key: SigningKey
    decryption: DecryptionKey
    address: Address
    signing: SigningKey
    encryption: x509.Certificate
    tls: Any
    received: list[ReceivedMessage] = field(default_factory=list)
    respond: Respond | None = None
    """Answer to send instead of a receipt."""
    profile: TransportProfile = AS4_1_0
    """Transport profile of its messages' headers."""
    silent: bool = False
    """Flag to accept messages but never answer them."""

    # --- sending ----------------------------------------------------------------------------------------

    def letter(self, recipient: Member, **changes: Any) -> SdkMessage:
        """Return a message of the organisation."""
        return letter(self.address, recipient.address, **changes)

    def encloses(
        self, recipient: Member, document: DocumentIdentifier = SDK_MESSAGE_EXTENDED, **changes: Any
    ) -> Envelope:
        """Return a correct message of the organisation in its envelope."""
        return self.seals(self.letter(recipient, **changes), recipient, document=document)

    def seals(
        self,
        message: SdkMessage,
        recipient: Member,
        document: DocumentIdentifier = SDK_MESSAGE_EXTENDED,
        **changes: Any,
    ) -> Envelope:
        """Return a message in its envelope; ``changes`` go into the header."""
        if not document.requires_protection:
            return enclose(message, None, None, document=document, **changes)
        return enclose(message, self.signing, recipient.encryption, document=document, **changes)

    def packs(
        self, envelope: Envelope, to: Member, changes: Mapping[str, str] | None = None, *, typed: bool = True
    ) -> tuple[str, PackedMessage]:
        """Return the id and the AS4 message for an envelope.

        ``changes`` replace fields of its header; ``typed`` is whether its
        properties have a type.
        """
        now = datetime.now(UTC)
        says = {
            "message_id": new_message_id(os.urandom, "peer.test"),
            "from_party": self.party,
            "to_party": to.access_point.party,
            "action": envelope.header.document.action,
            "service": envelope.header.process.value,
            "service_type": envelope.header.process.scheme,
            "conversation_id": envelope.id,
            "original_sender": envelope.header.sender.value,
            "final_recipient": envelope.header.recipient.value,
        } | dict(changes or {})
        message = user_message(self.profile, timestamp=now, **says)
        if not typed:
            plain = tuple(replace(one, type=None) for one in message.properties)
            message = replace(message, properties=plain)
        packed = pack(
            message, envelope.data, signer=self.key, recipient=to.certificate, rng=os.urandom, created=now
        )
        return says["message_id"], packed

    async def posts(
        self, envelope: Envelope, to: Member, changes: Mapping[str, str] | None = None, *, typed: bool = True
    ) -> Posted:
        """Send any envelope over AS4."""
        message_id, packed = self.packs(envelope, to, changes, typed=typed)
        return await self.repeats(message_id, packed, to)

    async def repeats(self, message_id: str, packed: PackedMessage, to: Member) -> Posted:
        """Send the same bytes again."""
        headers = {"content-type": packed.content_type}
        answer = await web.call(self.tls, "POST", to.as4_address, packed.body, headers)
        return Posted(message_id, packed, answer)

    # --- receiving --------------------------------------------------------------------------------------

    async def takes(self, request: Request) -> HttpResponse:
        """Receive an AS4 message that was posted to it, and answer."""
        content_type = request.headers.get("content-type", "")
        message = read_message(content_type, await request.body(), self.decryption)
        self.received.append(message)
        while self.silent:
            await asyncio.sleep(0.05)
        answer = (self.respond or self.receipt)(message)
        if isinstance(answer, int):
            return HttpResponse(status_code=answer)
        return HttpResponse(answer.body, headers={"content-type": answer.content_type})

    def answers(self, *each: Once) -> None:
        """Set the answers for the first message, the second, and so on."""
        waiting = iter(each)

        def respond(message: ReceivedMessage) -> Response | int:
            once = next(waiting)
            return once if isinstance(once, int) else once(self, message)

        self.respond = respond

    def receipt(
        self,
        message: ReceivedMessage,
        *,
        about: UserMessage | None = None,
        references: Sequence[SignedReference] | None = None,
        signer: SigningKey | None = None,
    ) -> Response:
        """Return the correct receipt for a message, or one about another message or from another signer."""
        return build_receipt(
            user_message=about or message.header.user_message,
            references=message.references if references is None else references,
            message_id=new_message_id(os.urandom, "peer.test"),
            now=datetime.now(UTC),
            signer=signer or self.key,
        )

    async def message_receipts(self, message_id: str, number: int = 1) -> list[MessageReceipt]:
        """Wait for that number of message receipts for a message, and return them."""

        async def look() -> list[MessageReceipt] | None:
            found = self.receipts_so_far(message_id)
            return found if len(found) >= number else None

        return await until(look, f"{number} message receipts")

    def receipts_so_far(self, message_id: str) -> list[MessageReceipt]:
        receipts = [receipt_in(message.payload) for message in self.received]
        return [one for one in receipts if one is not None and one.message_id == message_id]

    async def gets(self, number: int = 1) -> list[ReceivedMessage]:
        """Wait for that number of AS4 messages, and return them."""

        async def look() -> list[ReceivedMessage] | None:
            return self.received if len(self.received) >= number else None

        return await until(look, f"{number} AS4 messages at the peer")


class Peers:
    """One server for many access points, each at its own path."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}

    def add(self, peer: Peer) -> str:
        """Receive for ``peer``; return the path."""
        self._peers[peer.party] = peer
        return f"/{peer.party}/as4"

    def application(self) -> Starlette:
        async def receive(request: Request) -> HttpResponse:
            return await self._peers[request.path_params["party"]].takes(request)

        return Starlette(routes=[Route("/{party}/as4", receive, methods=["POST"])])
