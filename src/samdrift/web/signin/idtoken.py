"""Checks of ID tokens and logout tokens before they are used.

The checks are those of OpenID Connect Core 3.1.3.7 and Back-Channel Logout 2.6. An error names the check that
failed, for the organisation's log; the person is told only what to do next.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.web.sessions import Person
from samdrift.web.signin.faults import Fault, SignInFailed
from samdrift.web.signin.provider import ProviderSettings
from samdrift.wire.jose.jwt import Claims, JwtInvalid, UnverifiedJwt
from samdrift.wire.jose.keys import PublicKey

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_SKEW = timedelta(seconds=30)
_ID_TOKEN_LASTS = timedelta(days=1)
_LOGOUT_TOKEN_LASTS = timedelta(minutes=10)
_MAX_SUBJECT = 255
_MAX_NAME = 256
_MAX_CLAIM_VALUES = 200
_PLAIN_TYPES = ("jwt", "")


Keys = Callable[[UnverifiedJwt], Awaitable[tuple[PublicKey, ...]]]
"""Function that returns the issuer's keys that may have signed a token."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The sign-in that an ID token must match."""

    nonce: str
    began: datetime


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """A sign-in service's notice that it has ended one of a person's sessions, or all of them."""

    subject: str | None
    provider_session: str | None
    issued_at: datetime


async def id_token(text: str, settings: ProviderSettings, keys: Keys, asked: Asked, now: datetime) -> Person:
    """Return the person that an ID token identifies; raise :class:`SignInFailed` when any check fails.

    One check is that of the level at which the person was authenticated (architecture-sad 4.2 sentence 1,
    5.6 sentence 1).
    """
    claims = await _verified(text, settings, keys, _PLAIN_TYPES, _ID_TOKEN_LASTS, now)
    try:
        if not hmac.compare_digest(claims.text("nonce").encode(), asked.nonce.encode()):
            raise SignInFailed(Fault.NONCE)
        if claims.instant("iat") < asked.began - _SKEW:
            raise SignInFailed(Fault.TIME)
        level = claims.text("acr")
        if level not in settings.levels:
            raise SignInFailed(Fault.LEVEL)
        return Person(
            settings.issuer,
            _subject(claims),
            claims.text(settings.name_claim)[:_MAX_NAME],
            level,
            _authenticated_at(claims, settings, now),
            claims.text("sid") if "sid" in claims else None,
            {name: _values(claims, name) for name in settings.claims if name in claims},
        )
    except JwtInvalid:
        raise SignInFailed(Fault.CLAIMS) from None


async def logout_token(text: str, settings: ProviderSettings, keys: Keys, now: datetime) -> LogoutNotice:
    """Return the contents of a logout token (Back-Channel Logout 2.6); raise :class:`SignInFailed`."""
    types = ("logout+jwt", *_PLAIN_TYPES)
    claims = await _verified(text, settings, keys, types, _LOGOUT_TOKEN_LASTS, now)
    if not claims.has_object("events", LOGOUT_EVENT) or "nonce" in claims:
        raise SignInFailed(Fault.EVENT)
    try:
        subject = _subject(claims) if "sub" in claims else None
        session = claims.text("sid") if "sid" in claims else None
        if subject is None and session is None:
            raise SignInFailed(Fault.CLAIMS)
        return LogoutNotice(subject, session, claims.instant("iat"))
    except JwtInvalid:
        raise SignInFailed(Fault.CLAIMS) from None


async def _verified(
    text: str,
    settings: ProviderSettings,
    keys: Keys,
    types: tuple[str, ...],
    lasts: timedelta,
    now: datetime,
) -> Claims:
    """Check issuer, algorithm, signature, type, audience and times, in that order."""
    try:
        token = UnverifiedJwt.read(text)
    except JwtInvalid:
        raise SignInFailed(Fault.TOKEN) from None
    if token.algorithm not in settings.algorithms:
        raise SignInFailed(Fault.ALGORITHM)
    if token.issuer != settings.issuer:
        raise SignInFailed(Fault.ISSUER)
    try:
        claims = token.verified(await keys(token), types=types)
    except JwtInvalid:
        raise SignInFailed(Fault.SIGNATURE) from None
    _check_audience(claims, settings.client_id)
    try:
        claims.check_times(now, lasts, issued=True)
    except JwtInvalid:
        raise SignInFailed(Fault.TIME) from None
    return claims


def _check_audience(claims: Claims, client_id: str) -> None:
    """Accept a token for us; one with several audiences must be issued to us (``azp``)."""
    try:
        audience = claims.texts("aud")
        party = claims.text("azp") if "azp" in claims or len(audience) > 1 else client_id
    except JwtInvalid:
        raise SignInFailed(Fault.AUDIENCE) from None
    if client_id not in audience or party != client_id:
        raise SignInFailed(Fault.AUDIENCE)


def _authenticated_at(claims: Claims, settings: ProviderSettings, now: datetime) -> datetime:
    if settings.longest_since is None:
        return claims.instant("auth_time") if "auth_time" in claims else claims.instant("iat")
    if "auth_time" not in claims:
        raise SignInFailed(Fault.AUTHENTICATION_TIME)
    at = claims.instant("auth_time")
    if now - at > settings.longest_since + _SKEW:
        raise SignInFailed(Fault.AUTHENTICATION_TIME)
    return at


def _subject(claims: Claims) -> str:
    subject = claims.text("sub")
    if len(subject) > _MAX_SUBJECT:
        raise SignInFailed(Fault.CLAIMS)
    return subject


def _values(claims: Claims, name: str) -> tuple[str, ...]:
    values = claims.texts(name)
    if len(values) > _MAX_CLAIM_VALUES:
        raise SignInFailed(Fault.CLAIMS)
    return values
