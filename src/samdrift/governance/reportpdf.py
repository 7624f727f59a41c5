"""The texts of the compliance report as a PDF document, for the template next to this module. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samdrift.governance.report import COLLECTORS, Report, Row, Status
from samdrift.governance.reportpage import WORDS, said
from samdrift.rights.fields import moment_text

TEMPLATE = Path(__file__).parent / "report.typ"
_LABELS = {
    "sv": {"page": "sida", "foot": "Efterlevnad", "summary": "Sammanfattning"},
    "en": {"page": "page", "foot": "Compliance", "summary": "Summary"},
}


def pdf_document(made: Report, name: str, language: str) -> dict[str, Any]:
    """Return all texts that the template shows, in a language."""
    words = WORDS[language]
    moment = f"{made.moment:%Y-%m-%d %H:%M}"
    at = made.moment
    return {
        "title": words["title"].format(organisation=name),
        "organisation": name,
        "language": language,
        "date": {"year": at.year, "month": at.month, "day": at.day},
        "lead": words["moment"].format(moment=moment, catalogue=made.catalogue, version=made.version),
        "mark": moment_text(made.moment.replace(microsecond=0)),
        "labels": _LABELS[language],
        "counts": [
            {"status": words[status], "count": str(made.count(status))} for status in reversed(Status)
        ],
        "rows": [_row(row, made, language) for row in made.rows],
    }


def _row(row: Row, made: Report, language: str) -> dict[str, Any]:
    words, duty = WORDS[language], row.duty
    unseen = "" if duty.seen else f" {words['unseen']}"
    facts = [{"label": words["control"], "value": duty.control.of(language)}]
    for each in row.evidence:
        name = COLLECTORS[each.collector].of(language) if each.collector in COLLECTORS else each.collector
        facts.append({"label": name, "value": said(each, made, language)})
    if row.carried:
        facts.append({"label": words["evidence"], "value": words["carried"].format(count=row.carried)})
    if row.gaps:
        facts.append({"label": words["evidence"], "value": words["gaps"].format(count=row.gaps)})
    if duty.people is not None:
        facts.append({"label": words["people"], "value": duty.people.of(language)})
    return {
        "says": duty.says.of(language),
        "status": words[row.status],
        "cited": f"{duty.id}: {duty.reference} ({duty.level}).{unseen}",
        "facts": facts,
    }
