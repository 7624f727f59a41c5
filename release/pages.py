"""The documentation site: every page under docs/ and next to it, built so that a fault fails the build.

Sphinx finds dead links, missing pictures, and pages that are in no navigation. Faults that it cannot see are
looked for in its output: references from raw HTML, links to missing anchors, and resources that a browser
would fetch from another host.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.cmd.build import build_main

from failures import BuildFailure
from wheels import epoch

_SITE = Path(__file__).with_name("site")
_FETCHED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
"""Attributes whose address a browser fetches automatically."""
_IN_STYLES = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])([^"')]+)""")
_PICTURES = (".svg", ".png")


def build(checkout: Path, folder: Path) -> Path:
    """Build the site into ``folder``, which must not exist, and return its first page."""
    if folder.exists():
        raise BuildFailure(f"{folder}: is there already; build the site into a folder of its own")
    os.environ.setdefault("SOURCE_DATE_EPOCH", epoch(checkout))
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary, "site")
        strict = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--builder", "html"]
        places = ["--conf-dir", str(_SITE), "--doctree-dir", str(Path(temporary, "doctrees"))]
        if build_main([*strict, *places, str(checkout), str(made)]):
            raise BuildFailure("the documentation site has faults, see above")
        shutil.rmtree(made / ".doctrees", ignore_errors=True)
        (made / ".buildinfo").unlink(missing_ok=True)
        _bring_pictures(checkout, made)
        if found := list(faults(made)):
            raise BuildFailure("the documentation site has faults:\n" + "\n".join(found))
        shutil.copytree(made, folder)
    return folder / "index.html"


def _bring_pictures(checkout: Path, site: Path) -> None:
    """Copy the pictures to which raw HTML refers by their path in the checkout."""
    for page in _pages(site):
        for address in _read(page).fetched:
            there = (page.parent / unquote(address)).resolve()
            if there.suffix in _PICTURES and there.is_relative_to(site) and not there.exists():
                source = checkout / there.relative_to(site)
                if source.is_file():
                    there.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, there)
    _read.cache_clear()


def faults(site: Path) -> Iterator[str]:
    """Yield a site's faults: dead references, and resources that a browser would fetch from another host."""
    site = site.resolve()
    for page in _pages(site):
        name = page.relative_to(site)
        read = _read(page)
        for address in read.fetched:
            if _is_elsewhere(address):
                yield f"{name}: fetches {address} from another host"
        for address in (*read.fetched, *read.links):
            if not _is_elsewhere(address) and not _leads_somewhere(page, site, address):
                yield f"{name}: leads to {address}, which is not there"
    for style in sorted(site.rglob("*.css")):
        for address in _IN_STYLES.findall(style.read_text()):
            if _is_elsewhere(address):
                yield f"{style.relative_to(site)}: fetches {address} from another host"


def _pages(site: Path) -> list[Path]:
    """Return the pages, without linked source files, which may be templates of other pages."""
    return sorted(page for page in site.rglob("*.html") if "_downloads" not in page.relative_to(site).parts)


def _is_elsewhere(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "mailto")


def _leads_somewhere(page: Path, site: Path, address: str) -> bool:
    parts = urlsplit(address)
    if parts.scheme:
        return parts.scheme == "data"
    there = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not there.is_relative_to(site) or not there.is_file():
        return False
    place = unquote(parts.fragment)
    return not place or there.suffix != ".html" or place in _read(there).places


class _Page(HTMLParser):
    """Resources that a page fetches, its links, and the anchors in it."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag in _FETCHED and _FETCHED[tag] in given:
            self.fetched.append(given[_FETCHED[tag]])
        self.fetched += [each.split()[0] for each in given.get("srcset", "").split(",") if each.strip()]
        if tag == "link" and "href" in given:
            fetched = not {"next", "prev", "search", "index", "author"} & set(given.get("rel", "").split())
            (self.fetched if fetched else self.links).append(given["href"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])


@cache
def _read(page: Path) -> _Page:
    read = _Page()
    read.feed(page.read_text())
    return read
