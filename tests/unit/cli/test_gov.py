"""`samdrift gov duty` and `samdrift gov coverage`, as a person types them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from lxml import etree

from samdrift.governance.duties.catalogue import PassOn, shipped
from samdrift.rights.agreements import Function
from samdrift.rights.folds import read_record
from samdrift.rights.statements import Approved, Statement
from tests.official import DIGG, requires_digg
from tests.unit.cli.commandline import in_process
from tests.unit.rights.agreementbuilding import CHAIN, OPERATOR, TOWN, agreed, named
from tests.unit.rights.building import ANNA, BO, HABO
from tests.unit.rights.signers import House, founded

DUTIES = shipped()[-1].duties
PASSED_ON = [each.id for each in DUTIES.values() if each.pass_on is not PassOn.NO]
CONTENT = (files("samdrift.governance.duties") / "2026-11.json").read_text()


def test_the_duties_are_listed_and_those_of_a_source_alone() -> None:
    found = in_process("gov", "duty", "list", "--json")
    assert found.status == 0
    assert [each["id"] for each in found.document["duties"]] == list(DUTIES)
    lines = in_process("gov", "duty", "list", "--source", "apk", "--language", "en").output.splitlines()
    assert [line.split()[0] for line in lines] == ["apk-3.1.7", "apk-3.2.1"]
    assert "(seen: no)" in in_process("gov", "duty", "list", "--source", "gdpr").output


@requires_digg
def test_a_duty_is_shown_with_the_official_sentence_of_the_folder() -> None:
    shown = in_process("gov", "duty", "show", "apr-3.3.b", "--texts", DIGG)
    assert shown.status == 0
    assert "endast behörig Deltagare kan hämta/lämna" in shown.output
    assert "collected: isolation.check, at most 7 d old" in shown.output
    found = in_process("gov", "duty", "show", "apr-3.3.b", "--texts", DIGG, "--json").document
    assert found["official"]["state"] == "found"
    assert "hämta/lämna" not in in_process("gov", "duty", "show", "apr-3.3.b").output


def test_a_duty_whose_text_was_not_seen_says_so(tmp_path: Path) -> None:
    for duty, state in (("gdpr-28.2", "not seen"), ("apr-3.3.b", "not in the folder")):
        found = in_process("gov", "duty", "show", duty, "--texts", tmp_path, "--json").document
        assert found["official"] == {"state": state, "text": None}
    (tmp_path / "operator-common-rules-2030.txt").write_text("3.3  Deltagarmodell\n[b] Something else\n")
    found = in_process("gov", "duty", "show", "apr-3.3.b", "--texts", tmp_path, "--json").document
    assert found["official"]["state"] == "the folder has another edition"


def test_a_catalogue_is_compared_with_another(tmp_path: Path) -> None:
    old = json.loads(CONTENT)
    old["duties"] = [each for each in old["duties"] if each["id"] != "csl-2"]
    old["duties"][0]["level"] = "bör"
    file = tmp_path / "old.json"
    file.write_text(json.dumps(old))
    found = in_process("gov", "duty", "diff", file, "--json")
    assert found.status == 1
    assert found.document["added"] == ["csl-2"]
    assert found.document["altered"] == {"sdk-3.1-avtal": ["level"]}
    printed = in_process("gov", "duty", "diff", file)
    assert (printed.status, [line.split()[0] for line in printed.output.splitlines()]) == (
        1,
        ["new", "altered"],
    )
    file.write_text(CONTENT)
    assert (in_process("gov", "duty", "diff", file).status) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("duty", "show", "sdk-99"), "there is no such duty"),
        (("duty", "list", "--source", "nothing"), "--source"),
        (("duty", "list", "--language", "fi"), "--language"),
        (("duty", "diff", "{folder}/none.json"), "none.json"),
        (
            ("duty", "diff", "{folder}/bad.json"),
            "bad.json: the catalogue of duties, sources: it is missing",
        ),
        (("coverage", HABO, "--statements", "{folder}/none"), "none"),
        (("coverage", HABO, "--statements", "{folder}/bad.json"), "bad.json: statement 1: malformed"),
        (("coverage", "habo", "--statements", "{folder}/bad.json"), "a participant identifier"),
        (("coverage", HABO, "--statements", "{folder}/bad.json", "--on", "3 March"), "--on"),
        (("coverage", HABO, "--statements", "{folder}/empty", "--on", "9999-12-31"), "--on"),
        (("coverage", HABO, "--statements", "{folder}/empty", "--roles", "ap,hosting"), "--roles"),
        (("coverage", HABO, "--statements", "{folder}/empty", "--operator", "SE:1"), "--operator"),
        (
            ("coverage", HABO, "--statements", "{folder}/empty", "--picture", "{folder}/bad.json"),
            "already exists",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, arguments: Sequence[str], said: str
) -> None:
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "empty").write_text("")
    ended = in_process("gov", *(each.format(folder=tmp_path) for each in arguments))
    assert (ended.status, ended.output) == (2, "")
    assert said in ended.complaints
    assert ended.complaints.count("\n") == 1


@dataclass
class Town:
    """A municipality with officers and a chain of agreements, and the file of its statements."""

    house: House
    file: Path
    agreements: list[Statement]

    def ask(self, *more: str | Path) -> tuple[int, dict[str, object]]:
        ended = in_process("gov", "coverage", HABO, "--statements", self.file, "--json", *more)
        assert ended.complaints == ""
        return ended.status, ended.document

    def write(self) -> None:
        lines = [each.signed.content for each in self.house.record.entries]
        self.file.write_bytes(b"\n".join(lines) + b"\n")


def _town(folder: Path, without: str = "") -> Town:
    house = founded()
    house.record, _ = read_record(HABO, [each.signed.content for each in house.record.entries])
    for each in CHAIN[:3]:
        house.state(ANNA, named(each, HABO if each == TOWN else ""))
    entered = []
    for principal, performer in pairwise(CHAIN[:3]):
        duties = [each for each in PASSED_ON if not (each == without and principal == OPERATOR)]
        entered.append(house.state(ANNA, agreed(principal, performer, duties)))
        house.state(BO, Approved(entered[-1].digest))
    town = Town(house, folder / "statements", entered)
    town.write()
    return town


def test_coverage_names_the_gap_and_ends_with_1(tmp_path: Path) -> None:
    town = _town(tmp_path, "sdk-nyckel")
    status, found = town.ask("--on", "2026-03-04", "--operator", str(OPERATOR))
    assert (status, found["covered"]) == (1, False)
    functions = ("backup", "hosting", "hsm", "mt")
    assert sorted(found["gaps"], key=lambda each: each["function"]) == [  # type: ignore[call-overload]
        {
            "duty": "sdk-nyckel",
            "function": each,
            "party": str(CHAIN[2]),
            "missing": "clause",
            "principal": str(OPERATOR),
            "agreements": [town.agreements[1].digest],
        }
        for each in functions
    ]
    printed = in_process("gov", "coverage", HABO, "--statements", town.file, "--on", "2026-03-04")
    assert printed.output.splitlines()[-1] == "not covered: 4 gaps"


def test_coverage_of_a_day_is_what_it_was_and_ends_with_0_when_nothing_is_missing(tmp_path: Path) -> None:
    town = _town(tmp_path)
    status, found = town.ask("--on", "2026-03-04", "--operator", str(OPERATOR))
    assert (status, found["covered"], found["gaps"]) == (0, True, [])
    assert [each["mode"] for each in found["functions"]] == ["on"] * 3  # type: ignore[attr-defined]
    assert {each["function"] for each in found["links"]} == set(Function)  # type: ignore[attr-defined]
    assert town.ask("--on", "2026-03-01")[0] == 1
    assert town.ask("--on", "2026-03-04", "--operator", str(CHAIN[4]))[0] == 1


def test_a_later_catalogue_shows_what_agreements_lack(tmp_path: Path) -> None:
    town = _town(tmp_path)
    later = json.loads(CONTENT) | {"version": "2027.03", "date": "2027-03-01", "applies": "2027-09-01"}
    later["duties"].append(later["duties"][1] | {"id": "new-1"})
    del later["duties"][-1]["replaced_by"]
    file = tmp_path / "later.json"
    file.write_text(json.dumps(later))
    status, found = town.ask("--on", "2026-03-04", "--catalogue", file)
    assert (status, found["catalogue"]) == (1, "sdk/2027.03")
    assert {each["duty"] for each in found["gaps"]} == {"new-1"}  # type: ignore[attr-defined]


def test_a_statement_of_another_organisation_or_with_a_broken_signature_is_refused(tmp_path: Path) -> None:
    town = _town(tmp_path)
    theirs = in_process("gov", "coverage", "0203:mullsjo.se", "--statements", town.file)
    assert (theirs.status, "other-organisation" in theirs.complaints) == (2, True)
    lines = town.file.read_bytes().splitlines()
    lines[-1] = lines[-1].replace(b"beslut 12", b"beslut 13")
    town.file.write_bytes(b"\n".join(lines))
    forged = in_process("gov", "coverage", HABO, "--statements", town.file)
    assert forged.status == 2
    assert f"statement {len(lines)}: " in forged.complaints


@pytest.mark.parametrize("language", ["sv", "en"])
def test_the_chain_is_drawn_with_its_gaps_in_words(tmp_path: Path, language: str) -> None:
    town = _town(tmp_path, "sdk-nyckel")
    file = tmp_path / "chain.svg"
    arguments = ("--on", "2026-03-04", "--picture", file, "--language", language)
    assert town.ask(*arguments)[0] == 1
    root = etree.fromstring(file.read_bytes())
    texts = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]
    for each in CHAIN[:3]:
        assert str(each) in texts
    missing = {"sv": "1 skyldighet saknas: sdk-nyckel", "en": "1 duty missing: sdk-nyckel"}[language]
    assert missing in texts
    described = root.findtext("{http://www.w3.org/2000/svg}desc") or ""
    assert missing in described
    assert not re.search(r"NaN|None", file.read_text())
