"""Our sending end for a peer, without access point, federation and TLS."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from samdrift.wire.as4 import PackedMessage, UserMessage, new_message_id, pack, user_message
from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED
from samdrift.wire.profile import AS4_1_0
from tests.interop.java.program import JavaProgram
from tests.pki import Certified

OUR_NAME, THEIR_NAME = "AP0001-SDK-TEST", "AP0002-SDK-TEST"


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP response of a peer."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running peer and the address at which it receives."""

    program: JavaProgram
    address: str

    def posted(self, content_type: str, body: bytes) -> Answer:
        """Post a message and return the response, even if it is an HTTP error."""
        request = urllib.request.Request(self.address, body, {"Content-Type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers["Content-Type"], answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers["Content-Type"], error.read())

    def received(self) -> list[dict[str, Any]]:
        """Return the messages that the peer has accepted since the last call."""
        received: list[dict[str, Any]] = self.program.call("received")["received"]
        return received


def message() -> UserMessage:
    """Return the header of a message from us to them, with a new id."""
    return user_message(
        AS4_1_0,
        message_id=new_message_id(os.urandom, "ap.example"),
        timestamp=datetime.now(UTC),
        from_party=OUR_NAME,
        to_party=THEIR_NAME,
        action=SDK_MESSAGE_EXTENDED.action,
        service=NO_PROCESS.value,
        service_type=NO_PROCESS.scheme,
        conversation_id="conversation-åäö",
        original_sender="0203:sender.example",
        final_recipient="0203:receiver.example",
    )


def pack_message(
    header: UserMessage,
    payload: bytes,
    ours: Certified,
    theirs: Certified,
    created: datetime | None = None,
) -> PackedMessage:
    """Sign and encrypt a message, with a ``wsu:Timestamp`` if ``created`` is given."""
    return pack(
        header,
        payload,
        signer=ours.signing_key(),
        recipient=theirs.certificate,
        rng=os.urandom,
        created=created,
    )
