"""The HTTP client for all calls to other systems.

The addresses that are called come from outside (DNS, service metadata, certificates). So redirects are never
followed, no proxy, credentials or cookies are used, nothing is decompressed, and only permitted addresses are
connected to. The caller decides how much of a response is read: :func:`fetch` and :func:`post` read whole
responses within limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from samdrift.contracts.errors import Temporary
from samdrift.net.addresses import AddressForbidden, Permits, PermittedAddresses, any_address, is_public
from samdrift.net.tls import TlsContext, client_tls
from samdrift.wire.errors import WireError
from samdrift.wire.webaddress import web_address

_KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept for the next exchange."""

_HEADERS = {"user-agent": "samdrift", "accept-encoding": "identity"}


class HttpFault(StrEnum):
    """Reasons why there is no usable response."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TOO_LARGE = "too-large"
    FORBIDDEN = "forbidden"
    ENCODED = "encoded"


class Watch(Protocol):
    """A callback that is notified whether a service responded, and if not, why."""

    def __call__(self, service: str, at: str, reason: str, began: datetime | None = None, /) -> None:
        """Record a call to a kind of ``service`` on the host ``at``; an empty ``reason`` means success.

        ``began`` is the start of the call: a failure is ignored if a later call got a response.
        """


def unwatched(service: str, at: str, reason: str, began: datetime | None = None) -> None:
    """Ignore the notification."""


class NoAnswer(Exception):
    """No usable HTTP response; neither the text nor ``kind`` contains an address or content."""

    def __init__(self, fault: HttpFault, kind: str = "") -> None:
        """Store the fault; ``kind`` names the cause for the operator."""
        super().__init__(fault.value)
        self.fault = fault
        self.kind = kind or fault.value

    @property
    def words(self) -> str:
        """Description of the fault for health reports and the log."""
        told = "no answer in time" if self.fault is HttpFault.TIMEOUT else self.fault.value
        return told if self.kind == self.fault.value else f"{told} ({self.kind})"


class Response(Protocol):
    """A response that is being received, as a transport provides it."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields, with case-insensitive lookup."""

    def ready(self) -> bytes | None:
        """Return the data that has arrived, empty at the end; ``None`` if the caller must wait for more."""

    async def piece(self) -> bytes:
        """Wait for the next piece of the body; empty at its end."""

    def close(self) -> None:
        """Discard the part of the body that has not been read."""


class Transport(Protocol):
    """The channel that requests are sent and responses received on.

    Errors are raised as aiohttp raises them, or as an :class:`OSError`.
    """

    async def request(
        self,
        method: str,
        url: str,
        body: bytes | AsyncIterable[bytes] | None,
        headers: Mapping[str, str] | None,
    ) -> Response:
        """Send a request, and return the response as soon as its head has arrived."""

    async def aclose(self) -> None:
        """Abort all exchanges in progress."""


class HttpAnswer:
    """A response whose head has arrived; its body can be read until the exchange ends."""

    def __init__(self, response: Response, silence: float) -> None:
        self._response = response
        self._silence = silence
        self.status = response.status

    @property
    def content_type(self) -> str:
        """The ``Content-Type`` header as received; empty if there is none."""
        return self._response.headers.get("content-type", "")

    @property
    def location(self) -> str:
        """The ``Location`` header as received; empty if there is none. It is never followed."""
        return self._response.headers.get("location", "")

    @property
    def encoded(self) -> bool:
        """True if the body has a content coding, which was not requested and could expand to any size."""
        return self._response.headers.get("content-encoding", "identity").lower() != "identity"

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; raise :class:`NoAnswer` if the connection breaks."""
        while piece := await self._piece():
            yield piece

    async def read(self, most: int) -> bytes:
        """Return the whole body; raise :class:`NoAnswer` if it exceeds ``most`` bytes or breaks off."""
        body = bytearray()
        while piece := await self._piece():
            body += piece
            if len(body) > most:
                raise NoAnswer(HttpFault.TOO_LARGE)
        return bytes(body)

    async def _piece(self) -> bytes:
        with _typed():
            ready = self._response.ready()
            if ready is not None:
                return ready
            async with asyncio.timeout(self._silence):
                return await self._response.piece()


class _NetworkResponse:
    """A response received over the network."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    def ready(self) -> bytes | None:
        content = self._response.content
        return content.read_nowait() if content.is_eof() else None

    async def piece(self) -> bytes:
        return await self._response.content.readany()

    def close(self) -> None:
        self._response.close()  # Keeps the connection in the pool if the response was read to its end.


