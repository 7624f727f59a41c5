"""Open pages in Chromium: a calm line announces new messages, nothing moves, and present people are named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from samdrift.messageclient.live.openpages import Present
from tests.browser.harness import CHROMIUM, Served, served
from tests.sizes import sampled
from tests.unit.messageclient.day import MULLSJO, SOC
from tests.unit.messageclient.mailroom import Mailroom
from tests.unit.messageclient.memorydesk import BO, EVA, conversation, message
from tests.unit.web.scene import NOW

pytestmark = CHROMIUM


@pytest_asyncio.fixture
async def mail(browser: Browser) -> AsyncIterator[Served]:
    async with served(browser, Mailroom) as running:
        running.gallery.office.news = asyncio.Event()
        yield running
        running.gallery.office.news = None
        assert (running.complaints, running.scene.failures) == ([], [])


def the_sip(mail: Served) -> str:
    found = mail.gallery.office.conversations.items()
    return next(key for key, one in found if "SIP" in one.subject)


def comes(mail: Served, subject: str) -> None:
    """Receive a message, and notify open pages of it."""
    office = mail.gallery.office
    conversation(office, "soc", message(office, MULLSJO, SOC, subject, "x", NOW + timedelta(minutes=1)))
    office.news.set()


async def place_of_lists(page: Page) -> object:
    return await page.locator(".item").nth(1).bounding_box()


@pytest.mark.parametrize("width", sampled([1280, 320]))
async def test_a_line_says_what_is_new_and_nothing_moves_until_it_is_pressed(
    mail: Served, width: int
) -> None:
    async with mail.visitor(width=width) as page:
        await page.goto(mail.address("/mailbox/soc/open"))
        before = await place_of_lists(page)
        comes(mail, "En ny fråga")
        line = page.get_by_role("status").get_by_role("link", name="1 nytt – visa")
        await expect(line).to_be_visible()
        comes(mail, "En till")
        line = page.get_by_role("status").get_by_role("link", name="2 nya – visa")
        await expect(line).to_be_visible()
        assert await place_of_lists(page) == before
        await expect(page.get_by_text("En ny fråga")).to_have_count(0)
        # The new messages are dated a minute ahead, and the page that shows them is loaded after that.
        mail.scene.clock.forward(timedelta(minutes=2))
        async with page.expect_response("**/live/news?*lists=12&*"):
            await line.click()
        await expect(page.get_by_role("link", name="En ny fråga")).to_be_visible()
        await expect(page.get_by_role("status").get_by_role("link")).to_have_count(0)


async def test_names_say_who_reads_and_who_writes_on_the_conversation_and_its_list(mail: Served) -> None:
    sip, office = the_sip(mail), mail.gallery.office
    async with mail.visitor() as page:
        await page.goto(mail.address(f"/conversation/{sip}?in=open"))
        before = await place_of_lists(page)
        office.present[sip] = (Present(EVA, writing=True), Present(BO, writing=False))
        office.news.set()
        await expect(page.locator("main [data-present]")).to_have_text("Eva Ek skriver nu, Bo Berg är här")
        await expect(page.locator(f"[data-here='{sip}']")).to_have_text("Eva Ek skriver nu, Bo Berg är här")
        assert await place_of_lists(page) == before
        office.present.clear()
        office.news.set()
        await expect(page.locator("main [data-present]")).to_have_text("")


async def test_a_page_without_a_stream_asks(mail: Served) -> None:
    sip, office = the_sip(mail), mail.gallery.office
    office.news = None
    office.present[sip] = (Present(BO, writing=False),)
    async with mail.visitor() as page:
        await page.goto(mail.address(f"/conversation/{sip}?in=open"))
        await expect(page.locator("main [data-present]")).to_have_text("Bo Berg är här")


async def test_a_page_that_is_not_in_sight_asks_for_nothing_until_it_is(mail: Served) -> None:
    async with mail.visitor() as page:
        async with page.expect_response("**/live/news*"):
            await page.goto(mail.address("/mailbox/soc/open"))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.evaluate(
            "Object.defineProperty(document, 'visibilityState', {get: () => window.sight ?? 'hidden'});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        comes(mail, "Medan ingen ser")
        assert asked == []
        async with page.expect_request("**/live/news*"):
            await page.evaluate(
                "window.sight = 'visible'; document.dispatchEvent(new Event('visibilitychange'))"
            )
        await expect(page.get_by_role("link", name="1 nytt – visa")).to_be_visible()
