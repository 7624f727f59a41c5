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
"""Time for which a sign-in is remembered, so that it cannot start a second session."""


@dataclass
class StaffSessions:
    """A :class:`~samdrift.web.sessions.SessionStore` in memory, only for named people.

    Sessions are not written to disk, so no copy of a disk contains one, and the console needs no database to
    admit people who look into why the database is down.
    """

    staff: Mapping[str, str]
    """Each person's name in logs, by the subject that the sign-in service uses."""
    clock: Clock
    began: Callable[[str, Proof], Awaitable[None]]
    """Function called after a sign-in, with the person's name and the proof for log entries."""
    by_certificate: bool = False
    """True if people sign in with certificates."""
    _sessions: dict[bytes, Session] = field(default_factory=dict)
    _sign_ins: dict[bytes, datetime] = field(default_factory=dict)

    def name_of(self, person: Person) -> str | None:
        """Return the name of a person in logs; ``None`` if the person is not on the staff."""
        return self.staff.get(person.subject)

    def proof_of(self, person: Person) -> Proof:
        """Return the person's sign-in as proof for log entries about what they view and do."""
        shown = person.provider_session or "" if self.by_certificate else ""
        at = person.authenticated_at.astimezone(UTC).isoformat(timespec="seconds")
        signed_in = SignedIn(person.issuer, person.level, at, shown)
        return Proof(ProofKind.SESSION, signed_in=signed_in)

    async def add(self, session: Session) -> bool:
        """Store a new session; raise :class:`SignInFailed` if the person is not on the staff."""
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
        """Return a session that has not been ended, or ``None``."""
        return self._sessions.get(mark)

    async def touch(self, mark: bytes, at: datetime) -> None:
        """Note that a session was used."""
        if mark in self._sessions:
            self._sessions[mark] = replace(self._sessions[mark], used=at)

    async def end(self, mark: bytes) -> None:
        """End a session, if there is one."""
        self._sessions.pop(mark, None)

    async def end_of(
        self, issuer: str, subject: str | None, provider_session: str | None, begun_by: datetime
    ) -> int:
        """End the sessions that a sign-out notice of the sign-in service concerns; return how many."""
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
        """Forget sign-ins and sessions that are too old to be needed."""
        until = self.clock() - _REPLAYS
        self._sign_ins = {mark: at for mark, at in self._sign_ins.items() if at > until}
        self._sessions = {mark: one for mark, one in self._sessions.items() if one.began > until}