class Network:
    """Pooled connections to other systems, over TLS that is updated when its files change.

    A connection belongs to the TLS context that it was made under. When the files change, new exchanges use
    new connections, exchanges in progress finish on their old ones, and idle old connections time out.
    """

    def __init__(
        self, tls: TlsContext, permits: Permits, *, connections: int, server_name: str | None = None
    ) -> None:
        """Create a pool of at most ``connections`` simultaneous connections.

        ``server_name`` is the name in the certificates of all servers, if it is not the host in the address.
        """
        self._tls = tls
        self._server_name = server_name
        addresses = PermittedAddresses(permits)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=connections,
                keepalive_timeout=_KEEP_ALIVE,
                resolver=addresses,
                socket_factory=addresses.socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            headers=_HEADERS,
            auto_decompress=False,
            trust_env=False,
        )

    async def request(
        self,
        method: str,
        url: str,
        body: bytes | AsyncIterable[bytes] | None,
        headers: Mapping[str, str] | None,
    ) -> Response:
        response = await self._session.request(
            method,
            URL(web_address(url, "url"), encoded=True),
            data=body,
            headers=headers,
            ssl=self._tls.current(),
            server_hostname=self._server_name,
            allow_redirects=False,
        )
        return _NetworkResponse(response)

    async def aclose(self) -> None:
        """Close all connections, including those in use."""
        await self._session.close()


class HttpClient:
    """HTTP exchanges with other systems over a transport; its owner must close it."""

    def __init__(self, transport: Transport, *, silence: float) -> None:
        """Use ``transport``; a peer may stay silent for at most ``silence`` seconds."""
        self._transport = transport
        self._silence = silence

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Abort all exchanges in progress."""
        await self._transport.aclose()

    @contextlib.asynccontextmanager
    async def exchange(
        self,
        method: str,
        url: str,
        body: bytes | AsyncIterable[bytes] | None = None,
        *,
        length: int | None = None,
        headers: Mapping[str, str] | None = None,
        silence: float | None = None,
    ) -> AsyncIterator[HttpAnswer]:
        """Send a request, and yield the response as soon as its head has arrived, or raise :class:`NoAnswer`.

        A body in pieces has ``length`` bytes; without a length it is sent in chunked coding. Exceptions from
        the iterator of such a body propagate unchanged.
        """
        patience = _Patience(silence or self._silence)
        outgoing = None
        if body is not None and not isinstance(body, bytes):
            body = outgoing = _RequestBody(body, length, patience.renew)
            headers = {**(headers or {}), **outgoing.headers}
        try:
            with _typed():
                async with patience:
                    response = await self._transport.request(method, url, body, headers)
        except NoAnswer:
            if outgoing is not None and outgoing.failure is not None:
                raise outgoing.failure from None
            raise
        try:
            yield HttpAnswer(response, silence or self._silence)
        finally:
            response.close()


_CONNECTING = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)
_BREAKING = (errno.ECONNRESET, errno.EPIPE)
_OTHER_NAME = "names another host"
_DISTRUST = {9: "is not valid yet", 10: "has expired", 62: _OTHER_NAME, 64: _OTHER_NAME}
"""Faults of a server's certificate in words, by OpenSSL's code (X509_V_ERR_…)."""


def host_of(url: str) -> str:
    """Return the host of a URL, as health reports name it; empty if the URL may not be called."""
    try:
        return urlsplit(web_address(url, "url")).hostname or ""
    except WireError:
        return ""


def no_connection(error: OSError) -> str:
    """Return why a connection failed: the system's message for common errors, or the exception type."""
    number = error.errno
    return os.strerror(number).lower() if number in _CONNECTING + _BREAKING else type(error).__name__


def _connecting(error: aiohttp.ClientConnectorError) -> str:
    """Return why aiohttp could not connect; it has exceptions of its own for certificates."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _distrust(error.certificate_error)
    plain = type(error) is aiohttp.ClientConnectorError and error.os_error.errno in _CONNECTING
    return no_connection(error.os_error) if plain else type(error).__name__


def _distrust(error: Exception) -> str:
    """Return why a server's certificate is rejected, by default in OpenSSL's words."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return type(error).__name__
    words = _DISTRUST.get(error.verify_code)
    return f"its certificate {words}" if words else f"its certificate is refused: {error.verify_message}"


