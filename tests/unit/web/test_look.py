"""The style sheet and scripts: contrast of every pair, sizes in transfer, hashes in addresses."""

from __future__ import annotations

import re

import pytest

from samdrift.web.assets import STATIC, Assets
from samdrift.web.sites import Accent

STYLE = (STATIC / "style.css").read_text()
LIGHT, _, AFTER = STYLE.partition("@media screen and (prefers-color-scheme: dark)")
DARK = AFTER.partition("/* Ground */")[0]
PAIRS = (
    *(("ink", ground) for ground in ("page", "card", "accent-ground", "warning-ground")),
    *(("soft", ground) for ground in ("page", "card")),
    *(("accent", ground) for ground in ("page", "card", "accent-ground")),
    ("accent-on", "accent"),
    *((name, f"{name}-ground") for name in ("confidential", "warning", "bad", "good")),
    ("bad", "card"),
)


def tokens(scheme: str, accent: str) -> dict[str, str]:
    """Return the colours of a scheme with an accent."""
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", scheme.partition("}")[0]))
    for name, block in re.findall(r'\[data-accent="(\w+)"\] \{([^}]+)\}', scheme):
        if name == accent:
            found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    return found


def luminance(colour: str) -> float:
    """Return the relative luminance by WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("accent", Accent)
@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_pair_of_text_and_ground_can_be_read(scheme: str, accent: Accent) -> None:
    colours = tokens(scheme, accent)
    low = {pair: round(contrast(*(colours[each] for each in pair)), 2) for pair in PAIRS}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 5.5} == {}
    for edge in ("page", "card"):
        assert contrast(colours["field"], colours[edge]) >= 3


def test_every_accent_is_in_both_schemes() -> None:
    for scheme in (LIGHT, DARK):
        assert set(re.findall(r'\[data-accent="(\w+)"\]', scheme)) | {Accent.TEAL} == set(Accent)


def test_colours_are_tokens() -> None:
    """A colour defined elsewhere would not follow light, dark or an accent."""
    rest = STYLE.partition("/* Ground */")[2].partition("@media print")[0]
    assert re.findall(r"#[0-9a-f]{3,8}\b", rest) == []


def test_no_font_picture_or_address_is_fetched_from_elsewhere() -> None:
    for file in STATIC.iterdir():
        assert not re.search(
            r"url\(|@import|@font-face|https?://(?!www\.w3\.org/2000/svg)", file.read_text()
        ), file


def test_nothing_moves_by_itself() -> None:
    assert not re.search(r"animation|transition", STYLE)


def test_scripts_are_small() -> None:
    packed = {name: len(asset.packed) for name, asset in Assets() if name.endswith(".js")}
    assert sum(packed.values()) <= 15_000
    assert len(next(asset for name, asset in Assets() if name == "style.css").packed) <= 15_000


def test_scripts_make_no_html_of_text() -> None:
    """Trusted Types would stop it in the browser."""
    for file in STATIC.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", file.read_text()
        )
        assert not re.search(r"localStorage|sessionStorage|indexedDB", file.read_text())


def test_an_address_changes_with_the_content_and_modules_find_their_neighbours() -> None:
    assets = dict(Assets())
    assert all(re.fullmatch(r"/static/[\w-]+\.[0-9a-f]{16}\.\w+", asset.path) for asset in assets.values())
    by_itself = {"app.js", "upload.js"}
    """Scripts that a page names."""
    imported = re.findall(r'from "\./([^"]+)"', assets["app.js"].content.decode())
    neighbours = {
        asset.path for name, asset in assets.items() if name.endswith(".js") and name not in by_itself
    }
    assert {f"/static/{name}" for name in imported} == neighbours
    of_uploads = re.findall(r'from "\./([^"]+)"', assets["upload.js"].content.decode())
    assert {f"/static/{name}" for name in of_uploads} < neighbours, (
        "uploads must import the same modules as the page"
    )
