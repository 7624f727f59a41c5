"""Marks in source that is not Python: ``/*[name*/ … /*]*/``, and ``{#[name#} … {#]#}`` in templates.

A mark stands around what a mutant takes away or replaces, and moves along with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_OPENING = re.compile(r"/\*\[([a-z-]+)\*/|\{#\[([a-z-]+)#\}")
_END = re.compile(r"/\*\]\*/|\{#\]#\}")
_MARKED = ("*.sql", "*.js", "*.html")


def openings(text: str) -> Iterator[re.Match[str]]:
    """Yield where marks open."""
    return _OPENING.finditer(text)


@cache
def marked(folder: Path) -> dict[str, Path]:
    """Return the file below a folder in which each mark is; raise :class:`LookupError` if two have a name."""
    places: dict[str, Path] = {}
    for pattern in _MARKED:
        for path in sorted(folder.rglob(pattern)):
            for opening in openings(path.read_text()):
                name = opening[1] or opening[2]
                if name in places:
                    raise LookupError(f"mark {name}: is in {places[name].name} and in {path.name}")
                places[name] = path
    return places


def replaced(text: str, name: str, to: str) -> str:
    """Return a text in which what is marked is replaced."""
    opening = next(each for each in openings(text) if name in each.groups())
    depth, end = 1, opening.end()
    while depth:
        following = [found for found in (_OPENING.search(text, end), _END.search(text, end)) if found]
        if not following:
            raise LookupError(f"mark {name}: does not end")
        nearest = min(following, key=lambda each: each.start())
        depth += 1 if nearest.re is _OPENING else -1
        end = nearest.end()
    return text[: opening.start()] + to + text[end:]
