"""A sign-in service for the demonstration: OpenID Connect, where anyone can sign in as any fictitious person.

It supports the code flow with PKCE, ``iss`` in the answer, RP-initiated logout and back-channel logout, with
one issuer for each organisation. It asks for no secret, so nothing but the demonstration may trust it: the
configuration of any other installation refuses its level of assurance.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import html
import secrets
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from samdrift.net.client import FetchLimits, HttpClient, NoAnswer, fetch, http_client
from samdrift.net.server import listening_socket, serving
from samdrift.wire.jose.jwt import signed
from samdrift.wire.jose.keys import PublicKey

_LIMITS = FetchLimits(max_bytes=4096, seconds=10.0)
_LASTS = 300
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem;
  color: #1f1e1b; background: #f5f4f0 }
a { display: block; padding: .75rem 1rem; margin: .5rem 0; color: inherit; background: #fff; border: 1px solid
  #8a857c; border-radius: 10px; text-decoration: none }
a small { display: block; color: #5f5b54 }
"""


@dataclass(frozen=True, slots=True)
class SignInPerson:
    """A fictitious person who can be chosen at sign-in."""

    subject: str
    name: str
    about: str
    """Description of the person's work, shown on the page."""
    claims: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SignInClient:
    """The pages to which one organisation's people sign in, as a client of the service."""

    name: str
    """Name of the organisation in its issuer's address, in lower-case ASCII letters."""
    title: str
    client_id: str
    secret: str
    level: str
    persons: Sequence[SignInPerson]
    origin: str
    """Origin of the pages."""
    reached_at: str
    """Base address of the pages from this machine, if their host name does not resolve."""
    further: Sequence[tuple[str, str]] = ()
    """Other pages of the organisation for the same people: origin, and base address from this machine."""

    @property
    def places(self) -> Sequence[tuple[str, str]]:
        """Return all pages: origin, and base address from this machine."""
        return ((self.origin, self.reached_at), *self.further)


@dataclass(frozen=True, slots=True)
class _Code:
    client: SignInClient
    person: SignInPerson
    session: str
    redirect_uri: str
    nonce: str
    challenge: str


