"""The address book's documents: JSON:API to frozen types (architecture-sad 7.1.1), and a copy of it.

The address book rejects ``<`` and ``>`` in its input. They are rejected here too, as are values beyond
its length limits, because its content is shown to people.

:class:`AddressBookCopy` is the whole address book at one point in time: for lookups and searches, and to be
stored as bytes.

Missing: the technical guide to the address book's interface, which DIGG publishes elsewhere: attributes are
those of its information specification, and names of resources, relationships and links those of JSON:API 1.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")
_MAX_BYTES = 8 << 20
_ORGANISATIONS = "organizations"
_ADDRESSES = "addresses"
_ORGANISATION = "organization"
_MAX_NAME = 256
_MAX_DESCRIPTION = 1024
_MAX_WORDS = 1000
_ORGANISATION_NUMBER = re.compile(r"[0-9]{6}-?[0-9]{4}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_FORBIDDEN = re.compile(r"[<>\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

_FORM = 1
"""Version of the format in which a copy is stored; other versions are not read."""


class OrganisationKind(StrEnum):
    """Kinds of participation: an organisation takes part itself, or belongs to one that does."""

    ORGANISATION = "o"
    UNDER_ORGANISATION = "ou"


@dataclass(frozen=True, slots=True)
class Organisation:
    """A participating organisation, or an under-organisation with its ``parent``'s resource id."""

    id: str
    """Id of the JSON:API resource, not a participant identifier."""
    participant: ParticipantIdentifier
    organisation_number: str
    name: str
    alternate_name: str
    description: str
    country_code: str
    kind: OrganisationKind
    parent: str | None


