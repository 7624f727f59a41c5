"""Role gov over a vault: officers who have keys, and sessions without a sign-in service."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import httpx

from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import Role
from samdrift.entrance.sites import Sites, SiteSettings
from samdrift.governance.duties.catalogue import Catalogue, shipped
from samdrift.governance.pages.directory import ClientDirectory
from samdrift.governance.role import GovernanceRole
from samdrift.rights import ORGANISATION, Approved, Given, Right, Rights, Statement, Subject
from samdrift.rights.signing import Signed
from samdrift.rights.statements import Act
from samdrift.vault.people import Identity
from samdrift.web.cookies import SESSION
from samdrift.web.sessions import Person
from samdrift.web.signin.provider import Provider, ProviderSettings, by_secret
from samdrift.web.signin.service import OidcService
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.webauthn import Assertion, encoded
from tests.unit.governance.test_records import roots
from tests.unit.messageclient.wholerole import ISSUER, LEVEL, NoFetches
from tests.unit.rights.building import ANNA, BO, CILLA, KURT
from tests.unit.rights.signers import SITE, YEAR, House, founded
from tests.vaults import Installation

GOV = Role.GOVERNANCE
AUDITOR = Subject.parse("person:rut")
STRANGER = Subject.parse("person:olle")
PERSONS = {
    ANNA: ("anna", "Anna Andersson"),
    BO: ("bo", "Bo Berg"),
    AUDITOR: ("rut", "Rut Ros"),
    CILLA: ("cilla", "Cilla Dahl"),
}
"""People who sign in: administrator, security officer, auditor, and one without a role."""


@dataclass
class OfficeClock:
    """A clock that a test may put forward instead of waiting."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Office:
    """The governance of one organisation, with its record and its people."""

    installation: Installation
    organisation: ParticipantIdentifier
    house: House
    sites: Sites
    role: GovernanceRole
    origin: str
    clock: OfficeClock
    failures: list[BaseException] = field(default_factory=list)

    async def state(self, by: Subject, act: Act, at: datetime | None = None) -> Statement:
        """Append a statement of a person who has a key, made now or at ``at``."""
        self.house.now = at or self.second()
        signed = self.house.signers[by].sign(self.house.stated(by, act))
        await self.append(signed)
        return signed.statement

    async def appoint(self, who: Subject, role: Right) -> None:
        """Appoint a person to a role in the organisation: Anna asks, and a custodian approves."""
        start = self.second()
        what = Rights(who, ORGANISATION, frozenset({role}))
        asked = await self.state(ANNA, Given(what, start, start + YEAR, asked=True), start)
        await self.state(KURT, Approved(asked.digest))

    def second(self) -> datetime:
        """Return the current second, since statements are dated in whole seconds."""
        return self.clock().replace(microsecond=0)

    def in_another_second(self) -> None:
        """Move on until the last statement counts: within a second, none lends authority to another act."""
        if self.second() <= self.house.now:
            self.clock.ahead += self.house.now.replace(microsecond=0) + timedelta(seconds=1) - self.clock()

    async def append(self, *signed: Signed) -> None:
        await self.role.records.append(self.organisation, signed, roots)

    async def visit(self, who: Subject, known: Mapping[Subject, tuple[str, str]] = PERSONS) -> Visitor:
        """Return the browser of a person who is signed in."""
        value, token = await self.session(who, known)
        transport = httpx.ASGITransport(
            self.role.application(self.failures.append), raise_app_exceptions=False
        )
        browser = httpx.AsyncClient(
            transport=transport, base_url=self.origin, headers={"accept-language": "sv"}
        )
        browser.cookies.set(SESSION, value)
        return Visitor(browser, self.origin, token)

    async def session(
        self, who: Subject, known: Mapping[Subject, tuple[str, str]] = PERSONS
    ) -> tuple[str, Any]:
        """Begin a session; return its cookie, and a function that makes tokens for its forms."""
        site = await self.sites.find(self.origin.partition("://")[2])
        assert site is not None
        subject, name = known.get(who, (who.id, who.id.capitalize()))
        person = Person(ISSUER, subject, name, LEVEL, self.clock())
        value = await site.sessions.begin(person, secrets.token_bytes(32))
        assert value is not None
        return value, lambda: site.sessions.form_token(value)

    async def log(self) -> Sequence[LogEntry]:
        async with self.installation.open(self.organisation, GOV) as vault:
            return await vault.log(0, 100_000)


