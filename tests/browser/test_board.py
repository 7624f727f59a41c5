"""The report for a joint board, opened from its file as a member of the board would."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from samdrift.governance import boardreport
from samdrift.governance.boardreport import Member
from tests.browser.harness import CHROMIUM, DARK, chromium, profile
from tests.browser.test_pages import TOO_WIDE
from tests.unit.governance.test_boardreport import BOARD, reported
from tests.unit.governance.test_coverage import MOMENT

pytestmark = CHROMIUM
TOWNS = [f"0203:kommun{number}.se" for number in range(1, 12)]
LATE = "0203:tidaholm.se"


@pytest.mark.parametrize("language", ["sv", "en"])
async def test_a_board_of_twelve_reads_each_members_status_wide_and_narrow_by_keyboard(
    language: str, tmp_path: Path
) -> None:
    """Each duty lists all members, only the table scrolls, and every part of it is reachable by keyboard."""
    members = [*(Member(town, reported("isolation.check")) for town in TOWNS), Member(LATE, None)]
    file = tmp_path / "board.html"
    file.write_text(boardreport.page(BOARD, members, MOMENT + timedelta(days=4), language))
    async with chromium() as browser:
        for width, look in ((320, "light"), (320, DARK), (1280, "light"), (1280, DARK)):
            async with profile(browser, width=width, look=look, language=language) as context:
                page = await context.new_page()
                complaints = list[str]()
                page.on("console", lambda message, told=complaints: told.append(message.text))
                await page.goto(file.as_uri())
                assert not await page.evaluate(TOO_WIDE), (width, look)
                table = page.get_by_role("region")
                assert await page.get_by_role("columnheader").all_inner_texts() == [
                    {"sv": "Skyldighet", "en": "Duty"}[language],
                    *TOWNS,
                    LATE,
                ]
                await page.keyboard.press("Tab")
                assert await table.evaluate("one => one === document.activeElement"), (width, look)
                for _ in range(200):
                    if await table.evaluate("one => one.scrollLeft + one.clientWidth >= one.scrollWidth - 1"):
                        break
                    await page.keyboard.press("ArrowRight")
                else:
                    pytest.fail(f"the keyboard does not reach the last member at {width} px")
                place = "one => one.getBoundingClientRect()"
                whole = await table.evaluate(place)
                await page.get_by_role("row").last.scroll_into_view_if_needed()
                duty = await page.get_by_role("rowheader").last.evaluate(place)
                town = await page.get_by_role("columnheader").last.evaluate(place)
                assert abs(duty["left"] - whole["left"]) < 2, "the duty in the row header must stay visible"
                assert abs(town["top"] - whole["top"]) < 2, (
                    "the member in the column header must stay visible"
                )
                assert duty["right"] < town["right"] <= whole["right"]
                await page.screenshot(path=tmp_path / f"{language}-{width}-{look}.png", full_page=False)
                assert complaints == []
