"""Stories of a case worker in Chromium, with and without script: read, answer, undo, take over, find."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Dialog, Page, Request, expect

from samdrift.messageclient.mail import DraftContent, DraftStage
from tests.browser.harness import (
    CHROMIUM,
    LOOKS,
    PAPER,
    Served,
    photograph,
    seen_alone,
    served,
    stop_the_clock,
)
from tests.browser.mailpages import PDF, paths
from tests.browser.test_pages import TOO_SMALL, TOO_WIDE
from tests.sizes import sampled, whole
from tests.unit.messageclient.day import MULLSJO, SOC
from tests.unit.messageclient.mailroom import Mailroom
from tests.unit.messageclient.memorydesk import ANNA, MemoryDesk, conversation, message
from tests.unit.messageclient.memorydesk import BO as COLLEAGUE
from tests.unit.web.scene import ANNA as SIGNED_IN
from tests.unit.web.scene import NOW

pytestmark = CHROMIUM
BO = replace(SIGNED_IN, subject="bo", name="Bo Berg")
FILE = {"name": "Yttrande.pdf", "mimeType": "application/pdf", "buffer": PDF}
CHECK = "Granska innan du skickar"


@pytest_asyncio.fixture
async def mail(browser: Browser) -> AsyncIterator[Served]:
    async with served(browser, Mailroom) as running:
        yield running
        complaints = [each for each in running.complaints if "responded with a status of" not in each]
        assert (complaints, running.scene.failures) == ([], [])


async def heading(page: Page, text: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(text)


@pytest.mark.parametrize("script", sampled([True, False]), ids=["script", "no script"])
async def test_a_message_is_read_taken_answered_checked_sent_and_undone(mail: Served, script: bool) -> None:
    async with mail.visitor(script=script, width=1280 if script else 320) as page:
        await page.goto(mail.address("/"))
        await page.get_by_role("link", name="Kallelse till SIP-möte 3 december").click()
        await heading(page, "Kallelse till SIP-möte 3 december")
        await expect(page.get_by_text("Omfattas av sekretess")).to_be_visible()
        await page.get_by_role("button", name="Ta hand om samtalet").click()
        await expect(page.locator("main").get_by_text("hos dig")).to_be_visible()
        await page.get_by_role("button", name="Svara", exact=True).click()
        await heading(page, "Svara")
        await page.get_by_label("Text", exact=True).fill("Tiden passar oss.")
        await page.locator("#files").set_input_files([FILE])
        await page.get_by_role("button", name=CHECK).click()
        await heading(page, CHECK)
        await expect(page.get_by_text("Deras, återges: Dnr EH 2026/44")).to_be_visible()
        await expect(page.get_by_text("Yttrande.pdf (8 kB)")).to_be_visible()
        await page.get_by_role("button", name="Skicka", exact=True).click()
        await heading(page, "Skickas till Mullsjö kommun, Elevhälsan")
        (draft,) = mail.gallery.office.drafts.values()
        assert draft.stage is DraftStage.WINDOW
        await page.get_by_role("button", name="Ångra").click()
        await expect(page.get_by_label("Text", exact=True)).to_have_value("Tiden passar oss.")


async def test_a_new_message_is_written_to_an_address_that_is_looked_up(mail: Served) -> None:
    """Pressing Enter in the field looks up the address, and errors link to their fields."""
    async with mail.visitor() as page:
        await page.goto(mail.address("/mailbox/soc"))
        await page.get_by_role("button", name="Nytt meddelande").click()
        await page.get_by_role("button", name=CHECK).click()
        summary = page.get_by_role("alert").filter(has_text="Något behöver rättas")
        await expect(summary).to_be_focused()
        await summary.get_by_role("link", name="Välj vem meddelandet ska till").click()
        await expect(page.locator("#find")).to_be_focused()
        await expect(page.get_by_role("searchbox", name="Till")).to_have_attribute("aria-invalid", "true")
        await page.locator("#find").fill("jonkoping")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Region Jönköpings län, Barnhälsan").click()
        await expect(page.locator(".chosen")).to_contain_text("Region Jönköpings län, Barnhälsan")
        await page.get_by_label("Ämne").fill("Fråga om tid")
        await page.get_by_label("Text", exact=True).fill("När passar det?")
        await page.get_by_role("button", name=CHECK).click()
        await heading(page, CHECK)


async def test_what_is_typed_is_saved_by_itself_and_sent_with_its_newest_version(mail: Served) -> None:
    async with mail.visitor() as page:
        await stop_the_clock(page)
        draft = await MemoryDesk(mail.gallery.office, ANNA).new_draft("soc")
        await page.goto(mail.address(f"/draft/{draft.id}"))
        for text in ("Första", "Första och andra"):
            await page.get_by_label("Text", exact=True).fill(text)
            async with page.expect_response("**/save"):
                await page.clock.run_for(3100)
            await expect(page.get_by_role("status")).to_have_text("Sparat")
        kept = mail.gallery.office.drafts[draft.id]
        assert (kept.content.text, kept.version) == ("Första och andra", 3)
        await page.get_by_role("button", name="Spara utkast och stäng").click()
        await heading(page, "Utkast")


async def test_a_colleague_takes_a_draft_over_and_neither_text_is_lost(mail: Served) -> None:
    draft = await MemoryDesk(mail.gallery.office, ANNA).new_draft("soc")
    async with mail.visitor() as anna, mail.visitor(person=BO) as bo:
        await stop_the_clock(anna)
        await anna.goto(mail.address(f"/draft/{draft.id}"))
        await bo.goto(mail.address(f"/draft/{draft.id}"))
        await bo.get_by_role("button", name="Ta över utkastet").click()
        await bo.get_by_label("Text", exact=True).fill("Bos text")
        await bo.get_by_role("button", name="Spara utkast och stäng").click()
        await heading(bo, "Utkast")
        await anna.get_by_label("Text", exact=True).fill("Annas text")
        await anna.clock.run_for(3100)
        await expect(anna.get_by_role("status")).to_have_text("Bo Berg skriver i utkastet nu.")
        await anna.get_by_role("button", name=CHECK).click()
        await expect(anna.get_by_text("Annas text", exact=True)).to_be_visible()
        await expect(anna.get_by_label("Text", exact=True)).to_have_value("Bos text")


async def test_a_package_is_downloaded_as_often_as_it_is_asked_for(mail: Served) -> None:
    sip = next(one for one in mail.gallery.office.conversations.values() if "SIP" in one.subject)
    async with mail.visitor() as page:
        await page.goto(mail.address(f"/conversation/{sip.id}/package"))
        await page.get_by_label("PDF för arkivet").uncheck()
        for _ in range(2):
            async with page.expect_download() as saved:
                await page.get_by_role("button", name="Ladda ned paketet").click()
            assert (await saved.value).suggested_filename.endswith(".zip")


@pytest.mark.parametrize("script", sampled([True, False]), ids=["script", "no script"])
async def test_a_missing_receipt_is_said_with_what_to_do_and_sending_again_is_a_new_message(
    mail: Served, script: bool
) -> None:
    async with mail.visitor(script=script) as page:
        await page.goto(mail.address("/sent"))
        line = page.get_by_role("listitem").filter(has_text="Intyg om närvaro")
        await expect(line.get_by_text("Ingen kvittens på 30 minuter")).to_be_visible()
        await line.get_by_role("link", name="Intyg om närvaro").click()
        await expect(page.get_by_text("Ring mottagaren om det är bråttom.")).to_be_visible()
        await page.get_by_role("link", name="Meddelandets väg").first.click()
        await heading(page, "Meddelandets väg")
        await expect(page.get_by_role("listitem").filter(has_text="Kvittens från")).to_contain_text("inte än")
        before = set(mail.gallery.office.drafts)
        await page.get_by_role("button", name="Skicka igen som ett nytt meddelande").click()
        await page.wait_for_url("**/draft/*")
        (draft,) = set(mail.gallery.office.drafts) - before
        assert mail.gallery.office.drafts[draft].stage is DraftStage.OPEN
        await page.goto(mail.address("/sent"))
        await page.get_by_role("link", name="Intyg om närvaro").click()
        await page.get_by_role("link", name="Meddelandets väg").first.click()
        await page.get_by_role("link", name="Tillbaka till samtalet").click()
        await heading(page, "Intyg om närvaro")


async def test_an_answer_is_sent_by_keyboard_alone_in_few_presses(mail: Served) -> None:
    """At most 25 key presses in addition to the text lead from the list to the undo window."""
    async with mail.visitor() as page:
        await page.goto(mail.address("/mailbox/soc"))
        presses = 0

        async def press(key: str) -> None:
            nonlocal presses
            presses += 1
            await page.keyboard.press(key)

        async def to(name: str) -> None:
            await press("Tab")
            while name not in await page.evaluate("document.activeElement.textContent"):
                assert presses < 40, name
                await press("Tab")
            await press("Enter")

        await to("Hoppa till innehållet")
        await to("Kallelse till SIP-möte")
        await page.wait_for_url("**/conversation/**")
        await to("Hoppa till innehållet")
        await to("Svara på det här")
        await page.wait_for_url("**/draft/*")
        await expect(page.get_by_label("Text", exact=True)).to_be_focused()
        await page.keyboard.type("Tiden passar.")
        await press("Control+Enter")
        await heading(page, CHECK)
        await press("Control+Enter")
        await heading(page, "Skickas till Mullsjö kommun, Elevhälsan")
        print(f"from the list to the undo window: {presses} key presses besides the text, at most 25")
        assert presses <= 25


async def test_the_keys_that_lead_on_send_the_form_that_is_typed_in_and_no_other(mail: Served) -> None:
    """Ctrl+Enter saves a note instead of starting an answer, and returns a draft instead of approving it."""
    office = mail.gallery.office
    sip = next(one for one in office.conversations.values() if "SIP" in one.subject)
    office.approval = {"soc"}
    content = DraftContent((office.book[0].recipient,), "Yttrande", "Vi har inget att erinra.")
    bo = MemoryDesk(office, COLLEAGUE)
    draft = await bo.new_draft("soc", content)
    await bo.ask_approval(draft.id, draft.version)
    async with mail.visitor() as page:
        await page.goto(mail.address(f"/conversation/{sip.id}"))
        await page.get_by_text("Skriv en anteckning").click()
        await page.locator("#note").fill("Ringt pappan.")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator(".note").filter(has_text="Ringt pappan.")).to_be_visible()
        await page.goto(mail.address(f"/draft/{draft.id}/review"))
        await page.get_by_label("Skäl till den som skrev").fill("Fel mottagare.")
        await page.keyboard.press("Control+Enter")
        await heading(page, "Utkast av Bo Berg")
    kept = office.drafts[draft.id]
    assert (kept.declined, kept.approved_by) == ("Fel mottagare.", None)
    assert set(office.drafts) == {draft.id}


async def test_a_note_that_is_typed_is_not_left_behind_without_a_question(mail: Served) -> None:
    """The button pressed works after the question was answered, and a saved note causes no question."""
    office = mail.gallery.office
    sip = next(one for one in office.conversations.values() if "SIP" in one.subject)
    async with mail.visitor() as page:
        asked: list[str] = []

        async def stay(dialog: Dialog) -> None:
            asked.append(dialog.type)
            await (dialog.accept() if len(asked) > 1 else dialog.dismiss())

        page.on("dialog", stay)
        await page.goto(mail.address(f"/conversation/{sip.id}"))
        await page.get_by_text("Skriv en anteckning").click()
        note, answer = page.locator("#note"), page.get_by_role("button", name="Svara", exact=True)
        await note.press_sequentially("Ringt pappan.")
        await answer.click(no_wait_after=True)
        await expect(answer).not_to_have_attribute("aria-disabled", "true")
        await expect(note).to_have_value("Ringt pappan.")
        assert (asked, office.drafts) == (["beforeunload"], {})
        await page.get_by_role("button", name="Spara anteckningen").click()
        await expect(page.locator(".note").filter(has_text="Ringt pappan.")).to_be_visible()
        await page.get_by_role("button", name="Klar").click()
        await expect(page.get_by_text("Klart.")).to_be_visible()
        assert asked == ["beforeunload"]
        await page.get_by_text("Skriv en anteckning").click()
        await page.locator("#note").press_sequentially("Ändå inte.")
        await page.get_by_role("button", name="Svara", exact=True).click()
        await heading(page, "Svara")
        assert asked == ["beforeunload", "beforeunload"]


async def test_messages_that_stop_an_answer_look_as_they_do_in_the_conversation(mail: Served) -> None:
    office = mail.gallery.office
    sip = next(one for one in office.conversations.values() if "SIP" in one.subject)
    desk = MemoryDesk(office, ANNA)
    draft = await desk.reply(sip.messages[-1].id)
    await desk.save_draft(draft.id, draft.version, replace(draft.content, text="Ja tack"))
    async with mail.visitor() as page:

        async def size_of_senders() -> str:
            return str(
                await page.locator(".message h2").first.evaluate("one => getComputedStyle(one).fontSize")
            )

        await page.goto(mail.address(f"/conversation/{sip.id}"))
        there = await size_of_senders()
        await page.goto(mail.address(f"/draft/{draft.id}/review"))
        office.add(sip.id, message(office, MULLSJO, SOC, "Ny tid", "Mötet är flyttat.", NOW))
        await page.get_by_role("button", name="Skicka", exact=True).click()
        await expect(page.get_by_text("Mötet är flyttat.")).to_be_visible()
        assert await size_of_senders() == there


TOO_LONG = """
    () => {
        const page = document.documentElement;
        return document.querySelector('.places') ? page.scrollHeight - page.clientHeight : 0;
    }
