"""The web-service plugin of a Domibus, called over HTTPS, with one method for each operation."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from samdrift.contracts.transfer import TransferUnavailable
from samdrift.domibus import wire as domibus
from samdrift.domibus.wire import (
    AnswerReader,
    ErrorEntry,
    IncomingMessage,
    MessageStatus,
    OutgoingMessage,
    PluginFault,
)
from samdrift.net.client import HttpAnswer, HttpClient, NoAnswer
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element

T = TypeVar("T")

_ANSWERED = (200, 500)
"""Status codes of an answer; a SOAP fault has status 500 (SOAP 1.2 part 2, 7.5.2.2)."""

_SMALL = 256 << 10
"""Number of bytes of an unwanted payload that are read before the connection is dropped instead."""

_LARGEST_ANSWER = 16 << 20
"""Maximum size of an answer without a payload."""

_LARGEST_MESSAGE = 256 << 20
"""Maximum size of an answer with one: the largest accepted envelope in Base64, and its header."""

_LONGEST_ANSWER = 300.0
_LONGEST_MESSAGE = 3600.0
"""Seconds within which a message must be complete, however steadily it arrives."""

_SOAP = "application/soap+xml; charset=UTF-8"


class PluginRefused(Exception):
    """The plugin answered with a fault."""

    def __init__(self, fault: PluginFault) -> None:
        super().__init__(fault.code)
        self.fault = fault


class PluginUnclear(TransferUnavailable):
    """The plugin's answer had an unexpected structure or value."""


@dataclass(frozen=True, slots=True)
class Login:
    """A plugin user of Domibus; the password file is read for each call, so that it can be replaced."""

    user: str
    password_file: Path

    def header(self) -> dict[str, str]:
        """Return the credentials (RFC 7617).

        Raises :class:`TransferUnavailable` if the password file cannot be read.
        """
        try:
            password = self.password_file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise TransferUnavailable(f"the password file cannot be read ({type(error).__name__})") from None
        credentials = base64.b64encode(f"{self.user}:{password}".encode()).decode("ascii")
        return {"authorization": f"Basic {credentials}"}


class Retrieved:
    """A message whose header has arrived; its payload can be read until the call ends."""

    def __init__(self, message: IncomingMessage, body: AsyncIterator[bytes]) -> None:
        self.message = message
        self._body = body

    def payload(self) -> AsyncIterator[bytes]:
        """Return the envelope in pieces; raises the errors of :meth:`Plugin.retrieve`."""
        return self._body

    async def pass_over(self) -> None:
        """Skip the payload; a small one is read to its end, which avoids a broken connection."""
        passed = 0
        async for piece in self._body:
            passed += len(piece)
            if passed > _SMALL:
                return


