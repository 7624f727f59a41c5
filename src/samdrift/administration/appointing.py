"""Mailboxes of a message client, and the first roles in it: an organisation's pages need both to start.

Two custodians appoint an administrator or a security officer; everything after that is decided by the
organisation itself, on its pages. Neither role grants access to content.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from samdrift.administration.administration import Administration
from samdrift.administration.dualcontrol import Matter, Persons, two_persons
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.records import Records
from samdrift.installation.services import address_book
from samdrift.installation.signin import used_services
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mailboxes import change_mailbox, make_mailbox
from samdrift.messageclient.permissions import Assigned, Assignments, person_subject
from samdrift.messageclient.servicecheck import Tried, result_of, try_service
from samdrift.net.clock import system_clock
from samdrift.rights import (
    ORGANISATION,
    Approved,
    Ended,
    Given,
    Right,
    Rights,
    Statement,
    Subject,
    SubjectKind,
)
from samdrift.rights.consentfold import moment_of, officers
from samdrift.vault.maildisposal import DisposalRecord, DisposalRule
from samdrift.vault.mailpresets import WeekRecord
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.people import Identity
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.identifiers import ParticipantIdentifier

LASTS = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class MessageClients:
    """An organisation's message client, as the operator's commands access it next to running processes."""

    installation: Administration
    organisation: ParticipantIdentifier

    @property
    def vaults(self) -> WorkerGate[MessageClientVault]:
        """Return the gate for its vault; raise :class:`Unusable` if it has none."""
        if self.installation.gate.registry.find(self.organisation, Role.MESSAGE_CLIENT) is None:
            raise Unusable(f"{self.organisation} has no message client here: see samdrift org list")
        return self.installation.gate.worker("administration", Role.MESSAGE_CLIENT)

    @property
    def _assignments(self) -> Assignments:
        return Assignments(self.vaults, system_clock)

    async def mailboxes(self) -> tuple[MailboxRecord, ...]:
        """Return the mailboxes of the organisation."""
        async with self.vaults.open(self.organisation, Purpose.ADMINISTER) as vault:
            return await vault.mailboxes()

    async def add_mailbox(self, address: str, name: str) -> str:
        """Create a mailbox for a functional address, or rename an existing one, and return its id."""
        async with self.vaults.open(self.organisation, Purpose.ADMINISTER) as vault:
            known = {one.address: one for one in await vault.mailboxes()}.get(address)
            if known is None:
                return (await make_mailbox(vault, address, name)).id
            await change_mailbox(vault, known, replace(known, name=name))
        return known.id

    async def change_mailbox(self, address: str, by: str, **settings: Any) -> MailboxRecord:
        """Change settings of the mailbox with an address; ``by`` names the person who runs the command."""
        async with self.vaults.open(self.organisation, Purpose.ADMINISTER) as vault:
            known = {one.address: one for one in await vault.mailboxes()}.get(address)
            if known is None:
                raise Unusable("there is no mailbox with that address: samdrift mailbox list shows them")
            changed = replace(known, **settings)
            await change_mailbox(vault, known, changed, by=by)
        return changed

    async def figures(self, weeks: int) -> tuple[tuple[MailboxRecord, ...], tuple[WeekRecord, ...]]:
        """Return the mailboxes, and counts of their messages in the last weeks."""
        since = system_clock() - timedelta(weeks=weeks)
        async with self.vaults.open(self.organisation, Purpose.MEASURE) as vault:
            mailboxes = await vault.mailboxes()
            return mailboxes, await vault.figures([one.id for one in mailboxes], since)

    async def disposals(
        self,
    ) -> tuple[tuple[MailboxRecord, ...], dict[str, DisposalRule], tuple[DisposalRecord, ...]]:
        """Return the mailboxes, the disposal rules of those that have one, and all disposals."""
        async with self.vaults.open(self.organisation, Purpose.MEASURE) as vault:
            mailboxes = await vault.mailboxes()
            ids = [one.id for one in mailboxes]
            return mailboxes, await vault.disposal_rules(ids), await vault.disposals(ids)

    async def check_service(self, by: str) -> tuple[Tried, ...]:
        """Test the message service that the configuration names, step by step."""
        config = self.installation.config
        mailboxes = {one.address: one.name for one in await self.mailboxes() if not one.retired}
        found = [
            one
            for one in used_services(config, self.installation.gate)
            if one.organisation == self.organisation
        ]
        if not found:
            raise Unusable(f"the configuration has no message_service of {self.organisation}")
        public_only = not config.federation.private_addresses
        async with address_book(config.address_book, public_only=public_only) as book:
            tried = await try_service(found[0], mailboxes, book, system_clock)
        async with self.vaults.open(self.organisation, Purpose.ADMINISTER) as vault:
            vault.record(MKEvent.MK_SERVICE_CHECKED, result=result_of(tried), by=by)
        return tried

    async def assigned(self) -> Assigned:
        """Return the current rights and the people who have them."""
        return await self._assignments.now(self.organisation)

    async def _require_no_officers(self) -> None:
        """Refuse an appointment by custodians if there are officers, so that it cannot bypass them."""
        records = Records(self.installation.gate, system_clock)
        record, witnessed = await records.read_with_time(self.organisation)
        if officers(record, moment_of(record, system_clock(), witnessed)):
            raise Unusable(
                f"officers of {self.organisation} have keys and decide who has a role: samdrift gov officer"
                " and gov grant"
            )

    async def appoint(self, identity: Identity, role: Right, persons: Persons) -> Statement:
        """Make a person administrator or security officer for a year, as two custodians agree."""
        matter = Matter(
            "mailbox appoint",
            self.organisation.value,
            f"make {identity.subject} of {identity.issuer} {role.value} of {self.organisation}",
        )
        vaults, assignments = self.vaults, self._assignments
        await self._require_no_officers()
        agreed = await two_persons(self.installation, matter, persons)
        async with vaults.open(self.organisation, Purpose.ADMINISTER) as vault:
            person = await vault.know_person(identity)
        what = Rights(person_subject(person), ORGANISATION, frozenset({role}))
        asked = await assignments.state(
            self.organisation,
            _custodian(agreed.first),
            matter.action,
            lambda at: Given(what, at, at + LASTS, asked=True),
        )
        return await assignments.state(
            self.organisation, _custodian(agreed.second), matter.action, lambda at: Approved(asked.digest)
        )

    async def dismiss(self, identity: Identity, persons: Persons) -> int:
        """End a person's roles in the organisation, as two custodians agree; return their number."""
        matter = Matter(
            "mailbox dismiss",
            self.organisation.value,
            f"end the roles of {identity.subject} of {identity.issuer} in {self.organisation}",
        )
        vaults, assignments = self.vaults, self._assignments
        async with vaults.open(self.organisation, Purpose.ADMINISTER) as vault:
            person = await vault.person(identity.issuer, identity.subject)
            assigned = await assignments.read(self.organisation, vault)
        if person is None:
            raise Unusable("there is no such person: list them with samdrift mailbox rights")
        roles = [
            each.statements[0]
            for each in assigned.ways(person_subject(person))
            if isinstance(each.given.what, Rights) and each.given.what.scope == ORGANISATION
        ]
        agreed = await two_persons(self.installation, matter, persons)
        for digest in roles:
            ended = Ended(of=digest)
            await assignments.state(
                self.organisation, _custodian(agreed.first), matter.action, partial(_always, ended)
            )
        return len(roles)


def _always(ended: Ended, at: datetime) -> Ended:
    return ended


def _custodian(name: str) -> Subject:
    return Subject(SubjectKind.CUSTODIAN, name)
