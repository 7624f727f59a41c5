"""Texts in Swedish and English, from gettext catalogues in source form.

A text in code or a template is its English form; ``locale/sv.po`` has the Swedish one. Catalogues are
compiled in memory when the program starts, so no compiled file can be out of date. Swedish is the default for
people whose browsers ask for neither language.
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
    """A language in which all texts are available."""

    SWEDISH = "sv"
    ENGLISH = "en"


class Texts:
    """The catalogues of several packages, combined per language."""

    def __init__(self, folders: Iterable[Path] = (OWN,)) -> None:
        swedish = compiled(folder / f"{Language.SWEDISH}.po" for folder in folders)
        self._by_language = {Language.SWEDISH: swedish, Language.ENGLISH: NullTranslations()}

    def of(self, language: Language) -> NullTranslations:
        """Return the translations into a language."""
        return self._by_language[language]


def compiled(files: Iterable[Path]) -> GNUTranslations:
    """Compile catalogue sources into one catalogue in memory; later files take precedence.

    A combined catalogue needs one look-up per text instead of one per catalogue.
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
    """Return the language that a person chose, otherwise that of the browser (``Accept-Language``)."""
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
