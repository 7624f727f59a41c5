"""A sign-in in progress, for all protocols: the state that the browser keeps, and the result.

Nothing is stored here between the redirect and the answer. The browser keeps one random secret in a cookie;
the values that the sign-in service must return are keyed hashes of it, of the time and of the page to return
to, made with the organisation's key. So an answer is accepted only in the browser and by the organisation
that asked for it, once, within ten minutes.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, Self

from samdrift.web.sessions import Person, Sessions
from samdrift.web.signin.faults import Fault, SignInFailed

LASTS = timedelta(minutes=10)
"""Time that a person may spend at the sign-in service."""
_COOKIE = re.compile(r"([\w-]{43})\.(\d{1,12})\.(/[\w/.~-]*)", re.ASCII)
_BACK = re.compile(r"/|(?:/[\w~-][\w.~-]*)+/?", re.ASCII)
_MAX_BACK = 300


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that was begun: the address for the browser, and the cookie that it brings back."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Completed:
    """A sign-in that led to a session."""

    cookie: str
    back: str
    person: Person


OnFailure = Callable[[Fault], Awaitable[None]]
"""Function that records a failed sign-in in the organisation's log."""


class SignInFlow(Protocol):
    """Sign-in at one organisation, by the protocol of its sign-in service."""

    async def begin(self, back: str, *, again: bool = False) -> Begun:
        """Begin a sign-in that returns to the page ``back``; ``again`` demands a new authentication.

        Raises :class:`~samdrift.web.signin.kept.ProviderUnavailable`.
        """

    async def complete(
        self, fields: Mapping[str, Sequence[str]], cookie: str | None, shown: bytes | None = None
    ) -> Completed:
        """Turn the sign-in service's answer, or the connection's certificate, into a session.

        Raises :class:`~samdrift.web.signin.faults.SignInFailed`, once it has been recorded, or
        :class:`~samdrift.web.signin.kept.ProviderUnavailable`.
        """

    async def end_from_outside(self, notice: str) -> int:
        """End the sessions that a notice of the sign-in service concerns; return their number."""

    async def leave(self, back: str) -> str | None:
        """Return the address at which a person leaves the sign-in service too; ``None`` if it has none."""

    async def metadata(self) -> str | None:
        """Return our metadata for the sign-in service; ``None`` if the protocol has none."""


def local(path: str) -> str:
    """Return ``path`` if it is a page of this site, otherwise ``/``, to prevent redirects to other sites."""
    return path if len(path) <= _MAX_BACK and _BACK.fullmatch(path) else "/"


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that waits for its answer, as kept in the browser's cookie."""

    secret: str
    began: int
    back: str

    def __str__(self) -> str:
        return f"{self.secret}.{self.began}.{self.back}"

    @classmethod
    def new(cls, now: datetime, back: str) -> Self:
        """Begin a sign-in that returns to the page ``back``."""
        return cls(secrets.token_urlsafe(32), int(now.timestamp()), local(back))

    @classmethod
    def read(cls, cookie: str | None, now: datetime) -> Self:
        """Read the cookie of the sign-in that an answer belongs to; raise :class:`SignInFailed`."""
        found = _COOKIE.fullmatch(cookie or "")
        if found is None or local(found[3]) != found[3]:
            raise SignInFailed(Fault.UNSOLICITED)
        pending = cls(found[1], int(found[2]), found[3])
        if not pending.began_at - timedelta(seconds=1) <= now <= pending.began_at + LASTS:
            raise SignInFailed(Fault.LATE)
        return pending

    @property
    def began_at(self) -> datetime:
        return datetime.fromtimestamp(self.began, UTC)

    def derived(self, sessions: Sessions, purpose: str) -> str:
        """Return the value for ``purpose`` that is sent to the sign-in service, derived from the secret."""
        return encoded(sessions.mark(purpose, str(self)))


def one(fields: Mapping[str, Sequence[str]], name: str, fault: Fault) -> str:
    """Return the single value of a field; raise :class:`SignInFailed` if there is not exactly one."""
    values = fields.get(name, ())
    if len(values) != 1:
        raise SignInFailed(fault)
    return values[0]


def encoded(data: bytes) -> str:
    """Return ``data`` in base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
