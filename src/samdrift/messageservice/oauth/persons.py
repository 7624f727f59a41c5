"""People for whom an organisation's systems act, if its authorisation server names them (RFC 8693 4.1).

A token whose claim ``act`` names the acting system has the person in ``sub``. Each person gets a random id in
the organisation's vault, which the log uses; the name in the token is sealed next to that id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.net.cache import SingleFlight, TimedCache
from samdrift.vault.gate import Gate
from samdrift.vault.people import Identity
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.jwt import Claims, JwtInvalid

MAX_NAME = 256
"""Maximum length of a person's name in a token."""
_MOST_KNOWN = 10_000
_KNOWN_FOR = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Named:
    organisation: ParticipantIdentifier
    issuer: str
    subject: str
    name: str


class Persons:
    """Finds the ids of people, and caches them for a while."""

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self._gate = gate
        self._clock = clock
        self._known: TimedCache[_Named, str] = TimedCache(_MOST_KNOWN)
        self._flight: SingleFlight[_Named, str] = SingleFlight()

    async def named_by(
        self, organisation: ParticipantIdentifier, client: str, issuer: str, claims: Claims
    ) -> str:
        """Return the id of the person in a verified token, or an empty string if a system acts for itself.

        Raises :class:`JwtInvalid` for a token whose person's name or identifier is too long.
        """
        if claims.actor() is None:
            return ""
        subject, name = claims.text("sub"), claims.optional_text("name")
        if max(len(subject), len(name)) > MAX_NAME:
            raise JwtInvalid(f"the person's name or subject is longer than {MAX_NAME} characters")
        named = _Named(organisation, issuer, subject, name)
        known = self._known.get(named, self._clock())
        return known or await self._flight.run(named, lambda: self._find(named, client))

    async def _find(self, named: _Named, client: str) -> str:
        principal = Principal(PrincipalKind.SYSTEM, client, named.organisation.value)
        identity, now = Identity(named.issuer, named.subject, named.name), self._clock()
        async with self._gate.open(
            principal, named.organisation, Role.MESSAGE_SERVICE, Purpose.AUTHORISE
        ) as vault:
            person = await vault.know_person(identity, now=now)
        self._known.put(named, person, now + _KNOWN_FOR)
        return person
