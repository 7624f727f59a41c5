"""The largest messages through interface D: 30 MB and no byte more (content-specification 5.3 row 4)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.interface_d import contract
from samdrift.messageservice.interface_d.drafting import draft
from samdrift.wire import sdkmessage
from tests.roles.messageclient import document, issues, text_document
from tests.roles.stage import Stage
from tests.sizes import whole

_ID = "19c7e876-ef6f-4fb0-bccb-e93e3ab6e6%02d"


def of_size(stage: Stage, message_id: str, size: int) -> dict[str, Any]:
    """Return a message whose XML has that many bytes."""

    def made(text: str, file: bytes) -> dict[str, Any]:
        return document(
            stage.habo.address,
            stage.agency.address,
            messageId=message_id,
            creationDateTime="2024-05-06T07:08:09.123Z",
            digitalDocument=[text_document(text, ("stor.pdf", file))],
        )

    file = b"%PDF-1.7" + os.urandom((size - 100_000) // 4 * 3)
    data = contract.check(made("x", file))["data"]
    prepared = sdkmessage.prepare(draft(data, message_id=message_id, conversation_id=message_id, created=""))
    return made("x" * (1 + size - prepared.size), file)


@whole
async def test_30_mb_from_client_to_client(stage: Stage) -> None:
    sender, recipient = stage.client(stage.habo), stage.client(stage.agency)
    message_id = _ID % 1
    sent = of_size(stage, message_id, sdkmessage.MAX_BYTES)
    assert await sender.sends(sent) == message_id
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    assert await stage.agency.ends(message_id, Direction.IN) is MessageStatus.NEW
    record = await stage.habo.record(message_id, Direction.OUT)
    assert record is not None
    assert record.size == sdkmessage.MAX_BYTES
    (fetched,) = (await recipient.reads(message_id))["digitalDocument"]
    (original,) = sent["data"]["attributes"]["digitalDocument"]
    assert fetched["contentTextBody"] == original["contentTextBody"]
    assert digests(fetched) == digests(original)


def digests(members: dict[str, Any]) -> list[bytes]:
    """Return digests of the files in a document, so that a failure does not print the files."""
    return [
        hashlib.sha256(base64.b64decode(one["content"], validate=True)).digest()
        for one in members["contentFiles"]
    ]


async def test_one_byte_more_is_refused_with_too_long(stage: Stage) -> None:
    sent = of_size(stage, _ID % 2, sdkmessage.MAX_BYTES + 1)
    answer = await stage.client(stage.habo).post(json.dumps(sent).encode())
    assert issues(answer) == [("BV", "too-long", "NA")]
    assert await stage.habo.record(_ID % 2, Direction.OUT) is None
