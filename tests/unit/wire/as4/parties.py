"""Two access points and the messages that they exchange, for the tests of AS4."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

from samdrift.wire.as4 import PackedMessage, UserMessage, pack, user_message
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey
from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED
from samdrift.wire.profile import AS4_1_0
from tests.pki import Certified, key, root

NOW = datetime(2026, 3, 2, 12, 0, 0, 123_000, tzinfo=UTC)
PAYLOAD = b"<x:XHE xmlns:x='urn:x'>" + base64.b64encode(random.Random(1).randbytes(6000)) + b"</x:XHE>"


@cache
def sender() -> Certified:
    return root("Root", 0).issue("AP0001-SDK-TEST", private_key=key(1))


@cache
def receiver() -> Certified:
    return root("Root", 0).issue("AP0002-SDK-TEST", private_key=key(2))


@cache
def stranger() -> Certified:
    return root("Root", 0).issue("AP0003-SDK-TEST", private_key=key(3))


def decryption(identity: Certified) -> SoftwareDecryptionKey:
    return SoftwareDecryptionKey(identity.private_key, identity.certificate)


def seeded(seed: int = 1) -> Callable[[int], bytes]:
    """Return a source of random bytes that are the same in every run."""
    return random.Random(seed).randbytes


def message(message_id: str = "m-1@ap.example") -> UserMessage:
    return user_message(
        AS4_1_0,
        message_id=message_id,
        timestamp=NOW,
        from_party="AP0001-SDK-TEST",
        to_party="AP0002-SDK-TEST",
        action=SDK_MESSAGE_EXTENDED.action,
        service=NO_PROCESS.value,
        service_type=NO_PROCESS.scheme,
        conversation_id="conversation-1",
        original_sender="0203:sender.example",
        final_recipient="0203:receiver.example",
    )


def packed(
    payload: bytes = PAYLOAD,
    *,
    header: UserMessage | None = None,
    seed: int = 1,
    created: datetime | None = NOW,
) -> PackedMessage:
    """Return a message from a peer that signs a timestamp; if ``created`` is None, as we send it."""
    return pack(
        header or message(),
        payload,
        signer=sender().signing_key(),
        recipient=receiver().certificate,
        rng=seeded(seed),
        created=created,
    )
