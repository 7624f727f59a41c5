"""Connections for :mod:`samdrift.net.http`: to which addresses, and over TLS that follows its files."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import httpcore
import httpx

from samdrift.net.tls import TlsContext

_KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept for the next exchange."""

Permits = Callable[[str], bool]
"""Whether an IP address may be connected to."""


class AddressForbidden(httpx.ConnectError):
    """A name that leads to addresses which must not be connected to."""


def is_public(address: str) -> bool:
    """Whether ``address`` is one that anybody on the internet may be reached at."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_global and not (mapped or parsed).is_multicast


class _CheckingBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name itself and connects to an address of it that is permitted, or to none.

    The check is made on the very address that is connected to, so a name that
    changes its mind between check and use gains nothing. TLS still checks the name.
    """

    def __init__(self, permits: Permits) -> None:
        self._permits = permits
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await asyncio.wait_for(_addresses(host, port), timeout)
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        failed: Exception = AddressForbidden("no permitted address")
        for address in filter(self._permits, addresses):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failed = error
        raise failed

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def _addresses(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpcore.ConnectError("no such host") from None
    return [address for *_, (address, *_) in found if isinstance(address, str)]


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's own transport, with our say over addresses.

    The connection pool is where httpcore takes a network backend, and httpx has
    no argument for it; a test holds that the pool is really used.
    """

    def __init__(self, context: ssl.SSLContext, permits: Permits | None, connections: int) -> None:
        limits = httpx.Limits(max_connections=connections, keepalive_expiry=_KEEP_ALIVE)
        super().__init__(verify=context, limits=limits)
        if permits is not None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=connections,
                keepalive_expiry=_KEEP_ALIVE,
                network_backend=_CheckingBackend(permits),
            )
        self.in_flight = 0
        self.retired = False

    async def leave(self) -> None:
        """One exchange less; the last one of a retired transport closes it."""
        self.in_flight -= 1
        if self.retired and not self.in_flight:
            await self.aclose()


class ReloadingTransport(httpx.AsyncBaseTransport):
    """Starts new connections with a new context as soon as there is one, and lets exchanges under way end."""

    def __init__(self, tls: TlsContext, permits: Permits | None = is_public, connections: int = 100) -> None:
        """``permits`` says which addresses may be connected to; ``None`` permits all."""
        self._tls = tls
        self._permits = permits
        self._connections = connections
        self._context = tls.current()
        self._transport = self._new()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        transport = await self._current()
        transport.in_flight += 1
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            await transport.leave()
            raise
        response.stream = _Leaving(response.stream, transport)
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _current(self) -> _Transport:
        context = self._tls.current()
        if context is not self._context:
            former, self._context = self._transport, context
            self._transport = self._new()
            former.retired = True
            if not former.in_flight:
                await former.aclose()
        return self._transport

    def _new(self) -> _Transport:
        return _Transport(self._context, self._permits, self._connections)


class _Leaving(httpx.AsyncByteStream):
    """The body of an answer; its end is the end of the exchange."""

    def __init__(self, stream: Any, transport: _Transport) -> None:
        self._stream = stream
        self._transport = transport

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            await self._transport.leave()
