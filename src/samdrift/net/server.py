"""HTTP servers inside a running event loop, with the client's certificate available to the application.

Python's servers do not pass the certificate of a mutual TLS connection to the application.
:class:`ClientCertificateProtocol` does, under :data:`CLIENT_CERTIFICATE` in the ASGI scope: the SHA-256 of
the certificate, in hex, or ``None``. The TLS layer has verified the chain by then.

It also limits the memory and time that a stranger can occupy, because uvicorn accepts a head of any size and
waits for ever. The number of connections is limited where they are accepted (:mod:`samdrift.net.accepting`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from samdrift.net.accepting import PER_ADDRESS, Ending, accepting
from samdrift.net.addresses import keep_alive
from samdrift.net.journal import Journal

CLIENT_CERTIFICATE = "samdrift.client-certificate"
SHOWN_CERTIFICATE = "samdrift.shown-certificate"
"""Key in the scope with the certificate itself (DER), for a process that forwards requests."""
WITHIN_PROCESS = "samdrift.within-process"
"""Key in the scope of a call from the same process: nothing in between cuts off a long silence."""

_LINGER = 2.0
"""Seconds for the client to read a response that was sent before the end of its request."""

_MAX_BARREN = 64 << 10
"""Maximum bytes that may arrive without completing a head or a piece of a body: headers, trailers."""

_PATIENCE = 60.0
"""Seconds for which an incomplete request may make no progress."""

_HEAD_SECONDS = 15.0
"""Seconds in which the head of a request must arrive; for the first one, counted from the connection."""

_HANDSHAKE_SECONDS = 10.0
"""Seconds in which a TLS handshake must be completed."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

_OTHER_VERSION = b"HTTP/1.1 505 HTTP Version Not Supported\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_VERSIONS = frozenset({"1.0", "1.1"})
"""Accepted HTTP versions. HTTP/0.9 has no headers, so a proxy may read such a request as part of another."""

AsgiApp = Callable[..., Any]


_OF_STRANGERS = ("Invalid HTTP request", "Unsupported upgrade request", "No supported WebSocket library")
"""Beginnings of log lines that anyone on the network can make uvicorn write."""
_OF_ENDING = ("Shutting down", "Waiting for connections to close", "Waiting for background tasks")
"""Beginnings of log lines about a server's shutdown; some advise typing at a terminal, which is absent."""
_journal = Journal()


