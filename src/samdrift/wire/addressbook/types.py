"""Organisations and their functional addresses as the address book tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")


class OrganisationKind(StrEnum):
    """Whether an organisation takes part itself or belongs to one that does."""

    ORGANISATION = "o"
    UNDER_ORGANISATION = "ou"


@dataclass(frozen=True, slots=True)
class Organisation:
    """A participating organisation or an under-organisation, which has its ``parent``'s resource id."""

    id: str
    """The resource's, not a participant identifier."""
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

    ``refused`` counts entries that break the rules and were left out, so that
    one of them does not take the whole address book away.
    """

    items: tuple[T, ...]
    refused: int
    next: str | None
