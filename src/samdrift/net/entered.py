"""The only client for addresses entered by a person: issuer, metadata, webhook, witness, syslog.

A person who may enter an address could otherwise make the program call services that only it can reach: its
own machine, the operator's network, a cloud's metadata service. The check is made on the address that is
connected to (:mod:`samdrift.net.addresses`), so a name that resolves differently the next time gains nothing.
A redirect is treated as any other response and not followed, and TLS is required.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from samdrift.net.addresses import EnteredAddresses, Permits
from samdrift.net.client import (
    Fetched,
    FetchLimits,
    HttpClient,
    HttpFault,
    Network,
    NoAnswer,
    fetch,
    host_of,
    no_connection,
)
from samdrift.net.tls import TlsContext, client_tls
from samdrift.wire.webaddress import place_of

_CONNECTIONS = 20
_SECONDS = 10.0


class EnteredAddressClient:
    """Client for addresses entered by a person, over TLS and to permitted addresses only; must be closed."""

    def __init__(
        self,
        permits: Permits | None = None,
        tls: TlsContext | None = None,
        *,
        plain: bool = False,
        seconds: float = _SECONDS,
        watch: Callable[[str, str], None] = lambda host, reason: None,
    ) -> None:
        """Create the client; ``permits`` is :class:`EnteredAddresses` with the operator's list.

        ``plain`` allows HTTP without TLS, for services of the demonstration on this machine; ``seconds``
        is the longest silence at any step; ``watch`` is notified of each fetch whether the host responded.
        """
        self._permits = permits or EnteredAddresses()
        self._tls = tls or client_tls()
        self._plain = plain
        self._seconds = seconds
        self._watch = watch
        network = Network(self._tls, self._permits, connections=_CONNECTIONS)
        self._http = HttpClient(network, silence=seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """GET ``url``, or POST ``content``; raise :class:`NoAnswer` if that fails within ``limits``."""
        host = host_of(url)
        if not host:
            raise NoAnswer(HttpFault.FORBIDDEN)
        if not self._plain and not url.lower().startswith("https://"):
            raise NoAnswer(HttpFault.FORBIDDEN)
        try:
            answer = await fetch(self._http, url, limits, content=content, headers=headers)
        except NoAnswer as failure:
            if failure.fault is not HttpFault.FORBIDDEN:
                self._watch(host, f"{place_of(url)}: {failure.words}")
            raise
        self._watch(host, f"it answers {answer.status}" if answer.status >= 500 else "")
        return answer

    async def connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a TLS connection for another protocol, such as syslog; raise :class:`NoAnswer` on failure."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._connected(host, port)
        except TimeoutError:
            raise NoAnswer(HttpFault.TIMEOUT) from None
        except OSError as error:
            raise NoAnswer(HttpFault.UNREACHABLE, no_connection(error)) from None
        except UnicodeError as error:
            raise NoAnswer(HttpFault.UNREACHABLE, type(error).__name__) from None

    async def _connected(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        permitted = [str(address[0]) for *_, address in found if self._permits(str(address[0]))]
        if not permitted:
            raise NoAnswer(HttpFault.FORBIDDEN)
        failure: OSError = OSError()
        for address in permitted:
            try:
                return await asyncio.open_connection(
                    address, port, ssl=self._tls.current(), server_hostname=host
                )
            except OSError as error:
                failure = error
        raise failure
