"""Assembly of role GOV: one origin per organisation, where officers, administrators and auditors sign in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.audit.operations import postponing
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Role
from samdrift.entrance.ownkeys import jwks_route
from samdrift.entrance.sites import Sites
from samdrift.governance import pages as own
from samdrift.governance.duties.catalogue import Catalogue, shipped
from samdrift.governance.pages.access import Access, RouteOf
from samdrift.governance.pages.consents import ConsentPages
from samdrift.governance.pages.deciding import Deciding
from samdrift.governance.pages.directory import ClientDirectory, Directory
from samdrift.governance.pages.entering import Entering
from samdrift.governance.pages.frame import Frame
from samdrift.governance.pages.insight import Insight, Performers
from samdrift.governance.pages.keys import Keys
from samdrift.governance.pages.oversight import Oversight
from samdrift.governance.pages.reviewing import ReviewPages
from samdrift.governance.pages.rights import RightsPages
from samdrift.governance.pages.settling import SettlingPages
from samdrift.governance.pages.signing import Signing
from samdrift.governance.pages.uses import UseReader
from samdrift.governance.records import Records
from samdrift.net.origins import HEALTH, by_host, origin
from samdrift.rights.agreements import Function
from samdrift.vault.gate import Gate
from samdrift.web import application as web
from samdrift.web.assets import Assets
from samdrift.web.pages import Pages
from samdrift.web.texts import OWN, Texts
from samdrift.wire.identifiers import ParticipantIdentifier

_FUNCTIONS = {
    Role.ACCESS_POINT: Function.AP,
    Role.MESSAGE_SERVICE: Function.MT,
    Role.MESSAGE_CLIENT: Function.MK,
}


class GovernanceRole:
    """The governance role in one process."""

    def __init__(
        self,
        gate: Gate,
        hosts: Mapping[str, ParticipantIdentifier],
        sites: Sites,
        clock: Clock,
        directory: Directory | None = None,
        performers: Performers | None = None,
        catalogues: Callable[[], Sequence[Catalogue]] = shipped,
    ) -> None:
        """``hosts`` maps the host name of each origin to the organisation that it serves."""
        self._gate = gate
        self._hosts = hosts
        self._sites = sites
        self._clock = clock
        self.records = Records(gate, clock)
        self._directory = directory or ClientDirectory(gate)
        self._performers = performers or self._hosted
        self._catalogues = catalogues
        self._pages = Pages(Texts((OWN, own.LOCALE)), Assets(own.STATIC), clock, (own.TEMPLATES,))

    def application(self, on_failure: Callable[[BaseException], None]) -> ASGIApp:
        """Return the application of all organisations' origins.

        Health requests from monitoring are answered without a session; all others go to the pages.
        """
        health = by_host({host: origin(partial(self._serves, whose)) for host, whose in self._hosts.items()})
        application = web.application(
            self._sites.find, self._pages, self.routes(), on_failure, on_outage=postponing("governance")
        )

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            monitoring = scope["type"] == "http" and scope["path"] == HEALTH
            await (health if monitoring else application)(scope, receive, send)

        return dispatch

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the pages."""
        access = Access(self._sites, self.records, self._gate, self._clock, self._directory)
        frame = Frame(self._pages)
        signing = Signing(frame, access)
        keys = Keys(frame, access, signing, self._gate)
        found: list[RouteOf] = [
            *signing.routes(),
            *Deciding(frame, access, signing, keys.copied).routes(),
            *keys.routes(),
            *ConsentPages(frame, access, signing, self._gate).routes(),
            *Oversight(frame, access, signing, self._gate).routes(),
            *ReviewPages(frame, access, signing, UseReader(self._gate)).routes(),
            *RightsPages(frame, access, signing).routes(),
            *SettlingPages(frame, access, signing, self._gate).routes(),
            *Entering(frame, access, signing, self._catalogues).routes(),
            *Insight(frame, access, self._gate, self._performers, self._catalogues).routes(),
        ]
        made = [
            Route(
                path,
                access.page_endpoint(handler, seen)
                if method == "GET"
                else access.form_endpoint(handler, seen),
                methods=[method],
            )
            for method, path, handler, seen in found
        ]
        return (*made, jwks_route(self._sites, self._gate.worker("pages", Role.GOVERNANCE), self._clock))

    def _hosted(self, organisation: ParticipantIdentifier) -> Mapping[Function, None]:
        """Return the functions whose roles the organisation has here; their performers are unknown."""
        registry = self._gate.registry
        return {
            function: None
            for role, function in _FUNCTIONS.items()
            if registry.find(organisation, role) is not None
        }

    def _serves(self, organisation: ParticipantIdentifier) -> bool:
        return self._gate.registry.serves(organisation, Role.GOVERNANCE)
