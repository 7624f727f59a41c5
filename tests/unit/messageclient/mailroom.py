"""The mail pages over a desk in memory, on the real application: one organisation and several people."""

from __future__ import annotations

from dataclasses import replace

import httpx
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from samdrift.messageclient.desk import Desk
from samdrift.messageclient.handover import pages as handover
from samdrift.messageclient.mail import Person
from samdrift.messageclient.pages import LOCALE, TEMPLATES, mail_routes
from samdrift.web.application import application
from samdrift.web.assets import Assets
from samdrift.web.cookies import SESSION
from samdrift.web.guards import session_of
from samdrift.web.pages import Pages
from samdrift.web.texts import OWN, Texts
from tests.unit.messageclient import day
from tests.unit.messageclient.memorydesk import ANNA, BO, EVA, MemoryDesk, Office
from tests.unit.web.scene import ANNA as SIGNED_IN
from tests.unit.web.scene import SAME_ORIGIN, Scene

TEXTS = Texts([OWN, LOCALE, handover.LOCALE])
FOLDERS = [TEMPLATES, handover.TEMPLATES]
PERSONS = {"anna": ANNA, "bo": BO, "eva": EVA}


class Mailroom:
    """An office and its pages."""

    def __init__(self, scene: Scene | None = None, beside: object = None) -> None:
        """Open an office and its pages; ``beside`` are sites that these pages know nothing of."""
        self.scene = scene or Scene()
        self.office: Office = day.office(self.scene.clock)
        self.pages = Pages(TEXTS, Assets(), self.scene.clock, FOLDERS)

    def application(self) -> ASGIApp:
        scene = self.scene
        return application(
            scene.find, self.pages, self.routes(), scene.failures.append, on_outage=scene.outages.append
        )

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of all pages about mail."""
        return (
            *mail_routes(self.pages, self.desk),
            *handover.handover_routes(self.pages, self.desk),
        )

    async def desk(self, request: Request) -> Desk:
        session = session_of(request)
        assert session is not None
        return MemoryDesk(self.office, PERSONS[session.person.subject])

    async def visit(self, person: Person = ANNA) -> Visitor:
        """Return a browser of a person who is signed in."""
        transport = httpx.ASGITransport(self.application(), raise_app_exceptions=False)
        browser = httpx.AsyncClient(
            transport=transport, base_url=self.scene.origin, headers={"accept-language": "sv"}
        )
        subject = next(key for key, each in PERSONS.items() if each == person)
        mark = self.scene.sessions.mark("test", str(len(self.scene.store.sign_ins)))
        value = await self.scene.sessions.begin(replace(SIGNED_IN, subject=subject, name=person.name), mark)
        assert value is not None
        browser.cookies.set(SESSION, value)
        return Visitor(self.scene, browser, value)


class Visitor:
    """A person's browser."""

    def __init__(self, scene: Scene, browser: httpx.AsyncClient, value: str) -> None:
        self._scene = scene
        self._browser = browser
        self._value = value

    async def get(self, path: str) -> httpx.Response:
        return await self._browser.get(path)

    async def post(self, path: str, *files: tuple[str, bytes], **fields: str | list[str]) -> httpx.Response:
        """Post a form of a page; underscores in names of fields are hyphens."""
        form = {
            **self._scene.form(self._value),
            **{name.replace("_", "-"): value for name, value in fields.items()},
        }
        parts = [("files", (name, content, "application/pdf")) for name, content in files]
        return await self._browser.post(path, data=form, files=parts or None, headers=SAME_ORIGIN)

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Look at the page that the answer to a form leads to."""
        assert answer.status_code == 303, answer.text[:2000]
        return await self.get(answer.headers["location"])
