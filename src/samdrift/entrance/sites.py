"""The site of each organisation in a role: its origin, its sign-in service, and whether it is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Purpose, Role
from samdrift.entrance.signedin import FailedSignIns, ForgedRequests, KnownElsewhere, VaultSessions
from samdrift.vault.errors import VaultError, VaultLocked, VaultSuspended
from samdrift.vault.gate import Gate
from samdrift.vault.people import People
from samdrift.vault.workergate import WorkerGate
from samdrift.web.sessions import SessionLimits, Sessions
from samdrift.web.signin.service import Place, SignInService
from samdrift.web.sites import Accent, Closed, Site
from samdrift.wire.identifiers import ParticipantIdentifier

WithPages: TypeAlias = Literal[Role.MESSAGE_CLIENT, Role.GOVERNANCE]
"""Roles with pages for people."""
_CLOSED_KEY = bytes(32)
"""Key of a closed site, which protects nothing: the site shows one page for every request."""


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """The configuration of one organisation's site."""

    organisation: ParticipantIdentifier
    name: str
    origin: str
    service: SignInService
    limits: SessionLimits = field(default_factory=SessionLimits)
    accent: Accent = Accent.TEAL
    contact: str = ""


class Sites:
    """The sites of all organisations, by the host name in a request."""

    def __init__(
        self,
        gate: Gate,
        settings: Sequence[SiteSettings],
        clock: Clock,
        role: WithPages = Role.MESSAGE_CLIENT,
        known_elsewhere: KnownElsewhere | None = None,
    ) -> None:
        """``known_elsewhere`` returns the id of a person who is new in the vault of ``role``."""
        self._sites = {
            one.origin.partition("://")[2]: _OneSite(gate, one, clock, role, known_elsewhere)
            for one in settings
        }

    async def find(self, host: str) -> Site | None:
        """Return the site of a host; ``None`` for one that is not served here."""
        known = self._sites.get(host)
        return None if known is None else await known.now()

    def origins(self) -> Mapping[ParticipantIdentifier, str]:
        """Return the origin at which each organisation's people sign in."""
        return {one.settings.organisation: one.settings.origin for one in self._sites.values()}

    def organisation(self, site: Site) -> ParticipantIdentifier:
        """Return the organisation that a site belongs to."""
        return self._sites[site.origin.partition("://")[2]].settings.organisation


class _OneSite:
    """A site across all requests, with its limit on logged failures."""

    def __init__(
        self,
        gate: Gate,
        settings: SiteSettings,
        clock: Clock,
        role: WithPages,
        known_elsewhere: KnownElsewhere | None,
    ) -> None:
        self.settings = settings
        self._registry = gate.registry
        self._role = role
        self._vaults: WorkerGate[People] = gate.worker("pages", role)
        self._clock = clock
        self._store = VaultSessions(self._vaults, settings.organisation, known_elsewhere)
        self._failed = FailedSignIns(self._vaults, settings.organisation, clock)
        self._forged = ForgedRequests(self._vaults, settings.organisation, clock)

    async def now(self) -> Site | None:
        """Return the current site; its key is not kept longer than the vault is open."""
        organisation = self.settings.organisation
        if self._registry.find(organisation, self._role) is None:
            return None
        try:
            async with self._vaults.open(organisation, Purpose.AUTHORISE) as vault:
                return self._site(vault.pages_key())
        except VaultLocked:
            return self._site(_CLOSED_KEY, Closed.LOCKED)
        except VaultSuspended:
            return self._site(_CLOSED_KEY, Closed.SUSPENDED)
        except VaultError:  # Any other reason, such as the vault being closed.
            return None

    def _site(self, key: bytes, closed: Closed | None = None) -> Site:
        settings = self.settings
        sessions = Sessions(self._store, key, self._clock, settings.limits)
        place = Place(settings.origin, settings.name, sessions, self._clock, self._failed)
        return Site(
            settings.origin,
            settings.name,
            sessions,
            settings.service.at(place),
            settings.accent,
            settings.contact,
            closed,
            forged=self._forged,
        )
