"""Which addresses connections are made to, whatever the names that lead there.

The check is made on the very address that is connected to, so a name that
changes its mind between check and use gains nothing. TLS still checks the name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

from aiohttp.abc import ResolveResult
from aiohttp.connector import AddrInfoType
from aiohttp.resolver import ThreadedResolver

Permits = Callable[[str], bool]
"""Whether an IP address may be connected to."""


class AddressForbidden(OSError):
    """A name that leads to addresses which must not be connected to."""


def is_public(address: str) -> bool:
    """Whether ``address`` is one that anybody on the internet may be reached at."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_global and not (mapped or parsed).is_multicast


def any_address(address: str) -> bool:
    """Permits all."""
    return True


class PermittedAddresses(ThreadedResolver):
    """The system's resolver, without the addresses that are not permitted."""

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
        """A socket to connect to ``address`` with; an address that stood in the URL is seen only here."""
        family, kind, protocol, _, (ip, *_) = address
        if not self._permits(str(ip)):
            raise AddressForbidden("no permitted address")
        return socket.socket(family, kind, protocol)
