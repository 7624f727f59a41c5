"""Desks of people over a real vault, with rights that a test sets and changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from samdrift.contracts.addressbook import Listing
from samdrift.contracts.principals import Role
from samdrift.messageclient.desk import Desk
from samdrift.messageclient.fetching import Fetching
from samdrift.messageclient.live.following import Live
from samdrift.messageclient.mail import Person, Proofs
from samdrift.messageclient.owndesk import desk
from samdrift.rights import Right
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.addressbook import AddressBookCopy
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.sparse import SparseService
from tests.vaults import NOW, Installation

ADDRESS = "inkorg01:0203:habo.se"
OTHER_ADDRESS = "miljo:0203:habo.se"
ALL = frozenset(Right)


class EmptyBook:
    """An address book that lists every address except those in ``vanished``."""

    copy: AddressBookCopy | None = None

    def __init__(self) -> None:
        self.vanished = set[str]()

    async def listing(self, organisation: ParticipantIdentifier, address: str) -> Listing:
        return Listing.NOT_LISTED if address in self.vanished else Listing.LISTED


@dataclass
class GivenRights:
    """Permissions of one person, looked up in the rights of all."""

    person: str
    given: dict[tuple[str, str], frozenset[Right]]
    absent: list[tuple[str, str, str]] = field(default_factory=list)
    """Absent people, each with a mailbox and a substitute."""

    def may(self, right: Right, mailbox: str | None = None) -> bool:
        return right in self.given.get((self.person, mailbox or ""), frozenset())

    def holders(self, right: Right, mailbox: str) -> Sequence[str]:
        return [person for (person, at), rights in self.given.items() if at == mailbox and right in rights]

    def ended(self, mailbox: str) -> bool:
        return False

    def substitutes(self, mailbox: str) -> Mapping[str, Sequence[str]]:
        return {absent: [of] for absent, at, of in self.absent if at == mailbox}


@dataclass
class Office:
    """An organisation with two mailboxes, ``box`` and ``other``, and a clock that a test moves."""

    installation: Installation
    organisation: ParticipantIdentifier
    given: dict[tuple[str, str], frozenset[Right]] = field(default_factory=dict)
    absent: list[tuple[str, str, str]] = field(default_factory=list)
    book: EmptyBook = field(default_factory=EmptyBook)
    now: datetime = NOW
    service: SparseService = field(default_factory=SparseService)
    proofs: Proofs | None = None

    async def opened(self, *, needs_approval: bool = False) -> Office:
        async with self.vault() as vault:
            await vault.keep_mailbox(MailboxRecord("box", ADDRESS, "Socialtjänst", needs_approval))
            await vault.keep_mailbox(MailboxRecord("other", OTHER_ADDRESS, "Miljö"))
        self.given |= {("anna", "box"): ALL, ("bo", "box"): ALL, ("bo", "other"): ALL}
        return self

    def vault(self) -> AbstractAsyncContextManager[MessageClientVault]:
        return self.installation.open(self.organisation, Role.MESSAGE_CLIENT)

    def desk(self, person: str = "anna", live: Live | None = None) -> Desk:
        async def names(vault: MessageClientVault) -> dict[str, str]:
            return {"anna": "Anna Ek", "bo": "Bo Al"}

        return desk(
            self.installation.gate,
            self.organisation,
            GivenRights(person, self.given, self.absent),
            Person(person, person),
            self.book,
            self.clock,
            names,
            proofs=self.proofs,
            live=live,
        )

    def clock(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def receives(self, **message: object) -> None:
        """Let a message arrive and be fetched."""
        self.service.receives(**message)
        vaults = self.installation.gate.worker("fetching", Role.MESSAGE_CLIENT)
        async with self.service.running() as client:
            await Fetching(vaults, self.organisation, client, self.clock).look()
        self.pass_by(1)

    async def events(self) -> list[tuple[str, dict[str, str]]]:
        async with self.vault() as vault:
            return [(entry.event, dict(entry.ids)) for entry in await vault.log()]
