"""File uploads to a draft, in Chromium: progress is shown, and an interruption loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Request, Route, expect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.browser.harness import CHROMIUM, LOOKS, Served, served
from tests.browser.test_mail import CHECK, FILE, heading
from tests.browser.test_pages import TOO_SMALL, TOO_WIDE
from tests.sizes import sampled
from tests.unit.messageclient.mailroom import Mailroom
from tests.unit.messageclient.memorydesk import ANNA, BO, MemoryDesk

pytestmark = CHROMIUM
LARGE = 16_000_000
"""More bytes than fit in the buffers between a browser and a server that does not read."""
_READ_AT_ONCE = 1_000_000
CHOOSE = """
    ([name, size]) => {
        const input = document.querySelector('#files'), all = new DataTransfer();
        for (const file of input.files) all.items.add(file);
        const content = new Uint8Array(size);
        content.set(new TextEncoder().encode('%PDF'));
        all.items.add(new File([content], name, {type: 'application/pdf'}));
        input.files = all.files;
        input.dispatchEvent(new Event('change', {bubbles: true}));
    }
"""
"""Script that chooses a file made in the page; a large one takes a long time to upload."""


class SlowMailroom(Mailroom):
    """An office that reads most of a large form, and responds, only when a test allows it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.office.room = 2 * LARGE
        self.through = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    def application(self) -> ASGIApp:
        inner = super().application()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            read = 0

            async def held() -> Message:
                nonlocal read
                if read > _READ_AT_ONCE:
                    await self.through.wait()
                message = await receive()
                read += len(message.get("body", b""))
                return message

            async def answered(message: Message) -> None:
                if scope["path"].endswith("/save"):
                    await self.answers.wait()
                await send(message)

            await inner(scope, held, answered)

        return slow


@pytest_asyncio.fixture
async def mail(browser: Browser) -> AsyncIterator[Served]:
    expected = ("responded with a status of", "net::ERR_FAILED")
    async with served(browser, SlowMailroom) as running:
        yield running
        running.gallery.through.set()  # Let all requests end, so that the server can stop.
        complaints = [each for each in running.complaints if not any(one in each for one in expected)]
        assert (complaints, running.scene.failures) == ([], [])


async def written(mail: Served, page: Page, *files: dict[str, Any]) -> str:
    """Write an answer, choose files, and return the draft's id."""
    office = mail.gallery.office
    sip = next(one for one in office.conversations.values() if "SIP" in one.subject)
    draft = await MemoryDesk(office, ANNA).reply(sip.messages[-1].id)
    await page.goto(mail.address(f"/draft/{draft.id}"))
    await page.get_by_label("Text", exact=True).fill("Tiden passar oss.")
    await page.locator("#files").set_input_files(files)
    return draft.id


async def choose(page: Page, name: str = "Underlag.pdf", size: int = LARGE) -> None:
    await page.evaluate(CHOOSE, [name, size])


def chosen(page: Page) -> Locator:
    return page.locator("[data-room] li")


def kept(mail: Served, draft: str) -> list[str]:
    return [file.name for file in mail.gallery.office.drafts[draft].files]


def posted_by(page: Page) -> list[str]:
    """Return a growing list of the addresses to which a page posts, apart from automatic saving."""
    posted: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST" and "multipart" in request.headers.get("content-type", ""):
            posted.append(request.url.rpartition("/")[2])

    page.on("request", note)
    return posted


async def test_how_far_files_are_is_shown_while_they_come_and_their_form_is_sent_once(mail: Served) -> None:
    async with mail.visitor() as page:
        posted = posted_by(page)
        draft = await written(mail, page)
        await choose(page)
        await page.get_by_role("button", name=CHECK).click()
        line = page.get_by_role("group", name="Bilagorna laddas upp")
        await expect(line).to_be_visible()
        await expect(line).to_be_focused()
        bar = line.get_by_role("progressbar")
        await expect(bar).not_to_have_js_property("value", 0)
        assert 0 < await bar.evaluate("bar => bar.value") < 1
        await expect(line).to_contain_text("/ 16 MB")
        await expect(line.get_by_role("status")).to_contain_text("% av bilagorna har laddats upp")
        await page.evaluate(
            "for (const each of document.querySelectorAll('.composer .actions > button')) each.click()"
        )
        assert await page.locator("#text").evaluate("field => field.closest('[inert]') !== null")
        mail.gallery.through.set()
        await heading(page, CHECK)
    assert (kept(mail, draft), posted) == (["Underlag.pdf"], ["save", draft])
    assert mail.gallery.office.drafts[draft].content.text == "Tiden passar oss."


@pytest.mark.parametrize("look", sampled(LOOKS))
async def test_the_line_has_room_on_a_phone_in_both_languages(mail: Served, look: str) -> None:
    async with mail.visitor(width=320, look=look, language="en") as page:
        await written(mail, page)
        await choose(page)
        await page.get_by_role("button", name="Check before sending").click()
        await expect(page.get_by_role("group", name="The files are being uploaded")).to_be_visible()
        assert (await page.evaluate(TOO_WIDE), await page.evaluate(TOO_SMALL)) == ([], [])
        await page.get_by_role("button", name="Stop").click()
        await expect(
            page.get_by_text("Stopped. What you have typed and chosen is still here.")
        ).to_be_visible()
        assert (await page.evaluate(TOO_WIDE), await page.evaluate(TOO_SMALL)) == ([], [])


