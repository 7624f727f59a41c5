"""Assembly of the console: the routes of its one site, for the operator's staff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.administration import LOCALE as CHECKLIST
from samdrift.audit.operations import postponing
from samdrift.config.model import Config
from samdrift.console import LOCALE, TEMPLATES
from samdrift.console.availabilitypage import AvailabilityPage
from samdrift.console.certificates import CertificatesPage
from samdrift.console.events import ConsoleEvent
from samdrift.console.frame import (
    AVAILABILITY,
    CERTIFICATES,
    INCIDENTS,
    MAINTENANCE,
    NOW,
    ORGANISATIONS,
    QUEUES,
    REFUSALS,
    Frame,
)
from samdrift.console.incidents import IncidentsPage
from samdrift.console.maintenance import MaintenancePages
from samdrift.console.now import NowPage
from samdrift.console.opened import Open
from samdrift.console.operatorslog import OperatorsLog
from samdrift.console.organisations import OrganisationPages
from samdrift.console.queues import QueuePages
from samdrift.console.refusals import RefusalsPage
from samdrift.console.staff import StaffSessions
from samdrift.console.watching import Watch
from samdrift.contracts.clock import Clock
from samdrift.governance.incidents import IncidentEvent
from samdrift.installation.reports import Ask
from samdrift.net.origins import HEALTH, by_host, origin
from samdrift.web import application as web
from samdrift.web.assets import Assets
from samdrift.web.pages import Pages
from samdrift.web.sites import Site
from samdrift.web.texts import OWN, Texts

_KEPT = (
    ConsoleEvent.OUTAGE_ANNOUNCED,
    ConsoleEvent.OUTAGE_WITHDRAWN,
    ConsoleEvent.AVAILABILITY_MEASURED,
    *IncidentEvent,
)
"""Events in the operator's log that the pages use."""


@dataclass(frozen=True, slots=True)
class OperatorConsole:
    """The assembled console, as its process runs it."""

    config: Config
    site: Site
    staff: StaffSessions
    ask: Ask
    opened: Open
    watch: Watch
    clock: Clock

    def application(self, on_failure: Callable[[BaseException], None]) -> ASGIApp:
        """Return the application at the console's host, including the health endpoint for monitoring."""
        pages = Pages(Texts((OWN, CHECKLIST, LOCALE)), Assets(), self.clock, (TEMPLATES,))
        served = web.application(
            self._find, pages, self.routes(pages), on_failure, on_outage=postponing("the console")
        )
        host = self.site.origin.partition("://")[2]
        health = by_host({host.partition(":")[0]: origin(lambda: True)})

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            monitoring = scope["type"] == "http" and scope["path"] == HEALTH
            await (health if monitoring else served)(scope, receive, send)

        return dispatch

    def routes(self, pages: Pages) -> Sequence[BaseRoute]:
        """Return the routes of the pages, which only the staff can use; forms pass the guards of ``web``."""
        opened = self.opened
        frame = Frame(pages, self.staff, self.clock, self.config, opened)
        log = OperatorsLog(opened, _KEPT)
        watched = self.config.access_point is not None
        availability = AvailabilityPage(frame, log, self.watch, watched=watched)
        queues, outages = QueuePages(frame, self.config, opened), MaintenancePages(frame, opened, log)
        organisations = OrganisationPages(frame, opened)
        shown_pages = {
            NOW: NowPage(frame, self.config, self.ask, opened, availability).show,
            QUEUES: queues.show,
            f"{QUEUES}/{{organisation}}/{{transfer}}": queues.transfer,
            f"{QUEUES}/{{organisation}}/{{transfer}}/give-up": queues.ask,
            REFUSALS: RefusalsPage(frame, opened).show,
            INCIDENTS: IncidentsPage(frame, log).show,
            ORGANISATIONS: organisations.show,
            f"{ORGANISATIONS}/{{organisation}}": organisations.one,
            CERTIFICATES: CertificatesPage(frame, opened).show,
            MAINTENANCE: outages.show,
            f"{MAINTENANCE}/new": outages.ask,
            AVAILABILITY: availability.show,
        }
        forms = {
            f"{QUEUES}/{{organisation}}/{{transfer}}/retry": queues.retry,
            f"{QUEUES}/{{organisation}}/{{transfer}}/give-up": queues.give_up,
            f"{MAINTENANCE}/new": outages.announce,
            f"{MAINTENANCE}/{{outage}}/withdraw": outages.withdraw,
        }
        return (
            *(Route(path, frame.page_endpoint(handler)) for path, handler in shown_pages.items()),
            *(Route(path, frame.form_endpoint(handler), methods=["POST"]) for path, handler in forms.items()),
        )

    async def _find(self, host: str) -> Site | None:
        return self.site if host == self.site.origin.partition("://")[2] else None
