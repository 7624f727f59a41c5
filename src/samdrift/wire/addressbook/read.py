"""Organisations and functional addresses out of documents, with the limits that the address book has.

The address book refuses ``<`` and ``>`` in what is entered; they are refused
here too, since what it says is shown to people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from samdrift.wire.addressbook.document import Document, Resource, read_document
from samdrift.wire.addressbook.types import FunctionalAddress, Organisation, OrganisationKind, Page
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")

_ORGANISATIONS = "organizations"
_ADDRESSES = "addresses"
_ORGANISATION = "organization"
_NAME = 256
_DESCRIPTION = 1024
_MOST_WORDS = 1000
_ORGANISATION_NUMBER = re.compile(r"[0-9]{6}-?[0-9]{4}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_FORBIDDEN = re.compile(r"[<>\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def read_organisations(data: bytes) -> Page[Organisation]:
    """A page of organisations; :class:`WireError` when ``data`` is no such document."""
    return _page(read_document(data), _ORGANISATIONS, lambda resource, _: _organisation(resource))


def read_addresses(data: bytes) -> Page[FunctionalAddress]:
    """A page of functional addresses, with their organisations included in the document."""
    return _page(read_document(data), _ADDRESSES, _address)


def _page(document: Document, kind: str, read: Callable[[Resource, Document], T]) -> Page[T]:
    items: list[T] = []
    refused = 0
    for resource in document.data:
        if resource.type != kind:
            raise WireError(WireFault.STRUCTURE, "another type of resource", "data")
        try:
            items.append(read(resource, document))
        except WireError:
            refused += 1
    return Page(tuple(items), refused, document.next)


def _organisation(resource: Resource) -> Organisation:
    given = resource.attributes
    kind = _text(given, "type", 2)
    if kind not in frozenset(OrganisationKind):
        raise WireError(WireFault.STRUCTURE, "neither o nor ou", "type")
    return Organisation(
        id=resource.id,
        participant=ParticipantIdentifier.parse(_text(given, "participantIdentifier", _NAME)),
        organisation_number=_formed(given, "organizationNumber", _ORGANISATION_NUMBER).replace("-", ""),
        name=_text(given, "name", _NAME),
        alternate_name=_optional(given, "alternateName", _NAME),
        description=_optional(given, "description", _DESCRIPTION),
        country_code=_formed(given, "countryCode", _COUNTRY),
        kind=OrganisationKind(kind),
        parent=resource.related(_ORGANISATION),
    )


def _address(resource: Resource, document: Document) -> FunctionalAddress:
    given = resource.attributes
    owner = document.included.get((_ORGANISATIONS, resource.related(_ORGANISATION) or ""))
    if owner is None:
        raise WireError(WireFault.STRUCTURE, "belongs to no organisation", _ORGANISATION)
    return FunctionalAddress(
        identifier=_text(given, "identifier", _NAME),
        name=_text(given, "name", _NAME),
        description=_optional(given, "description", _DESCRIPTION),
        codes=_words(given, "codes"),
        keywords=_words(given, "keywords"),
        organisation=_organisation(owner),
    )


def _text(given: Mapping[str, Any], attribute: str, longest: int) -> str:
    value = _optional(given, attribute, longest)
    if not value:
        raise WireError(WireFault.STRUCTURE, "missing", attribute)
    return value


def _optional(given: Mapping[str, Any], attribute: str, longest: int) -> str:
    return _checked(given.get(attribute) or "", attribute, longest)


def _formed(given: Mapping[str, Any], attribute: str, form: re.Pattern[str]) -> str:
    value = _text(given, attribute, _NAME)
    if not form.fullmatch(value):
        raise WireError(WireFault.STRUCTURE, "of another form", attribute)
    return value


def _words(given: Mapping[str, Any], attribute: str) -> tuple[str, ...]:
    values = given.get(attribute) or []
    if not isinstance(values, list) or len(values) > _MOST_WORDS:
        raise WireError(WireFault.STRUCTURE, "not a list of words", attribute)
    return tuple(_checked(value, attribute, _NAME) for value in values)


def _checked(value: Any, attribute: str, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or _FORBIDDEN.search(value):
        raise WireError(WireFault.STRUCTURE, "not a text that the address book may hold", attribute)
    return value.strip()
