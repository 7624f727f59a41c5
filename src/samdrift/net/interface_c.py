"""Interface C over HTTP: the documents that both sides exchange, and the message service's client."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from samdrift.contracts.hold import Hold
from samdrift.contracts.transfer import (
    OVER_A_NETWORK,
    InboxItem,
    Poll,
    Submission,
    TransferEvent,
    TransferReason,
    TransferRefused,
    TransferState,
    TransferUnavailable,
)
from samdrift.net.client import HttpClient, NoAnswer

T = TypeVar("T")

_POLL_SLACK = 15.0
_PIECE = 256 << 10
_MAX_ANSWER = 16 << 20
"""Maximum bytes of a response that is not an envelope."""
_SMALL = 128 << 10
"""Maximum bytes of an envelope that is requested together with the news of it."""
ENVELOPES = "samdrift-envelopes"
"""Poll header with the size in bytes of the largest envelope to include in the response.

It is a header because access points reject a poll with unknown members, but ignore an unknown header.
"""
_OTHER_SHAPE = (KeyError, TypeError, ValueError, OverflowError, RecursionError)
"""Exceptions that reading a document of an unexpected form may raise."""


def encode_submission(submission: Submission) -> dict[str, object]:
    return {"envelopeId": submission.envelope_id, "transferId": submission.transfer_id}


def encode_poll(poll: Poll) -> dict[str, object]:
    return {
        "events": [_encode_event(event) for event in poll.events],
        "inbox": [_encode_item(item) for item in poll.inbox],
    }


def decode_poll(document: Mapping[str, Any]) -> Poll:
    """Decode the output of :func:`encode_poll`; raise ``KeyError`` or ``ValueError`` for another form."""
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
        **({} if item.envelope is None else {"envelope": b64encode(item.envelope).decode()}),
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
        envelope=b64decode(document["envelope"], validate=True) if "envelope" in document else None,
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """A whole response with a JSON document."""

    status: int
    body: bytes

    def read(self, decode: Callable[[Mapping[str, Any]], T]) -> T:
        try:
            return decode(json.loads(self.body))
        except _OTHER_SHAPE:
            raise TransferUnavailable("a response of unexpected form") from None


class HttpAccessPoint:
    """Client for an access point's interface C at ``base``; ``client`` holds the client certificate.

    Implements :class:`samdrift.contracts.transfer.AccessPoint`.
    """

    def __init__(self, client: HttpClient, base: str, longest_wait: float = OVER_A_NETWORK) -> None:
        self._client = client
        self._base = base.rstrip("/") + "/c/v1"
        self.longest_wait = longest_wait

    async def submit(
        self, envelope_id: str, conversation_id: str, body: bytes | AsyncIterable[bytes]
    ) -> Submission:
        length = None
        if isinstance(body, bytes):
            body, length = (_pieces(body), len(body)) if len(body) > _PIECE else (body, None)
        answer = await self._call(
            "PUT",
            f"/envelopes/{envelope_id}",
            body,
            length=length,
            headers={"samdrift-conversation-id": conversation_id, "content-type": "application/xml"},
        )
        new = answer.status == 201
        return answer.read(lambda document: Submission(document["envelopeId"], document["transferId"], new))

    async def poll(self, after: int, wait: float, taken: Collection[str] = (), past: str = "") -> Poll:
        answer = await self._call(
            "POST",
            "/poll",
            PollRequest(after, wait, tuple(taken), past).encode(),
            headers={"content-type": "application/json", ENVELOPES: str(_SMALL)},
            silence=wait + _POLL_SLACK,
        )
        return answer.read(decode_poll)

    async def fetch(self, item_id: str) -> AsyncGenerator[bytes, None]:
        try:
            async with self._client.exchange("GET", f"{self._base}/inbox/{item_id}") as answer:
                if answer.status != 200:
                    raise _unavailable(_Answer(answer.status, await answer.read(_MAX_ANSWER)), "fetch: ")
                async for piece in answer.pieces():
                    yield piece
        except NoAnswer as failure:
            raise TransferUnavailable(f"fetch: {failure.words}") from None

    async def acknowledge(self, item_id: str) -> None:
        await self._call("DELETE", f"/inbox/{item_id}", gone_is_fine=True)

    async def _call(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterable[bytes] | None = None,
        *,
        length: int | None = None,
        headers: Mapping[str, str] | None = None,
        silence: float | None = None,
        gone_is_fine: bool = False,
    ) -> _Answer:
        try:
            async with self._client.exchange(
                method, self._base + path, body, length=length, headers=headers, silence=silence
            ) as response:
                answer = _Answer(response.status, await response.read(_MAX_ANSWER))
        except NoAnswer as failure:
            raise TransferUnavailable(f"{method}: {failure.words}") from None
        if 200 <= answer.status < 300 or (gone_is_fine and answer.status == 404):
            return answer
        raise _refusal(answer)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """Yield a large body piece by piece: TLS would otherwise hold three copies of it in memory."""
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


def _refusal(answer: _Answer) -> TransferRefused | TransferUnavailable:
    """Return the error for a response: 422 is a final refusal of the envelope, any other may be temporary."""
    if answer.status != 422:
        return _unavailable(answer)
    try:
        document = json.loads(answer.body)
        return TransferRefused(TransferReason(document["title"]), str(document["detail"]))
    except _OTHER_SHAPE:
        return TransferRefused(TransferReason.ENVELOPE_INVALID, "refused without a reason")


def _unavailable(answer: _Answer, what: str = "") -> TransferUnavailable:
    """Return the error for a failure that may pass; from the body only a database outage is read."""
    text = f"{what}HTTP status {answer.status}"
    try:
        waits_for = json.loads(answer.body)["waitsFor"]
    except _OTHER_SHAPE:
        waits_for = ""
    if waits_for != Hold.DATABASE:
        return TransferUnavailable(text)
    return TransferUnavailable(f"{text}: it waits for its database or object store", Hold.DATABASE)


_MAX_TAKEN = 200
_ITEM_ID = re.compile(r"[0-9A-Za-z-]{1,128}")


@dataclass(frozen=True, slots=True)
class PollRequest:
    """A poll: events after a sequence number, seconds to wait for news, and items that the caller has stored.

    ``past`` is the item after which the inbox begins; empty for the whole inbox.
    """

    after: int
    wait: float
    taken: tuple[str, ...] = ()
    past: str = ""

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


_MEMBERS = {field.name for field in fields(PollRequest)}


def decode_poll_request(data: bytes) -> PollRequest:
    """Parse a poll strictly; ``ValueError`` states what is wrong with it."""
    try:
        document = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError("a poll is a JSON document") from None
    if not isinstance(document, dict) or not document.keys() <= _MEMBERS:
        raise ValueError("a poll is a JSON object with after, wait, taken and past")
    return PollRequest(
        _number(document.get("after", 0), "after", 2**62),
        _number(document.get("wait", 0), "wait", 3600),
        _taken(document.get("taken", [])),
        _past(document.get("past", "")),
    )


def decode_envelopes(header: str | None) -> int:
    """Parse the header :data:`ENVELOPES` of a poll, 0 if absent; ``ValueError`` if it is not a number."""
    if header is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,12}", header, re.ASCII):
        raise ValueError(f"{ENVELOPES} is a whole number of bytes")
    return int(header)


def _number(value: Any, name: str, most: int) -> int:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    if not whole or not 0 <= value <= most:
        raise ValueError(f"{name} is a whole number from 0 to {most}")
    return int(value)


def _taken(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MAX_TAKEN:
        raise ValueError(f"taken is a list of at most {_MAX_TAKEN} item ids")
    if not all(map(_is_item_id, value)):
        raise ValueError("taken contains an invalid item id")
    return tuple(value)


def _past(value: Any) -> str:
    if value != "" and not _is_item_id(value):
        raise ValueError("past is an item id, or empty")
    return str(value)


def _is_item_id(value: Any) -> bool:
    return isinstance(value, str) and _ITEM_ID.fullmatch(value) is not None
