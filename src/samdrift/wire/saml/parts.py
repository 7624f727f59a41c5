"""Parts that all SAML documents share: names, times, and elements that occur exactly once."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, Namespace, children, local_name, name, text

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
DISPLAY_NAME = "urn:oid:2.16.840.1.113730.3.1.241"
"""Identifier of the attribute ``displayName`` (RFC 2798 2.3)."""
ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)


def saml(local: str) -> str:
    """Return the expanded name of an assertion element."""
    return name(Namespace.SAML, local)


def samlp(local: str) -> str:
    """Return the expanded name of a protocol element."""
    return name(Namespace.SAML_PROTOCOL, local)


def refused(what: str, where: str) -> WireError:
    """Return the error for a document of an unexpected form."""
    return WireError(WireFault.STRUCTURE, what, where)


def only(element: Element, tag: str) -> Element:
    """Return the one child with that name; raise :class:`WireError` if there is none or more than one."""
    found = element.findall(tag)
    if len(found) != 1:
        raise refused("exactly one is required", tag.rpartition("}")[2])
    return found[0]


def at_most_one(element: Element, tag: str) -> Element | None:
    """Return the child with that name, if there is one; raise :class:`WireError` if there are more."""
    return only(element, tag) if element.find(tag) is not None else None


def plain_text(element: Element) -> str:
    """Return the text of an element that contains only text, without surrounding white space.

    Comments are skipped, as they were in the signed form, so that a comment cannot cut a name short.
    """
    if children(element):
        raise refused("must contain only text", local_name(element))
    return text(element).strip()


def required(element: Element, attribute: str) -> str:
    """Return a required attribute."""
    value = element.get(attribute)
    if not value:
        raise refused(f"the attribute {attribute} is missing", local_name(element))
    return value


def instant(value: str, where: str) -> datetime:
    """Parse a time, which SAML always writes in UTC (saml-core 1.3.3)."""
    if not _INSTANT.fullmatch(value):
        raise refused("not a time in UTC", where)
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise refused("not a time", where) from None


def instant_of(element: Element, attribute: str) -> datetime | None:
    """Return the time in an optional attribute."""
    value = element.get(attribute)
    return None if value is None else instant(value, attribute)


def written(at: datetime) -> str:
    """Format a time for our own documents, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def entity(issuer: Element) -> str:
    """Return the entity that an ``Issuer`` names (saml-core 8.3.6)."""
    if issuer.get("Format", ENTITY) != ENTITY:
        raise refused("the issuer is not named as an entity", "Issuer")
    return plain_text(issuer)


def check_version(element: Element) -> None:
    """Reject any version but 2.0 (saml-core 4.1)."""
    if element.get("Version") != "2.0":
        raise refused("another version than 2.0", local_name(element))
