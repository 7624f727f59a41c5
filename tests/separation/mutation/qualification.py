"""Mutants that remove guards of the test protocol for DIGG, which cites logs only and sends nothing real."""

from __future__ import annotations

from tests.separation.mutation.mutant import Mutant

_UNIT = "tests/unit/demo/test_qualification.py"
_SESSION = (
    "tests/roles/test_testbed_against.py::test_a_session_from_the_first_message_to_a_form_that_can_be_sent"
)

QUALIFICATION = (
    Mutant(
        "no test message is sent in production",
        "demo/qualification/session.py",
        "if config.environment is Environment.PRODUCTION:",
        "if False:",
        (f"{_UNIT}::test_an_installation_that_cannot_be_tested_is_told_why",),
    ),
    Mutant(
        "no person decides a test case otherwise than the logs",
        "demo/qualification/protocol.py",
        "if expected is not None and decided and expected is (record.state is State.FAILED):",
        "if False:",
        (f"{_UNIT}::test_a_person_decides_nothing_that_the_logs_have_decided",),
    ),
    Mutant(
        "evidence alone passes no test case",
        "demo/qualification/protocol.py",
        "elif record.lacks_report and record.files:",
        "elif record.files:",
        (f"{_UNIT}::test_evidence_alone_decides_nothing",),
    ),
    Mutant(
        "a peer's text stays in its cell of the test protocol",
        "demo/qualification/form.py",
        'f"\\\\{each}" if each in "\\\\|`*_[]" else each',
        "each",
        (f"{_UNIT}::test_a_peers_text_stays_in_its_cell",),
    ),
    Mutant(
        "TF-02 passes for a revoked certificate alone",
        "demo/qualification/cases.py",
        'failed.ids.get("reason") == reason and word in failed.ids.get("detail", "")',
        'failed.ids.get("reason") == reason',
        (f"{_UNIT}::test_the_logs_decide_a_case",),
    ),
    Mutant(
        "TF-08 passes for an envelope of 70 MB alone",
        "demo/qualification/cases.py",
        "verdict.passed and size >= LARGE",
        "verdict.passed",
        (f"{_UNIT}::test_the_logs_decide_a_case",),
    ),
    Mutant(
        "a refusal for another reason than the case's passes no test case",
        "demo/qualification/cases.py",
        'passed = proper(refused.ids.get("reason", "")) or None',
        "passed = True",
        (f"{_UNIT}::test_the_logs_decide_a_case",),
    ),
    Mutant(
        "one message is the evidence of one test case",
        "demo/qualification/session.py",
        ' or ids.get("as4") in claimed:',
        ":",
        (_SESSION,),
    ),
    Mutant(
        "TF-09 is complete with evidence of the report to DIGG alone",
        "demo/qualification/session.py",
        "verdict.passed and case.report and not record.files",
        "False",
        (_SESSION,),
    ),
)
