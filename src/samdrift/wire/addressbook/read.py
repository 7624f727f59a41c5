"""Organisations and functional addresses out of documents, with the limits that the address book has.

The address book refuses ``<`` and ``>`` in what is entered; they are refused
here too, since what it says is shown to people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from samdrift.wire.addressbook.types import FunctionalAddress, Organisation, OrganisationKind, Page
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import ParticipantIdentifier

_MOST_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource object; what it holds is looked at by those who know its type."""

    type: str
    id: str
    attributes: Mapping[str, Any]
    relationships: Mapping[str, Any]

    def related(self, relationship: str) -> str | None:
        """The id of the one resource that ``relationship`` points at."""
        match self.relationships.get(relationship):
            case {"data": {"id": str(identifier)}}:
                return identifier
        return None


@dataclass(frozen=True, slots=True)
class Document:
    """A collection's page: its resources, the ones related to them, and the next page."""

    data: tuple[Resource, ...]
    included: Mapping[tuple[str, str], Resource]
    next: str | None


def read_document(data: bytes) -> Document:
    """Read a collection; :class:`WireError` for anything else."""
    if len(data) > _MOST_BYTES:
        raise WireError(WireFault.TOO_LARGE, f"larger than {_MOST_BYTES} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise WireError(WireFault.STRUCTURE, "not JSON") from None
    match document:
        case {"data": list(found)}:
            included = [_resource(one) for one in _list(document.get("included"), "included")]
            return Document(
                tuple(_resource(one) for one in found),
                {(one.type, one.id): one for one in included},
                _next(document.get("links")),
            )
    raise WireError(WireFault.STRUCTURE, "not a collection of JSON:API", "data")


def _resource(value: Any) -> Resource:
    match value:
        case {"type": str(kind), "id": str(identifier), **rest}:
            return Resource(
                kind,
                identifier,
                _mapping(rest.get("attributes"), "attributes"),
                _mapping(rest.get("relationships"), "relationships"),
            )
    raise WireError(WireFault.STRUCTURE, "not a resource of JSON:API", "data")


def _next(links: Any) -> str | None:
    match _mapping(links, "links").get("next"):
        case str(address) | {"href": str(address)}:
            return address
        case None:
            return None
    raise WireError(WireFault.STRUCTURE, "not a link", "links/next")


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WireError(WireFault.STRUCTURE, "not an object", where)
    return value


def _list(value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise WireError(WireFault.STRUCTURE, "not an array", where)
    return value


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
