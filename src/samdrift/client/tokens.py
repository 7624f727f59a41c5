"""Access tokens by the client credentials grant with a signed JWT (api-mt-mk 5, RFC 7523 2.2)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from samdrift.client.errors import InterfaceError, Unreachable, refusal
from samdrift.client.keys import Authenticator
from samdrift.contracts.clock import Clock
from samdrift.net.client import Fetched, FetchLimits, HttpClient, HttpFault, NoAnswer, fetch

_LIMITS = FetchLimits(64 * 1024, 15.0)
_SPARE = timedelta(seconds=20)
"""Time before a token expires from which it is no longer used: calls take time, and clocks differ."""
_ASKED_AT_ONCE = 8
_HELD_SECONDS = 2.0
_FOR_EVER = 10**9
"""Limit in seconds from which a token's lifetime is rejected as implausible."""


class Places:
    """Limit on concurrent requests to one authorisation server, which answers too late if there are many.

    A request without an answer does not delay the others for long, since its place is soon freed.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_ASKED_AT_ONCE)

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it for at most :data:`_HELD_SECONDS`."""
        await self._free.acquire()
        held = True

        def leave() -> None:
            nonlocal held
            if held:
                held = False
                self._free.release()

        leaving = asyncio.get_running_loop().call_later(_HELD_SECONDS, leave)
        try:
            yield
        finally:
            leaving.cancel()
            leave()


class Tokens:
    """Access tokens of one client: returns a valid one, and requests another when it is about to expire."""

    def __init__(
        self,
        http: HttpClient,
        endpoint: str,
        client: str,
        key: Authenticator,
        clock: Clock,
        *,
        scope: str = "",
        audience: str | None = None,
        places: Places | None = None,
    ) -> None:
        """Request tokens at ``endpoint``, which is also the default ``audience``.

        Without ``scope`` the server grants everything that the client may use. ``places`` is shared by all
        clients of the same server.
        """
        self._http = http
        self._endpoint = endpoint
        self._client = client
        self._key = key
        self._clock = clock
        self._scope = scope
        self._audience = audience or endpoint
        self._places = places or Places()
        self._token = ""
        self._until: datetime | None = None
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """Return a bearer token; raise :class:`InterfaceError` if none can be obtained.

        Clauses: api-mt-mk 4.1 step 1, 4.2 step 1.
        """
        async with self._asking:
            now = self._clock()
            if self._until is None or now >= self._until:
                async with self._places.place():
                    now = self._clock()
                    self._token, seconds = await self._ask(now)
                self._until = now + timedelta(seconds=seconds) - _SPARE
            return self._token

    @property
    def good(self) -> bool:
        """Return whether the last token is still valid."""
        return self._until is not None and self._clock() < self._until

    @property
    def left(self) -> float:
        """Return the remaining seconds of the last token."""
        return 0.0 if self._until is None else max((self._until - self._clock()).total_seconds(), 0.0)

    def forget(self) -> None:
        """Drop the last token, so that the next call requests a new one."""
        self._until = None

    async def _ask(self, now: datetime) -> tuple[str, int]:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": await self._key.sign_assertion(self._client, self._audience, now),
        }
        if self._scope:
            form["scope"] = self._scope
        try:
            answer = await fetch(
                self._http,
                self._endpoint,
                _LIMITS,
                content=urlencode(form).encode(),
                headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
            )
        except NoAnswer as failure:
            raise Unreachable(f"the authorisation server did not answer ({failure.kind})") from None
        if answer.status >= 500:
            raise Unreachable(f"the authorisation server answered with HTTP status {answer.status}")
        if answer.status != 200:
            raise refusal(answer.status, answer.body)
        return _granted(answer.body)


class Bearing:
    """Calls with an access token, which is renewed if it is not accepted."""

    def __init__(self, http: HttpClient, tokens: Tokens) -> None:
        self._http = http
        self._tokens = tokens

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """GET ``url``, or POST ``content``; raise :class:`NoAnswer` without a complete answer or a token."""
        answer = await self._once(url, limits, content, headers)
        if answer.status == 401:
            self._tokens.forget()
            answer = await self._once(url, limits, content, headers)
        return answer

    async def _once(
        self, url: str, limits: FetchLimits, content: bytes | None, headers: Mapping[str, str] | None
    ) -> Fetched:
        try:
            bearer = {"authorization": f"Bearer {await self._tokens.token()}"}
        except InterfaceError:
            raise NoAnswer(HttpFault.UNREACHABLE, "no access token") from None
        return await fetch(self._http, url, limits, content=content, headers={**(headers or {}), **bearer})


def _granted(body: bytes) -> tuple[str, int]:
    """Return the token and its lifetime in seconds from a token response (RFC 6749 5.1)."""
    try:
        document = json.loads(body)
        token, kind, seconds = (
            document["access_token"],
            document["token_type"],
            document.get("expires_in", 60),
        )
        if isinstance(token, str) and kind.lower() == "bearer" and int(seconds) < _FOR_EVER:
            return token, int(seconds)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        pass
    raise Unreachable("the authorisation server answered with something other than a bearer token")
