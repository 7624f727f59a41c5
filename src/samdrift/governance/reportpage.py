"""The compliance report as a page to read, print and keep: a single file without scripts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from html import escape
from importlib.resources import files

from samdrift.governance.report import COLLECTORS, Evidence, Report, Row, Status

WORDS = {
    "sv": {
        "title": "Efterlevnad för {organisation}",
        "moment": "Läget {moment} (UTC), efter katalogen {catalogue}, med Samdrift {version}.",
        "duty": "Skyldighet",
        "evidence": "Underlag",
        "people": "Stannar hos människor",
        "control": "Kontroll",
        "none": "inget underlag",
        "age": "{age} gammalt, högst {limit}",
        "carried": "bärs av avtal i {count} led",
        "gaps": "saknas i avtal i {count} led",
        "unseen": "Källans text är inte läst i sin helhet.",
        "days": "{count} d",
        "hours": "{count} h",
        "minutes": "{count} min",
        Status.HELD: "hålls",
        Status.SILENT: "inget har hänt",
        Status.STALE: "för gammalt underlag",
        Status.GAP: "lucka",
        Status.PEOPLE: "människors",
    },
    "en": {
        "title": "Compliance of {organisation}",
        "moment": "As of {moment} (UTC), by the catalogue {catalogue}, with Samdrift {version}.",
        "duty": "Duty",
        "evidence": "Evidence",
        "people": "Stays with people",
        "control": "Control",
        "none": "no evidence",
        "age": "{age} old, at most {limit}",
        "carried": "carried by agreements in {count} links",
        "gaps": "missing from agreements in {count} links",
        "unseen": "The text of the source has not been read in full.",
        "days": "{count} d",
        "hours": "{count} h",
        "minutes": "{count} min",
        Status.HELD: "held",
        Status.SILENT: "nothing has happened",
        Status.STALE: "evidence too old",
        Status.GAP: "gap",
        Status.PEOPLE: "people's",
    },
}
CLASSES = {
    Status.HELD: "good",
    Status.SILENT: "soft",
    Status.STALE: "warning",
    Status.GAP: "bad",
    Status.PEOPLE: "soft",
}
"""Style sheet classes for the statuses."""


def page(made: Report, language: str) -> str:
    """Return the report as an HTML document in a language."""
    words = WORDS[language]
    title = escape(words["title"].format(organisation=made.organisation))
    moment = words["moment"].format(
        moment=f"{made.moment:%Y-%m-%d %H:%M}", catalogue=made.catalogue, version=made.version
    )
    counts = "".join(
        f'<li class="{CLASSES[status]}"><strong>{made.count(status)}</strong> {escape(words[status])}</li>'
        for status in reversed(Status)
    )
    parts = [
        f"<p>{escape(moment)}</p>",
        f'<ul class="counts">{counts}</ul>',
        *(part for row in made.rows for part in _row(row, made, language)),
    ]
    return whole_page(title, parts, language)


def whole_page(title: str, parts: Iterable[str], language: str, style: str = "", main: str = "") -> str:
    """Return an HTML document in one file, from a title and parts that are already HTML.

    ``style`` is another style sheet of this package that follows the reports' own; ``main`` is the
    class of the main element.
    """
    sheets = ("report.css", style) if style else ("report.css",)
    styles = "".join((files("samdrift.governance") / each).read_text() for each in sheets)
    shown = f' class="{main}"' if main else ""
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{styles}</style></head><body><main{shown}>",
            f"<h1>{title}</h1>",
            *parts,
            "</main></body></html>",
            "",
        ]
    )


def _row(row: Row, made: Report, language: str) -> Iterable[str]:
    words, duty = WORDS[language], row.duty
    yield f'<section id="{escape(duty.id)}"><h2>{escape(duty.says.of(language))}</h2>'
    yield f'<p class="status {CLASSES[row.status]}">{escape(words[row.status])}</p>'
    unseen = "" if duty.seen else f" {words['unseen']}"
    cited = escape(f"{duty.id}: {duty.reference} ({duty.level}).{unseen}")
    yield f'<p class="soft">{cited}</p>'
    yield "<dl>"
    yield _entry(words["control"], duty.control.of(language))
    for each in row.evidence:
        yield _entry(
            COLLECTORS[each.collector].of(language) if each.collector in COLLECTORS else each.collector,
            said(each, made, language),
        )
    if row.carried:
        yield _entry(words["evidence"], words["carried"].format(count=row.carried))
    if row.gaps:
        yield _entry(words["evidence"], words["gaps"].format(count=row.gaps))
    if duty.people is not None:
        yield _entry(words["people"], duty.people.of(language))
    yield "</dl></section>"


def _entry(name: str, text: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>"


def said(each: Evidence, made: Report, language: str) -> str:
    """Return a text with a collector's finding, and its age and limit."""
    words = WORDS[language]
    age = each.age(made.moment)
    if each.collected is None or age is None:
        return words["none"]
    ages = words["age"].format(age=age_text(age, language), limit=age_text(each.limit, language))
    return f"{each.collected.found.of(language)} ({ages})"


def age_text(span: timedelta, language: str) -> str:
    """Return a time span as text in a language, in days, hours or minutes."""
    words, minutes = WORDS[language], max(0, int(span.total_seconds() // 60))
    if minutes >= 48 * 60:
        return words["days"].format(count=minutes // (24 * 60))
    if minutes >= 120:
        return words["hours"].format(count=minutes // 60)
    return words["minutes"].format(count=minutes)
