"""Every page checked with axe-core in two languages, three looks and two widths, with no rule broken."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route

from samdrift.messageclient.administering.accessibility import RESULT, last_result
from samdrift.rights import Subject
from tests.browser import test_console as console
from tests.browser import test_governance as governance
from tests.browser.harness import CHROMIUM, LOOKS, Served, chromium, served
from tests.browser.mailpages import paths
from tests.browser.test_administration import Open, opened, pages
from tests.browser.test_mail import FILE
from tests.browser.test_pages import PAGES
from tests.interop.oidc.build import install
from tests.interop.tools import Unavailable, left_out
from tests.unit.messageclient.mailroom import Mailroom
from tests.vaults import Installation

pytestmark = CHROMIUM
HERE = Path(__file__).parent
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """
    async (tags) => {
        const found = await axe.run(document, {runOnly: {type: 'tag', values: tags}});
        return found.violations.map((each) => [each.id, each.nodes.map((node) => node.html.slice(0, 120))]);
    }
"""
VISITORS = [(language, look, width) for language in ("sv", "en") for look in LOOKS for width in (320, 1280)]


@pytest.fixture(scope="module")
def axe() -> str:
    """Return the source of axe-core, which the policy would not let a page load."""
    try:
        install(HERE)
    except Unavailable as reason:
        left_out("axe-core", reason)
    return (HERE / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gallery(running: Browser) -> AsyncIterator[Served]:
    async with served(running) as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mail(running: Browser) -> AsyncIterator[Served]:
    async with served(running, Mailroom) as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def role(running: Browser, installation: Installation) -> AsyncIterator[Open]:
    async with opened(installation, running) as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def governed(
    running: Browser, installation: Installation
) -> AsyncIterator[tuple[governance.Open, list[tuple[Subject, str]]]]:
    async with governance.opened(installation, running) as one:
        yield one, await governance.pages(one)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def operated(running: Browser, installation: Installation) -> AsyncIterator[console.Open]:
    async with console.opened(installation, running) as one:
        yield one


LOOKED_AT: dict[str, int] = {}
"""Number of checks of each page, by its address without ids, for the accessibility statement."""
BROKEN: set[str] = set()
"""Rules that were broken, with the page."""


async def faults(page: Page, axe: str) -> list[object]:
    await page.evaluate(axe)
    found: list[object] = await page.evaluate(RUN, TAGS)
    where = re.sub(r"/(?:[0-9a-f-]{20,}|[a-z]+\d+)(?=/|$)", "/…", urlsplit(page.url).path)
    LOOKED_AT[where] = LOOKED_AT.get(where, 0) + 1
    BROKEN.update(f"{rule} ({where})" for rule, _ in found)
    return found


@pytest.mark.parametrize(("language", "look", "width"), VISITORS, ids=str)
async def test_no_page_has_a_fault(gallery: Served, axe: str, language: str, look: str, width: int) -> None:
    found = {}
    async with gallery.visitor(language=language, look=look, width=width) as page:
        for path in PAGES:
            await page.goto(gallery.address(path))
            found[path] = await faults(page, axe)
            if path == "/list":
                await page.locator("details.menu summary").click()
                found["menu"] = await faults(page, axe)
            if path == "/compose":
                await page.locator("main form button").first.click()
                await page.wait_for_selector(".summary")
                found["errors"] = await faults(page, axe)
    async with gallery.visitor(language=language, look=look, width=width, signed_in=False) as page:
        for path, host in (
            ("/sign-in", "habo"),
            ("/", "locked"),
            ("/", "suspended"),
            ("/sign-in/answer", "habo"),
        ):
            await page.goto(gallery.address(path, host))
            found[f"{host}{path}"] = await faults(page, axe)
    assert {path: each for path, each in found.items() if each} == {}


async def test_a_fault_would_be_found(gallery: Served, axe: str) -> None:
    async with gallery.visitor() as page:
        await page.goto(gallery.address("/list"))
        await page.evaluate("document.body.append(document.createElement('button'))")
        assert "button-name" in str(await faults(page, axe))


@pytest.mark.parametrize(("language", "look", "width"), VISITORS, ids=str)
async def test_no_mail_page_has_a_fault(mail: Served, axe: str, language: str, look: str, width: int) -> None:
    found = {}
    async with mail.visitor(language=language, look=look, width=width) as page:
        for path in await paths(mail.gallery):
            answer = await page.goto(mail.address(path))
            assert answer is not None
            assert answer.status == 200, path
            found[path] = await faults(page, axe)
            if path == "/mailbox/soc":  # A warning above the list links to overdue unread messages.
                assert await page.locator(".list .band.warning a").count() == 1, path
            if path.startswith("/draft/") and "upload" not in found and await page.locator("#files").count():
                found["upload"], found["broken upload"] = await _uploading(page, axe)
    assert {path: each for path, each in found.items() if each} == {}


async def _uploading(page: Page, axe: str) -> tuple[list[object], list[object]]:
    """Check a draft while a file is uploaded ahead of its form, and after the upload has failed."""
    held, broken = list[Route](), False

    async def hold(route: Route) -> None:
        if broken:
            await route.abort()
        else:
            held.append(route)

    await page.route("**/save", hold)
    await page.locator("#files").set_input_files([FILE])
    await page.locator(".composer .button.filled").click()
    await page.wait_for_selector("[data-sending]")
    sending = await faults(page, axe)
    broken = True
    await held[0].abort()
    await page.wait_for_selector("[data-ended]")
    return sending, await faults(page, axe)


@pytest.mark.parametrize(("language", "look", "width"), VISITORS, ids=str)
async def test_no_page_of_administration_has_a_fault(
    role: Open, axe: str, language: str, look: str, width: int
) -> None:
    found = {}
    for name, those in groupby(await pages(role), key=lambda one: one[0]):
        async with role.visitor(name, language=language, look=look, width=width) as page:
            for _, path in those:
                answer = await page.goto(role.at(path))
                assert answer is not None
                assert answer.status == 200, path
                found[path] = await faults(page, axe)
            if name == "siv":
                await page.locator("main form button").first.click()
                await page.wait_for_selector("tbody")
                found["log"] = await faults(page, axe)
    assert {path: each for path, each in found.items() if each} == {}


@pytest.mark.parametrize(("language", "look", "width"), VISITORS, ids=str)
async def test_no_page_of_governance_has_a_fault(
    governed: tuple[governance.Open, list[tuple[Subject, str]]],
    axe: str,
    language: str,
    look: str,
    width: int,
) -> None:
    found = {}
    role, walk = governed
    for who, those in groupby(walk, key=lambda one: one[0]):
        async with role.visitor(who, language=language, look=look, width=width) as page:
            for _, path in those:
                answer = await page.goto(role.at(path))
                assert answer is not None
                assert answer.status == 200, path
                found[path] = await faults(page, axe)
                if path.startswith("/decide/"):
                    await page.locator("#why").fill("har ringt")
                    await page.locator("button[value=approve]").click()
                    await page.wait_for_selector("#statement-text")
                    found["sign"] = await faults(page, axe)
    assert "sign" in found
    assert {path: each for path, each in found.items() if each} == {}


@pytest.mark.parametrize(("language", "look", "width"), VISITORS, ids=str)
async def test_no_page_of_the_console_has_a_fault(
    operated: console.Open, axe: str, language: str, look: str, width: int
) -> None:
    found = {}
    async with operated.visitor(language=language, look=look, width=width) as page:
        for path in operated.paths():
            answer = await page.goto(operated.at(path))
            assert answer is not None
            assert answer.status == 200, path
            found[path] = await faults(page, axe)
            if path in (f"{operated.stuck}/give-up", "/maintenance/new"):
                await page.locator("main form button").first.click()
                await page.wait_for_selector(".summary")
                found[f"{path}, errors"] = await faults(page, axe)
    assert {path: each for path, each in found.items() if each} == {}


async def test_the_statement_says_what_this_run_found(axe: str) -> None:
    """This must run last; with ``SAMDRIFT_TESTS_STATEMENT=1`` its result is written to the statement."""
    version = re.search(r"axe v([0-9.]+)", axe)
    assert version is not None
    if os.environ.get("SAMDRIFT_TESTS_STATEMENT"):
        result = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "engine": f"axe-core {version[1]}",
            "pages": len(LOOKED_AT),
            "checks": sum(LOOKED_AT.values()),
            "faults": sorted(BROKEN - INTENDED),
        }
        RESULT.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        last_result.cache_clear()
    stated = last_result()
    assert (stated.engine, stated.faults) == (f"axe-core {version[1]}", tuple(sorted(BROKEN - INTENDED)))


INTENDED = frozenset({"button-name (/list)"})
"""A fault made on purpose, to show that faults are found."""
