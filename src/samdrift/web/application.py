"""The web application for all organisations: host, policy, guards, sign-in, and the routes of a role.

From the outside in: unexpected exceptions are caught; the host selects the organisation; the policy is put on
every answer; a closed organisation shows a single page; guards judge requests that change something; routes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.contracts.errors import Explained, Temporary
from samdrift.net.guard import guarded
from samdrift.net.journal import Journal
from samdrift.web.assets import PREFIX
from samdrift.web.cookies import SESSION, cookie, drop_cookie
from samdrift.web.guards import Forged, guarded_changes, session_of
from samdrift.web.pages import Pages
from samdrift.web.policy import with_policy
from samdrift.web.signin.paths import ANSWER, NOTICE, POSTED
from samdrift.web.signin.pending import local
from samdrift.web.signinroutes import SignInRoutes
from samdrift.web.sites import FindSite, by_host, site_of
from samdrift.web.uploads import FormTooLarge, StaleForm

Answer = Callable[[Request], Awaitable[Response]]
OnError = Callable[[Request, Exception], Awaitable[Response]]
"""Function that returns the answer after an error of a certain type."""


class NotSignedIn(Explained):
    """A page that requires sign-in was requested by a person who is not signed in."""

    def __init__(self) -> None:
        super().__init__("no one is signed in")


def signed_in(answer: Answer) -> Answer:
    """Require sign-in for a page: anyone else is sent to the sign-in page and returned here afterwards."""

    async def answered(request: Request) -> Response:
        if session_of(request) is None and request.method in ("GET", "HEAD"):
            raise NotSignedIn
        return await answer(request)

    return answered


def application(
    find: FindSite,
    pages: Pages,
    routes: Sequence[BaseRoute],
    on_failure: Callable[[BaseException], None],
    answers: Mapping[type[Exception], OnError] | None = None,
    *,
    on_outage: Callable[[Exception], None],
) -> ASGIApp:
    """Return the application for pages, with the routes and errors of a role.

    ``on_failure`` is called with every unexpected exception, whose text is never shown, and ``on_outage``
    with each outage after which a person is asked to try again. ``answers`` handle the role's own errors.
    """
    journal = Journal()
    ends = _Ends(pages, journal, on_outage)
    sign_in = SignInRoutes(pages, journal).routes()
    inner = Starlette(
        routes=[*sign_in, *routes],
        exception_handlers={
            Forged: ends.forged,
            StaleForm: ends.stale,
            FormTooLarge: ends.too_large,
            NotSignedIn: ends.not_signed_in,
            HTTPException: ends.http,
            Temporary: ends.later,
            Exception: ends.failed,
            **(answers or {}),
        },
    )
    inner.router.redirect_slashes = False  # A redirect would go to any host that the ``Host`` header names.
    guards = guarded_changes(
        inner,
        refused=ends.forged,
        from_elsewhere=frozenset({NOTICE, POSTED}),
        by_own_proof=frozenset({ANSWER}),
    )
    opened = _unless_closed(guards, pages, on_outage)
    assets = Starlette(routes=[Route(f"{PREFIX}{{name}}", pages.assets.answer)])

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        static = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (assets if static else opened)(scope, receive, send)

    return guarded(by_host(find, with_policy(dispatch)), on_failure)


def _unless_closed(inner: ASGIApp, pages: Pages, on_outage: Callable[[Exception], None]) -> ASGIApp:
    """Show a single page, whatever is requested, while an organisation's vault cannot be opened."""

    async def unless_closed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        request = Request(scope)
        if site_of(request).closed is not None:
            await pages.page(request, "closed.html", 503)(scope, receive, send)
            return
        try:
            await inner(scope, receive, send)
        except Temporary as outage:  # Raised by the session lookup, before any response.
            on_outage(outage)
            await pages.page(request, "later.html", 503)(scope, receive, send)

    return unless_closed


class _Ends:
    """Answers to requests that end in an error."""

    def __init__(self, pages: Pages, journal: Journal, on_outage: Callable[[Exception], None]) -> None:
        self._pages = pages
        self._journal = journal
        self._on_outage = on_outage

    async def forged(self, request: Request, refused: Exception) -> Response:
        """Answer as for an unknown address, and log the reason."""
        assert isinstance(refused, Forged)
        self._journal(str(refused))
        session, hears = session_of(request), site_of(request).forged
        if session is not None and hears is not None:
            await hears(session, refused.refusal)
        return self._not_found(request)

    async def stale(self, request: Request, stale: Exception) -> Response:
        """Show a page from which the person can resend the form's fields after signing in again."""
        assert isinstance(stale, StaleForm)
        return self._pages.page(
            request, "send_again.html", 403, fields=stale.fields, files_lost=stale.files_lost, back="/"
        )

    async def too_large(self, request: Request, excess: Exception) -> Response:
        """Answer a form that exceeds a limit."""
        return self._pages.page(request, "too_large.html", 413)

    async def not_signed_in(self, request: Request, missing: Exception) -> Response:
        """Show the sign-in page, and say if a session has ended."""
        ended = cookie(request, SESSION) is not None
        response = self._pages.page(request, "sign_in.html", 401, back=local(request.url.path), ended=ended)
        if ended:
            drop_cookie(response, SESSION)
        return response

    async def http(self, request: Request, error: Exception) -> Response:
        """Answer errors of routing, usually an unknown address."""
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return self._not_found(request)
        return Response(status_code=error.status_code, headers=error.headers)

    async def later(self, request: Request, outage: Exception) -> Response:
        """Ask the person to try again later, because something necessary is unavailable."""
        self._on_outage(outage)
        return self._pages.page(request, "later.html", 503)

    async def failed(self, request: Request, error: Exception) -> Response:
        """Report that something failed here, without details."""
        return self._pages.page(request, "failed.html", 500)

    def _not_found(self, request: Request) -> Response:
        return self._pages.page(request, "not_found.html", 404)