async def test_an_upload_that_breaks_says_so_and_goes_on_where_it_broke(mail: Served) -> None:
    async with mail.visitor() as page:
        draft = await written(mail, page, FILE, {**FILE, "name": "Samtycke.pdf"})

        async def broken(route: Route) -> None:
            if b"Samtycke.pdf" in (route.request.post_data_buffer or b""):
                await route.abort()
            else:
                await route.continue_()

        await page.route("**/save", broken)
        await page.get_by_role("button", name=CHECK).click()
        said = page.get_by_role("alert").filter(has_text="Bilagorna kom inte fram.")
        await expect(said).to_be_focused()
        await expect(said).to_contain_text("Redan i utkastet: Yttrande.pdf")
        await expect(page.get_by_label("Text", exact=True)).to_have_value("Tiden passar oss.")
        await expect(chosen(page)).to_have_count(1)
        await expect(chosen(page)).to_contain_text("Samtycke.pdf")
        await page.unroute("**/save")
        await page.get_by_label("Text", exact=True).fill("Tiden passar oss bra.")
        await page.get_by_role("button", name=CHECK).click()
        await heading(page, CHECK)
    assert kept(mail, draft) == ["Yttrande.pdf", "Samtycke.pdf"]
    assert mail.gallery.office.drafts[draft].content.text == "Tiden passar oss bra."


async def test_an_upload_is_stopped_and_everything_is_still_there(mail: Served) -> None:
    async with mail.visitor() as page:
        draft = await written(mail, page)
        await choose(page)
        await page.get_by_role("button", name=CHECK).click()
        await page.get_by_role("button", name="Avbryt").click()
        await expect(page.get_by_role("alert").filter(has_text="Avbrutet.")).to_be_visible()
        await expect(chosen(page)).to_contain_text("Underlag.pdf")
        assert kept(mail, draft) == []
        mail.gallery.through.set()
        await page.get_by_role("button", name=CHECK).click()
        await heading(page, CHECK)
    assert kept(mail, draft) == ["Underlag.pdf"]


async def test_who_is_signed_out_while_files_come_signs_in_and_goes_on_with_them(mail: Served) -> None:
    async with mail.visitor() as page:
        draft = await written(mail, page, FILE)
        mail.scene.store.sessions.clear()
        await page.get_by_role("button", name=CHECK).click()
        await expect(page.get_by_text("Du har loggats ut.")).to_be_visible()
        await expect(page.get_by_role("alert").filter(has_text="Bilagorna kom inte fram.")).to_be_visible()
        await mail.sign_in(page.context)
        async with page.expect_response("**/session/now") as asked:
            await page.evaluate("window.dispatchEvent(new Event('focus'))")
        await (await asked.value).finished()
        await expect(page.get_by_text("Du har loggats ut.")).not_to_be_visible()
        await page.get_by_role("button", name=CHECK).click()
        await heading(page, CHECK)
    assert kept(mail, draft) == ["Yttrande.pdf"]


async def test_a_file_that_is_refused_is_in_the_summary_of_the_page_and_the_others_are_kept(
    mail: Served,
) -> None:
    async with mail.visitor() as page:
        program = {"name": "program.pdf", "mimeType": "application/pdf", "buffer": b"MZ"}
        draft = await written(mail, page, program, FILE, {**program, "name": "skript.js"})
        await page.get_by_role("button", name=CHECK).click()
        fault = page.get_by_role("link", name="helst PDF (program.pdf, skript.js)")
        await expect(fault).to_be_visible()
        assert await fault.get_attribute("href") == "#files"
        await expect(page.get_by_label("Text", exact=True)).to_have_value("Tiden passar oss.")
    assert kept(mail, draft) == ["Yttrande.pdf"]


async def test_files_over_the_limit_are_said_before_anything_is_sent_and_can_be_taken_away(
    mail: Served,
) -> None:
    async with mail.visitor() as page:
        posted = posted_by(page)
        draft = await written(mail, page, FILE)
        await choose(page, "Stor.pdf", 30_000_000)
        await page.get_by_role("button", name=CHECK).click()
        await expect(page.get_by_role("alert").filter(has_text="större än 30 MB")).to_be_visible()
        assert posted == []
        await page.get_by_role("button", name="Ta bort Stor.pdf").click()
        await page.get_by_role("button", name=CHECK).click()
        await heading(page, CHECK)
    assert kept(mail, draft) == ["Yttrande.pdf"]


async def test_who_loses_the_draft_while_files_come_sees_both_texts_and_that_files_are_out(
    mail: Served,
) -> None:
    async with mail.visitor() as page:
        draft = await written(mail, page, FILE)
        await MemoryDesk(mail.gallery.office, BO).take_over_draft(draft)
        await page.get_by_role("button", name=CHECK).click()
        await expect(page.get_by_text("Tiden passar oss.", exact=True)).to_be_visible()
        await expect(page.get_by_text("Bilagor behöver väljas på nytt.")).to_be_visible()
    assert kept(mail, draft) == []


async def test_who_loses_the_mailbox_while_files_come_gets_the_page_that_says_so(mail: Served) -> None:
    async with mail.visitor() as page:
        await written(mail, page, FILE)
        mail.gallery.office.rights.clear()
        await page.get_by_role("button", name=CHECK).click()
        await heading(page, "Inget sparades")
        await expect(page.get_by_text("Tiden passar oss.")).to_be_visible()


async def test_a_form_that_is_posted_while_it_is_being_saved_waits_for_that(mail: Served) -> None:
    """Saving creates a new version of the draft, which the form then has to name."""
    async with mail.visitor() as page:
        await page.clock.install()
        draft = await written(mail, page)
        mail.gallery.answers.clear()
        async with page.expect_request("**/save"):
            await page.clock.run_for(3100)
        await page.get_by_role("button", name=CHECK).click()
        await page.get_by_role("button", name=CHECK).click()
        mail.gallery.answers.set()
        await heading(page, CHECK)
    assert mail.gallery.office.drafts[draft].content.text == "Tiden passar oss."
