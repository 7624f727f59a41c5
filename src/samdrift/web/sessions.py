"""Sessions of people: found by a mark of the cookie's value, ended by time, by a person or from outside.

Where they are kept is a vault's matter (:class:`SessionStore`). The cookie's value itself is not
stored anywhere, so a copy of the store opens no session; the key of the marks is the organisation's,
so a cookie of one organisation means nothing to another.
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
"""Precision of the time of last use: not every request writes to the store."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the organisation's sign-in service names them."""

    issuer: str
    subject: str
    name: str
    level: str
    """Level of assurance, the ``acr`` of the sign-in."""
    authenticated_at: datetime
    provider_session: str | None = None
    """The sign-in service's own name of its session (``sid``), by which it can end ours."""
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Claims that the organisation's mapping asks for, such as groups."""


@dataclass(frozen=True, slots=True)
class Session:
    """A person signed in at one browser."""

    mark: bytes
    """Keyed hash of the cookie's value."""
    sign_in: bytes
    """Mark of the sign-in that it came from: one sign-in makes one session, even when it is replayed."""
    person: Person
    began: datetime
    used: datetime


class SessionStore(Protocol):
    """The sessions of one organisation, in its vault.

    None survives a time in which the vault was locked or the organisation suspended: a sign-in service's
    notice of logout could not be heeded then.
    """

    async def add(self, session: Session) -> bool:
        """Store a new session; ``False``, and nothing stored, where its sign-in already made one.

        The marks of sign-ins are kept for an hour at least, even after the session's end.
        """

    async def find(self, mark: bytes) -> Session | None:
        """Return a session that has not been ended."""

    async def touch(self, mark: bytes, at: datetime) -> None:
        """Note that a session was used."""

    async def end(self, mark: bytes) -> None:
        """End a session; nothing when there is none."""

    async def end_of(
        self, issuer: str, subject: str | None, provider_session: str | None, begun_by: datetime
    ) -> int:
        """End the sessions that began until then, of a person or of one of their sessions at the issuer.

        Returns how many. Where both are given, both must fit.
        """


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Limits of a session: how long a session lasts without use, and in all."""

    idle: timedelta = timedelta(minutes=30)
    whole: timedelta = timedelta(hours=10)


class Sessions:
    """The sessions of one organisation, over its store and with its key."""

    def __init__(
        self, store: SessionStore, key: bytes, clock: Clock, limits: SessionLimits | None = None
    ) -> None:
        """``key`` is a secret of the organisation, for marks alone: 32 bytes."""
        self._store = store
        self._key = key
        self._clock = clock
        self.limits = limits or SessionLimits()

    async def begin(self, person: Person, sign_in: bytes) -> str | None:
        """Begin a session and return the cookie's value; ``None`` when that sign-in already began one."""
        value = secrets.token_urlsafe(_VALUE_BYTES)
        now = self._clock()
        added = await self._store.add(Session(self.mark("session", value), sign_in, person, now, now))
        return value if added else None

    async def find(self, value: str, *, used: bool = True) -> Session | None:
        """Return the session of a cookie; ``None`` when there is none or it is over.

        What a page asks for by itself, without its person, has not ``used`` it.
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
        """Return the session while it lasts, as long as a page is open: another page may have used it."""
        if session is None or value is None or self._clock() < self.ends(session):
            return session
        return await self.find(value, used=False)

    def ends(self, session: Session) -> datetime:
        """Return when a session is over that is not used again."""
        return min(session.used + self.limits.idle, session.began + self.limits.whole)

    def last(self, session: Session) -> datetime:
        """Return when a session is over however much it is used."""
        return session.began + self.limits.whole

    async def end(self, session: Session) -> None:
        """End one session."""
        await self._store.end(session.mark)

    async def end_of(
        self, issuer: str, subject: str | None, provider_session: str | None, begun_by: datetime
    ) -> int:
        """End sessions of a person from outside (:meth:`SessionStore.end_of`)."""
        return await self._store.end_of(issuer, subject, provider_session, begun_by)

    def mark(self, purpose: str, *values: str) -> bytes:
        """Return a keyed hash of ``values`` that is of no use for another purpose or organisation."""
        text = "\0".join((purpose, *values)).encode()
        return hmac.digest(self._key, text, hashlib.sha256)

    def whose(self, person: Person) -> str:
        """Return a mark of a person for pages, by which one knows whether it is the same one who is back."""
        mark = self.mark("whose", person.issuer, person.subject)
        return base64.urlsafe_b64encode(mark).rstrip(b"=").decode()

    def form_token(self, value: str) -> str:
        """Return a token for a form on a page of the session with that cookie; never the same twice.

        It is masked with a pad of its own, so that a compressed answer does not give it away piece by piece.
        """
        pad = secrets.token_bytes(hashlib.sha256().digest_size)
        token = _xor(pad, self.mark("form", value))
        return base64.urlsafe_b64encode(pad + token).rstrip(b"=").decode()

    def is_form_token(self, value: str, token: str) -> bool:
        """Return whether ``token`` was made for the session with that cookie."""
        try:
            decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return False
        half = hashlib.sha256().digest_size
        pad, masked = decoded[:half], decoded[half:]
        return len(masked) == half and hmac.compare_digest(_xor(pad, masked), self.mark("form", value))


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
