"""The frame of the administration pages: their navigation, and answers to refused requests.

Other packages' pages about the organisation also use it: they extend ``administration.html`` and give it the
result of :func:`sections`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from samdrift.messageclient.desk import NotHere
from samdrift.messageclient.management import Management
from samdrift.messageclient.scope import Scope
from samdrift.rights import Right
from samdrift.web.application import signed_in
from samdrift.web.guards import session_of
from samdrift.web.pages import Pages
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received
from samdrift.web.views import Link, Section

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
LOCALE = HERE / "locale"
ADMINISTRATION = "/administration"
MAILBOXES, FIGURES = f"{ADMINISTRATION}/mailboxes", f"{ADMINISTRATION}/statistics"
SERVICE, LOG = f"{ADMINISTRATION}/service", f"{ADMINISTRATION}/log"
DISPOSAL = f"{ADMINISTRATION}/disposal"
RIGHTS, ACCESSIBILITY, NOTICES = "/rights", "/accessibility", "/notices"
_MANAGING = frozenset({Right.MANAGE, Right.ADMINISTRATOR})
_AT_WORK = frozenset({Right.READ, Right.WRITE, Right.APPROVE})
"""Rights with which a person has mailboxes to open."""


@dataclass(frozen=True, slots=True)
class Office:
    """The scope of the person who makes a request, and the part of the organisation that they manage."""

    scope: Scope
    management: Management
    held: frozenset[Right]
    """All rights that the person has, to any mailbox or in the organisation."""

    @property
    def manages(self) -> bool:
        """True if the person manages any mailbox, as its manager or as an administrator."""
        return not self.held.isdisjoint(_MANAGING)


OpenOffice = Callable[[Request], Awaitable[Office]]
Handler = Callable[[Request, Office], Awaitable[Response]]
RouteOf = tuple[str, str, Handler]
"""Method, path and handler of a route."""


def see(path: str) -> Response:
    """Return a redirect that answers an accepted form by showing another page."""
    return RedirectResponse(path, 303)


def sections(pages: Pages, request: Request, held: frozenset[Right]) -> tuple[Section, ...]:
    """Return the navigation of the administration for a person with given rights."""
    text, path = pages.wording(request).text, request.url.path
    manages = not held.isdisjoint(_MANAGING)

    def link(phrase: Phrase, href: str, *below: str) -> Link:
        current = path == href or any(path.startswith(one) for one in (f"{href}/", *below))
        return Link(text(phrase), href, current=current)

    found = []
    if manages:
        found = [
            link(Phrase("Mailboxes"), MAILBOXES, f"{ADMINISTRATION}/mailbox/", "/manning/"),
            link(Phrase("Who can read"), RIGHTS, "/sessions"),
            link(Phrase("Statistics"), FIGURES),
        ]
    if Right.MANAGE in held:
        found.append(link(Phrase("Disposal"), DISPOSAL))
    if Right.ADMINISTRATOR in held:
        found.append(link(Phrase("Message service"), SERVICE))
    own = [] if manages else [link(Phrase("Who can read"), RIGHTS)]
    if Right.SECURITY_OFFICER in held:
        own.append(link(Phrase("Log"), LOG))
    if Right.READ in held:
        own.append(link(Phrase("Email notifications"), NOTICES))
    own.append(link(Phrase("Accessibility"), ACCESSIBILITY))
    mail = (Section("", (Link(text(Phrase("Back to the mailboxes")), "/"),)),)
    return (
        *(() if held.isdisjoint(_AT_WORK) else mail),
        *((Section(text(Phrase("Administration")), tuple(found)),) if found else ()),
        Section(text(Phrase("Oversight")), tuple(own)),
    )


class Frame:
    """Services that the handlers of all administration pages share."""

    def __init__(self, pages: Pages, open_office: OpenOffice) -> None:
        self.pages = pages
        self._open_office = open_office

    def page_endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Wrap the handler of a page, which requires that the person is signed in."""

        async def answer(request: Request) -> Response:
            return await self._answer(request, handler)

        return signed_in(answer)

    def form_endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Wrap the handler of a form; without a session the form is read so that its text is not lost."""

        async def answer(request: Request) -> Response:
            if session_of(request) is None:
                await received(request)
            return await self._answer(request, handler)

        return answer

    async def _answer(self, request: Request, handler: Handler) -> Response:
        try:
            return await handler(request, await self._open_office(request))
        except NotHere:
            raise HTTPException(404) from None

    def page(
        self, request: Request, office: Office, template: str, status: int = 200, **context: Any
    ) -> Response:
        """Return a page with the navigation of the administration."""
        context["sections"] = sections(self.pages, request, office.held)
        return self.pages.page(request, template, status, **context)


Routes = Sequence[RouteOf]
