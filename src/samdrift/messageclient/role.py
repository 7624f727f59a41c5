"""The complete role MK: a web origin for each organisation, where its people sign in, read and write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.audit.operations import postponing
from samdrift.contracts.addressbook import AddressBook
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Role
from samdrift.entrance.ownkeys import jwks_route
from samdrift.entrance.sites import Sites
from samdrift.messageclient import administering, assigning, pages
from samdrift.messageclient.administering import Office, Profiles, administration_routes
from samdrift.messageclient.assigning import rights_routes
from samdrift.messageclient.desk import Desk
from samdrift.messageclient.disposal import pages as disposal
from samdrift.messageclient.disposal.pages import disposal_routes
from samdrift.messageclient.disposal.running import Disposing
from samdrift.messageclient.entrance import access as entrance
from samdrift.messageclient.entrance.access import Access, NoRights, without_rights
from samdrift.messageclient.handover import pages as handover
from samdrift.messageclient.handover.pages import handover_routes
from samdrift.messageclient.live.following import Live
from samdrift.messageclient.mail import Person, Proofs
from samdrift.messageclient.management import Management
from samdrift.messageclient.notices import routes as notices
from samdrift.messageclient.owndesk import desk, names_of
from samdrift.messageclient.pages.draftforms import Typed, typed_anywhere
from samdrift.messageclient.pages.shown import Shown
from samdrift.messageclient.permissions import Assignments
from samdrift.messageclient.scope import Scope as PersonScope
from samdrift.messageclient.scope import Uploads
from samdrift.net.origins import HEALTH, by_host, origin
from samdrift.vault.gate import Gate
from samdrift.web import application as web
from samdrift.web.assets import Assets
from samdrift.web.forms import Form
from samdrift.web.pages import Pages
from samdrift.web.texts import OWN, Texts
from samdrift.wire.identifiers import ParticipantIdentifier


class MessageClientRole:
    """The message client role in one process."""

    def __init__(
        self,
        gate: Gate,
        hosts: Mapping[str, ParticipantIdentifier],
        sites: Sites,
        clock: Clock,
        book: AddressBook,
        profiles: Profiles | None = None,
        proofs: Callable[[ParticipantIdentifier], Proofs | None] = lambda _: None,
        away_since: Callable[[ParticipantIdentifier], datetime | None] = lambda _: None,
    ) -> None:
        """``hosts`` maps the host name of each origin to the organisation served there.

        ``profiles`` is the configuration of each organisation's message client. ``proofs`` returns an
        organisation's message service, if one is configured, and ``away_since`` the start of its outage.
        """
        self._profiles = profiles or {}
        self._proofs = proofs
        self._away_since = away_since
        self._clock = clock
        self._book = book
        self._gate = gate
        self._hosts = hosts
        self._sites = sites
        self.live = Live(gate, clock)
        self.assignments = Assignments(gate.worker("rights", Role.MESSAGE_CLIENT), clock)
        self._uploads = Uploads()
        self.disposing = Disposing(gate, clock)
        parts = (entrance, administering, assigning, notices, pages, handover, disposal)
        self._pages = Pages(
            Texts((OWN, *(part.LOCALE for part in parts))),
            Assets(),
            clock,
            tuple(part.TEMPLATES for part in parts),
        )

    def application(self, on_failure: Callable[[BaseException], None]) -> ASGIApp:
        """Return the application for the origins of all organisations.

        Monitoring can ask without a session whether an organisation is served; everything else is for pages.
        """
        health = by_host({host: origin(partial(self._serves, whose)) for host, whose in self._hosts.items()})
        answers: dict[type[Exception], web.OnError] = {NoRights: without_rights(self._pages, self._typed_in)}
        application = web.application(
            self._sites.find,
            self._pages,
            self._routes(),
            on_failure,
            answers,
            on_outage=postponing("the message client"),
        )

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            monitoring = scope["type"] == "http" and scope["path"] == HEALTH
            await (health if monitoring else application)(scope, receive, send)

        return dispatch

    def _typed_in(self, request: Request, form: Form) -> Typed | None:
        """Return what a person without rights typed, in their language."""
        return typed_anywhere(form, Shown(self._pages.wording(request), Person("", "")))

    def _routes(self) -> Sequence[BaseRoute]:
        access = Access(self._sites, self.assignments, self._gate)
        rights = rights_routes(self._pages, access, self.assignments, self._gate)

        async def open_desk(request: Request) -> Desk:
            visit = await access.visit(request)
            return desk(
                self._gate,
                visit.organisation,
                visit.permissions,
                visit.person,
                self._book,
                self._clock,
                uploads=self._uploads,
                renewed=partial(access.renewed, request),
                proofs=self._proofs(visit.organisation),
                live=self.live,
                away_since=self._away_since(visit.organisation),
            )

        async def open_office(request: Request) -> Office:
            visit = await access.visit(request)
            scope = PersonScope(
                self._gate,
                visit.organisation,
                visit.permissions,
                names_of,
                self._book,
                self._clock,
                visit.person,
                self._uploads,
            )
            profile = self._profiles.get(visit.organisation)
            management = Management(scope, () if profile is None else profile.addresses)
            return Office(scope, management, visit.permissions.held())

        administration = administration_routes(self._pages, open_office, self._profiles)
        mail = pages.mail_routes(self._pages, open_desk)
        disposals = disposal_routes(self._pages, open_office, self.disposing.notify, self._profiles)
        told = notices.notice_routes(self._pages, access, self._gate, self._clock)
        offices = (*rights, *administration, *disposals, *told)
        keys = jwks_route(self._sites, self._gate.worker("pages", Role.MESSAGE_CLIENT), self._clock)
        return (*mail, *handover_routes(self._pages, open_desk), *offices, keys)

    def _serves(self, organisation: ParticipantIdentifier) -> bool:
        return self._gate.registry.serves(organisation, Role.MESSAGE_CLIENT)
