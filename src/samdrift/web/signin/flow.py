"""Sign-in by OpenID Connect, from the redirect to the organisation's sign-in service until the session."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlencode

from samdrift.contracts.clock import Clock
from samdrift.web.sessions import Sessions
from samdrift.web.signin.faults import Fault, SignInFailed
from samdrift.web.signin.idtoken import Asked, id_token, logout_token
from samdrift.web.signin.pending import Begun, Completed, OnFailure, Pending, encoded, one
from samdrift.web.signin.provider import Metadata, Provider


class SignIn:
    """Sign-in at one organisation (:class:`~samdrift.web.signin.pending.SignInFlow`)."""

    def __init__(
        self, provider: Provider, sessions: Sessions, redirect_uri: str, clock: Clock, on_failure: OnFailure
    ) -> None:
        self._provider = provider
        self._sessions = sessions
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._on_failure = on_failure

    async def begin(self, back: str, *, again: bool = False) -> Begun:
        """Begin a sign-in that returns to the page ``back``; ``again`` demands a new authentication."""
        metadata = await self._provider.metadata()
        pending = Pending.new(self._clock(), back)
        verifier = self._derived("verifier", pending)
        settings = self._provider.settings
        query = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(settings.scopes),
            "state": self._derived("state", pending),
            "nonce": self._derived("nonce", pending),
            "code_challenge": encoded(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            "acr_values": " ".join(settings.levels),
        }
        if settings.longest_since is not None:
            query["max_age"] = str(int(settings.longest_since.total_seconds()))
        if again:
            query["prompt"] = "login"
        joint = "&" if "?" in metadata.authorization else "?"
        return Begun(f"{metadata.authorization}{joint}{urlencode(query)}", str(pending))

    async def complete(
        self, fields: Mapping[str, Sequence[str]], cookie: str | None, shown: bytes | None = None
    ) -> Completed:
        """Turn the sign-in service's answer into a session.

        Raises :class:`~samdrift.web.signin.faults.SignInFailed`, once it has been recorded, or
        :class:`~samdrift.web.signin.kept.ProviderUnavailable`.
        """
        try:
            return await self._complete(fields, cookie)
        except SignInFailed as failure:
            await self._on_failure(failure.fault)
            raise

    async def end_from_outside(self, notice: str) -> int:
        """End the sessions that a logout token of the sign-in service concerns; return their number."""
        try:
            told = await logout_token(notice, self._provider.settings, self._provider.keys, self._clock())
        except SignInFailed as failure:
            await self._on_failure(failure.fault)
            raise
        issuer = self._provider.settings.issuer
        # A repeated notice must not end sessions that began after it.
        begun_by = told.issued_at + timedelta(seconds=1)
        return await self._sessions.end_of(issuer, told.subject, told.provider_session, begun_by)

    async def leave(self, back: str) -> str | None:
        """Return the address at which a person leaves the sign-in service too; ``None`` if it has none.

        No ID token is included, since that would put personal data into an address.
        """
        metadata = await self._provider.metadata()
        if metadata.end_session is None:
            return None
        joint = "&" if "?" in metadata.end_session else "?"
        query = {"client_id": self._provider.settings.client_id, "post_logout_redirect_uri": back}
        return f"{metadata.end_session}{joint}{urlencode(query)}"

    async def _complete(self, query: Mapping[str, Sequence[str]], cookie: str | None) -> Completed:
        pending = Pending.read(cookie, self._clock())
        state = self._derived("state", pending)
        if not hmac.compare_digest(one(query, "state", Fault.STATE).encode(), state.encode()):
            raise SignInFailed(Fault.STATE)
        settings = self._provider.settings
        _check_issuer(query, await self._provider.metadata(), settings.issuer)
        if "error" in query:
            raise SignInFailed(Fault.REFUSED)
        code = one(query, "code", Fault.CODE)
        text = await self._provider.redeem(code, self._derived("verifier", pending), self._redirect_uri)
        if text is None:
            raise SignInFailed(Fault.CODE)
        asked = Asked(self._derived("nonce", pending), pending.began_at)
        person = await id_token(text, settings, self._provider.keys, asked, self._clock())
        value = await self._sessions.begin(person, self._sessions.mark("sign-in", state))
        if value is None:
            raise SignInFailed(Fault.REPLAYED)
        return Completed(value, pending.back, person)

    async def metadata(self) -> str | None:
        """Return ``None``, since the sign-in service's administrator registers us there."""
        return None

    def _derived(self, purpose: str, pending: Pending) -> str:
        return pending.derived(self._sessions, purpose)


def _check_issuer(query: Mapping[str, Sequence[str]], metadata: Metadata, issuer: str) -> None:
    """Refuse an answer from another issuer, or from none if the issuer always names itself (RFC 9207 2.4)."""
    named = query.get("iss", ())
    if list(named) != [issuer] and (named or metadata.names_issuer):
        raise SignInFailed(Fault.ISSUER_OF_ANSWER)
