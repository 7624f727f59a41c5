"""Access of the signed-in person: rights, which are checked again with each request.

A person whose last right has ended is signed out at the next request, and informed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Purpose, Role
from samdrift.entrance.sites import Sites
from samdrift.messageclient.mail import Person
from samdrift.messageclient.permissions import Assignments, PersonPermissions
from samdrift.rights.consentfold import Consent
from samdrift.rights.consents import ExtentKind, Level
from samdrift.vault.gate import Gate
from samdrift.web.application import NotSignedIn, OnError, signed_in
from samdrift.web.cookies import SESSION, cookie, drop_cookie
from samdrift.web.forms import Form
from samdrift.web.guards import BY_ITSELF, Forged, session_of
from samdrift.web.pages import Band, Pages, announce
from samdrift.web.sites import site_of
from samdrift.web.texts import Phrase
from samdrift.web.uploads import FormTooLarge, pass_over, received
from samdrift.wire.identifiers import ParticipantIdentifier

TEMPLATES = Path(__file__).parent / "templates"
LOCALE = Path(__file__).parent / "locale"
_TEXTS = {
    (ExtentKind.MESSAGE, Level.METADATA): Phrase(
        "%(who)s sees data about one message, but not what it says."
    ),
    (ExtentKind.MESSAGE, Level.CONTENT): Phrase("%(who)s sees one message and what it says."),
    (ExtentKind.MAILBOX, Level.METADATA): Phrase(
        "%(who)s sees data about the messages of one mailbox, but not what they say."
    ),
    (ExtentKind.MAILBOX, Level.CONTENT): Phrase(
        "%(who)s sees the messages of one mailbox and what they say."
    ),
    (ExtentKind.SPAN, Level.METADATA): Phrase(
        "%(who)s sees data about the messages of a span of time, but not what they say."
    ),
    (ExtentKind.SPAN, Level.CONTENT): Phrase(
        "%(who)s sees the messages of a span of time and what they say."
    ),
}
"""Texts about each consent, shown on every page while it lasts."""


class NoRights(Explained):
    """Refusal of a signed-in person who has no right in the organisation, or no longer has any."""

    def __init__(self, *, ended: bool = False) -> None:
        super().__init__("the person has no right in the organisation")
        self.ended = ended
        """True if the person had rights that have ended."""
        self.form: Form | None = None
        """The posted form, if it was read before the missing rights were discovered."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request from a person who has at least one right in the organisation."""

    organisation: ParticipantIdentifier
    person: Person
    permissions: PersonPermissions
    issuer: str
    """The organisation's sign-in service that identified the person."""


Handler = Callable[[Request, Visit], Awaitable[Response]]


class Access:
    """Access control for requests: determines the person and their rights."""

    def __init__(self, sites: Sites, assignments: Assignments, gate: Gate) -> None:
        self._sites = sites
        self._assignments = assignments
        self._vaults = gate.worker("pages", Role.MESSAGE_CLIENT)

    def page_endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page for the signed-in person."""

        async def answer(request: Request) -> Response:
            return await handler(request, await self.visit(request))

        return signed_in(answer)

    def form_endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Wrap the handler of a form; without a session the form is read so that its text is not lost."""

        async def answer(request: Request) -> Response:
            if session_of(request) is None:
                await received(request)
            return await handler(request, await self.visit(request))

        return answer

    async def visit(self, request: Request) -> Visit:
        """Return the requester with their current rights; :class:`NotSignedIn` or :class:`NoRights`."""
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
        """Return the rights at the end of a long request, provided that its session has not ended."""
        value = cookie(request, SESSION)
        used = not request.url.path.startswith(BY_ITSELF)
        if value is None or await site_of(request).sessions.find(value, used=used) is None:
            raise NotSignedIn
        return (await self.visit(request)).permissions


def without_rights(pages: Pages, typed_in: Callable[[Request, Form], object]) -> OnError:
    """Return the handler that answers a person who has no rights, or no longer any.

    The text that they typed in the posted form is returned for copying, since it exists nowhere else:
    ``typed_in`` extracts it from a form. It is neither saved nor sent. This discloses nothing: the page shows
    only what this browser has just sent, from one of our pages and with the token of its session, and nothing
    from the vault, not even whether such a draft exists. A form of another site, or of another session, is
    not read. Like any page it is not cached, and its session has ended.
    """

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, NoRights)
        form = error.form or (await _form(request) if request.method == "POST" else None)
        typed = None if form is None else typed_in(request, form)
        signed_out = {"person": None, "session_ends_in": None}
        response = pages.page(request, "no_rights.html", 403, ended=error.ended, typed=typed, **signed_out)
        drop_cookie(response, SESSION)
        return response

    return answer


async def _form(request: Request) -> Form | None:
    """Return the form of a request with an unread body; ``None`` if it is not of this session."""
    try:
        return await received(request, pass_over)
    except (Forged, FormTooLarge):
        return None


def bands(permissions: PersonPermissions) -> Iterator[Band]:
    """Yield a notice for each consent or emergency in force in the person's organisation."""
    for consent, name in permissions.consents:
        assert consent.end is not None
        yield Band(_text(consent, name), _by(consent), consent.end)


def readers_at_operator(permissions: PersonPermissions, mailbox: str) -> tuple[Band, ...]:
    """Return a notice for each consent or emergency that currently gives access to content of a mailbox.

    One about a message or a period of time may concern any mailbox.
    """
    return tuple(
        Band(_text(consent, name), _by(consent), consent.end)
        for consent, name in permissions.consents
        if consent.end is not None
        and consent.act.level is Level.CONTENT
        and (consent.act.extent.kind is not ExtentKind.MAILBOX or consent.act.extent.id == mailbox)
    )


def _text(consent: Consent, name: str) -> Phrase:
    return replace(_TEXTS[consent.act.extent.kind, consent.act.level], values={"who": name})


def _by(consent: Consent) -> Phrase:
    if consent.emergency:
        return Phrase("An emergency of the operator, without your organisation’s consent.")
    return Phrase("Your organisation has consented to it.")
