"""The report for a joint board: statuses of the members that have an agreement with it, side by side."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from samdrift.governance import boardreport
from samdrift.governance.boardreport import Member, may_see
from samdrift.governance.duties.catalogue import Text
from samdrift.governance.report import COLLECTORS, Collected, Status
from samdrift.governance.report import document as own_document
from samdrift.rights.agreements import AgreementKind, Party, PartyKind, PartyNamed
from tests.unit.governance.test_coverage import MOMENT
from tests.unit.governance.test_report import made
from tests.unit.rights.agreementbuilding import OPERATOR, TOWN, Book, agreed
from tests.unit.rights.building import ANNA

BOARD = Party(OPERATOR.country, OPERATOR.number, "it")
SECRET = Text("Leverantören Hemlig AB", "The supplier Secret Ltd")


def book(form: PartyKind, end: datetime = MOMENT + timedelta(days=300)) -> Book:
    made = Book(TOWN)
    made.state(ANNA, PartyNamed(BOARD, "It-nämnden", form))
    made.enter(agreed(TOWN, BOARD, form=AgreementKind.COOPERATION, end=end))
    return made


def reported(*without: str) -> dict[str, Any]:
    """Return a report as it is stored, with good evidence except from some collectors."""
    found = {name: Collected(MOMENT, True, SECRET) for name in COLLECTORS if name not in without}
    kept: dict[str, Any] = json.loads(json.dumps(own_document(made(found))))
    return kept


@pytest.mark.parametrize("form", [PartyKind.JOINT_BOARD, PartyKind.MUNICIPAL_FEDERATION])
def test_a_board_sees_who_has_countersigned_an_agreement_with_it_while_that_is_in_force(
    form: PartyKind,
) -> None:
    end = MOMENT + timedelta(days=3)
    agreements = book(form, end).agreements
    assert may_see(BOARD, agreements.at(MOMENT))
    assert not may_see(BOARD, agreements.at(end))
    assert not may_see(BOARD.whole, agreements.at(MOMENT)), (
        "another part of the same municipality must not see it"
    )


def test_a_supplier_is_no_board() -> None:
    assert not may_see(BOARD, book(PartyKind.COMPANY).agreements.at(MOMENT))


def test_an_agreement_that_waits_for_its_countersignature_shows_nothing() -> None:
    found = Book(TOWN)
    found.state(ANNA, PartyNamed(BOARD, "It-nämnden", PartyKind.JOINT_BOARD))
    assert not may_see(BOARD, found.agreements.at(MOMENT))


def test_each_member_has_its_own_status_of_every_duty() -> None:
    members = [
        Member("0203:habo.se", reported()),
        Member("0203:mullsjo.se", reported("isolation.check")),
        Member("0203:tidaholm.se", None),
    ]
    found = boardreport.document(BOARD, members, MOMENT)
    statuses = {row["duty"]: row["statuses"] for row in found["rows"]}
    assert statuses["sdk-sep"] == {
        "0203:habo.se": Status.HELD,
        "0203:mullsjo.se": Status.GAP,
        "0203:tidaholm.se": Status.GAP,
    }
    assert [each["report_at"] is None for each in found["members"]] == [False, False, True]


def test_a_duty_that_a_members_catalogue_lacks_is_neither_held_nor_a_gap() -> None:
    older = reported()
    older["rows"] = [row for row in older["rows"] if row["duty"] != "sdk-sep"]
    members = [Member("0203:habo.se", older), Member("0203:mullsjo.se", reported())]
    found = boardreport.document(BOARD, members, MOMENT)
    (row,) = [row for row in found["rows"] if row["duty"] == "sdk-sep"]
    assert row["statuses"] == {"0203:habo.se": None, "0203:mullsjo.se": Status.HELD}
    assert "not in its catalogue" in boardreport.page(BOARD, members, MOMENT, "en")


class _Cells(HTMLParser):
    """A counter of the rows and cells of a page's table."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append(0)
        elif tag in ("th", "td"):
            self.rows[-1] += 1


@pytest.mark.parametrize("language", ["sv", "en"])
def test_neither_page_nor_document_has_what_evidence_says(language: str) -> None:
    members = [Member("0203:habo.se", reported()), Member("0203:mullsjo.se", reported())]
    shown = boardreport.page(BOARD, members, MOMENT + timedelta(days=4), language)
    document = json.dumps(boardreport.document(BOARD, members, MOMENT), ensure_ascii=False)
    for text in (shown, document):
        assert not [word for word in (SECRET.sv, SECRET.en, "Ansvarig Person") if word in text]
    cells = _Cells()
    cells.feed(shown)
    assert set(cells.rows) == {3}
    assert len(cells.rows) == 2 + len(members[0].report["rows"] if members[0].report else ())
    assert "4 d" in shown, "the page must show the age of the reports"


def test_the_words_of_a_members_own_catalogue_are_shown_to_nobody() -> None:
    own = reported()
    own["rows"][0]["says"] = {"sv": SECRET.sv, "en": SECRET.en}
    own["rows"].append(own["rows"][0] | {"duty": "habo-1", "reference": SECRET.sv})
    members = [Member("0203:habo.se", own), Member("0203:mullsjo.se", reported())]
    document = boardreport.document(BOARD, members, MOMENT)
    for text in (boardreport.page(BOARD, members, MOMENT, "sv"), json.dumps(document, ensure_ascii=False)):
        assert "habo-1" in text
        assert SECRET.sv not in text
