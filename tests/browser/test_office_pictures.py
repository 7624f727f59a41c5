"""Pictures of the guide for officers; ``SAMDRIFT_TESTS_PICTURES=1`` takes them again."""

from __future__ import annotations

import asyncio
import os
import re

from playwright.async_api import Browser, Page

from samdrift.contracts.principals import Role
from samdrift.rights import Approved, Subject
from samdrift.rights.consents import AccessAsked, Extent, Ground, Level
from samdrift.rights.keyacts import Enrolled
from tests.browser.harness import CHROMIUM
from tests.browser.smallpng import small
from tests.browser.test_governance import Open, opened, with_authenticator
from tests.browser.test_pictures import FOLDER, MOST, OF_OFFICERS, PNG, ROOT, TAKE
from tests.unit.rights.building import ANNA, KARIN, KURT
from tests.unit.rights.signers import YEAR, Ssh
from tests.vaults import Installation

pytestmark = CHROMIUM
ROLES = (Role.GOVERNANCE, Role.MESSAGE_CLIENT)
GUIDE = ROOT / "docs" / "befattningshavare.md"


async def _take(role: Open) -> None:
    house = role.office.house
    olle = Subject.parse("operator:olle")
    staff = Ssh(olle, "olle")
    key = await role.office.state(KARIN, Enrolled(olle, "Olle Ohm", staff.key, house.now + YEAR))
    await role.office.state(KURT, Approved(key.digest))
    house.signers[olle] = staff
    extent = Extent.message("0d9b6c1e-6a3f-4f0e-9d7a-1c2b3a4d5e6f")
    await role.office.state(olle, AccessAsked(olle, Ground.OUTAGE, "INC-17", extent, Level.METADATA, 60))
    async with role.visitor(ANNA) as page:
        await with_authenticator(page)
        await page.goto(role.at("/"))
        await _shot(page, "i-dag.png")
        await page.goto(role.at("/consents"))
        await _shot(page, "driften-far-se.png")
        await page.get_by_role("link", name="Godkänn eller avslå").click()
        await page.get_by_label("Varför").fill("INC-17")
        await page.get_by_role("button", name="Godkänn").click()
        await page.locator("#statement-text").wait_for()
        await _shot(page, "skriv-under.png")


async def _shot(page: Page, name: str) -> None:
    taken = await page.screenshot(animations="disabled", caret="hide")
    await asyncio.to_thread((FOLDER / name).write_bytes, await asyncio.to_thread(small, taken))


async def test_each_picture_is_named_by_the_guide_and_small(
    installation: Installation, browser: Browser
) -> None:
    if TAKE in os.environ:
        async with opened(installation, browser) as role:
            await _take(role)
    assert set(re.findall(r"pictures/([\w-]+\.png)", GUIDE.read_text())) == OF_OFFICERS
    for name in OF_OFFICERS:
        content = (FOLDER / name).read_bytes()
        assert content.startswith(PNG), name
        assert len(content) <= MOST, name
