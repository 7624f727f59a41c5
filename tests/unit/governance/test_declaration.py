"""DIGG's declaration: yes where a person attests it or every rule is tested, and blank everywhere else."""

from __future__ import annotations

from datetime import date

import pytest

from samdrift.governance import reportdeclaration
from samdrift.governance.report import Collected, Status
from samdrift.governance.reportdeclaration import (
    TESTED,
    YES,
    Answer,
    NotAnAttestation,
    attestations,
    declaration,
)
from tests.official import DIGG, requires_digg
from tests.unit.governance.test_coverage import MOMENT
from tests.unit.governance.test_report import WELL, everything, made

TODAY = date(2026, 12, 4)
ATTESTED = """
[component]
by = "Anna Ek"
role = "säkerhetschef"
date = 2026-12-01
evidence = "granskning 2026:17"
"""


def answers(*reports: dict[str, Collected], number: str = "", attested: str = "") -> dict[str, Answer]:
    named = attestations(attested, TODAY)
    found = declaration([made(each) for each in reports], number, "0.2.0", named)
    return {each.id: each for each in found}


def test_what_is_known_is_filled_in_and_what_people_answer_is_blank() -> None:
    """The form has sanctions: reports alone answer nothing with yes."""
    found = answers(everything(), number="212000-0142")
    given = {key for key, each in found.items() if each.answer}
    assert given == {"organisation-number", "software", "software-version"}
    assert (found["software"].answer, found["software-version"].answer) == ("Samdrift", "0.2.0")
    assert "apr-3.7.b" in found["common-rules"].lacking, "people have to answer this clause"
    assert found["malicious-code"].rests == ("apr-3.7.g: held in 1 reports",)


def test_a_text_answers_with_yes_only_if_each_of_its_rules_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Component: access point"
    tested, asked = TESTED[text]
    assert f"{tested} of {asked} rules of {text} are tested" in answers(everything())["component"].lacking
    monkeypatch.setattr(reportdeclaration, "TESTED", {text: (asked, asked)})
    assert answers(everything())["component"].lacking == ("apk-3.2.1",), "people have to answer this clause"
    question = reportdeclaration._Question("component", "", ("apk-3.1.7",), text)
    monkeypatch.setattr(reportdeclaration, "_QUESTIONS", (question,))
    assert answers(everything())["component"].answer == YES
    old = everything() | {"log.event-fields": Collected(MOMENT, False, WELL)}
    found = answers(everything(), old)["component"]
    assert (found.answer, found.lacking) == ("", ("apk-3.1.7",))


def test_a_named_person_attests_an_answer_which_says_what_it_rests_on() -> None:
    found = answers(everything(), attested=ATTESTED)["component"]
    assert found.answer == YES
    assert found.rests[-1] == "attested by Anna Ek, säkerhetschef, 2026-12-01: granskning 2026:17"
    assert found.lacking, "what is not tested stays visible beside the answer"
    assert answers(everything(), attested=ATTESTED)["authentication"].answer == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2026-12-01", "2026-12-05"),
        ("2026-12-01", "2025-12-01"),
        ("2026-12-01", '"2026-12-01"'),
        ("2026-12-01", "2026-12-01T00:00:00Z"),
        ('"Anna Ek"', '" "'),
        ('evidence = "granskning 2026:17"', ""),
        ('evidence = "granskning 2026:17"', 'evidence = ""'),
        ("[component]", "[software]"),
        ("[component]", "[unknown]"),
        ("[component]", "[component"),
    ],
)
def test_an_attestation_without_name_day_or_evidence_is_refused(old: str, new: str) -> None:
    with pytest.raises(NotAnAttestation):
        attestations(ATTESTED.replace(old, new), TODAY)


def test_without_reports_nothing_is_said_to_be_met() -> None:
    found = answers()
    assert {key for key, each in found.items() if each.answer} == {"software", "software-version"}
    assert YES not in {each.answer for each in found.values()}


def test_without_evidence_only_what_is_known_is_filled() -> None:
    found = answers({})
    assert YES not in {each.answer for each in found.values()}
    assert any(row.status is Status.GAP for row in made({}).rows)


@requires_digg
def test_every_question_of_the_form_that_asks_yes_or_no_has_one_here() -> None:
    form = (DIGG / "forms/declaration-of-conformity-operator-2022-12-09.txt").read_text()
    asked = form.partition("Accesspunktsoperatörsskap")[2].count("☐ Nej")
    yes_or_no = [key for key in answers() if key not in reportdeclaration._NOT_YES_OR_NO]
    assert len(yes_or_no) == asked
