"""The compliance report: never green without evidence, and clear about it in each of its forms."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from samdrift.governance.coverage import Coverage
from samdrift.governance.duties.catalogue import Duty, Text
from samdrift.governance.incidents import collected
from samdrift.governance.report import (
    COLLECTORS,
    Collected,
    Report,
    Row,
    Status,
    document,
    of_catalogue,
    of_rights,
    report,
)
from samdrift.governance.reportoscal import assessment_results, catalog, component_definition
from samdrift.governance.reportpage import page
from samdrift.rights import Outcome, Right, fold
from tests.unit.governance.test_coverage import CATALOGUES, DUTIES, MOMENT, _chain, covered_at
from tests.unit.rights.building import (
    ANNA,
    BO,
    CILLA,
    DAG,
    HABO,
    SCHOOL,
    at,
    founding,
    grant,
    review,
    rights,
)

CATALOGUE = CATALOGUES[-1]
NAMED = {each.collector for duty in DUTIES.values() for each in duty.collectors}
IN_USE = "catalogue.in-use"
WELL = Text("väl", "well")


def made(collected: dict[str, Collected] | None = None, coverage: Coverage | None = None) -> Report:
    found = covered_at(_chain()) if coverage is None else coverage
    return report(found, CATALOGUE.label, DUTIES.values(), collected or {}, "0.2.0")


def everything() -> dict[str, Collected]:
    return {name: Collected(MOMENT, True, WELL) for name in COLLECTORS}


def row(of: Report, duty: str) -> Row:
    return next(each for each in of.rows if each.duty.id == duty)


def test_every_collector_that_the_catalogue_names_is_known_and_each_duty_has_one_or_people() -> None:
    assert set(COLLECTORS) == NAMED
    assert all(duty.collectors or duty.people for duty in DUTIES.values())


def test_with_good_and_fresh_evidence_everything_is_held_but_what_stays_with_people() -> None:
    found = made(everything())
    people = {each.duty.id for each in found.rows if each.status is Status.PEOPLE}
    assert {each.status for each in found.rows} == {Status.HELD, Status.PEOPLE}
    assert people == {
        key for key, duty in DUTIES.items() if not duty.collectors and duty.pass_on.value == "no"
    } | {"tyst-plikt", "is-6.6.2", "ms-1.1"}


def test_without_any_evidence_nothing_is_held_but_what_agreements_alone_hold() -> None:
    held = {each.duty.id for each in made().rows if each.status is Status.HELD}
    only_agreements = {
        key
        for key, duty in DUTIES.items()
        if {each.collector for each in duty.collectors} == {"agreements.coverage"}
    }
    assert held == only_agreements


@pytest.mark.parametrize("fraction", [0, 1, 499_999, 500_000, 999_999])
def test_the_same_state_gives_the_same_report_at_any_fraction_of_a_second(fraction: int) -> None:
    """Evidence is collected within the second to which the moment of the report is cut."""
    within = MOMENT.replace(microsecond=fraction)
    collected = {name: replace(each, at=within) for name, each in everything().items()}
    assert made(collected) == made(everything())


@pytest.mark.parametrize("collector", sorted(NAMED - {"agreements.coverage"}))
def test_a_collector_that_finds_nothing_something_bad_old_or_of_the_future_turns_its_rows(
    collector: str,
) -> None:
    rows = [duty for duty in DUTIES.values() if collector in {each.collector for each in duty.collectors}]
    assert rows
    for duty in rows:
        limit = next(each.fresh for each in duty.collectors if each.collector == collector)
        for found, status in (
            (None, Status.GAP),
            (Collected(MOMENT, False, WELL), Status.GAP),
            (Collected(MOMENT - limit, True, WELL), Status.HELD),
            (Collected(MOMENT - limit - timedelta(seconds=1), True, WELL), Status.STALE),
            (Collected(MOMENT + timedelta(seconds=1), True, WELL), Status.GAP),
        ):
            collected = everything()
            del collected[collector]
            if found is not None:
                collected[collector] = found
            assert row(made(collected), duty.id).status is status, (duty.id, found)


@pytest.mark.parametrize(
    ("days", "status"),
    [(0, Status.HELD), (-1, Status.GAP), (1, Status.STALE)],
    ids=["in time", "to come", "old"],
)
def test_a_catalogue_that_is_too_old_or_of_a_day_to_come_turns_the_rows_that_rest_on_it(
    days: int, status: Status
) -> None:
    """The catalogue is used for longer than its limit, or before its day."""
    rows = [duty for duty in DUTIES.values() if any(each.collector == IN_USE for each in duty.collectors)]
    assert rows
    for duty in rows:
        (limit,) = (each.fresh for each in duty.collectors if each.collector == IN_USE)
        age = {0: limit - timedelta(days=1), -1: timedelta(days=-2), 1: limit + timedelta(days=1)}[days]
        day = (MOMENT - age).date()
        found = of_catalogue(replace(CATALOGUE, day=day))
        judged = row(made(everything() | {IN_USE: found}), duty.id)
        assert judged.status is status
        (evidence,) = (each for each in judged.evidence if each.collector == IN_USE)
        assert evidence.collected is not None
        assert (evidence.collected.at.date(), evidence.collected.found.en) == (day, CATALOGUE.label)


@pytest.mark.parametrize(
    "duty", [each for each in DUTIES.values() if each.pass_on.value == "chain"], ids=lambda each: each.id
)
def test_a_duty_that_an_agreement_lacks_is_a_gap_whatever_else_was_collected(duty: Duty) -> None:
    found = row(made(everything(), covered_at(_chain(duty.id, 2))), duty.id)
    assert (found.status, found.gaps) == (Status.GAP, len(duty.functions))


def test_what_rests_on_inherited_cover_is_never_held() -> None:
    bare = covered_at(_chain("sdk-sep", 2))
    found = made(everything(), replace(bare, taken_over=True))
    assert row(found, "sdk-3.1-avtal").status is Status.GAP
    assert row(found, "sdk-sep").status is Status.GAP


def test_a_duty_with_neither_collectors_nor_people_is_a_gap() -> None:
    bare = replace(DUTIES["csl-2"], collectors=(), people=None)
    found = report(covered_at(_chain()), CATALOGUE.label, [bare], everything(), "0.2.0")
    assert found.rows[0].status is Status.GAP


def test_the_document_says_status_age_and_limit() -> None:
    found = made(everything() | {"isolation.check": Collected(MOMENT - timedelta(days=8), True, WELL)})
    rows = {each["duty"]: each for each in document(found)["rows"]}
    json.dumps(document(found))
    assert rows["sdk-sep"]["status"] == "stale"
    (evidence,) = rows["sdk-sep"]["evidence"]
    assert (evidence["age_seconds"], evidence["limit_seconds"]) == (8 * 86400, 7 * 86400)
    assert document(found)["counts"] == {status.value: found.count(status) for status in Status}
    assert rows["gdpr-28.2"]["seen"] is False


class _Texts(HTMLParser):
    """A collector of the texts and open elements of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("language", ["sv", "en"])
