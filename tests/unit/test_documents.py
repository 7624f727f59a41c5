"""The documents are correct: links lead somewhere, and tests and commands that they name exist."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from samdrift.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("changes/*.md")),
]
PICTURES = sorted(ROOT.glob("docs/**/*.svg"))


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text)
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_links_into_a_page_find_their_heading(document: Path) -> None:
    for file, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", document.read_text()):
        target = document.parent / file if file else document
        headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_commands_that_are_shown_exist(document: Path) -> None:
    shown = re.findall(r"\./samdrift ([a-z0-9]+)", document.read_text())
    assert set(shown) <= set(COMMANDS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_tests_that_are_named_exist(document: Path) -> None:
    named = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", document.read_text())
    for file, function in named:
        assert (ROOT / file).exists(), file
        assert not function or re.search(rf"def {function}\b", (ROOT / file).read_text()), (file, function)


def test_there_are_seventeen_invariants_and_each_says_what_holds_it() -> None:
    section = (ROOT / "ARCHITECTURE.md").read_text().partition("\n## Invariants\n")[2].partition("\n## ")[0]
    entries = re.split(r"\n(?=\d+\. \*\*)", section)[1:]
    assert [int(entry.partition(".")[0]) for entry in entries] == list(range(1, 18))
    for entry in entries:
        assert re.search(r"tests/[\w/]+\.py|Not yet", entry), entry


def test_rules_are_where_the_map_says() -> None:
    section = (
        (ROOT / "ARCHITECTURE.md").read_text().partition("\n## Where rules are\n")[2].partition("\n## ")[0]
    )
    rows = re.findall(r"^\| (?!rule|---)(.+) \| (.+) \|$", section, re.MULTILINE)
    assert len(rows) == 10
    for words, place in rows:
        assert re.search(r"\*\*\w+", words), words
        named = re.findall(r"((?:`\w+`(?:, | and | in )*)+)\[[^]]+\]\((src/[^)]+)\)", place)
        assert named or "docs/keys.md" in place, words
        for names, file in named:
            for name in re.findall(r"\w+", names.replace(" and ", " ").replace(" in ", " ")):
                defined = rf"^\s*(?:(?:async )?def |class )?{name}\b(?:\(|:| =)"
                assert re.search(defined, (ROOT / file).read_text(), re.MULTILINE), (name, file)


def test_every_decision_record_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert re.findall(r"\]\((\d[^)]+\.md)\)", (folder / "README.md").read_text()) == records


def test_both_readmes_have_the_same_parts_and_lead_to_the_same_pages() -> None:
    english, swedish = ((ROOT / name).read_text() for name in ("README.md", "README.sv.md"))
    for mark in (r"^## ", r"^\| ", r"^```", r"^<img "):
        assert len(re.findall(mark, english, re.MULTILINE)) == len(re.findall(mark, swedish, re.MULTILINE))
    led, swedish_led = (set(re.findall(r"\]\(([^)]+)\)", text)) for text in (english, swedish))
    assert led - {"README.sv.md"} == swedish_led - {"README.md"}


@pytest.mark.parametrize("picture", PICTURES, ids=ids)
def test_pictures_can_be_heard_and_seen_in_the_dark(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    named = {child.get("id") for child in root if child.tag.endswith(("}title", "}desc")) and child.text}
    assert named == set((root.get("aria-labelledby") or "").split()) == {"title", "desc"}
    assert "prefers-color-scheme: dark" in picture.read_text()
