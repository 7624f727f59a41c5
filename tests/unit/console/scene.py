"""The console over an installation for tests, with a member of staff and processes with set reports."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from samdrift.accesspoint.events import APEvent
from samdrift.administration.administration import Administration
from samdrift.audit.entries import LogEntry
from samdrift.config.model import Config, Environment, FederationConfig, SocketAddress, VaultConfig
from samdrift.config.organisations import OrganisationConfig
from samdrift.config.roles import AccessPointConfig
from samdrift.console.role import OperatorConsole
from samdrift.console.staff import StaffSessions
from samdrift.console.watching import Watch
from samdrift.contracts.principals import Proof, Role
from samdrift.contracts.transfer import TransferReason
from samdrift.installation.health import Condition
from samdrift.installation.reporting import Running
from samdrift.scheduling.held import HeldNumber
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.records import Transfer
from samdrift.web.cookies import SESSION
from samdrift.web.sessions import Person, Sessions
from samdrift.web.signin.faults import Fault
from samdrift.web.signin.provider import Fetches, Provider, ProviderSettings, by_secret
from samdrift.web.signin.service import OidcService, Place, SignInService
from samdrift.web.sites import Holds, Site
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.web.scene import ISSUER, LEVEL, NoProvider
from tests.vaults import Installation, submitted

STAFF = {"anna": "anna-ap", "jl": "jl"}
PEER, CERTIFICATE = "AP0031-SDK-TEST", "ab" * 32
DETAIL = "EBMS:0010 no process"


def person(subject: str = "anna", name: str = "Anna Andersson") -> Person:
    return Person(ISSUER, subject, name, LEVEL, datetime.now(UTC))


@dataclass
class Scene:
    """The console, the reports of running processes, and errors that occurred."""

    installation: Installation
    config: Config
    origin: str
    outgoing: Fetches = field(default_factory=NoProvider)
    running: tuple[Running, ...] = ()
    reached: bool = True
    holds: Holds | None = None
    """Certificate sign-in, where people sign in that way."""
    service: SignInService | None = None
    """Sign-in service, where people do not sign in with OpenID Connect."""
    away: bool = False
    """True while the installation's database cannot be reached."""
    signed_in: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.staff = StaffSessions(STAFF, self.clock, self._began)
        self.sessions = Sessions(self.staff, b"k" * 32, self.clock)
        provider = Provider(
            ProviderSettings(ISSUER, "samdrift", (LEVEL,)),
            by_secret("samdrift", "secret"),
            self.outgoing,
            self.clock,
        )
        place = Place(self.origin, "Driftbolaget", self.sessions, self.clock, self._failed)
        flow = (self.service or OidcService(provider)).at(place)
        site = Site(self.origin, "Driftbolaget", self.sessions, flow, holds=self.holds)
        self.watch = Watch(self._reached, self.opened, self.clock)
        self.console = OperatorConsole(
            self.config, site, self.staff, self._ask, self.opened, self.watch, self.clock
        )
        self.application = self.console.application(self.failures.append)

    def clock(self) -> datetime:
        return datetime.now(UTC)

    async def opened(self) -> Administration:
        if self.away:
            raise VaultUnavailable("connection refused at 127.0.0.1:5432")
        gate = self.installation.gate
        return Administration(self.config, gate._keys, self.installation.provisioner, gate)

    async def session(self, who: Person | None = None) -> str:
        """Begin a session as sign-in would; return the cookie's value."""
        value = await self.sessions.begin(who or person(), secrets.token_bytes(16))
        assert value is not None
        return value

    @asynccontextmanager
    async def visit(self, *, signed_in: bool = True) -> AsyncIterator[Visitor]:
        """Open a browser for one of the staff, or for a stranger."""
        transport = httpx.ASGITransport(self.application, raise_app_exceptions=False)
        headers = {"accept-language": "sv"}
        async with httpx.AsyncClient(transport=transport, base_url=self.origin, headers=headers) as browser:
            value = await self.session() if signed_in else ""
            if value:
                browser.cookies.set(SESSION, value)
            yield Visitor(self, browser, value)

    async def operators_log(self) -> Sequence[LogEntry]:
        return await self.installation.gate.read_operator_log(0, 100_000)

    async def _ask(self) -> tuple[Running, ...]:
        return self.running

    async def _reached(self) -> bool:
        return self.reached

    async def _began(self, name: str, proof: Proof) -> None:
        self.signed_in.append(name)

    async def _failed(self, fault: Fault) -> None:
        self.faults.append(fault)


@dataclass
class Visitor:
    """A person's browser."""

    scene: Scene
    browser: httpx.AsyncClient
    cookie: str

    async def get(self, path: str) -> httpx.Response:
        return await self.browser.get(path)

    async def post(self, path: str, fields: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"sec-fetch-site": "same-origin", "origin": self.scene.origin}
        token = self.scene.sessions.form_token(self.cookie)
        return await self.browser.post(path, data={"form-token": token, **(fields or {})}, headers=headers)


def config_of(folder: Path, organisations: Sequence[ParticipantIdentifier] = ()) -> Config:
    """Return a configuration with an access point and these organisations."""
    nowhere = SocketAddress("127.0.0.1", 0)
    return Config(
        Environment.TEST,
        FederationConfig("urn:test", "sml.test", folder / "trust"),
        VaultConfig(folder / "database", folder / "objects", folder / "secrets", folder / "seals"),
        folder / "inner.pem",
        tuple(
            OrganisationConfig(each, f"Kommun {number}", (Role.ACCESS_POINT, Role.MESSAGE_SERVICE))
            for number, each in enumerate(organisations, 1)
        ),
        access_point=AccessPointConfig("AP0001-SDK-TEST", "ap.test", nowhere, nowhere),
    )


def report(since: datetime | None = None) -> Running:
    """Return a report with a dependency that is gone, one that came back, and something that waits."""
    now = (since or datetime.now(UTC)).replace(microsecond=0)
    return Running(
        now - timedelta(days=12),
        frozenset({Role.ACCESS_POINT, Role.MESSAGE_SERVICE}),
        {},
        (
            Condition("scanner", "", now - timedelta(minutes=4), "connection refused at 127.0.0.1:3310"),
            Condition(
                "database",
                there_since=now - timedelta(hours=9),
                last_gone=now - timedelta(hours=9, seconds=14),
                last_reason="connection refused at db1:5432",
            ),
            Condition("smp", "smp.example.se", there_since=now - timedelta(days=3)),
        ),
        (HeldNumber("mt", "scanner", 3),),
    )


async def stuck(installation: Installation, organisation: ParticipantIdentifier) -> Transfer:
    """Return a transfer that waits for its next attempt after one failure."""
    now = datetime.now(UTC)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        transfer = await submitted(vault, lease=timedelta(minutes=1))
        assert await vault.postpone(
            transfer.id,
            now=now,
            next_attempt=now + timedelta(minutes=4),
            reason=TransferReason.PEER_REFUSED,
            detail=DETAIL,
        )
    return transfer


async def refused(installation: Installation, organisation: ParticipantIdentifier) -> None:
    """Record that an envelope of an approved peer was refused."""
    facts = {"peer": PEER, "certificate": CERTIFICATE, "as4": "a@b", "reason": "EBMS:0004: NOT_SERVICED"}
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        vault.record(APEvent.AP_ENVELOPE_REFUSED, **facts)