def test_the_page_has_every_duty_with_its_status_in_words(language: str) -> None:
    hostile = Collected(MOMENT, False, Text("<script>&", "<script>&"))
    content = page(made(everything() | {"isolation.check": hostile}), language)
    read = _Texts(content)
    assert read.open == []
    assert "<script" not in content
    words = {"sv": ("hålls", "lucka", "människors"), "en": ("held", "gap", "people's")}[language]
    for duty in DUTIES.values():
        assert duty.says.of(language) in read.texts
    statuses = re.findall(r'<p class="status \w+">([^<]+)</p>', content)
    assert len(statuses) == len(DUTIES)
    assert set(statuses) == {each.replace("'", "&#x27;") for each in words}


def test_oscal_has_every_duty_and_the_same_bytes_each_time() -> None:
    found = made(everything())
    controls = [each["id"] for group in catalog(CATALOGUE)["catalog"]["groups"] for each in group["controls"]]
    assert sorted(controls) == sorted(DUTIES)
    (component,) = component_definition(CATALOGUE, found)["component-definition"]["components"]
    (implementation,) = component["control-implementations"]
    assert {each["control-id"] for each in implementation["implemented-requirements"]} == set(DUTIES)
    results = assessment_results(CATALOGUE, found)
    (result,) = results["assessment-results"]["results"]
    states = {each["target"]["target-id"]: each["target"]["status"]["state"] for each in result["findings"]}
    assert states == {f"{each.duty.id}_smt": "satisfied" for each in found.rows if each.status is Status.HELD}
    assert json.dumps(results) == json.dumps(assessment_results(CATALOGUE, made(everything())))
    bad = made(everything() | {"isolation.check": Collected(MOMENT, False, WELL)})
    (result,) = assessment_results(CATALOGUE, bad)["assessment-results"]["results"]
    assert any(
        each["target"]["status"] == {"state": "not-satisfied", "reason": "fail"}
        for each in result["findings"]
    )


def test_grants_and_their_reviews_are_seen_from_signed_statements() -> None:
    """The right whose last review is the oldest determines the date."""
    given = [*founding(), grant(ANNA, 1, rights(BO, SCHOOL, Right.READ), start=30)]
    first = given[-1]
    later = at(100)
    state = fold(HABO, given)
    found = of_rights(state, given, later)
    assert found["grants.in-force"].good
    assert found["reviews.done"].at == at(0), "the founding roles are the oldest"
    assert of_rights(fold(HABO, []), [], later) == {}
    looked = [review(DAG, 50, each, Outcome.KEEP) for each in (given[0], given[2])]
    everything_stated = [*given, *looked]
    state = fold(HABO, everything_stated)
    assert of_rights(state, everything_stated, later)["reviews.done"].at == at(30)
    again = [*everything_stated, review(DAG, 60, first, Outcome.KEEP)]
    assert of_rights(fold(HABO, again), again, later)["reviews.done"].at == at(50)
    assert of_rights(fold(HABO, again), again, at(55))["reviews.done"].at == at(30), (
        "a later review must not change the earlier answer"
    )
    strangers = [
        *everything_stated,
        review(BO, 60, given[0], Outcome.KEEP),
        review(CILLA, 61, first, Outcome.KEEP),
    ]
    assert of_rights(fold(HABO, strangers), strangers, later)["reviews.done"].at == at(30)


def test_silence_is_a_state_of_its_own_and_never_held() -> None:
    nothing = collected((), MOMENT)
    assert row(made(everything() | {"incidents.clocks": nothing}), "csl-2").status is Status.SILENT
    old = replace(nothing, at=MOMENT - timedelta(days=2))
    assert row(made(everything() | {"incidents.clocks": old}), "csl-2").status is Status.STALE


def test_unsigned_rights_in_force_are_a_gap_whatever_is_signed() -> None:
    given = [*founding(), grant(ANNA, 1, rights(BO, SCHOOL, Right.READ), start=30)]
    found = of_rights(fold(HABO, given), given, at(100), unsigned=2)
    assert {name: each.good for name, each in found.items()} == {
        "grants.in-force": False,
        "reviews.done": False,
    }
