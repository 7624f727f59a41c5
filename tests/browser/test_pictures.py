"""Pictures in the user guide and README: all that are named exist; on request, all are taken again."""

from __future__ import annotations

import asyncio
import base64
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from playwright.async_api import Browser, Page, expect
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from samdrift.messageclient.administering import frame
from samdrift.messageclient.assigning import routes as assigning
from samdrift.messageclient.handover import pages as handover
from samdrift.messageclient.pages import LOCALE
from samdrift.rights import Right
from samdrift.web.application import application, signed_in
from samdrift.web.assets import Assets
from samdrift.web.forms import Form
from samdrift.web.pages import Pages
from samdrift.web.sessions import Person
from samdrift.web.sites import Site
from samdrift.web.texts import OWN, Phrase, Texts
from tests.browser.harness import DARK, Served, chromium, served, stop_the_clock
from tests.browser.mailpages import PDF
from tests.browser.smallpng import small
from tests.unit.messageclient.mailroom import FOLDERS, Mailroom
from tests.unit.web.scene import ANNA, Scene

TAKE = "SAMDRIFT_TESTS_PICTURES"
"""Environment variable that makes the tests take the pictures again."""
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
OF_OFFICERS = frozenset({"i-dag.png", "driften-far-se.png", "skriv-under.png"})
"""Pictures that test_office_pictures.py takes."""
OF_CONSOLE = frozenset({"laget.png"})
"""Pictures that test_console.py takes."""
MOST = 100_000
"""Maximum number of bytes of a picture, so that a page with all of them opens on a slow line."""
_UNSEEN = 64
"""Maximum difference of a channel, of 255: shades at the edges of letters."""
_DIFFERENCE = """
    async (both) => {
        const [one, other] = await Promise.all(both.map(async (source) => {
            const image = new Image();
            image.src = source;
            await image.decode();
            return image;
        }));
        const paper = new OffscreenCanvas(one.width, one.height).getContext("2d");
        paper.drawImage(one, 0, 0);
        paper.globalCompositeOperation = "difference";
        paper.drawImage(other, 0, 0);
        const left = paper.getImageData(0, 0, one.width, one.height).data;
        if (other.width !== one.width || other.height !== one.height) return 255;
        return left.reduce((most, value, place) => place % 4 === 3 ? most : Math.max(most, value), 0);
    }
"""
GROUP = Phrase("Group %(group)s", {"group": "registratur"})
EVA = replace(ANNA, subject="eva", name="Eva Ek")
PNG = b"\x89PNG\r\n\x1a\n"


class Photographed(Mailroom):
    """The mail pages, with a page about a mailbox's readers that shows invented decisions."""

    def __init__(self, scene: Scene, beside: dict[str, Site]) -> None:
        super().__init__(scene, beside)
        locales = [OWN, LOCALE, handover.LOCALE, frame.LOCALE, assigning.LOCALE]
        templates = [*FOLDERS, frame.TEMPLATES, assigning.TEMPLATES]
        self._read("Begäran om uppgifter, 3 bilagor")
        self.pages = Pages(Texts(locales), Assets(), scene.clock, templates)

    def application(self) -> ASGIApp:
        routes = (*self.routes(), Route("/rights/soc", signed_in(self._readers)))
        scene = self.scene
        return application(
            scene.find, self.pages, routes, scene.failures.append, on_outage=scene.outages.append
        )

    def _read(self, subject: str) -> None:
        """Mark a conversation as read, because a list with fewer rows makes a smaller picture."""
        (one,) = [each for each in self.office.conversations.values() if each.subject == subject]
        self.office.put(replace(one, messages=tuple(replace(m, was_unread=False) for m in one.messages)))

    async def _readers(self, request: Request) -> Response:
        (mailbox,) = [box for box in await (await self.desk(request)).mailboxes() if box.id == "soc"]
        lines = _readers(self.scene.clock.now)
        groups = [way for line in lines for way in line.ways if way.through == GROUP]
        now = self.scene.clock.now
        context = {
            "mailbox": mailbox,
            "lines": lines,
            "groups": groups,
            "coming": [],
            "may_give": True,
            "form": Form(),
            "day": None,
        }
        context |= {"at_operator": (), "soon": now + timedelta(days=30), "unused": now - timedelta(days=90)}
        context["sections"] = frame.sections(self.pages, request, frozenset({Right.READ, Right.MANAGE}))
        return self.pages.page(request, "who_can_read.html", **context)


