"""Our receiving end for a peer's messages, without access point, federation and TLS."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as HttpResponse
from starlette.routing import Route

from samdrift.net.server import listening_socket, serving
from samdrift.wire.as4 import (
    EbmsError,
    EbmsErrorCode,
    ReceivedMessage,
    Response,
    build_error,
    build_receipt,
    new_message_id,
    read_message,
)
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey
from tests.pki import Authority, Certified, key, root

_LIFETIME = timedelta(days=1)


def certified(name: str, number: int, authority: Authority | None = None) -> Certified:
    """Return a key and its certificate, currently valid because peers judge by their own clock.

    The issuer is the test root, or ``authority`` if given.
    """
    now = datetime.now(UTC)
    return (authority or root("Test root", 0)).issue(
        name, private_key=key(number), not_before=now - _LIFETIME, not_after=now + _LIFETIME
    )


@dataclass
class Listener:
    """An address that keeps the received message and responds to it."""

    ours: Certified
    answer: Literal["receipt", "short", "error"] = "receipt"
    """A receipt for all signed parts, a receipt for fewer of them, or the error ``NOT_SERVICED``."""
    signer: Certified | None = None
    """Signer of the response; ``ours`` by default."""
    content_type: str = ""
    body: bytes = b""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen during the context, and yield the address."""
        socket = listening_socket("127.0.0.1")
        async with serving(Starlette(routes=[Route("/as4", self._take, methods=["POST"])]), socket):
            yield f"http://127.0.0.1:{socket.getsockname()[1]}/as4"

    def received(self) -> ReceivedMessage:
        """Return the received message, verified and decrypted."""
        decryption = SoftwareDecryptionKey(self.ours.private_key, self.ours.certificate)
        return read_message(self.content_type, self.body, decryption)

    async def _take(self, request: Request) -> HttpResponse:
        self.content_type, self.body = request.headers["content-type"], await request.body()
        answer = self._error() if self.answer == "error" else self._receipt()
        return HttpResponse(answer.body, media_type=answer.content_type)

    def _receipt(self) -> Response:
        received = self.received()
        references = received.references if self.answer == "receipt" else received.references[:2]
        return build_receipt(
            user_message=received.header.user_message,
            references=references,
            message_id=new_message_id(os.urandom, "ap.example"),
            now=datetime.now(UTC),
            signer=(self.signer or self.ours).signing_key(),
        )

    def _error(self) -> Response:
        error = EbmsError.of(
            EbmsErrorCode.OTHER, "NOT_SERVICED", self.received().header.user_message.message_id
        )
        return build_error(
            error,
            message_id="error-1@ap.example",
            now=datetime.now(UTC),
            signer=(self.signer or self.ours).signing_key(),
        )