class _Key:
    """The service's signing key, created again at each start, as if a real service replaced its key."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def sign(self, data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


class SignInService:
    """The issuers of all organisations in the demonstration, at one address."""

    def __init__(self, base: str, http: HttpClient) -> None:
        self._base = base
        self._http = http
        self._key = _Key()
        self._public = PublicKey.named(self._key.public)
        self._clients: dict[str, SignInClient] = {}
        self._codes: dict[str, _Code] = {}
        self._sessions: dict[str, tuple[SignInClient, SignInPerson]] = {}

    def add(self, client: SignInClient) -> None:
        """Start to serve the people of an organisation."""
        self._clients[client.name] = client

    def issuer(self, name: str) -> str:
        """Return the issuer identifier of an organisation."""
        return f"{self._base}/{name}"

    def application(self) -> Starlette:
        """Return the HTTP application of the service."""
        return Starlette(
            routes=[
                Route("/{name}/.well-known/openid-configuration", self._metadata),
                Route("/{name}/keys", self._keys),
                Route("/{name}/authorize", self._authorize),
                Route("/{name}/choose", self._choose),
                Route("/{name}/token", self._token, methods=["POST"]),
                Route("/{name}/end", self._end),
            ]
        )

    def _client(self, request: Request) -> SignInClient | None:
        return self._clients.get(request.path_params["name"])

    async def _metadata(self, request: Request) -> Response:
        if (client := self._client(request)) is None:
            return Response(status_code=404)
        issuer = self.issuer(client.name)
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/keys",
                "end_session_endpoint": f"{issuer}/end",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
                "acr_values_supported": [client.level],
                "authorization_response_iss_parameter_supported": True,
                "backchannel_logout_supported": True,
                "backchannel_logout_session_supported": True,
            }
        )

    async def _keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self._public.published()]})

    async def _authorize(self, request: Request) -> Response:
        """Show the people as links, which carry the parameters of the sign-in request."""
        client, asked = self._client(request), request.query_params
        if client is None or not _proper(client, asked):
            return Response("unknown sign-in", 400, media_type="text/plain")
        links = "".join(
            f'<a href="choose?{html.escape(urlencode([*asked.items(), ("person", each.subject)]))}">'
            f"{html.escape(each.name)}<small>{html.escape(each.about)}</small></a>"
            for each in client.persons
        )
        return _page(
            f"Logga in till {client.title}",
            f"<p>Påhittade personer, utan lösenord. Välj vem du är.</p>{links}",
        )

    async def _choose(self, request: Request) -> Response:
        client, asked = self._client(request), request.query_params
        if client is None or not _proper(client, asked):
            return Response("unknown sign-in", 400, media_type="text/plain")
        person = next((one for one in client.persons if one.subject == asked.get("person")), None)
        if person is None:
            return Response("unknown person", 400, media_type="text/plain")
        session, code = secrets.token_urlsafe(16), secrets.token_urlsafe(32)
        self._sessions[session] = client, person
        redirect_uri = asked["redirect_uri"]
        self._codes[code] = _Code(
            client, person, session, redirect_uri, asked.get("nonce", ""), asked["code_challenge"]
        )
        answer = urlencode({"code": code, "state": asked.get("state", ""), "iss": self.issuer(client.name)})
        response = RedirectResponse(f"{redirect_uri}?{answer}", 303)
        response.set_cookie("session", session, path=f"/{client.name}", httponly=True, samesite="lax")
        return response

    async def _token(self, request: Request) -> Response:
        client = self._client(request)
        form = dict(parse_qsl((await request.body()).decode("ascii", "replace")))
        code = self._codes.pop(str(form.get("code", "")), None)
        if client is None or code is None or code.client is not client:
            return JSONResponse({"error": "invalid_grant"}, 400)
        if not _knows(client, request.headers.get("authorization", "")):
            return JSONResponse({"error": "invalid_client"}, 401)
        if form.get("redirect_uri") != code.redirect_uri or not _verified(form, code.challenge):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(datetime.now(UTC).timestamp())
        claims = {
            **code.person.claims,
            "iss": self.issuer(client.name),
            "aud": client.client_id,
            "sub": code.person.subject,
            "name": code.person.name,
            "acr": client.level,
            "nonce": code.nonce,
            "sid": code.session,
            "auth_time": now,
            "iat": now,
            "exp": now + _LASTS,
        }
        token = self._signed(claims, "JWT")
        answer = {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "id_token": token}
        return JSONResponse(answer, headers={"cache-control": "no-store"})

    async def _end(self, request: Request) -> Response:
        """End the session of this browser, notify the pages, and redirect back to them."""
        client = self._client(request)
        if client is None:
            return Response(status_code=404)
        session = request.cookies.get("session", "")
        if session in self._sessions:
            await self.end(session)
        back = request.query_params.get("post_logout_redirect_uri", "")
        if any(back.startswith(f"{origin}/") for origin, _ in client.places):
            response: Response = RedirectResponse(back, 303)
        else:
            response = _page("Du är utloggad", "<p>Du är utloggad ur inloggningstjänsten.</p>")
        response.delete_cookie("session", path=f"/{client.name}")
        return response

    async def end(self, session: str) -> bool:
        """End a session and notify the pages (Back-Channel Logout 2.5); return whether all accepted."""
        client, person = self._sessions.pop(session)
        now = int(datetime.now(UTC).timestamp())
        claims = {
            "iss": self.issuer(client.name),
            "aud": client.client_id,
            "sub": person.subject,
            "sid": session,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + _LASTS,
            "events": {_LOGOUT_EVENT: {}},
        }
        notice = urlencode({"logout_token": self._signed(claims, "logout+jwt")}).encode()
        heeded = [await self._told(origin, reached_at, notice) for origin, reached_at in client.places]
        return all(heeded)

    async def _told(self, origin: str, reached_at: str, notice: bytes) -> bool:
        headers = {"content-type": "application/x-www-form-urlencoded", "host": origin.partition("://")[2]}
        try:
            answer = await fetch(
                self._http, f"{reached_at}/sign-out/notice", _LIMITS, content=notice, headers=headers
            )
        except NoAnswer:
            return False
        return answer.status == 200

    def sessions(self, name: str) -> list[str]:
        """Return the sessions at an organisation's issuer that have not been ended."""
        return [each for each, (client, _) in self._sessions.items() if client.name == name]

    def _signed(self, claims: Mapping[str, Any], type_: str) -> str:
        return signed({"typ": type_, "kid": str(self._public.kid)}, claims, self._key)


@contextlib.asynccontextmanager
async def sign_in_service(host: str = "127.0.0.1", kept: Path | None = None) -> AsyncIterator[SignInService]:
    """Run the service without TLS on this machine while the context lasts; browsers use localhost.

    ``kept`` is a file that keeps its port between runs, because a person's identity includes the address.
    """
    sock = _listening(host, kept)
    async with contextlib.AsyncExitStack() as stack:
        http = http_client(public_only=False)
        stack.push_async_callback(http.aclose)
        service = SignInService(f"http://localhost:{sock.getsockname()[1]}", http)
        await stack.enter_async_context(serving(service.application(), sock))
        yield service


def _listening(host: str, kept: Path | None) -> socket.socket:
    """Listen at the port of the last run, or at another one if that is taken or unknown."""
    try:
        sock = listening_socket(host, int(kept.read_text()) if kept else 0)
    except (OSError, ValueError):
        sock = listening_socket(host)
    if kept is not None:
        kept.write_text(str(sock.getsockname()[1]))
    return sock


def _proper(client: SignInClient, asked: Mapping[str, str]) -> bool:
    """Return whether a sign-in request matches the registration, in particular its redirect address."""
    return (
        asked.get("client_id") == client.client_id
        and asked.get("redirect_uri") in [f"{origin}/sign-in/answer" for origin, _ in client.places]
        and asked.get("response_type") == "code"
        and asked.get("code_challenge_method") == "S256"
        and bool(asked.get("code_challenge"))
        and client.level in asked.get("acr_values", "").split()
    )


def _knows(client: SignInClient, authorization: str) -> bool:
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.secret)}".encode()
    expected = f"Basic {base64.b64encode(pair).decode()}"
    return hmac.compare_digest(authorization.encode(), expected.encode())


def _verified(form: Mapping[str, str], challenge: str) -> bool:
    digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="sv"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{html.escape(title)}</h1>{body}</html>"
    )
