"""Views of coverage: a JSON document, and a picture of the chain from the organisation to the last supplier.

The picture also expresses everything in words: kinds, end dates and gaps are texts next to the lines, and a
description lists the links for people who cannot see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from samdrift.governance.coverage import Coverage, Gap, Link, Standing
from samdrift.governance.duties.catalogue import Catalogue
from samdrift.rights.agreementfold import Countersigned, Register
from samdrift.rights.agreements import Party
from samdrift.rights.fields import moment_text

_BOX = (230, 74)
_GAP = (240, 96)
_MARGIN = 24

_WORDS = {
    "sv": {
        "title": "Kedjan av avtal för {organisation} den {day}",
        "organisation": "organisationen",
        "until": "till {day}",
        "missing": "{count} skyldigheter saknas",
        "missing-one": "1 skyldighet saknas: {duty}",
        "no-agreement": "inget avtal leder hit",
        "circle": "leder tillbaka, täcker inget",
        "loose": "ingen kedja leder hit, täcker inget",
        "covered": "Allt som utförs är täckt.",
        "gaps": "{count} luckor.",
        "nothing": "Ingen part är angiven.",
        "service": "nyttjandeavtal",
        "data-processing": "personuppgiftsbiträdesavtal",
        "cooperation": "avtalssamverkan",
        "between-agencies": "överenskommelse",
        "internal": "internt",
    },
    "en": {
        "title": "The chain of agreements of {organisation} on {day}",
        "organisation": "the organisation",
        "until": "until {day}",
        "missing": "{count} duties missing",
        "missing-one": "1 duty missing: {duty}",
        "no-agreement": "no agreement leads here",
        "circle": "leads back, covers nothing",
        "loose": "no chain leads here, covers nothing",
        "covered": "Everything that is performed is covered.",
        "gaps": "{count} gaps.",
        "nothing": "No party is stated.",
        "service": "service agreement",
        "data-processing": "data processing agreement",
        "cooperation": "cooperation",
        "between-agencies": "agreement between agencies",
        "internal": "internal",
    },
}

_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1f1e1b}.soft{fill:#5f5b54}.bad{fill:#a3231b}
.page{fill:#f5f4f0}.head{fill:#5f5b54}
.box{fill:#fff;stroke:#cfcbc2}.line{stroke:#0b5c66;stroke-width:2;fill:none}
.box.gap,.line.gap{stroke:#a3231b;stroke-dasharray:6 4}.line.back{stroke:#7d5200;stroke-dasharray:2 4}
@media(prefers-color-scheme:dark){text{fill:#ecebe7}.soft{fill:#a9adb1}.bad{fill:#f5a29b}
.page{fill:#141618}.head{fill:#a9adb1}
.box{fill:#1d2023;stroke:#454b50}.line{stroke:#7fcbd4}.box.gap,.line.gap{stroke:#f5a29b}
.line.back{stroke:#f0c873}}
"""


def document(
    found: Coverage, catalogue: Catalogue, standings: Iterable[Standing], now: datetime
) -> dict[str, Any]:
    """Return the answer to a question about coverage in machine-readable form."""
    register = found.register
    return {
        "organisation": register.organisation,
        "at": moment_text(register.moment),
        "catalogue": catalogue.label,
        "covered": found.covered,
        "inherited": found.inherited,
        "functions": [_function(each, now) for each in standings],
        "gaps": [_gap(each) for each in found.gaps],
        "links": [_link(each) for each in found.links],
        "circles": [_link(each) for each in found.circles],
        "loose": [_agreement(each) for each in found.loose],
        "waiting": [digest for digest, _ in register.waiting],
        "parties": [
            {"party": str(each.party), "name": each.name, "form": each.form.value}
            for each in register.parties.values()
        ],
    }


def picture(found: Coverage, language: str) -> str:
    """Return the chain as an SVG picture, with its texts in a language."""
    return _Picture(found, _WORDS[language]).drawn()


def _function(each: Standing, now: datetime) -> dict[str, Any]:
    return {
        "function": each.function.value,
        "mode": each.mode.value,
        "receives": each.receives,
        "sends": each.sends,
        "since": moment_text(each.since) if each.since else None,
        "until": moment_text(each.until) if each.until else None,
        "warning": each.warning(now),
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "duty": gap.duty,
        "function": gap.function.value,
        "party": gap.party,
        "missing": gap.missing.value,
        "principal": gap.principal,
        "agreements": list(gap.agreements),
    }


