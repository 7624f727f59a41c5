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
"""Skip a test where Chromium is not installed."""
DARK, FORCED = "dark", "forced colours"
LOOKS = ("light", DARK, FORCED)
PAPER = "paper"
"""A look for :func:`photograph` only: printed by a person who uses the dark look."""
SEEN = os.environ.get("SAMDRIFT_TESTS_SEEN", "")
"""Folder for pictures of every page that a walk visits, for people who change the look."""
seen_alone = pytest.mark.skipif(not SEEN, reason="only for who looks: SAMDRIFT_TESTS_SEEN names a folder")
expect.set_options(timeout=60_000)
Make = Callable[[Scene, dict[str, Site]], Any]


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run Debian's Chromium, without its sandbox when started as root."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found(PROGRAM), args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


class Seen(TypedDict, total=False):
    """Display settings of a person's browser."""

    width: int
    height: int
    look: str
    language: str
    script: bool


@contextlib.asynccontextmanager
async def profile(browser: Browser, **seen: Unpack[Seen]) -> AsyncIterator[BrowserContext]:
    """Open a separate browser profile; by default it is wide, light, Swedish and with script."""
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
    """Add a session cookie to a profile, as sign-in would; it is sent over TLS only."""
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
    """Save a picture of a page as it appears with a certain width, look and language."""
    if look == PAPER:
        await page.emulate_media(media="print", color_scheme="dark")
    file = f"{path.strip('/').replace('/', '-')[:60]}-{width}-{look}-{language}.png"
    await page.screenshot(path=Path(SEEN) / file.replace("?", "-"), full_page=True)


async def stop_the_clock(page: Page) -> None:
    """Stop a page's clock before it opens an address; afterwards only ``page.clock.run_for`` advances it."""
    now = datetime.now(UTC)
    await page.clock.install(time=now)
    await page.clock.pause_at(now + timedelta(minutes=1))


def complained(message: ConsoleMessage, *expected: str) -> bool:
    """Return whether a console message is an unexpected error or warning."""
    return message.type in ("error", "warning") and not any(each in message.text for each in expected)


@dataclass
class Served:
    """Served pages, and the console errors and warnings that they caused."""

    browser: Browser
    gallery: Any
    """A :class:`Gallery`, or another object with a scene and an application."""
    port: int
    complaints: list[str] = field(default_factory=list)
    evil: str = ""
    """Content of the page of another site, at ``evil.localhost``, which has no policy."""

    @property
    def scene(self) -> Scene:
        return self.gallery.scene

    def address(self, path: str, host: str = "habo") -> str:
        return f"http://{host}.localhost:{self.port}{path}"

    @contextlib.asynccontextmanager
    async def visitor(
        self, *, signed_in: bool = True, person: Person = ANNA, **seen: Unpack[Seen]
    ) -> AsyncIterator[Page]:
        """Open a separate browser profile with one page, and record its console's errors and warnings."""
        async with profile(self.browser, **seen) as context:
            if signed_in:
                await self.sign_in(context, person)
            page = await context.new_page()
            page.on("console", self._complained)
            yield page

    async def sign_in(self, context: BrowserContext, person: Person = ANNA) -> str:
        """Begin a session in a profile, as sign-in would, and return the value of its cookie."""
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
    """Serve pages at ``habo.localhost``, as locked at ``locked.localhost``, and as suspended next to it."""
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
