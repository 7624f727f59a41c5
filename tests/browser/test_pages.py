"""Main stories in Chromium: reading, writing, errors, sign-out and the session's end, also without script."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.async_api import Page, Request, expect

from samdrift.web.cookies import SESSION
from tests.browser.harness import CHROMIUM, DARK, LOOKS, Served, stop_the_clock
from tests.sizes import sampled
from tests.unit.web.scene import ANNA

pytestmark = CHROMIUM

PAGES = (
    *(
        "/list",
        "/empty",
        "/conversation",
        "/review",
        "/undo",
        "/way",
        "/who-can-read",
        "/compose",
        "/console",
    ),
    *("/nothing", "/signed-out", "/hostile", "/hostile-table"),
)


TOO_WIDE = """
    () => {
        const page = document.documentElement;
        if (page.scrollWidth <= page.clientWidth) return [];
        return [...document.querySelectorAll('body *')]
            .filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > page.clientWidth)
            .map((each) => `${each.tagName}.${each.className} ${each.getBoundingClientRect().right}`);
    }
"""
"""Elements that reach beyond the visible width of a page that scrolls sideways."""
TOO_SMALL = """
    () => [...document.querySelectorAll('a, button, summary, input, select, textarea')]
        .filter((each) => each.checkVisibility() && !each.closest('p, .skip') && each.type !== 'hidden')
        .map((each) => [each.textContent.trim() || each.name, each.getBoundingClientRect()])
        .filter(([, box]) => box.height < 24 || box.width < 24)
        .map(([text, box]) => `${text}: ${Math.round(box.width)} x ${Math.round(box.height)}`)
"""
"""Controls smaller than 24 px, apart from links within a text (WCAG 2.2, 2.5.8)."""
FOCUS_WIDTHS = """
    () => {
        const each = document.activeElement;
        if (each === document.body) return null;
        return [each, each.closest('.item') ?? each].map((element) => {
            const style = getComputedStyle(element);
            return style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth);
        });
    }
"""
"""Width of the outline around the focused element, and around the row that contains it."""
ATTEMPTS = """
    async () => {
        const ran = [];
        window.ran = (what) => ran.push(what);
        const attempt = (act) => {
            try { act(); } catch (refused) {
                if (!(refused instanceof TypeError || refused instanceof EvalError)) throw refused;
            }
        };
        const added = (name, change) => attempt(() => {
            const element = document.createElement(name);
            change(element);
            document.body.append(element);
        });
        attempt(() => { document.body.innerHTML += '<img src=x onerror="ran(1)">'; });
        attempt(() => { eval('ran(2)'); });
        added('script', (script) => { script.textContent = 'ran(3)'; });
        added('script', (script) => { script.src = 'data:text/javascript,ran(4)'; });
        added('iframe', (frame) => { frame.src = '/list'; });
        await new Promise((done) => setTimeout(done, 200));
        return [ran, await fetch('https://example.invalid/').then(() => 'fetched', () => 'refused')];
    }
