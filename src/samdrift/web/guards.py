"""Guards of requests that change something: these must come from a page of ours, made for this session.

There are three, each sufficient against cross-site requests in a correct browser: the site that the browser
reports (``Sec-Fetch-Site``), the origin, and a token in the form that is bound to the session. A refused
request is answered like an unknown address, and logged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samdrift.contracts.errors import Explained
from samdrift.net.server import SHOWN_CERTIFICATE
from samdrift.web.cookies import SESSION, cookie
from samdrift.web.sessions import Session
from samdrift.web.sites import Refusal, site_of

TOKEN_FIELD = "form-token"  # noqa: S105 - the name of a field
TOKEN_HEADER = "x-form-token"  # noqa: S105 - the name of a header
BY_ITSELF = "/live/"
"""Prefix of the addresses that an open page polls by itself; such requests do not prolong a session."""
_SAFE = frozenset({"GET", "HEAD"})
_SESSION = "samdrift.session"
_VERIFIED = "samdrift.form-token-verified"


class Forged(Explained):
    """A request that would change something and does not come from a page of ours."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"a request is refused: {refusal}")
        self.refusal = refusal


def check_origin(connection: HTTPConnection) -> None:
    """Refuse a request by the origin that the browser reports; raise :class:`Forged`.

    Under ``Referrer-Policy: no-referrer`` a browser reports the origin of a posted form as ``null``. It does
    so for a sandboxed frame as well, but then ``Sec-Fetch-Site`` is ``cross-site``.
    """
    headers = connection.headers
    if headers.getlist("sec-fetch-site") != ["same-origin"]:
        raise Forged(Refusal.FETCH_SITE)
    if headers.getlist("origin") not in ([site_of(connection).origin], ["null"]):
        raise Forged(Refusal.ORIGIN)


def check_token(connection: HTTPConnection, token: str) -> None:
    """Refuse a form with a token from another session than this request's; raise :class:`Forged`."""
    value = cookie(connection, SESSION)
    if session_of(connection) is None or value is None:
        raise Forged(Refusal.TOKEN)
    if not site_of(connection).sessions.is_form_token(value, token):
        raise Forged(Refusal.TOKEN)
    connection.scope[_VERIFIED].append(True)


def form_token(connection: HTTPConnection) -> str:
    """Return a token for the forms on a page; empty without a signed-in person, whose forms are refused."""
    value = cookie(connection, SESSION)
    if session_of(connection) is None or value is None:
        return ""
    return site_of(connection).sessions.form_token(value)


def session_of(connection: HTTPConnection) -> Session | None:
    """Return the session of a request; ``None`` without a signed-in person."""
    session: Session | None = connection.scope.get(_SESSION)
    return session


async def _session(request: Request, value: str | None) -> Session | None:
    if value is None:
        return None
    site, used = site_of(request), not request.url.path.startswith(BY_ITSELF)
    session = await site.sessions.find(value, used=used)
    if session is None or site.holds is None:
        return session
    return session if site.holds(session, request.scope.get(SHOWN_CERTIFICATE)) else None


Refused = Callable[[Request, Forged], Awaitable[Response]]
"""Function that returns the answer to a request refused by a guard."""


def guarded_changes(
    application: ASGIApp,
    *,
    refused: Refused,
    from_elsewhere: frozenset[str] = frozenset(),
    by_own_proof: frozenset[str] = frozenset(),
) -> ASGIApp:
    """Find the session of each request, and stop changes by requests that fail a guard.

    ``from_elsewhere`` are the paths to which other servers and sites post without cookies: no session is
    looked up, and the posted data carries its own proof or changes nothing. ``by_own_proof`` are the paths to
    which our pages post without a session, with another proof in place of the token. Everywhere else, a
    successful answer to a request other than GET or HEAD is an error unless its token was verified, so that a
    handler that forgets the check is noticed.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in from_elsewhere:
            await application(scope, receive, send)
            return
        request = Request(scope)
        value = cookie(request, SESSION)
        session = await _session(request, value)
        verified: list[bool] = []
        scope = {**scope, _SESSION: session, _VERIFIED: verified}
        if scope["method"] in _SAFE:
            await application(scope, receive, send)
            return
        try:
            check_origin(request)
        except Forged as forged:
            await (await refused(Request(scope), forged))(scope, receive, send)
            return

        if scope["path"] in by_own_proof:
            await application(scope, receive, send)
            return

        async def after_the_token(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400 and not verified:
                raise RuntimeError("a request was answered whose form token was not verified")
            await send(message)

        await application(scope, receive, after_the_token)

    return guard