class Plugin:
    """Access to one Domibus as one plugin user.

    Every method raises :class:`PluginRefused` for a fault, and :class:`TransferUnavailable` for anything else
    than the specified answer.
    """

    def __init__(self, client: HttpClient, url: str, login: Login | None) -> None:
        """Call the plugin at ``url``; without ``login`` the client's certificate identifies us."""
        self._client = client
        self._url = url
        self._login = login

    async def submit(self, message: OutgoingMessage, pieces: AsyncIterator[bytes], size: int | None) -> str:
        """Submit an envelope of ``size`` bytes, if known; return the message's id in Domibus."""
        frame = domibus.framing(domibus.submit(message), f"samdrift-{secrets.token_hex(16)}")

        async def body() -> AsyncIterator[bytes]:
            yield frame.before
            async for piece in pieces:
                yield piece
            yield frame.after

        length = None if size is None else len(frame.before) + size + len(frame.after)
        async with self._exchange("submit", frame.content_type, body(), length) as answer:
            return await _whole("submit", answer, domibus.submitted)

    async def pending(self, recipient: str) -> tuple[str, ...]:
        """Return the ids of the messages that wait for ``recipient``, oldest first.

        The recipient is sent only when no plugin user logs in: for a known user, Domibus lists only the
        messages of the user's organisation.
        """
        request = domibus.list_pending() if self._login else domibus.list_pending(recipient)
        return await self._ask("list", request, domibus.pending)

    async def status(self, message_id: str) -> MessageStatus:
        """Return the status of a submitted message."""
        return await self._ask("status", domibus.ask_status(message_id), domibus.status)

    async def errors(self, message_id: str) -> tuple[ErrorEntry, ...]:
        """Return the errors of a submitted message, in any order."""
        try:
            return await self._ask("errors", domibus.ask_errors(message_id), domibus.errors)
        except PluginRefused:  # This Domibus has both sent and received the message.
            return await self._ask("errors", domibus.ask_own_errors(message_id), domibus.errors)

    async def mark_downloaded(self, message_id: str) -> None:
        """Acknowledge to Domibus that a message is stored here."""
        await self._ask("mark", domibus.mark_downloaded(message_id), domibus.marked)

    @contextlib.asynccontextmanager
    async def retrieve(self, message_id: str) -> AsyncIterator[Retrieved]:
        """Yield a message as it arrives; it stays in Domibus.

        A message that cannot be used raises :class:`WireError`, here or while its payload is read, with the
        fault.
        """
        async with self._exchange("retrieve", _SOAP, domibus.retrieve(message_id)) as answer:
            reader = AnswerReader(answer.content_type)
            limits = _Limits(_LARGEST_MESSAGE, _LONGEST_MESSAGE)
            async with contextlib.aclosing(_payload(answer, reader, limits)) as body:
                first = await anext(body, None)
                if first is None and (fault := domibus.fault(reader.envelope)) is not None:
                    raise PluginRefused(fault)
                if reader.header is None:
                    raise WireError(WireFault.STRUCTURE, "no header before the payload")
                yield Retrieved(domibus.incoming_message(reader.header), _resumed(first, body))

    async def _ask(self, what: str, request: bytes, read: Callable[[Element], T]) -> T:
        async with self._exchange(what, _SOAP, request, len(request)) as answer:
            return await _whole(what, answer, read)

    @contextlib.asynccontextmanager
    async def _exchange(
        self, what: str, content_type: str, body: bytes | AsyncIterator[bytes], length: int | None = None
    ) -> AsyncIterator[HttpAnswer]:
        headers = {"content-type": content_type, **(self._login.header() if self._login else {})}
        try:
            async with self._client.exchange(
                "POST", self._url, body, length=length, headers=headers
            ) as answer:
                if answer.status not in _ANSWERED:
                    raise TransferUnavailable(f"{what}: HTTP status {answer.status}")
                yield answer
        except NoAnswer as failure:
            raise TransferUnavailable(f"{what}: {failure.kind}") from None


async def _whole(what: str, answer: HttpAnswer, read: Callable[[Element], T]) -> T:
    """Return the value of an answer without a payload."""
    try:
        reader = AnswerReader(answer.content_type)
        async for _ in _payload(answer, reader, _Limits(_LARGEST_ANSWER, _LONGEST_ANSWER)):
            pass
        fault = domibus.fault(reader.envelope)
        if fault is None:
            return read(reader.envelope)
    except WireError as error:
        raise PluginUnclear(f"{what}: a response of unexpected form: {error.text}") from None
    raise PluginRefused(fault)


@dataclass(frozen=True, slots=True)
class _Limits:
    """Limits of one answer."""

    size: int
    seconds: float


async def _payload(answer: HttpAnswer, reader: AnswerReader, limits: _Limits) -> AsyncGenerator[bytes, None]:
    """Yield the payload in an answer; at its end, the rest of the answer has been read as well.

    An answer beyond ``limits`` raises :class:`WireError`, since another attempt would exceed them again.
    """
    clock, size = asyncio.get_running_loop().time, 0
    end = clock() + limits.seconds
    async for data in answer.pieces():
        size += len(data)
        if size > limits.size:
            raise WireError(WireFault.TOO_LARGE, f"a response of more than {limits.size} bytes")
        if clock() > end:
            raise WireError(WireFault.TOO_LARGE, f"an answer of more than {limits.seconds:.0f} seconds")
        for piece in reader.feed(data):
            yield piece
    for piece in reader.feed(b""):
        yield piece


async def _resumed(first: bytes | None, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first is not None:
        yield first
    async for piece in rest:
        yield piece
