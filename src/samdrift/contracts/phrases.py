"""Texts that are put into a person's language where they are shown: declared anywhere, translated there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


class Translations(Protocol):
    """The texts of one language."""

    def gettext(self, message: str, /) -> str:
        """Return a text in the language, by its English form."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text that is put into a person's language where it is shown, with values that are not."""

    text: str
    """In English, with ``%(name)s`` for values."""
    values: dict[str, Any] = field(default_factory=dict)
    """A value that is a phrase itself is put into the language, too."""

    def into(self, translations: Translations) -> str:
        """Return the text in a language."""
        said = {
            name: value.into(translations) if isinstance(value, Phrase) else value
            for name, value in self.values.items()
        }
        return translations.gettext(self.text) % said

    def __str__(self) -> str:
        """Return it in English, as commands print it."""
        return self.text % self.values