def _readers(now: datetime) -> list[assigning.Line]:
    def line(name: str, through: Phrase, number: int, why: str, days: int, ago: float) -> assigning.Line:
        since, until = now - timedelta(days=365 - days), now + timedelta(days=days)
        way = assigning.WayLine(through, str(number), "Karin Kvist", why, since, until)
        rights = [Right.READ, Right.WRITE, *([Right.MANAGE] if name == "Eva Ek" else [])]
        words = tuple(assigning.RIGHTS[right] for right in rights)
        return assigning.Line(name, words, (way,), now - timedelta(hours=ago) if ago else None)

    substitute = Phrase("Substitute for %(name)s", {"name": "Bo Berg"})
    return [
        line("Anna Andersson", Phrase("Assigned"), 4, "Handläggare, enheten för barn och unga", 210, 0.1),
        line("Eva Ek", Phrase("Assigned"), 2, "Enhetschef", 180, 20),
        line("Ali Demir", substitute, 9, "Föräldraledighet", 65, 3),
        line("Rut Rask", GROUP, 3, "Registraturen läser alla brevlådor", 180, 49),
    ]


Story = Callable[[Served, Page], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: the steps that lead to the page, and how it is displayed."""

    story: Story
    width: int = 1280
    height: int = 860
    look: str = "light"
    person: Person = ANNA


async def _conversation(mail: Served, page: Page) -> None:
    await page.goto(mail.address("/mailbox/soc"))
    await page.get_by_role("link", name="Kallelse till SIP-möte 3 december").click()
    await page.get_by_role("button", name="Ta hand om samtalet").click()
    await expect(page.locator("main").get_by_text("hos dig")).to_be_visible()


async def _list(mail: Served, page: Page) -> None:
    await page.goto(mail.address("/mailbox/soc"))


async def _review(mail: Served, page: Page) -> None:
    await _conversation(mail, page)
    await page.get_by_role("button", name="Svara", exact=True).click()
    await page.get_by_label("Text", exact=True).fill("Hej Karin,\n\nTorsdag 3 december kl. 9 passar oss bra.")
    await page.locator("#files").set_input_files(
        [{"name": "Yttrande.pdf", "mimeType": "application/pdf", "buffer": PDF}]
    )
    await page.get_by_role("button", name="Granska innan du skickar").click()
    await expect(page.get_by_role("button", name="Skicka", exact=True)).to_be_visible()


async def _undo(mail: Served, page: Page) -> None:
    await _review(mail, page)
    await stop_the_clock(page)
    await page.get_by_role("button", name="Skicka", exact=True).click()
    await expect(page.get_by_role("button", name="Ångra")).to_be_visible()


async def _who_can_read(mail: Served, page: Page) -> None:
    await page.goto(mail.address("/rights/soc"))


TAKEN = {
    "samtal.png": Picture(_conversation),
    "samtal-morkt.png": Picture(_conversation, look=DARK),
    "lista-telefon.png": Picture(_list, width=390, height=780),
    "granska.png": Picture(_review, height=760),
    "angra.png": Picture(_undo, height=700),
    "vilka-kan-lasa.png": Picture(_who_can_read, height=830, person=EVA),
}


def named() -> set[str]:
    """Return the names of pictures that documents use."""
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return {name for each in documents for name in re.findall(r"pictures/([\w-]+\.png)", each.read_text())}


async def _take(browser: Browser, name: str, picture: Picture) -> None:
    async with (
        served(browser, Photographed) as mail,
        mail.visitor(
            width=picture.width, height=picture.height, look=picture.look, person=picture.person
        ) as page,
    ):
        await picture.story(mail, page)
        taken = await page.screenshot(animations="disabled", caret="hide")
        (FOLDER / name).write_bytes(await asyncio.to_thread(small, taken))
        assert mail.scene.failures == []


async def test_a_picture_of_few_colours_is_the_same_and_smaller_in_a_palette(browser: Browser) -> None:
    """The browser draws one picture over the other in difference mode; the result is nearly black."""
    async with (
        served(browser, Photographed) as mail,
        mail.visitor(width=390, height=300, person=EVA) as page,
    ):
        await _who_can_read(mail, page)
        assert mail.scene.failures == []
        await expect(page.get_by_role("heading", level=1)).to_have_text("Vilka kan läsa Socialtjänst")
        taken = await page.screenshot(animations="disabled", caret="hide")
    made = small(taken)
    assert len(made) < len(taken) / 2
    both = [f"data:image/png;base64,{base64.b64encode(each).decode()}" for each in (taken, made)]
    page = await browser.new_page()
    try:
        assert 0 <= await page.evaluate(_DIFFERENCE, both) <= _UNSEEN
        assert await page.evaluate(_DIFFERENCE, [both[0], both[0]]) == 0
    finally:
        await page.close()


async def test_each_picture_is_named_by_a_document_and_small() -> None:
    if TAKE in os.environ:
        async with chromium() as browser:
            for name, picture in TAKEN.items():
                await _take(browser, name, picture)
    assert named() == {*TAKEN, *OF_OFFICERS, *OF_CONSOLE} == {each.name for each in FOLDER.glob("*.png")}
    for name in {*TAKEN, *OF_OFFICERS, *OF_CONSOLE}:
        content = (FOLDER / name).read_bytes()
        assert content.startswith(PNG), name
        assert len(content) <= MOST, name
