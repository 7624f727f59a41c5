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
"""The attribute ``displayName`` (RFC 2798 2.3)."""
ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)


def saml(local: str) -> str:
    """The expanded name of an element of assertions."""
    return name(Namespace.SAML, local)


def samlp(local: str) -> str:
    """The expanded name of an element of the protocol."""
    return name(Namespace.SAML_PROTOCOL, local)


def refused(what: str, where: str) -> WireError:
    """The error for a document of another form."""
    return WireError(WireFault.STRUCTURE, what, where)


def only(element: Element, tag: str) -> Element:
    """The one child of that name; :class:`WireError` when there is none, or more than one."""
    found = element.findall(tag)
    if len(found) != 1:
        raise refused("exactly one is required", tag.rpartition("}")[2])
    return found[0]


def at_most_one(element: Element, tag: str) -> Element | None:
    """The child of that name, if there is one; :class:`WireError` when there are more."""
    return only(element, tag) if element.find(tag) is not None else None


def plain_text(element: Element) -> str:
    """The text of an element with nothing but text in it, without white space around it.

    A comment in it is left out as it was from what was signed, so that it cannot cut a name short.
    """
    if children(element):
        raise refused("is to hold text alone", local_name(element))
    return text(element).strip()


def required(element: Element, attribute: str) -> str:
    """An attribute that must be there."""
    value = element.get(attribute)
    if not value:
        raise refused(f"the attribute {attribute} is missing", local_name(element))
    return value


def instant(value: str, where: str) -> datetime:
    """A time, which SAML always writes in UTC (saml-core 1.3.3)."""
    if not _INSTANT.fullmatch(value):
        raise refused("not a time in UTC", where)
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise refused("not a time", where) from None


def instant_of(element: Element, attribute: str) -> datetime | None:
    """The time in an attribute that may be left out."""
    value = element.get(attribute)
    return None if value is None else instant(value, attribute)


def written(at: datetime) -> str:
    """A time as documents of ours have it, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def entity(issuer: Element) -> str:
    """The entity that an ``Issuer`` names (saml-core 8.3.6)."""
    if issuer.get("Format", ENTITY) != ENTITY:
        raise refused("the issuer is not named as an entity", "Issuer")
    return plain_text(issuer)


def check_version(element: Element) -> None:
    """Refuse any version but 2.0 (saml-core 4.1)."""
    if element.get("Version") != "2.0":
        raise refused("another version than 2.0", local_name(element))
