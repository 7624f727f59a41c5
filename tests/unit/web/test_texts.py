"""Texts in two languages: none is missing, none is unused, and Swedish is the source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from samdrift.web.texts import Language, Phrase, Texts, preferred

SOURCE = Path(__file__).parents[3] / "src" / "samdrift"
DOCS = SOURCE.parents[1] / "docs"
CATALOGUES = sorted(SOURCE.rglob("locale/sv.po"))
_KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "Phrase": None,
}
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%(?!\()")


def used(package: Path) -> set[str]:
    """Return the texts in the code and templates of a package."""
    found = extract_from_dir(
        str(package),
        method_map=[("**.py", "python"), ("**.html", "jinja2")],
        options_map={"**.html": {"trimmed": "true", "silent": "false"}},
        keywords=_KEYWORDS,
    )
    return {
        one for _, _, message, *_ in found for one in (message if isinstance(message, tuple) else (message,))
    }


def read(file: Path) -> Catalog:
    with file.open("rb") as source:
        return read_po(source, abort_invalid=True)


def translated(file: Path) -> Iterator[tuple[str, str]]:
    for message in read(file):
        if message.id:
            assert isinstance(message.id, str)
            assert isinstance(message.string, str)
            yield message.id, message.string


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda path: path.parts[-3])
def test_every_text_is_in_both_languages_and_none_is_left_over(file: Path) -> None:
    texts = dict(translated(file))
    wanted = used(file.parents[1])
    assert wanted - texts.keys() == set()
    assert texts.keys() - wanted == set()
    assert [text for text, swedish in texts.items() if not swedish.strip()] == []
    assert not any(message.fuzzy for message in read(file))


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda path: path.parts[-3])
def test_both_languages_have_the_same_values_in_a_text(file: Path) -> None:
    for text, swedish in translated(file):
        assert sorted(_PLACEHOLDER.findall(text)) == sorted(_PLACEHOLDER.findall(swedish)), text


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda path: path.parts[-3])
def test_texts_are_calm(file: Path) -> None:
    """They use sentences, not exclamations, typographic apostrophes, and no capitals for emphasis.

    An agency has its name in capitals in English, and not even that in Swedish.
    """
    for english, swedish in translated(file):
        assert "Digg" not in english
        for text in (english.replace("DIGG", "Digg"), swedish):
            assert "!" not in text
            assert "'" not in text
            assert '"' not in text
            assert not re.search(r"\b[A-ZÅÄÖ]{4,}\b", text), text


def test_one_text_is_one_in_swedish_wherever_pages_show_it() -> None:
    """A role's pages read all catalogues as one, so a text with two meanings would be shown wrongly."""
    together = [file for file in CATALOGUES if {"web", "messageclient"} & set(file.parts)]
    meanings: dict[str, set[str]] = {}
    for file in together:
        for text, swedish in translated(file):
            meanings.setdefault(text, set()).add(swedish)
    assert {text: each for text, each in meanings.items() if len(each) > 1} == {}


@pytest.mark.parametrize("guide", ["anvandarguide", "administratorsguide"])
def test_guides_name_buttons_and_headings_as_the_pages_do(guide: str) -> None:
    """Bold text is a whole text of a page, and text that ends with a colon is the guide's own."""
    text = " ".join((DOCS / f"{guide}.md").read_text().split())
    named = {one for one in re.findall(r"\*\*(.+?)\*\*", text) if not one.endswith(":")}
    assert len(named) >= 10
    value = re.compile(r"%\(\w+\)s")
    texts = (text for file in CATALOGUES for _, text in translated(file))
    words = [text for text in texts if re.search(r"\w", value.sub("", text))]
    shown = re.compile("|".join(".+".join(map(re.escape, value.split(text))) for text in words))
    other = [one for one in named if not any(map(shown.fullmatch, (one, f"{one}.", one.rstrip("."))))]
    assert sorted(other) == []


def test_catalogues_are_found() -> None:
    assert {file.parts[-3] for file in CATALOGUES} >= {"entrance", "pages", "web"}


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "", Language.SWEDISH),
        (None, "de-DE,de;q=0.9", Language.SWEDISH),
        (None, "sv-SE,sv;q=0.9,en;q=0.8", Language.SWEDISH),
        (None, "en-US,en;q=0.9,sv;q=0.8", Language.ENGLISH),
        (None, "sv;q=0.1, en;q=0.2", Language.ENGLISH),
        (None, "en;q=x", Language.SWEDISH),
        ("en", "sv", Language.ENGLISH),
        ("sv", "en", Language.SWEDISH),
        ("xx", "en", Language.ENGLISH),
    ],
)
def test_the_language_is_chosen_or_preferred_and_else_swedish(
    chosen: str | None, accepted: str, language: Language
) -> None:
    assert preferred(chosen, accepted) is language


def test_a_phrase_is_put_into_a_language_where_it_is_shown() -> None:
    texts = Texts()
    phrase = Phrase("Sign in to %(name)s", {"name": "Håbo kommun"})
    assert phrase.into(texts.of(Language.SWEDISH)) == "Logga in till Håbo kommun"
    assert phrase.into(texts.of(Language.ENGLISH)) == "Sign in to Håbo kommun"
