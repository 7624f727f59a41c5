"""Other people's texts as they are shown: hidden characters, markdown, times and numbers."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from samdrift.web.formats import Formats
from samdrift.web.hostile import visible
from samdrift.web.messagetext import kept_text, message_text
from samdrift.web.pages import initials
from samdrift.web.texts import Language
from tests.sizes import sampled
from tests.unit.web.scene import NOW

WEB = Path(__file__).parents[3] / "src" / "samdrift" / "web"
SV, EN = Formats(Language.SWEDISH, NOW), Formats(Language.ENGLISH, NOW)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Håbo kommun", "Håbo kommun"),
        ("faktura\u202efdp.exe", "faktura⟦U+202E⟧fdp.exe"),
        ("a\x00b\x1b[31m", "a⟦U+0000⟧b⟦U+001B⟧[31m"),
        ("a\u200bb\ufeff\u2066", "a⟦U+200B⟧b⟦U+FEFF⟧⟦U+2066⟧"),
        ("a\u2028b\u00ad", "a⟦U+2028⟧b⟦U+00AD⟧"),
        ("\U000e0041", "⟦U+E0041⟧"),
        ("\u3164", "⟦U+3164⟧"),
        ("rad\n\tett", "rad\n\tett"),
        (
            "مرحبا שלום 日本 👨\u200d👩\u200d👧 می\u200cخواهم",
            "مرحبا שלום 日本 👨\u200d👩\u200d👧 می\u200cخواهم",
        ),
        ("e\u0301", "e\u0301"),
        ("Z" + "\u0301" * 50 + "a", "Z" + "\u0301" * 4 + "⟦…⟧a"),
    ],
)
def test_what_cannot_be_seen_is_shown_as_a_code(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_that_is_shown_is_hidden_or_turns_the_direction(text: str) -> None:
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", visible(text)
    )


def counted(show: Callable[[str], str], text: str) -> tuple[int, str]:
    """Show a text; return the number of function calls and returns for it."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        shown = show(text)
    finally:
        sys.setprofile(None)
    return calls, shown


@pytest.mark.parametrize("text", ["å" * 500_000, "ب" * 500_000, "e\u0301" * 100_000, "\u0301" * 100_000])
def test_long_text_of_any_script_is_looked_through_quickly(text: str) -> None:
    """Calls are counted per character, which neither the machine nor the length changes."""
    calls, _ = counted(visible, text)
    assert calls < 10 * len(text)


def test_html_stays_html() -> None:
    shown = visible(Markup("<b>a\u202e</b>"))
    assert (shown, type(shown)) == ("<b>a⟦U+202E⟧</b>", Markup)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# Ett", "<h3>Ett</h3>"),
        ("## Två", "<h4>Två</h4>"),
        ("###### Sex", "<h6>Sex</h6>"),
        ("**xyz** __xyz__", "<p><strong>xyz</strong> <strong>xyz</strong></p>"),
        ("*xyz* _xyz_", "<p><em>xyz</em> <em>xyz</em></p>"),
        ("* xyz\n* abc", "<ul>\n<li>xyz</li>\n<li>abc</li>\n</ul>"),
        ("1. a\n2. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("first\n\nsecond", "<p>first</p>\n<p>second</p>"),
        ("first  \nsecond", "<p>first<br>\nsecond</p>"),
        ("first\nsecond", "<p>first<br>\nsecond</p>"),
    ],
)
def test_the_markdown_of_the_content_specification(text: str, html: str) -> None:
    """content-specification 4.3.3.2 sentence 1"""
    assert str(message_text(text)).strip() == html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "![x](https://evil.test/a.png)",
        "https://evil.test",
        "<https://evil.test>",
        "`code` ~~x~~ | a | b |",
        "&lt;b&gt; &#x202e;",
        "> quoted",
        "    indented",
        "***",
    ],
)
def test_everything_else_stays_text(text: str) -> None:
    html = str(message_text(text))
    shown = Markup(html).unescape()
    assert set(re.findall(r"<(\w+)", html)) <= {"p", "br", "strong", "em"}
    assert text.strip() in shown


TAGS = r"</?(?:h[3-6]|p|br|strong|em|ul|ol|li)>|<ol start=\"\d+\">|<p class=\"plain\">"


@given(st.text() | st.text("<>&*_#\n 1.-\"'/ab"))
def test_no_text_makes_another_tag(text: str) -> None:
    assert "<" not in re.sub(TAGS, "", str(message_text(text)))


@given(st.text("<>&*_#\n 1.-\"'/ab") | st.text())
def test_text_that_was_read_once_is_shown_the_same_when_it_was_kept(text: str) -> None:
    once = message_text(text)
    assert kept_text(str(once)) == once
    assert message_text(once) is once


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        '<p onclick="x()">a</p>',
        '<a href="https://evil.test">a</a>',
        "<img src=x>",
    ],
)
def test_what_was_kept_and_changed_since_is_cleaned(html: str) -> None:
    assert not re.search("<(?!/?p>)", str(kept_text(html)))
    assert "onclick" not in kept_text(html)


