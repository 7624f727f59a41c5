"""DIGG's form "Testprotokoll för Accesspunktsoperatör i QA-miljö", filled from the protocol: pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from samdrift.config.errors import printable
from samdrift.demo.qualification.cases import CASES, Model, QaCase
from samdrift.demo.qualification.protocol import CaseRecord, State, TestProtocol

_RESULTS = {State.PASSED: "förväntat", State.FAILED: "inte förväntat"}
_MODELS = {Model.BASE: "Transportmodell Bas", Model.EXTENDED: "Transportmodell Utökad Bas"}


def filled(protocol: TestProtocol, at: datetime) -> str:
    """Return the form as Markdown, with its rows and columns, followed by the evidence for each row."""
    return "\n".join(_lines(protocol, at)) + "\n"


def _lines(protocol: TestProtocol, at: datetime) -> Iterator[str]:
    yield "# Testprotokoll för Accesspunktsoperatör i QA-miljö"
    yield ""
    yield "## Information om dig som Accesspunktsoperatör"
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| Accesspunktsoperatörs ID | {_cell(protocol.party)} |"
    yield f"| ID på deltagare som används i testerna | {_cell(protocol.participant)} |"
    yield f"| Accesspunkt | Samdrift {_cell(protocol.version)} |"
    yield f"| Transportmodell | {_MODELS[Model(protocol.model)]} |"
    yield ""
    yield "## Testresultat"
    yield ""
    yield "| Testfall | Testresultat (förväntat/inte förväntat) | Ev. felkod | Kommentar |"
    yield "| --- | --- | --- | --- |"
    for case in CASES:
        record = protocol.cases[case.id]
        result = _RESULTS.get(record.state, "")
        comment = _cell(_comment(record))
        yield f"| {case.id} ({case.title}) | {result} | {_cell(record.code)} | {comment} |"
    yield ""
    yield "## Ansvarig testare"
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| Namn | {_cell(protocol.tester)} |"
    yield f"| Datum | {at:%Y-%m-%d} |"
    yield ""
    yield "## Underlag per testfall"
    for case in CASES:
        yield from _details(case, protocol.cases[case.id])


def _comment(record: CaseRecord) -> str:
    if record.state is State.NOT_BEGUN:
        return "Inte genomfört."
    said = [record.seen, record.comment]
    if record.judged_by:
        said.append(f"Bedömt av {record.judged_by}.")
    if not record.state.final:
        said.insert(0, "Inte avslutat.")
    return " ".join(filter(None, said))


def _details(case: QaCase, record: CaseRecord) -> Iterator[str]:
    yield ""
    yield f"### {case.id} ({case.participant})"
    yield ""
    yield f"- Förväntat: {case.expected}"
    yield f"- Sett: {_cell(_comment(record))}"
    for name, value in (
        ("Felkod", record.code),
        ("Påbörjat", record.begun_at),
        ("Meddelande", record.message),
        ("AS4-meddelande", record.as4),
    ):
        if value:
            yield f"- {name}: {_cell(value)}"
    for file in record.files:
        yield f"- Bilaga: {_cell(str(file['name']))}, SHA-256 {_cell(str(file['sha256']))}"
    if record.log:
        yield ""
        yield "| Tid | Var | Händelse | Fakta |"
        yield "| --- | --- | --- | --- |"
    for row in record.log:
        facts = " ".join(f"{name}={value}" for name, value in row["facts"].items())
        yield f"| {_cell(row['at'])} | {_cell(row['where'])} | {_cell(row['event'])} | {_cell(facts)} |"


def _cell(text: str) -> str:
    """Escape text, which may come from a peer, for one table cell, so that it contains no markup."""
    shown = printable(text).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{each}" if each in "\\|`*_[]" else each for each in shown)
