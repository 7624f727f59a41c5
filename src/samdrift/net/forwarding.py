"""Hands HTTP requests on to other processes of this machine, over Unix sockets, and their answers back.

A body goes through piece by piece, in both directions, and no faster than the
slower side takes it: memory does not grow with it. When either side is gone the
other is told by the end of its connection.

The certificate of a mutual TLS connection goes along in the header of RFC 9440,
over these sockets alone: what a client sends under that name is dropped. So does the
name of a client that one process has judged on behalf of another: the first one answers
with :data:`HAND_ON`, and the request goes on to the other one as that client's.
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

HAND_ON = "samdrift-hand-on"
"""Field of an answer: the role whose process answers the request, which has been found in order."""
BEHIND_FRONT = "samdrift.behind_front"
"""Key in the scope of a request that came through a front."""
VOUCHED = "samdrift.vouched"
"""Key in the scope of a request: the client that another process of the organisation has judged."""

_CLIENT_CERT = b"client-cert"
_VOUCHED = b"samdrift-vouched"
_NOT_HANDED_ON = frozenset(
    {_CLIENT_CERT, b"client-cert-chain", b"connection", b"keep-alive", b"proxy-connection", b"te"}
    | {_VOUCHED, HAND_ON.encode()}
    | {b"trailer", b"transfer-encoding", b"upgrade", b"expect"}
)
"""Fields that belong to one connection (RFC 9110 7.6.1), and those that only we may set."""
_BLANK = b" \t"
"""Around a value, and no part of it (RFC 9110 5.5): the server leaves what stands after it."""
_ADDED_BY_AIOHTTP = ("user-agent", "accept", "accept-encoding", "content-type")
_NOWHERE = URL("http://worker/-")
"""Placeholder for a path that no URL can have: no process serves anything there."""
_CONNECT_SECONDS = 5.0
_PATIENCE = 120.0
"""Seconds in which a process may take nothing of a body. Nobody can be heard to leave meanwhile."""
Headers = Sequence[tuple[bytes, bytes]]


class Away(Exception):
    """The process is not there, or went away before it answered. The client may come again."""


class BrokenOff(Exception):
    """The process went away in the middle of its answer."""


class HandedOn(Exception):
    """The process has found a request in order that another one answers: ``role`` says which."""

    def __init__(self, role: str, client: str) -> None:
        super().__init__(role)
        self.role = role
        self.client = client


class Forwarder:
    """The way to the processes behind Unix sockets; to be closed by its owner."""

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
        """Have the process that listens at ``place`` answer; :class:`Away`, or :class:`BrokenOff`.

        ``begun`` is what was read of the body already. Returns also when the client has left.
        :class:`HandedOn` where the process names a role that ``goes_on`` accepts.
        """
        body = _Body(scope, receive, begun)
        exchange = asyncio.create_task(self._exchange(place, scope, body, send, goes_on))
        stuck = asyncio.create_task(body.stuck(self._patience))
        tasks = (exchange, stuck, asyncio.create_task(body.gone()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if exchange.done():
                exchange.result()
            elif stuck.done():
                stuck.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def get(self, place: Path, path: str, seconds: float, most: int) -> bytes:
        """An answer of the process, whole; :class:`Away` when none comes, or one over ``most``."""
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
            role, _, client = response.headers.get(HAND_ON, "").partition(" ")
            if role and goes_on(role):
                raise HandedOn(role, client)
            body.answered = True
            await send(_start(response))
            async for piece in response.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientError, ConnectionError):
            raise BrokenOff from None
        finally:
            response.close()  # A connection whose answer was read to its end is kept all the same.

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
    """The body of a request as far as it has been read, and what was read to learn where it goes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.pieces: list[bytes] = []
        self.ended = False

    async def look(self) -> bytes:
        """The next piece, which is kept."""
        piece = await self.read()
        self.pieces.append(piece)
        return piece

    async def read(self) -> bytes:
        """The next piece, empty at the end; :class:`ConnectionError` when the client has left."""
        while not self.ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionAbortedError
            self.ended = not message.get("more_body", False)
            if piece := message.get("body", b""):
                return bytes(piece)
        return b""


class _Body:
    """The body of a request on its way through, and whether its sender is still there."""

    def __init__(self, scope: Scope, receive: Receive, begun: Begun) -> None:
        self._receive = receive
        self._begun = begun
        self._left = False
        self._offered = 0
        """Pieces so far."""
        self._taken = 0
        self.answered = False
        """True once the answer to it has begun."""
        self._over = asyncio.Event()
        """True when nothing more will be read as a part of the body."""
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

    async def stuck(self, patience: float) -> None:
        """End as the exchange does without the process, when that has taken nothing for so long."""
        while not self._over.is_set():
            before = self._taken
            await asyncio.sleep(patience)
            if before == self._taken < self._offered:
                raise BrokenOff if self.answered else Away
        await asyncio.Event().wait()

    async def gone(self) -> None:
        """Return when the client has left."""
        await self._over.wait()
        while not self._left and (await self._receive())["type"] != "http.disconnect":
            pass


def _has_body(headers: Headers) -> bool:
    """Return whether a body comes; one without a length comes in chunks (RFC 9112 6.3)."""
    said = {name.lower(): value for name, value in headers}
    return b"transfer-encoding" in said or said.get(b"content-length", b"0").strip(b"0") != b""


def behind_front(application: ASGIApp) -> ASGIApp:
    """``application`` in a process that a front hands requests to: it is told whose certificate was shown.

    Only for a socket that nobody but the front can reach.
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
    """SHA-256, in hex, of a certificate in the header's form (RFC 9440 2.1)."""
    try:
        return (
            hashlib.sha256(base64.b64decode(shown.strip(b":"), validate=True)).hexdigest() if shown else None
        )
    except binascii.Error:
        return None


def _request_headers(scope: Scope) -> CIMultiDict[str]:
    headers = CIMultiDict(
        (name.decode("latin-1"), value.strip(_BLANK).decode("latin-1"))
        for name, value in _handed_on(scope["headers"])
    )
    if shown := scope.get(SHOWN_CERTIFICATE):
        headers[_CLIENT_CERT.decode()] = f":{base64.b64encode(shown).decode()}:"
    if vouched := scope.get(VOUCHED):
        headers[_VOUCHED.decode()] = vouched
    return headers


def _handed_on(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name.lower() not in _NOT_HANDED_ON]


def _start(response: aiohttp.ClientResponse) -> dict[str, object]:
    headers = [(name.lower(), value) for name, value in _handed_on(response.raw_headers)]
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
