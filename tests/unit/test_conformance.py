"""The conformance page is made from markers in the source; here they are held against the specifications."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from docs.conformance import SPECIFICATIONS, Coverage, Marker, markers, page

from samdrift.wire import differences
from samdrift.wire.receipt import rules as receipt_rules
from samdrift.wire.schema.rules import Rule
from samdrift.wire.sdkmessage import rules as message_rules
from tests.official import DIGG, requires_digg

DIFFERENCES = (
    *differences.MESSAGE,
    *differences.RECEIPT,
    *differences.ENVELOPE,
    *differences.EVERY_DOCUMENT,
)


def _markers_of(folder: Path, source: str) -> list[tuple[str, str, str, bool, str]]:
    (folder / "module.py").write_text(source, encoding="utf-8")
    return [
        (marker.document, marker.section, marker.rules, marker.missing, marker.why)
        for marker in markers(folder)
    ]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""Does x (message-receipt 3.1 c)."""', [("message-receipt", "3.1", "c", False, "")]),
        ("# transport-profile-as4 2.10 f, g", [("transport-profile-as4", "2.10", "f, g", False, "")]),
        (
            '"""As in component-accesspoint\n    3.2.3 b, 3.2.5 A3, A4."""',
            [
                ("component-accesspoint", "3.2.3", "b", False, ""),
                ("component-accesspoint", "3.2.5", "A3, A4", False, ""),
            ],
        ),
        ('x = "message-receipt 3.4 R1-APP"', [("message-receipt", "3.4", "R1-APP", False, "")]),
        ('"""A content-specification 4.3.2 label."""', [("content-specification", "4.3.2", "", False, "")]),
        (
            '"""Missing: codes-common 1.4 a: no one uses it."""',
            [("codes-common", "1.4", "a", True, "no one uses it")],
        ),
        ('"""message-receipt 1.0 is a version, message-receipt alone a name."""', []),
    ],
)
def test_a_marker_is_found_in_docstrings_comments_and_strings(
    tmp_path: Path, source: str, found: list[tuple[str, str, str, bool, str]]
) -> None:
    assert _markers_of(tmp_path, source) == found


@cache
def _specification(name: str) -> str:
    (file,) = (file for file in DIGG.glob("specs/*.txt") if re.sub(r"-[0-9.]+$", "", file.stem) == name)
    return file.read_text(encoding="utf-8")


def _has_section(document: str, section: str) -> bool:
    heading = rf"^\s*{re.escape(section)}\.?\s+\S"
    return re.search(heading, _specification(document), re.MULTILINE) is not None


@requires_digg
def test_every_marker_points_at_a_section_that_is_there() -> None:
    astray: list[Marker] = [
        marker for marker in markers() if not _has_section(marker.document, marker.section)
    ]
    assert astray == []


@requires_digg
@pytest.mark.parametrize("document", SPECIFICATIONS)
def test_every_specification_has_its_text(document: str) -> None:
    assert _specification(document)


@requires_digg
@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
def test_every_difference_points_at_a_section_that_is_there(difference: differences.Difference) -> None:
    document, section, *_ = difference.clause.split()
    assert _has_section(document, section)


@pytest.mark.parametrize(
    ("rules", "section"),
    [
        ((*message_rules.FROM_THE_TEXT, *message_rules.FOR_SENDERS), differences.MESSAGE),
        (receipt_rules.FROM_THE_TEXT, differences.RECEIPT),
    ],
    ids=["message", "receipt"],
)
def test_every_rule_of_the_text_alone_is_a_listed_difference(
    rules: tuple[Rule, ...], section: tuple[differences.Difference, ...]
) -> None:
    listed = {(difference.name, difference.clause) for difference in section}
    assert {(rule.name, rule.clause) for rule in rules} <= listed


def test_differences_have_names_of_their_own() -> None:
    names = [difference.name for difference in DIFFERENCES]
    assert len(names) == len(set(names))


def test_the_page_shows_clauses_missing_ones_and_differences() -> None:
    shown = page(
        [
            Marker("message-receipt", "3.10", "", "b.py", 1, False, ""),
            Marker("message-receipt", "3.2", "a", "a.py", 1, False, ""),
            Marker("message-receipt", "3.2", "a", "a.py", 9, False, ""),
            Marker("message-receipt", "3.3", "", "a.py", 1, True, "not needed"),
        ],
        Coverage(
            {("message-receipt", "3.10"): frozenset({"tests/test_b.py"})},
            {"a.py": frozenset({"tests/test_a.py"})},
        ),
    )
    rows = [line for line in shown.splitlines() if re.match(r"\| 3\.", line)]
    assert rows == [
        "| 3.2 | a | `a.py` | [test_a.py](../tests/test_a.py) |",
        "| 3.3 |  | missing: not needed |  |",
        "| 3.10 |  | `b.py` | [test_b.py](../tests/test_b.py) |",
    ]
    assert all(difference.what in shown for difference in DIFFERENCES)
