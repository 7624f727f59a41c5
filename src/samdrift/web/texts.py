"""Texts in Swedish and English, from gettext catalogues that are read as they are written.

A text in code or template is its English form; ``locale/sv.po`` has the Swedish one. It is compiled in
memory when the program starts, so there is no file that could be older than its source. Swedish leads: it is
what a person sees whose browser asks for neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from samdrift.contracts.phrases import Phrase as Phrase

OWN = Path(__file__).parent / "locale"
"""The catalogues of this package."""


class Language(StrEnum):
    """A language that all texts exist in."""

    SWEDISH = "sv"
    ENGLISH = "en"


class Texts:
    """The catalogues of several packages, as one for each language."""

    def __init__(self, folders: Iterable[Path] = (OWN,)) -> None:
        swedish = compiled(folder / f"{Language.SWEDISH}.po" for folder in folders)
        self._by_language = {Language.SWEDISH: swedish, Language.ENGLISH: NullTranslations()}

    def of(self, language: Language) -> NullTranslations:
        """Return the translations into a language."""
        return self._by_language[language]


def compiled(files: Iterable[Path]) -> GNUTranslations:
    """Read the sources of catalogues into one, the last of them first; nothing is written to disk.

    In one, a text is looked up once, and not in each catalogue until it is found.
    """
    whole = Catalog()
    for file in files:
        with file.open("rb") as source:
            for message in read_po(source):
                whole[message.id] = message
    binary = BytesIO()
    write_mo(binary, whole)
    binary.seek(0)
    return GNUTranslations(binary)


def preferred(chosen: str | None, accepted: str) -> Language:
    """Return the language a person chose, else the one that their browser prefers (``Accept-Language``)."""
    if chosen is not None and chosen in set(Language):
        return Language(chosen)
    weights = dict.fromkeys(Language, 0.0)
    for item in accepted.split(",")[:20]:
        tag, _, quality = item.partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in set(Language):
            weight = _weight(quality)
            weights[Language(language)] = max(weights[Language(language)], weight)
    return max(Language, key=lambda language: weights[language])


def _weight(quality: str) -> float:
    try:
        return float(quality.strip().removeprefix("q=") or 1)
    except ValueError:
        return 0.0
