"""The client side of interface D: its four operations, and Samdrift's additions (api-mt-mk 3).

:class:`EventStream` parses server-sent events from bytes (HTML standard, "Server-sent events"), without I/O.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from samdrift.client.errors import (
    NotOffered,
    NotUnderstood,
    Refused,
    TooLarge,
    Unreachable,
    refusal,
    waits_for,
)
from samdrift.client.jsonstream import FileSink, JsonStream
from samdrift.client.outgoing import OutgoingMessage
from samdrift.client.tokens import Tokens
from samdrift.net.client import HttpAnswer, HttpClient, HttpFault, NoAnswer

_SMALL = 16 << 20

_LARGE = 64 << 20
"""Maximum size of an answer with message content: a message is up to 30 MB, encoded twice in Base64."""

_MAX_LIST = 1 << 30
"""Maximum size of a list, which a service without paging returns in one answer: over a million messages."""

_SILENCE = 120.0
"""Seconds that a message service may be silent, as while it prepares a large message."""

_WHOLE_ANSWER = 600.0
"""Seconds within which an answer must be complete, however steadily it arrives."""
_MAX_EVENT = 64 * 1024
_NOT_OFFERED = frozenset({400, 404, 405, 406})
"""Status codes of a message service that does not know the operation or the message."""

_MAX_EMPTY_PAGES = 3
"""Maximum number of consecutive pages without a message that still have a next page."""

_AS_IT_STANDS = "%/:=&?~+!$,;'@()*"
"""Characters that stay unescaped in a link.

Other services write ``page[after]`` without escapes, contrary to RFC 3986.
"""
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Criteria for the messages to list; empty fields are ignored (api-mt-mk 3, getMessageByFilter)."""

    status: str = ""
    sender_address: str = ""
    recipient_address: str = ""
    start: str = ""
    stop: str = ""

    def query(self) -> str:
        given = {
            "messagestatus": self.status,
            "senderAttention.subOrganization.extension": self.sender_address,
            "recipientAttention.subOrganization.extension": self.recipient_address,
            "creationDateTimeStart": self.start,
            "creationDateTimeStop": self.stop,
        }
        return urlencode({f"filter[{name}]": value for name, value in given.items() if value})


