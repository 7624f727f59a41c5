"""Interface C over HTTP: the documents both sides exchange, and the client of a message service."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping
from datetime import datetime
from typing import Any

import httpx

from samdrift.contracts.transfer import (
    InboxItem,
    Poll,
    Submission,
    TransferEvent,
    TransferReason,
    TransferRefused,
    TransferState,
    TransferUnavailable,
)
from samdrift.net.pollrequest import PollRequest

_POLL_SLACK = 15.0


def encode_submission(submission: Submission) -> dict[str, object]:
    return {"envelopeId": submission.envelope_id, "transferId": submission.transfer_id}


def encode_poll(poll: Poll) -> dict[str, object]:
    return {
        "events": [_encode_event(event) for event in poll.events],
        "inbox": [_encode_item(item) for item in poll.inbox],
    }


def decode_poll(document: Mapping[str, Any]) -> Poll:
    """The inverse of :func:`encode_poll`; ``KeyError`` or ``ValueError`` for another shape."""
    return Poll(
        tuple(_decode_event(event) for event in document["events"]),
        tuple(_decode_item(item) for item in document["inbox"]),
    )


def _encode_event(event: TransferEvent) -> dict[str, object]:
    return {
        "sequence": event.sequence,
        "at": event.at.isoformat(),
        "envelopeId": event.envelope_id,
        "transferId": event.transfer_id,
        "as4MessageId": event.as4_message_id,
        "state": event.state.value,
        "reason": event.reason.value,
        "detail": event.detail,
    }


def _decode_event(document: Mapping[str, Any]) -> TransferEvent:
    return TransferEvent(
        sequence=int(document["sequence"]),
        at=datetime.fromisoformat(document["at"]),
        envelope_id=document["envelopeId"],
        transfer_id=document["transferId"],
        as4_message_id=document["as4MessageId"],
        state=TransferState(document["state"]),
        reason=TransferReason(document["reason"]),
        detail=document["detail"],
    )


def _encode_item(item: InboxItem) -> dict[str, object]:
    return {
        "id": item.id,
        "envelopeId": item.envelope_id,
        "sender": item.sender,
        "recipient": item.recipient,
        "document": item.document,
        "conversationId": item.conversation_id,
        "as4MessageId": item.as4_message_id,
        "peer": item.peer,
        "receivedAt": item.received_at.isoformat(),
        "size": item.size,
    }


def _decode_item(document: Mapping[str, Any]) -> InboxItem:
    return InboxItem(
        id=document["id"],
        envelope_id=document["envelopeId"],
        sender=document["sender"],
        recipient=document["recipient"],
        document=document["document"],
        conversation_id=document["conversationId"],
        as4_message_id=document["as4MessageId"],
        peer=document["peer"],
        received_at=datetime.fromisoformat(document["receivedAt"]),
        size=int(document["size"]),
    )


class HttpAccessPoint:
    """An access point over interface C; ``client`` carries base address and client certificate.

    Implements :class:`samdrift.contracts.transfer.AccessPoint`.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def submit(
        self, envelope_id: str, conversation_id: str, body: bytes | AsyncIterable[bytes]
    ) -> Submission:
        response = await self._call(
            "PUT",
            f"/c/v1/envelopes/{envelope_id}",
            content=body,
            headers={"samdrift-conversation-id": conversation_id, "content-type": "application/xml"},
        )
        document = response.json()
        return Submission(document["envelopeId"], document["transferId"], response.status_code == 201)

    async def poll(self, after: int, wait: float, taken: Collection[str] = ()) -> Poll:
        response = await self._call(
            "POST",
            "/c/v1/poll",
            content=PollRequest(after, wait, tuple(taken)).encode(),
            headers={"content-type": "application/json"},
            timeout=wait + _POLL_SLACK,
        )
        return decode_poll(response.json())

    async def fetch(self, item_id: str) -> AsyncIterator[bytes]:
        try:
            async with self._client.stream("GET", f"/c/v1/inbox/{item_id}") as response:
                if response.status_code != 200:
                    raise TransferUnavailable(f"fetch: HTTP status {response.status_code}")
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.HTTPError as error:
            raise TransferUnavailable(f"fetch: {type(error).__name__}") from None

    async def acknowledge(self, item_id: str) -> None:
        await self._call("DELETE", f"/c/v1/inbox/{item_id}", gone_is_fine=True)

    async def _call(
        self, method: str, path: str, *, gone_is_fine: bool = False, **request: Any
    ) -> httpx.Response:
        try:
            response = await self._client.request(method, path, **request)
        except httpx.HTTPError as error:
            raise TransferUnavailable(f"{method}: {type(error).__name__}") from None
        if response.is_success or (gone_is_fine and response.status_code == 404):
            return response
        raise _refusal(response)


def _refusal(response: httpx.Response) -> TransferRefused | TransferUnavailable:
    """422 says that the envelope will never be taken; everything else may pass."""
    if response.status_code != 422:
        return TransferUnavailable(f"HTTP status {response.status_code}")
    try:
        document = response.json()
        return TransferRefused(TransferReason(document["title"]), str(document["detail"]))
    except (json.JSONDecodeError, KeyError, ValueError):
        return TransferRefused(TransferReason.ENVELOPE_INVALID, "refused without a reason")
