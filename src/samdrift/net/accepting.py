"""Accepts connections within bounds, so that silent ones leave others room.

A connection costs a descriptor before anything is known of who has made it, and a
process without descriptors reaches neither its database nor its files. So each
address has a number of connections, all of them together have half of the
descriptors, and a TLS handshake has seconds.
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
"""Connections that one address may have by default at one listener."""

HANDSHAKE_SECONDS = 10.0
_PAUSE = 0.1
"""Seconds after which an accept that failed for lack of resources is tried again."""
_IPV6_PREFIX = 64
_DESCRIPTORS = 65_536


class Ending(asyncio.Protocol):
    """A protocol that says when its connection is gone."""

    ended: asyncio.Event


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open descriptors, which is often 1024, towards the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def most_connections() -> int:
    """Half of the descriptors: the other half is for databases, files and what connections lead to."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft) // 2


_all = Counter[str]()
"""Connections of this process that were accepted, since descriptors are the process's."""
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
    """Accept connections at ``sock`` while the context lasts; 0 connections per address means no limit.

    ``on_refused`` is called for each connection that is closed because there are too many.
    Yields what stops accepting, and leaves the connections that there are.
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
            except OSError:  # The client has left meanwhile, or there is no descriptor now.
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
        """End the handshakes that are under way, and forget the connections."""
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
        except OSError:  # A handshake that failed or took too long; ssl.SSLError is one too.
            connection.close()
        finally:
            _all[_OPEN] -= 1
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]


def _group(address: str) -> str:
    """The address, or the network of an IPv6 one: one subscriber has all of a /64."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
