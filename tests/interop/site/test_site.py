"""The documentation site: built strictly, searched in both languages, without a word to another host."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.harness import CHROMIUM, DARK, chromium, profile

ROOT = Path(__file__).parents[3]
SWEDISH = ("docs/anvandarguide", "docs/administratorsguide", "docs/befattningshavare")
FIRST_PAGES = (*SWEDISH, "docs/getting-started", "docs/integration", "docs/auditing")
"""The first page of each reader."""


def build(checkout: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout with the environment of this one."""
    command = [ROOT / ".venv-build" / "bin" / "python", checkout / "release" / "build.py", "docs", folder]
    return subprocess.run([str(each) for each in command], capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this checkout, whose build fails for each fault that it finds."""
    subprocess.run([ROOT / "samdrift", "build", "--help"], check=True, capture_output=True)
    folder = tmp_path_factory.mktemp("docs") / "site"
    built = build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def small(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with next to no pages, for faults: the real one takes longer to build."""
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


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        pytest.param("one.md", "# One\n\n## A place\n\n[Gone](gone.md)\n", "gone.md", id="a dead link"),
        pytest.param("README.md", "# First\n\n[One](one.md#gone)\n", "gone", id="a place that is not there"),
        pytest.param(
            "one.md",
            "# One\n\n## A place\n\n![Gone](pictures/gone.png)\n",
            "gone.png",
            id="a missing picture",
        ),
        pytest.param(
            "one.md",
            '# One\n\n## A place\n\n<p><img src="pictures/gone.png" alt="x"></p>\n',
            "gone.png",
            id="in HTML",
        ),
        pytest.param("two.md", "# Two\n\nNobody leads here.\n", "two", id="a page in no navigation"),
        pytest.param(
            "one.md",
            '# One\n\n## A place\n\n<p><img src="https://example.com/x.png" alt="x"></p>\n',
            "https://example.com/x.png",
            id="a picture of another host",
        ),
    ],
)
def test_each_fault_ends_the_build_and_is_named(
    small: Path, tmp_path: Path, file: str, text: str, named: str
) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(small, checkout)
    (checkout / "docs" / file).write_text(text)
    built = build(checkout, tmp_path / "site")
    assert built.returncode == 2
    assert named in built.stderr
    assert not (tmp_path / "site").exists()


def test_nothing_in_the_site_is_of_another_host(site: Path) -> None:
    """Beside what the build looks for: nothing of the usual places of fonts and scripts is in any file."""
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


async def visited(page: Page, site: Path, name: str) -> list[str]:
    """Open a page of the site from the disk; return what it asked for that is not of the site."""
    strange: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda asked: strange.append(asked.url) if not _is_own(asked.url, site) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(f"{site.as_uri()}/{name}")
    await page.wait_for_load_state("networkidle")
    return strange + complaints


def _is_own(url: str, site: Path) -> bool:
    return url.startswith((site.as_uri(), "data:"))


@CHROMIUM
@pytest.mark.parametrize("look", ["light", DARK])
@pytest.mark.parametrize("width", [320, 1280])
async def test_first_pages_ask_no_other_host_and_do_not_scroll_sideways(
    browser: Browser, site: Path, width: int, look: str
) -> None:
    """In light and dark, and as narrow as a telephone; the colours are those of the look."""
    async with profile(browser, width=width, look=look) as context:
        page = await context.new_page()
        for name in ("docs/README", *FIRST_PAGES):
            assert await visited(page, site, f"{name}.html") == []
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
        ("passernycklar", "Guide för befattningshavare"),
        ("witnessing", "Witness"),
        ("certificates", "Keys"),
        ("restoring", "Backup and restore"),
    ],
)
async def test_the_search_finds_inflected_words_of_both_languages(
    browser: Browser, site: Path, asked: str, title: str
) -> None:
    async with profile(browser) as context:
        page = await context.new_page()
        assert await visited(page, site, f"search.html?q={asked}") == []
        results = page.locator("#search-results ul.search li a")
        await expect(results.filter(has_text=title).first).to_be_visible()


@CHROMIUM
async def test_what_is_nowhere_is_not_found(browser: Browser, site: Path) -> None:
    async with profile(browser) as context:
        page = await context.new_page()
        await visited(page, site, "search.html?q=qwertyuiopå")
        await expect(page.locator("#search-results")).to_contain_text("did not match any documents")


@CHROMIUM
async def test_the_first_page_leads_each_reader_to_theirs(browser: Browser, site: Path) -> None:
    async with profile(browser, width=1280) as context:
        page = await context.new_page()
        await visited(page, site, "index.html")
        await expect(page).to_have_url(re.compile("docs/README.html"))
        for name in FIRST_PAGES:
            link = page.locator(f'.sidebar-tree a[href="{name.removeprefix("docs/")}.html"]')
            await expect(link.first).to_be_visible()
