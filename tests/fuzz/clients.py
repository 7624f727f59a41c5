"""Judges of data that message clients send and read over interface D: requests, forms, tokens, messages."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from samdrift.client.errors import InterfaceError
from samdrift.client.jsonstream import FilePlace, JsonStream
from samdrift.messageservice.interface_d import contract, filters, json
from samdrift.messageservice.interface_d.drafting import draft, own_id
from samdrift.messageservice.interface_d.problems import Refused
from samdrift.messageservice.oauth.issuing import OAuthError, TokenRequest
from samdrift.wire import sdkmessage
from samdrift.wire.errors import WireError
from samdrift.wire.filetypes import detect
from samdrift.wire.jose.jwt import JwtInvalid, UnverifiedJwt
from samdrift.wire.sdkmessage import SdkMessage
from tests.fuzz.pieces import cut, whole
from tests.unit.wire.sdkmessage.samples import MESSAGE_ID

T = TypeVar("T")


def request(data: bytes) -> None:
    """A message to send is read the same in pieces or refused; if it can be built, it keeps its documents."""
    message = _drafted(data, in_pieces=False)
    assert message == _drafted(data, in_pieces=True), "the result depends on how the input is split"
    if message is None:
        return
    try:
        written = sdkmessage.build(message)
    except WireError:
        return
    assert sdkmessage.parse(written).documents == message.documents, "the built message has other documents"


def _drafted(data: bytes, *, in_pieces: bool) -> SdkMessage | None:
    async def stream() -> AsyncIterator[bytes]:
        for piece in cut(data) if in_pieces else whole(data):
            yield piece

    try:
        members = contract.check(_done(json.read(stream())))["data"]
        own_id(members)
        return draft(
            members, message_id=MESSAGE_ID, conversation_id=MESSAGE_ID, created="2026-03-02T12:00:00.000Z"
        )
    except Refused:
        return None


def fetched(data: bytes) -> None:
    """A message that a client fetches is read the same in pieces, or fails in the same way."""
    assert _fetched(whole(data)) == _fetched(cut(data)), "the result depends on how the input is split"


def _fetched(pieces: Iterable[bytes]) -> tuple[object, dict[FilePlace, bytes]] | type[InterfaceError]:
    stream, files = JsonStream(files=True), dict[FilePlace, bytes]()
    try:
        for piece in pieces:
            for part in stream.feed(piece):
                files[part.place] = files.get(part.place, b"") + (part.data or b"")
        return stream.close(), files
    except InterfaceError as error:
        return type(error)


def _done(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never has to wait."""
    try:
        work.send(None)
    except StopIteration as ended:
        found: T = ended.value
        return found
    raise AssertionError("it wants to wait")


def token(data: bytes) -> None:
    """A token, a token request and a query are each read or refused."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(JwtInvalid):
        UnverifiedJwt.read(text).verified((), types=())
    with contextlib.suppress(OAuthError):
        TokenRequest.read(data)
    with contextlib.suppress(Refused):
        filters.read(parse_qsl(data.decode("latin-1"), keep_blank_values=True))


def file(data: bytes) -> None:
    """The type of every attachment can be detected."""
    detect(data)
