"""The demonstration, started as by hand: its people sign in through Chromium and do a day's work.

The messages contain words that occur nowhere else; afterwards these are searched for wherever they must not
be: in the demonstration's output, addresses, titles and storage of the browser, and every file.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Frame, Page, expect

from samdrift.config.reader import load
from samdrift.installation.vaultsettings import vault_settings
from samdrift.vault.database.server import Database
from tests.browser.harness import CHROMIUM
from tests.roles.test_dump import dumped, spellings
from tests.sizes import whole
from tests.vaults import server_folder

pytestmark = CHROMIUM
ROOT = Path(__file__).parents[2]
WORDS = {
    "subject": "Vildsvinsutredning",
    "text": "Krokodiltexten",
    "answer": "Noshorningssvaret",
    "file name": "strutsbilagan.pdf",
    "file": "Lodjursinnehallet",
    "reference": "Flodhast-2026-17",
    "note": "Giraffanteckningen",
    "search": "Pelikansokningen",
}
PDF = b"%PDF-1.7\n" + WORDS["file"].encode() * 10_000
FILE = {"name": WORDS["file name"], "mimeType": "application/pdf", "buffer": PDF}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
"""Text that must be shown unchanged; if it were run, the policy would report it."""
_MOST_PRESSES = 25
_MINUTES = 240_000
"""Milliseconds to wait for anything, on a machine that may be busy."""


@dataclass
class Demonstration:
    """A running demonstration, and the addresses, titles and storage that its visitors left."""

    browser: Browser
    ready: dict[str, Any]
    seen: list[str] = field(default_factory=list)
    """Addresses, titles and storage of the pages that were visited."""
    complaints: list[str] = field(default_factory=list)
    """Reports of attempts that a page's policy blocked."""

    def url(self, host: str) -> str:
        return str(next(one["url"] for one in self.ready["pages"] if f"//{host}." in one["url"]))

    @asynccontextmanager
    async def person(
        self, host: str, name: str, *, script: bool = True, width: int = 1280, language: str = "sv-SE"
    ) -> AsyncIterator[Page]:
        """Sign a person in at their organisation, in two clicks."""
        context = await self.browser.new_context(
            locale=language, java_script_enabled=script, viewport={"width": width, "height": 900}
        )
        context.set_default_timeout(_MINUTES)
        try:
            page = await context.new_page()
            page.on("framenavigated", self._visited)
            page.on("console", self._complained)
            await self.sign_in(page, host, name)
            yield page
            if script:
                for at, state in (("localStorage", "{}"), ("sessionStorage", "{}")):
                    assert await page.evaluate(f"JSON.stringify({at})") == state
            for cookie in await context.cookies():
                self.seen.append(str(cookie))
        finally:
            await context.close()

    async def sign_in(self, page: Page, host: str, name: str) -> None:
        """Follow the two links to the chosen person's first page."""
        await page.goto(self.url(host))
        await page.locator("main a.button").first.click()
        await page.get_by_role("link", name=name).click()
        await page.wait_for_url(f"{self.url(host)}**")

    def _complained(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.complaints.append(message.text)

    def _visited(self, frame: Frame) -> None:
        self.seen.append(frame.url)


@pytest_asyncio.fixture
async def folder() -> AsyncIterator[Path]:
    with server_folder() as made:
        yield made


@asynccontextmanager
async def running(browser: Browser, folder: Path) -> AsyncIterator[Demonstration]:
    """Start ``samdrift demo --ready``, and end the process as its parent would."""
    ready, out = folder / "ready.json", folder / "printed"
    command = ("-m", "samdrift.cli.main", "demo", "--folder", str(folder / "demo"), "--ready", str(ready))
    with out.open("wb") as printed:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=ROOT, stdout=printed, stderr=printed,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
    try:
        async with asyncio.timeout(_MINUTES / 500):
            while not ready.exists():
                assert process.returncode is None, out.read_text()
                await asyncio.sleep(0.1)
        yield Demonstration(browser, json.loads(ready.read_text()))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def heading(page: Page, text: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(text, timeout=_MINUTES)


async def came(page: Page, subject: str, url: str) -> None:
    """Reload the list until the message appears, and open it."""
    line = page.get_by_role("link", name=subject).first
    async with asyncio.timeout(_MINUTES / 1000):
        while not await line.is_visible():
            await page.goto(url)
    await line.click()
    await heading(page, subject)


@whole
async def test_a_message_is_written_and_answered_in_the_demonstration(browser: Browser, folder: Path) -> None:
    """The main story: with script in Swedish, then without on a phone in English."""
    async with running(browser, folder) as demo:
        await _writes(demo)
        await _answers(demo)
    assert demo.complaints == []
    words = {name: tuple(spellings(word)) for name, word in WORDS.items()}
    assert not [each for each in demo.seen if _found(each.encode(), words)], (
        "a planted word is in an address, title or cookie"
    )


@whole
async def test_a_days_work_in_the_demonstration_leaves_no_word_of_it_anywhere(
    browser: Browser, folder: Path
) -> None:
    async with running(browser, folder) as demo:
        await _writes(demo)
        await _answers(demo)
        await _sees_the_receipt(demo)
        await _answers_by_keyboard_alone(demo)
        await _keeps_what_was_typed_while_the_session_ended(demo)
        await _has_a_colleague_approve(demo)
        await _registers_and_takes_a_package(demo)
        await _loses_the_draft_to_a_colleague_and_then_the_right(demo)
        await _sees_no_content(demo)
        words = {name: tuple(spellings(word)) for name, word in WORDS.items()}
        await _monitors(demo, words)
    await _dumps(demo, words)
    assert demo.complaints == []
    for each in demo.seen:
        assert not _found(each.encode(), words), "a planted word is in an address, title or cookie"
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert not _found(file.read_bytes(), words), file.relative_to(folder)


async def _writes(demo: Demonstration) -> None:
    """A case worker in Mullsjö writes with file and reference, undoes, and sends again."""
    async with demo.person("mullsjo", "Maja Moberg") as page:
        await page.get_by_role("button", name="Nytt meddelande").click()
        await page.locator("#find").fill("habo social")
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_contain_text("Habo kommun", timeout=_MINUTES)
        await page.locator("ul.found button").first.click()
        await page.get_by_label("Ämne").fill(WORDS["subject"])
        await page.get_by_label("Text", exact=True).fill(WORDS["text"])
        await page.get_by_label("Referens", exact=True).first.fill(WORDS["reference"])
        await page.locator("#files").set_input_files([FILE])
        await page.get_by_role("button", name="Granska innan du skickar").click()
        await heading(page, "Granska innan du skickar")
        await page.get_by_role("button", name="Skicka", exact=True).click()
        await page.get_by_role("button", name="Ångra").click()
        await expect(page.get_by_label("Text", exact=True)).to_have_value(WORDS["text"])
        await page.get_by_role("button", name="Granska innan du skickar").click()
        await page.get_by_role("button", name="Skicka", exact=True).click()
        await expect(page.get_by_role("button", name="Ångra")).to_be_visible()


async def _answers(demo: Demonstration) -> None:
    """A case worker in Habo, without script, in English, on a phone: reads, takes, notes, answers."""
    async with demo.person("habo", "Anna Andersson", script=False, width=320, language="en-GB") as page:
        await came(page, WORDS["subject"], page.url)
        await expect(page.get_by_text(WORDS["text"])).to_be_visible()
        await page.get_by_role("button", name="Take the conversation").click()
        await page.get_by_text("Add a note").click()
        await page.get_by_label("Note for colleagues").fill(f"{WORDS['note']} {HOSTILE}")
        await page.get_by_role("button", name="Save the note").click()
        await expect(page.get_by_text(f"{WORDS['note']} {HOSTILE}")).to_be_visible()
        await page.get_by_role("button", name="Reply", exact=True).click()
        await page.get_by_label("Text", exact=True).fill(WORDS["answer"])
        await page.locator("#files").set_input_files([FILE])
        await page.get_by_role("button", name="Check before sending").click()
        await expect(page.get_by_text(WORDS["reference"])).to_be_visible()
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.get_by_role("button", name="Undo")).to_be_visible()


async def _sees_the_receipt(demo: Demonstration) -> None:
    """The answer arrives in Mullsjö, and the sent message shows that it was received."""
    async with demo.person("mullsjo", "Maja Moberg") as page:
        async with asyncio.timeout(_MINUTES / 1000):
            while not await page.get_by_text(WORDS["answer"]).first.is_visible():
                await came(page, WORDS["subject"], f"{demo.url('mullsjo')}")
        await expect(page.get_by_text("Mottaget av organisationen").first).to_be_visible()


async def _answers_by_keyboard_alone(demo: Demonstration) -> None:
    """Go from the sign-in page to sending an answer with a reference: few key presses besides the text."""
    async with demo.person("habo", "Ali Demir") as page:
        await page.context.clear_cookies()
        await page.goto(demo.url("habo"))
        presses = 0

        async def press(key: str) -> None:
            nonlocal presses
            presses += 1
            await page.keyboard.press(key)

        async def to(name: str) -> None:
            await press("Tab")
            while name not in await page.evaluate("document.activeElement.textContent"):
                assert presses < 2 * _MOST_PRESSES, name
                await press("Tab")
            await press("Enter")

        await to("Logga in")
        # Keys are not counted here, since the sign-in service is not part of the product.
        await page.get_by_role("link", name="Ali Demir").click()
        await page.wait_for_url(f"{demo.url('habo')}**")
        await to("Hoppa till innehållet")
        first = await page.locator('main a[href^="/conversation/"]').first.inner_text()
        await to(first.splitlines()[-1].strip())
        await page.wait_for_url("**/conversation/**")
        await to("Hoppa till innehållet")
        await to("Svara på det här")
        await page.wait_for_url("**/draft/*")
        await expect(page.get_by_label("Text", exact=True)).to_be_focused()
        await page.keyboard.type(WORDS["answer"])
        while await page.evaluate("document.activeElement.id") != "reference-value":
            assert presses < 2 * _MOST_PRESSES
            await press("Tab")
        await page.keyboard.type(WORDS["reference"])
        await press("Control+Enter")
        await heading(page, "Granska innan du skickar")
        await press("Control+Enter")
        await expect(page.get_by_role("button", name="Ångra")).to_be_visible()
        print(f"from login to an answer with a reference: {presses} key presses, at most {_MOST_PRESSES}")
        assert presses <= _MOST_PRESSES


async def _keeps_what_was_typed_while_the_session_ended(demo: Demonstration) -> None:
    async with demo.person("habo", "Bo Berg", script=False) as page:
        await page.get_by_role("button", name="Nytt meddelande").click()
        await page.get_by_label("Ämne").fill(WORDS["subject"])
        await page.get_by_label("Text", exact=True).fill(WORDS["text"])
        await page.context.clear_cookies()
        await page.get_by_role("button", name="Spara utkast och stäng").click()
        await heading(page, "Inget har skickats än")
        await demo.sign_in(await page.context.new_page(), "habo", "Bo Berg")
        await page.get_by_role("button", name="Fortsätt").click()
        await expect(page.get_by_text("Du är inloggad igen.")).to_be_visible()
        await page.get_by_role("button", name="Fortsätt").click()
        await heading(page, "Utkast")
        await page.get_by_role("link", name=WORDS["subject"]).first.click()
        await expect(page.get_by_label("Text", exact=True)).to_have_value(WORDS["text"])


async def _has_a_colleague_approve(demo: Demonstration) -> None:
    """In a mailbox that requires two persons, a case worker asks, the manager approves, and it is sent."""
    async with demo.person("habo", "Eva Ek") as eva, demo.person("habo", "Anna Andersson") as anna:
        await eva.goto(f"{demo.url('habo')}administration/mailboxes")
        await eva.locator("main").get_by_role("link", name="Socialtjänsten").click()
        settings = eva.url
        await eva.get_by_role("group", name="En kollega godkänner").get_by_label("Ja, alltid").check()
        await eva.get_by_role("button", name="Spara", exact=True).click()
        await expect(eva.get_by_text("Sparat.")).to_be_visible()
        await came(anna, WORDS["subject"], f"{demo.url('habo')}mine")
        await anna.get_by_role("button", name="Svara", exact=True).click()
        await anna.get_by_label("Text", exact=True).fill(WORDS["answer"])
        await anna.get_by_role("button", name="Granska innan du skickar").click()
        await anna.get_by_role("button", name="Be om godkännande").click()
        await heading(anna, "Väntar på godkännande")
        await expect(anna.get_by_role("button", name="Skicka", exact=True)).to_have_count(0)
        draft = anna.url
        await eva.goto(draft)
        await eva.get_by_role("button", name="Godkänn", exact=True).click()
        await anna.goto(draft)
        await expect(anna.get_by_text("Eva Ek har godkänt")).to_be_visible()
        await anna.get_by_role("button", name="Skicka", exact=True).click()
        await expect(anna.get_by_role("button", name="Ångra")).to_be_visible()
        await eva.goto(settings)
        await eva.get_by_role("group", name="En kollega godkänner").get_by_label("Nej").check()
        await eva.get_by_role("button", name="Spara", exact=True).click()
        await expect(eva.get_by_text("Sparat.")).to_be_visible()


async def _registers_and_takes_a_package(demo: Demonstration) -> None:
    """The registrar gives a conversation its case number, and downloads it as one package."""
    async with demo.person("habo", "Bo Berg") as page:
        await came(page, WORDS["subject"], f"{demo.url('habo')}sent")
        await page.get_by_role("link", name="Lämna ut eller registrera").locator("visible=true").click()
        await page.get_by_label("Diarienummer").fill(WORDS["reference"])
        await page.get_by_role("button", name="Märk som registrerat").click()
        await expect(page.locator("main").get_by_text(WORDS["reference"]).first).to_be_visible()
        if "/package" not in page.url:
            await page.get_by_role("link", name="Lämna ut eller registrera").locator("visible=true").click()
        async with page.expect_download(timeout=_MINUTES) as download:
            await page.get_by_role("button", name="Ladda ned paketet").click()
        with zipfile.ZipFile(await (await download.value).path()) as package:
            names = package.namelist()
            listed = json.loads(package.read("manifest.json"))
        assert any(name.endswith(WORDS["file name"]) for name in names)
        assert WORDS["subject"] not in str(names)
        assert listed


async def _loses_the_draft_to_a_colleague_and_then_the_right(demo: Demonstration) -> None:
    """A colleague takes over a draft being written; then the writer's right ends, and the draft is kept."""
    async with demo.person("habo", "Ali Demir") as ali, demo.person("habo", "Eva Ek") as eva:
        await ali.get_by_role("button", name="Nytt meddelande").click()
        draft = ali.url
        await ali.get_by_label("Ämne").fill(WORDS["subject"])
        await ali.get_by_label("Text", exact=True).fill(WORDS["text"])
        await expect(ali.locator("[data-saved]")).to_contain_text("Sparat", timeout=_MINUTES)
        await ali.get_by_role("button", name="Spara utkast och stäng").click()
        await ali.goto(draft)
        await eva.goto(draft)
        await eva.get_by_role("button", name="Ta över utkastet").click()
        await expect(eva.get_by_label("Text", exact=True)).to_have_value(WORDS["text"])
        await ali.get_by_label("Text", exact=True).fill(WORDS["answer"])
        await ali.get_by_role("button", name="Granska innan du skickar").click()
        await expect(ali.get_by_text(WORDS["answer"]).first).to_be_visible()
        await ali.goto(draft)
        await ali.get_by_role("button", name="Ta över utkastet").click()
        await ali.get_by_label("Text", exact=True).fill(WORDS["answer"])
        await expect(ali.locator("[data-saved]")).to_contain_text("Sparat", timeout=_MINUTES)
        await ali.get_by_role("button", name="Spara utkast och stäng").click()
        await ali.goto(draft)
        await eva.goto(f"{demo.url('habo')}rights")
        await eva.locator("main").get_by_role("link", name="Socialtjänsten").click()
        await eva.get_by_role("row", name="Ali Demir").get_by_role("link", name="Avsluta").click()
        await eva.get_by_label("Skäl").fill("Slutar")
        await eva.get_by_role("button", name="Avsluta", exact=True).click()
        await expect(eva.get_by_role("row", name="Ali Demir")).to_have_count(0)
        await ali.get_by_role("button", name="Granska innan du skickar").click()
        await heading(ali, "Du har inte längre tillgång")
        await eva.goto(draft)
        await eva.get_by_role("button", name="Ta över utkastet").click()
        await expect(eva.get_by_label("Text", exact=True)).to_have_value(WORDS["answer"])


async def _monitors(demo: Demonstration, words: dict[str, tuple[bytes, ...]]) -> None:
    """Monitoring gets only numbers and states of the day, and no word of a message."""
    asked = ("metrics", "health")
    told = {name: url for name, url in demo.ready["interfaces"].items() if name.split()[-1] in asked}
    assert len(told) == 4
    async with httpx.AsyncClient() as client:
        for name, url in told.items():
            answer = await client.get(url)
            # The status depends on the machine, where a dependency may be missing.
            assert b"dependenc" in answer.content, name
            assert not _found(answer.content, words), name


async def _dumps(demo: Demonstration, words: dict[str, tuple[bytes, ...]]) -> None:
    """A backup program's dumps of both operators' databases contain no planted word, even when unpacked."""
    for file in demo.ready["configs"]:
        if Path(file).name != "samdrift.toml":
            continue
        database = await Database.start(vault_settings(load(Path(file))))
        try:
            dump = await asyncio.to_thread(dumped, database.administrator())
        finally:
            await database.stop()
        assert b"mail" in dump
        assert not _found(dump, words), "a planted word is in a dump"


async def _sees_no_content(demo: Demonstration) -> None:
    """An administrator and a security officer sign in, and reach nothing of what was written."""
    async with demo.person("habo", "Anna Andersson") as page:
        await came(page, WORDS["subject"], f"{demo.url('habo')}mine")
        path = page.url
        await page.goto(f"{demo.url('habo')}search")
        await page.locator("#words").fill(WORDS["search"])
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/search/*")
    for name in ("Karin Kvist", "Sten Sand"):
        async with demo.person("habo", name) as page:
            assert WORDS["subject"] not in await page.content()
            answer = await page.goto(path)
            assert answer is not None
            assert (answer.status, WORDS["text"] in await page.content()) == (404, False)


def _found(data: bytes, words: dict[str, tuple[bytes, ...]]) -> list[str]:
    return [name for name, spelled in words.items() if any(one in data for one in spelled)]
