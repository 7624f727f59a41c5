"""Role MK, put together: an origin for each organisation, at which its persons sign in and read and write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.contracts.addressbook import AddressBook
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Role
from samdrift.messageclient import assigning, notices, pages
from samdrift.messageclient.assigning import rights_routes
from samdrift.messageclient.desk import Desk, Permissions
from samdrift.messageclient.entrance import access as entrance
from samdrift.messageclient.entrance.access import Access, NoRights, without_rights
from samdrift.messageclient.entrance.sites import Sites
from samdrift.messageclient.live.following import Live
from samdrift.messageclient.owndesk import desk
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
        self,
        gate: Gate,
        hosts: Mapping[str, ParticipantIdentifier],
        sites: Sites,
        clock: Clock,
        book: AddressBook,
        away_since: Callable[[ParticipantIdentifier], datetime | None] = lambda _: None,
    ) -> None:
        """``hosts`` are the organisations that are served, by the name of the host of each one's origin.

        ``away_since`` returns since when an organisation's message service cannot be used.
        """
        self._away_since = away_since
        self._clock = clock
        self._book = book
        self._gate = gate
        self._hosts = hosts
        self._sites = sites
        self.live = Live(gate, clock)
        self.assignments = Assignments(gate.worker("rights", Role.MESSAGE_CLIENT), clock)
        parts = (entrance, assigning, notices, pages)
        self._pages = Pages(
            Texts((OWN, *(part.LOCALE for part in parts))),
            Assets(),
            clock,
            tuple(part.TEMPLATES for part in parts),
        )

    def application(self, on_failure: Callable[[BaseException], None]) -> ASGIApp:
        """Return the application of all organisations' origins.

        Whether one is served is said without a session, to monitoring; all else is for its pages.
        """
        health = by_host({host: origin(partial(self._serves, whose)) for host, whose in self._hosts.items()})
        answers: dict[type[Exception], web.OnError] = {NoRights: without_rights(self._pages)}
        application = web.application(self._sites.find, self._pages, self._routes(), on_failure, answers)

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            monitoring = scope["type"] == "http" and scope["path"] == HEALTH
            await (health if monitoring else application)(scope, receive, send)

        return dispatch

    def _routes(self) -> Sequence[BaseRoute]:
        access = Access(self._sites, self.assignments, self._gate)
        rights = rights_routes(self._pages, access, self.assignments, self._gate)

        async def open_desk(request: Request) -> Desk:
            visit = await access.visit(request)

            async def again() -> Permissions:
                return (await access.visit(request)).permissions

            return desk(
                self._gate,
                visit.organisation,
                visit.permissions,
                visit.person,
                self._book,
                self._clock,
                live=self.live,
                again=again,
                away_since=self._away_since(visit.organisation),
            )

        told = notices.notice_routes(self._pages, access, self._gate, self._clock)
        return (*pages.mail_routes(self._pages, open_desk), *rights, *told)

    def _serves(self, organisation: ParticipantIdentifier) -> bool:
        return self._gate.registry.serves(organisation, Role.MESSAGE_CLIENT)
