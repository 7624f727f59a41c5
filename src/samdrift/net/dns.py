"""Asks DNS for NAPTR records (component-sml 2.8).

Missing: eDelivery BDXL 1.6, DNSSEC: answers are not validated here; what an SMP
says is trusted for its signature alone, so a forged answer can deny, not deceive.
"""

from __future__ import annotations

from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
from dns.rdtypes.IN.NAPTR import NAPTR

from samdrift.contracts.errors import Temporary
from samdrift.wire.bdxl import Naptr

_MOST_KEPT = 10_000


class NameNotFound(Exception):
    """DNS says that there is no such record."""


class ResolverUnavailable(Temporary):
    """DNS gave no answer; the same question may be answered later."""


class NaptrResolver:
    """A stub resolver that keeps answers, also negative ones, for as long as they say."""

    def __init__(self, nameservers: Sequence[tuple[str, int]] = (), *, within: float = 5.0) -> None:
        """``nameservers`` are addresses and ports, by default the system's; ``within`` is in seconds."""
        resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        if nameservers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in nameservers]
        resolver.cache = dns.resolver.LRUCache(_MOST_KEPT)
        resolver.lifetime = within
        resolver.timeout = within / 2
        self._resolver = resolver

    async def naptr(self, name: str) -> tuple[Naptr, ...]:
        """The records at ``name``, which is absolute; :class:`NameNotFound` when there are none."""
        try:
            answer = await self._resolver.resolve(f"{name.rstrip('.')}.", "NAPTR", search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            raise NameNotFound from None
        except (dns.exception.DNSException, OSError) as error:
            raise ResolverUnavailable(type(error).__name__) from None
        return tuple(_record(data) for data in answer if isinstance(data, NAPTR))


def _record(data: NAPTR) -> Naptr:
    return Naptr(
        data.order,
        data.preference,
        data.flags.decode("latin-1"),
        data.service.decode("latin-1"),
        data.regexp.decode("utf-8", "replace"),
        data.replacement.to_text(),
    )
