"""Text of others made harmless to the eye: what is hidden or turns the reading direction is shown as a code.

A file name with a character that turns the direction (U+202E) reads ``fakturaexe.pdf`` and ends with
``fdp.exe``. Every value that a template shows goes through :func:`visible`, without being asked for.
"""

from __future__ import annotations

import re
import sys
import unicodedata

_KEPT = "\t\n\u200c\u200d"
"""Line breaks; and joiners, which some scripts and pictures cannot be written without."""
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_ALSO_HIDDEN = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and patterns that show nothing."""
_MOST_MARKS = 4
"""Marks that one letter may carry; more of them grow over the lines around."""


def _class(characters: list[int]) -> str:
    """Return a character class with ranges."""
    ranges: list[list[int]] = []
    for each in characters:
        if ranges and ranges[-1][1] == each - 1:
            ranges[-1][1] = each
        else:
            ranges.append([each, each])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)


def _of(categories: frozenset[str]) -> list[int]:
    everything = range(sys.maxunicode + 1)
    return [each for each in everything if unicodedata.category(chr(each)) in categories]


_HIDDEN = [each for each in _of(_HIDDEN_CATEGORIES) if chr(each) not in _KEPT] + list(map(ord, _ALSO_HIDDEN))
_MARKS = _class(_of(frozenset({"Mn", "Me"})))
_SHOWN_AS_CODE = re.compile(f"[{_class(sorted(_HIDDEN))}]|(?<=[{_MARKS}]{{{_MOST_MARKS}}})[{_MARKS}]+")


def visible(text: str) -> str:
    """Return ``text`` with each hidden character as ``⟦U+202E⟧``, and a heap of marks as ``⟦…⟧``.

    Text that is already HTML stays so: what is put in has no meaning there.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.__class__(_SHOWN_AS_CODE.sub(_code, str(text)))


def _code(found: re.Match[str]) -> str:
    character = found[0][0]
    if unicodedata.category(character) in ("Mn", "Me"):
        return "⟦…⟧"
    return f"⟦U+{ord(character):04X}⟧"
