"""Untrusted text made safe to read: hidden characters and those that change the direction are shown as codes.

A file name with a character that changes the direction (U+202E) reads ``fakturaexe.pdf`` but ends with
``fdp.exe``. Every value that a template shows passes through :func:`visible` automatically, and every file is
saved under its :func:`safe_name`.
"""

from __future__ import annotations

import re
import unicodedata

_KEPT = "\t\n\u200c\u200d"
"""Tab and line break; and joiners, which some scripts and emoji need."""
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_ALSO_HIDDEN = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and patterns without a visible form."""
_MAX_MARKS = 4
"""Maximum number of combining marks on one letter; more would overlap the surrounding lines."""
_MARK_CATEGORIES = frozenset({"Mn", "Me"})
_REMEMBERED = 0x10000
"""Limit below which characters are cached; those above are too many, and rare."""

_PERHAPS_HIDDEN = re.compile("[^\t\n\x20-\x7e\xa0-\xac\xae-\u02ff]")
"""Characters outside Latin script, which need a closer look; a class of all hidden ones would be slow."""
_PERHAPS_HEAP = re.compile(f"[^\x00-\u02ff]{{{_MAX_MARKS + 1},}}")


_UNFIT = re.compile(r"[^\w .()+-]+")
_MAX_NAME = 100
_MAX_READ = 4 * _MAX_NAME
"""Maximum number of characters read from each end of a name: normalising marks takes quadratic time."""
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names with a special meaning on Windows, whatever their extension."""


class _Codes(dict[int, int | str]):
    """Displayed forms of characters, each computed when it first occurs."""

    def __missing__(self, number: int) -> int | str:
        character = chr(number)
        hidden = unicodedata.category(character) in _HIDDEN_CATEGORIES and character not in _KEPT
        shown = f"⟦U+{number:04X}⟧" if hidden or character in _ALSO_HIDDEN else number
        if number < _REMEMBERED:
            self[number] = shown
        return shown


_CODES = _Codes()


def visible(text: str) -> str:
    """Return ``text`` with each hidden character as ``⟦U+202E⟧``, and surplus combining marks as ``⟦…⟧``.

    Text that is already HTML remains HTML, since the codes have no special meaning in it.
    """
    if _PERHAPS_HIDDEN.search(text) is None:
        return text
    shown, characters = str(text), set(text)  # Look up each distinct character only once.
    hidden = {ord(each): code for each in characters if (code := _CODES[ord(each)]) != ord(each)}
    if hidden:
        shown = shown.translate(hidden)
    if any(unicodedata.category(each) in _MARK_CATEGORIES for each in characters):
        shown = _PERHAPS_HEAP.sub(_thinned, shown)
    return text.__class__(shown)


def _thinned(found: re.Match[str]) -> str:
    """Shorten long sequences of combining marks in a match."""
    shown, marks = [], 0
    for character in found[0]:
        marks = marks + 1 if unicodedata.category(character) in _MARK_CATEGORIES else 0
        if marks <= _MAX_MARKS:
            shown.append(character)
        elif marks == _MAX_MARKS + 1:
            shown.append("⟦…⟧")
    return "".join(shown)


def safe_name(name: str) -> str:
    """Return a name under which a file can be saved on any system, without leaving its folder."""
    read = name if len(name) <= 2 * _MAX_READ else name[:_MAX_READ] + name[-_MAX_READ:]
    fit = _UNFIT.sub("_", unicodedata.normalize("NFC", read)).strip(" .")
    stem, dot, ending = fit.rpartition(".")
    short = f"{stem[: _MAX_NAME - len(ending) - 1]}.{ending}" if dot and len(ending) < 20 else fit
    short = short[:_MAX_NAME].strip(" .")
    return f"_{short}" if _DEVICE.fullmatch(short) else short or "fil"