"""
"""Script inserted into a page in all ways known to us, and a request to another host."""


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
async def test_a_message_is_written_refused_corrected_reviewed_and_sent(
    gallery: Served, script: bool
) -> None:
    """An error keeps what was typed and links to its field, and the focus moves to the summary of errors."""
    async with gallery.visitor(script=script) as page:
        await page.goto(gallery.address("/compose"))
        await page.get_by_label("Ämne").fill("Tid för möte")
        await page.get_by_label("Omfattas av sekretess").check()
        await page.get_by_label("Text", exact=True).fill("Hej")
        await page.get_by_role("button", name="Granska innan du skickar").click()
        summary = page.get_by_role("alert").filter(has_text="Något behöver rättas")
        await expect(summary).to_be_focused()
        await expect(page.get_by_label("Ämne")).to_have_value("Tid för möte")
        await expect(page.get_by_label("Text", exact=True)).to_have_value("Hej")
        await expect(page.get_by_label("Omfattas av sekretess")).to_be_checked()
        await summary.get_by_role("link").first.click()
        to = page.get_by_label("Till")
        await expect(to).to_be_focused()
        await expect(to).to_have_accessible_description(
            "Börja skriva namnet på organisationen eller funktionen. Fel: Inget har skickats än"
        )
        await to.fill("Mullsjö kommun, Elevhälsan")
        await page.get_by_label("Text", exact=True).fill("Tiden passar oss.")
        file = {"name": "Yttrande.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7" * 1000}
        await page.get_by_label("Bilagor").set_input_files([file])
        await page.get_by_role("button", name="Granska innan du skickar").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Granska innan du skickar")
        await page.get_by_role("button", name="Skicka", exact=True).click()
        await expect(page.get_by_role("button", name="Ångra")).to_be_visible()
    assert [(part.name, sink.bytes) for part, sink in gallery.gallery.files] == [("Yttrande.pdf", 8000)]


@pytest.mark.parametrize("script", sampled([True, False]), ids=["script", "no script"])
async def test_a_person_signs_out(gallery: Served, script: bool) -> None:
    async with gallery.visitor(script=script) as page:
        await page.goto(gallery.address("/list"))
        await page.get_by_text("Anna Andersson").first.click()
        await page.get_by_role("button", name="Logga ut").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Du är utloggad")
        answer = await page.goto(gallery.address("/list"))
        assert answer is not None
        assert answer.status == 401
    assert gallery.scene.store.sessions == {}


@pytest.mark.parametrize("script", sampled([True, False]), ids=["script", "no script"])
async def test_what_was_typed_while_the_session_ended_is_sent_after_signing_in_again(
    gallery: Served, script: bool
) -> None:
    async with gallery.visitor(script=script) as page:
        await page.goto(gallery.address("/compose"))
        await page.get_by_label("Till").fill("Mullsjö kommun, Elevhälsan")
        await page.get_by_label("Text", exact=True).fill("Rad ett\nrad två")
        gallery.scene.clock.forward(timedelta(hours=1))
        await page.get_by_role("button", name="Granska innan du skickar").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Inget har skickats än")
        await gallery.sign_in(page.context)
        await page.get_by_role("button", name="Fortsätt").click()
        await expect(page.get_by_text("Du är inloggad igen.")).to_be_visible()
        await page.get_by_role("button", name="Fortsätt").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Granska innan du skickar")


async def _ended(gallery: Served, page: Page) -> None:
    """Write a message with a file, and let the session end."""
    await stop_the_clock(page)
    await page.goto(gallery.address("/compose"))
    await page.get_by_label("Till").fill("Mullsjö kommun, Elevhälsan")
    await page.get_by_label("Text", exact=True).fill("Rad ett")
    file = {"name": "Yttrande.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7" * 1000}
    await page.get_by_label("Bilagor").set_input_files([file])
    gallery.scene.clock.forward(timedelta(hours=1))
    await page.clock.run_for(31 * 60 * 1000)
    await expect(page.get_by_text("Du har loggats ut.")).to_be_visible()


async def _come_back(page: Page) -> None:
    """Return to the window from another one."""
    async with page.expect_response("**/session/now") as asked:
        await page.evaluate("window.dispatchEvent(new Event('focus'))")
    await (await asked.value).finished()


async def test_who_signs_in_again_goes_on_with_page_text_and_files(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await _ended(gallery, page)
        await gallery.sign_in(page.context)
        await _come_back(page)
        await expect(page.get_by_text("Du har loggats ut.")).not_to_be_visible()
        await page.get_by_role("button", name="Granska innan du skickar").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Granska innan du skickar")
    assert [(part.name, sink.bytes) for part, sink in gallery.gallery.files] == [("Yttrande.pdf", 8000)]


async def test_another_person_who_signs_in_does_not_go_on_with_the_page(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await _ended(gallery, page)
        await gallery.sign_in(page.context, replace(ANNA, subject="bo", name="Bo Berg"))
        await _come_back(page)
        await expect(page.get_by_text("Du har loggats ut.")).to_be_visible()
        await page.get_by_role("button", name="Granska innan du skickar").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Inget har skickats än")


async def test_two_minutes_before_the_end_there_is_a_question(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await stop_the_clock(page)
        await page.goto(gallery.address("/compose"))
        await page.get_by_label("Ämne").fill("Halv tanke")
        await page.clock.run_for(5000)
        await expect(page.get_by_text("Sparat, version 1")).to_be_visible()
        await page.clock.run_for(27 * 60 * 1000)
        await expect(page.get_by_role("dialog")).not_to_be_visible()
        await page.clock.run_for(2 * 60 * 1000)
        question = page.get_by_role("dialog", name="Är du kvar?")
        await expect(question).to_be_visible()
        async with page.expect_response("**/session/stay") as staying:
            await question.get_by_role("button", name="Fortsätt vara inloggad").click()
        assert await (await staying.value).json() == {"seconds": 1800}
        await page.clock.run_for(27 * 60 * 1000)
        await expect(question).not_to_be_visible()
        await page.clock.run_for(4 * 60 * 1000)
        await expect(page.get_by_text("Du har loggats ut.")).to_be_visible()
        await expect(page.get_by_label("Ämne")).to_have_value("Halv tanke")


async def test_what_is_saved_while_one_types_keeps_the_session_and_asks_nothing(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await stop_the_clock(page)
        await page.goto(gallery.address("/compose"))
        await page.clock.run_for(27 * 60 * 1000)
        await page.get_by_label("Ämne").fill("Halv tanke")
        await page.clock.run_for(5000)
        await expect(page.get_by_text("Sparat, version 1")).to_be_visible()
        await page.clock.run_for(2 * 60 * 1000)
        await expect(page.get_by_role("dialog", name="Är du kvar?")).not_to_be_visible()


async def test_a_form_is_sent_once_however_often_its_button_is_pressed(gallery: Served) -> None:
    async with gallery.visitor() as page:
        posted: list[Request] = []
        page.on("request", lambda request: posted.append(request) if request.method == "POST" else None)
        await page.goto(gallery.address("/review"))
        await page.evaluate(
            "() => { const button = document.querySelector('main button');"
            " button.click(); button.click(); button.click(); }"
        )
        await expect(page.get_by_role("button", name="Ångra")).to_be_visible()
        assert len(posted) == 1


async def test_seconds_are_counted_down_and_the_page_goes_on_by_itself(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await stop_the_clock(page)
        await page.goto(gallery.address("/undo"))
        await page.clock.run_for(3000)
        await expect(page.locator("[data-seconds]")).to_have_text("7")
        await page.clock.run_for(8000)
        await page.wait_for_url("**/way")


async def test_what_is_typed_is_saved_within_three_seconds_and_again_after_an_outage(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await stop_the_clock(page)
        await page.goto(gallery.address("/compose"))
        text, status = page.get_by_label("Text", exact=True), page.get_by_role("status")
        await text.fill("Första raden")
        await page.clock.run_for(2900)
        assert gallery.gallery.saved == []
        await page.clock.run_for(200)
        await expect(status).to_have_text("Sparat, version 1")
        gallery.gallery.down = True
        await text.fill("Andra raden")
        await page.clock.run_for(3100)
        await expect(status).to_have_text("Inte sparat än. Ett nytt försök görs automatiskt.")
        gallery.gallery.down = False
        await page.clock.run_for(3100)
        await expect(status).to_have_text("Sparat, version 2")
        assert gallery.gallery.saved == ["Första raden", "Andra raden"]
        await page.clock.run_for(60_000)
        assert len(gallery.gallery.saved) == 2


async def test_files_are_dropped_and_pasted_and_the_room_that_is_left_is_shown(gallery: Served) -> None:
    bring = """
        ([kind, name, size]) => {
            const brought = new DataTransfer();
            brought.items.add(new File([new Uint8Array(size)], name, {type: 'application/pdf'}));
            const more = {bubbles: true, cancelable: true};
            const event = kind === 'drop'
                ? new DragEvent('drop', {...more, dataTransfer: brought})
                : new ClipboardEvent('paste', {...more, clipboardData: brought});
            return document.querySelector('#text').dispatchEvent(event);
        }
    """
    async with gallery.visitor() as page:
        await page.goto(gallery.address("/compose"))
        assert await page.evaluate(bring, ["drop", "Underlag.pdf", 3_000_000]) is False
        assert await page.evaluate(bring, ["paste", "Bild.pdf", 6_000_000]) is False
        await expect(page.locator("[data-room] li")).to_contain_text(
            ["Underlag.pdf, 3 000 kB", "Bild.pdf, 6 000 kB"]
        )
        await expect(page.locator("[data-room-text]")).to_have_text("12 / 30 MB")
        await page.get_by_label("Till").fill("Mullsjö kommun")
        await page.get_by_label("Text", exact=True).fill("Här kommer underlaget.")
        await page.get_by_role("button", name="Granska innan du skickar").click()
        await page.wait_for_url("**/review")
    assert [sink.bytes for _, sink in gallery.gallery.files] == [3_000_000, 6_000_000]


@pytest.mark.parametrize(
    ("text", "taken"),
    [("Anna\t12\nBo\t13", False), ("", True), ("Bild.png", True), ("/home/anna/Bild.png\n", True)],
    ids=["cells of a spreadsheet", "a picture", "a file by its name", "a file by its path"],
)
async def test_a_picture_beside_a_text_that_is_pasted_is_left_out(
    gallery: Served, text: str, taken: bool
) -> None:
    """A spreadsheet brings cells as a text and as a picture; a file may come with its name as a text."""
    bring = """
        text => {
            const brought = new DataTransfer();
            if (text) brought.setData('text/plain', text);
            brought.items.add(new File([new Uint8Array(10)], 'Bild.png', {type: 'image/png'}));
            const more = {bubbles: true, cancelable: true, clipboardData: brought};
            document.querySelector('#text').dispatchEvent(new ClipboardEvent('paste', more));
            return document.querySelector('input[type=file]').files.length;
        }
    """
    async with gallery.visitor() as page:
        await page.goto(gallery.address("/compose"))
        assert await page.evaluate(bring, text) == taken


async def test_a_menu_closes_on_escape_and_gives_the_focus_back(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await page.goto(gallery.address("/list"))
        summary = page.locator("details.menu summary")
        await summary.click()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Escape")
        await expect(page.locator("details.menu")).not_to_have_attribute("open", "")
        await expect(summary).to_be_focused()


@pytest.mark.parametrize("path", sampled(PAGES))
async def test_no_page_scrolls_sideways_at_phone_width_or_with_large_text(gallery: Served, path: str) -> None:
    async with gallery.visitor() as page:
        await page.goto(gallery.address(path))
        for width, size in ((320, ""), (390, ""), (768, ""), (1280, ""), (320, "200%"), (1280, "200%")):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.evaluate("size => { document.documentElement.style.fontSize = size; }", size)
            assert await page.evaluate(TOO_WIDE) == [], (width, size)


@pytest.mark.parametrize("path", sampled(PAGES))
async def test_what_is_pressed_is_large_enough(gallery: Served, path: str) -> None:
    for width in (320, 1280):
        async with gallery.visitor(width=width) as page:
            await page.goto(gallery.address(path))
            assert await page.evaluate(TOO_SMALL) == []


@pytest.mark.parametrize("look", sampled(LOOKS))
async def test_focus_is_seen_wherever_it_goes(gallery: Served, look: str) -> None:
    async with gallery.visitor(look=look) as page:
        await page.goto(gallery.address("/conversation"))
        seen = 0
        for _ in range(40):
            await page.keyboard.press("Tab")
            shown = await page.evaluate(FOCUS_WIDTHS)
            if shown is not None:
                seen += 1
                assert max(shown) >= 2
        assert seen >= 20


async def test_the_first_key_leads_past_the_head_of_the_page(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await page.goto(gallery.address("/conversation"))
        await page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Hoppa till innehållet")
        await expect(skip).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()


async def test_three_columns_from_1200_pixels_and_one_below(gallery: Served) -> None:
    columns = (".places > .nav", ".places > .list", ".places > .conversation")
    for width, shown in ((1280, 3), (1199, 1), (320, 1)):
        async with gallery.visitor(width=width) as page:
            await page.goto(gallery.address("/conversation"))
            visible = [column for column in columns if await page.locator(column).is_visible()]
            assert (len(visible), visible[-1]) == (shown, columns[2])


async def test_mailboxes_are_reached_at_phone_width_without_script(gallery: Served) -> None:
    async with gallery.visitor(width=320, script=False) as page:
        await page.goto(gallery.address("/list"))
        await page.get_by_role("link", name="Brevlådor").click()
        await page.get_by_role("link", name="Registrator").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Socialtjänst")


async def test_a_table_becomes_a_list_of_label_and_value(gallery: Served) -> None:
    async with gallery.visitor(width=320) as page:
        await page.goto(gallery.address("/who-can-read"))
        cell = page.locator("td[data-label='Gäller']").first
        label = await cell.evaluate("(cell) => getComputedStyle(cell, '::before').content")
        assert label == '"Gäller"'
        assert await page.locator("tr").nth(1).evaluate("(row) => getComputedStyle(row).display") == "block"


async def test_hostile_text_is_shown_and_runs_nowhere(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await page.goto(gallery.address("/list"))
        await expect(page.get_by_text("faktura⟦U+202E⟧fdp.exe")).to_be_visible()
        await expect(page.get_by_text("Okänd <script>alert(1)</script>")).to_be_visible()


@pytest.mark.parametrize("path", ["/hostile", "/hostile-table"])
async def test_text_that_means_harm_in_every_field_is_shown_as_text(gallery: Served, path: str) -> None:
    """Fields have 256-character names, a thousand references, and a text made to be slow to process."""
    async with gallery.visitor() as page:
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        await page.goto(gallery.address(path))
        assert await page.locator("main img").count() == 0
        await expect(
            page.get_by_text('<img src=x onerror="alert(1)"> ⟦U+202E⟧{{ 7 * 7 }}').first
        ).to_be_visible()
        assert dialogs == []


async def test_on_paper_there_is_what_was_read_and_nothing_to_press(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await page.goto(gallery.address("/conversation"))
        await page.emulate_media(media="print")
        for shown in ("h1", "#m1", "#m2", ".note", ".band.confidential"):
            await expect(page.locator(shown).first).to_be_visible()
        for hidden in (".nav", ".list", ".actions", ".search", ".top-end", ".button"):
            await expect(page.locator(hidden).first).not_to_be_visible()
        assert len(await page.pdf()) > 10_000


async def test_on_paper_colours_are_those_of_the_light_look(gallery: Served) -> None:
    """A person with the dark look must not print pale text, since browsers omit the background."""
    async with gallery.visitor(look=DARK) as page:
        await page.goto(gallery.address("/conversation"))
        colour = "each => getComputedStyle(each).color"
        band = page.locator(".band.confidential").first
        assert await band.evaluate(colour) == "rgb(242, 168, 201)"
        await page.emulate_media(media="print", color_scheme="dark")
        assert await band.evaluate(colour) == "rgb(122, 31, 75)"
        assert await page.locator("h1").first.evaluate(colour) == "rgb(0, 0, 0)"


async def test_the_browser_itself_refuses_what_the_policy_forbids(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await page.goto(gallery.address("/list"))
        assert await page.evaluate(ATTEMPTS) == [[], "refused"]
        assert gallery.complaints != []
        gallery.complaints.clear()


async def test_a_form_of_another_site_does_nothing(gallery: Served) -> None:
    """It has the right address and a form token of the victim's own session, and the victim submits it."""
    async with gallery.visitor(signed_in=False) as page:
        value = await gallery.sign_in(page.context)
        token = gallery.scene.sessions.form_token(value)
        fields = {"form-token": token, "to": "planted", "text": "planted text"}
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{each}">' for name, each in fields.items()
        )
        gallery.evil = (
            f'<form method="post" action="{gallery.address("/compose")}">{hidden}<button>Win</button>'
        )
        await page.goto(gallery.address("/", "evil"))
        async with page.expect_response("**/compose") as posting:
            await page.get_by_role("button").click()
        assert (await posting.value).status == 404
        await expect(page.get_by_role("heading", level=1)).to_have_text("Sidan finns inte här")