class Mailbox:
    """A message client's mailboxes at one message service.

    Every method raises :class:`~samdrift.client.errors.Refused` when the message service refuses the call,
    and :class:`~samdrift.client.errors.Unreachable` when there is no usable answer; the call may then be
    repeated.
    """

    def __init__(self, http: HttpClient, base: str, tokens: Tokens) -> None:
        """Use ``base``, the address of the API with its version, such as ``https://mt.example.se/v1``."""
        self._http = http
        self._base = base.rstrip("/")
        self._tokens = tokens

    async def send(self, message: OutgoingMessage) -> str:
        """Submit a message for sending; return its address, at which its status can be read."""
        async with self._exchange("POST", "/sdk/messages", message.pieces) as answer:
            await _read(answer, _SMALL)
            return answer.location

    async def list(self, which: Filter = Filter()) -> AsyncGenerator[Document, None]:
        """Yield messages without their content, newest first, from all pages.

        Raises :class:`~samdrift.client.errors.Unreachable` if the service keeps returning pages without
        messages, or if its pages lead back to an earlier one.

        Clauses: api-mt-mk 4.1 step 6, 4.2 step 3.
        """
        query = which.query()
        path = f"/sdk/messages?{query}" if query else "/sdk/messages"
        asked, empty = set[str](), 0
        while path:
            asked.add(path)
            found = 0
            page = JsonStream(items=True)
            try:
                async with self._exchange("GET", path) as answer:
                    async for piece in _pieces(answer, _MAX_LIST):
                        page.feed_all(piece)
                        for message in page.items():
                            found += 1
                            yield _object(message, "a message")
            except Refused as refused:
                if refused.status == 404 and (refused.explained or refused.bare) and len(asked) == 1:
                    return  # Not another server's error page, which is neither explained nor bare.
                raise
            document = _object(page.close(), "the answer")
            _require_list(document.get("data"))
            path = self._next(_object(document.get("links"), "links").get("next"))
            empty = 0 if found else empty + 1
            if path in asked or (path and empty > _MAX_EMPTY_PAGES):
                raise Unreachable("the pages of the message service do not end")

    async def get(self, message_id: str, files: FileSink | None = None) -> Document:
        """Return a message with its content, events and status.

        With ``files``, the content of each file goes there as it arrives and is left out of the document, so
        that a message of 30 MB is never held as a whole. Raises :class:`~samdrift.client.errors.Unreadable`
        if the answer is not a message; :meth:`raw` returns it unchanged, unless it is
        :class:`~samdrift.client.errors.TooLarge`.

        Clauses: api-mt-mk 4.2 step 6.
        """
        stream = JsonStream(files=files is not None)
        async with self._exchange("GET", _path_of(message_id)) as answer:
            async for piece in _message(answer):
                for part in stream.feed(piece):
                    assert files is not None
                    await files.write(part)
            return _object(_object(stream.close(), "the answer").get("data"), "data")

    async def raw(self, message_id: str) -> AsyncIterator[bytes]:
        """Yield a message as the message service writes it, unparsed, in pieces."""
        async with self._exchange("GET", _path_of(message_id)) as answer:
            async for piece in _message(answer):
                yield piece

    async def evidence(self, message_id: str, *, original: bool = False) -> AsyncIterator[bytes]:
        """Yield evidence about a message, a tar archive in pieces, together with the ``original`` if asked.

        Raises :class:`~samdrift.client.errors.NotOffered` if there is none, or if the message service is
        another supplier's, because DIGG's API has no such operation.
        """
        path = f"{_path_of(message_id)}/evidence{'?original=true' if original else ''}"
        try:
            async with self._exchange("GET", path) as answer:
                async for piece in _pieces(answer, _LARGE):
                    yield piece
        except Refused as refused:
            if refused.status in _NOT_OFFERED:
                raise NotOffered from None
            raise

    async def delete(self, message_id: str) -> None:
        """Delete a message whose exchange is over."""
        async with self._exchange("DELETE", _path_of(message_id)) as answer:
            await _read(answer, _SMALL)

    async def events(
        self,
        last_id: str = "",
        *,
        opened: Callable[[], None] = lambda: None,
        placed: Callable[[str], None] = lambda place: None,
        wait: int | None = None,
    ) -> AsyncIterator[ServerEvent]:
        """Yield events from now on, or after ``last_id``, until the connection ends.

        ``opened`` is called once the message service has accepted the call, and ``placed`` with each id from
        which reading can be resumed. If the service answers with anything else than events, this raises
        :class:`~samdrift.client.errors.Refused` with status 406. ``wait`` asks the service to send a sign of
        life at most that often, in seconds (RFC 7240 4.3); it may ignore that.
        """
        stream = EventStream()
        headers = {"accept": "text/event-stream", **({"last-event-id": last_id} if last_id else {})}
        if wait is not None:
            headers["prefer"] = f"wait={wait}"
        silence = _SILENCE if wait is None else wait + _SILENCE
        async with self._exchange("GET", "/sdk/events", headers=headers, silence=silence) as answer:
            if not answer.content_type.startswith("text/event-stream"):
                raise Refused(406, "the answer is not a stream of events")
            opened()
            async for piece in answer.pieces():
                for event in _events(stream, piece):
                    yield event
                if stream.last_id:
                    placed(stream.last_id)

    def has_token(self) -> bool:
        """Return whether there is a valid token now."""
        return self._tokens.good

    def token_left(self) -> float:
        """Return the remaining seconds of the last token."""
        return self._tokens.left

    def forget_token(self) -> None:
        """Make the next call request a new token."""
        self._tokens.forget()

    def _next(self, link: object) -> str:
        """Return the path of the next page; a link to another server is an error."""
        if not isinstance(link, str) or not link:
            return ""
        url = urljoin(f"{self._base}/sdk/messages", link)
        if not url.startswith(f"{self._base}/"):
            raise Unreachable("the link to the next page leads to another server")
        return quote(url.removeprefix(self._base), safe=_AS_IT_STANDS)

    @contextlib.asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        silence: float = _SILENCE,
    ) -> AsyncIterator[HttpAnswer]:
        """Make a call and yield its successful answer; retry once with a new token after a 401."""
        for last in (False, True):
            sent = {**(headers or {}), "authorization": f"Bearer {await self._tokens.token()}"}
            if body is not None:
                sent["content-type"] = "application/json"
            with _told():
                async with self._http.exchange(
                    method, self._base + path, body() if body else None, headers=sent, silence=silence
                ) as answer:
                    if answer.status == 401 and not last:
                        self._tokens.forget()
                        continue
                    if not 200 <= answer.status < 300:
                        raise await _refused(answer)
                    yield answer
                    return


