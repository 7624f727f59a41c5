"""Conversion of a message text, from the HTML that pages show, to the blocks that a PDF is typeset from."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from samdrift.web.hostile import visible
from samdrift.web.messagetext import kept_text

_HEADINGS = frozenset({"h3", "h4", "h5", "h6"})
_BULLET = "–"

Block = dict[str, Any]


def blocks(html: str) -> list[Block]:
    """Return the blocks of a text made by :func:`samdrift.web.messagetext.message_text`.

    A nested list becomes lines of the item that contains it, with their own markers, because blocks have
    limited depth while a text may be nested arbitrarily.
    """
    reader = _Reader()
    reader.feed(str(kept_text(html)))
    reader.close()
    return reader.blocks


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self._runs: list[dict[str, Any]] | None = None
        """Runs to which text is added; ``None`` between blocks."""
        self._bold = 0
        self._italic = 0
        self._as_written = False
        self._lists: list[int | None] = []
        """Number of the next item of each open list; ``None`` for a list without numbers."""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("ul", "ol"):
            self._begin_list(_number(dict(attributes).get("start")) if tag == "ol" else None)
        elif tag == "li":
            self._begin_item()
        elif tag in _HEADINGS:
            self._begin_block("heading")
        elif tag == "p":
            self._begin_block("paragraph")
            self._as_written = ("class", "plain") in attributes
        elif tag == "br":
            self._add("\n")
        elif tag == "strong":
            self._bold += 1
        elif tag == "em":
            self._italic += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
            self._runs = None
        elif tag in _HEADINGS or tag in ("p", "li"):
            self._runs, self._as_written = None, False
        elif tag == "strong":
            self._bold = max(0, self._bold - 1)
        elif tag == "em":
            self._italic = max(0, self._italic - 1)

    def handle_data(self, data: str) -> None:
        """Add a text; a line feed counts as white space, as in HTML, unless the text is shown as written."""
        if not self._as_written:
            data = data.replace("\n", " ")
            if not self._runs or self._runs[-1]["text"].endswith("\n"):
                data = data.lstrip(" ")
        if data:
            self._add(data)

    def _add(self, text: str) -> None:
        if self._runs is None:
            self._begin_block("paragraph")
        assert self._runs is not None
        self._runs.append({"text": visible(text), "bold": self._bold > 0, "italic": self._italic > 0})

    def _begin_block(self, kind: str) -> None:
        if self._lists:  # A paragraph within a list item.
            if self._runs is None or self._runs:
                self._begin_line()
            return
        block: Block = {"kind": kind, "runs": []}
        self.blocks.append(block)
        self._runs = block["runs"]

    def _begin_list(self, start: int | None) -> None:
        if not self._lists:
            block = {"kind": "list", "ordered": start is not None, "start": start or 1, "items": []}
            self.blocks.append(block)
        self._lists.append(start)
        self._runs = None

    def _begin_item(self) -> None:
        if not self._lists:
            self._begin_block("paragraph")
            return
        number = self._lists[-1]
        if number is not None:
            self._lists[-1] = number + 1
        if len(self._lists) == 1:
            self.blocks[-1]["items"].append({"lines": []})
            self._begin_line()
        else:
            self._begin_line(_BULLET if number is None else f"{number}.")

    def _begin_line(self, marker: str = "") -> None:
        items = self.blocks[-1]["items"]
        if not items:
            items.append({"lines": []})
        line: Block = {"level": min(len(self._lists) - 1, 8), "marker": marker, "runs": []}
        items[-1]["lines"].append(line)
        self._runs = line["runs"]


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else 1
