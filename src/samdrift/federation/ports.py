"""The ports of a local federation, which stay the same from start to start.

The addresses of the servers are in certificates and in registrations, so a folder belongs to its ports: if
another process has taken one, this is an error and not a reason to choose another.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from ipaddress import IPv4Address
from itertools import cycle, islice
from pathlib import Path

from samdrift.federation import store
from samdrift.federation.store import FederationError

_ATTEMPTS = 20
_FIRST = 10_240
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""File with the range of ports that the system uses for outgoing connections."""
_USUAL_START = 32_768
_MOST = 1 << 16


@dataclass(frozen=True, slots=True)
class Sockets:
    """Bound sockets; ``closed`` never listens, so that connections to it are refused."""

    http: socket.socket
    dns_udp: socket.socket
    dns_tcp: socket.socket
    closed: socket.socket

    def close(self) -> None:
        for one in (self.http, self.dns_udp, self.dns_tcp, self.closed):
            one.close()


@dataclass(frozen=True, slots=True)
class _Ports:
    http: int = 0
    dns: int = 0
    closed: int = 0


def bound_sockets(folder: Path, host: str) -> Sockets:
    """Return sockets at the ports stored in ``folder``, or at free ports, which are then stored."""
    if not _is_loopback(host):
        raise FederationError("a local federation listens on a loopback address (IPv4) only")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "ports.json"
    known = _Ports(**(store.read(path) or {}))
    try:
        dns_udp, dns_tcp = _both(host, known.dns)
        http, closed = _listening(host, known.http), _bound(socket.SOCK_STREAM, host, known.closed)
    except OSError:
        raise FederationError("another process has taken a port of this federation") from None
    store.write(path, asdict(_Ports(port(http), port(dns_tcp), port(closed))))
    return Sockets(http, dns_udp, dns_tcp, closed)


def free_port(host: str) -> int:
    """Find a free port, outside the range that the system uses for outgoing connections.

    Each call returns another port, because the ones found before may not be in use yet.
    """
    for found in islice(_ports(), _MOST):
        try:
            _bound(socket.SOCK_STREAM, host, found).close()
        except OSError:
            continue
        return found
    raise FederationError(f"no port of {host} is free")


@cache
def _ports() -> Iterator[int]:
    """Return an endless iterator over ports not used for outgoing connections, shared by this process.

    It begins at a random place, so that processes which search at the same time find different ports.
    """
    try:
        end = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        end = _USUAL_START
    ports = range(_FIRST, max(end, _FIRST + 1))
    first = secrets.randbelow(len(ports))
    return cycle((*ports[first:], *ports[:first]))


def port(sock: socket.socket) -> int:
    """Return the port that a socket is bound to."""
    return int(sock.getsockname()[1])


def _is_loopback(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except ValueError:
        return False


def _both(host: str, wanted: int) -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a TCP socket at the same port."""
    for _ in range(_ATTEMPTS):
        tcp = _listening(host, wanted)
        try:
            return _bound(socket.SOCK_DGRAM, host, port(tcp)), tcp
        except OSError:
            tcp.close()
            if wanted:
                raise
    raise FederationError("no port is free for both UDP and TCP")


def _listening(host: str, wanted: int) -> socket.socket:
    """Return a socket that already listens, so that no other process can take the port."""
    sock = _bound(socket.SOCK_STREAM, host, wanted, reuse=True)
    sock.listen()
    return sock


def _bound(kind: socket.SocketKind, host: str, wanted: int, *, reuse: bool = False) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        sock.bind((host, wanted))
    except OSError:
        sock.close()
        raise
    return sock
