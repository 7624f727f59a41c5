"""JSON:API documents, pages and errors, as far as reading needs them (jsonapi.org, version 1.1).

Knows nothing of what the resources are about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/vnd.api+json"
DEFAULT_PAGE = 20
MAX_PAGE = 500

_FILTER = re.compile(r"filter\[([A-Za-z.]+)\]")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class QueryError(Exception):
    """A query parameter that the interface does not know or cannot use."""

    def __init__(self, parameter: str, text: str) -> None:
        super().__init__(text)
        self.parameter = parameter
        self.text = text


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource object; a relationship is the resource that it points at."""

    type: str
    id: str
    attributes: Mapping[str, Any]
    relationships: Mapping[str, Resource]

    @property
    def link(self) -> str:
        """Where it is found, below the interface's address."""
        return f"/{self.type}/{self.id}"


Filter = Callable[[Resource, str], bool]
"""Whether a resource answers to the value of a filter."""


@dataclass(frozen=True, slots=True)
class Query:
    """A client's query of a collection."""

    filters: tuple[tuple[str, str], ...]
    include: frozenset[str]
    number: int
    size: int

    @classmethod
    def read(cls, request: Request) -> Query:
        """From the parameters of ``request``; :class:`QueryError` for one that is not known."""
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
    """One page of those of ``resources`` that answer to every filter of ``query``."""
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
    """One resource, or the error that there is none."""
    if resource is None:
        return error(404, "no such resource")
    document = {"data": _object(base, resource), **_included(base, [resource], query.include)}
    return respond(document)


def error(status: int, text: str, parameter: str = "") -> Response:
    """An error document."""
    source = {"source": {"parameter": parameter}} if parameter else {}
    return respond({"errors": [{"status": str(status), "title": text, **source}]}, status)


def respond(document: Mapping[str, Any], status: int = 200) -> Response:
    """A document with the media type of JSON:API."""
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
