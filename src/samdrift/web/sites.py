"""One origin per organisation: the host of a request is the organisation, and nothing else is asked.

Cookies, storage and policy are then kept apart by the browser itself. A host that is not served
gets the same bare answer as an address that is not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.contracts.phrases import Phrase
from samdrift.net.origins import not_there
from samdrift.web.sessions import Session, Sessions
from samdrift.web.signin.pending import SignInFlow

_SITE = "samdrift.site"


class Accent(StrEnum):
    """An organisation's own colour: one of a set whose contrasts are tested."""

    TEAL = "teal"
    BLUE = "blue"
    VIOLET = "violet"
    SLATE = "slate"


class Closed(StrEnum):
    """Why an organisation's pages show nothing but a text and whom to call."""

    LOCKED = "locked"
    """Its vault waits for its officer."""
    SUSPENDED = "suspended"


Holds = Callable[[Session, bytes | None], bool]
"""Returns whether a session holds on a connection that shows this certificate, in DER, or none."""


class Refusal(StrEnum):
    """Why a request is refused; for the log, never for the answer."""

    FETCH_SITE = "it does not come from a page of this site"
    ORIGIN = "it comes from another origin"
    TOKEN = "its form was not made for this session"  # noqa: S105
    FORM = "its form is not understood"


HearsForged = Callable[[Session, Refusal], Awaitable[None]]
"""Is notified of a request in a session, and why it is refused."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Words for whoever is to sign in."""

    lead: Phrase
    """Purpose of the pages."""
    ended: Phrase
    """Meaning of a session that has ended, and what is not lost."""
    accessibility: str
    """Address of the statement on accessibility; empty where there is none."""


_TO_MESSAGES = Welcome(
    Phrase("Confidential messages between public authorities, regions, municipalities and care providers."),
    Phrase(
        "Your session ended because nothing happened for a while, or because you signed out in another "
        "window. Nothing is lost: drafts are kept, and you will come back to the page you were on."
    ),
    "/accessibility",
)


@dataclass(frozen=True, slots=True)
class Site:
    """One organisation as its pages know it."""

    origin: str
    """``https://`` and a host, with the port where it is not the usual one."""
    name: str
    """The organisation's name, as people say it."""
    sessions: Sessions
    sign_in: SignInFlow
    accent: Accent = Accent.TEAL
    contact: str = ""
    """Telephone or address of those who help when the pages do not open."""
    closed: Closed | None = None
    holds: Holds | None = None
    """Predicate of sessions and connections, where persons sign in by the certificate of theirs."""
    welcome: Welcome = _TO_MESSAGES
    forged: HearsForged | None = None
    """Is notified of requests in a person's session that come from no page of ours, and are refused."""


FindSite = Callable[[str], Awaitable[Site | None]]
"""Returns the site of a host, as the ``Host`` field has it in small letters; ``None`` for an unknown one."""


def by_host(find: FindSite, application: ASGIApp) -> ASGIApp:
    """Serve ``application`` to the hosts that ``find`` knows; others get an empty 404."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        site = await find(hosts[0].decode("latin-1").lower()) if len(hosts) == 1 else None
        if site is None:
            await not_there()(scope, receive, send)
            return
        await application({**scope, _SITE: site}, receive, send)

    return dispatch


def site_of(connection: HTTPConnection) -> Site:
    """Return the organisation's site that a request was made to."""
    site: Site = connection.scope[_SITE]
    return site
