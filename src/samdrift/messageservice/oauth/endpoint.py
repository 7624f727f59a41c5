"""Our authorisation server over HTTP: token endpoint, keys and metadata of each issuer.

The application of interface D mounts :meth:`AuthorizationServer.routes`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.messageclients import Scope
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.oauth.issuing import LONGEST, OAuthError, TokenIssuing, TokenRequest
from samdrift.messageservice.oauth.keyring import WORKER, Keyring
from samdrift.messageservice.oauth.registrations import METADATA, PATH, OwnIssuers, Registered
from samdrift.net.keysource import KeysUnavailable
from samdrift.vault.errors import VaultDenied
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.jwt import JwtInvalid, UnverifiedJwt
from samdrift.wire.jose.keys import Algorithm

_FORM = "application/x-www-form-urlencoded"
_NOT_KEPT = {"cache-control": "no-store", "pragma": "no-cache"}
_MINUTE = timedelta(minutes=1)
_FAILURES = 10
"""Failures of one client per minute that get a normal answer; after that it is asked to wait."""
_LONGEST_NAME = 128
"""Maximum length of the name under which failures are counted; registered names are shorter."""
_LOGGED = 60
"""Maximum number of failures per minute, of all clients of an organisation, recorded in its log."""


class AuthorizationServer:
    """One authorisation server for each organisation, behind one set of routes."""

    def __init__(
        self,
        issuers: OwnIssuers,
        issuing: TokenIssuing,
        gate: Gate,
        registered: Registered,
        keyring: Keyring,
        clock: Clock,
    ) -> None:
        self._issuers = issuers
        self._issuing = issuing
        self._vaults = gate.worker(WORKER, Role.MESSAGE_SERVICE)
        self._registered = registered
        self._keyring = keyring
        self._clock = clock
        self._failures = Limit(_FAILURES, _MINUTE)
        self._logged = Limit(_LOGGED, _MINUTE)

    def routes(self) -> list[Route]:
        return [
            Route(f"{PATH}/token", self._token, methods=["POST"]),
            Route(f"{PATH}/jwks", self._jwks, methods=["GET"]),
            Route(METADATA, self._metadata, methods=["GET"]),
        ]

    async def _token(self, request: Request) -> Response:
        organisation = self._organisation(request)
        if organisation is None:
            return _not_here()
        asked = None
        try:
            asked = TokenRequest.read(await _form(request))
            issued = await self._issuing.issue(organisation, asked)
        except OAuthError as error:
            return await self._refused(organisation, asked, error)
        except VaultDenied:
            return _error("unauthorized_client", "the organisation is not served here now", 400)
        except Temporary:
            return _error("temporarily_unavailable", "try again later", 503, {"retry-after": "30"})
        answer = {"access_token": issued.token, "token_type": "Bearer", "expires_in": issued.seconds}
        return JSONResponse({**answer, "scope": issued.scope}, headers=_NOT_KEPT)

    async def _refused(
        self, organisation: ParticipantIdentifier, asked: TokenRequest | None, error: OAuthError
    ) -> Response:
        """Log and answer a failure. Failures of other parties under its name never lock a client out."""
        claimed, now = _claimed(asked), self._clock()
        if not self._logged.exceeded(organisation, now):
            registered = claimed in self._registered().of(organisation).clients
            try:
                async with self._vaults.open(organisation, Purpose.AUTHORISE) as vault:
                    client = claimed if registered else "not registered"
                    vault.record(MTEvent.MT_TOKEN_REFUSED, client=client, reason=error.reason)
            except VaultDenied:
                return _error("unauthorized_client", "the organisation is not served here now", 400)
            except Temporary:
                return _error("temporarily_unavailable", "try again later", 503, {"retry-after": "30"})
        if self._failures.exceeded((organisation, claimed), now):
            return _error(error.code, error.text, 429, {"retry-after": "60"})
        return _error(error.code, error.text, 401 if error.code == "invalid_client" else 400)

    async def _jwks(self, request: Request) -> Response:
        organisation = self._organisation(request)
        if organisation is None:
            return _not_here()
        try:
            keys = await self._keyring.published(organisation)
        except KeysUnavailable:
            return _error("temporarily_unavailable", "try again later", 503, {"retry-after": "30"})
        return JSONResponse({"keys": [key.published() for key in keys]})

    async def _metadata(self, request: Request) -> Response:
        """Answer with the metadata of an issuer (RFC 8414 2)."""
        organisation = self._organisation(request)
        if organisation is None:
            return _not_here()
        issuer = self._issuers.url(organisation)
        return JSONResponse(
            {
                "issuer": issuer,
                "token_endpoint": self._issuers.token_endpoint(organisation),
                "jwks_uri": f"{issuer}/jwks",
                "scopes_supported": [scope.value for scope in Scope],
                "response_types_supported": [],
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": [each.value for each in Algorithm],
            }
        )

    def _organisation(self, request: Request) -> ParticipantIdentifier | None:
        return self._issuers.organisation(request.path_params["name"])


async def _form(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise OAuthError("invalid_request", f"the body is not {_FORM}")
    if "authorization" in request.headers:
        raise OAuthError("invalid_request", "clients authenticate only with an assertion")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST:
            raise OAuthError("invalid_request", f"a request is at most {LONGEST} bytes")
    return bytes(body)


def _claimed(asked: TokenRequest | None) -> str:
    """Return the name of the client that a request claims to come from; it is not verified."""
    try:
        return UnverifiedJwt.read(asked.assertion).issuer[:_LONGEST_NAME] if asked else ""
    except JwtInvalid:
        return ""


def _error(code: str, text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error response (RFC 6749 5.2)."""
    document = {"error": code, "error_description": text}
    return JSONResponse(document, status_code=status, headers={**_NOT_KEPT, **(headers or {})})


def _not_here() -> Response:
    return Response(status_code=404)


class Limit:
    """A limit on events per key within a period, counted for a limited number of keys."""

    def __init__(self, times: int, period: timedelta, keys: int = 10_000) -> None:
        self._times = times
        self._period = period
        self._keys = keys
        self._counts: OrderedDict[Hashable, tuple[datetime, int]] = OrderedDict()

    def exceeded(self, key: Hashable, now: datetime) -> bool:
        """Count one more, and return whether the limit for this period is exceeded."""
        began, count = self._counts.pop(key, (now, 0))
        if abs(now - began) >= self._period:
            began, count = now, 0
        self._counts[key] = began, count + 1
        if len(self._counts) > self._keys:
            self._counts.popitem(last=False)
        return count >= self._times
