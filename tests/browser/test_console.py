"""The operator's console in Chromium: stories, also without script; sizes, looks, no sideways scrolling."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Unpack

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from samdrift.administration import incidents
from samdrift.console.events import ConsoleEvent
from samdrift.console.outages import announce_outage
from samdrift.contracts.principals import NOT_PROVEN, Role
from samdrift.evidence.trace import Asked
from samdrift.net.server import listening_socket, serving
from samdrift.rights.incidents import Clock, IncidentOpened
from samdrift.vault.records import Transfer
from samdrift.web.signin.certificate import CertificateService, CertificateSettings, ClientCertificates
from tests import pki
from tests.browser.harness import CHROMIUM, LOOKS, Seen, complained, keep_session, profile
from tests.browser.smallpng import small
from tests.browser.test_pages import TOO_SMALL, TOO_WIDE
from tests.browser.test_pictures import FOLDER, MOST, OF_CONSOLE, PNG, ROOT, TAKE
from tests.sizes import sampled, whole
from tests.unit.console.scene import Scene, config_of, refused, report, stuck
from tests.vaults import Installation

pytestmark = CHROMIUM
ROLES = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE)
PICTURES = os.environ.get("SAMDRIFT_TESTS_SEEN", "")
"""Folder into which the walk saves a picture of each page, for people who change the look."""


@dataclass
class Open:
    """The console as it is served, and the console errors and warnings of its pages."""

    scene: Scene
    browser: Browser
    transfer: Transfer
    complaints: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def visitor(self, **seen: Unpack[Seen]) -> AsyncIterator[Page]:
        async with profile(self.browser, **seen) as context:
            await keep_session(context, self.scene.origin, await self.scene.session())
            page = await context.new_page()
            page.on("console", self._complained)
            yield page

    def _complained(self, message: ConsoleMessage) -> None:
        if complained(message, "responded with a status of"):
            self.complaints.append(message.text)

    def at(self, path: str) -> str:
        return f"{self.scene.origin}{path}"

    @property
    def stuck(self) -> str:
        """Return the path of the page about the stuck transfer."""
        (one, *_) = self.scene.config.organisations
        return f"/queues/{one.identifier}/{self.transfer.id}"

    def paths(self) -> list[str]:
        """Return the path of each page."""
        (one, *_) = self.scene.config.organisations
        return [
            *("/", "/queues", self.stuck, f"{self.stuck}/give-up", "/refusals", "/incidents"),
            *("/organisations", f"/organisations/{one.identifier}", "/certificates"),
            *("/maintenance", "/maintenance/new", "/availability"),
        ]


@contextlib.asynccontextmanager
async def opened(installation: Installation, browser: Browser) -> AsyncIterator[Open]:
    """Serve the console over an installation with a history in which some events occurred twice."""
    one, other = [await installation.organisation(ROLES) for _ in range(2)]
    sock = listening_socket("127.0.0.1")
    origin = f"http://console.localhost:{sock.getsockname()[1]}"
    scene = Scene(installation, config_of(Path("/nowhere"), [one, other]), origin)
    scene.running = (report(),)
    now = datetime.now(UTC).replace(microsecond=0)
    transfer = await stuck(installation, one)
    await refused(installation, other)
    administration = await scene.opened()
    aware = now - timedelta(hours=2)
    act = IncidentOpened("Avbrott i nätet", aware, aware, frozenset({Clock.CONCERNED, Clock.FEDERATION}))
    starts = now + timedelta(days=20)
    for _ in range(2):
        await incidents.open_for(administration, act, [one], Asked("jl", "test"))
        await announce_outage(
            administration, "jl", NOT_PROVEN, starts, starts + timedelta(hours=2), "Byte av databas", [one]
        )
    watched = {"since": now - timedelta(hours=40), "until": now - timedelta(hours=1)}
    facts = {name: moment.isoformat() for name, moment in watched.items()}
    await installation.gate.operator_log(ConsoleEvent.AVAILABILITY_MEASURED, **facts, silences="3600-3614")
    running = Open(scene, browser, transfer)
    async with serving(scene.application, sock):
        yield running
    assert (running.complaints, scene.failures) == ([], [])


@pytest_asyncio.fixture
async def console(installation: Installation, browser: Browser) -> AsyncIterator[Open]:
    async with opened(installation, browser) as running:
        yield running


async def heading(page: Page, text: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(text)


@pytest.mark.parametrize("script", sampled([True, False]), ids=["script", "no script"])
async def test_a_stuck_transfer_is_found_attempted_and_given_up(console: Open, script: bool) -> None:
    async with console.visitor(script=script) as page:
        await page.goto(console.at("/"))
        await heading(page, "Läget")
        await page.get_by_role("link", name="Köer").click()
        await page.get_by_role("link", name=console.transfer.id).click()
        await heading(page, "Överföring")
        await page.get_by_role("button", name="Försök nu").click()
        await expect(page.get_by_role("status")).to_have_text("Den försöks nu.")
        await page.get_by_role("link", name="Ge upp den").click()
        await page.get_by_role("button", name="Ge upp den").click()
        await expect(page.get_by_role("alert")).to_contain_text("Skriv varför")
        await page.get_by_label("Varför").fill("Motparten är stängd")
        await page.get_by_role("button", name="Ge upp den").click()
        await expect(page.get_by_role("status")).to_have_text(
            "Den har misslyckats, och avsändaren får veta det."
        )
        await expect(page.get_by_role("button", name="Försök nu")).to_have_count(0)


@pytest.mark.parametrize("script", sampled([True, False]), ids=["script", "no script"])
async def test_an_outage_is_announced_and_withdrawn(console: Open, script: bool) -> None:
    starts, work = datetime.now(UTC) + timedelta(days=30), f"Nytt operativsystem, del {int(script)}"
    async with console.visitor(script=script) as page:
        await page.goto(console.at("/maintenance"))
        await page.get_by_role("link", name="Annonsera ett avbrott").click()
        await page.get_by_label("Börjar").fill(f"{starts:%Y-%m-%dT22:00}")
        await page.get_by_label("Slutar").fill(f"{starts:%Y-%m-%dT23:00}")
        await page.get_by_label("Vad som inte fungerar, och varför").fill(work)
        await page.get_by_label(str(console.scene.config.organisations[1].identifier)).check()
        await page.get_by_role("button", name="Annonsera").click()
        await expect(page.get_by_role("status")).to_contain_text("Det är annonserat")
        section = page.get_by_role("article", name=work)
        await section.get_by_text("Återta det").first.click()
        await section.get_by_role("button", name="Återta det").click()
        await expect(page.get_by_role("status")).to_contain_text("Det är återtaget")
        await expect(section).to_contain_text("återtaget")


async def test_pages_are_in_english_for_those_who_choose_it(console: Open) -> None:
    async with console.visitor() as page:
        await page.goto(console.at("/queues"))
        await page.get_by_text("Anna Andersson").first.click()
        await page.get_by_role("link", name="In English").click()
        await heading(page, "Queues")


async def test_a_person_signs_out(console: Open) -> None:
    async with console.visitor(script=False) as page:
        await page.goto(console.at("/"))
        await page.get_by_text("Anna Andersson").first.click()
        await page.get_by_role("button", name="Logga ut").click()
        await heading(page, "Du är utloggad")
        answer = await page.goto(console.at("/"))
        assert answer is not None
        assert answer.status == 401


@whole
@pytest.mark.parametrize("look", sampled(LOOKS, "light"))
@pytest.mark.parametrize("width", [320, 768, 1280])
async def test_no_page_scrolls_sideways_and_what_is_pressed_is_large_enough(
    console: Open, width: int, look: str
) -> None:
    async with console.visitor(width=width, look=look) as page:
        for path in console.paths():
            answer = await page.goto(console.at(path))
            assert answer is not None
            assert answer.status == 200, path
            assert not await page.evaluate(TOO_WIDE), (path, width)
            assert await page.evaluate(TOO_SMALL) == [], (path, width)
            if PICTURES:
                name = re.sub(r"[0-9a-f-]{30,}|0203:\w+\.se", "x", path).strip("/").replace("/", "-") or "now"
                taken = await page.screenshot(full_page=True)
                file = Path(PICTURES) / f"{name}-{width}-{look.replace(' ', '-')}.png"
                await asyncio.to_thread(file.write_bytes, taken)


@pytest.mark.parametrize("look", sampled(LOOKS, "light"))
@pytest.mark.parametrize("width", [320, 1280])
async def test_a_person_without_a_certificate_reads_what_to_do_at_any_width(
    installation: Installation, browser: Browser, tmp_path: Path, width: int, look: str
) -> None:
    """TLS presented no certificate: each response says what to do, without script, and has a way to retry."""
    (tmp_path / "staff.pem").write_bytes(pki.root("CA", 3).certificate.public_bytes(Encoding.PEM))
    judged = ClientCertificates(CertificateSettings(tmp_path / "staff.pem"), lambda: datetime.now(UTC))
    sock = listening_socket("127.0.0.1")
    origin = f"http://console.localhost:{sock.getsockname()[1]}"
    service = CertificateService(judged)
    scene = Scene(installation, config_of(tmp_path), origin, holds=judged.hold, service=service)
    async with (
        serving(scene.application, sock),
        profile(browser, width=width, look=look, script=False) as context,
    ):
        page = await context.new_page()
        for name, act in (("sign-in", "Logga in"), ("no-certificate", "Försök igen")):
            if name == "sign-in":
                await page.goto(f"{origin}/")
            link = page.get_by_role("link", name=act)
            await expect(link).to_be_visible()
            assert not await page.evaluate(TOO_WIDE), (name, width)
            assert await page.evaluate(TOO_SMALL) == [], (name, width)
            if PICTURES:
                taken = await page.screenshot(full_page=True)
                file = Path(PICTURES) / f"{name}-{width}-{look.replace(' ', '-')}.png"
                await asyncio.to_thread(file.write_bytes, taken)
            await link.click()
        await expect(page.get_by_text("visade inget certifikat")).to_be_visible()
    assert (scene.failures, len(scene.faults)) == ([], 2)


async def test_each_picture_is_named_by_the_guide_and_small(
    installation: Installation, browser: Browser
) -> None:
    guide = ROOT / "docs" / "console.md"
    if TAKE in os.environ:
        async with opened(installation, browser) as console, console.visitor() as page:
            await page.goto(console.at("/"))
            taken = await page.screenshot(animations="disabled", caret="hide")
            await asyncio.to_thread((FOLDER / "laget.png").write_bytes, await asyncio.to_thread(small, taken))
    assert set(re.findall(r"pictures/([\w-]+\.png)", guide.read_text())) == OF_CONSOLE
    for name in OF_CONSOLE:
        content = (FOLDER / name).read_bytes()
        assert content.startswith(PNG), name
        assert len(content) <= MOST, name