async def _pieces(answer: HttpAnswer, most: int) -> AsyncIterator[bytes]:
    """Yield the answer as it arrives, within limits of size and of the time spent waiting."""
    waited, size = 0.0, 0
    pieces = answer.pieces()
    clock = asyncio.get_running_loop().time
    while True:
        begun = clock()
        try:
            async with asyncio.timeout(_WHOLE_ANSWER - waited):
                piece = await anext(pieces, b"")
        except TimeoutError:
            raise Unreachable("the answer of the message service does not end") from None
        waited += clock() - begun
        if not piece:
            return
        size += len(piece)
        if size > most:
            raise NoAnswer(HttpFault.TOO_LARGE)
        yield piece


async def _message(answer: HttpAnswer) -> AsyncIterator[bytes]:
    """Yield a message as it arrives; raise :class:`TooLarge` if it exceeds the size limit."""
    try:
        async for piece in _pieces(answer, _LARGE):
            yield piece
    except NoAnswer as failure:
        if failure.fault is not HttpFault.TOO_LARGE:
            raise
        raise TooLarge(_LARGE) from None


def _path_of(message_id: str) -> str:
    return f"/sdk/messages/{quote(message_id, safe='')}"


async def _refused(answer: HttpAnswer) -> Exception:
    if answer.status >= 500:
        text = f"the message service answered with HTTP status {answer.status}"
        return Unreachable(text, waits_for(await _read(answer, _SMALL)))
    return refusal(answer.status, await _read(answer, _SMALL))


async def _read(answer: HttpAnswer, most: int) -> bytes:
    """Return the whole answer, within limits of size and time."""
    try:
        async with asyncio.timeout(_WHOLE_ANSWER):
            return await answer.read(most)
    except TimeoutError:
        raise Unreachable("the answer of the message service does not end") from None


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except NoAnswer as failure:
        raise Unreachable(f"the message service gave no usable answer ({failure.words})") from None


def _object(value: object, name: str) -> Document:
    """Return a member that is an object; an empty one if it is missing."""
    if value is not None and not isinstance(value, Mapping):
        raise NotUnderstood(f"the message service answered in an unexpected form: {name} is not an object")
    return value or {}


def _require_list(value: object) -> None:
    if value is not None and not isinstance(value, list):
        raise NotUnderstood("the message service answered in an unexpected form: data is not a list")


def _events(stream: EventStream, piece: bytes) -> list[ServerEvent]:
    try:
        return list(stream.feed(piece))
    except ValueError as error:
        raise Unreachable(str(error)) from None


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its kind, its id for resuming after an interruption, and its data."""

    kind: str
    id: str
    data: str


class EventStream:
    """A parser that accepts a stream in pieces and returns complete events."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []
        self._id = ""
        self.last_id = ""
        """Id after which the stream can be resumed; that of an incomplete event does not count."""

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """Yield the events that ``piece`` completes; raise :class:`ValueError` for one that is too long."""
        *lines, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n")
        held = len(self._data) + sum(map(len, self._data))
        if held > _MAX_EVENT or max(map(len, (*lines, self._rest))) > _MAX_EVENT:
            raise ValueError("an event is larger than the limit")
        for line in lines:
            if line:
                self._field(line.decode("utf-8", "replace"))
                continue
            kind, data, self.last_id = self._kind or "message", self._data, self._id
            self._kind, self._data = "", []
            if data:
                yield ServerEvent(kind, self.last_id, "\n".join(data))

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id":
            self._id = value
