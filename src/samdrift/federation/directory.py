"""The content of the address book: organisations and their functional addresses (architecture-sad 7.1.1).

The information comes from participants, and is checked as DIGG's address book does: lengths, number of
digits, and no ``<`` or ``>`` in any text.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from samdrift.federation.store import FederationError, Records
from samdrift.wire.identifiers import ParticipantIdentifier

MAX_NAME = 256
MAX_DESCRIPTION = 1024
_ORGANISATION_NUMBER = re.compile(r"[0-9]{10}")
_COUNTRY = re.compile(r"[A-Z]{2}")


class OrganisationType(StrEnum):
    """Kind of participation: an organisation in its own right, or a part of one."""

    ORGANISATION = "o"
    UNDER_ORGANISATION = "ou"


@dataclass(frozen=True, slots=True)
class Organisation:
    """A participating organisation, or an under-organisation of one, which has a ``parent``."""

    participant: ParticipantIdentifier
    organisation_number: str
    name: str
    alternate_name: str | None = None
    description: str | None = None
    country_code: str = "SE"
    parent: str | None = None
    """The ``id`` of the parent organisation."""

    def __post_init__(self) -> None:
        _check(
            _ORGANISATION_NUMBER.fullmatch(self.organisation_number), "an organisation number has 10 digits"
        )
        _check(_COUNTRY.fullmatch(self.country_code), "a country code has two capital letters")
        _check_text(self.name, MAX_NAME, required=True)
        _check_text(self.alternate_name, MAX_NAME)
        _check_text(self.description, MAX_DESCRIPTION)

    @property
    def id(self) -> str:
        """Return an id that is the same for the same organisation in every run."""
        if self.parent is None:
            return str(uuid5(NAMESPACE_URL, self.participant.value))
        return str(uuid5(UUID(self.parent), self.name))

    @property
    def type(self) -> OrganisationType:
        return OrganisationType.ORGANISATION if self.parent is None else OrganisationType.UNDER_ORGANISATION


@dataclass(frozen=True, slots=True)
class FunctionalAddress:
    """A functional mailbox, the smallest unit that can be addressed (content-specification 4.3.2)."""

    identifier: str
    name: str
    description: str | None = None
    codes: tuple[str, ...] = ()
    """Codes from code systems, written as the system, a colon and the code."""
    keywords: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_text(self.identifier, MAX_NAME, required=True)
        _check_text(self.name, MAX_NAME, required=True)
        _check_text(self.description, MAX_DESCRIPTION)
        for text in (*self.codes, *self.keywords):
            _check_text(text, MAX_NAME, required=True)

    @property
    def id(self) -> str:
        """Return an id that is the same for the same address in every run."""
        return str(uuid5(NAMESPACE_URL, self.identifier))


@dataclass(frozen=True, slots=True)
class Entry:
    """The address book's entry about one organisation."""

    organisation: Organisation
    addresses: tuple[FunctionalAddress, ...] = ()


class Directory:
    """All organisations with their functional addresses, stored in a folder."""

    def __init__(self, folder: Path) -> None:
        self._records = Records(folder)
        self._entries = {entry.organisation.id: entry for entry in map(_entry, self._records.all())}

    def put(self, entry: Entry) -> None:
        """Register an organisation with its addresses, replacing any previous registration."""
        organisation = entry.organisation
        if organisation.parent is not None and organisation.parent not in self._entries:
            raise FederationError("an under-organisation belongs to an organisation in the address book")
        others = (one for one in self._entries.values() if one.organisation.id != organisation.id)
        taken = {address.id for other in others for address in other.addresses}
        if taken & {address.id for address in entry.addresses}:
            raise FederationError("a functional address belongs to one organisation")
        self._entries[organisation.id] = entry
        self._records.put(organisation.id, _plain(entry))

    def remove(self, participant: ParticipantIdentifier) -> None:
        """Remove a participant, with its under-organisations and addresses."""
        gone = [key for key, held in self._entries.items() if held.organisation.participant == participant]
        for key in gone:
            del self._entries[key]
            self._records.remove(key)

    def entries(self) -> list[Entry]:
        """Return all entries, sorted by the organisation's name."""
        return sorted(self._entries.values(), key=lambda entry: entry.organisation.name.casefold())


def _plain(entry: Entry) -> dict[str, Any]:
    organisation = {**asdict(entry.organisation), "participant": entry.organisation.participant.value}
    return {"organisation": organisation, "addresses": [asdict(address) for address in entry.addresses]}


def _entry(plain: dict[str, Any]) -> Entry:
    participant = ParticipantIdentifier(plain["organisation"].pop("participant"))
    addresses = (
        FunctionalAddress(**{**one, "codes": tuple(one["codes"]), "keywords": tuple(one["keywords"])})
        for one in plain["addresses"]
    )
    return Entry(Organisation(participant, **plain["organisation"]), tuple(addresses))


def _check(condition: object, text: str) -> None:
    if not condition:
        raise FederationError(text)


def _check_text(text: str | None, limit: int, *, required: bool = False) -> None:
    _check(text or not required, "a name or an identifier is empty")
    _check(len(text or "") <= limit, f"a text is longer than {limit} characters")
    _check(not set(text or "") & {"<", ">"}, "a text of the address book has neither < nor >")
