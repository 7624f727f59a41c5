"""Requests to an application in the same process, without a socket, TLS records or HTTP in between.

The application is the one that is served at an address, with all its checks, limits and logging, and a
request is what it would be there: method, path, headers, a body in pieces, a caller that may disconnect, and
the caller's certificate. The certificate comes from a mutual TLS handshake in memory between the caller's
context and the listener's: trust, dates, purpose and names are judged by the same code, from the same files,
and a certificate without its private key is worthless. A request cannot name another certificate. Bodies are
passed piece by piece, in both directions, no faster than the other side accepts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message, Scope

from samdrift.net.guard import ENDS
from samdrift.net.server import CLIENT_CERTIFICATE, SHOWN_CERTIFICATE, WITHIN_PROCESS
from samdrift.net.tls import TlsContext
from samdrift.wire.webaddress import web_address

_PIECES = 2
"""Maximum number of pieces of a body that wait for the other side."""
_FLIGHTS = 8
"""Maximum number of turns per side in a handshake; TLS 1.2 needs the most, three."""
_BELIEVED = 3600.0
"""Seconds after which a handshake is repeated even if neither side has changed."""
_STOP_WITHIN = 5.0
"""Seconds that requests may take to finish when the application shuts down."""


class LocalApplication:
    """An application, with its listener's TLS, for callers in the same process."""

    def __init__(self, application: ASGIApp, tls: TlsContext) -> None:
        self.tls = tls
        self._application = application
        self._requests = set[asyncio.Task[None]]()
        self._open = True

    def begin(self, scope: Scope, call: _Call) -> None:
        """Start a call to the application, in a context of its own like a request from the network.

        Raises :class:`ConnectionRefusedError` if the application has shut down.
        """
        if not self._open:
            raise ConnectionRefusedError
        answering = call.answered_by(self._application, scope)
        task = asyncio.get_running_loop().create_task(answering, context=Context())
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def stop(self) -> None:
        """Refuse new calls, and cancel those that do not finish in time."""
        self._open = False
        if self._requests:
            _, late = await asyncio.wait(self._requests, timeout=_STOP_WITHIN)
            for task in late:
                task.cancel(ENDS)
            await asyncio.gather(*late, return_exceptions=True)


@contextlib.asynccontextmanager
async def called_here(application: ASGIApp, tls: TlsContext) -> AsyncIterator[LocalApplication]:
    """Let this process call ``application`` while the context lasts; ``tls`` is its listener's context."""
    local = LocalApplication(application, tls)
    try:
        yield local
    finally:
        await local.stop()


@dataclass(frozen=True, slots=True)
class _Shown:
    """The certificate that a handshake verified, and the contexts that it was verified with."""

    contexts: tuple[ssl.SSLContext, ssl.SSLContext]
    until: float
    certificate: bytes
    fingerprint: str


