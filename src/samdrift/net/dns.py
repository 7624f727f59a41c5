"""NAPTR lookups in DNS (component-sml 2.8).

The DNSSEC status of an answer is reported by the resolver (the ``AD`` bit). It counts only if no attacker can
sit between us and the resolver: it is on loopback, or is trusted in the configuration (RFC 6840 5.7, 5.8).

Missing: eDelivery BDXL 1.6, DNSSEC: signatures are validated by the resolver, not here. SMP responses are
trusted for their signature alone, so a forged DNS answer can deny service but not deceive.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdataclass
import dns.rdatatype
import dns.resolver
from dns.rdtypes.IN.NAPTR import NAPTR

from samdrift.contracts.errors import Temporary
from samdrift.wire.bdxl import Naptr

_MAX_KEPT = 10_000
_TOLD: Mapping[type, str] = {
    dns.resolver.NoNameservers: "every name server failed or refused",
    dns.resolver.LifetimeTimeout: "no name server answered in time",
}
"""Descriptions of the resolver's errors, for the operator."""


class Dnssec(StrEnum):
    """Results of the DNSSEC check of an answer, as worded in the log."""

    AUTHENTICATED = "authenticated"
    NOT_AUTHENTICATED = "not authenticated"
    RESOLVER_NOT_TRUSTED = "not known: the resolver is not on loopback and not named as trusted"


@dataclass(frozen=True, slots=True)
class NaptrAnswer:
    """The NAPTR records at a name, possibly none, and their DNSSEC status."""

    records: tuple[Naptr, ...]
    dnssec: Dnssec
    fresh: bool = True
    """True if a name server was queried just now; a cached answer does not show that the server responds."""


class ResolverUnavailable(Temporary):
    """DNS gave no answer; a later query may succeed."""


class NaptrResolver:
    """A stub resolver that caches answers, including negative ones, for their time to live."""

    def __init__(
        self,
        nameservers: Sequence[tuple[str, int]] = (),
        *,
        within: float = 5.0,
        trusted: Collection[str] = (),
    ) -> None:
        """Use ``nameservers``, addresses and ports, by default the system's; ``within`` is in seconds.

        ``trusted`` lists addresses of resolvers whose DNSSEC status is believed, in addition to loopback.
        """
        try:
            resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        except dns.resolver.NoResolverConfiguration:
            # Without any name server configured, each query fails and reports that.
            resolver = dns.asyncresolver.Resolver(configure=False)
        if nameservers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in nameservers]
        resolver.cache = dns.resolver.LRUCache(_MAX_KEPT)
        resolver.lifetime = within
        resolver.timeout = within / 2
        resolver.flags = dns.flags.RD | dns.flags.AD
        self._resolver = resolver
        addresses = [str(getattr(each, "address", each)) for each in resolver.nameservers]
        judged = (address in trusted or _is_loopback(address) for address in addresses)
        self._trusted = bool(addresses) and all(judged)

    async def naptr(self, name: str) -> NaptrAnswer:
        """Return the NAPTR records at ``name``, which is absolute."""
        try:
            absolute = dns.name.from_text(f"{name.rstrip('.')}.")
            fresh = not self._keeps(absolute)
            answer = await self._resolver.resolve(absolute, "NAPTR", search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN as denial:
            responses: dict[dns.name.Name, dns.message.Message] = denial.kwargs["responses"]
            return NaptrAnswer((), self._dnssec(responses[absolute]), fresh)
        except (dns.exception.DNSException, OSError) as error:
            raise ResolverUnavailable(_TOLD.get(type(error), type(error).__name__)) from None
        records = tuple(_record(data) for data in answer.rrset or () if isinstance(data, NAPTR))
        return NaptrAnswer(records, self._dnssec(answer.response), fresh)

    def _keeps(self, name: dns.name.Name) -> bool:
        """Return whether an answer for a name, positive or negative, is cached."""
        kinds = (dns.rdatatype.NAPTR, dns.rdatatype.ANY)
        cache = self._resolver.cache
        return any(cache.get((name, kind, dns.rdataclass.IN)) is not None for kind in kinds)

    def _dnssec(self, response: dns.message.Message) -> Dnssec:
        if not self._trusted:
            return Dnssec.RESOLVER_NOT_TRUSTED
        return Dnssec.AUTHENTICATED if response.flags & dns.flags.AD else Dnssec.NOT_AUTHENTICATED


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _record(data: NAPTR) -> Naptr:
    return Naptr(
        data.order,
        data.preference,
        data.flags.decode("latin-1"),
        data.service.decode("latin-1"),
        data.regexp.decode("utf-8", "replace"),
        data.replacement.to_text(),
    )
