"""Role MK, put together: an origin for each organisation, at which its persons sign in and read and write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Role
from samdrift.messageclient import assigning
from samdrift.messageclient.assigning import rights_routes
from samdrift.messageclient.entrance.access import (
    LOCALE,
    TEMPLATES,
    Access,
    NoRights,
    first_page,
    without_rights,
)
from samdrift.messageclient.entrance.sites import Sites
from samdrift.messageclient.permissions import Assignments
from samdrift.net.origins import HEALTH, by_host, origin
from samdrift.vault.gate import Gate
from samdrift.web import application as web
from samdrift.web.assets import Assets
from samdrift.web.pages import Pages
from samdrift.web.texts import OWN, Texts
from samdrift.wire.identifiers import ParticipantIdentifier


class MessageClientRole:
    """The role as one process has it."""

    def __init__(
        self, gate: Gate, hosts: Mapping[str, ParticipantIdentifier], sites: Sites, clock: Clock
    ) -> None:
        """``hosts`` are the organisations that are served, by the name of the host of each one's origin."""
        self._gate = gate
        self._hosts = hosts
        self._sites = sites
        self.assignments = Assignments(gate.worker("rights", Role.MESSAGE_CLIENT), clock)
        self._pages = Pages(
            Texts((OWN, LOCALE, assigning.LOCALE)), Assets(), clock, (TEMPLATES, assigning.TEMPLATES)
        )

    def application(self, on_failure: Callable[[BaseException], None]) -> ASGIApp:
        """Return the application of all organisations' origins.

        Whether one is served is said without a session, to monitoring; all else is for its pages.
        """
        health = by_host({host: origin(partial(self._serves, whose)) for host, whose in self._hosts.items()})
        answers: dict[type[Exception], web.OnError] = {NoRights: without_rights(self._pages)}
        pages = web.application(self._sites.find, self._pages, self._routes(), on_failure, answers)

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            monitoring = scope["type"] == "http" and scope["path"] == HEALTH
            await (health if monitoring else pages)(scope, receive, send)

        return dispatch

    def _routes(self) -> Sequence[BaseRoute]:
        access = Access(self._sites, self.assignments, self._gate)
        rights = rights_routes(self._pages, access, self.assignments, self._gate)
        return (first_page(self._pages, access, self._gate), *rights)

    def _serves(self, organisation: ParticipantIdentifier) -> bool:
        return self._gate.registry.serves(organisation, Role.MESSAGE_CLIENT)
