"""DIGG's declaration: answered with yes where every report holds, and left blank everywhere else."""

from __future__ import annotations

from samdrift.governance.report import Collected, Status
from samdrift.governance.reportdeclaration import YES, Answer, declaration
from tests.official import DIGG, requires_digg
from tests.unit.governance.test_coverage import MOMENT
from tests.unit.governance.test_report import WELL, everything, made


def answers(*reports: dict[str, Collected], number: str = "") -> dict[str, Answer]:
    found = declaration([made(each) for each in reports], number, "0.2.0")
    return {each.id: each for each in found}


def test_what_reports_hold_is_answered_and_what_people_answer_is_blank() -> None:
    found = answers(everything(), number="212000-0142")
    given = {key for key, each in found.items() if each.answer}
    assert given == {
        *("organisation-number", "software", "software-version"),
        *("malicious-code", "authentication", "component"),
    }
    assert (found["software"].answer, found["software-version"].answer) == ("Samdrift", "0.2.0")
    assert found["malicious-code"].answer == YES
    assert "apr-3.7.b" in found["common-rules"].lacking, "people have to answer this clause"


def test_one_organisation_whose_report_does_not_hold_leaves_a_blank() -> None:
    old = everything() | {"scanner.signatures": Collected(MOMENT, False, WELL)}
    found = answers(everything(), old)
    assert (found["malicious-code"].answer, found["malicious-code"].lacking) == ("", ("apr-3.7.g",))
    assert found["authentication"].answer == YES


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
    yes_or_no = [key for key in answers() if key not in _TEXTS]
    assert len(yes_or_no) == asked


_TEXTS = {
    *("organisation-number", "insurance", "finances", "owners", "software", "software-version"),
    *("contacts", "signature"),
}
