"""The page on which an administrator ends all sessions of a person, for example after a computer was lost."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.messageclient.administering.frame import sections
from samdrift.messageclient.entrance.access import Access, Visit
from samdrift.messageclient.events import MKEvent
from samdrift.rights import Right
from samdrift.vault.gate import Gate
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.people import PersonRecord
from samdrift.web.application import signed_in
from samdrift.web.forms import Form
from samdrift.web.guards import session_of
from samdrift.web.pages import Pages
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

_PATH = "/sessions"


class SigningOut:
    """The sign-out page for an organisation's administrators."""

    def __init__(self, pages: Pages, access: Access, gate: Gate) -> None:
        self._pages = pages
        self._access = access
        self._gate = gate

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of these pages."""
        return (
            Route(_PATH, signed_in(self.choose), methods=["GET"]),
            Route(_PATH, self.end, methods=["POST"]),
        )

    async def choose(self, request: Request) -> Response:
        """Show the form for choosing a person, which lists all known people."""
        visit = await self._access.visit(request)
        return self._page(request, visit, await self._persons(visit), Form())

    async def end(self, request: Request) -> Response:
        """End all sessions of the chosen person, who is signed out at their next request."""
        if session_of(request) is None:
            await received(request)
        visit = await self._access.visit(request)
        form = await received(request)
        persons = await self._persons(visit)
        chosen = next((each for each in persons if each.id == form["person"]), None)
        if chosen is None:
            form.refuse("person", Phrase("Choose a person"))
            return self._page(request, visit, persons, form, 422)
        async with self._vault(visit) as vault:
            await vault.end_sessions_of(chosen.id, "administrator")
        return self._page(request, visit, persons, Form(), ended=chosen.identity.name)

    async def _persons(self, visit: Visit) -> tuple[PersonRecord, ...]:
        """Return all known people, by name; only for administrators."""
        async with self._vault(visit) as vault:
            allowed = visit.permissions.may(Right.ADMINISTRATOR)
            found = await vault.persons() if allowed else ()
            if not allowed:
                vault.record(MKEvent.MK_ACCESS_DENIED, kind="sessions")
        if not allowed:
            raise HTTPException(404)
        return tuple(sorted(found, key=lambda each: each.identity.name))

    def _vault(self, visit: Visit) -> AbstractAsyncContextManager[MessageClientVault]:
        principal = Principal(PrincipalKind.USER, visit.person.id, visit.organisation.value)
        return self._gate.open(principal, visit.organisation, Role.MESSAGE_CLIENT, Purpose.ADMINISTER)

    def _page(
        self,
        request: Request,
        visit: Visit,
        persons: tuple[PersonRecord, ...],
        form: Form,
        status: int = 200,
        ended: str = "",
    ) -> Response:
        ways = sections(self._pages, request, visit.permissions.held())
        options = [(each.id, each.identity.name) for each in persons]
        return self._pages.page(
            request, "sign_out_person.html", status, sections=ways, persons=options, form=form, ended=ended
        )
