"""Administration pages in Chromium with the complete role: stories, sizes, focus, no sideways scrolling."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Unpack

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Route, expect

from samdrift.contracts.principals import Role
from samdrift.net.server import listening_socket, serving
from samdrift.rights import Right
from tests.browser.harness import (
    CHROMIUM,
    LOOKS,
    PAPER,
    Seen,
    complained,
    keep_session,
    photograph,
    profile,
    seen_alone,
)
from tests.browser.test_pages import TOO_SMALL, TOO_WIDE
from tests.sizes import sampled, whole
from tests.unit.messageclient.wholerole import (
    ENVIRONMENT,
    SOC,
    Whole,
    deleting_service,
    hrefs,
    whole_role,
)
from tests.vaults import Installation

pytestmark = CHROMIUM
ROLES = (Role.MESSAGE_CLIENT,)


@dataclass
class Open:
    """The role as it is served, and the console errors and warnings of its pages."""

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
    async with whole_role(installation, deleting_service(), origin=origin) as whole:
        await whole.give("anna", SOC, Right.READ, Right.WRITE, Right.MANAGE)
        await whole.give("anna", ENVIRONMENT, Right.READ, Right.WRITE)
        await whole.give("bo", SOC, Right.READ)
        await whole.appoint("siv", Right.SECURITY_OFFICER)
        await _proposed_disposal(whole)
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


async def _proposed_disposal(whole: Whole) -> None:
    """Receive a message, mark it as read and done, and propose its disposal two days later."""
    await whole.receives(label="Intyg om närvaro")
    anna = await whole.visit("anna")
    (line,) = hrefs(await anna.get(f"/mailbox/{SOC}/open"), '/conversation/[^"]+')
    place = line.partition("?")[0]
    await anna.get(place)
    assert (await anna.post(f"{place}/done", version="1")).status_code == 303
    whole.clock.forward(2 * 86400)
    anna, disposal = await whole.visit("anna"), f"/administration/disposal/{SOC}"
    decision = "Dokumenthanteringsplan 2026, SN 2026/12"
    assert (await anna.post(f"{disposal}/rule", days="1", since="done", decision=decision)).status_code == 303
    assert (await anna.post(f"{disposal}/propose")).status_code == 303


async def pages(role: Open) -> list[tuple[str, str]]:
    """Return the path of each page, with a person who may see it."""
    anna, siv = await role.whole.visit("anna"), await role.whole.visit("siv")
    texts = f"/administration/mailbox/{SOC}/texts"
    (text,) = hrefs(await anna.get(texts), f'{texts}/(?!new)[^"]+')
    (view,) = set(hrefs(await anna.get("/lists"), '/view/[^"]+'))
    made = (await anna.post("/lists", name="Skolor i länet", mailbox=SOC)).headers["location"]
    begun = (await anna.post("/select", mailbox=SOC, state="open")).headers["location"]
    assert (await siv.get("/administration/log")).status_code == 200
    disposal = f"/administration/disposal/{SOC}"
    (proposed,) = hrefs(await anna.get(disposal), f'{disposal}/[^"/]{{20,}}')
    eva = await role.whole.visit("eva")
    ending = hrefs(await eva.get(f"/rights/{SOC}"), f'/rights/{SOC}/end/[^"]+')[0]
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
        *(f"/administration/mailbox/{SOC}/rules", f"{texts}/new", f"/manning/{SOC}", "/notices"),
        *("/administration/disposal", disposal, proposed),
    ]
    administrators = [
        *("/administration/mailboxes", "/administration/mailboxes/new", "/administration/service"),
        *(f"/administration/mailbox/{SOC}", f"/administration/mailbox/{SOC}/end", "/rights"),
        *(f"/rights/{SOC}/give", f"/rights/{SOC}/substitute", ending, "/sessions"),
        f"/administration/service/confirm/{SOC}",
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


async def test_a_table_is_saved_again_and_the_same_form_still_shows_the_log(role: Open) -> None:
    async with role.visitor("siv") as page:
        await page.goto(role.at("/administration/log"))
        await _saves_twice(page)
        await page.get_by_role("button", name="Visa", exact=True).click()
        await expect(page.locator("table.log")).to_be_visible()
        await page.goto(role.at(f"/rights/{SOC}"))
        await _saves_twice(page)


async def _saves_twice(page: Page) -> None:
    for _ in range(2):
        async with page.expect_download() as saved:
            await page.get_by_role("button", name="Spara som CSV").click()
        assert (await saved.value).suggested_filename.endswith(".csv")


async def _written_to(role: Open, *names: str) -> None:
    """Record that the organisation has sent messages to these functions."""
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
    """A person who moves down the list and presses Enter gets the entry shown, not one that came later."""
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


@seen_alone
@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.parametrize("look", [*LOOKS, PAPER])
async def test_pictures_for_who_changes_the_look(role: Open, look: str, language: str) -> None:
    for name, path in await pages(role):
        for width in (1280, 768, 320):
            async with role.visitor(name, width=width, look=look, language=language) as page:
                await page.goto(role.at(path))
                if path == "/administration/log":
                    await page.locator("main form button").first.click()
                    await page.wait_for_selector("tbody")
                await photograph(page, f"{name}{path}", width, look, language)
