"""JSON:API documents, as far as a reader needs them (jsonapi.org 1.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from samdrift.wire.errors import WireError, WireFault

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