"""
"""Number of pixels by which the page itself scrolls in addition to its columns."""


async def test_on_a_wide_screen_columns_scroll_and_the_page_does_not(mail: Served) -> None:
    """Text for screen readers far down in a column must not make the page longer than the screen."""
    office = mail.gallery.office
    texts = [message(office, MULLSJO, SOC, "Lång", "Ett ord", NOW - timedelta(hours=n)) for n in range(40)]
    long = conversation(office, "soc", *reversed(texts))
    async with mail.visitor(width=1280) as page:
        await page.goto(mail.address(f"/conversation/{long.id}?in=open"))
        assert await page.locator("main.conversation").evaluate("each => each.scrollHeight > 2 * innerHeight")
        assert await page.evaluate(TOO_LONG) == 0


@whole
@pytest.mark.parametrize("language", ["sv", "en"])
async def test_no_mail_page_scrolls_sideways_or_has_too_small_a_target(mail: Served, language: str) -> None:
    async with mail.visitor(language=language) as page:
        for path in await paths(mail.gallery):
            await page.goto(mail.address(path))
            for width, size in ((320, ""), (1280, ""), (320, "200%")):
                await page.set_viewport_size({"width": width, "height": 900})
                await page.evaluate("size => { document.documentElement.style.fontSize = size; }", size)
                assert await page.evaluate(TOO_WIDE) == [], (path, width, size)
                assert width < 1280 or await page.evaluate(TOO_LONG) == 0, path
                assert await page.evaluate(TOO_SMALL) == [], (path, width, size)


async def test_a_first_page_and_a_long_conversation_are_small_over_the_wire(mail: Served) -> None:
    """The first page may load at most 60 kB in all, and a conversation of 200 messages at most 150 kB."""
    office = mail.gallery.office
    many = [
        message(office, MULLSJO, SOC, "Lång", f"{n}: {'ett ord till, ' * n}", NOW - timedelta(hours=n))
        for n in range(200)
    ]
    long = conversation(office, "soc", *reversed(many))
    async with mail.visitor() as page:
        sizes: dict[str, int] = {}

        async def count(request: Request) -> None:
            measured = await request.sizes()
            sizes[request.url] = measured["responseBodySize"] + measured["responseHeadersSize"]

        page.on("requestfinished", count)
        await page.goto(mail.address("/mailbox/soc/open"), wait_until="networkidle")
        await page.wait_for_timeout(200)
        first = sum(sizes.values())
        sizes.clear()
        await page.goto(mail.address(f"/conversation/{long.id}"), wait_until="networkidle")
        await page.wait_for_timeout(200)
    print(f"first page with all it loads: {first} bytes, at most 60 000")
    print(f"conversation of 200 messages: {max(sizes.values())} bytes, at most 150 000")
    assert first <= 60_000
    assert 10_000 <= max(sizes.values()) <= 150_000


@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.parametrize("width", sampled([320, 360, 390, 414]))
async def test_the_views_of_a_mailbox_are_one_line_on_a_phone(
    mail: Served, width: int, language: str
) -> None:
    async with mail.visitor(width=width, language=language) as page:
        for path in ("/mailbox/soc", "/mailbox/soc/open"):
            await page.goto(mail.address(path))
            tops = await page.locator(".tabs a").evaluate_all("all => all.map(one => one.offsetTop)")
            assert len(tops) == 5
            assert len(set(tops)) == 1, (path, tops)


@seen_alone
@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.parametrize("look", [*LOOKS, PAPER])
async def test_pictures_for_who_changes_the_look(mail: Served, look: str, language: str) -> None:
    for path in await paths(mail.gallery):
        for width in (1280, 768, 320):
            async with mail.visitor(width=width, look=look, language=language) as page:
                await page.goto(mail.address(path))
                await photograph(page, path, width, look, language)
