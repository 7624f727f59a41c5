"""Mailboxes of a message client, and the first roles in it: an organisation's pages need both to begin with.

Two custodians appoint an administrator or a security officer; everything after that is the organisation's
own, on its pages. Neither role sees content by that.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from samdrift.administration.administration import Administration
from samdrift.administration.dualcontrol import Matter, Persons, two_persons
from samdrift.audit.events import AuditEvent
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageclient.permissions import Assigned, Assignments, person_subject
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
from samdrift.vault.gate import WorkerGate
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.people import Identity
from samdrift.wire.identifiers import ParticipantIdentifier

LASTS = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class MessageClients:
    """The message client of one organisation, as the operator's commands reach it beside what runs."""

    installation: Administration
    organisation: ParticipantIdentifier

    @property
    def _vaults(self) -> WorkerGate[MessageClientVault]:
        if self.installation.gate.registry.find(self.organisation, Role.MESSAGE_CLIENT) is None:
            raise Unusable(f"{self.organisation} has no message client here: samdrift org list shows who has")
        return self.installation.gate.worker("administration", Role.MESSAGE_CLIENT)

    @property
    def _assignments(self) -> Assignments:
        return Assignments(self._vaults, system_clock)

    async def mailboxes(self) -> tuple[MailboxRecord, ...]:
        """Return the mailboxes."""
        async with self._vaults.open(self.organisation, Purpose.ADMINISTER) as vault:
            return await vault.mailboxes()

    async def add_mailbox(self, address: str, name: str) -> str:
        """Make a mailbox for a functional address and return its id; one that is there gets the name."""
        async with self._vaults.open(self.organisation, Purpose.ADMINISTER) as vault:
            known = {one.address: one for one in await vault.mailboxes()}.get(address)
            mailbox = known.id if known else secrets.token_hex(16)
            await vault.keep_mailbox(MailboxRecord(mailbox, address, name))
            vault.record(AuditEvent.MK_MAILBOX_CHANGED, mailbox=mailbox)
        return mailbox

    async def assigned(self) -> Assigned:
        """Return who has which rights now."""
        return await self._assignments.now(self.organisation)

    async def appoint(self, identity: Identity, role: Right, persons: Persons) -> Statement:
        """Make a person administrator or security officer for a year, as two custodians agree."""
        matter = Matter(
            "mailbox appoint",
            self.organisation.value,
            f"make {identity.subject} of {identity.issuer} {role.value} of {self.organisation}",
        )
        vaults, assignments = self._vaults, self._assignments
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
        """End the roles that a person has in the organisation, as two custodians agree; returns how many."""
        matter = Matter(
            "mailbox dismiss",
            self.organisation.value,
            f"end the roles of {identity.subject} of {identity.issuer} in {self.organisation}",
        )
        vaults, assignments = self._vaults, self._assignments
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
