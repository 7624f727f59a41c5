"""Text of others made harmless to the eye: what is hidden or turns the reading direction is shown as a code.

A file name with a character that turns the direction (U+202E) reads ``fakturaexe.pdf`` and ends with
``fdp.exe``. Every value that a template shows goes through :func:`visible`, without being asked for, and
every file is saved under its :func:`safe_name`.
"""

from __future__ import annotations

import re
import unicodedata

_KEPT = "\t\n\u200c\u200d"
"""Line breaks; and joiners, which some scripts and pictures cannot be written without."""
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_ALSO_HIDDEN = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and patterns that show nothing."""
_MOST_MARKS = 4
"""Marks that one letter may carry; more of them grow over the lines around."""
_MARK_CATEGORIES = frozenset({"Mn", "Me"})
_REMEMBERED = 0x10000
"""Characters below it are looked up once; the others are too many, and rare."""

_PERHAPS_HIDDEN = re.compile("[^\t\n\x20-\x7e\xa0-\xac\xae-\u02ff]")
"""A character outside Latin script is a reason to look; a class of all hidden ones would be slow."""
_PERHAPS_HEAP = re.compile(f"[^\x00-\u02ff]{{{_MOST_MARKS + 1},}}")


_UNFIT = re.compile(r"[^\w .()+-]+")
_LONGEST_NAME = 100
_MOST_READ = 4 * _LONGEST_NAME
"""Characters of a name that are read from each end: marks are put in order in the square of their number."""
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that mean something else on Windows, whatever follows them."""


class _Codes(dict[int, int | str]):
    """Forms in which characters are shown, each found out when it first occurs."""

    def __missing__(self, number: int) -> int | str:
        character = chr(number)
        hidden = unicodedata.category(character) in _HIDDEN_CATEGORIES and character not in _KEPT
        shown = f"⟦U+{number:04X}⟧" if hidden or character in _ALSO_HIDDEN else number
        if number < _REMEMBERED:
            self[number] = shown
        return shown


_CODES = _Codes()


def visible(text: str) -> str:
    """Return ``text`` with each hidden character as ``⟦U+202E⟧``, and a heap of marks as ``⟦…⟧``.

    Text that is already HTML stays so: what is put in has no meaning there.
    """
    if _PERHAPS_HIDDEN.search(text) is None:
        return text
    shown, characters = str(text), set(text)  # Each is looked up once, however often it stands there.
    hidden = {ord(each): code for each in characters if (code := _CODES[ord(each)]) != ord(each)}
    if hidden:
        shown = shown.translate(hidden)
    if any(unicodedata.category(each) in _MARK_CATEGORIES for each in characters):
        shown = _PERHAPS_HEAP.sub(_thinned, shown)
    return text.__class__(shown)


def _thinned(found: re.Match[str]) -> str:
    """Cut heaps of marks within a run of characters that may be marks."""
    shown, marks = [], 0
    for character in found[0]:
        marks = marks + 1 if unicodedata.category(character) in _MARK_CATEGORIES else 0
        if marks <= _MOST_MARKS:
            shown.append(character)
        elif marks == _MOST_MARKS + 1:
            shown.append("⟦…⟧")
    return "".join(shown)


def safe_name(name: str) -> str:
    """Return a name under which a file can be saved anywhere, and is nowhere but in its folder."""
    read = name if len(name) <= 2 * _MOST_READ else name[:_MOST_READ] + name[-_MOST_READ:]
    fit = _UNFIT.sub("_", unicodedata.normalize("NFC", read)).strip(" .")
    stem, dot, ending = fit.rpartition(".")
    short = f"{stem[: _LONGEST_NAME - len(ending) - 1]}.{ending}" if dot and len(ending) < 20 else fit
    short = short[:_LONGEST_NAME].strip(" .")
    return f"_{short}" if _DEVICE.fullmatch(short) else short or "fil"
