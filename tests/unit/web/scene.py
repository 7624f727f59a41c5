"""An organisation's site without a vault: sessions in memory, a settable clock, no sign-in service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
from starlette.routing import BaseRoute

from samdrift.net.client import Fetched, FetchLimits, HttpFault, NoAnswer
from samdrift.web.application import application
from samdrift.web.assets import Assets
from samdrift.web.cookies import SESSION
from samdrift.web.guards import TOKEN_FIELD
from samdrift.web.pages import Pages
from samdrift.web.sessions import Person, Session, Sessions
from samdrift.web.signin.faults import Fault
from samdrift.web.signin.flow import SignIn
from samdrift.web.signin.provider import Fetches, Provider, ProviderSettings, by_secret
from samdrift.web.sites import Site
from samdrift.web.texts import Texts

NOW = datetime(2026, 11, 26, 9, 52, 7, tzinfo=UTC)
ORIGIN = "https://habo.sdk.test"
LEVEL = "http://id.sambi.se/loa/loa3"
ISSUER = "https://login.habo.test"
ANNA = Person(ISSUER, "anna", "Anna Andersson", LEVEL, NOW)
SETTINGS = ProviderSettings(ISSUER, "samdrift", (LEVEL,))
SAME_ORIGIN = {"sec-fetch-site": "same-origin", "origin": ORIGIN}


@dataclass
class Clock:
    """A clock that a test sets."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, time: timedelta) -> None:
        self.now += time


@dataclass
class MemoryStore:
    """A :class:`~samdrift.web.sessions.SessionStore` with content that a test can see."""

    sessions: dict[bytes, Session] = field(default_factory=dict)
    sign_ins: set[bytes] = field(default_factory=set)
    touched: int = 0

    async def add(self, session: Session) -> bool:
        if session.sign_in in self.sign_ins:
            return False
        self.sign_ins.add(session.sign_in)
        self.sessions[session.mark] = session
        return True

    async def find(self, mark: bytes) -> Session | None:
        return self.sessions.get(mark)

    async def touch(self, mark: bytes, at: datetime) -> None:
        self.touched += 1
        self.sessions[mark] = replace(self.sessions[mark], used=at)

    async def end(self, mark: bytes) -> None:
        self.sessions.pop(mark, None)

    async def end_of(
        self, issuer: str, subject: str | None, provider_session: str | None, begun_by: datetime
    ) -> int:
        ended = [
            mark
            for mark, session in self.sessions.items()
            if session.person.issuer == issuer
            and subject in (None, session.person.subject)
            and provider_session in (None, session.person.provider_session)
            and session.began <= begun_by
        ]
        for mark in ended:
            del self.sessions[mark]
        return len(ended)


class NoProvider:
    """A sign-in service that does not answer."""

    async def fetch(self, url: str, limits: FetchLimits, **more: Any) -> Fetched:
        raise NoAnswer(HttpFault.UNREACHABLE)


_CLOCKS: list[Clock] = []


@cache
def _shared_pages() -> Pages:
    return Pages(Texts(), Assets(), lambda: _CLOCKS[0]())


@dataclass
class Scene:
    """A site, and a browser's requests to it."""

    clock: Clock = field(default_factory=Clock)
    store: MemoryStore = field(default_factory=MemoryStore)
    faults: list[Fault] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    outages: list[Exception] = field(default_factory=list)
    origin: str = ORIGIN
    key: bytes = b"k" * 32
    settings: ProviderSettings = SETTINGS
    outgoing: Fetches = field(default_factory=NoProvider)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.store, self.key, self.clock)
        provider = Provider(self.settings, by_secret("samdrift", "secret"), self.outgoing, self.clock)
        answer = f"{self.origin}/sign-in/answer"
        self.sign_in = SignIn(provider, self.sessions, answer, self.clock, self._failed)
        self.site = Site(
            self.origin, "Håbo kommun", self.sessions, self.sign_in, contact="Ring växeln, 0171-525 00."
        )

    async def _failed(self, fault: Fault) -> None:
        self.faults.append(fault)

    @property
    def host(self) -> str:
        return self.origin.partition("://")[2]

    async def find(self, host: str) -> Site | None:
        return self.site if host == self.host else None

    def pages(self) -> Pages:
        """Return the pages, which are slow to make, with this scene's clock."""
        _CLOCKS[:] = [self.clock]
        return _shared_pages()

    def browser(self, *routes: BaseRoute) -> httpx.AsyncClient:
        """Return a client that keeps cookies like a browser, and does not follow redirects."""
        served = application(
            self.find, self.pages(), routes, self.failures.append, on_outage=self.outages.append
        )
        transport = httpx.ASGITransport(served, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=self.origin)

    async def signed_in(self, browser: httpx.AsyncClient, person: Person = ANNA) -> str:
        """Begin a session in the browser; return the cookie's value."""
        value = await self.sessions.begin(person, self.sessions.mark("test", str(len(self.store.sign_ins))))
        assert value is not None
        browser.cookies.set(SESSION, value)
        return value

    def form(self, value: str, fields: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
        """Return a page's form for that session."""
        return {TOKEN_FIELD: self.sessions.form_token(value), **dict(fields)}