class InProcess:
    """A transport to an application in this process; a :class:`~samdrift.net.client.Transport`."""

    def __init__(
        self, application: LocalApplication, tls: TlsContext, *, server_name: str, connections: int
    ) -> None:
        """Use the caller's ``tls``, with its certificate and key; at most ``connections`` calls at a time.

        ``server_name`` is the name that the listener's certificate must have.
        """
        self._application = application
        self._tls = tls
        self._server_name = server_name
        self._room = asyncio.Semaphore(connections)
        self._calls = set[_Call]()
        self._shown: _Shown | None = None
        self._open = True

    async def request(
        self,
        method: str,
        url: str,
        body: bytes | AsyncIterable[bytes] | None,
        headers: Mapping[str, str] | None,
    ) -> _Call:
        """Make a call, and return the response as soon as its head has arrived.

        Raises :class:`ssl.SSLError` if caller and listener do not trust each other.
        """
        await self._room.acquire()
        call = _Call(body, self._ended)
        self._calls.add(call)
        try:
            if not self._open:
                raise ConnectionAbortedError
            self._application.begin(_scope(method, url, body, headers or {}, self._identity()), call)
            await call.head
        except BaseException:
            call.close()
            raise
        return call

    async def aclose(self) -> None:
        """Abort all calls, and refuse new ones."""
        self._open = False
        for call in tuple(self._calls):
            call.break_off(ConnectionAbortedError())

    def _ended(self, call: _Call) -> None:
        self._calls.discard(call)
        self._room.release()

    def _identity(self) -> _Shown:
        """Return the result of the last handshake, or a new one if it is old or either side has changed."""
        contexts, now = (self._tls.current(), self._application.tls.current()), time.monotonic()
        shown = self._shown
        if shown is None or shown.contexts != contexts or now > shown.until:
            certificate = _handshake(*contexts, self._server_name)
            fingerprint = hashlib.sha256(certificate).hexdigest()
            shown = self._shown = _Shown(contexts, now + _BELIEVED, certificate, fingerprint)
        return shown


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> bytes:
    """Perform a handshake between both sides, and return the client's certificate (DER).

    Raises :class:`ssl.SSLError` if one side does not accept the other.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    accepting = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client.wrap_bio(to_client, to_server, server_hostname=name), accepting]
    for _ in range(_FLIGHTS):
        for side in tuple(waiting):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
                waiting.remove(side)
    shown = None if waiting else accepting.getpeercert(binary_form=True)
    if shown is None:
        raise ssl.SSLError("no certificate of the client")
    return shown


def _scope(
    method: str,
    url: str,
    body: bytes | AsyncIterable[bytes] | None,
    headers: Mapping[str, str],
    shown: _Shown,
) -> Scope:
    """Return the same scope as the server makes for a network request (:mod:`samdrift.net.server`)."""
    where = urlsplit(web_address(url, "url"))
    fields = {"host": where.netloc} | {name.lower(): value for name, value in headers.items()}
    if isinstance(body, bytes):
        fields["content-length"] = str(len(body))
    elif body is not None and "content-length" not in fields:
        fields["transfer-encoding"] = "chunked"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": (where.hostname, where.port),
        "client": None,
        "scheme": where.scheme,
        "root_path": "",
        "method": method,
        "path": unquote(where.path),
        "raw_path": where.path.encode(),
        "query_string": where.query.encode(),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()],
        "state": {},
        CLIENT_CERTIFICATE: shown.fingerprint,
        SHOWN_CERTIFICATE: shown.certificate,
        WITHIN_PROCESS: True,
    }


class _Call:
    """A request and its response, as the application and the caller see them.

    The caller's side is a :class:`~samdrift.net.client.Response`.
    """

    def __init__(self, body: bytes | AsyncIterable[bytes] | None, on_end: Callable[[_Call], None]) -> None:
        """Start sending ``body``; ``on_end`` is called when the caller has closed the call."""
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.head: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Completes when the head of the response has arrived."""
        self._on_end = on_end
        self._answer = asyncio.Queue[bytes | None](_PIECES)
        """The body of the response: empty at its end, ``None`` if the rest of it will never come."""
        self._request = asyncio.Queue[bytes | None](_PIECES)
        """The body of the request, likewise."""
        self._received = False
        """True once the application has received the whole request body."""
        self._gone = asyncio.Event()
        """Set when nothing more will come from the caller."""
        self._rest: int | None = None
        """Bytes still missing from a response that announced its length."""
        self._complete = False
        """True once the application has sent the whole response."""
        self._read = False
        """True once the caller has read the whole response."""
        self._left = False
        """True once the caller has closed the call."""
        self._failure: Exception | None = None
        """Reason why the rest of the response will never come."""
        self._whole: bytes | None = None
        """A request body that does not come in pieces, until the application receives it."""
        self._sending: asyncio.Task[None] | None = None
        if body is None or isinstance(body, bytes):
            self._whole = body or b""
        else:
            self._sending = asyncio.create_task(self._send_body(body))

    # --- the application's side

    async def answered_by(self, application: ASGIApp, scope: Scope) -> None:
        """Run the application; abort the call if its response is incomplete."""
        try:
            await application(scope, self._receive, self._send)
        finally:
            if not self._complete:
                self.break_off(ConnectionResetError())
            self._end_request()

    async def _receive(self) -> Message:
        """Return the next piece of the request; after its end, the caller's disconnect once it happens."""
        if not self._received and not self._gone.is_set():
            whole, self._whole = self._whole, None
            piece = whole if whole is not None else await self._request.get()
            if piece is not None:
                self._received = whole is not None or not piece
                return {"type": "http.request", "body": piece, "more_body": not self._received}
            self._gone.set()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        """Pass on a part of the response when the caller has room for it; drop it if the call is closed."""
        if self._left:
            return
        if message["type"] == "http.response.start":
            fields = message.get("headers", ())
            self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in fields}
            length = self.headers.get("content-length")
            self._rest = None if length is None else int(length)
            self.status = message["status"]
            if not self.head.done():
                self.head.set_result(None)
            return
        piece, more = message.get("body", b""), message.get("more_body", False)
        self._count(len(piece), more=more)
        if piece:
            await self._answer.put(bytes(piece))
        if not more:
            await self._answer.put(b"")
            self._complete = True
            self._gone.set()

    def _count(self, size: int, *, more: bool) -> None:
        """Enforce the announced length of the response."""
        if self._rest is None:
            return
        self._rest -= size
        if self._rest < 0 or (self._rest and not more):
            raise RuntimeError("an answer of another length than it has said")

    # --- the caller's side

    async def _send_body(self, body: AsyncIterable[bytes]) -> None:
        try:
            async for piece in body:
                if piece:
                    await self._request.put(piece)
            await self._request.put(b"")
        except Exception as failure:
            if not self.head.done():
                self.head.set_exception(failure)
            self._end_request()

    def ready(self) -> bytes | None:
        """Return the data that has arrived, empty at the end; ``None`` if the caller must wait for more."""
        if self._read:
            return b""
        if not self._answer.empty():
            return self._next(self._answer.get_nowait())
        if self._failure is not None:
            raise self._failure
        return None

    async def piece(self) -> bytes:
        """Wait for the next piece, after :meth:`ready` has returned ``None``."""
        return self._next(await self._answer.get())

    def _next(self, piece: bytes | None) -> bytes:
        if piece is None:
            raise self._failure or ConnectionResetError()
        self._read = not piece
        return piece

    def close(self) -> None:
        """Close the call: notify the application if it listens, and drop the rest of its response."""
        if self._left:
            return
        self._left = True
        self._gone.set()
        self._end_request()
        while not self._answer.empty():
            self._answer.get_nowait()
        if self.head.done() and not self.head.cancelled():
            self.head.exception()  # Mark the exception as retrieved: the caller has gone.
        self._on_end(self)

    def break_off(self, failure: Exception) -> None:
        """Abort the response for the caller, with the reason ``failure``."""
        self._failure = failure
        if not self.head.done():
            self.head.set_exception(failure)
        elif self._answer.empty():
            self._answer.put_nowait(None)

    def _end_request(self) -> None:
        """Discard the rest of the request body."""
        if self._sending is not None:
            self._sending.cancel()
        while not self._request.empty():
            self._request.get_nowait()
        self._request.put_nowait(None)
