"""The operator's staff at the console: who may sign in, and their sessions, which end with its process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Proof, ProofKind, SignedIn
from samdrift.web.sessions import Person, Session
from samdrift.web.signin.faults import Fault, SignInFailed

_REPLAYS = timedelta(hours=24)
"""Time for which the mark of a sign-in is kept, so that it makes one session."""


@dataclass
class StaffSessions:
    """A :class:`~samdrift.web.sessions.SessionStore` in memory, for named persons alone.

    Nothing of it is stored, so no copy of a disk opens a session, and the console needs no database to let
    somebody in who looks for the reason why there is none.
    """

    staff: Mapping[str, str]
    """The name of each person in logs, by what the sign-in service calls them."""
    clock: Clock
    began: Callable[[str, Proof], Awaitable[None]]
    """Called with the name of a person who has signed in, and what their entries have as proof of it."""
    by_certificate: bool = False
    """True where persons sign in by their certificates."""
    _sessions: dict[bytes, Session] = field(default_factory=dict)
    _sign_ins: dict[bytes, datetime] = field(default_factory=dict)

    def name_of(self, person: Person) -> str | None:
        """Return the name of a person in logs; ``None`` for one who is not of the staff."""
        return self.staff.get(person.subject)

    def proof_of(self, person: Person) -> Proof:
        """Return how a person is known, as entries have it of what they look at and do."""
        shown = person.provider_session or "" if self.by_certificate else ""
        at = person.authenticated_at.astimezone(UTC).isoformat(timespec="seconds")
        signed_in = SignedIn(person.issuer, person.level, at, shown)
        return Proof(ProofKind.SESSION, signed_in=signed_in)

    async def add(self, session: Session) -> bool:
        """Store a new session; :class:`SignInFailed` for a person who is not of the staff."""
        name = self.name_of(session.person)
        if name is None:
            raise SignInFailed(Fault.PERSON)
        self._forget()
        if session.sign_in in self._sign_ins:
            return False
        self._sign_ins[session.sign_in] = self.clock()
        self._sessions[session.mark] = session
        await self.began(name, self.proof_of(session.person))
        return True

    async def find(self, mark: bytes) -> Session | None:
        """Return a session that has not been ended."""
        return self._sessions.get(mark)

    async def touch(self, mark: bytes, at: datetime) -> None:
        """Note that a session was used."""
        if mark in self._sessions:
            self._sessions[mark] = replace(self._sessions[mark], used=at)

    async def end(self, mark: bytes) -> None:
        """End a session; nothing when there is none."""
        self._sessions.pop(mark, None)

    async def end_of(
        self, issuer: str, subject: str | None, provider_session: str | None, begun_by: datetime
    ) -> int:
        """End the sessions that a notice of the sign-in service names; returns how many."""
        ended = [
            mark
            for mark, session in self._sessions.items()
            if session.person.issuer == issuer
            and subject in (None, session.person.subject)
            and provider_session in (None, session.person.provider_session)
            and session.began <= begun_by
        ]
        for mark in ended:
            del self._sessions[mark]
        return len(ended)

    def _forget(self) -> None:
        """Forget what no replay and no page can need any more, as it is added to."""
        until = self.clock() - _REPLAYS
        self._sign_ins = {mark: at for mark, at in self._sign_ins.items() if at > until}
        self._sessions = {mark: one for mark, one in self._sessions.items() if one.began > until}
