"""Chromium and the gallery for tests in a browser: real HTTP on this machine, one organisation per host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.web.cookies import SESSION
from samdrift.web.sessions import Person
from samdrift.web.sites import Closed, Site
from tests.browser.gallery.application import Gallery, closed
from tests.programs import HEADLESS, found, requires
from tests.unit.web.scene import ANNA, Scene

PROGRAM = next(filter(found, (HEADLESS, "chromium")), HEADLESS)
CHROMIUM = requires(PROGRAM, PROGRAM)
"""Skips a test where there is no Chromium."""
DARK, FORCED = "dark", "forced colours"
LOOKS = ("light", DARK, FORCED)
PAPER = "paper"
"""A look of :func:`photograph` alone: printed by a person who has the dark one."""
SEEN = os.environ.get("SAMDRIFT_TESTS_SEEN", "")
"""A folder into which walks through pages put a picture of each, for whoever changes the look."""
seen_alone = pytest.mark.skipif(not SEEN, reason="only for who looks: SAMDRIFT_TESTS_SEEN names a folder")
expect.set_options(timeout=60_000)
Make = Callable[[Scene, dict[str, Site]], Any]


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run Debian's Chromium; as root it has no sandbox of its own."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found(PROGRAM), args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


class Seen(TypedDict, total=False):
    """How a person's browser shows pages."""

    width: int
    height: int
    look: str
    language: str
    script: bool


@contextlib.asynccontextmanager
async def profile(browser: Browser, **seen: Unpack[Seen]) -> AsyncIterator[BrowserContext]:
    """Open a browser profile of its own: wide, light, Swedish and with script unless told."""
    look = seen.get("look", "light")
    context = await browser.new_context(
        viewport={"width": seen.get("width", 1280), "height": seen.get("height", 900)},
        color_scheme="dark" if look in (DARK, PAPER) else "light",
        forced_colors="active" if look == FORCED else "none",
        locale="sv-SE" if seen.get("language", "sv") == "sv" else "en-GB",
        java_script_enabled=seen.get("script", True),
        reduced_motion="reduce",
    )
    try:
        yield context
    finally:
        await context.close()


async def keep_session(context: BrowserContext, origin: str, value: str) -> None:
    """Give a profile the cookie of a session, as sign-in would; it is for TLS alone."""
    await context.add_cookies(
        [
            {
                "name": SESSION,
                "value": value,
                "url": origin.replace("http:", "https:"),
                "secure": True,
                "httpOnly": True,
                "sameSite": "Lax",
            }
        ]
    )


async def photograph(page: Page, path: str, width: int, look: str, language: str) -> None:
    """Keep a picture of a page, as a person sees it who looks at it so."""
    if look == PAPER:
        await page.emulate_media(media="print", color_scheme="dark")
    file = f"{path.strip('/').replace('/', '-')[:60]}-{width}-{look}-{language}.png"
    await page.screenshot(path=Path(SEEN) / file.replace("?", "-"), full_page=True)


async def stop_the_clock(page: Page) -> None:
    """Stop a page's clock before it opens an address: from then on ``page.clock.run_for`` alone moves it."""
    now = datetime.now(UTC)
    await page.clock.install(time=now)
    await page.clock.pause_at(now + timedelta(minutes=1))


def complained(message: ConsoleMessage, *expected: str) -> bool:
    """Return whether a page's console complains of what nobody expects."""
    return message.type in ("error", "warning") and not any(each in message.text for each in expected)


@dataclass
class Served:
    """Pages as they are served, and what they complained of."""

    browser: Browser
    gallery: Any
    """A :class:`Gallery`, or another that has a scene and an application."""
    port: int
    complaints: list[str] = field(default_factory=list)
    evil: str = ""
    """The page of another site, at ``evil.localhost``, which has no policy."""

    @property
    def scene(self) -> Scene:
        return self.gallery.scene

    def address(self, path: str, host: str = "habo") -> str:
        return f"http://{host}.localhost:{self.port}{path}"

    @contextlib.asynccontextmanager
    async def visitor(
        self, *, signed_in: bool = True, person: Person = ANNA, **seen: Unpack[Seen]
    ) -> AsyncIterator[Page]:
        """A browser profile of its own with one page; complaints of the page's console are kept."""
        async with profile(self.browser, **seen) as context:
            if signed_in:
                await self.sign_in(context, person)
            page = await context.new_page()
            page.on("console", self._complained)
            yield page

    async def sign_in(self, context: BrowserContext, person: Person = ANNA) -> str:
        """Begin a session in a profile, as sign-in would."""
        mark = self.scene.sessions.mark("test", os.urandom(8).hex())
        value = await self.scene.sessions.begin(person, mark)
        assert value is not None
        await keep_session(context, self.address(""), value)
        return value

    def _complained(self, message: ConsoleMessage) -> None:
        if complained(message):
            self.complaints.append(message.text)


@contextlib.asynccontextmanager
async def served(browser: Browser, make: Make = Gallery) -> AsyncIterator[Served]:
    """Serve pages at ``habo.localhost``, locked at ``locked.localhost``, suspended beside it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        scene = Scene(origin=f"http://habo.localhost:{port}")
        beside = {
            f"{why.value}.localhost:{port}": closed(scene, why, f"http://{why.value}.localhost:{port}")
            for why in Closed
        }
        gallery = make(scene, beside)
        running = Served(browser, gallery, port)
        application = _beside_another_site(running, gallery.application())
        server = uvicorn.Server(uvicorn.Config(application, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield running
        finally:
            server.should_exit = True
            await serving


def _beside_another_site(running: Served, application: ASGIApp) -> ASGIApp:
    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if dict(scope["headers"]).get(b"host", b"").startswith(b"evil."):
            await HTMLResponse(running.evil)(scope, receive, send)
            return
        await application(scope, receive, send)

    return dispatch
