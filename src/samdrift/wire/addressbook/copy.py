"""The whole address book as it was at one time: to look up in, to search, and to keep as bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from samdrift.wire.addressbook.types import FunctionalAddress, Organisation, OrganisationKind
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.identifiers import ParticipantIdentifier

_FORM = 1
"""Number of the form that a copy is kept in; another one is not read."""


@dataclass(frozen=True, slots=True)
class Query:
    """A search; empty fields match everything."""

    text: str = ""
    """Words that must all are in names, descriptions or keywords, in any order, whatever their case."""
    organisation: ParticipantIdentifier | None = None
    keyword: str = ""
    """One of the keywords or codes, whole, whatever its case."""


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
        texts = (_text(one, self.parent(one.organisation)) for one in self.addresses)
        object.__setattr__(self, "_texts", tuple(texts))

    def organisation(self, participant: ParticipantIdentifier) -> Organisation | None:
        """The organisation; not one of its under-organisations, as long as it is there itself."""
        return self._participants.get(participant)

    def parent(self, organisation: Organisation) -> Organisation | None:
        """The organisation that an under-organisation belongs to."""
        return self._ids.get(organisation.parent) if organisation.parent is not None else None

    def address(self, participant: ParticipantIdentifier, identifier: str) -> FunctionalAddress | None:
        """A functional address of an organisation or one of its under-organisations, whatever its case."""
        return self._identifiers.get(_key(participant, identifier))

    def search(self, query: Query, limit: int = 50) -> tuple[FunctionalAddress, ...]:
        """Functional addresses that fit everything in ``query``, by organisation and name."""
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
        """The copy in a form of its own, for :func:`read_copy`."""
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
    """The copy that :meth:`AddressBookCopy.to_bytes` made; :class:`WireError` for anything else."""
    try:
        plain = json.loads(data)
        if plain["form"] != _FORM:
            raise WireError(WireFault.STRUCTURE, "a copy of another form")
        organisations = {one["id"]: _organisation(one) for one in plain["organisations"]}
        return AddressBookCopy(
            _instant(plain["taken_at"]),
            tuple(organisations[each] for each in plain["listed"]),
            tuple(_address(one, organisations) for one in plain["addresses"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WireError(WireFault.STRUCTURE, "no copy of the address book") from None


def _key(participant: ParticipantIdentifier, identifier: str) -> tuple[ParticipantIdentifier, str]:
    return participant, identifier.casefold()


def _text(one: FunctionalAddress, parent: Organisation | None) -> str:
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


def _organisation(plain: dict[str, Any]) -> Organisation:
    participant = ParticipantIdentifier.parse(plain["participant"]["value"])
    return Organisation(**{**plain, "participant": participant, "kind": OrganisationKind(plain["kind"])})


def _address(plain: dict[str, Any], organisations: Mapping[str, Organisation]) -> FunctionalAddress:
    lists = {name: tuple(plain[name]) for name in ("codes", "keywords")}
    return FunctionalAddress(**{**plain, **lists, "organisation": organisations[plain["organisation"]]})


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("a time without its zone")
    return instant
