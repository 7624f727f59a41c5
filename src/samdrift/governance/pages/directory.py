"""Names of persons and mailboxes, as the organisation's message client has them.

Statements name ids. Where the message client is served elsewhere, or by another process, which has its own
keys, its ids are shown as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from unicodedata import normalize

from samdrift.contracts.principals import Purpose, Role
from samdrift.rights.canonical import visible
from samdrift.rights.fields import Subject, SubjectKind
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.vault.people import Identity
from samdrift.wire.identifiers import ParticipantIdentifier

_MAX_NAME = 100
"""Characters of a name that a statement has room for."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names by subject, and of mailboxes by their id."""

    persons: Mapping[str, str] = field(default_factory=dict)
    mailboxes: Mapping[str, str] = field(default_factory=dict)

    def of(self, subject: Subject) -> str:
        """Return the name of a subject, or how it is written."""
        text = str(subject)
        return self.persons.get(text, text)


def shown_name(name: str) -> str:
    """Return a name as a sign-in service gives it in form NFC, without invisible characters, and cut."""
    return "".join(filter(visible, normalize("NFC", name))).strip()[:_MAX_NAME].strip() or "?"


class Directory(Protocol):
    """Returns the names that an organisation's message client has."""

    async def names(self, organisation: ParticipantIdentifier) -> Names:
        """Return all names; none where they cannot be read."""
        ...


class ClientDirectory:
    """A :class:`Directory` over the vault of the message client, where this process opens it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._vaults = gate.worker("governance", Role.MESSAGE_CLIENT)

    async def names(self, organisation: ParticipantIdentifier) -> Names:
        """Return all names; none where they cannot be read."""
        if self._gate.registry.find(organisation, Role.MESSAGE_CLIENT) is None:
            return Names()
        try:
            async with self._vaults.open(organisation, Purpose.AUTHORISE) as vault:
                persons = {
                    str(Subject(SubjectKind.PERSON, one.id)): shown_name(one.identity.name)
                    for one in await vault.persons()
                }
                return Names(persons, {one.id: one.name for one in await vault.mailboxes()})
        except VaultError:
            return Names()

    async def known(self, organisation: ParticipantIdentifier, identity: Identity) -> str | None:
        """Return the id by which the message client knows a person, who is entered there if they are new."""
        if self._gate.registry.find(organisation, Role.MESSAGE_CLIENT) is None:
            return None
        try:
            async with self._vaults.open(organisation, Purpose.AUTHORISE) as vault:
                return await vault.know_person(identity)
        except VaultError:
            return None