class Visitor:
    """A person's browser."""

    def __init__(self, browser: httpx.AsyncClient, origin: str, token: Any) -> None:
        self._browser = browser
        self._origin = origin
        self._token = token

    async def get(self, path: str) -> httpx.Response:
        return await self._browser.get(path)

    async def post(self, path: str, fields: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"sec-fetch-site": "same-origin", "origin": self._origin}
        return await self._browser.post(
            path, data={"form-token": self._token(), **(fields or {})}, headers=headers
        )

    async def upload(
        self, path: str, fields: dict[str, str], file: tuple[str, bytes] | None
    ) -> httpx.Response:
        """Post a form with a file in its field ``file``, as a browser does."""
        parts: dict[str, Any] = {
            name: (None, value) for name, value in {"form-token": self._token(), **fields}.items()
        }
        if file is not None:
            parts["file"] = file
        headers = {"sec-fetch-site": "same-origin", "origin": self._origin}
        return await self._browser.post(path, files=parts, headers=headers)

    async def signs(self, page: httpx.Response, signer: Any, back: str = "/") -> httpx.Response:
        """Sign the statement that a page shows, as a browser does, and post it."""
        statement = statement_on(page)
        signed = signer.sign(statement)
        return await self.brings(statement.content.decode(), signed, back)

    async def brings(self, statement: str, signed: Signed, back: str = "/") -> httpx.Response:
        """Post a statement with a signature."""
        fields = {"statement": statement, "back": back, "key": signed.key}
        if isinstance(signed.signature, Assertion):
            fields |= {
                "authenticator-data": encoded(signed.signature.authenticator_data),
                "client-data": encoded(signed.signature.client_data),
                "signature": encoded(signed.signature.signature),
            }
        return await self.post("/sign", fields)


def statement_on(page: httpx.Response) -> Statement:
    """Return the statement that a page shows for signing."""
    assert page.status_code in (200, 422), page.text[-3000:]
    found = re.search(r'<pre class="exactly" id="statement-text"[^>]*>(.*?)</pre>', page.text, re.DOTALL)
    assert found is not None, page.text[-3000:]
    return Statement.parse(unescape(found[1]).encode())


@asynccontextmanager
async def office(
    installation: Installation,
    *,
    origin: str = f"https://{SITE}",
    roles: Collection[Role] = (GOV,),
    house: House | None = None,
    catalogues: Callable[[], Sequence[Catalogue]] = shipped,
) -> AsyncIterator[Office]:
    """Open the role for a new organisation with an administrator, a security officer and an auditor."""
    organisation = await installation.organisation(roles)
    house = house or founded(
        organisation.value, datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    )
    clock = OfficeClock()
    provider = ProviderSettings(ISSUER, "samdrift", (LEVEL,))
    fetches: Any = NoFetches()
    signs_in = OidcService(Provider(provider, by_secret("samdrift", "secret"), fetches, clock))
    settings = SiteSettings(organisation, "Håbo kommun", origin, signs_in, contact="Ring växeln.")
    directory = ClientDirectory(installation.gate)
    sites = Sites(installation.gate, [settings], clock, GOV, directory.known)
    host = origin.partition("://")[2]
    role = GovernanceRole(
        installation.gate, {host: organisation}, sites, clock, directory, catalogues=catalogues
    )
    opened = Office(installation, organisation, house, sites, role, origin, clock)
    await opened.append(*(each.signed for each in house.record.entries))
    async with installation.open(organisation, GOV) as vault:
        for person, (subject, name) in PERSONS.items():
            assert await vault.adopt_person(Identity(ISSUER, subject, name), person.id) == person.id
    await opened.appoint(AUDITOR, Right.AUDITOR)
    yield opened
    assert opened.failures == []
