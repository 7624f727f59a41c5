"""Answers for DIGG's declaration of conformity for access point operators, from compliance reports.

The form asks for yes or no and for deviations, and untrue answers have sanctions. So the answer is yes only
if a named person of the operator attests it with a date and evidence, or if every rule of the text that the
question names is tested (the conformance page) and the reports of all organisations show its duties as held.
Everything else is left blank for the operator to answer and sign. The answer is never no automatically: what
is lacking is listed with the question, and what a yes rests on with the answer.

The questions are in our own words, in the order of the form (declaration-of-conformity-operator
2022-12-09).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from samdrift.governance.report import Report, Status

YES = "Ja"
_EXTENDED = "Transport model, base with signature and encryption"
_BASE = "Transport model, base"
_COMPONENT = "Component: access point"
TESTED: Mapping[str, tuple[int, int]] = MappingProxyType(
    {_EXTENDED: (65, 71), _BASE: (56, 59), _COMPONENT: (32, 37)}
)
"""Number of tested rules of a text, and of all that ask something, as on the conformance page."""
_LONGEST = timedelta(days=366)
"""Age after which an attestation no longer counts."""
_MEMBERS = frozenset({"by", "role", "date", "evidence"})


@dataclass(frozen=True, slots=True)
class _Question:
    id: str
    asks: str
    duties: tuple[str, ...] = ()
    """Duties that have to be held for a yes; a name that ends with - or . is a prefix."""
    text: str = ""
    """The text that the question names, as on the conformance page."""


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
    _Question("model-extended", "Avser att följa transportmodell utökad bas", text=_EXTENDED),
    _Question("model-base", "Avser att följa transportmodell bas", text=_BASE),
    _Question("information-security", "Systematiskt informationssäkerhetsarbete (kap. 6)", ("apr-3.7.b",)),
    _Question("classification", "Rutiner för informationsklassning", ("a125-klass",)),
    _Question("it-security", "Systematisk teknisk IT-säkerhet (kap. 7)", ("apr-3.7.b", "is-7.")),
    _Question("malicious-code", "Hindrar spridning av skadlig kod", ("apr-3.7.g",)),
    _Question("authentication", "Stark autentisering", ("apr-3.7.h",)),
    _Question("it-routines", "Rutiner inom IT-säkerhet"),
    _Question("component", "Följer accesspunktens komponentspecifikation", ("apk-",), _COMPONENT),
    _Question("signature", "Underskrift, namn, roll, datum och ort"),
)
_NOT_YES_OR_NO = frozenset(
    {
        *("organisation-number", "insurance", "finances", "owners", "software", "software-version"),
        *("contacts", "signature"),
    }
)


class NotAnAttestation(ValueError):
    """Error raised for a file of attestations: what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """A statement by a named person of the operator that the answer to a question is yes."""

    by: str
    role: str
    day: date
    evidence: str

    def __str__(self) -> str:
        return f"attested by {self.by}, {self.role}, {self.day}: {self.evidence}"


def attestations(content: str, today: date) -> dict[str, Attestation]:
    """Read attestations, a table of TOML for each question with ``by``, ``role``, ``date`` and ``evidence``.

    :class:`NotAnAttestation` for anything else, and for one that is of the future or older than a year.
    """
    try:
        tables = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise NotAnAttestation(f"it is not TOML: {error}") from None
    return {key: _attestation(key, table, today) for key, table in tables.items()}


def _attestation(key: str, table: Any, today: date) -> Attestation:
    if key not in {each.id for each in _QUESTIONS if _is_asked(each)}:
        raise NotAnAttestation(f"[{key}] is no question that is answered with yes or no")
    if not isinstance(table, dict) or set(table) != _MEMBERS:
        raise NotAnAttestation(f"[{key}] needs by, role, date and evidence, and nothing else")
    day, texts = table["date"], [table[each] for each in ("by", "role", "evidence")]
    if not isinstance(day, date) or isinstance(day, datetime):
        raise NotAnAttestation(f"[{key}] date is written as 2026-03-03")
    if not all(isinstance(each, str) and each.strip() for each in texts):
        raise NotAnAttestation(f"[{key}] by, role and evidence are texts that are not empty")
    if not today - _LONGEST <= day <= today:
        raise NotAnAttestation(f"[{key}] date is in the future, or more than a year ago")
    return Attestation(texts[0], texts[1], day, texts[2])


def _is_asked(question: _Question) -> bool:
    return question.id not in _NOT_YES_OR_NO


@dataclass(frozen=True, slots=True)
class Answer:
    """A question of the form and its answer, which is empty if people have to answer it."""

    id: str
    asks: str
    answer: str
    lacking: tuple[str, ...]
    """Duties that the reports do not show as held, and rules of the text that are not tested."""
    rests: tuple[str, ...] = ()
    """Attestation, tested rules and reports on which the answer rests."""

    def document(self) -> dict[str, Any]:
        """Return the answer in machine-readable form."""
        found = {"id": self.id, "asks": self.asks, "answer": self.answer or None}
        return {**found, "lacking": list(self.lacking), "rests_on": list(self.rests)}


def declaration(
    reports: Sequence[Report],
    number: str,
    version: str,
    attested: Mapping[str, Attestation] = MappingProxyType({}),
) -> tuple[Answer, ...]:
    """Return the answers that people attest, or that tests and the reports of all organisations support.

    ``number`` is the operator's organisation number, or empty if it is not known.
    """
    known = {"organisation-number": number, "software": "Samdrift", "software-version": version}
    return tuple(
        _answered(each, reports, known.get(each.id, ""), attested.get(each.id)) for each in _QUESTIONS
    )


def _is(duty: str, named: str) -> bool:
    return duty.startswith(named) if named[-1] in "-." else duty == named


def _answered(
    question: _Question, reports: Sequence[Report], known: str, attested: Attestation | None
) -> Answer:
    rows = [
        row
        for made in reports
        for row in made.rows
        if any(_is(row.duty.id, each) for each in question.duties)
    ]
    duties = {row.duty.id for row in rows}
    lacking = sorted({row.duty.id for row in rows if row.status is not Status.HELD})
    rests = [f"{each}: held in {len(reports)} reports" for each in sorted(duties - {*lacking})]
    tested, asked = TESTED.get(question.text, (0, 0))
    if asked:
        shown = f"{tested} of {asked} rules of {question.text} are tested"
        (rests if tested == asked else lacking).append(shown)
    if attested is not None:
        rests.append(str(attested))
    supported = bool(rows and asked) and not lacking
    answer = YES if supported or attested is not None else known
    return Answer(question.id, question.asks, answer, tuple(lacking), tuple(rests))