async def test_a_page_of_ours_shows_in_no_frame_of_another_site(gallery: Served) -> None:
    async with gallery.visitor() as page:
        gallery.evil = f'<iframe src="{gallery.address("/list")}"></iframe>'
        await page.goto(gallery.address("/", "evil"), wait_until="networkidle")
        framed = [await frame.content() for frame in page.frames]
        assert (len(framed), "Socialtjänst" in "".join(framed)) == (2, False)
        assert "frame-ancestors" in "".join(gallery.complaints)
        gallery.complaints.clear()


async def test_a_session_is_not_seen_by_scripts_nor_by_another_organisations_host(gallery: Served) -> None:
    async with gallery.visitor() as page:
        await page.goto(gallery.address("/list"))
        assert await page.evaluate("document.cookie") == ""
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.headers.get("cookie", "")))
        await page.goto(gallery.address("/", "locked"))
        assert SESSION not in "".join(sent)
        storage = await page.evaluate("[localStorage.length, sessionStorage.length]")
        assert storage == [0, 0]


async def test_all_of_a_first_page_is_small(gallery: Served) -> None:
    """At most 60 kB are transferred, of which at most 15 kB are scripts."""
    async with gallery.visitor() as page:
        sizes: dict[str, int] = {}

        async def count(request: Request) -> None:
            measured = await request.sizes()
            sizes[request.url] = measured["responseBodySize"] + measured["responseHeadersSize"]

        page.on("requestfinished", count)
        await page.goto(gallery.address("/conversation"), wait_until="networkidle")
        await page.wait_for_timeout(200)
    assert len(sizes) >= 6
    assert sum(sizes.values()) <= 60_000
    assert sum(size for url, size in sizes.items() if url.endswith(".js")) <= 15_000
