"""Strict validation of web addresses from outside, so that all parsers agree on their meaning.

Addresses of SMPs come from DNS, those of access points from service metadata, those of revocation lists from
certificates. An attacker who controls these could otherwise make us call the wrong address.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import urlsplit

from samdrift.wire.errors import WireError, WireFault

_MAX_LENGTH = 2048
_ADDRESS = re.compile(
    r"https?://"
    r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[(?P<numbers>[0-9a-f:.]+)\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[!$-;=?-Z_a-z~]*)?",
    re.IGNORECASE | re.ASCII,
)


def web_address(value: str, where: str) -> str:
    """Return ``value`` if it is an absolute http or https URL; raise :class:`WireError` otherwise.

    Rejected are other schemes, user information, fragments, white space, backslashes, names outside ASCII,
    brackets without an IPv6 address, impossible ports and addresses over 2048 characters.
    """
    found = _ADDRESS.fullmatch(value) if len(value) <= _MAX_LENGTH else None
    if found is None or not 0 < int(found["port"] or 1) < 1 << 16 or not _is_ipv6(found["numbers"] or "::"):
        raise WireError(WireFault.IDENTIFIER, "not an absolute http or https address", where)
    return value


def place_of(address: str) -> str:
    """Return host and port of a valid address, for the operator."""
    where = urlsplit(address)
    host = where.hostname or ""
    port = where.port or (443 if where.scheme == "https" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_ipv6(numbers: str) -> bool:
    try:
        IPv6Address(numbers)
    except AddressValueError:
        return False
    return True
