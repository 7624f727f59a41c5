"""Forwarding of HTTP requests to other processes on this machine, over Unix sockets.

A body passes through piece by piece in both directions, no faster than the slower side accepts it, so memory
use does not grow with its size. When one side disconnects, the connection to the other side is closed.

The client certificate of a mutual TLS connection is forwarded in the header of RFC 9440, over these sockets
only: the same header from a client is dropped. One process may authorise a request on behalf of another: it
responds with :data:`REDIRECT`, and the request is forwarded to the other process with the name of the
authorised client.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import aiohttp
from multidict import CIMultiDict
from starlette.types import ASGIApp, Receive, Scope, Send
from yarl import URL

from samdrift.net.server import CLIENT_CERTIFICATE, SHOWN_CERTIFICATE

REDIRECT = "samdrift-hand-on"
"""Response header with the role whose process is to answer the request, and the client authorised for it."""
BEHIND_FRONT = "samdrift.behind_front"
"""Key in the scope of a request that came through a front."""
VOUCHED = "samdrift.vouched"
"""Key in the scope of a request: the client that another process of the organisation has authorised."""

_CLIENT_CERT = b"client-cert"
_VOUCHED = b"samdrift-vouched"
_NOT_FORWARDED = frozenset(
    {_CLIENT_CERT, b"client-cert-chain", b"connection", b"keep-alive", b"proxy-connection", b"te"}
    | {_VOUCHED, REDIRECT.encode()}
    | {b"trailer", b"transfer-encoding", b"upgrade", b"expect"}
)
"""Headers that belong to one connection (RFC 9110 7.6.1), and headers that only our own processes may set."""
_BLANK = b" \t"
"""Whitespace around a header value, not part of it (RFC 9110 5.5): the server leaves it at the end."""
_ADDED_BY_AIOHTTP = ("user-agent", "accept", "accept-encoding", "content-type")
_NOWHERE = URL("http://worker/-")
"""Placeholder for a path that is not valid in a URL; no process serves it."""
_CONNECT_SECONDS = 5.0
_PATIENCE = 120.0
"""Seconds for which a process may stop reading a body; meanwhile a client's disconnect goes unnoticed."""
Headers = Sequence[tuple[bytes, bytes]]


class Away(Exception):
    """The process is not running, or ended before it responded; the client may try again."""


class BrokenOff(Exception):
    """The process ended in the middle of its response."""


class Redirected(Exception):
    """The process has authorised a request that the process of another role, ``role``, is to answer."""

    def __init__(self, role: str, client: str) -> None:
        super().__init__(role)
        self.role = role
        self.client = client


class Forwarder:
    """A client for the processes behind Unix sockets; its owner must close it."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._sessions: dict[Path, aiohttp.ClientSession] = {}

    async def aclose(self) -> None:
        """Close all connections, including those in use."""
        for session in self._sessions.values():
            await session.close()

    async def forward(
        self,
        place: Path,
        scope: Scope,
        receive: Receive,
        send: Send,
        begun: Begun,
        goes_on: Callable[[str], bool] = lambda role: False,
    ) -> None:
        """Forward a request to the process listening at ``place``.

        ``begun`` is the part of the body that has already been read. Returns also if the client disconnects.
        Raises :class:`Away` or :class:`BrokenOff` if the process fails, and :class:`Redirected` if it names a
        role that ``goes_on`` accepts.
        """
        body = _Body(scope, receive, begun)
        exchange = asyncio.create_task(self._exchange(place, scope, body, send, goes_on))
        stalled = asyncio.create_task(body.raise_if_stalled(self._patience))
        tasks = (exchange, stalled, asyncio.create_task(body.wait_for_disconnect()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if exchange.done():
                exchange.result()
            elif stalled.done():
                stalled.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def get(self, place: Path, path: str, seconds: float, most: int) -> bytes:
        """Return the whole response of a process; raise :class:`Away` if it fails or exceeds ``most``."""
        try:
            async with (
                asyncio.timeout(seconds),
                self._session(place).get(f"http://worker{path}") as response,
            ):
                if response.status != 200:
                    raise Away
                answer = bytearray()
                async for piece in response.content.iter_any():
                    answer += piece
                    if len(answer) > most:
                        raise Away
                return bytes(answer)
        except (aiohttp.ClientError, OSError, TimeoutError):
            raise Away from None

    async def _exchange(
        self, place: Path, scope: Scope, body: _Body, send: Send, goes_on: Callable[[str], bool]
    ) -> None:
        try:
            response = await self._session(place).request(
                scope["method"],
                _url(scope),
                headers=_request_headers(scope),
                data=body.pieces() if body.expected else None,
                allow_redirects=False,
                skip_auto_headers=_ADDED_BY_AIOHTTP,
            )
        except (aiohttp.ClientError, OSError, TimeoutError):
            raise Away from None
        try:
            role, _, client = response.headers.get(REDIRECT, "").partition(" ")
            if role and goes_on(role):
                raise Redirected(role, client)
            body.answered = True
            await send(_start(response))
            async for piece in response.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientError, ConnectionError):
            raise BrokenOff from None
        finally:
            response.close()  # Keeps the connection in the pool if the response was read to its end.

    def _session(self, place: Path) -> aiohttp.ClientSession:
        session = self._sessions.get(place)
        if session is None:
            session = self._sessions[place] = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(place), limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                auto_decompress=False,
                trust_env=False,
            )
        return session


class Begun:
    """The body of a request, with the pieces that were read in advance to decide where to forward it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.pieces: list[bytes] = []
        self.ended = False

    async def look(self) -> bytes:
        """Return the next piece and keep it for forwarding."""
        piece = await self.read()
        self.pieces.append(piece)
        return piece

    async def read(self) -> bytes:
        """Return the next piece, empty at the end; raise :class:`ConnectionError` on a disconnect."""
        while not self.ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionAbortedError
            self.ended = not message.get("more_body", False)
            if piece := message.get("body", b""):
                return bytes(piece)
        return b""


