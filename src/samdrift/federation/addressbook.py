"""The address book's reading interface: JSON:API, open to everyone (architecture-sad 5.1.1.2, 7.1.1).

``/organizations`` and ``/addresses``, each with ``/{id}``, filters and pages. The attributes are those of
DIGG's information specification. The technical guide to the interface is not among the texts available to
this project, so the names of filters, the spelling of codes and the page sizes are its own.

Documents, pages and errors are JSON:API as far as reading needs it (jsonapi.org, version 1.1); that part,
from :class:`QueryError` on, is independent of the kinds of resource.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.federation.directory import Directory, Entry, FunctionalAddress, Organisation

ORGANISATIONS = "organizations"
ADDRESSES = "addresses"
MEDIA_TYPE = "application/vnd.api+json"
DEFAULT_PAGE = 20
MAX_PAGE = 500
_FILTER = re.compile(r"filter\[([A-Za-z.]+)\]")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def address_book(directory: Directory, url: str) -> Starlette:
    """Return the interface over ``directory``; ``url`` is its own address, for links in its documents."""

    async def organisations(request: Request) -> Response:
        resources = list(_organisations(directory.entries()).values())
        return _answer(request, url, f"/{ORGANISATIONS}", resources, _ORGANISATION_FILTERS)

    async def addresses(request: Request) -> Response:
        return _answer(request, url, f"/{ADDRESSES}", _addresses(directory.entries()), _ADDRESS_FILTERS)

    return Starlette(
        routes=[
            Route(f"/{ORGANISATIONS}", organisations),
            Route(f"/{ORGANISATIONS}/{{id}}", organisations),
            Route(f"/{ADDRESSES}", addresses),
            Route(f"/{ADDRESSES}/{{id}}", addresses),
        ],
        exception_handlers={
            404: lambda request, _: error(404, "no such resource"),
            405: lambda request, _: error(405, "the address book can only be read here"),
        },
    )


def _answer(
    request: Request, url: str, path: str, resources: list[Resource], filters: Mapping[str, Filter]
) -> Response:
    """Answer with the resource that the path names, or the requested page of the collection."""
    wanted = request.path_params.get("id")
    try:
        query = Query.read(request)
        if not query.include <= {"organization"}:
            raise QueryError("include", "no such relationship")
        if wanted is None:
            return collection(url, path, resources, query, filters)
        return single(url, next((one for one in resources if one.id == wanted), None), query)
    except QueryError as refused:
        return error(400, refused.text, refused.parameter)


def _organisations(entries: list[Entry]) -> dict[str, Resource]:
    """Return resources by id; organisations are built before those that belong to them."""
    found: dict[str, Resource] = {}
    for entry in sorted(entries, key=lambda entry: entry.organisation.parent is not None):
        one = entry.organisation
        above = {"organization": found[one.parent]} if one.parent is not None else {}
        found[one.id] = Resource(ORGANISATIONS, one.id, _organisation_attributes(one), above)
    return {entry.organisation.id: found[entry.organisation.id] for entry in entries}


def _addresses(entries: list[Entry]) -> list[Resource]:
    organisations = _organisations(entries)
    found = [
        Resource(
            ADDRESSES,
            address.id,
            _address_attributes(address),
            {"organization": organisations[entry.organisation.id]},
        )
        for entry in entries
        for address in entry.addresses
    ]
    return sorted(found, key=lambda one: str(one.attributes["name"]).casefold())


def _organisation_attributes(one: Organisation) -> dict[str, object]:
    return {
        "participantIdentifier": one.participant.value,
        "organizationNumber": one.organisation_number,
        "name": one.name,
        "alternateName": one.alternate_name,
        "description": one.description,
        "countryCode": one.country_code,
        "type": one.type.value,
    }


def _address_attributes(one: FunctionalAddress) -> dict[str, object]:
    return {
        "identifier": one.identifier,
        "name": one.name,
        "description": one.description,
        "codes": list(one.codes),
        "keywords": list(one.keywords),
    }


def _equals(attribute: str) -> Filter:
    """Return a filter that matches if the attribute, or one of its values, is equal, ignoring case."""

    def answers(resource: Resource, value: str) -> bool:
        held = resource.attributes[attribute]
        several = held if isinstance(held, list) else [held]
        return value.casefold() in (str(one).casefold() for one in several if one is not None)

    return answers


def _contains(*attributes: str) -> Filter:
    """Return a filter that matches if one of the attributes contains the value, ignoring case."""

    def answers(resource: Resource, value: str) -> bool:
        held = (resource.attributes[attribute] for attribute in attributes)
        texts = (" ".join(one) if isinstance(one, list) else str(one or "") for one in held)
        return any(value.casefold() in text.casefold() for text in texts)

    return answers


def _of_organisation(attribute: str) -> Filter:
    """Return a filter that matches if an address's organisation has the value."""
    equals = _equals(attribute)
    return lambda resource, value: equals(resource.relationships["organization"], value)


_ORGANISATION_FILTERS: dict[str, Filter] = {
    "participantIdentifier": _equals("participantIdentifier"),
    "organizationNumber": _equals("organizationNumber"),
    "countryCode": _equals("countryCode"),
    "type": _equals("type"),
    "name": _contains("name", "alternateName"),
    "text": _contains("name", "alternateName", "description"),
}

