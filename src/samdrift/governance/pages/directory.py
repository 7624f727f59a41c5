"""Names of people and mailboxes, from the organisation's message client.

Statements contain ids. If the message client is served elsewhere, or by another process that has its own
keys, its ids are shown instead of names.
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
"""Maximum length of a name in a statement, in characters."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of people by their subject, and of mailboxes by their id."""

    persons: Mapping[str, str] = field(default_factory=dict)
    mailboxes: Mapping[str, str] = field(default_factory=dict)

    def of(self, subject: Subject) -> str:
        """Return the name of a subject, or the subject as text if its name is not known."""
        text = str(subject)
        return self.persons.get(text, text)


def shown_name(name: str) -> str:
    """Return a sign-in service's name for a person, shortened and without invisible characters."""
    return "".join(filter(visible, normalize("NFC", name))).strip()[:_MAX_NAME].strip() or "?"


class Directory(Protocol):
    """Source of the names that an organisation's message client knows."""

    async def names(self, organisation: ParticipantIdentifier) -> Names:
        """Return all names, or no names if they cannot be read."""
        ...


class ClientDirectory:
    """A :class:`Directory` that reads the message client's vault, if this process can open it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._vaults = gate.worker("governance", Role.MESSAGE_CLIENT)

    async def names(self, organisation: ParticipantIdentifier) -> Names:
        """Return all names, or no names if they cannot be read."""
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
        """Return the message client's id for a person, who is registered there if new.

        Return ``None`` if the message client's vault is not here or cannot be opened.
        """
        if self._gate.registry.find(organisation, Role.MESSAGE_CLIENT) is None:
            return None
        try:
            async with self._vaults.open(organisation, Purpose.AUTHORISE) as vault:
                return await vault.know_person(identity)
        except VaultError:
            return None
