"""Accepting of connections within limits, so that idle clients cannot use up the process's descriptors.

An accepted connection costs a descriptor before anything is known about the client, and a process without
descriptors can reach neither its database nor its files. So the number of connections per address is limited,
all connections together may use half of the descriptors, and a TLS handshake has a time limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable

PER_ADDRESS = 200
"""Default maximum number of connections from one address to one listener."""

HANDSHAKE_SECONDS = 10.0
_PAUSE = 0.1
"""Seconds to wait after an accept that failed for lack of resources."""
_IPV6_PREFIX = 64
_DESCRIPTORS = 65_536


class Ending(asyncio.Protocol):
    """A protocol that signals the end of its connection through the event ``ended``."""

    ended: asyncio.Event


def raise_descriptor_limit() -> None:
    """Raise the soft limit on open descriptors, which is often 1024, towards the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def most_connections() -> int:
    """Return half of the descriptor limit; the rest is left for databases, files and outgoing connections."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft) // 2


_all = Counter[str]()
"""Number of open accepted connections in this process, whose listeners share its descriptors."""
_OPEN = "open"


@contextlib.asynccontextmanager
async def accepting(
    sock: socket.socket,
    protocols: Callable[[], Ending],
    *,
    tls: ssl.SSLContext | None,
    per_address: int,
    handshake: float,
    on_refused: Callable[[], None],
) -> AsyncIterator[Callable[[], object]]:
    """Accept connections on ``sock`` while the context lasts.

    ``per_address`` is the maximum number of connections from one address, 0 for no limit. ``on_refused`` is
    called for each connection that is closed because there are too many. Yields a function that stops
    accepting and leaves existing connections open.
    """
    sock.setblocking(False)
    sock.listen(socket.SOMAXCONN)
    acceptor = _Acceptor(protocols, tls, per_address, handshake, on_refused)
    task = asyncio.create_task(acceptor.run(sock))
    try:
        yield task.cancel
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await acceptor.stop()


class _Acceptor:
    def __init__(
        self,
        protocols: Callable[[], Ending],
        tls: ssl.SSLContext | None,
        per_address: int,
        handshake: float,
        on_refused: Callable[[], None],
    ) -> None:
        self._protocols = protocols
        self._tls = tls
        self._per_address = per_address
        self._handshake = handshake
        self._of_address = Counter[str]()
        self._beginning: set[asyncio.Task[None]] = set()
        self._on_refused = on_refused

    async def run(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(sock)
            except OSError:  # The client hung up, or no file descriptor is free.
                await asyncio.sleep(_PAUSE)
                continue
            address = _group(peer[0]) if isinstance(peer, tuple) else ""
            if not self._has_room(address):
                connection.close()
                self._on_refused()
                continue
            self._of_address[address] += 1
            _all[_OPEN] += 1
            task = asyncio.create_task(self._begin(connection, address))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    async def stop(self) -> None:
        """Cancel the handshakes in progress and stop waiting for open connections."""
        tasks = list(self._beginning)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _has_room(self, address: str) -> bool:
        if _all[_OPEN] >= most_connections():
            return False
        limited = bool(address and self._per_address)
        return not limited or self._of_address[address] < self._per_address

    async def _begin(self, connection: socket.socket, address: str) -> None:
        protocol = self._protocols()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake if self._tls else None,
            )
            await protocol.ended.wait()
        except OSError:  # The handshake failed or took too long; ssl.SSLError is an OSError.
            connection.close()
        finally:
            _all[_OPEN] -= 1
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]


def _group(address: str) -> str:
    """Return the key for counting an address; for IPv6 its /64, which one subscriber controls."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
