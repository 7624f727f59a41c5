"""The address book's reading interface: JSON:API, open to everybody (architecture-sad 5.1.1.2, 7.1.1).

``/organizations`` and ``/addresses``, each with ``/{id}``, filters and pages.
The attributes are those of DIGG's information specification. The technical
guide to the interface is not among the texts that this project has: names of
filters, the spelling of codes and the numbers of pages are its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.federation.directory import Directory, Entry, FunctionalAddress, Organisation
from samdrift.federation.jsonapi import Filter, Query, QueryError, Resource, collection, error, single

ORGANISATIONS = "organizations"
ADDRESSES = "addresses"


def address_book(directory: Directory, url: str) -> Starlette:
    """The interface over ``directory``; ``url`` is its own address, for the links in its documents."""

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
    """The resource that the path names, or the page of the collection that the query asks for."""
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
    """Resources by id; those that others belong to come first into being."""
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
    """Return whether the attribute, or one of its values, is the same without regard to case."""

    def answers(resource: Resource, value: str) -> bool:
        held = resource.attributes[attribute]
        several = held if isinstance(held, list) else [held]
        return value.casefold() in (str(one).casefold() for one in several if one is not None)

    return answers


def _contains(*attributes: str) -> Filter:
    """Return whether one of the attributes has the value in it, without regard to case."""

    def answers(resource: Resource, value: str) -> bool:
        held = (resource.attributes[attribute] for attribute in attributes)
        texts = (" ".join(one) if isinstance(one, list) else str(one or "") for one in held)
        return any(value.casefold() in text.casefold() for text in texts)

    return answers


def _of_organisation(attribute: str) -> Filter:
    """Return whether the organisation that an address belongs to has the value."""
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
