"""The addresses of sign-in: start, answer, sign-out, and posts from the sign-in service itself.

A sign-in begins with a link, because ``form-action 'self'`` would also block a redirect after a form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from samdrift.net.journal import Journal
from samdrift.net.server import SHOWN_CERTIFICATE
from samdrift.web.cookies import LANGUAGE, SESSION, SIGN_IN, cookie, drop_cookie, set_cookie
from samdrift.web.guards import form_token, session_of
from samdrift.web.pages import Pages
from samdrift.web.signin.faults import Fault, SignInFailed
from samdrift.web.signin.kept import ProviderUnavailable
from samdrift.web.signin.paths import (
    ANSWER,
    METADATA,
    NOTICE,
    NOW,
    POSTED,
    SIGN_IN_PAGE,
    SIGN_OUT,
    SIGNED_OUT,
    START,
    STAY,
)
from samdrift.web.signin.pending import LASTS, local
from samdrift.web.signin.saml.flow import FIELD as SAML_ANSWER
from samdrift.web.sites import site_of
from samdrift.web.texts import Language, Phrase
from samdrift.web.uploads import received

_A_YEAR = 365 * 24 * 3600
_MAX_NOTICE = 32 * 1024
_MAX_ANSWER = 512 * 1024
_MAX_FIELDS = 10
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+", re.ASCII)


class SignInRoutes:
    """Pages for sign-in and sign-out, for all organisations."""

    def __init__(self, pages: Pages, journal: Journal) -> None:
        self._pages = pages
        self._journal = journal

    def routes(self) -> Sequence[Route]:
        """Return the routes of sign-in and sign-out."""
        return (
            Route(SIGN_IN_PAGE, self.sign_in),
            Route(START, self.start),
            Route(ANSWER, self.answer, methods=["GET", "POST"]),
            Route(POSTED, self.posted, methods=["POST"]),
            Route(METADATA, self.metadata),
            Route(SIGN_OUT, self.sign_out, methods=["POST"]),
            Route(SIGNED_OUT, self.signed_out),
            Route(NOW, self.now),
            Route(STAY, self.stay, methods=["POST"]),
            Route(NOTICE, self.notice, methods=["POST"]),
            Route("/language/{language}", self.language),
        )

    async def sign_in(self, request: Request) -> Response:
        """Show the page that leads to the organisation's sign-in service."""
        if session_of(request) is not None:
            return _to("/")
        return self._pages.page(request, "sign_in.html", back=_back(request), ended=False)

    async def start(self, request: Request) -> Response:
        """Send the browser to the sign-in service."""
        try:
            begun = await site_of(request).sign_in.begin(
                _back(request), again="again" in request.query_params
            )
        except ProviderUnavailable:
            return self._unavailable(request)
        response = _to(begun.url)
        set_cookie(response, SIGN_IN, begun.cookie, seconds=int(LASTS.total_seconds()))
        return response

    async def answer(self, request: Request) -> Response:
        """Turn the sign-in service's answer into a session, which replaces this browser's previous one."""
        site = site_of(request)
        try:
            shown = request.scope.get(SHOWN_CERTIFICATE)
            completed = await site.sign_in.complete(await _fields(request), cookie(request, SIGN_IN), shown)
        except SignInFailed as failure:
            self._journal(str(failure))
            response: Response = self._failed(request, failure.advice)
            drop_cookie(response, SIGN_IN)
            return response
        except ProviderUnavailable:
            return self._unavailable(request)
        former = session_of(request)
        if former is not None:
            await site.sessions.end(former)
        response = _to(completed.back)
        set_cookie(response, SESSION, completed.cookie)
        drop_cookie(response, SIGN_IN)
        return response

    async def posted(self, request: Request) -> Response:
        """Make the browser post the service's answer again, from our site, so that it includes our cookie."""
        try:
            (answer,) = (await _fields(request)).get(SAML_ANSWER, [""])
        except (SignInFailed, ValueError):
            answer = ""
        if not _BASE64.fullmatch(answer):
            self._journal(str(SignInFailed(Fault.ANSWER)))
            return self._failed(request)
        return self._pages.page(
            request, "sign_in_posted.html", action=ANSWER, name=SAML_ANSWER, answer=answer
        )

    async def metadata(self, request: Request) -> Response:
        """Return our metadata for the organisation's sign-in service; 404 if its protocol has none."""
        document = await site_of(request).sign_in.metadata()
        if document is None:
            raise HTTPException(404)
        return Response(document, media_type="application/samlmetadata+xml")

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        await received(request)
        session = session_of(request)
        if session is not None:
            await site_of(request).sessions.end(session)
        response = _to(SIGNED_OUT)
        drop_cookie(response, SESSION)
        return response

    async def signed_out(self, request: Request) -> Response:
        """Show that the session has ended, with a link for leaving the sign-in service."""
        site = site_of(request)
        try:
            leave = await site.sign_in.leave(site.origin + SIGNED_OUT)
        except ProviderUnavailable:
            leave = None
        return self._pages.page(request, "signed_out.html", leave=leave)

    async def stay(self, request: Request) -> Response:
        """Return how many more seconds the session lasts; this request has just prolonged it."""
        await received(request)
        session = session_of(request)
        limits = site_of(request).sessions.limits
        return JSONResponse({"seconds": int(limits.idle.total_seconds()) if session is not None else 0})

    async def now(self, request: Request) -> Response:
        """Return a form token to an open page after its session has ended and the person is back.

        Only our own scripts can read it, since browsers hide our answers from other origins.
        """
        session, site = session_of(request), site_of(request)
        if session is None:
            return JSONResponse({}, 401)
        left = site.sessions.last(session) - self._pages.wording(request).formats.now
        return JSONResponse(
            {
                "whose": site.sessions.whose(session.person),
                "token": form_token(request),
                "seconds": int(min(site.sessions.limits.idle, left).total_seconds()),
                "lasts": int(left.total_seconds()),
            }
        )

    async def notice(self, request: Request) -> Response:
        """End sessions on a notice from the sign-in service (Back-Channel Logout 2.8)."""
        body = await _body(request, _MAX_NOTICE)
        if body is None:
            return JSONResponse({"error": "invalid_request"}, 400)
        name, _, token = body.decode("latin-1").partition("=")
        try:
            await site_of(request).sign_in.end_from_outside(token if name == "logout_token" else "")
        except SignInFailed as failure:
            self._journal(str(failure))
            return JSONResponse({"error": "invalid_request"}, 400)
        except ProviderUnavailable:
            return Response(status_code=503)
        return Response(status_code=200)

    async def language(self, request: Request) -> Response:
        """Store the language that a person has chosen on one of our pages."""
        response = _to(_back(request))
        language = request.path_params["language"]
        if language in set(Language) and request.headers.get("sec-fetch-site") == "same-origin":
            set_cookie(response, LANGUAGE, language, seconds=_A_YEAR)
        return response

    def _failed(self, request: Request, advice: Phrase | None = None) -> Response:
        return self._pages.page(request, "sign_in_failed.html", 403, advice=advice)

    def _unavailable(self, request: Request) -> Response:
        return self._pages.page(request, "sign_in_unavailable.html", 503)


async def _fields(request: Request) -> dict[str, list[str]]:
    """Return the fields of a sign-in service's answer, from the address or from a posted form."""
    if request.method != "POST":
        return {name: request.query_params.getlist(name) for name in request.query_params}
    body = await _body(request, _MAX_ANSWER)
    try:
        return parse_qs((body or b"").decode("ascii"), strict_parsing=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise SignInFailed(Fault.ANSWER) from None


async def _body(request: Request, most: int) -> bytes | None:
    """Return the posted data; ``None`` if it is longer than ``most``."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            return None
    return bytes(body)


def _back(request: Request) -> str:
    return local(request.query_params.get("back", "/"))


def _to(url: str) -> RedirectResponse:
    return RedirectResponse(url, 303)
