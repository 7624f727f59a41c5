"""The shared frame of the console's pages: identification of the person, and navigation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from samdrift.administration.events import AdminEvent
from samdrift.administration.staff import NotOfTheStaff, StaffFault, member
from samdrift.config.model import Config
from samdrift.console.opened import Open
from samdrift.console.staff import StaffSessions
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Proof
from samdrift.web.application import NotSignedIn
from samdrift.web.forms import Form
from samdrift.web.guards import session_of
from samdrift.web.pages import Pages, Wording
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received
from samdrift.web.views import Link, Section

NOW, QUEUES, REFUSALS, INCIDENTS = "/", "/queues", "/refusals", "/incidents"
ORGANISATIONS, CERTIFICATES = "/organisations", "/certificates"
MAINTENANCE, AVAILABILITY = "/maintenance", "/availability"
_COMMAND = "console"
"""Name recorded as the command in the operator's log, followed by the action."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request from a member of the operator's staff."""

    name: str
    """The person's name in logs."""
    proof: Proof
    """The person's sign-in, recorded in logs next to the name."""
    now: datetime


PageHandler = Callable[[Request, Visit], Awaitable[Response]]
"""Handler that answers a request for a page."""
FormHandler = Callable[[Request, Visit, Form], Awaitable[Response]]
"""Handler that answers a form whose token has been verified."""


class Frame:
    """Functions that all page handlers share."""

    def __init__(
        self, pages: Pages, staff: StaffSessions, clock: Clock, config: Config, opened: Open
    ) -> None:
        self._pages = pages
        self._staff = staff
        self._clock = clock
        self._named = config.staff
        self._opened = opened

    def page_endpoint(self, handler: PageHandler) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page."""

        async def answer(request: Request) -> Response:
            return await handler(request, self._visit(request))

        return answer

    def form_endpoint(self, handler: FormHandler) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a form, which is read, token first, before anything else.

        Each form is an action. If the configuration names staff with keys for commands, an action here
        requires that the signed-in person is one of them by name; otherwise nothing is done.
        """

        async def answer(request: Request) -> Response:
            form = await received(request)
            visit = self._visit(request)
            try:
                if self._named:
                    member(self._named, visit.name, _COMMAND)
            except NotOfTheStaff as refused:
                return await self._refused(request, visit, refused.fault)
            return await handler(request, visit, form)

        return answer

    def wording(self, request: Request) -> Wording:
        """Return the wording in the language of the person."""
        return self._pages.wording(request)

    def page(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        """Return a page with navigation."""
        return self._pages.page(request, template, status, sections=self._sections(request), **context)

    def _visit(self, request: Request) -> Visit:
        """Return the visit of a signed-in member of the staff; anyone else is sent to sign in first."""
        session = session_of(request)
        name = None if session is None else self._staff.name_of(session.person)
        if session is None or name is None:
            raise NotSignedIn
        return Visit(name, self._staff.proof_of(session.person), self._clock())

    async def _refused(self, request: Request, visit: Visit, fault: StaffFault) -> Response:
        """Answer that nothing was done, and why, and record the refusal in the operator's log."""
        what = request.url.path.rpartition("/")[2]
        facts = {"by": visit.name, "command": f"{_COMMAND} {what}", "reason": fault.value}
        gate = (await self._opened()).gate
        await gate.operator_log(AdminEvent.COMMAND_REFUSED, **facts, **visit.proof.facts())
        return self.page(request, "not_named.html", 403, name=visit.name, service=fault is StaffFault.SERVICE)

    def _sections(self, request: Request) -> tuple[Section, ...]:
        text, path = self.wording(request).text, request.url.path

        def link(phrase: Phrase, href: str) -> Link:
            inside = href != NOW and path.startswith(f"{href}/")
            return Link(text(phrase), href, current=path == href or inside)

        operating = (
            link(Phrase("Now"), NOW),
            link(Phrase("Queues"), QUEUES),
            link(Phrase("Refusals by peer"), REFUSALS),
            link(Phrase("Incidents"), INCIDENTS),
        )
        seeing_to = (
            link(Phrase("Organisations"), ORGANISATIONS),
            link(Phrase("Certificates"), CERTIFICATES),
            link(Phrase("Planned outages"), MAINTENANCE),
            link(Phrase("Availability"), AVAILABILITY),
        )
        return Section("", operating), Section(text(Phrase("See to")), seeing_to)
