"""The documentation site: Sphinx's input, navigation by reader, look, and a search in two languages.

The pages stay plain Markdown whose links work in the checkout, which is itself the site's source. The
navigation is therefore here, and a page that is not in it is an error.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import snowballstemmer
import sphinx.search
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.search import SearchLanguage
from sphinx.search.en import SearchEnglish
from sphinx.search.sv import SearchSwedish

CHECKOUT = Path(__file__).parents[2]

project = "Samdrift"
author = "Samdrift"
release = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
extensions = ["myst_parser"]
root_doc = "docs/README"
include_patterns = ["*.md", "docs/**.md", "tests/fuzz/README.md", "tests/mutation/README.md"]
language = "en"
smartquotes = False
highlight_language = "none"
suppress_warnings = ["misc.highlighting_failure"]
"""Examples have an ellipsis for omitted values, which is not valid in any language."""
myst_heading_anchors = 6
myst_enable_extensions = ["html_image"]

NAVIGATION: Sequence[tuple[str, Sequence[str]]] = (
    ("Handläggare", ("docs/anvandarguide",)),
    ("Administratör", ("docs/administratorsguide",)),
    (
        "Befattningshavare",
        (
            *("docs/befattningshavare", "docs/officers", "docs/groups", "docs/reviews"),
            *("docs/agreements", "docs/operator-view"),
        ),
    ),
    (
        "Operator",
        (
            *("docs/getting-started", "docs/deployment", "docs/operations", "docs/configuration"),
            *("docs/organisations", "docs/sign-in", "docs/key-sets", "docs/moving"),
            *("docs/console", "docs/monitoring", "docs/runbooks/README", "docs/outages", "docs/backup"),
            "docs/upgrade",
            *("docs/database", "docs/objects", "docs/keys", "docs/hsm", "docs/malware", "docs/isolation"),
            *("docs/testbed", "docs/performance", "docs/scale"),
        ),
    ),
    (
        "Integrator",
        (
            *("docs/integration", "docs/interface-d", "docs/authorization", "docs/interface-c"),
            *("docs/domibus", "docs/compatibility"),
        ),
    ),
    (
        "Auditor",
        (
            *("docs/auditing", "docs/conformance", "docs/separation", "docs/threat-model", "docs/log"),
            *("docs/witness", "docs/session-keys", "docs/mutation", "docs/openfga", "SECURITY"),
        ),
    ),
    (
        "Developer",
        (
            *("README", "README.sv", "ARCHITECTURE", "CONTRIBUTING", "docs/decisions/README", "CHANGELOG"),
            *("tests/fuzz/README", "tests/mutation/README"),
        ),
    ),
)
"""Pages by reader: each page once, where its reader looks for it first."""
TITLES = {
    "docs/officers": "Vad som skrivs under, med kommandon (på engelska)",
    "docs/groups": "Grupper ur organisationens katalog (på engelska)",
    "docs/reviews": "Vilka som kan, granskningar, incidenter (på engelska)",
    "docs/agreements": "Avtal, krav och efterlevnad (på engelska)",
    "docs/operator-view": "Vad driften ser utan att fråga (på engelska)",
}
"""Swedish navigation titles of pages that are in English."""
BELOW = {"docs/runbooks/README": "docs/runbooks/*", "docs/decisions/README": "docs/decisions/*"}
"""Pages with other pages below them."""
SWEDISH = {"docs/anvandarguide", "docs/administratorsguide", "docs/befattningshavare", "README.sv"}

html_theme = "furo"
html_title = "Samdrift"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = str(CHECKOUT / "src/samdrift/web/static/mark.svg")
html_extra_path = ["root"]
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False
html_use_index = False
html_permalinks_icon = "#"
html_search_language = "sv-en"
_FACE = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif'
_LIGHT = {
    **{"font-stack": _FACE, "font-stack--headings": _FACE},
    **{"color-brand-primary": "#0b5c66", "color-brand-content": "#0b5c66", "color-brand-visited": "#0b5c66"},
    **{"color-background-primary": "#ffffff", "color-background-secondary": "#f5f4f0"},
    **{"color-foreground-primary": "#1f1e1b", "color-foreground-secondary": "#5f5b54"},
    **{"color-foreground-muted": "#5f5b54", "color-background-border": "#e4e1da"},
}
_DARK = {
    **{"color-brand-primary": "#7fcbd4", "color-brand-content": "#7fcbd4", "color-brand-visited": "#7fcbd4"},
    **{"color-background-primary": "#1d2023", "color-background-secondary": "#141618"},
    **{"color-foreground-primary": "#ecebe7", "color-foreground-secondary": "#a9adb1"},
    **{"color-foreground-muted": "#a9adb1", "color-background-border": "#2e3337"},
}
html_theme_options = {
    "light_css_variables": _LIGHT,
    "dark_css_variables": _DARK,
    "footer_icons": [],
    "top_of_page_buttons": [],
}


_STEMMERS = Path(sphinx.search.__file__).with_name("minified-js")


class SearchInBoth(SearchLanguage):
    """A search by the stems of both languages, so that inflected words find pages in either."""

    lang = "sv-en"
    language_name = "Swedish and English"
    stopwords = frozenset(SearchEnglish.stopwords) & frozenset(SearchSwedish.stopwords)
    js_stemmer_code = "\n".join(
        [
            *((_STEMMERS / f"{name}-stemmer.js").read_text() for name in ("base", "swedish", "english")),
            "window.Stemmer = function () {",
            "  const swedish = new SwedishStemmer(), english = new EnglishStemmer();",
            "  this.stemWord = (word) => english.stemWord(swedish.stemWord(word));",
            "};",
        ]
    )

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self._stemmers = [snowballstemmer.stemmer(name) for name in ("swedish", "english")]

    def stem(self, word: str) -> str:
        """Return the English stem of the Swedish stem; the page's own script does the same."""
        word = word.lower()
        for stemmer in self._stemmers:
            word = stemmer.stemWord(word)
        return word


def _navigate(app: Sphinx, name: str, text: list[str]) -> None:
    """Add each reader's navigation to the first page, and the subpages to pages that have some."""
    if name == root_doc:
        text[0] += "".join(_toctree(pages, caption) for caption, pages in NAVIGATION)
    elif name in BELOW:
        text[0] += _toctree([BELOW[name]], glob=True)


def _toctree(pages: Sequence[str], caption: str = "", *, glob: bool = False) -> str:
    settings = [":hidden:", *([f":caption: {caption}"] if caption else []), *([":glob:"] if glob else [])]
    return "\n\n```{toctree}\n" + "\n".join([*settings, "", *map(_entry, pages)]) + "\n```\n"


def _entry(page: str) -> str:
    return f"{TITLES[page]} </{page}>" if page in TITLES else f"/{page}"


def _speak(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Set the language of each page."""
    context["language"] = "sv" if name in SWEDISH else "en"


def _name_folders(app: Sphinx, page: nodes.document) -> None:
    """Replace a link to a folder of the source by its text, because the site has no page for it."""
    for link in list(page.findall(pending_xref)):
        if (CHECKOUT / Path(link["refdoc"]).parent / link["reftarget"]).is_dir():
            link.replace_self(link.children)


def setup(app: Sphinx) -> None:
    """Register the search and the functions above with Sphinx."""
    app.add_search_language(SearchInBoth)
    app.connect("source-read", _navigate)
    app.connect("html-page-context", _speak)
    app.connect("doctree-read", _name_folders)
