"""Assertions about a person: identity, audience, validity and means of authentication (saml-core 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from samdrift.wire.saml.parts import (
    at_most_one,
    check_version,
    entity,
    instant,
    instant_of,
    only,
    plain_text,
    refused,
    required,
    saml,
)
from samdrift.wire.xml import Element, children

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_MAX_VALUES = 200
_MAX_VALUE = 4096
_CONDITIONS = frozenset({saml("AudienceRestriction"), saml("OneTimeUse"), saml("ProxyRestriction")})


@dataclass(frozen=True, slots=True)
class NameId:
    """An identifier of a person in a given format, which may be scoped to a provider or service."""

    value: str = field(repr=False)
    format: str | None
    qualifier: str | None
    service_qualifier: str | None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A bearer confirmation: the presenter of the assertion is its subject (saml-profiles 4.1.4.2)."""

    recipient: str | None
    in_response_to: str | None
    not_before: datetime | None
    not_on_or_after: datetime | None


@dataclass(frozen=True, slots=True)
class Authentication:
    """A person's sign-in at the sign-in service."""

    at: datetime
    level: str | None
    """The level of assurance, ``AuthnContextClassRef``."""
    session: str | None
    """The service's identifier of its session, ``SessionIndex``."""
    session_ends: datetime | None


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion that was signed, itself or with the response around it, and verified."""

    issuer: str
    name_id: NameId | None
    confirmations: tuple[Confirmation, ...]
    """Bearer confirmations; others are left out."""
    not_before: datetime | None
    not_on_or_after: datetime | None
    audiences: tuple[frozenset[str], ...]
    """The audiences of each restriction; all restrictions apply together."""
    authentications: tuple[Authentication, ...]
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)


def read_assertion(element: Element) -> Assertion:
    """Read an assertion; raise :class:`WireError` if it is malformed or has unknown conditions."""
    check_version(element)
    subject = only(element, saml("Subject"))
    name_id = at_most_one(subject, saml("NameID"))
    conditions = only(element, saml("Conditions"))
    if any(child.tag not in _CONDITIONS for child in children(conditions)):
        raise refused("a condition that is not known", "Conditions")
    return Assertion(
        issuer=entity(only(element, saml("Issuer"))),
        name_id=None if name_id is None else read_name_id(name_id),
        confirmations=tuple(
            _confirmation(each)
            for each in subject.findall(saml("SubjectConfirmation"))
            if each.get("Method") == BEARER
        ),
        not_before=instant_of(conditions, "NotBefore"),
        not_on_or_after=instant_of(conditions, "NotOnOrAfter"),
        audiences=tuple(
            frozenset(plain_text(each) for each in restriction.findall(saml("Audience")))
            for restriction in conditions.findall(saml("AudienceRestriction"))
        ),
        authentications=tuple(_authentication(each) for each in element.findall(saml("AuthnStatement"))),
        attributes=_attributes(element),
    )


def read_name_id(element: Element) -> NameId:
    """Read a ``NameID``."""
    return NameId(
        plain_text(element),
        element.get("Format"),
        element.get("NameQualifier"),
        element.get("SPNameQualifier"),
    )


def _confirmation(element: Element) -> Confirmation:
    data = only(element, saml("SubjectConfirmationData"))
    return Confirmation(
        data.get("Recipient"),
        data.get("InResponseTo"),
        instant_of(data, "NotBefore"),
        instant_of(data, "NotOnOrAfter"),
    )


def _authentication(element: Element) -> Authentication:
    level = at_most_one(only(element, saml("AuthnContext")), saml("AuthnContextClassRef"))
    return Authentication(
        instant(required(element, "AuthnInstant"), "AuthnInstant"),
        None if level is None else plain_text(level),
        element.get("SessionIndex"),
        instant_of(element, "SessionNotOnOrAfter"),
    )


def _attributes(element: Element) -> dict[str, tuple[str, ...]]:
    """Return the attributes with their text values; other values are left out."""
    found: dict[str, list[str]] = {}
    for attribute in element.iterfind(f"{saml('AttributeStatement')}/{saml('Attribute')}"):
        values = found.setdefault(required(attribute, "Name"), [])
        values += [
            plain_text(each) for each in attribute.findall(saml("AttributeValue")) if not children(each)
        ]
    if any(len(each) > _MAX_VALUE for values in found.values() for each in values):
        raise refused("a value of unlikely size", "AttributeValue")
    if sum(len(values) for values in found.values()) > _MAX_VALUES:
        raise refused("more values than are accepted", "AttributeStatement")
    return {name: tuple(values) for name, values in found.items()}
