"""The scope of one signed-in person: opens the organisation's vault, checks rights, and records denials."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import NoReturn, TypeVar

from samdrift.contracts.addressbook import AddressBook
from samdrift.contracts.clock import Clock
from samdrift.contracts.cover import NotCovered
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.messageclient.desk import NotHere, Permissions
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.live.following import Live, May
from samdrift.messageclient.mail import Party, Person, Problem, ProblemCode, Proofs, Recipient
from samdrift.messageclient.selections import View
from samdrift.rights import Right
from samdrift.scheduling.places import Turns
from samdrift.vault.gate import Gate
from samdrift.vault.mailrecords import ConversationRecord, DraftRecord, MailboxRecord, MailRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier

Names = Callable[[MessageClientVault], Awaitable[Mapping[str, str]]]
"""Callback that returns the names of the organisation's people, by id."""

Renewed = Callable[[], Awaitable[Permissions]]
"""Callback that returns the current rights of the person who made a request."""

NamedParty = TypeVar("NamedParty", Party, Recipient)

OF_MAILBOX = (Right.READ, Right.WRITE, Right.APPROVE)
OF_DRAFTS = (Right.WRITE, Right.APPROVE)
_UPLOADS, _OF_ORGANISATION, _OF_PERSON = 48, 16, 4
"""Maximum numbers of concurrent uploads, of some megabytes each: in total, per organisation, per person."""
_ID = re.compile(r"[0-9a-z-]{1,64}")


