"""The HTTP client for all calls to other systems.

Addresses that we call come from outside (DNS, service metadata, certificates).
So redirects are never followed, no proxy, credentials or cookies are used,
nothing is unpacked, and only permitted addresses are connected to. How much of
an answer is read is for the caller to say: :func:`fetch` and :func:`post` read
whole answers within limits.
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
    """Why there is no usable answer."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TOO_LARGE = "too-large"
    FORBIDDEN = "forbidden"
    ENCODED = "encoded"


class Watch(Protocol):
    """Notified of a service, by its kind and host, that it answered, or the reason why it did not."""

    def __call__(self, service: str, at: str, reason: str, began: datetime | None = None, /) -> None:
        """``began`` is the start of the call: a failure counts for nothing if a later call got an answer."""


def unwatched(service: str, at: str, reason: str, began: datetime | None = None) -> None:
    """Watch nothing."""


class NoAnswer(Exception):
    """No usable HTTP answer; neither the text nor ``kind`` names an address or content."""

    def __init__(self, fault: HttpFault, kind: str = "") -> None:
        """``kind`` is the name of what went wrong, for whoever runs this."""
        super().__init__(fault.value)
        self.fault = fault
        self.kind = kind or fault.value

    @property
    def words(self) -> str:
        """Return what happened as health and the log have it, for whoever was woken."""
        told = "no answer in time" if self.fault is HttpFault.TIMEOUT else self.fault.value
        return told if self.kind == self.fault.value else f"{told} ({self.kind})"


class Response(Protocol):
    """An answer on its way, as a transport has it."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields, found in lower case."""

    def ready(self) -> bytes | None:
        """Return what has come of the body, empty at its end; ``None`` where it has to be waited for."""

    async def piece(self) -> bytes:
        """Wait for the next piece of the body, empty at its end."""

    def close(self) -> None:
        """Give up what has not been read."""


class Transport(Protocol):
    """The way that requests go and answers come.

    What goes wrong on it is raised as aiohttp does, or as an :class:`OSError`.
    """

    async def request(
        self,
        method: str,
        url: str,
        body: bytes | AsyncIterable[bytes] | None,
        headers: Mapping[str, str] | None,
    ) -> Response:
        """Send a request, and return the answer as soon as its head has come."""

    async def aclose(self) -> None:
        """Break off all that is under way."""


class HttpAnswer:
    """An answer whose head has come; its body is read while the exchange lasts."""

    def __init__(self, response: Response, silence: float) -> None:
        self._response = response
        self._silence = silence
        self.status = response.status

    @property
    def content_type(self) -> str:
        """The header as it came, empty when there is none."""
        return self._response.headers.get("content-type", "")

    @property
    def location(self) -> str:
        """The header as it came, empty when there is none; never followed."""
        return self._response.headers.get("location", "")

    @property
    def encoded(self) -> bool:
        """Return whether the body has a coding, which was not asked for and could unfold to any size."""
        return self._response.headers.get("content-encoding", "identity").lower() != "identity"

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; :class:`NoAnswer` when it breaks off."""
        while piece := await self._piece():
            yield piece

    async def read(self, most: int) -> bytes:
        """The whole body; :class:`NoAnswer` when it has more than ``most`` bytes or breaks off."""
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
    """An answer over the network."""

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
        self._response.close()  # A connection whose answer was read to its end is kept all the same.


class Network:
    """Kept connections to others, over TLS that follows its files.

    A connection belongs to the TLS context that it was made under. When the
    files change, new exchanges get new connections, those under way end on
    theirs, and former ones idle away.
    """

    def __init__(
        self, tls: TlsContext, permits: Permits, *, connections: int, server_name: str | None = None
    ) -> None:
        """At most ``connections`` at once.

        ``server_name`` is the name in the certificates of all servers, where it is not that in the address.
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
    """Exchanges of requests and answers with others, over a transport; to be closed by its owner."""

    def __init__(self, transport: Transport, *, silence: float) -> None:
        """``silence`` is how many seconds a peer may keep us waiting."""
        self._transport = transport
        self._silence = silence

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Break off all that is under way."""
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
        """Send a request, and give the answer as soon as its head has come, or :class:`NoAnswer`.

        A body in pieces has ``length`` bytes, or goes in chunks when nobody knows.
        What goes wrong in such a body itself is raised unchanged.
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
    """Return the host of an address, as health names it; empty for an address that is not called."""
    try:
        return urlsplit(web_address(url, "url")).hostname or ""
    except WireError:
        return ""


def no_connection(error: OSError) -> str:
    """Return why there is no connection, as the system says it, or as the type does."""
    number = error.errno
    return os.strerror(number).lower() if number in _CONNECTING + _BREAKING else type(error).__name__


def _connecting(error: aiohttp.ClientConnectorError) -> str:
    """Return the same of what aiohttp raises, which has kinds of its own for certificates."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _distrust(error.certificate_error)
    plain = type(error) is aiohttp.ClientConnectorError and error.os_error.errno in _CONNECTING
    return no_connection(error.os_error) if plain else type(error).__name__


def _distrust(error: Exception) -> str:
    """Return why the certificate of a server is not accepted, in OpenSSL's words where we have none."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return type(error).__name__
    words = _DISTRUST.get(error.verify_code)
    return f"its certificate {words}" if words else f"its certificate is refused: {error.verify_message}"


@contextlib.contextmanager
def _typed() -> Iterator[None]:
    """Turn what aiohttp raises into :class:`NoAnswer`."""
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
    """The most that one answer may take: bytes of its body, and seconds from the call to its end."""

    max_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTP answer, whatever its status."""

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
    """A client whose TLS follows its files; to be closed by the caller.

    ``public_only`` refuses to connect to loopback, private and other special
    addresses: off only where peers and shared services live on such, as in the
    local federation. ``seconds`` is the longest silence, at any step. ``server_name``
    is the name in the server's certificate, where it is not that in its address.
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
    """GET ``url``, or POST ``content``; :class:`NoAnswer` when no whole answer came within ``limits``."""
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
    """A limit, in seconds, to the wait for a peer; every sign that it takes something renews it."""

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
        """Wait for the whole time again; nothing when the wait is over."""
        if self._waiting:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)


class _RequestBody:
    """Passes the pieces of a body on, and tells when one has got away.

    aiohttp itself waits for ever for a peer that takes nothing more, cuts what
    goes over the announced length, and takes an exception of the body for one
    of the connection. ``failure`` keeps the last apart.
    """

    def __init__(self, body: AsyncIterable[bytes], length: int | None, got_away: Callable[[], None]) -> None:
        self._body = body
        self._length = length
        self._got_away = got_away
        self.headers = {"content-length": str(length)} if length is not None else {}
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces; :class:`ValueError` when they are not as many bytes as announced."""
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
    """No usable HTTP answer came; ``text`` says at which step, without addresses or content."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Answered:
    """An HTTP answer of a peer."""

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
    """POST ``content`` and give the answer, or raise :class:`PeerUnreachable`.

    Redirects are not followed. ``within`` is the time in seconds that the peer
    may stay silent at any step. More than 1 MiB of answer is not read.
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
