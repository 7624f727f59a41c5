"""Texts that are declared anywhere and translated into a person's language where they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


class Translations(Protocol):
    """Translations into one language."""

    def gettext(self, message: str, /) -> str:
        """Return the translation of an English text."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A translatable text, with values that are inserted untranslated."""

    text: str
    """The English text, with ``%(name)s`` as placeholders for values."""
    values: dict[str, Any] = field(default_factory=dict)
    """Values for the placeholders; a value that is itself a phrase is translated too."""

    def into(self, translations: Translations) -> str:
        """Return the text translated, with its values inserted."""
        said = {
            name: value.into(translations) if isinstance(value, Phrase) else value
            for name, value in self.values.items()
        }
        return translations.gettext(self.text) % said

    def __str__(self) -> str:
        """Return the text in English, as commands print it."""
        return self.text % self.values
