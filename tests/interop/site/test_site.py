"""The documentation site: built strictly, searched in both languages, without requests to another host."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.harness import CHROMIUM, DARK, chromium, profile

ROOT = Path(__file__).parents[3]
SWEDISH = ("docs/anvandarguide", "docs/administratorsguide", "docs/befattningshavare")
FIRST_PAGES = (*SWEDISH, "docs/getting-started", "docs/integration", "docs/auditing")
"""The first page for each kind of reader."""


def build(checkout: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout with this environment."""
    command = [ROOT / ".venv-build" / "bin" / "python", checkout / "release" / "build.py", "docs", folder]
    return subprocess.run([str(each) for each in command], capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site of this checkout, which fails for any fault found."""
    subprocess.run([ROOT / "samdrift", "build", "--help"], check=True, capture_output=True)
    folder = tmp_path_factory.mktemp("docs") / "site"
    built = build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def small(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout with very few pages, for tests of faults; the real one takes longer to build."""
    folder = tmp_path_factory.mktemp("small") / "checkout"
    shutil.copytree(ROOT / "release", folder / "release", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "docs" / "pictures").mkdir(parents=True)
    (folder / "src" / "samdrift" / "web" / "static").mkdir(parents=True)
    for file in ("pyproject.toml", "src/samdrift/web/static/mark.svg", "docs/pictures/granska.png"):
        shutil.copy(ROOT / file, folder / file)
    conf = folder / "release" / "site" / "conf.py"
    text = re.sub(
        r"(?s)^NAVIGATION.*?^\)$", 'NAVIGATION = (("All", ("docs/one",)),)', conf.read_text(), flags=re.M
    )
    conf.write_text(re.sub(r"(?m)^BELOW = .*$", "BELOW = {}", text))
    (folder / "docs" / "README.md").write_text("# First\n\n[One](one.md#a-place)\n")
    (folder / "docs" / "one.md").write_text("# One\n\n## A place\n\n![Review](pictures/granska.png)\n")
    return folder


def test_a_small_site_without_fault_is_built(small: Path, tmp_path: Path) -> None:
    built = build(small, tmp_path / "site")
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "docs" / "one.html").exists()


ONE = "# One\n\n## A place\n\n"
FAULTS = {
    "a dead link": ("one.md", f"{ONE}[Gone](gone.md)\n", "gone.md"),
    "a place that is not there": ("README.md", "# First\n\n[One](one.md#gone)\n", "gone"),
    "a missing picture": ("one.md", f"{ONE}![Gone](pictures/gone.png)\n", "gone.png"),
    "one in HTML": ("one.md", f'{ONE}<p><img src="pictures/gone.png" alt=""></p>\n', "gone.png"),
    "a page in no navigation": ("two.md", "# Two\n\nNobody leads here.\n", "two"),
    "a picture of another host": (
        "one.md",
        f'{ONE}<p><img src="https://x.example/y.png" alt=""></p>\n',
        "x.example",
    ),
}
"""Faults: a page, its text, and the words that the failure must contain."""


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_ends_the_build_and_is_named(small: Path, tmp_path: Path, fault: str) -> None:
    file, text, named = FAULTS[fault]
    checkout = tmp_path / "checkout"
    shutil.copytree(small, checkout)
    (checkout / "docs" / file).write_text(text)
    built = build(checkout, tmp_path / "site")
    assert built.returncode == 2
    assert named in built.stderr
    assert not (tmp_path / "site").exists()


def test_nothing_in_the_site_is_of_another_host(site: Path) -> None:
    """In addition to the build's own checks, no file mentions the usual hosts of fonts and scripts."""
    strange = re.compile(rb"fonts\.(?:googleapis|gstatic)|cdn\.|unpkg|jsdelivr|cdnjs|googletagmanager")
    files = [each for each in site.rglob("*") if each.suffix in (".html", ".css", ".js")]
    assert len(files) > 80
    assert [str(each.relative_to(site)) for each in files if strange.search(each.read_bytes())] == []


def test_a_page_says_which_language_it_is_in(site: Path) -> None:
    for name in FIRST_PAGES:
        language = "sv" if name in SWEDISH else "en"
        assert re.search(rf'<html[^>]* lang="{language}"', (site / f"{name}.html").read_text()), name


@pytest_asyncio.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Serve the site as a static file server would, and yield its address."""
    handler = partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


async def visited(page: Page, address: str, name: str) -> list[str]:
    """Open a page of the site; return its requests to other hosts, and errors of its script."""
    wrong: list[str] = []
    page.on("request", lambda asked: None if _is_own(asked.url, address) else wrong.append(asked.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    await page.goto(f"{address}/{name}")
    await page.wait_for_load_state("networkidle")
    return wrong


def _is_own(url: str, address: str) -> bool:
    return url.startswith((f"{address}/", "data:"))


@CHROMIUM
@pytest.mark.parametrize("look", ["light", DARK])
@pytest.mark.parametrize("width", [320, 1280])
async def test_first_pages_ask_no_other_host_and_do_not_scroll_sideways(
    browser: Browser, address: str, width: int, look: str
) -> None:
    """Pages are opened in light and dark, down to the width of a telephone, and use the look's colours."""
    async with profile(browser, width=width, look=look) as context:
        page = await context.new_page()
        for name in ("docs/README", *FIRST_PAGES):
            assert await visited(page, address, f"{name}.html") == []
            wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await page.evaluate(wider) <= 0, name
            ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert ground == ("rgb(29, 32, 35)" if look == DARK else "rgb(255, 255, 255)")


@CHROMIUM
@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ("brevlådornas", "Guide för administratörer"),
        ("kvittensen", "Användarguide till meddelandeklienten"),
        ("underskrifter", "Guide för befattningshavare"),
        ("witnessing", "A witness for others"),
        ("certificates", "Replacing certificates"),
        ("restoring", "Backup and restore"),
    ],
)
async def test_the_search_finds_inflected_words_of_both_languages(
    browser: Browser, address: str, asked: str, title: str
) -> None:
    async with profile(browser) as context:
        page = await context.new_page()
        assert await visited(page, address, f"search.html?q={asked}") == []
        results = page.locator("#search-results ul.search li a")
        await expect(results.filter(has_text=title).first).to_be_visible()


@CHROMIUM
async def test_what_is_nowhere_is_not_found(browser: Browser, address: str) -> None:
    async with profile(browser) as context:
        page = await context.new_page()
        await visited(page, address, "search.html?q=qwertyuiopå")
        await expect(page.locator("#search-results")).to_contain_text("did not match any documents")


@CHROMIUM
async def test_the_first_page_leads_each_reader_to_theirs(browser: Browser, address: str) -> None:
    async with profile(browser, width=1280) as context:
        page = await context.new_page()
        await visited(page, address, "index.html")
        await expect(page).to_have_url(re.compile("docs/README.html"))
        for name in FIRST_PAGES:
            link = page.locator(f'.sidebar-tree a[href="{name.removeprefix("docs/")}.html"]')
            await expect(link.first).to_be_visible()
