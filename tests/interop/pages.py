"""Pages of an organisation over its vault, with sign-in by another party's service."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Role
from samdrift.entrance.ownkeys import OwnKeys
from samdrift.entrance.sites import Sites, SiteSettings
from samdrift.installation.services import NoAddressBook
from samdrift.messageclient.permissions import person_subject
from samdrift.messageclient.role import MessageClientRole
from samdrift.net.server import listening_socket, serving
from samdrift.rights import ORGANISATION, Approved, Given, Right, Rights, Subject, SubjectKind
from samdrift.vault.people import Identity
from samdrift.web.signin.service import SignInService
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.test_entrance import YEAR, Clock
from tests.vaults import Installation

MK = Role.MESSAGE_CLIENT


@dataclass
class PeersPages:
    """The pages of one organisation on this machine, at ``localhost``."""

    installation: Installation
    organisation: ParticipantIdentifier
    origin: str
    keys: OwnKeys
    role: MessageClientRole
    clock: Clock
    sites: Sites
    failures: list[BaseException] = field(default_factory=list)

    def use(self, service: SignInService) -> None:
        """Use a sign-in service for these pages from now on."""
        self.sites.__init__(  # type: ignore[misc]
            self.installation.gate,
            [SiteSettings(self.organisation, "Håbo kommun", self.origin, service)],
            self.clock,
        )

    async def let(self, issuer: str, subject: str) -> None:
        """Make a person the organisation's administrator by the decision of two custodians."""
        async with self.installation.open(self.organisation, MK) as vault:
            person = person_subject(await vault.know_person(Identity(issuer, subject, subject)))
        first, second = (Subject(SubjectKind.CUSTODIAN, name) for name in ("kim", "lo"))
        what = Rights(person, ORGANISATION, frozenset({Right.ADMINISTRATOR}))
        state = self.role.assignments.state
        self.clock.forward()
        given = await state(self.organisation, first, "test", lambda at: Given(what, at, at + YEAR, True))
        self.clock.forward()
        await state(self.organisation, second, "test", lambda at: Approved(given.digest))
        self.clock.forward()

    async def events(self, event: AuditEvent) -> list[str]:
        """Return the reasons in entries of an event in the organisation's log."""
        async with self.installation.open(self.organisation, MK) as vault:
            return [one.ids.get("reason", "") for one in await vault.log() if one.event == event]


@contextlib.asynccontextmanager
async def peers_pages(installation: Installation) -> AsyncIterator[PeersPages]:
    """Serve the pages of a new organisation during the context."""
    organisation = await installation.organisation([MK])
    clock, failures = Clock(), list[BaseException]()
    sock = listening_socket("127.0.0.1")
    origin = f"http://localhost:{sock.getsockname()[1]}"
    sites = Sites(installation.gate, [], clock)
    role = MessageClientRole(installation.gate, {"localhost": organisation}, sites, clock, NoAddressBook())
    keys = OwnKeys(installation.gate.worker("pages", MK), organisation, clock)
    async with serving(role.application(failures.append), sock):
        yield PeersPages(installation, organisation, origin, keys, role, clock, sites, failures)
    assert failures == []
