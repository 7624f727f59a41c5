"""Answers for DIGG's declaration of conformity for access point operators, from compliance reports.

The form asks for yes or no and for deviations. A question is answered with yes if the reports of all
organisations show its duties as held. Everything else is left blank for the operator to answer and sign. The
answer is never no automatically: the duties that the reports lack are listed with the question, so that
people see why it is blank.

The questions are in our own words, in the order of the form (declaration-of-conformity-operator
2022-12-09).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from samdrift.governance.report import Report, Status

YES = "Ja"


@dataclass(frozen=True, slots=True)
class _Question:
    id: str
    asks: str
    duties: tuple[str, ...] = ()
    """Duties that have to be held for a yes; a name that ends with - or . is a prefix."""


_QUESTIONS = (
    _Question("organisation-number", "Organisationsnummer"),
    _Question("insurance", "Ansvarsförsäkring"),
    _Question("finances", "Stabil ekonomi"),
    _Question("owners", "Ägarstruktur"),
    _Question("common-rules", "Följer gemensamma regler och rutiner", ("apr-",)),
    _Question("framework", "Följer ramverkets övriga dokument"),
    _Question("software", "Accesspunktens programvara"),
    _Question("software-version", "Programvarans version"),
    _Question("contacts", "Kontaktvägar för incident och support"),
    _Question("model-extended", "Avser att följa transportmodell utökad bas"),
    _Question("model-base", "Avser att följa transportmodell bas"),
    _Question("information-security", "Systematiskt informationssäkerhetsarbete (kap. 6)", ("apr-3.7.b",)),
    _Question("classification", "Rutiner för informationsklassning", ("a125-klass",)),
    _Question("it-security", "Systematisk teknisk IT-säkerhet (kap. 7)", ("apr-3.7.b", "is-7.")),
    _Question("malicious-code", "Hindrar spridning av skadlig kod", ("apr-3.7.g",)),
    _Question("authentication", "Stark autentisering", ("apr-3.7.h",)),
    _Question("it-routines", "Rutiner inom IT-säkerhet"),
    _Question("component", "Följer accesspunktens komponentspecifikation", ("apk-",)),
    _Question("signature", "Underskrift, namn, roll, datum och ort"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A question of the form and its answer, which is empty if people have to answer it."""

    id: str
    asks: str
    answer: str
    lacking: tuple[str, ...]
    """Duties that the reports do not show as held."""

    def document(self) -> dict[str, Any]:
        """Return the answer in machine-readable form."""
        answer = self.answer or None
        return {"id": self.id, "asks": self.asks, "answer": answer, "lacking": list(self.lacking)}


def declaration(reports: Sequence[Report], number: str, version: str) -> tuple[Answer, ...]:
    """Return the answers that the reports of all organisations support.

    ``number`` is the operator's organisation number, or empty if it is not known.
    """
    known = {"organisation-number": number, "software": "Samdrift", "software-version": version}
    return tuple(_answered(each, reports, known.get(each.id, "")) for each in _QUESTIONS)


def _is(duty: str, named: str) -> bool:
    return duty.startswith(named) if named[-1] in "-." else duty == named


def _answered(question: _Question, reports: Sequence[Report], known: str) -> Answer:
    rows = [
        row
        for made in reports
        for row in made.rows
        if any(_is(row.duty.id, each) for each in question.duties)
    ]
    lacking = {row.duty.id for row in rows if row.status is not Status.HELD}
    answer = YES if rows and not lacking else known
    return Answer(question.id, question.asks, answer, tuple(sorted(lacking)))