@contextlib.contextmanager
def _typed() -> Iterator[None]:
    """Convert the exceptions of aiohttp into :class:`NoAnswer`."""
    try:
        yield
    except TimeoutError:
        raise NoAnswer(HttpFault.TIMEOUT) from None
    except aiohttp.ClientConnectorError as error:
        forbidden = isinstance(error.os_error, AddressForbidden)
        fault = HttpFault.FORBIDDEN if forbidden else HttpFault.UNREACHABLE
        raise NoAnswer(fault, _connecting(error)) from None
    except (WireError, aiohttp.InvalidURL):
        raise NoAnswer(HttpFault.FORBIDDEN) from None
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError):
        raise NoAnswer(HttpFault.UNREACHABLE, "the connection was closed before the answer ended") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        kind = no_connection(error) if isinstance(error, OSError) else type(error).__name__
        raise NoAnswer(HttpFault.UNREACHABLE, kind) from None


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Limits for one response: bytes of its body, and seconds from the call to its end."""

    max_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTP response with any status."""

    status: int
    content_type: str
    body: bytes


def http_client(
    tls: TlsContext | None = None,
    *,
    public_only: bool = True,
    connections: int = 100,
    seconds: float = 10.0,
    server_name: str | None = None,
) -> HttpClient:
    """Create a client whose TLS is updated when its files change; the caller must close it.

    ``public_only`` refuses to connect to loopback, private and other special addresses; turn it off only if
    peers and shared services use such addresses, as in the local federation. ``seconds`` is the longest
    silence allowed at any step. ``server_name`` is the name in the server's certificate, if it differs from
    the host in its address.
    """
    permits = is_public if public_only else any_address
    network = Network(tls or client_tls(), permits, connections=connections, server_name=server_name)
    return HttpClient(network, silence=seconds)


async def fetch(
    client: HttpClient,
    url: str,
    limits: FetchLimits,
    *,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Fetched:
    """GET ``url``, or POST ``content``; raise :class:`NoAnswer` without a full response within ``limits``."""
    method = "GET" if content is None else "POST"
    try:
        async with (
            asyncio.timeout(limits.seconds),
            client.exchange(method, url, content, headers=headers, silence=limits.seconds) as answer,
        ):
            if answer.encoded:
                raise NoAnswer(HttpFault.ENCODED)
            return Fetched(answer.status, answer.content_type, await answer.read(limits.max_bytes))
    except TimeoutError:
        raise NoAnswer(HttpFault.TIMEOUT) from None


class _Patience:
    """A time limit, in seconds, on waiting for a peer; it is renewed whenever the peer accepts more data."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)
        self._waiting = False

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._waiting = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting = False
        await self._timeout.__aexit__(kind, error, trace)

    def renew(self) -> None:
        """Restart the time limit; has no effect once the wait is over."""
        if self._waiting:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)


class _RequestBody:
    """The pieces of a request body, with a callback after each piece that was sent.

    aiohttp itself waits for ever for a peer that stops reading, truncates a body that exceeds the announced
    length, and treats an exception from the body as one from the connection. ``failure`` records an exception
    from the body.
    """

    def __init__(self, body: AsyncIterable[bytes], length: int | None, got_away: Callable[[], None]) -> None:
        self._body = body
        self._length = length
        self._got_away = got_away
        self.headers = {"content-length": str(length)} if length is not None else {}
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces; raise :class:`ValueError` if they add up to another length than announced."""
        sent = 0
        async for piece in self._source():
            sent += len(piece)
            if self._length is not None and sent > self._length:
                raise ValueError("a body longer than announced")
            yield piece
            self._got_away()
        if self._length is not None and sent < self._length:
            raise ValueError("a body shorter than announced")

    async def _source(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._body:
                yield piece
        except Exception as failure:
            self.failure = failure
            raise


class PeerUnreachable(Temporary):
    """No usable HTTP response arrived; ``text`` states at which step, without addresses or content."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Answered:
    """A peer's HTTP response."""

    status: int
    content_type: str
    body: bytes


_MAX_ANSWER = 1 << 20


async def post(
    client: HttpClient,
    address: str,
    content: bytes | AsyncIterable[bytes],
    *,
    content_type: str,
    content_length: int,
    within: float,
) -> Answered:
    """POST ``content`` and return the response, or raise :class:`PeerUnreachable`.

    Redirects are not followed. ``within`` is the time in seconds for which the peer may stay silent at any
    step. A response of more than 1 MiB is rejected.
    """
    try:
        async with client.exchange(
            "POST",
            address,
            content,
            length=content_length,
            headers={"content-type": content_type},
            silence=within,
        ) as answer:
            return Answered(answer.status, answer.content_type, await answer.read(_MAX_ANSWER))
    except NoAnswer as failure:
        raise PeerUnreachable(_explained(failure)) from None


def _explained(failure: NoAnswer) -> str:
    match failure.fault:
        case HttpFault.FORBIDDEN:
            return "the address in the service metadata may not be connected to"
        case HttpFault.TOO_LARGE:
            return f"an answer of more than {_MAX_ANSWER} bytes"
        case _:
            return f"no HTTP answer ({failure.kind})"