class _Body:
    """The body of a request while it is forwarded, and whether the client is still connected."""

    def __init__(self, scope: Scope, receive: Receive, begun: Begun) -> None:
        self._receive = receive
        self._begun = begun
        self._left = False
        self._offered = 0
        """Number of pieces offered so far."""
        self._taken = 0
        self.answered = False
        """True once the response has begun."""
        self._over = asyncio.Event()
        """Set when no more of the body will be read."""
        self.expected = _has_body(scope["headers"])
        if not self.expected:
            self._over.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        for piece in self._begun.pieces:
            if piece:
                yield piece
        self._begun.pieces.clear()
        try:
            while piece := await self._begun.read():
                self._offered += 1
                yield piece
                self._taken += 1
        except ConnectionError:
            self._left = True
            raise
        finally:
            self._over.set()

    async def raise_if_stalled(self, patience: float) -> None:
        """Raise when the process has read nothing for ``patience`` seconds.

        Raises :class:`BrokenOff` if the response has begun, otherwise :class:`Away`.
        """
        while not self._over.is_set():
            before = self._taken
            await asyncio.sleep(patience)
            if before == self._taken < self._offered:
                raise BrokenOff if self.answered else Away
        await asyncio.Event().wait()

    async def wait_for_disconnect(self) -> None:
        """Return when the client has disconnected."""
        await self._over.wait()
        while not self._left and (await self._receive())["type"] != "http.disconnect":
            pass


def _has_body(headers: Headers) -> bool:
    """Return whether the request has a body; one without a length is sent in chunks (RFC 9112 6.3)."""
    said = {name.lower(): value for name, value in headers}
    return b"transfer-encoding" in said or said.get(b"content-length", b"0").strip(b"0") != b""


def behind_front(application: ASGIApp) -> ASGIApp:
    """Wrap ``application`` for a process behind a front, which forwards the client's certificate in a header.

    Use this only for a socket that no process but the front can reach.
    """

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name not in (_CLIENT_CERT, _VOUCHED)]
        added = dict(scope["headers"])
        told = {CLIENT_CERTIFICATE: _fingerprint(added.get(_CLIENT_CERT)), BEHIND_FRONT: True}
        if _VOUCHED in added:
            told[VOUCHED] = added[_VOUCHED].decode("latin-1")
        await application({**scope, **told, "headers": headers, "scheme": "https"}, receive, send)

    return behind


def _fingerprint(shown: bytes | None) -> str | None:
    """Return the SHA-256, in hex, of a certificate in the header's format (RFC 9440 2.1)."""
    try:
        return (
            hashlib.sha256(base64.b64decode(shown.strip(b":"), validate=True)).hexdigest() if shown else None
        )
    except binascii.Error:
        return None


def _request_headers(scope: Scope) -> CIMultiDict[str]:
    headers = CIMultiDict(
        (name.decode("latin-1"), value.strip(_BLANK).decode("latin-1"))
        for name, value in _forwarded(scope["headers"])
    )
    if shown := scope.get(SHOWN_CERTIFICATE):
        headers[_CLIENT_CERT.decode()] = f":{base64.b64encode(shown).decode()}:"
    if vouched := scope.get(VOUCHED):
        headers[_VOUCHED.decode()] = vouched
    return headers


def _forwarded(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name.lower() not in _NOT_FORWARDED]


def _start(response: aiohttp.ClientResponse) -> dict[str, object]:
    headers = [(name.lower(), value) for name, value in _forwarded(response.raw_headers)]
    return {"type": "http.response.start", "status": response.status, "headers": headers}


def _url(scope: Scope) -> URL:
    path = scope.get("raw_path", b"").decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    try:
        return (
            URL(f"http://worker{path}{'?' if query else ''}{query}", encoded=True)
            if path[:1] == "/"
            else _NOWHERE
        )
    except ValueError:
        return _NOWHERE
