"""Sentences of official rulebooks, found in a folder that the operator fills.

The texts are not ours and are never shipped. A duty in the catalogue has the place of its sentence (text,
section, number of words) and a digest of its words. With these the sentence can be shown next to our own
wording where the text is available, and a different edition of the text is recognised.

The texts are extracted from PDF, where a page may end in the middle of a sentence and words are broken
across lines. Words are therefore compared without surrounding punctuation, and with their line breaks.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 4 * 1024 * 1024
"""Maximum size of a text that is read, in bytes."""

_FOOT = re.compile(r"\s*(?:/digg\.se\s*\d*|\d{1,3} ?\(\d+\))\s*|\s{40,}\d{1,3}\s*")
_CONTENTS = re.compile(r"\.{4,}|PAGEREF")
_HEADING = re.compile(r"\s{0,30}(?P<number>\d+(?:\.\d+)*)\.?\s+(?P<title>[^\W\d].*?)\s*$")
_ENTRY = re.compile(r"\s*(?P<number>\d+(?:\.\d+)*)\.?\s+(?P<title>[^\W\d].*?)(?:\s*\.{4,}|\s+PAGEREF)")
_VERSION = re.compile(r"-[0-9.-]+$")
_MARK = "\"'“”„’‘().,;:[]•"


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence of an official text, identified by the number of its words and their digest."""

    words: int
    digest: str


@dataclass(frozen=True, slots=True)
class Found:
    """An official sentence found in the folder, and whether it is in the section that the duty names."""

    text: str
    in_section: bool


class Folder:
    """A folder of official texts, with subfolders; a file is known by its name without the version."""

    def __init__(self, folder: Path) -> None:
        self._files = {
            _VERSION.sub("", file.stem): file for file in sorted(folder.rglob("*.txt")) if file.is_file()
        }
        self._lines: dict[str, list[str]] = {}

    def __contains__(self, text: str) -> bool:
        return text in self._files

    def words(self, text: str, section: str) -> list[str]:
        """Return the words of a section of a text, or of the whole text if ``section`` is empty."""
        lines = self._read(text)
        if section:
            lines = _section(lines, section)
        return words_of("\n".join(line for line in lines if not _CONTENTS.search(line)))

    def sentence(self, text: str, section: str, passage: Passage) -> Found | None:
        """Return the official sentence, or ``None`` if the folder does not have this edition of the text."""
        if text not in self:
            return None
        for where in (section, "") if section else ("",):
            found = _find(self.words(text, where), passage)
            if found:
                return Found(found, where == section)
        return None

    def _read(self, text: str) -> list[str]:
        if text not in self._lines:
            file = self._files[text]
            content = file.read_bytes() if file.stat().st_size <= MAX_BYTES else b""
            lines = content.decode("utf-8", "replace").replace("\f", "\n").splitlines()
            self._lines[text] = [line for line in lines if not _FOOT.fullmatch(line)]
        return self._lines[text]


def words_of(text: str) -> list[str]:
    """Return the words of a text, leaving out marks that stand alone, such as bullets."""
    return [word for word in text.split() if bare(word)]


def bare(word: str) -> str:
    """Return a word without surrounding punctuation."""
    return unicodedata.normalize("NFC", word).strip(_MARK)


def digest(words: Sequence[str]) -> str:
    """Return the digest of a sequence of words, by which a passage is found."""
    return hashlib.sha256(" ".join(map(bare, words)).encode()).hexdigest()[:16]


def _find(words: Sequence[str], passage: Passage) -> str:
    count = passage.words
    for start in range(len(words) - count + 1):
        if digest(words[start : start + count]) == passage.digest:
            return " ".join(words[start : start + count])
    return ""


def _section(lines: Sequence[str], section: str) -> list[str]:
    """Return the lines of a section.

    Its heading is found by its number or, if the body has no number, by its title in the table of contents.
    """
    start = end = None
    wanted = _number(section)
    titles = {
        match["title"]: _number(match["number"])
        for line in lines
        if _CONTENTS.search(line) and (match := _ENTRY.match(line))
    }
    for place, line in enumerate(lines):
        if _CONTENTS.search(line):
            continue
        heading = _HEADING.fullmatch(line)
        number = _number(heading["number"]) if heading else titles.get(line.strip(), ())
        if number == wanted:
            start, end = place, None
        elif start is not None and end is None and _comes_after(number, wanted):
            end = place
    return list(lines[start:end]) if start is not None else []


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split("."))


def _comes_after(number: tuple[int, ...], section: tuple[int, ...]) -> bool:
    """Return whether a heading's number ends the section: it is the next one at any of its levels."""
    return any(number == (*section[:level], section[level] + 1) for level in range(len(section)))