_ADDRESS_FILTERS: dict[str, Filter] = {
    "identifier": _equals("identifier"),
    "codes": _equals("codes"),
    "keywords": _equals("keywords"),
    "name": _contains("name"),
    "text": _contains("name", "description", "keywords"),
    "organization": lambda resource, value: resource.relationships["organization"].id == value,
    "organization.participantIdentifier": _of_organisation("participantIdentifier"),
}


class QueryError(Exception):
    """A query parameter that the interface does not know or cannot use."""

    def __init__(self, parameter: str, text: str) -> None:
        super().__init__(text)
        self.parameter = parameter
        self.text = text


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource object; each relationship refers to another resource."""

    type: str
    id: str
    attributes: Mapping[str, Any]
    relationships: Mapping[str, Resource]

    @property
    def link(self) -> str:
        """Return the resource's path, relative to the interface's address."""
        return f"/{self.type}/{self.id}"


Filter = Callable[[Resource, str], bool]
"""A function that returns whether a resource matches the value of a filter."""


@dataclass(frozen=True, slots=True)
class Query:
    """A client's query of a collection."""

    filters: tuple[tuple[str, str], ...]
    include: frozenset[str]
    number: int
    size: int

    @classmethod
    def read(cls, request: Request) -> Query:
        """Read the parameters of ``request``; raise :class:`QueryError` for an unknown or invalid one."""
        filters: list[tuple[str, str]] = []
        page = {"page[number]": 1, "page[size]": DEFAULT_PAGE}
        include: frozenset[str] = frozenset()
        for name, value in request.query_params.multi_items():
            if match := _FILTER.fullmatch(name):
                filters.append((match[1], value))
            elif name in page:
                page[name] = _number(name, value)
            elif name == "include":
                include = frozenset(value.split(",")) - {""}
            else:
                raise QueryError(name, "no such query parameter")
        return cls(tuple(filters), include, page["page[number]"], min(page["page[size]"], MAX_PAGE))


def collection(
    base: str, path: str, resources: Sequence[Resource], query: Query, filters: Mapping[str, Filter]
) -> Response:
    """Return one page of the ``resources`` that match every filter of ``query``."""
    for name, _ in query.filters:
        if name not in filters:
            raise QueryError(f"filter[{name}]", "no such filter")
    found = [one for one in resources if all(filters[name](one, value) for name, value in query.filters)]
    pages = max(1, -(-len(found) // query.size))
    start = (query.number - 1) * query.size
    shown = found[start : start + query.size]
    document = {
        "data": [_object(base, one) for one in shown],
        "links": _links(base + path, query, pages),
        "meta": {"totalItems": len(found), "totalPages": pages},
        **_included(base, shown, query.include),
    }
    return respond(document)


def single(base: str, resource: Resource | None, query: Query) -> Response:
    """Return a document with one resource, or an error if there is none."""
    if resource is None:
        return error(404, "no such resource")
    document = {"data": _object(base, resource), **_included(base, [resource], query.include)}
    return respond(document)


def error(status: int, text: str, parameter: str = "") -> Response:
    """Return an error document."""
    source = {"source": {"parameter": parameter}} if parameter else {}
    return respond({"errors": [{"status": str(status), "title": text, **source}]}, status)


def respond(document: Mapping[str, Any], status: int = 200) -> Response:
    """Return a document with the media type of JSON:API."""
    body = {"jsonapi": {"version": "1.1"}, **document}
    return Response(json.dumps(body, ensure_ascii=False), status, media_type=MEDIA_TYPE)


def _object(base: str, resource: Resource) -> dict[str, Any]:
    relationships = {
        name: {
            "data": {"type": target.type, "id": target.id},
            "links": {"related": base + target.link},
        }
        for name, target in resource.relationships.items()
    }
    return {
        "type": resource.type,
        "id": resource.id,
        "attributes": dict(resource.attributes),
        **({"relationships": relationships} if relationships else {}),
        "links": {"self": base + resource.link},
    }


def _included(base: str, shown: Iterable[Resource], include: frozenset[str]) -> dict[str, Any]:
    if not include:
        return {}
    related = {
        target.id: target
        for resource in shown
        for name, target in resource.relationships.items()
        if name in include
    }
    return {"included": [_object(base, target) for target in related.values()]}


def _links(address: str, query: Query, pages: int) -> dict[str, str | None]:
    def to(number: int) -> str:
        parameters = [(f"filter[{name}]", value) for name, value in query.filters]
        if query.include:
            parameters.append(("include", ",".join(sorted(query.include))))
        parameters += [("page[number]", str(number)), ("page[size]", str(query.size))]
        return f"{address}?{urlencode(parameters)}"

    return {
        "self": to(query.number),
        "first": to(1),
        "last": to(pages),
        "prev": to(min(query.number - 1, pages)) if query.number > 1 else None,
        "next": to(query.number + 1) if query.number < pages else None,
    }


def _number(name: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise QueryError(name, "not a number from 1")
    return int(value)
