"""accesspoint-test-cases 3.1, 4, 4.2.1, 7: DIGG's cases against our access point, run as operators do."""

from __future__ import annotations

from typing import Any

from tests.sizes import whole
from tests.unit.cli.commandline import Ended, in_process

DIGGS = {f"TF-{number:02}" for number in range(1, 11)}
ANNOUNCED = {"many-in", "many-out", "expired", "other-federation", "redelivery", "type-there", "type-here"}


SOME = ("TF-02", "TF-04")
"""One case that we send and one that we receive: all of them take four times as long."""


@whole
def test_every_case_passes() -> None:
    """Clauses: accesspoint-test-cases 4.2.1 TF-01, 4.2.2 TF-02, 4.3.1 TF-03, TF-04, 6.1.1 TF-05, 6.2.1 TF-06,
    6.2.2 TF-07, 6.2.3 TF-08, 6.2.4 TF-09, 6.2.5 TF-10; accesspoint-test-cases-open-test 3.1.1 TF-01.
    """
    protocol = in_process("testbed", "run", "--json")
    cases = said(protocol)
    assert [case for case in cases if not case["passed"]] == []
    assert {case["id"] for case in cases} >= DIGGS | ANNOUNCED
    assert protocol.status == 0


def test_the_protocol_says_what_was_expected_and_seen() -> None:
    named = [word for case in SOME for word in ("--case", case)]
    protocol = in_process("testbed", "run", "--json", *named)
    assert [(case["id"], case["passed"]) for case in said(protocol)] == [(case, True) for case in SOME]
    assert protocol.status == 0


def said(protocol: Ended) -> list[dict[str, Any]]:
    """Return the cases of a protocol, each with its expected and actual result."""
    cases: list[dict[str, Any]] = protocol.document["cases"]
    for case in cases:
        assert case["expected"], case["id"]
        assert case["seen"], case["id"]
    return cases
