"""The gallery: every component of a page with invented content, on the real application, without a vault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from samdrift.messageclient.pages import LOCALE
from samdrift.web.application import application, signed_in
from samdrift.web.assets import Assets
from samdrift.web.forms import Form
from samdrift.web.pages import Pages
from samdrift.web.sites import Closed, Site
from samdrift.web.texts import OWN, Phrase, Texts
from samdrift.web.uploads import FilePart, FileSink, received
from samdrift.web.views import Answer, Kind
from tests.browser.gallery import content
from tests.unit.web.scene import Scene

TEMPLATES = Path(__file__).parent / "templates"


class Counting:
    """A sink that counts the bytes it receives."""

    def __init__(self) -> None:
        self.bytes = 0

    async def write(self, piece: bytes) -> None:
        self.bytes += len(piece)

    async def close(self) -> None: ...

    async def discard(self) -> None: ...


class Gallery:
    """Pages of the gallery for one organisation, which is also served as locked and as suspended."""

    def __init__(self, scene: Scene, beside: dict[str, Site] | None = None) -> None:
        self.scene = scene
        self.saved: list[str] = []
        self.down = False
        self.files: list[tuple[FilePart, Counting]] = []
        self.beside = beside or {}
        self.pages = Pages(Texts([OWN, LOCALE]), Assets(), scene.clock, [TEMPLATES])

    def application(self) -> ASGIApp:
        shown = {
            "/": "list.html",
            "/list": "list.html",
            "/empty": "empty.html",
            "/conversation": "conversation.html",
            "/review": "review.html",
            "/way": "way.html",
            "/who-can-read": "who_can_read.html",
            "/console": "console.html",
            "/compose": "compose.html",
            "/undo": "undo.html",
        }
        routes = [Route(path, signed_in(self._shown(template))) for path, template in shown.items()]
        routes += [
            Route("/hostile", signed_in(self.hostile)),
            Route("/hostile-table", signed_in(self.hostile_table)),
        ]
        posted = [
            Route("/compose", self.compose, methods=["POST"]),
            Route("/save", self.save, methods=["POST"]),
            Route("/undo", self.send, methods=["POST"]),
            Route("/forgetful", self.forgetful, methods=["POST"]),
            Route("/broken", self.broken),
        ]
        scene = self.scene
        return application(
            self.find, self.pages, [*routes, *posted], scene.failures.append, on_outage=scene.outages.append
        )

    async def find(self, host: str) -> Site | None:
        return self.beside.get(host) or await self.scene.find(host)

    def _shown(self, template: str) -> Callable[[Request], Awaitable[Response]]:
        async def shown(request: Request) -> Response:
            return self._page(request, template)

        return shown

    def _page(self, request: Request, template: str, status: int = 200, **more: Any) -> Response:
        now = self.scene.clock()
        return self.pages.page(request, template, status, **{**self._content(now), **more})

    def _content(self, now: datetime) -> dict[str, Any]:
        return {
            "sections": content.SECTIONS,
            "tabs": content.TABS,
            "rows": content.rows(now),
            "tags": content.TAGS,
            "messages": content.messages(now),
            "beside": content.note(now),
            "review": content.REVIEW,
            "sent": tuple(replace(row, href="") for row in content.REVIEW),
            "steps": content.steps(now - timedelta(minutes=2)),
            "readers": content.READERS,
            "form": Form(),
            "proofs": (
                Answer(
                    "Framme",
                    "Mullsjö kommun har tagit emot och godtagit meddelandet kl. 10:50:16",
                    "Det säger inte att någon har läst det.",
                    href="/way",
                    act="Bevis",
                ),
                Answer("Läge", "Väntar på kvittens", tag=Kind.WARNING, href="/way", act="Visa"),
            ),
        }

    async def hostile(self, request: Request) -> Response:
        """Show a conversation with hostile text in every field."""
        messages = content.hostile(self.scene.clock())
        return self._page(request, "conversation.html", tags=content.MANY_TAGS, messages=messages)

    async def hostile_table(self, request: Request) -> Response:
        """Show a table with hostile text in every cell."""
        readers = content.READERS[0], content.HOSTILE_READERS
        return self._page(request, "who_can_read.html", readers=readers)

    async def compose(self, request: Request) -> Response:
        """Refuse a message without text or recipient, and keep everything that was entered."""
        form = await received(request, self._sink)
        form.required("to", Phrase("Nothing has been sent yet"))
        if len(form["text"]) < 5:
            form.refuse("text", Phrase("There is something to correct"))
        if form.errors:
            return self._page(request, "compose.html", 422, form=form)
        return RedirectResponse("/review", 303)

    async def save(self, request: Request) -> Response:
        """Keep the text of a draft."""
        form = await received(request)
        if self.down:
            return Response(status_code=503)
        self.saved.append(form["text"])
        return JSONResponse({"said": f"Sparat, version {len(self.saved)}"})

    async def _sink(self, part: FilePart) -> FileSink:
        sink = Counting()
        self.files.append((part, sink))
        return sink

    async def send(self, request: Request) -> Response:
        await received(request)
        return RedirectResponse("/undo", 303)

    async def forgetful(self, request: Request) -> Response:
        """Respond without checking the form token, which handlers must not do."""
        return PlainTextResponse("done")

    async def broken(self, request: Request) -> Response:
        raise RuntimeError("planted")


def closed(scene: Scene, why: Closed, origin: str) -> Site:
    return replace(scene.site, origin=origin, closed=why)