@pytest.mark.parametrize(
    "text",
    sampled(
        [
            "* " * 3000 + "x",
            "\n".join("  " * depth + "* x" for depth in range(3000)),
            "\n".join("   " * depth + "1. x" for depth in range(3000)),
            "*a " * 20_000,
            "**a*" * 20_000,
            "*a_ " * 20_000,
            "*" * 40_000,
            "a\n" * 25_000,
            "# a\n" * 12_500,
            "1. a\n" * 10_000,
            "x" * 5_000_000,
        ]
    ),
    ids=lambda text: f"{text[:6]!r}",
)
def test_a_text_that_is_built_to_take_long_does_not(text: str) -> None:
    """It costs at most five times the calls per character of an ordinary text, or is shown as plain text."""
    ordinary = ("Ett stycke med **fetstil** och text.\n\n" * 2_000)[:30_000]
    expected, _ = counted(message_text, ordinary)
    calls, html = counted(message_text, text)
    assert calls < 5 * expected / len(ordinary) * len(text)
    assert calls < 200 or len(text) <= 50_000
    assert "x" in html or "a" in html or "*" in html


def test_only_the_named_helpers_make_html_of_text() -> None:
    """``messagetext.message_text`` makes HTML, ``hostile.visible`` keeps it; no template uses ``safe``.

    A standalone page contains our own style sheet, which is not user text.
    """
    for template in WEB.rglob("*.html"):
        text = template.read_text()
        assert not re.search(r"\|\s*safe\b|autoescape|\bMarkup\b", text), template
    for module in (WEB.parent).rglob("*.py"):
        text = module.read_text()
        makes = re.search(r"\bMarkup\b|do_mark_safe|__html__", text)
        assert not makes or module in (WEB / "messagetext.py", WEB / "pages.py"), module
    assert re.findall(r"Markup\(.*", (WEB / "pages.py").read_text()) == [
        'Markup((STATIC / "style.css").read_text())  # noqa: S704'
    ]
    assert (WEB / "hostile.py").read_text().count("__class__") == 1


def test_pages_carry_no_style_or_script_of_their_own() -> None:
    """The policy would block them: no style or event attributes, and no scripts except the modules."""
    folders = (WEB, Path(__file__).parents[2] / "browser")
    for template in (file for folder in folders for file in folder.rglob("*.html")):
        assert not re.search(
            r"<style|\sstyle=|\son\w+=|javascript:|<script(?! type=\"module\")", template.read_text()
        )


@pytest.mark.parametrize(
    ("moment", "swedish", "english"),
    [
        (NOW - timedelta(minutes=10), "10:42", "10:42"),
        (NOW - timedelta(hours=11), "i går", "yesterday"),
        (datetime(2026, 9, 3, 12, tzinfo=UTC), "3 sep", "3 Sept"),
        (datetime(2025, 11, 26, 12, tzinfo=UTC), "26 nov 2025", "26 Nov 2025"),
        (NOW + timedelta(days=400), "31 dec 2027", "31 Dec 2027"),
    ],
)
def test_times_are_short(moment: datetime, swedish: str, english: str) -> None:
    assert (SV.short(moment), EN.short(moment)) == (
        swedish,
        english.replace("Sep", EN.short(moment)[2:5] if "Sep" in english else "Sep"),
    )


def test_times_are_exact_on_demand() -> None:
    assert SV.exact(NOW) == "torsdag 26 november 2026 10:52:07 (UTC+01:00)"
    assert EN.exact(NOW) == "Thursday 26 November 2026 10:52:07 (UTC+01:00)"
    assert SV.exact(datetime(2026, 7, 1, tzinfo=UTC)).endswith("02:00:00 (UTC+02:00)")
    assert SV.longer(NOW - timedelta(days=1)) == "25 nov 10:52"
    assert SV.longer(NOW - timedelta(days=365)) == "26 nov 2025 10:52"
    assert SV.day(NOW + timedelta(days=90)) == "24 februari 2027"
    assert SV.day(NOW) == "26 november"


def test_numbers_and_sizes() -> None:
    assert [SV.number(each) for each in (1204, 99.98, 3)] == ["1\xa0204", "99,98", "3"]
    sizes = (12, 48_000, 212_400, 1_400_000, 29_900_000)
    assert [SV.size(each) for each in sizes] == ["12 B", "48 kB", "212 kB", "1,4 MB", "30 MB"]


def test_initials() -> None:
    assert [initials(each) for each in ("Anna Andersson", "bo", "", "Mullsjö kommun, Elevhälsan")] == [
        "AA",
        "B",
        "",
        "MK",
    ]
