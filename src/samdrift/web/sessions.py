"""People's sessions, found by a mark of the cookie and ended by time, by the person or from outside.

The store is provided by a vault (:class:`SessionStore`). The cookie's value itself is not stored anywhere, so
a copy of the store does not open a session. The key of the marks is the organisation's own, so a cookie of
one organisation is useless at another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from samdrift.contracts.clock import Clock

_VALUE_BYTES = 32
_USED_AT_MOST_EVERY = timedelta(minutes=1)
"""Precision of the time of last use, so that not every request writes to the store."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person as identified by the organisation's sign-in service."""

    issuer: str
    subject: str
    name: str
    level: str
    """Level of assurance, the ``acr`` of the sign-in."""
    authenticated_at: datetime
    provider_session: str | None = None
    """The sign-in service's own identifier of its session (``sid``), by which it can end ours."""
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Claims that the organisation's configuration asks for, such as groups."""


@dataclass(frozen=True, slots=True)
class Session:
    """A person's session in one browser."""

    mark: bytes
    """Keyed hash of the cookie's value."""
    sign_in: bytes
    """Mark of the sign-in that began the session: each sign-in begins only one, even when it is replayed."""
    person: Person
    began: datetime
    used: datetime


class SessionStore(Protocol):
    """The sessions of one organisation, in its vault.

    No session survives a period in which the vault was locked or the organisation suspended, because logout
    notices from the sign-in service could not be processed then.
    """

    async def add(self, session: Session) -> bool:
        """Store a new session; return ``False`` without storing it if its sign-in has already begun one.

        The marks of sign-ins are kept for at least an hour, even after the session has ended.
        """

    async def find(self, mark: bytes) -> Session | None:
        """Return a session that has not been ended, or ``None``."""

    async def touch(self, mark: bytes, at: datetime) -> None:
        """Note that a session was used."""

    async def end(self, mark: bytes) -> None:
        """End a session, if there is one."""

    async def end_of(
        self, issuer: str, subject: str | None, provider_session: str | None, begun_by: datetime
    ) -> int:
        """End a person's sessions, or those of one session at the issuer, that began by the given time.

        Returns their number. If both ``subject`` and ``provider_session`` are given, both must match.
        """


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Limits of a session: how long it lasts without use, and in total."""

    idle: timedelta = timedelta(minutes=30)
    whole: timedelta = timedelta(hours=10)


class Sessions:
    """The sessions of one organisation, using its store and its key."""

    def __init__(
        self, store: SessionStore, key: bytes, clock: Clock, limits: SessionLimits | None = None
    ) -> None:
        """Use ``key``, a secret of 32 bytes that the organisation uses only for marks."""
        self._store = store
        self._key = key
        self._clock = clock
        self.limits = limits or SessionLimits()

    async def begin(self, person: Person, sign_in: bytes) -> str | None:
        """Begin a session and return the cookie's value; ``None`` if the sign-in has already begun one."""
        value = secrets.token_urlsafe(_VALUE_BYTES)
        now = self._clock()
        added = await self._store.add(Session(self.mark("session", value), sign_in, person, now, now))
        return value if added else None

    async def find(self, value: str, *, used: bool = True) -> Session | None:
        """Return the session of a cookie; ``None`` if there is none or it has expired.

        Requests that a page makes on its own, without the person, do not count as use.
        """
        mark = self.mark("session", value)
        session = await self._store.find(mark)
        if session is None:
            return None
        now = self._clock()
        if now >= self.ends(session):
            await self._store.end(mark)
            return None
        if used and now - session.used >= _USED_AT_MOST_EVERY:
            await self._store.touch(mark, now)
        return session

    async def still(self, session: Session | None, value: str | None) -> Session | None:
        """Return the session of an open page while it lasts, including any use by another page."""
        if session is None or value is None or self._clock() < self.ends(session):
            return session
        return await self.find(value, used=False)

    def ends(self, session: Session) -> datetime:
        """Return the time at which a session ends if it is not used again."""
        return min(session.used + self.limits.idle, session.began + self.limits.whole)

    def last(self, session: Session) -> datetime:
        """Return the time at which a session ends however much it is used."""
        return session.began + self.limits.whole

    async def end(self, session: Session) -> None:
        """End one session."""
        await self._store.end(session.mark)

    async def end_of(
        self, issuer: str, subject: str | None, provider_session: str | None, begun_by: datetime
    ) -> int:
        """End sessions of a person on a notice from outside (:meth:`SessionStore.end_of`)."""
        return await self._store.end_of(issuer, subject, provider_session, begun_by)

    def mark(self, purpose: str, *values: str) -> bytes:
        """Return a keyed hash of ``values`` that is useless for other purposes and organisations."""
        text = "\0".join((purpose, *values)).encode()
        return hmac.digest(self._key, text, hashlib.sha256)

    def whose(self, person: Person) -> str:
        """Return a mark of a person by which a page can recognise whether the same person is back."""
        mark = self.mark("whose", person.issuer, person.subject)
        return base64.urlsafe_b64encode(mark).rstrip(b"=").decode()

    def form_token(self, value: str) -> str:
        """Return a token for a form on a page of that cookie's session; no two are the same.

        It is masked with a random pad, so that compression of the answer does not reveal it piece by piece.
        """
        pad = secrets.token_bytes(hashlib.sha256().digest_size)
        token = _xor(pad, self.mark("form", value))
        return base64.urlsafe_b64encode(pad + token).rstrip(b"=").decode()

    def is_form_token(self, value: str, token: str) -> bool:
        """Return whether ``token`` was made for the session of that cookie."""
        try:
            decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return False
        half = hashlib.sha256().digest_size
        pad, masked = decoded[:half], decoded[half:]
        return len(masked) == half and hmac.compare_digest(_xor(pad, masked), self.mark("form", value))


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