class Scope:
    """One person in one organisation, for one request."""

    def __init__(
        self,
        gate: Gate,
        organisation: ParticipantIdentifier,
        permissions: Permissions,
        names: Names,
        book: AddressBook,
        clock: Clock,
        person: Person,
        uploads: Uploads,
        renewed: Renewed | None = None,
        proofs: Proofs | None = None,
        live: Live | None = None,
        away_since: datetime | None = None,
    ) -> None:
        """``renewed`` returns the person's rights at a later moment."""
        self._gate = gate
        self._names = names
        self._clock = clock
        self._principal = Principal(PrincipalKind.USER, permissions.person, organisation.value)
        self.organisation = organisation
        self.permissions = permissions
        self.book = book
        self.person = person
        self.views: tuple[View, ...] | None = None
        """Saved views, once they have been read in this request."""
        self.uploads = uploads
        self._renewed = renewed
        self._substitutes: dict[str, Mapping[str, Sequence[str]]] = {}
        self.proofs = proofs
        self.live = live or Live(gate, clock)
        self.away_since = away_since

    async def renew(self) -> None:
        """Update the person's rights, which may have ended during a long request."""
        if self._renewed is not None:
            self.permissions = await self._renewed()
            self._substitutes.clear()

    def now(self) -> datetime:
        """Return the current time."""
        return self._clock()

    @asynccontextmanager
    async def open(self, purpose: Purpose) -> AsyncIterator[MessageClientVault]:
        """Open the vault for one unit of work; :class:`NotHere` is logged before it is passed on."""
        try:
            async with self._gate.open(
                self._principal, self.organisation, Role.MESSAGE_CLIENT, purpose
            ) as vault:
                yield vault
        except NotHere as denied:
            async with self._gate.open(
                self._principal, self.organisation, Role.MESSAGE_CLIENT, purpose
            ) as vault:
                vault.record(MKEvent.MK_ACCESS_DENIED, kind=denied.kind, asked=_printable(denied.asked))
            raise

    async def refuse(self, kind: str, asked: str = "") -> NoReturn:
        """Record a denial that required no lookup, and raise :class:`NotHere`."""
        async with self.open(Purpose.READ):
            raise self._none(kind, asked, asked) if kind == "mailbox" else NotHere(kind, asked)

    async def uncovered(self) -> tuple[Problem, ...]:
        """Return the problem that prevents sending while no agreement covers new messages."""
        try:
            (await self._gate.cover(self.organisation, Role.MESSAGE_CLIENT)).require_sending()
        except NotCovered:
            return (Problem(ProblemCode.NOT_COVERED, "agreements"),)
        return ()

    def may(self, right: Right, mailbox: str | None = None) -> bool:
        """Return whether the person has a right."""
        return self.permissions.may(right, mailbox)

    def substitutes(self, mailbox: str) -> Mapping[str, Sequence[str]]:
        """Return the current substitutes in a mailbox by absent person; looked up once per request."""
        if mailbox not in self._substitutes:
            self._substitutes[mailbox] = self.permissions.substitutes(mailbox)
        return self._substitutes[mailbox]

    def substitutes_for(self, mailboxes: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """Return pairs of a mailbox and an absent person for whom this person now substitutes there."""
        return tuple(
            (mailbox, absent)
            for mailbox in mailboxes
            for absent, those in self.substitutes(mailbox).items()
            if self.person.id in those
        )

    async def may_again(self) -> May:
        """Return a function that checks the person's current rights, for a page that stays open."""
        return (self.permissions if self._renewed is None else await self._renewed()).may

    async def mailboxes(self, vault: MessageClientVault, *rights: Right) -> tuple[MailboxRecord, ...]:
        """Return the mailboxes to which the person has at least one of the given rights."""
        found = await vault.mailboxes()
        return tuple(one for one in found if any(self.may(right, one.id) for right in rights))

    async def mailbox(self, vault: MessageClientVault, mailbox: str, *rights: Right) -> MailboxRecord:
        """Return a mailbox to which the person has at least one of the given rights."""
        for one in await self.mailboxes(vault, *rights):
            if one.id == mailbox:
                return one
        raise self._none("mailbox", mailbox, mailbox)

    async def conversation(
        self, vault: MessageClientVault, conversation: str, *rights: Right
    ) -> ConversationRecord:
        """Return a conversation in a mailbox to which the person has all of the given rights."""
        require_id("conversation", conversation)
        for found in await vault.conversations_by_id([conversation]):
            if all(self.may(right, found.mailbox) for right in rights):
                return found
            raise self._none("conversation", conversation, found.mailbox)
        raise NotHere("conversation", conversation)

    async def message(
        self, vault: MessageClientVault, message: str, *rights: Right
    ) -> tuple[MailRecord, ConversationRecord]:
        """Return a message with its conversation, under the conditions of :meth:`conversation`."""
        require_id("message", message)
        for mail in await vault.mail([message]):
            for found in await vault.conversations_by_id([mail.conversation]):
                if all(self.may(right, found.mailbox) for right in rights):
                    return mail, found
                raise self._none("message", message, found.mailbox)
        raise NotHere("message", message)

    async def draft(self, vault: MessageClientVault, draft: str, *rights: Right) -> DraftRecord:
        """Return a draft in a mailbox to which the person has at least one of the given rights."""
        require_id("draft", draft)
        found = await vault.draft(draft)
        if found is None:
            raise NotHere("draft", draft)
        if not any(self.may(right, found.mailbox) for right in rights):
            raise self._none("draft", draft, found.mailbox)
        return found

    def _none(self, kind: str, asked: str, mailbox: str) -> NotHere:
        """Return the error for an object in a mailbox, with whether a right to that mailbox has ended."""
        reads = any(self.may(right, mailbox) for right in OF_MAILBOX)
        return NotHere(kind, asked, ended=not reads and self.permissions.ended(mailbox))

    def named(self, party: NamedParty) -> NamedParty:
        """Return a party with its organisation's name from the address book, if it has none."""
        book = self.book.copy
        if book is None or party.organisation_name:
            return party
        try:
            participant = ParticipantIdentifier.parse(party.organisation)
        except ValueError:
            return party
        known = book.organisation(participant)
        return party if known is None else replace(party, organisation_name=known.name)

    async def people(self, vault: MessageClientVault) -> People:
        """Return the organisation's people, for looking up names."""
        return People(await self._names(vault))


class Uploads:
    """Limits on concurrent uploads into drafts; one that waits for its turn is not read and costs no memory.

    There are limits for the process, for each organisation and for each person, with fair turns.
    """

    def __init__(self) -> None:
        self._all = Turns(_UPLOADS)
        self._of_organisation = defaultdict[ParticipantIdentifier, Turns](lambda: Turns(_OF_ORGANISATION))
        self._of_person = defaultdict[tuple[ParticipantIdentifier, str], Turns](lambda: Turns(_OF_PERSON))

    @asynccontextmanager
    async def turn(self, organisation: ParticipantIdentifier, person: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it while the context lasts."""
        async with (
            self._of_person[organisation, person].turn(person),
            self._of_organisation[organisation].turn(person),
            self._all.turn(organisation),
        ):
            yield


class People:
    """People by id; a person who is no longer known has an empty name."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def __getitem__(self, person: str) -> Person:
        return Person(person, self._names.get(person, ""))

    def get(self, person: str | None) -> Person | None:
        """Return the person with an id; ``None`` without an id."""
        return None if person is None else self[person]

    def sorted(self, persons: Iterable[str]) -> tuple[Person, ...]:
        """Return people sorted by name."""
        return tuple(sorted({self[each] for each in persons}, key=lambda one: (one.name.casefold(), one.id)))


def is_id(asked: str) -> bool:
    """Return whether a text can be one of our ids; other input is neither logged nor sent to the database."""
    return _ID.fullmatch(asked) is not None


def require_id(kind: str, asked: str) -> None:
    """Raise :class:`NotHere` for a text that cannot be an id."""
    if not is_id(asked):
        raise NotHere(kind, asked)


def _printable(asked: str) -> str:
    return asked if is_id(asked) else "(not an id)"
