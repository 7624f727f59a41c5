"""The complete desk of a signed-in person, assembled from its parts over one scope."""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

from samdrift.contracts.addressbook import AddressBook
from samdrift.contracts.clock import Clock
from samdrift.messageclient.attending import AttendingDesk
from samdrift.messageclient.desk import Desk, Permissions
from samdrift.messageclient.finding import FindingDesk
from samdrift.messageclient.handling import HandlingDesk
from samdrift.messageclient.handover.desk import HandOverDesk
from samdrift.messageclient.live.following import Live
from samdrift.messageclient.mail import Person, Proofs
from samdrift.messageclient.presetdesk import PresetDesk
from samdrift.messageclient.reading import ReadingDesk
from samdrift.messageclient.scope import Names, Renewed, Scope, Uploads
from samdrift.messageclient.submitting import SubmittingDesk
from samdrift.messageclient.writing import WritingDesk
from samdrift.rights import Right
from samdrift.vault.gate import Gate
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier


class OwnDesk(
    ReadingDesk,
    HandlingDesk,
    HandOverDesk,
    WritingDesk,
    SubmittingDesk,
    FindingDesk,
    PresetDesk,
    AttendingDesk,
):
    """Implementation of :class:`~samdrift.messageclient.desk.Desk`."""

    @property
    def person(self) -> Person:
        """Person to whom the desk belongs."""
        return self._scope.person

    @property
    def away_since(self) -> datetime | None:
        """Time since which the message service has been unavailable; ``None`` while it is available."""
        return self._scope.away_since

    def may(self, right: Right, mailbox: str | None = None) -> bool:
        """Return whether the person has a right, so that a page offers only permitted actions."""
        return self._scope.may(right, mailbox)

    async def refuse(self, kind: str, asked: str) -> NoReturn:
        """Record a request for something that does not exist for the person, and raise :class:`NotHere`."""
        await self._scope.refuse(kind, asked)


async def names_of(vault: MessageClientVault) -> dict[str, str]:
    """Return the names of the organisation's people, by id."""
    return {one.id: one.identity.name for one in await vault.persons()}


def desk(
    gate: Gate,
    organisation: ParticipantIdentifier,
    permissions: Permissions,
    person: Person,
    book: AddressBook,
    clock: Clock,
    names: Names = names_of,
    *,
    uploads: Uploads | None = None,
    renewed: Renewed | None = None,
    proofs: Proofs | None = None,
    live: Live | None = None,
    away_since: datetime | None = None,
) -> Desk:
    """Return a person's desk in an organisation, for one request.

    ``permissions`` are the current ones; ``book`` returns names of organisations and whether an address is
    listed; ``names`` returns people's names, without an entry in the log. ``uploads`` limits the concurrent
    uploads of all desks in a process; ``renewed`` returns the rights again after a long operation;
    ``proofs`` is the organisation's message service, if it has one, unavailable since ``away_since``.
    ``live`` are the open pages of the process.
    """
    uploads = uploads or Uploads()
    scope = Scope(
        gate,
        organisation,
        permissions,
        names,
        book,
        clock,
        person,
        uploads,
        renewed,
        proofs,
        live,
        away_since,
    )
    return OwnDesk(scope)
