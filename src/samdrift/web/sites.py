"""One origin per organisation: the host of a request alone decides which organisation it is for.

So the browser itself separates cookies, storage and policies. A host that is not served gets the same bare
answer as an unknown address.
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
    """An organisation's colour, from a set with tested contrasts."""

    TEAL = "teal"
    BLUE = "blue"
    VIOLET = "violet"
    SLATE = "slate"


class Closed(StrEnum):
    """Reason why an organisation's pages show only a short text and a contact."""

    LOCKED = "locked"
    """The vault waits for its officer."""
    SUSPENDED = "suspended"


Holds = Callable[[Session, bytes | None], bool]
"""Function that returns whether a session is valid on a connection that shows this certificate (DER)."""


class Refusal(StrEnum):
    """Reason why a request is refused; for the log, never for the answer."""

    FETCH_SITE = "it does not come from a page of this site"
    ORIGIN = "it comes from another origin"
    TOKEN = "its form was not made for this session"  # noqa: S105
    FORM = "its form is not understood"


HearsForged = Callable[[Session, Refusal], Awaitable[None]]
"""Function that is called with the session of a refused request, and the reason."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Texts on the sign-in page."""

    lead: Phrase
    """Description of the pages."""
    ended: Phrase
    """Explanation that the session has ended, and that nothing is lost."""
    accessibility: str
    """Address of the accessibility statement; empty if there is none."""


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
    """One organisation's site."""

    origin: str
    """``https://`` and the host, with the port if it is not the standard one."""
    name: str
    """The organisation's name in everyday use."""
    sessions: Sessions
    sign_in: SignInFlow
    accent: Accent = Accent.TEAL
    contact: str = ""
    """Telephone number or address for help when the pages do not open."""
    closed: Closed | None = None
    holds: Holds | None = None
    """Check of a session against a connection's certificate, where people sign in by certificate."""
    welcome: Welcome = _TO_MESSAGES
    forged: HearsForged | None = None
    """Function that is called when a request in a person's session is refused as forged."""


FindSite = Callable[[str], Awaitable[Site | None]]
"""Function that returns the site of a host, given in lower case; ``None`` for an unknown one."""


def by_host(find: FindSite, application: ASGIApp) -> ASGIApp:
    """Serve ``application`` to hosts known to ``find``; any other host gets an empty 404."""

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