@dataclass(frozen=True, slots=True)
class FunctionalAddress:
    """A function of an organisation that can be written to (content-specification 4.3.2)."""

    identifier: str
    """The ``extension`` in a message, such as ``SE2321000016-00001``."""
    name: str
    description: str
    codes: tuple[str, ...]
    keywords: tuple[str, ...]
    organisation: Organisation


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a collection, and the address of the next one.

    ``refused`` counts entries that break the rules and were left out, so that a single invalid entry does not
    make the whole address book unusable.
    """

    items: tuple[T, ...]
    refused: int
    next: str | None


def read_organisations(data: bytes) -> Page[Organisation]:
    """Return a page of organisations; raise :class:`WireError` if ``data`` is not such a document."""
    return _page(read_document(data), _ORGANISATIONS, lambda resource, _: _organisation(resource))


def read_addresses(data: bytes) -> Page[FunctionalAddress]:
    """Return a page of functional addresses, with their organisations from the same document."""
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
        participant=ParticipantIdentifier.parse(_text(given, "participantIdentifier", _MAX_NAME)),
        organisation_number=_formed(given, "organizationNumber", _ORGANISATION_NUMBER).replace("-", ""),
        name=_text(given, "name", _MAX_NAME),
        alternate_name=_optional(given, "alternateName", _MAX_NAME),
        description=_optional(given, "description", _MAX_DESCRIPTION),
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
        identifier=_text(given, "identifier", _MAX_NAME),
        name=_text(given, "name", _MAX_NAME),
        description=_optional(given, "description", _MAX_DESCRIPTION),
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
    value = _text(given, attribute, _MAX_NAME)
    if not form.fullmatch(value):
        raise WireError(WireFault.STRUCTURE, "of another form", attribute)
    return value


def _words(given: Mapping[str, Any], attribute: str) -> tuple[str, ...]:
    values = given.get(attribute) or []
    if not isinstance(values, list) or len(values) > _MAX_WORDS:
        raise WireError(WireFault.STRUCTURE, "not a list of words", attribute)
    return tuple(_checked(value, attribute, _MAX_NAME) for value in values)


def _checked(value: Any, attribute: str, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or _FORBIDDEN.search(value):
        raise WireError(WireFault.STRUCTURE, "not a text that the address book may hold", attribute)
    return value.strip()


@dataclass(frozen=True, slots=True)
class Resource:
    """A JSON:API resource object; its attributes are validated by the reader of its type."""

    type: str
    id: str
    attributes: Mapping[str, Any]
    relationships: Mapping[str, Any]

    def related(self, relationship: str) -> str | None:
        """Return the id of the single resource that ``relationship`` refers to."""
        match self.relationships.get(relationship):
            case {"data": {"id": str(identifier)}}:
                return identifier
        return None


@dataclass(frozen=True, slots=True)
class Document:
    """A page of a collection: its resources, the resources related to them, and the next page."""

    data: tuple[Resource, ...]
    included: Mapping[tuple[str, str], Resource]
    next: str | None


def read_document(data: bytes) -> Document:
    """Parse a collection; raise :class:`WireError` for anything else."""
    if len(data) > _MAX_BYTES:
        raise WireError(WireFault.TOO_LARGE, f"larger than {_MAX_BYTES} bytes")
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


@dataclass(frozen=True, slots=True)
class Query:
    """A search; empty fields match everything."""

    text: str = ""
    """Words that must all occur in names, descriptions or keywords, in any order and case."""
    organisation: ParticipantIdentifier | None = None
    keyword: str = ""
    """One of the keywords or codes, in full and in any case."""


@dataclass(frozen=True, slots=True, eq=False)
class AddressBookCopy:
    """Every organisation and functional address, as of ``taken_at``."""

    taken_at: datetime
    organisations: tuple[Organisation, ...]
    addresses: tuple[FunctionalAddress, ...]
    _participants: Mapping[ParticipantIdentifier, Organisation] = field(init=False, repr=False)
    _ids: Mapping[str, Organisation] = field(init=False, repr=False)
    _identifiers: Mapping[tuple[ParticipantIdentifier, str], FunctionalAddress] = field(
        init=False, repr=False
    )
    _texts: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        under_last = sorted(self.organisations, key=lambda one: one.kind is OrganisationKind.ORGANISATION)
        known = {_key(one.organisation.participant, one.identifier): one for one in self.addresses}
        object.__setattr__(self, "_participants", {one.participant: one for one in under_last})
        object.__setattr__(self, "_ids", {one.id: one for one in self.organisations})
        object.__setattr__(self, "_identifiers", known)
        texts = (_searched(one, self.parent(one.organisation)) for one in self.addresses)
        object.__setattr__(self, "_texts", tuple(texts))

    def organisation(self, participant: ParticipantIdentifier) -> Organisation | None:
        """Return the organisation with that identifier, in preference to its under-organisations."""
        return self._participants.get(participant)

    def parent(self, organisation: Organisation) -> Organisation | None:
        """Return the organisation that an under-organisation belongs to."""
        return self._ids.get(organisation.parent) if organisation.parent is not None else None

    def address(self, participant: ParticipantIdentifier, identifier: str) -> FunctionalAddress | None:
        """Return a functional address of an organisation or its under-organisations, ignoring case."""
        return self._identifiers.get(_key(participant, identifier))

    def search(self, query: Query, limit: int = 50) -> tuple[FunctionalAddress, ...]:
        """Return the functional addresses that match all of ``query``, ordered by organisation and name."""
        words, keyword = query.text.casefold().split(), query.keyword.casefold()
        found = (
            one
            for one, text in zip(self.addresses, self._texts, strict=True)
            if all(word in text for word in words)
            and query.organisation in (None, one.organisation.participant)
            and (not keyword or keyword in map(str.casefold, (*one.keywords, *one.codes)))
        )
        return tuple(sorted(found, key=_order)[:limit])

    def to_bytes(self) -> bytes:
        """Serialise the copy in our own format, for :func:`read_copy`."""
        organisations = {one.id: one for one in (*_owners(self.addresses), *self.organisations)}
        plain = {
            "form": _FORM,
            "taken_at": self.taken_at.isoformat(),
            "listed": [one.id for one in self.organisations],
            "organisations": [asdict(one) for one in organisations.values()],
            "addresses": [_plain(one) for one in self.addresses],
        }
        return json.dumps(plain, ensure_ascii=False).encode()


def read_copy(data: bytes) -> AddressBookCopy:
    """Read the output of :meth:`AddressBookCopy.to_bytes`; raise :class:`WireError` for anything else."""
    try:
        plain = json.loads(data)
        if plain["form"] != _FORM:
            raise WireError(WireFault.STRUCTURE, "a copy in an unknown format")
        organisations = {one["id"]: _plain_organisation(one) for one in plain["organisations"]}
        return AddressBookCopy(
            _instant(plain["taken_at"]),
            tuple(organisations[each] for each in plain["listed"]),
            tuple(_plain_address(one, organisations) for one in plain["addresses"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WireError(WireFault.STRUCTURE, "no copy of the address book") from None


def _key(participant: ParticipantIdentifier, identifier: str) -> tuple[ParticipantIdentifier, str]:
    return participant, identifier.casefold()


def _searched(one: FunctionalAddress, parent: Organisation | None) -> str:
    """Return the text that a search examines; an under-organisation is also found by its parent's name."""
    owners = [one.organisation] if parent is None else [one.organisation, parent]
    names = (name for owner in owners for name in (owner.name, owner.alternate_name))
    return "\n".join((one.name, one.description, *names, *one.keywords)).casefold()


def _order(one: FunctionalAddress) -> tuple[str, str, str]:
    return one.organisation.name.casefold(), one.name.casefold(), one.identifier


def _owners(addresses: Iterable[FunctionalAddress]) -> Iterable[Organisation]:
    return (one.organisation for one in addresses)


def _plain(one: FunctionalAddress) -> dict[str, Any]:
    return {**asdict(one), "organisation": one.organisation.id}


def _plain_organisation(plain: dict[str, Any]) -> Organisation:
    participant = ParticipantIdentifier.parse(plain["participant"]["value"])
    return Organisation(**{**plain, "participant": participant, "kind": OrganisationKind(plain["kind"])})


def _plain_address(plain: dict[str, Any], organisations: Mapping[str, Organisation]) -> FunctionalAddress:
    lists = {name: tuple(plain[name]) for name in ("codes", "keywords")}
    return FunctionalAddress(**{**plain, **lists, "organisation": organisations[plain["organisation"]]})


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("a time without its zone")
    return instant
