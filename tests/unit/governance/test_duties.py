"""The catalogue of duties: complete, with references that exist, and checked strictly.

It covers the whole raw material, its references are found in DIGG's texts, a malformed one is
refused, and no duty disappears unnoticed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from samdrift.governance.duties.catalogue import (
    Catalogue,
    CatalogueUnfit,
    Changes,
    Duty,
    PassOn,
    in_force,
    shipped,
)
from samdrift.governance.duties.officialtexts import Folder, bare, words_of
from samdrift.rights.agreements import Function
from tests.official import DIGG, requires_digg

CURRENT = shipped()[-1]
RAW = DIGG.parent / "duties.md"
CONTENT = (files("samdrift.governance.duties") / "2026-11.json").read_text()


@requires_digg
def test_every_duty_of_the_raw_material_is_in_the_catalogue() -> None:
    rows = [line for line in RAW.read_text().partition("## Duties")[2].splitlines() if line.startswith("| ")]
    named = [row.split("|")[1].strip(" ‡✂") for row in rows if not row.startswith(("| id ", "| --- "))]
    ids = {each if "-" in each else f"gdpr-{each}" for row in named for each in row.split(", ")}
    assert len(named) == 56
    assert ids == set(CURRENT.duties)


@pytest.mark.parametrize("duty", CURRENT.duties.values(), ids=lambda each: each.id)
def test_a_duty_has_a_reference_to_its_text_or_says_that_it_was_not_seen(duty: Duty) -> None:
    assert duty.seen is duty.source.seen is (duty.passage is not None)


@requires_digg
@pytest.mark.parametrize(
    "duty", [each for each in CURRENT.duties.values() if each.passage], ids=lambda each: each.id
)
def test_every_reference_to_an_official_text_resolves(duty: Duty) -> None:
    assert duty.passage is not None
    found = Folder(DIGG).sentence(duty.source.text, _section(duty), duty.passage)
    assert found is not None
    assert found.in_section
    ours = [bare(word) for text in (duty.says.sv, duty.says.en) for word in words_of(text)]
    assert [bare(word) for word in words_of(found.text)] != ours
    assert found.text not in CONTENT, "official sentences must not be shipped"


def _section(duty: Duty) -> str:
    return "" if duty.source.quotes else duty.section


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a copy of one of DIGG's texts that tests may change."""
    if not DIGG.is_dir():
        pytest.skip("DIGG's published files are not at ../shared/digg")
    place = tmp_path_factory.mktemp("texts")
    shutil.copy(DIGG / "rules/operator-common-rules-2022-12-09.txt", place)
    return place


def test_another_edition_of_a_text_is_seen_to_be_another(folder: Path, tmp_path: Path) -> None:
    duty = CURRENT.duties["apr-3.3.b"]
    assert duty.passage is not None
    text = next(folder.iterdir()).read_text()
    file = tmp_path / "operator-common-rules-2027-01-01.txt"
    file.write_text(text.replace("endast behörig Deltagare", "endast Deltagare"))
    assert Folder(tmp_path).sentence(duty.source.text, "3.3", duty.passage) is None
    file.write_text(text.replace("3.3        Deltagarmodell", "3.2.9      Deltagarmodell"))
    found = Folder(tmp_path).sentence(duty.source.text, "3.3", duty.passage)
    assert found is not None
    assert not found.in_section
    assert Folder(tmp_path).sentence("framework", "3.3", duty.passage) is None


def test_sections_without_numbers_are_found_by_the_table_of_contents(tmp_path: Path) -> None:
    contents = "1.\tScope\t PAGEREF _1 2\n2.\tSecrecy\t PAGEREF _2 3\n\n"
    text = f"{contents}Scope\nNothing here.\nSecrecy\nKeep it to yourself.\n"
    (tmp_path / "deed-1.0.txt").write_text(text)
    assert Folder(tmp_path).words("deed", "2") == ["Secrecy", "Keep", "it", "to", "yourself."]
    assert Folder(tmp_path).words("deed", "1") == ["Scope", "Nothing", "here."]
    assert Folder(tmp_path).words("deed", "3") == []