class _Lines(logging.Filter):
    """A log filter that limits lines caused by strangers, and drops lines about a server's shutdown.

    A stranger's line is logged at most once a minute. Cancelled requests are logged as a warning: their
    clients get a response (:mod:`samdrift.net.guard`) and try again. Responses that broke off are reported
    elsewhere. Shutdown lines come once for each address of each process, and add nothing to the process's own
    line.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        line = str(record.msg)
        if line.startswith(_OF_ENDING):
            return False
        if line.startswith(_OF_STRANGERS):
            _journal(line)
            return False
        if line.startswith("ASGI callable returned without completing response"):
            return False
        if line.startswith("Cancel %s running task(s)"):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


class _Closed(logging.Filter):
    """A log filter that drops lines about writing to a connection that the peer has closed."""

    _LINES = ("SSL connection is closed", "socket.send() raised exception.")

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg not in self._LINES


logging.getLogger("uvicorn.error").addFilter(_Lines())
logging.getLogger("asyncio").addFilter(_Closed())


class ClientCertificateProtocol(HttpToolsProtocol, Ending):
    """HTTP/1.1 over TLS that passes the client certificate to the application.

    It disconnects a peer that continues to send a request that has been answered (uvicorn would read and
    discard data indefinitely), sends endless headers, or begins a request and goes silent.
    """

    def __init__(self, *given: Any, patience: float, **named: Any) -> None:
        super().__init__(*given, **named)
        self.parser = _Parser(self)  # type: ignore[assignment]
        self._patience = patience
        self._head_patience = min(patience, _HEAD_SECONDS)
        self._barren = 0
        self.ended = asyncio.Event()
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        self._shown = tls.getpeercert(binary_form=True) if tls is not None else None
        self._fingerprint = hashlib.sha256(self._shown).hexdigest() if self._shown else None
        self._heard = self._head_began = self.loop.time()
        self._look: asyncio.TimerHandle | None = None
        self._look_within(self._head_patience)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        self.ended.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._heard = self.loop.time()
        if self.cycle is not None and self._awaits_head and not self._barren:
            self._head_began = self._heard
        self._barren += len(data)
        super().data_received(data)
        self._look_within(self._head_patience)
        if self._barren > _MAX_BARREN and not self.transport.is_closing():
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[CLIENT_CERTIFICATE] = self._fingerprint  # type: ignore[literal-required]
        self.scope[SHOWN_CERTIFICATE] = self._shown  # type: ignore[literal-required]

    def head_without_offer(self) -> bytes:
        """Return the head that has just arrived, without its ``Upgrade`` header."""
        fields = b"".join(b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        version = self.parser.get_http_version().encode()
        return b"%b %b HTTP/%b\r\n%b\r\n" % (self.parser.get_method(), self.url, version, fields)

    def on_headers_complete(self) -> None:
        if self._offered:
            return
        if self.parser.get_http_version() not in _VERSIONS:
            self._refuse(_OTHER_VERSION)
            return
        super().on_headers_complete()
        self._barren = 0

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)
            self._barren = 0

    def on_message_complete(self) -> None:
        if not self._refused and not self._offered:
            super().on_message_complete()
            self._barren = 0

    def on_response_complete(self) -> None:
        answered = self.cycle
        super().on_response_complete()
        if self._barren:
            self._look_within(self._head_patience)
        if answered.more_body:
            self.loop.call_later(_LINGER, self._hang_up, answered)

    def _hang_up(self, answered: RequestResponseCycle) -> None:
        if answered.more_body:
            self.transport.abort()

    def _refuse(self, answer: bytes) -> None:
        """Close the connection, with ``answer`` unless another response is being sent."""
        self._refused = True
        if self._awaits_head:
            self.transport.write(answer)
            self.transport.close()
            self.loop.call_later(_LINGER, self.transport.abort)
        else:
            self.transport.abort()

    @property
    def _offered(self) -> bool:
        """True if the head just parsed is to be parsed again without its ``Upgrade`` header."""
        parser: _Parser = self.parser  # type: ignore[assignment]
        return parser.offers_another_protocol()

    @property
    def _awaits_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _look_within(self, seconds: float) -> None:
        """Schedule a check of the connection, unless one is scheduled already."""
        if self._look is None and not self.transport.is_closing():
            self._look = self.loop.call_later(seconds, self._look_again)

    def _look_again(self) -> None:
        """Abort if the client has kept us waiting too long; uvicorn closes idle connections itself.

        A response may take minutes, like that to a poll, or an hour: nothing needs checking meanwhile.
        """
        self._look = None
        ends, now = self._ends(), self.loop.time()
        if ends is not None and ends <= now:
            self.transport.abort()
        elif ends is not None:
            self._look_within(min(self._head_patience, ends - now))
        elif not self._awaits_head and self.cycle.more_body:  # uvicorn resumes reading without notifying us.
            self._look_within(self._head_patience)

    def _ends(self) -> float | None:
        """Return when to disconnect if nothing arrives; ``None`` if we are not waiting for the client."""
        if self._awaits_head:
            begun = self.cycle is None or self._barren > 0
            return self._head_began + self._head_patience if begun else None
        waits = self.cycle.more_body and not self.flow.read_paused
        return self._heard + self._patience if waits else None


class _Parser:
    """A wrapper of httptools' parser that ignores ``Upgrade`` headers, as a server may (RFC 9110 7.8).

    httptools assumes that the upgrade is accepted: it ends the request with its head, drops the part of
    the body that came with it, and parses later data as another request, which the sender of the body
    could choose freely. Java's own client offers HTTP/2 on every connection without TLS.
    """

    def __init__(self, protocol: ClientCertificateProtocol) -> None:
        self._protocol = protocol
        self._parser = httptools.HttpRequestParser(protocol)

    def feed_data(self, data: bytes) -> None:
        """Parse ``data``; parse a head with an ``Upgrade`` header again without it, and then the rest."""
        rest = memoryview(data)
        while True:
            try:
                self._parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as offer:
                if not self.offers_another_protocol():
                    raise
                head = self._protocol.head_without_offer()
                self._parser = httptools.HttpRequestParser(self._protocol)
                self._parser.feed_data(head)
                rest = rest[offer.args[0] :]

    def offers_another_protocol(self) -> bool:
        """Return whether the head just parsed is to be parsed again; a ``CONNECT`` never is."""
        return self.should_upgrade() and self.get_method() != b"CONNECT"

    def should_upgrade(self) -> bool:
        return self._parser.should_upgrade()

    def should_keep_alive(self) -> bool:
        return self._parser.should_keep_alive()

    def get_method(self) -> bytes:
        return self._parser.get_method()

    def get_http_version(self) -> str:
        return self._parser.get_http_version()


def listening_socket(host: str, port: int = 0) -> socket.socket:
    """Return a bound socket; port 0 picks a free port, so that the address is known before the server starts.

    An :class:`OSError` names the address as its file.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio's own loop sends small responses without delay only if the socket's protocol is TCP.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from None
    keep_alive(sock)
    sock.set_inheritable(True)
    return sock


@asynccontextmanager
async def serving(
    app: AsgiApp,
    sock: socket.socket,
    *,
    tls: Callable[[], ssl.SSLContext] | None = None,
    keep_alive: int = 75,
    stop_within: int = 5,
    patience: float = _PATIENCE,
    handshake: float = _HANDSHAKE_SECONDS,
    per_address: int = PER_ADDRESS,
    on_refused: Callable[[], None] = lambda: None,
) -> AsyncIterator[None]:
    """Serve ``app`` on ``sock`` while the context lasts, in the running loop, without signal handlers.

    ``per_address`` is the maximum number of connections from one address, 0 for no limit;
    ``on_refused`` is called for each connection beyond a limit.
    """
    config = uvicorn.Config(
        app,
        http=partial(ClientCertificateProtocol, patience=patience),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=stop_within,
        ssl_context_factory=(lambda *_: tls()) if tls else None,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[])

    def protocol() -> ClientCertificateProtocol:
        made = config.http_protocol_class(config=config, server_state=server.server_state, app_state={})  # type: ignore[call-arg]
        assert isinstance(made, ClientCertificateProtocol)
        return made

    async with accepting(
        sock, protocol, tls=config.ssl, per_address=per_address, handshake=handshake, on_refused=on_refused
    ) as stop_accepting:
        await server.on_tick(0)  # uvicorn's own loop would do this ten times a second, for nothing.
        try:
            yield
        finally:
            server.should_exit = True
            stop_accepting()
            _drop_idle(server)
            await server.shutdown(sockets=[sock])


def _drop_idle(server: uvicorn.Server) -> None:
    """Abort idle connections; closing TLS properly would mean waiting for the peer."""
    for connection in list(server.server_state.connections):
        cycle = getattr(connection, "cycle", None)
        if cycle is None or cycle.response_complete:
            connection.transport.abort()