def _link(link: Link) -> dict[str, Any]:
    return {
        "function": link.function.value,
        "principal": str(link.principal),
        "performer": str(link.performer),
        "overlapping": link.overlapping,
        "agreements": [_agreement(each) for each in link.agreements],
    }


def _agreement(each: Countersigned) -> dict[str, Any]:
    return {
        "statement": each.digest,
        "terms": each.agreed.terms,
        "form": each.agreed.form.value,
        "since": moment_text(each.since),
        "until": moment_text(each.end),
        "extended": each.extended,
        "document": each.agreed.document,
    }


@dataclass(frozen=True, slots=True)
class _Line:
    """A line in the picture: all agreements between two parties, for any function."""

    principal: Party
    performer: Party
    agreements: tuple[Countersigned, ...]
    gaps: tuple[Gap, ...]
    note: str


class _Picture:
    def __init__(self, found: Coverage, words: Mapping[str, str]) -> None:
        self._found, self._words = found, words
        self._register: Register = found.register
        self._lines = self._all_lines()
        self._places = self._placed()

    def drawn(self) -> str:
        width = _MARGIN * 2 + max((x + _BOX[0] for x, _ in self._places.values()), default=_BOX[0])
        height = _MARGIN * 2 + 84 + max((y + _BOX[1] for _, y in self._places.values()), default=_BOX[1])
        day = f"{self._register.moment:%Y-%m-%d}"
        title = self._words["title"].format(organisation=self._register.organisation, day=day)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
            ' aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(" ".join(self._sentences()))}</desc>',
            f"<style>{_STYLE}</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6" markerHeight="6"'
            ' orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
            f'<rect class="page" width="{width}" height="{height}" rx="14"/>',
            *(part for line in self._lines for part in self._line(line)),
            *(part for party in self._places for part in self._box(party)),
            f'<text x="{_MARGIN}" y="{height - _MARGIN}" class="soft">{escape(self._verdict())}</text>',
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _all_lines(self) -> list[_Line]:
        between: dict[tuple[Party, Party], list[Countersigned]] = {}
        notes: dict[tuple[Party, Party], str] = {}
        onward = {(each.principal, each.performer) for each in self._found.links}
        shown = [(each, "") for each in self._found.links]
        shown += [(each, self._words["circle"]) for each in self._found.circles]
        for link, note in shown:
            pair = link.principal, link.performer
            between.setdefault(pair, []).extend(link.agreements)
            if note and pair not in onward:
                notes[pair] = note
        for each in self._found.loose:
            pair = each.agreed.principal, each.agreed.performer
            between.setdefault(pair, []).append(each)
            notes.setdefault(pair, self._words["loose"])
        return [
            _Line(*pair, tuple(dict.fromkeys(agreements)), self._gaps_of(*pair), notes.get(pair, ""))
            for pair, agreements in between.items()
        ]

    def _gaps_of(self, principal: Party, performer: Party) -> tuple[Gap, ...]:
        pair = str(principal), str(performer)
        return tuple(gap for gap in self._found.gaps if (gap.principal, gap.party) == pair)

    def _placed(self) -> dict[Party, tuple[int, int]]:
        """Return the corner of each party's box, with one column for each step away from the organisation."""
        depth: dict[Party, int] = {} if self._register.own is None else {self._register.own: 0}
        lines = [line for line in self._lines if not line.note]
        queue = list(depth)
        for party in queue:
            for line in lines:
                if line.principal == party and line.performer not in depth:
                    depth[line.performer] = depth[party] + 1
                    queue.append(line.performer)
        last = max(depth.values(), default=-1) + 1
        missing = [each for each in self._register.parties if str(each) in self._unreached()]
        others = [each for line in self._lines for each in (line.principal, line.performer)]
        for party in dict.fromkeys([*others, *missing]):
            depth.setdefault(party, last)
        rows: dict[int, int] = {}
        places: dict[Party, tuple[int, int]] = {}
        for party, column in depth.items():
            row = rows.get(column, 0)
            rows[column] = row + 1
            places[party] = (
                _MARGIN + column * (_BOX[0] + _GAP[0]),
                _MARGIN + row * (_BOX[1] + _GAP[1]),
            )
        return places

    def _unreached(self) -> set[str]:
        return {gap.party for gap in self._found.gaps if not gap.principal and gap.party}

    def _box(self, party: Party) -> Iterable[str]:
        x, y = self._places[party]
        named = self._register.parties.get(party)
        gap = str(party) in self._unreached()
        name = named.name if named else str(party)
        yield (
            f'<rect class="box{" gap" if gap else ""}" x="{x}" y="{y}" width="{_BOX[0]}"'
            f' height="{_BOX[1]}" rx="10"/>'
        )
        yield f'<text x="{x + 14}" y="{y + 24}" font-weight="600">{escape(_short(name, 28))}</text>'
        yield f'<text x="{x + 14}" y="{y + 42}" class="soft">{escape(str(party))}</text>'
        if party == self._register.own:
            yield f'<text x="{x + 14}" y="{y + 60}" class="soft">{escape(self._words["organisation"])}</text>'
        elif gap:
            yield f'<text x="{x + 14}" y="{y + 60}" class="bad">{escape(self._words["no-agreement"])}</text>'

    def _line(self, line: _Line) -> Iterable[str]:
        (x1, y1), (x2, y2) = self._places[line.principal], self._places[line.performer]
        kind = " back" if line.note else " gap" if line.gaps else ""
        said = list(self._said(line))
        if line.note or x2 <= x1:
            start, end = (x1 + 30, y1 + _BOX[1]), (x2 + _BOX[0] - 30, y2 + _BOX[1])
            bend = max(start[1], end[1]) + 40
            curve = f"M{start[0]} {start[1]}C{start[0]} {bend} {end[0]} {bend} {end[0]} {end[1]}"
            at = (min(start[0], end[0]) + 16, bend + 14)
        else:
            turn, level = x2 - _GAP[0] + 8, y2 + _BOX[1] // 2
            curve = f"M{x1 + _BOX[0]} {y1 + _BOX[1] // 2}H{turn}V{level}H{x2}"
            at = (turn + 8, level - 8 - 16 * (len([text for text, bad in said if not bad]) - 1))
        yield f'<path class="line{kind}" d="{curve}" marker-end="url(#head)"/>'
        for place, (text, bad) in enumerate(sorted(said, key=lambda each: each[1])):
            style, below = ("bad", 10) if bad else ("soft", 0)
            y = at[1] + place * 16 + (0 if line.note else below)
            yield f'<text x="{at[0]}" y="{y}" class="{style}">{escape(text)}</text>'

    def _said(self, line: _Line) -> Iterable[tuple[str, bool]]:
        for kind in dict.fromkeys(each.agreed.form.value for each in line.agreements):
            yield self._words[kind], False
        yield self._words["until"].format(day=f"{min(each.end for each in line.agreements):%Y-%m-%d}"), False
        duties = sorted({gap.duty for gap in line.gaps})
        if line.note:
            yield line.note, True
        elif len(duties) == 1:
            yield self._words["missing-one"].format(duty=duties[0]), True
        elif duties:
            yield self._words["missing"].format(count=len(duties)), True

    def _sentences(self) -> Iterable[str]:
        for line in self._lines:
            names = [
                self._register.parties[each].name if each in self._register.parties else str(each)
                for each in (line.principal, line.performer)
            ]
            yield f"{' → '.join(names)}: {'; '.join(text for text, _ in self._said(line))}."
        yield self._verdict()

    def _verdict(self) -> str:
        if self._register.own is None:
            return self._words["nothing"]
        if self._found.covered:
            return self._words["covered"]
        return self._words["gaps"].format(count=len(self._found.gaps))


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def lacking(found: Coverage, duties: Sequence[str]) -> dict[str, list[str]]:
    """Return the ``duties`` that each agreement lacks, by the digest of the agreement's statement."""
    lacks: dict[str, set[str]] = {}
    for gap in found.gaps:
        if gap.duty in duties:
            for digest in gap.agreements:
                lacks.setdefault(digest, set()).add(gap.duty)
    return {digest: sorted(missing) for digest, missing in lacks.items()}
