"""Pages of administration in Chromium, over the whole role: stories, sizes, focus, no sideways scroll."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Route, expect

from samdrift.contracts.principals import Role
from samdrift.net.server import listening_socket, serving
from samdrift.rights import Right
from tests.browser.harness import CHROMIUM, LOOKS, Seen, complained, keep_session, profile
from tests.browser.test_pages import TOO_SMALL, TOO_WIDE
from tests.sizes import sampled, whole
from tests.unit.messageclient.wholerole import ENVIRONMENT, SOC, Whole, hrefs, whole_role
from tests.vaults import Installation

pytestmark = CHROMIUM
ROLES = (Role.MESSAGE_CLIENT,)
PICTURES = os.environ.get("SAMDRIFT_TESTS_SEEN", "")
"""A folder into which the walk puts a picture of each page, for whoever changes the look."""


@dataclass
class Open:
    """The role as it is served, and what its pages complained of."""

    whole: Whole
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def visitor(self, name: str, **seen: Unpack[Seen]) -> AsyncIterator[Page]:
        async with profile(self.browser, **seen) as context:
            value, _ = await self.whole.session(name)
            await keep_session(context, self.whole.origin, value)
            page = await context.new_page()
            page.on("console", self._complained)
            yield page

    def _complained(self, message: ConsoleMessage) -> None:
        if complained(message, "responded with a status of"):
            self.complaints.append(message.text)

    def at(self, path: str) -> str:
        return f"{self.whole.origin}{path}"


@contextlib.asynccontextmanager
async def opened(installation: Installation, browser: Browser) -> AsyncIterator[Open]:
    """Serve the role with persons of each kind, mail, a view, a list and a text template."""
    sock = listening_socket("127.0.0.1")
    origin = f"http://habo.localhost:{sock.getsockname()[1]}"
    async with whole_role(installation, origin=origin) as whole:
        await whole.give("anna", SOC, Right.READ, Right.WRITE, Right.MANAGE)
        await whole.give("anna", ENVIRONMENT, Right.READ, Right.WRITE)
        await whole.give("bo", SOC, Right.READ)
        await whole.appoint("siv", Right.SECURITY_OFFICER)
        for label in ("Kallelse till SIP-möte", "Begäran om yttrande"):
            await whole.receives(label=label)
        anna = await whole.visit("anna")
        texts = f"/administration/mailbox/{SOC}/texts/new"
        await anna.post(texts, title="Begäran om handlingar", text="Vi begär handlingar enligt nedan.")
        begun = await anna.post("/select", mailbox=SOC, state="open", handler="none")
        await anna.post(f"{begun.headers['location']}/keep", name="Utan handläggare", shared="yes")
        async with serving(whole.role.application(whole.failures.append), sock):
            running = Open(whole, browser)
            yield running
            assert running.complaints == []


@pytest_asyncio.fixture
async def role(installation: Installation, browser: Browser) -> AsyncIterator[Open]:
    async with opened(installation, browser) as running:
        yield running


async def pages(role: Open) -> list[tuple[str, str]]:
    """Return the pages, with a person who sees each."""
    anna, siv = await role.whole.visit("anna"), await role.whole.visit("siv")
    texts = f"/administration/mailbox/{SOC}/texts"
    (text,) = hrefs(await anna.get(texts), f'{texts}/(?!new)[^"]+')
    (view,) = set(hrefs(await anna.get("/lists"), '/view/[^"]+'))
    made = (await anna.post("/lists", name="Skolor i länet", mailbox=SOC)).headers["location"]
    begun = (await anna.post("/select", mailbox=SOC, state="open")).headers["location"]
    assert (await siv.get("/administration/log")).status_code == 200
    own = [
        *(
            "/lists",
            made,
            "/select",
            begun,
            view,
            f"/rights/{SOC}",
            "/administration/statistics",
            texts,
            text,
        ),
        *("/addresses", f"/administration/mailbox/{SOC}", "/accessibility"),
        f"/administration/mailbox/{SOC}/rules",
    ]
    administrators = [
        *("/administration/mailboxes", "/administration/mailboxes/new", "/administration/service"),
        *(f"/administration/mailbox/{SOC}", f"/administration/mailbox/{SOC}/end", "/rights"),
        *(f"/rights/{SOC}/give", f"/rights/{SOC}/substitute"),
    ]
    return [
        *(("anna", path) for path in own),
        *(("eva", path) for path in administrators),
        ("siv", "/administration/log"),
    ]


@pytest.mark.parametrize("script", sampled([True, False]), ids=["script", "no script"])
async def test_an_administrator_makes_a_mailbox_and_its_manager_writes_a_text(
    role: Open, script: bool
) -> None:
    async with role.visitor("eva", script=script, width=1280 if script else 320) as page:
        await page.goto(role.at("/administration"))
        await page.get_by_role("link", name="Skapa en brevlåda").click()
        await page.get_by_role("button", name="Skapa brevlådan").click()
        await expect(page.get_by_role("alert").filter(has_text="Något behöver rättas")).to_be_focused()
        await page.get_by_label("skola:0203:habo.se").check()
        await page.get_by_label("Namn").fill("Elevhälsan")
        await page.get_by_role("button", name="Skapa brevlådan").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Elevhälsan")
        await page.get_by_label("Sekunder som sändning kan ångras").fill("30")
        await page.get_by_role("button", name="Spara", exact=True).click()
        await expect(page.get_by_role("status")).to_have_text("Sparat.")
    async with role.visitor("anna", script=script) as page:
        await page.goto(role.at(f"/administration/mailbox/{SOC}/texts"))
        await page.get_by_role("link", name="Begäran om handlingar").click()
        await expect(page.get_by_label("Text", exact=True)).to_have_value("Vi begär handlingar enligt nedan.")


async def test_the_security_officer_reads_the_log_by_keyboard(role: Open) -> None:
    async with role.visitor("siv") as page:
        await page.goto(role.at("/administration/log"))
        await page.get_by_label("Person").focus()
        await page.keyboard.type("Anna")
        for _ in range(20):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.textContent") == "Visa":
                break
        await page.keyboard.press("Enter")
        await expect(page.locator("tbody th").first).to_have_text("Anna")
        await expect(page.get_by_label("Person")).to_have_value(await role.whole.person("anna"))


async def _written_to(role: Open, *names: str) -> None:
    """Have functions of an organisation that ours writes to."""
    async with role.whole.installation.open(role.whole.organisation, Role.MESSAGE_CLIENT) as vault:
        for number, name in enumerate(names):
            content = {"organisation": "0203:mullsjo.se", "address": f"{number}:0203:mullsjo.se"}
            shown = {"organisation_name": "Mullsjö kommun", "address_name": name}
            vault.use_address(" ".join(content.values()), {**content, **shown}, now=role.whole.clock())


async def test_a_recipient_is_suggested_while_it_is_typed(role: Open) -> None:
    await _written_to(role, "Elevhälsan", "Räddningstjänsten")
    async with role.visitor("anna") as page:
        await page.goto(role.at(f"/mailbox/{SOC}/open"))
        await page.get_by_role("button", name="Nytt meddelande").click()
        await expect(page.locator("[data-found] button")).to_have_count(2)
        await page.locator("#find").press_sequentially("elevh")
        await expect(page.locator("[data-found] button")).to_have_text(
            [re.compile("^Mullsjö kommun, Elevhälsan")]
        )
        await page.locator("#find").press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.locator(".chosen")).to_contain_text("Mullsjö kommun, Elevhälsan")
        assert "elevh" not in page.url


async def test_what_is_typed_before_the_page_is_ready_is_looked_for_as_well(role: Open) -> None:
    await _written_to(role, "Elevhälsan", "Räddningstjänsten")
    async with role.visitor("anna") as page:
        typed = asyncio.Event()

        async def late(route: Route) -> None:
            await typed.wait()
            await route.continue_()

        await page.goto(role.at(f"/mailbox/{SOC}/open"))
        await page.route("**/suggest.*.js", late)
        await page.get_by_role("button", name="Nytt meddelande").click(no_wait_after=True)
        await page.locator("#find").press_sequentially("elevh")
        typed.set()
        await expect(page.locator("[data-found] button")).to_have_count(1)


async def test_a_recipient_that_is_about_to_be_chosen_stays_when_others_are_found(role: Open) -> None:
    """Whoever has gone down among them and presses Enter gets the one that was seen, not what came since."""
    await _written_to(role, "Elevhälsan")
    async with role.visitor("anna") as page:
        asked, answered = asyncio.Event(), asyncio.Event()

        async def late(route: Route) -> None:
            asked.set()
            await answered.wait()
            key = "0203:annan.se|skola"
            await route.fulfill(json={"found": [{"key": key, "name": "Annan kommun", "beneath": ""}]})

        await page.route("**/suggest", late)
        await page.goto(role.at(f"/mailbox/{SOC}/open"))
        await page.get_by_role("button", name="Nytt meddelande").click()
        shown = page.locator("[data-found] button")
        await page.locator("#find").press_sequentially("mullsj")
        await asked.wait()
        await page.locator("#find").press("ArrowDown")
        await expect(shown.first).to_be_focused()
        async with page.expect_request_finished(lambda request: request.url.endswith("/suggest")):
            answered.set()
        await page.evaluate("new Promise((done) => setTimeout(done, 200))")
        await expect(shown.first).to_be_focused()
        await expect(shown.first).to_contain_text("Mullsjö kommun, Elevhälsan")
        await page.locator("#find").focus()
        await expect(shown.first).to_contain_text("Annan kommun")


@whole
async def test_no_page_scrolls_sideways_and_what_is_pressed_is_large_enough(role: Open) -> None:
    found = {}
    for name, path in await pages(role):
        async with role.visitor(name) as page:
            answer = await page.goto(role.at(path))
            assert answer is not None
            assert answer.status == 200, path
            for width, size in ((320, ""), (390, ""), (768, ""), (1280, ""), (320, "200%"), (1280, "200%")):
                await page.set_viewport_size({"width": width, "height": 900})
                await page.evaluate("size => { document.documentElement.style.fontSize = size; }", size)
                found[path, width, size] = [
                    *await page.evaluate(TOO_WIDE),
                    *(await page.evaluate(TOO_SMALL) if not size else ()),
                ]
    assert {where: each for where, each in found.items() if each} == {}


@pytest.mark.skipif(not PICTURES, reason="only for who looks: SAMDRIFT_TESTS_SEEN names a folder")
@pytest.mark.parametrize("look", LOOKS)
async def test_pictures_for_who_changes_the_look(role: Open, look: str) -> None:
    for width in (1280, 320):
        for name, path in await pages(role):
            async with role.visitor(name, width=width, look=look) as page:
                await page.goto(role.at(path))
                if path == "/administration/log":
                    await page.get_by_role("button", name="Visa", exact=True).click()
                file = f"{name}{path.replace('/', '-')[:40]}-{width}-{look}.png"
                await page.screenshot(path=Path(PICTURES) / file, full_page=True)
