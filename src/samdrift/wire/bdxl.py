"""Location of a participant's SMP in DNS (component-sml 2.8, eDelivery BDXL 1.6).

The DNS name is a hash, so that identifiers of any form fit; the answer is a NAPTR record that contains an
address. The DNS query itself is made in ``net``: this module only builds the name and interprets the records.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.webaddress import web_address

SERVICE = "Meta:SMP"
_WHOLE = frozenset({".*", "^.*$", "^.*", ".*$"})


@dataclass(frozen=True, slots=True)
class Naptr:
    """A NAPTR record as DNS returns it (RFC 3403 4.1)."""

    order: int
    preference: int
    flags: str
    service: str
    regexp: str
    replacement: str


def host(participant: ParticipantIdentifier, zone: str) -> str:
    """Return the name to query: base32 of the SHA-256 of the lower-case identifier, its scheme, the zone."""
    digest = hashlib.sha256(participant.value.lower().encode()).digest()
    label = base64.b32encode(digest).decode("ascii").rstrip("=")
    return f"{label}.{participant.scheme}.{zone.strip('.')}"


def record(address: str, *, order: int = 100, preference: int = 10) -> Naptr:
    """Return the record with which an SML publishes the ``address`` of an SMP."""
    return Naptr(order, preference, "U", SERVICE, f"!.*!{web_address(address, 'address')}!", ".")


def smp_address(records: Sequence[Naptr]) -> str:
    """Return the address in the first terminal record for SMP, without a trailing slash.

    Raises :class:`WireError` if no record is for SMP, or if the first one does not contain an http or https
    address without a query.
    """
    usable = [r for r in records if r.flags.upper() == "U" and r.service.lower() == SERVICE.lower()]
    if not usable:
        raise WireError(WireFault.STRUCTURE, "no record has the address of an SMP", "NAPTR")
    chosen = min(usable, key=lambda r: (r.order, r.preference))
    address = web_address(_substituted(chosen.regexp), "NAPTR")
    if "?" in address:
        raise WireError(WireFault.IDENTIFIER, "an SMP's address has no query", "NAPTR")
    return address.rstrip("/")


def _substituted(regexp: str) -> str:
    """Return the result of a substitution expression for any input (RFC 3402 3.2).

    Only expressions that replace the whole input are in use, and only they are accepted: a pattern from DNS
    is never executed.
    """
    parts = regexp[1:].split(regexp[0]) if regexp else []
    if len(parts) != 3 or parts[0] not in _WHOLE or parts[2] not in ("", "i") or "\\" in parts[1]:
        raise WireError(WireFault.STRUCTURE, "not a substitution of the whole input", "NAPTR")
    return parts[1]