def _changed(change: Callable[[Any], None]) -> bytes:
    value = json.loads(CONTENT)
    change(value)
    return json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("where", "content"),
    [
        ("", b"["),
        ("", b"\xff"),
        ("", b'{"catalogue":"sdk","catalogue":"sdk"}'),
        ("", b" " * 1024 * 1025),
        ("catalogue", _changed(lambda each: each.update(catalogue="SDK 2"))),
        ("version", _changed(lambda each: each.pop("version"))),
        ("date", _changed(lambda each: each.update(date="2026-13-01"))),
        ("applies", _changed(lambda each: each.update(applies="2026-11-25"))),
        ("note", _changed(lambda each: each.update(note="x"))),
        ("sources", _changed(lambda each: each.update(sources={}))),
        ("sources.rek.title", _changed(lambda each: each["sources"]["rek"].update(title="a\u202eb"))),
        ("sources.rek.replaced_by", _changed(lambda each: each["sources"]["rek"].update(replaced_by=["x"]))),
        ("duties", _changed(lambda each: each["duties"].append(each["duties"][0]))),
        ("duties", _changed(lambda each: each.update(duties={}))),
        ("duties[0].id", _changed(lambda each: each["duties"][0].update(id="å"))),
        ("duties[0].source", _changed(lambda each: each["duties"][0].update(source="none"))),
        ("duties[0].says.en", _changed(lambda each: each["duties"][0]["says"].pop("en"))),
        ("duties[0].says.no", _changed(lambda each: each["duties"][0]["says"].update(no="x"))),
        ("duties[0].bound", _changed(lambda each: each["duties"][0].update(bound=["everybody"]))),
        ("duties[0].bound", _changed(lambda each: each["duties"][0].update(bound=[]))),
        ("duties[0].functions", _changed(lambda each: each["duties"][0].update(functions=["ap", "ap"]))),
        ("duties[0].functions", _changed(lambda each: each["duties"][0].update(functions=[]))),
        ("duties[0].functions", _changed(lambda each: each["duties"][0].update(pass_on="no"))),
        ("duties[0].pass_on", _changed(lambda each: each["duties"][0].update(pass_on="maybe"))),
        ("duties[0].seen", _changed(lambda each: each["duties"][0].update(seen="no"))),
        ("duties[0].kinds", _changed(lambda each: each["duties"][0].update(kinds=["handshake"]))),
        ("duties[0].passage.digest", _changed(lambda each: each["duties"][0]["passage"].update(words=True))),
        ("duties[0].passage.digest", _changed(lambda each: each["duties"][0]["passage"].update(digest="x"))),
        (
            "duties[0].collectors[0].fresh",
            _changed(lambda each: each["duties"][0]["collectors"][0].update(fresh="1 day")),
        ),
        ("sdk-sep.replaced_by", _changed(lambda each: each["duties"][1].update(replaced_by=["gone"]))),
        (
            "duties[2].passage",
            _changed(lambda each: each["duties"][2].update(passage=each["duties"][0]["passage"])),
        ),
    ],
)
def test_a_malformed_catalogue_is_refused_with_the_place(where: str, content: bytes) -> None:
    with pytest.raises(CatalogueUnfit) as refused:
        Catalogue.read(content)
    assert refused.value.where == where
    assert "\u202e" not in str(refused.value)


def test_the_replaced_rulebook_and_its_successor_are_both_in_and_linked() -> None:
    """The two are regelverk v1.2, which the recommendation quotes, and DIGG's A1.2 v1.5."""
    assert set(CURRENT.duties["sdk-5.1-spar"].source.replaced_by) == {"a1.2", "a1.3.2"}
    for duty in CURRENT.duties.values():
        for successor in duty.replaced_by:
            assert CURRENT.duties[successor].source.key in duty.source.replaced_by


def _later(day: date = date(2027, 3, 1)) -> Catalogue:
    """Return a later catalogue: one duty is gone, one is new, and one has other words."""
    duties = dict(CURRENT.duties)
    duties["sdk-sep"] = replace(duties["sdk-sep"], level="måste")
    duties["new-1"] = replace(duties["apr-3.3.b"], id="new-1", functions=frozenset({Function.AP}))
    del duties["is-7.4.2"]
    return replace(CURRENT, version="2027.03", day=day, applies=date(2027, 6, 1), duties=duties)


def test_changes_of_a_new_catalogue_are_named() -> None:
    changes = Changes.between(CURRENT, _later())
    assert (changes.added, changes.vanished) == (("new-1",), ("is-7.4.2",))
    assert changes.altered == {"sdk-sep": ("level",)}
    assert Changes.between(CURRENT, CURRENT) == Changes((), (), {})


def test_a_vanished_duty_stays_until_it_is_let_go_and_no_other_can_be() -> None:
    both = (CURRENT, _later())
    before, after = date(2027, 5, 31), date(2027, 6, 1)
    assert set(in_force(both, before)) == set(CURRENT.duties)
    assert set(in_force(both, after)) == {*CURRENT.duties, "new-1"}
    assert "is-7.4.2" not in in_force(both, after, {"is-7.4.2"})
    assert "is-7.4.2" in in_force(both, before, {"is-7.4.2"}), (
        "the catalogue in force that day still has the duty"
    )
    assert "sdk-sep" in in_force(both, after, {"sdk-sep"})
    assert set(in_force(both, date(2020, 1, 1))) == set(CURRENT.duties)


def test_what_is_passed_on_says_for_which_functions() -> None:
    assert {each.pass_on for each in CURRENT.duties.values()} == set(PassOn)
    assert all(re.search(r"[a-zåäö]", each.says.sv) and each.says.en for each in CURRENT.duties.values())
