"""The whole role over a vault, with sessions without a sign-in service and rights by statements."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import Role
from samdrift.entrance.sites import Sites, SiteSettings
from samdrift.messageclient.administering import Profile
from samdrift.messageclient.deleting import DeletionRule, Others
from samdrift.messageclient.fetching import Fetching
from samdrift.messageclient.permissions import person_subject
from samdrift.messageclient.role import MessageClientRole
from samdrift.messageclient.working import ServiceSettings
from samdrift.net.client import Fetched, FetchLimits
from samdrift.rights import ORGANISATION, Approved, Given, Right, Rights, Scope, Subject, SubjectKind
from samdrift.rights.statements import Act
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.people import Identity
from samdrift.web.cookies import SESSION
from samdrift.web.sessions import Person
from samdrift.web.signin.provider import Provider, ProviderSettings, by_secret
from samdrift.web.signin.service import OidcService
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import pki as throwaway
from tests.unit.messageclient.desks import ADDRESS, OTHER_ADDRESS, EmptyBook
from tests.unit.messageclient.sparse import SparseService
from tests.vaults import Installation

MK = Role.MESSAGE_CLIENT
FREE_ADDRESS = "skola:0203:habo.se"
ISSUER, LEVEL = "https://login.habo.test", "loa3"
SOC, ENVIRONMENT = "box", "other"
HABO = ParticipantIdentifier("0203:habo.se")
YEAR = timedelta(days=300)


@dataclass
class Clock:
    """A clock that a test moves on between two decisions, since none takes effect within a second."""

    ahead: timedelta = timedelta(seconds=-60)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, seconds: float = 2) -> None:
        self.ahead += timedelta(seconds=seconds)


class NoFetches:
    """A client that is never called."""

    async def get(self, url: str, limits: FetchLimits) -> Fetched:
        raise AssertionError(url)


@dataclass
class Whole:
    """One organisation with two mailboxes, its role, and its people."""

    installation: Installation
    organisation: ParticipantIdentifier
    sites: Sites
    role: MessageClientRole
    clock: Clock
    origin: str
    book: EmptyBook
    service: SparseService
    failures: list[BaseException] = field(default_factory=list)

    async def person(self, name: str) -> str:
        """Register a person, and return the id."""
        async with self.installation.open(self.organisation, MK) as vault:
            return await vault.know_person(Identity(ISSUER, name, name.capitalize()))

    async def give(self, name: str, mailbox: str, *rights: Right) -> None:
        """Grant rights to a mailbox, as its administrator does."""
        what = Rights(person_subject(await self.person(name)), Scope(mailbox), frozenset(rights))
        eva = person_subject(await self.person("eva"))
        await self._state(eva, lambda at: Given(what, at, at + YEAR, asked=False))

    async def appoint(self, name: str, role: Right) -> None:
        """Appoint to a role in the organisation, as two custodians do."""
        what = Rights(person_subject(await self.person(name)), ORGANISATION, frozenset({role}))
        first, second = (Subject(SubjectKind.CUSTODIAN, each) for each in ("kim", "lo"))
        asked = await self._state(first, lambda at: Given(what, at, at + YEAR, asked=True))
        await self._state(second, lambda at: Approved(asked))

    async def _state(self, by: Subject, act: Any) -> str:
        def stated(at: datetime) -> Act:
            made: Act = act(at)
            return made

        self.clock.forward()
        statement = await self.role.assignments.state(self.organisation, by, "test", stated)
        self.clock.forward()
        return statement.digest

    async def visit(self, name: str) -> Visitor:
        """Return the browser of a person who is signed in."""
        value, token = await self.session(name)
        application = self.role.application(self.failures.append)
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        browser = httpx.AsyncClient(
            transport=transport, base_url=self.origin, headers={"accept-language": "sv"}
        )
        browser.cookies.set(SESSION, value)
        return Visitor(browser, self.origin, token)

    async def session(self, name: str) -> tuple[str, Any]:
        """Begin a session; return its cookie, and a function that makes tokens for its forms."""
        site = await self.sites.find(self.origin.partition("://")[2])
        assert site is not None
        person = Person(ISSUER, name, name.capitalize(), LEVEL, self.clock())
        value = await site.sessions.begin(person, secrets.token_bytes(32))
        assert value is not None
        return value, lambda: site.sessions.form_token(value)

    async def receives(self, **message: object) -> None:
        """Let a message arrive and be fetched."""
        self.service.receives(**message)
        vaults = self.installation.gate.worker("fetching", MK)
        async with self.service.running() as client:
            await Fetching(vaults, self.organisation, client, self.clock).look()
        self.clock.forward()

    async def log(self) -> Sequence[LogEntry]:
        async with self.installation.open(self.organisation, MK) as vault:
            return await vault.log(0, 100_000)

    async def mailboxes(self) -> dict[str, MailboxRecord]:
        async with self.installation.open(self.organisation, MK) as vault:
            return {one.id: one for one in await vault.mailboxes()}


class Visitor:
    """A person's browser."""

    def __init__(self, browser: httpx.AsyncClient, origin: str, token: Any) -> None:
        self._browser = browser
        self._origin = origin
        self._token = token

    async def get(self, path: str) -> httpx.Response:
        return await self._browser.get(path)

    async def post(self, path: str, **fields: str | list[str]) -> httpx.Response:
        """Post a form of a page; underscores in field names stand for hyphens."""
        headers = {"sec-fetch-site": "same-origin", "origin": self._origin}
        return await self._browser.post(path, data={"form-token": self._token(), **fields}, headers=headers)

    async def post_files(
        self, path: str, files: Sequence[tuple[str, bytes]], **fields: str
    ) -> httpx.Response:
        """Post a form of a page with PDF files."""
        headers = {"sec-fetch-site": "same-origin", "origin": self._origin}
        parts = [("files", (name, content, "application/pdf")) for name, content in files]
        data = {"form-token": self._token(), **fields}
        return await self._browser.post(path, data=data, files=parts, headers=headers)

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Look at the page that the answer to a form leads to."""
        assert answer.status_code == 303, answer.text[-3000:]
        return await self.get(answer.headers["location"])


def hrefs(page: httpx.Response, pattern: str) -> list[str]:
    """Return the addresses in a page that match a pattern, once each."""
    return list(dict.fromkeys(re.findall(rf'(?:href|action)="({pattern})"', page.text)))


def deleting_service(days: int = 90, others: Others | None = None) -> ServiceSettings:
    """Return a message service with a deletion rule, whose other readers are unknown by default.

    Its address does not answer.
    """
    place = "https://127.0.0.1:1"
    key = throwaway.key(1).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    rule = DeletionRule(timedelta(days=days), f"{place}/v1", others)
    return ServiceSettings(HABO, f"{place}/v1", f"{place}/token", "mk", key, deletion=rule)


@asynccontextmanager
async def whole_role(
    installation: Installation,
    service: ServiceSettings | None = None,
    origin: str = "https://habo.sdk.test",
) -> AsyncIterator[Whole]:
    """Open the role for a new organisation with two mailboxes and an administrator, Eva."""
    organisation, clock, book = await installation.organisation([MK]), Clock(), EmptyBook()
    host = origin.partition("://")[2]
    provider = ProviderSettings(ISSUER, "samdrift", (LEVEL,))
    fetches: Any = NoFetches()
    signs_in = OidcService(Provider(provider, by_secret("samdrift", "secret"), fetches, clock))
    settings = SiteSettings(
        organisation, "Håbo kommun", origin, signs_in, contact="Ring växeln, 036-442 80 00."
    )
    sites = Sites(installation.gate, [settings], clock)
    profile = Profile((ADDRESS, OTHER_ADDRESS, FREE_ADDRESS), service)
    role = MessageClientRole(
        installation.gate, {host: organisation}, sites, clock, book, {organisation: profile}
    )
    async with installation.open(organisation, MK) as vault:
        await vault.keep_mailbox(MailboxRecord(SOC, ADDRESS, "Socialtjänst"))
        await vault.keep_mailbox(MailboxRecord(ENVIRONMENT, OTHER_ADDRESS, "Miljö"))
    opened = Whole(installation, organisation, sites, role, clock, settings.origin, book, SparseService())
    await opened.appoint("eva", Right.ADMINISTRATOR)
    yield opened
    assert opened.failures == []
