"""The way of a person through sign-in: away to the organisation's sign-in service, and back with a session.

Nothing is stored between the two. The browser holds one random secret in a cookie; ``state``, ``nonce`` and
PKCE's verifier are keyed hashes of it, of the time and of the page to come back to, made with the
organisation's key. So an answer counts in the browser and at the organisation that asked, once, for ten
minutes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from samdrift.contracts.clock import Clock
from samdrift.web.sessions import Person, Sessions
from samdrift.web.signin.idtoken import Asked, Fault, SignInFailed, id_token, logout_token
from samdrift.web.signin.provider import Metadata, Provider

LASTS = timedelta(minutes=10)
"""Time that a person has at the sign-in service."""
_COOKIE = re.compile(r"([\w-]{43})\.(\d{1,12})\.(/[\w/.~-]*)", re.ASCII)
_BACK = re.compile(r"/|(?:/[\w~-][\w.~-]*)+/?", re.ASCII)
_MAX_BACK = 300


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in on its way: where the browser goes, and the cookie that it brings back."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Completed:
    """A sign-in that led to a session."""

    cookie: str
    back: str
    person: Person


OnFailure = Callable[[Fault], Awaitable[None]]
"""Records a failed sign-in in the organisation's log."""


def local(path: str) -> str:
    """Return ``path`` if it is a page of this site, else the first page: nobody is sent elsewhere."""
    return path if len(path) <= _MAX_BACK and _BACK.fullmatch(path) else "/"


class SignIn:
    """Sign-in at one organisation."""

    def __init__(
        self, provider: Provider, sessions: Sessions, redirect_uri: str, clock: Clock, on_failure: OnFailure
    ) -> None:
        self._provider = provider
        self._sessions = sessions
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._on_failure = on_failure

    async def begin(self, back: str, *, again: bool = False) -> Begun:
        """Begin a sign-in that ends at the page ``back``; ``again`` has the person show who they are anew."""
        metadata = await self._provider.metadata()
        pending = _Pending(secrets.token_urlsafe(32), int(self._clock().timestamp()), local(back))
        verifier = self._derived("verifier", pending)
        settings = self._provider.settings
        query = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(settings.scopes),
            "state": self._derived("state", pending),
            "nonce": self._derived("nonce", pending),
            "code_challenge": _encoded(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            "acr_values": " ".join(settings.levels),
        }
        if settings.longest_since is not None:
            query["max_age"] = str(int(settings.longest_since.total_seconds()))
        if again:
            query["prompt"] = "login"
        joint = "&" if "?" in metadata.authorization else "?"
        return Begun(f"{metadata.authorization}{joint}{urlencode(query)}", str(pending))

    async def complete(self, query: Mapping[str, Sequence[str]], cookie: str | None) -> Completed:
        """Turn the sign-in service's answer into a session.

        :class:`~samdrift.web.signin.idtoken.SignInFailed`, which has then been recorded, or
        :class:`~samdrift.web.signin.provider.ProviderUnavailable`.
        """
        try:
            return await self._complete(query, cookie)
        except SignInFailed as failure:
            await self._on_failure(failure.fault)
            raise

    async def end_from_outside(self, token: str) -> int:
        """End the sessions that a logout token of the sign-in service names; returns how many."""
        try:
            notice = await logout_token(token, self._provider.settings, self._provider.keys, self._clock())
        except SignInFailed as failure:
            await self._on_failure(failure.fault)
            raise
        issuer = self._provider.settings.issuer
        # A notice that is sent again must not end what began after it.
        begun_by = notice.issued_at + timedelta(seconds=1)
        return await self._sessions.end_of(issuer, notice.subject, notice.provider_session, begun_by)

    async def leave(self, back: str) -> str | None:
        """Return where a person also leaves the sign-in service; ``None`` if it has no such address.

        No ID token goes with it: it would put personal data into an address.
        """
        metadata = await self._provider.metadata()
        if metadata.end_session is None:
            return None
        joint = "&" if "?" in metadata.end_session else "?"
        query = {"client_id": self._provider.settings.client_id, "post_logout_redirect_uri": back}
        return f"{metadata.end_session}{joint}{urlencode(query)}"

    async def _complete(self, query: Mapping[str, Sequence[str]], cookie: str | None) -> Completed:
        pending = _Pending.read(cookie)
        began = datetime.fromtimestamp(pending.began, UTC)
        now = self._clock()
        if not began - timedelta(seconds=1) <= now <= began + LASTS:
            raise SignInFailed(Fault.LATE)
        state = self._derived("state", pending)
        if not hmac.compare_digest(_one(query, "state", Fault.STATE).encode(), state.encode()):
            raise SignInFailed(Fault.STATE)
        settings = self._provider.settings
        _check_issuer(query, await self._provider.metadata(), settings.issuer)
        if "error" in query:
            raise SignInFailed(Fault.REFUSED)
        code = _one(query, "code", Fault.CODE)
        text = await self._provider.redeem(code, self._derived("verifier", pending), self._redirect_uri)
        if text is None:
            raise SignInFailed(Fault.CODE)
        asked = Asked(self._derived("nonce", pending), began)
        person = await id_token(text, settings, self._provider.keys, asked, self._clock())
        value = await self._sessions.begin(person, self._sessions.mark("sign-in", state))
        if value is None:
            raise SignInFailed(Fault.REPLAYED)
        return Completed(value, pending.back, person)

    def _derived(self, purpose: str, pending: _Pending) -> str:
        return _encoded(self._sessions.mark(purpose, str(pending)))


@dataclass(frozen=True, slots=True)
class _Pending:
    """A sign-in that waits for its answer, as the browser holds it."""

    secret: str
    began: int
    back: str

    def __str__(self) -> str:
        return f"{self.secret}.{self.began}.{self.back}"

    @classmethod
    def read(cls, cookie: str | None) -> _Pending:
        found = _COOKIE.fullmatch(cookie or "")
        if found is None or local(found[3]) != found[3]:
            raise SignInFailed(Fault.UNSOLICITED)
        return cls(found[1], int(found[2]), found[3])


def _check_issuer(query: Mapping[str, Sequence[str]], metadata: Metadata, issuer: str) -> None:
    """Refuse an answer that names another issuer, or none where the issuer says that it does (RFC 9207
    2.4).
    """
    named = query.get("iss", ())
    if list(named) != [issuer] and (named or metadata.names_issuer):
        raise SignInFailed(Fault.ISSUER_OF_ANSWER)


def _one(query: Mapping[str, Sequence[str]], name: str, fault: Fault) -> str:
    values = query.get(name, ())
    if len(values) != 1:
        raise SignInFailed(fault)
    return values[0]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
