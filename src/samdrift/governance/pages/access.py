"""Access control of the governance pages, based on signed statements and checked for each request.

A person without a role in the organisation sees only their own keys, so that they can offer a key
before they are given a role. The pages only display things: every decision takes effect through a
signed statement.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Purpose, Role
from samdrift.entrance.sites import Sites
from samdrift.governance.events import GovEvent
from samdrift.governance.pages.directory import Directory, Names, shown_name
from samdrift.governance.records import Records
from samdrift.governance.words import names_of
from samdrift.rights.consentfold import moment_of
from samdrift.rights.fields import ORGANISATION, Subject, SubjectKind
from samdrift.rights.record import Record
from samdrift.rights.statements import OF_ORGANISATION, OFFICERS, Right, Rights, Statement
from samdrift.vault.gate import Gate
from samdrift.vault.officers import OfferedKey
from samdrift.web.application import NotSignedIn, signed_in
from samdrift.web.guards import session_of
from samdrift.web.sites import Site, site_of
from samdrift.web.uploads import received
from samdrift.wire.identifiers import ParticipantIdentifier


class Seen(IntEnum):
    """Audiences of a page, each a subset of the one before."""

    SIGNED_IN = 0
    ROLE = 1
    """People with a role in the organisation, including auditors."""
    OFFICER = 2
    """Administrators and security officers."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by a person who is signed in."""

    organisation: ParticipantIdentifier
    site: Site
    person: Subject
    name: str
    record: Record
    roles: frozenset[Right]
    now: datetime
    """Current time, in whole seconds, which does not go back if the clock is set back."""
    names: Names
    offered: tuple[OfferedKey, ...]

    @property
    def seen(self) -> Seen:
        """The most privileged audience that the person belongs to."""
        if self.roles & OFFICERS:
            return Seen.OFFICER
        return Seen.ROLE if self.roles else Seen.SIGNED_IN


Handler = Callable[[Request, Visit], Awaitable[Response]]
RouteOf = tuple[str, str, Handler, Seen]
"""Method, path, handler and audience of a route."""


class Access:
    """Access control: identifies the person who makes a request, and their roles."""

    def __init__(
        self, sites: Sites, records: Records, gate: Gate, clock: Clock, directory: Directory
    ) -> None:
        self.records = records
        self._sites = sites
        self._vaults = gate.worker("pages", Role.GOVERNANCE)
        self._clock = clock
        self._directory = directory

    def page_endpoint(
        self, handler: Handler, seen: Seen = Seen.ROLE
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page for an audience."""

        async def answer(request: Request) -> Response:
            return await handler(request, await self.visit(request, seen))

        return signed_in(answer)

    def form_endpoint(
        self, handler: Handler, seen: Seen = Seen.OFFICER
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a form.

        Without a session the form is still read, so that what was typed is kept during sign-in.
        """

        async def answer(request: Request) -> Response:
            if session_of(request) is None:
                await received(request)
            return await handler(request, await self.visit(request, seen))

        return answer

    async def visit(self, request: Request, seen: Seen) -> Visit:
        """Return the visit of the person who makes a request, and log it.

        Raise :class:`NotSignedIn` without a session, and respond with 404 to a person outside the audience.
        """
        session = session_of(request)
        if session is None:
            raise NotSignedIn
        site = site_of(request)
        organisation, who = self._sites.organisation(site), session.person
        record = await self.records.read(organisation)
        async with self._vaults.open(organisation, Purpose.READ) as vault:
            person = await vault.person(who.issuer, who.subject)
            if person is None:
                raise NotSignedIn
            known = {
                str(Subject(SubjectKind.PERSON, one.id)): shown_name(one.identity.name)
                for one in await vault.persons()
            }
            subject = Subject(SubjectKind.PERSON, person)
            now = self._clock().replace(microsecond=0)
            now = moment_of(record, now, (await vault.cover_facts()).witnessed)
            visit = Visit(
                organisation,
                site,
                subject,
                shown_name(who.name),
                record,
                roles_of(record, subject, now),
                now,
                await self._names(organisation, known, record),
                await vault.offered_keys(),
            )
            refused = visit.seen < seen
            event = GovEvent.PAGE_REFUSED if refused else GovEvent.PAGE_SHOWN
            vault.record(event, person=person, page=page_of(request))
        if refused:
            raise HTTPException(404)
        return visit

    async def log_others(self, visit: Visit, statement: Statement) -> None:
        """Record in the log that a person submitted a statement of another person or organisation."""
        facts = {"kind": statement.kind, "by": str(visit.person), "digest": statement.digest}
        async with self._vaults.open(visit.organisation, Purpose.READ) as vault:
            vault.record(GovEvent.STATEMENT_REFUSED, reason="others-statement", **facts)

    async def _names(
        self, organisation: ParticipantIdentifier, known: Mapping[str, str], record: Record
    ) -> Names:
        found = await self._directory.names(organisation)
        return Names({**names_of(record), **found.persons, **known}, found.mailboxes)


def roles_of(record: Record, person: Subject, moment: datetime) -> frozenset[Right]:
    """Return the roles in the organisation that a person has at a moment."""
    held = (holding.given.what for holding in record.state.holdings(moment, person))
    rights = (what.rights for what in held if isinstance(what, Rights) and what.scope == ORGANISATION)
    return frozenset[Right]().union(*rights) & OF_ORGANISATION


def page_of(request: Request) -> str:
    """Return the page of a request as its route pattern, without the values in its address."""
    route = request.scope.get("route")
    return str(getattr(route, "path", "")) or "/"
