"""A chart of a benchmark's output: ``python -m bench.plot TITLE < FILE.json > PICTURE.svg``.

Each row that has a floor has a bar as long as its ratio, with a line at the target; the thin
line reaches from the minimum to the maximum of the rounds. Rows without a floor are left out. The same rows
produce the same bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _RIGHT = 1000, 420, 90
_TOP, _ROW, _BAR = 70, 34, 16
_FONTS = "system-ui, 'Segoe UI', 'Liberation Sans', sans-serif"
_STYLE = """
    .page { fill: #fbfaf6 } .ink { fill: #1d2830 } .soft { fill: #55646f }
    .reached { fill: #2a6d47 } .missed { fill: #8f6410 }
    .bar { stroke: #1f5f8b; stroke-width: 2; stroke-dasharray: 5 4 }
    .spread { stroke: #1d2830; stroke-width: 1.5 }
    text { font-size: 15px } .title { font-size: 19px; font-weight: 600 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #12191d } .ink { fill: #e9eef0 } .soft { fill: #aebac0 }
      .reached { fill: #62b287 } .missed { fill: #d09a35 }
      .bar { stroke: #7fb6dd } .spread { stroke: #e9eef0 }
    }
"""


def drawn(title: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return the SVG of rows as ``bench NAME --json`` prints them."""
    judged = [row for row in rows if row["ratio"] is not None]
    longest = max(max(row["ratio_spread"]["maximum"], row["bar"]) for row in judged)
    scale = (_WIDTH - _LEFT - _RIGHT) / longest
    height = _TOP + _ROW * len(judged) + 30
    told = "; ".join(f"{row['name']}: {row['ratio']:.2f}, to reach {row['bar']:.2f}" for row in judged)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
        f' aria-labelledby="title desc" font-family="{_FONTS}">',
        f'  <title id="title">{escape(title)}</title>',
        f'  <desc id="desc">{escape(told)}</desc>',
        f"  <style>{_STYLE}  </style>",
        f'  <rect class="page" width="{_WIDTH}" height="{height}"/>',
        f'  <text class="ink title" x="20" y="36">{escape(title)}</text>',
        *(line for place, row in enumerate(judged) for line in _row(row, _TOP + _ROW * place, scale)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _row(row: dict[str, Any], top: int, scale: float) -> list[str]:
    middle, kind = top + _BAR / 2, "reached" if row["reached"] else "missed"
    least, largest = (_LEFT + row["ratio_spread"][each] * scale for each in ("minimum", "maximum"))
    bar = _LEFT + row["bar"] * scale
    text = f'y="{middle + 5:.1f}" text-anchor="end"'
    return [
        f'  <text class="ink" x="{_LEFT - 12}" {text}>{escape(row["name"])}</text>',
        f'  <rect class="{kind}" x="{_LEFT}" y="{top}" width="{row["ratio"] * scale:.1f}" height="{_BAR}"/>',
        f'  <line class="spread" x1="{least:.1f}" x2="{largest:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>',
        f'  <line class="bar" x1="{bar:.1f}" x2="{bar:.1f}" y1="{top - 6}" y2="{top + _BAR + 6}"/>',
        f'  <text class="soft" x="{_WIDTH - 20}" {text}>{row["ratio"]:.2f}</text>',
    ]


if __name__ == "__main__":
    print(drawn(sys.argv[1], json.load(sys.stdin)["rows"]), end="")
