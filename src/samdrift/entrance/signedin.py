"""Sessions of people in the organisation's vault, and log entries about failed sign-ins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Purpose
from samdrift.entrance.events import EntranceEvent
from samdrift.vault.officers import GovernanceVault
from samdrift.vault.people import Identity, People, SessionRecord
from samdrift.vault.workergate import WorkerGate
from samdrift.web.sessions import Person, Session
from samdrift.web.signin.faults import Fault
from samdrift.web.sites import Refusal
from samdrift.wire.identifiers import ParticipantIdentifier

KnownElsewhere = Callable[[ParticipantIdentifier, Identity], Awaitable[str | None]]
"""Function that returns the id of a person in another vault of an organisation, or ``None``."""
_WITHIN = timedelta(minutes=1)
_MOST_IN_LOG = 20
"""Maximum number of logged failed sign-ins per organisation and minute; strangers can cause more."""


class VaultSessions:
    """Implementation of :class:`samdrift.web.sessions.SessionStore` in one organisation's vault."""

    def __init__(
        self,
        vaults: WorkerGate[People],
        organisation: ParticipantIdentifier,
        known_elsewhere: KnownElsewhere | None = None,
    ) -> None:
        self._vaults = vaults
        self._organisation = organisation
        self._known_elsewhere = known_elsewhere

    async def add(self, session: Session) -> bool:
        """Store a new session; return ``False`` and store nothing if its sign-in has already made one."""
        record = _record(session)
        person = (
            await self._known_elsewhere(self._organisation, record.identity)
            if self._known_elsewhere
            else None
        )
        async with self._vaults.open(self._organisation, Purpose.AUTHORISE) as vault:
            if person is not None and isinstance(vault, GovernanceVault):
                await vault.adopt_person(record.identity, person)
            return await vault.begin_session(record)

    async def find(self, mark: bytes) -> Session | None:
        """Return a session that has not ended."""
        async with self._vaults.open(self._organisation, Purpose.AUTHORISE) as vault:
            record = await vault.session(mark)
        return None if record is None else _session(record)

    async def touch(self, mark: bytes, at: datetime) -> None:
        """Record that a session was used."""
        async with self._vaults.open(self._organisation, Purpose.AUTHORISE) as vault:
            vault.touch_session(mark, at)

    async def end(self, mark: bytes) -> None:
        """End a session; do nothing if there is none."""
        async with self._vaults.open(self._organisation, Purpose.AUTHORISE) as vault:
            await vault.end_session(mark)

    async def end_of(
        self, issuer: str, subject: str | None, provider_session: str | None, begun_by: datetime
    ) -> int:
        """End the sessions that a notice of the sign-in service names; return their number."""
        async with self._vaults.open(self._organisation, Purpose.AUTHORISE) as vault:
            return await vault.end_sessions_from_outside(issuer, subject, provider_session, begun_by)


@dataclass
class LimitedEntries:
    """Limit per minute on log entries that strangers can cause."""

    clock: Clock
    _since: datetime | None = None
    _count: int = 0
    _left_out: int = 0

    def next(self) -> Mapping[str, str] | None:
        """Return facts with the number of entries left out before; ``None`` to leave out this one, too."""
        now = self.clock()
        if self._since is None or abs(now - self._since) >= _WITHIN:
            self._since, self._count = now, 0
        if self._count >= _MOST_IN_LOG:
            self._left_out += 1
            return None
        self._count += 1
        left_out = {"left-out": str(self._left_out)} if self._left_out else {}
        self._left_out = 0
        return left_out


class FailedSignIns:
    """Records an organisation's failed sign-ins in its log, up to the limit of :class:`LimitedEntries`."""

    def __init__(self, vaults: WorkerGate[People], organisation: ParticipantIdentifier, clock: Clock) -> None:
        self._vaults = vaults
        self._organisation = organisation
        self._entries = LimitedEntries(clock)

    async def __call__(self, fault: Fault) -> None:
        left_out = self._entries.next()
        if left_out is None:
            return
        async with self._vaults.open(self._organisation, Purpose.AUTHORISE) as vault:
            vault.record(EntranceEvent.SIGN_IN_REFUSED, reason=fault.value, **left_out)


class ForgedRequests:
    """Records requests by other sites in people's sessions, up to the limit of :class:`LimitedEntries`."""

    def __init__(self, vaults: WorkerGate[People], organisation: ParticipantIdentifier, clock: Clock) -> None:
        self._vaults = vaults
        self._organisation = organisation
        self._entries = LimitedEntries(clock)

    async def __call__(self, session: Session, refusal: Refusal) -> None:
        left_out = self._entries.next()
        if left_out is None:
            return
        who = session.person
        async with self._vaults.open(self._organisation, Purpose.AUTHORISE) as vault:
            person = await vault.person(who.issuer, who.subject) or ""
            vault.record(EntranceEvent.REQUEST_REFUSED, person=person, reason=refusal.value, **left_out)


def _record(session: Session) -> SessionRecord:
    person = session.person
    return SessionRecord(
        session.mark,
        session.sign_in,
        Identity(person.issuer, person.subject, person.name, person.claims),
        person.level,
        person.authenticated_at,
        person.provider_session,
        session.began,
        session.used,
    )


def _session(record: SessionRecord) -> Session:
    identity = record.identity
    person = Person(
        identity.issuer,
        identity.subject,
        identity.name,
        record.level,
        record.authenticated_at,
        record.provider_session,
        identity.claims,
    )
    return Session(record.mark, record.sign_in, person, record.began, record.used)
