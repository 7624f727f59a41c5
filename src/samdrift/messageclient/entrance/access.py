"""Access of the person who is signed in: rights, asked for anew with each request.

A person whose last right has ended is signed out at the next request, and told so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Purpose, Role
from samdrift.entrance.sites import Sites
from samdrift.messageclient.entrance.consents import bands
from samdrift.messageclient.mail import Person
from samdrift.messageclient.permissions import Assignments, PersonPermissions
from samdrift.vault.gate import Gate
from samdrift.web.application import NotSignedIn, OnError, signed_in
from samdrift.web.cookies import SESSION, cookie, drop_cookie
from samdrift.web.guards import BY_ITSELF, session_of
from samdrift.web.pages import Pages, announce
from samdrift.web.sites import site_of
from samdrift.web.uploads import received
from samdrift.wire.identifiers import ParticipantIdentifier

TEMPLATES = Path(__file__).parent / "templates"
LOCALE = Path(__file__).parent / "locale"


class NoRights(Explained):
    """A person who is signed in and has no right in the organisation, or none any more."""

    def __init__(self, *, ended: bool = False) -> None:
        super().__init__("the person has no right in the organisation")
        self.ended = ended
        """True when the person has had one that was ended."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a person who has some right in the organisation."""

    organisation: ParticipantIdentifier
    person: Person
    permissions: PersonPermissions
    issuer: str
    """The sign-in service of the organisation."""


Handler = Callable[[Request, Visit], Awaitable[Response]]


class Access:
    """Finds out who asks and what they may."""

    def __init__(self, sites: Sites, assignments: Assignments, gate: Gate) -> None:
        self._sites = sites
        self._assignments = assignments
        self._vaults = gate.worker("pages", Role.MESSAGE_CLIENT)

    def shown(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page, for whoever is signed in."""

        async def answer(request: Request) -> Response:
            return await handler(request, await self.visit(request))

        return signed_in(answer)

    def posted(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Answer a form; without a session it is read for its own sake, which keeps what was typed."""

        async def answer(request: Request) -> Response:
            if session_of(request) is None:
                await received(request)
            return await handler(request, await self.visit(request))

        return answer

    async def visit(self, request: Request) -> Visit:
        """Return who asks, with their rights now; :class:`NotSignedIn` or :class:`NoRights`."""
        session = session_of(request)
        if session is None:
            raise NotSignedIn
        organisation = self._sites.organisation(site_of(request))
        who = session.person
        permissions = await self._assignments.of(organisation, who.issuer, who.subject, who.claims)
        if not permissions.any():
            async with self._vaults.open(organisation, Purpose.AUTHORISE) as vault:
                await vault.end_sessions_of(permissions.person, "no right left")
            raise NoRights(ended=permissions.ended())
        announce(request, bands(permissions))
        return Visit(organisation, Person(permissions.person, who.name), permissions, who.issuer)

    async def renewed(self, request: Request) -> PersonPermissions:
        """Return the rights at the end of a request that took long, if its session has not ended either."""
        value = cookie(request, SESSION)
        used = not request.url.path.startswith(BY_ITSELF)
        if value is None or await site_of(request).sessions.find(value, used=used) is None:
            raise NotSignedIn
        return (await self.visit(request)).permissions


def without_rights(pages: Pages) -> OnError:
    """Return the answer to a person who has no right, or none any more."""

    async def answer(request: Request, error: Exception) -> Response:
        ended = isinstance(error, NoRights) and error.ended
        response = pages.page(request, "no_rights.html", 403, ended=ended)
        drop_cookie(response, SESSION)
        return response

    return answer
