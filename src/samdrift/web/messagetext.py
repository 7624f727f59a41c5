"""Text of a message as HTML: only the markdown that the content specification allows.

Clauses: content-specification 4.3.3.2 sentence 1.

It allows headings, strong, emphasis and lists. Single line breaks are kept; links and everything else remain
text. A text that would take too long to parse is shown as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_RULES = ("heading", "list", "emphasis", "newline", "balance_pairs", "fragments_join", "text_join")
_TAGS = frozenset({"h3", "h4", "h5", "h6", "p", "br", "strong", "em", "ul", "ol", "li"})
_CLEANER = nh3.Cleaner(tags=set(_TAGS), attributes={"ol": {"start"}, "p": {"class"}}, link_rel=None)
_MAX_LENGTH = 50_000
"""Maximum number of characters, some twenty pages; longer texts are shown as plain text."""
_MAX_MARKS = 4_000
"""Maximum number of emphasis and list signs in one text, since parsing very many is slow."""
_MAX_NESTED = 20
_DEEP = re.compile(
    rf"^[ \t]*(?:(?:[*+-]|\d{{1,9}}[.)])[ \t]+){{{_MAX_NESTED}}}|^[ \t]{{{4 * _MAX_NESTED}}}", re.MULTILINE
)

_PARSER = MarkdownIt("zero", {"breaks": True, "html": False, "maxNesting": 2 * _MAX_NESTED})
_PARSER.enable(_RULES)


def message_text(text: str) -> Markup:
    """Return the text of a message as HTML with only :data:`_TAGS`; our own HTML is returned unchanged."""
    if isinstance(text, Markup):
        return text
    if len(text) > _MAX_LENGTH or _is_laborious(text):
        return plain_text(text)
    tokens = _PARSER.parse(text)
    _lower(tokens)
    return kept_text(_PARSER.renderer.render(tokens, _PARSER.options, {}))


def plain_text(text: str) -> Markup:
    """Return the text of a message as HTML that shows it exactly as written."""
    return Markup('<p class="plain">{}</p>').format(text)


def kept_text(html: str) -> Markup:
    """Return stored output of :func:`message_text` as HTML, cleaned again as it may come from anywhere.

    Cleaning is many times faster than parsing the markdown again.
    """
    return Markup(_CLEANER.clean(html))  # noqa: S704


def _is_laborious(text: str) -> bool:
    return sum(map(text.count, "*_")) > _MAX_MARKS or _DEEP.search(text) is not None


def _lower(tokens: Sequence[Token]) -> None:
    """Move the headings of a message below those of the page around it."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
