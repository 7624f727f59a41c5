"""The ports of a local federation, the same from start to start.

The addresses of the servers are in certificates and in registrations, so a
folder goes with its ports: when another process has taken one, it is an error
and not a reason to move.
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
"""The ports that the system gives to outgoing connections."""
_USUAL_START = 32_768
_MOST = 1 << 16


@dataclass(frozen=True, slots=True)
class Sockets:
    """Bound sockets; ``closed`` never listens, so that whoever connects to it is refused."""

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
    """Sockets at the ports that ``folder`` keeps, or at free ones that it keeps from now on."""
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
    """Find a port that is free, and that no outgoing connection is given before somebody listens at it.

    Each time another one: nothing may listen yet at those that were found before.
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
    """Return the ports that no outgoing connection is given, for this process to go on in, again and again.

    From a place by lot on, so that processes which look at the same time do not find the same.
    """
    try:
        end = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        end = _USUAL_START
    ports = range(_FIRST, max(end, _FIRST + 1))
    first = secrets.randbelow(len(ports))
    return cycle((*ports[first:], *ports[:first]))


def port(sock: socket.socket) -> int:
    """The port that a socket is bound to."""
    return int(sock.getsockname()[1])


def _is_loopback(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except ValueError:
        return False


def _both(host: str, wanted: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket at the same port."""
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
    """Listens from the start, so that nobody else can take the port meanwhile."""
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
