"""IP addresses that the program may connect to, whichever names lead there.

The check is made on the very address that is connected to, so a name that resolves differently between check
and use gains nothing. TLS still checks the name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator

from aiohttp.abc import ResolveResult
from aiohttp.connector import AddrInfoType
from aiohttp.resolver import ThreadedResolver

Permits = Callable[[str], bool]
"""Predicate that decides whether a connection to an IP address is permitted."""


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""The well-known prefix of NAT64 (RFC 6052 2.1)."""
_NEVER_PUBLIC = (
    ipaddress.IPv6Network("::/96"),  # IPv4-compatible, deprecated (RFC 4291 2.5.5.1)
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # NAT64 within one network (RFC 8215)
)
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")
"""Beginnings of an interface identifier that embeds an IPv4 address (RFC 5214 6.1)."""


class AddressForbidden(OSError):
    """All addresses that a name resolves to are forbidden."""


def is_public(address: str) -> bool:
    """Return whether ``address`` belongs to the public internet.

    An IPv6 address that a gateway translates into an IPv4 address is public only if both are: otherwise a
    name could lead into our own network by way of the gateway.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return _is_global(parsed)
    if parsed.ipv4_mapped is not None:
        return _is_global(parsed.ipv4_mapped)
    if parsed.is_site_local or any(parsed in network for network in _NEVER_PUBLIC):
        return False
    return all(map(_is_global, _translated_to(parsed))) and (parsed in _NAT64 or _is_global(parsed))


def _is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_global and not address.is_multicast


def _translated_to(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """Yield the IPv4 addresses that known kinds of gateway would translate ``address`` into."""
    if address in _NAT64:
        yield ipaddress.IPv4Address(address.packed[-4:])
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address.packed[8:12] in _ISATAP:
        yield ipaddress.IPv4Address(address.packed[-4:])


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = tuple(
    map(
        ipaddress.ip_network,
        (
            "169.254.0.0/16",  # most clouds, and link-local anyway
            "168.63.129.16/32",  # Azure; a public address
            "100.100.100.200/32",  # Alibaba
            "192.0.0.192/32",  # Oracle
            "fd00:ec2::/32",  # Amazon
            "fd20:ce::/32",  # Google
        ),
    )
)
"""Addresses of cloud metadata services, which hand out secrets to any program on the machine."""


class EnteredAddresses:
    """The check for addresses reached through a name that a person entered; a :data:`Permits`.

    It permits public addresses, and networks that the operator lists, such as the one with an organisation's
    sign-in service. Loopback, link-local and metadata services are never permitted, even if listed, because
    they belong to the machine that the program runs on.
    """

    def __init__(self, listed: Iterable[str] = ()) -> None:
        """Permit networks (``10.1.2.0/24``) or single addresses; raise :class:`ValueError` otherwise."""
        self._listed = tuple(map(ipaddress.ip_network, listed))

    def __call__(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address.partition("%")[0])
        leads_to = _all_of(parsed)
        if any(map(_is_our_own, leads_to)):
            return False
        return is_public(address) or any(_within(leads_to[-1], network) for network in self._listed)


def _all_of(address: _Address) -> tuple[_Address, ...]:
    """Return ``address`` with its embedded IPv4 addresses; the last item is compared with the list."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address, address.ipv4_mapped)
    return (*_translated_to(address), address)


def _is_our_own(address: _Address) -> bool:
    refused = address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast
    return refused or any(_within(address, network) for network in _METADATA)


def _within(address: _Address, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    return address.version == network.version and address in network


def any_address(address: str) -> bool:
    """Permit every address."""
    return True


def keep_alive(connection: socket.socket) -> None:
    """Make the operating system detect within two minutes that the peer of a silent connection is gone.

    Connections may be silent for minutes when nothing happens. The probes cost the program nothing, and keep
    firewalls and gateways from dropping the connection. Sockets accepted by a listening socket inherit this.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class PermittedAddresses(ThreadedResolver):
    """The system's resolver, with forbidden addresses left out."""

    def __init__(self, permits: Permits) -> None:
        super().__init__()
        self._permits = permits

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        permitted = [one for one in found if self._permits(one["host"])]
        if not permitted:
            raise AddressForbidden("no permitted address")
        return permitted

    def socket(self, address: AddrInfoType) -> socket.socket:
        """Create a socket for ``address``; an IP address that was part of the URL is checked only here."""
        family, kind, protocol, _, (ip, *_) = address
        if not self._permits(str(ip)):
            raise AddressForbidden("no permitted address")
        made = socket.socket(family, kind, protocol)
        if kind == socket.SOCK_STREAM:
            keep_alive(made)
        return made
