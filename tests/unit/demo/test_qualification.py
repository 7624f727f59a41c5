"""The protocol of a session with DIGG's test bed: cases decided by logs or by people, and its page."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.config.errors import Unusable
from samdrift.config.model import Config, Environment, OrganisationConfig
from samdrift.config.toml import ConfigError
from samdrift.contracts.principals import Role
from samdrift.demo.qualification import protocol as protocols
from samdrift.demo.qualification.cases import CASES, Model
from samdrift.demo.qualification.form import filled
from samdrift.demo.qualification.protocol import CaseRecord, State, TestProtocol
from samdrift.demo.qualification.session import read_participants, subject_of
from samdrift.messageservice.events import MTEvent
from samdrift.vault.events import VaultEvent
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.official import DIGG, requires_digg
from tests.unit.cli.commandline import in_process

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
BY_ID = {case.id: case for case in CASES}
OUR = ParticipantIdentifier("0203:testdeltagare.se")
SENT = (MTEvent.MT_MESSAGE_SCHEDULED, APEvent.AP_TRANSFER_QUEUED, APEvent.AP_TRANSFER_DELIVERED)
CAME = (APEvent.AP_ENVELOPE_RECEIVED, MTEvent.MT_MESSAGE_RETRIEVED, MTEvent.MT_RECEIPT_QUEUED)


def entry(event: AuditEvent, **ids: str) -> LogEntry:
    return LogEntry(1, NOW, event, "worker", "trace", ids, b"", b"")


def entries(*events: AuditEvent, size: int = 0) -> list[LogEntry]:
    return [entry(event, size=str(size)) for event in events]


ELSEWHERE = "EBMS:0101: certificate of the sending access point: untrusted"
REVOKED = {"reason": "peer-untrusted", "detail": "the certificate is not trusted: revoked"}
EXPIRED = {"reason": "peer-untrusted", "detail": "the certificate is not trusted: expired"}


@pytest.mark.parametrize(
    ("case", "found", "passed"),
    [
        ("TF-01", [], None),
        ("TF-01", entries(*SENT), None),
        ("TF-01", entries(*SENT, MTEvent.MT_MESSAGE_ACCEPTED), True),
        ("TF-01", entries(*SENT, MTEvent.MT_MESSAGE_REJECTED), False),
        ("TF-01", entries(MTEvent.MT_MESSAGE_FAILED), False),
        ("TF-02", [entry(VaultEvent.AP_TRANSFER_FAILED, **REVOKED)], True),
        ("TF-02", [entry(VaultEvent.AP_TRANSFER_FAILED, **EXPIRED)], None),
        ("TF-02", [entry(VaultEvent.AP_TRANSFER_FAILED, reason="peer-unreachable")], None),
        ("TF-02", entries(*SENT), False),
        ("TF-02", entries(MTEvent.MT_MESSAGE_FAILED), None),
        ("TF-05", [entry(APEvent.AP_TRANSFER_POSTPONED, reason="peer-unreachable")], None),
        ("TF-05", [entry(VaultEvent.AP_TRANSFER_FAILED, reason="peer-unreachable")], True),
        ("TF-05", [entry(VaultEvent.AP_TRANSFER_FAILED, **REVOKED)], None),
        ("TF-05", entries(*SENT), False),
        ("TF-03", [entry(APEvent.AP_ENVELOPE_REFUSED, reason=ELSEWHERE)], True),
        ("TF-03", [entry(APEvent.AP_ENVELOPE_REFUSED, reason="EBMS:0004: NOT_SERVICED")], None),
        ("TF-09", [entry(APEvent.AP_ENVELOPE_REFUSED, reason=ELSEWHERE)], None),
        ("TF-09", [entry(APEvent.AP_ENVELOPE_REFUSED, reason="not an envelope")], True),
        ("TF-10", [entry(APEvent.AP_ENVELOPE_REFUSED, reason="another recipient")], True),
        ("TF-03", entries(*CAME), False),
        ("TF-04", entries(*CAME), None),
        ("TF-04", entries(*CAME, MTEvent.MT_RECEIPT_ACKNOWLEDGED), True),
        ("TF-04", entries(*CAME, MTEvent.MT_RECEIPT_FAILED), False),
        ("TF-04", entries(APEvent.AP_ENVELOPE_REFUSED), False),
        ("TF-04", entries(APEvent.AP_ENVELOPE_RECEIVED, MTEvent.MT_MESSAGE_REFUSED), False),
        (
            "TF-04",
            entries(*CAME, MTEvent.MT_MESSAGE_REFUSED, MTEvent.MT_RECEIPT_ACKNOWLEDGED),
            False,
        ),
        ("TF-08", entries(*CAME, MTEvent.MT_RECEIPT_ACKNOWLEDGED, size=69_999_999), False),
        (
            "TF-08",
            entries(*CAME, MTEvent.MT_MESSAGE_REFUSED, MTEvent.MT_RECEIPT_ACKNOWLEDGED, size=70_000_000),
            True,
        ),
        ("TF-09", entries(*CAME), False),
        ("TF-10", entries(*CAME), False),
    ],
)
def test_the_logs_decide_a_case(case: str, found: list[LogEntry], passed: bool | None) -> None:
    """Clauses: accesspoint-test-cases 4.2.1 TF-01, 4.2.2 TF-02, 4.3.1 TF-03, TF-04, 6.1.1 TF-05, 6.2.3 TF-08,
    6.2.4 TF-09, 6.2.5 TF-10.
    """
    assert BY_ID[case].judge(found).passed is passed


@requires_digg
def test_the_rows_are_those_of_diggs_form() -> None:
    form = (DIGG / "forms" / "test-protocol-qa-2022-03-01.txt").read_text()
    rows = [line.strip(" |") for line in form.splitlines() if line.startswith((" | TF", "TF"))]
    ours = [f"{case.id} ({case.title})" for case in CASES]
    assert ours == [row.replace("TF ", "TF-").replace(".)", ")") for row in rows]


LOGGED = {"at": NOW.isoformat(), "where": "ap", "event": "ap:transfer:queued", "facts": {"as4": "a"}}


def protocol() -> TestProtocol:
    return TestProtocol("AP0008-SDK-QA", OUR.value, "extended", "0.1.0", "Test Testare")


def test_a_protocol_is_read_as_it_was_kept(tmp_path: Path) -> None:
    kept = protocol()
    kept.cases["TF-01"] = CaseRecord(State.WAITING, message="m", seen="på väg", log=[LOGGED])
    kept.cases["TF-09"] = CaseRecord(State.WAITING, as4="a", lacks_report=True)
    protocols.save(tmp_path / "kept", kept, "form")
    assert protocols.load(tmp_path / "kept") == kept
    assert protocols.load(tmp_path / "none") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("cases"),
        lambda document: document.update(format_version=2),
        lambda document: document.update(party=7),
        lambda document: document["cases"].pop("TF-10"),
        lambda document: document["cases"]["TF-01"].update(state="perfect"),
        lambda document: document["cases"]["TF-01"].update(log=5),
        lambda document: document["cases"]["TF-01"].update(log=[{**LOGGED, "facts": 7}]),
        lambda document: document["cases"]["TF-01"].update(files=[{"name": "x"}]),
        lambda document: document["cases"]["TF-01"].update(begun_at="yesterday"),
        lambda document: document["cases"]["TF-01"].update(begun_at="2026-11-24"),
        lambda document: document["cases"].update({"TF-01": []}),
    ],
)
def test_a_protocol_that_is_none_is_an_error_and_stays(tmp_path: Path, change: Any) -> None:
    protocols.save(tmp_path, protocol(), "form")
    file = tmp_path / protocols.FILE
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    with pytest.raises(Unusable, match="is not a test protocol"):
        protocols.load(tmp_path)
    assert json.loads(file.read_text()) == document


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (CaseRecord(State.FAILED), True),
        (CaseRecord(State.PASSED), False),
        (CaseRecord(State.WAITING, lacks_report=True), False),
    ],
)
def test_a_person_decides_nothing_that_the_logs_have_decided(record: CaseRecord, expected: bool) -> None:
    with pytest.raises(Unusable, match="decided otherwise"):
        protocols.require_judgeable(record, expected)


def test_a_person_decides_what_the_logs_cannot_and_the_form_says_who() -> None:
    kept = protocol()
    record = kept.cases["TF-03"] = CaseRecord(State.WAITING)
    protocols.require_judgeable(record, True)
    protocols.judge_by_person(record, "Anna Andersson", expected=True, comment="Testledaren fick EBMS:0101.")
    assert record.state is State.PASSED
    (row,) = (line for line in filled(kept, NOW).splitlines() if line.startswith("| TF-03"))
    assert "Testledaren fick EBMS:0101. Bedömt av Anna Andersson." in row


def test_evidence_alone_decides_nothing(tmp_path: Path) -> None:
    """Clauses: accesspoint-test-cases 6.2.4 TF-09."""
    file = tmp_path / "svar från Kalle.TXT"
    file.write_text("hej")
    for record in (CaseRecord(), CaseRecord(State.WAITING), CaseRecord(State.FAILED)):
        state = record.state
        protocols.keep_evidence(tmp_path, "TF-03", record, file, "anna")
        protocols.judge_by_person(record, "anna", expected=None, comment="")
        assert record.state is state
    names = sorted(path.name for path in (tmp_path / "evidence").iterdir())
    assert names == ["TF-03-1.txt", "TF-03-2.txt", "TF-03-3.txt"]


def test_a_peers_text_stays_in_its_cell() -> None:
    kept = protocol()
    kept.cases["TF-02"] = CaseRecord(State.PASSED, code="no | yes |\n| TF-03 <b>\x1b[2J")
    text = filled(kept, NOW)
    (row,) = (line for line in text.splitlines() if line.startswith("| TF-02"))
    assert r"no \| yes \|\\n\| TF-03 &lt;b>\\x1b\[2J" in row
    assert "\x1b" not in text


def config(*organisations: OrganisationConfig, environment: Environment = Environment.TEST) -> Config:
    nothing = cast(Any, None)
    return Config(environment, nothing, nothing, nothing, organisations, access_point=cast(Any, object()))


OURS = OrganisationConfig(OUR, "Testdeltagare", tuple(Role), functional_addresses=("sdk.test",))
OTHER = replace(OURS, identifier=ParticipantIdentifier("0203:annan.se"))


def test_the_participant_is_the_one_that_is_served_or_is_named() -> None:
    assert subject_of(config(OURS), None, Model.EXTENDED).participant == OUR
    assert subject_of(config(OURS, OTHER), OTHER.identifier, Model.EXTENDED).organisation == OTHER


@pytest.mark.parametrize(
    ("configured", "model", "says"),
    [
        (config(OURS, environment=Environment.PRODUCTION), Model.EXTENDED, "of production"),
        (config(), Model.EXTENDED, "serves no such participant"),
        (config(replace(OURS, roles=(Role.MESSAGE_SERVICE,))), Model.EXTENDED, "serves no such participant"),
        (config(OURS, OTHER), Model.EXTENDED, "serves several"),
        (config(replace(OURS, functional_addresses=())), Model.EXTENDED, "no functional address"),
        (config(OURS), Model.BASE, "base transport model"),
    ],
)
def test_an_installation_that_cannot_be_tested_is_told_why(
    configured: Config, model: Model, says: str
) -> None:
    """Nothing is sent in production (joining-journey 2.4: fictitious data, in the QA environment)."""
    with pytest.raises(Unusable, match=says):
        subject_of(configured, None, model)


PARTICIPANTS = "".join(
    f'[TestAP-{number:02}]\nidentifier = "0203:digg-qa{number:02}.example.se"\naddress = "sdk.test"\n'
    for number in (1, 3, 4, 5)
)


def test_participants_are_read_with_ours_where_it_is_named(tmp_path: Path) -> None:
    """Clauses: accesspoint-test-cases 4.2.1 TF-01."""
    file = tmp_path / "participants.toml"
    file.write_text(f'tested = "{OUR.value}"\n{PARTICIPANTS}')
    found = read_participants(file)
    assert found.tested == OUR
    assert found.bed["TestAP-03"].identifier.value == "0203:digg-qa03.example.se"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "TestAP-01: is missing"),
        (PARTICIPANTS.replace("qa03", "qa01"), "same identifier"),
        (PARTICIPANTS.replace("0203:digg-qa01", "digg"), "TestAP-01.identifier"),
        (PARTICIPANTS.replace("[TestAP-05]", "[TestAP-06]"), "TestAP-05: is missing"),
        (f"{PARTICIPANTS}endpoint = 'https://x'", "TestAP-05.endpoint: is not a setting"),
        (f'tested = "0203:digg-qa01.example.se"\n{PARTICIPANTS}', "is a participant of the test bed"),
    ],
)
def test_a_file_of_participants_that_cannot_be_used_says_where(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "participants.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_participants(file)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--against", "x.toml"), "--against needs --participants"),
        (("--participants", "p"), "--participants needs --against"),
        (("--against", "x.toml", "--participants", "p", "--again"), "--again needs --case"),
        (("--against", "x.toml", "--participants", "p"), "there is no such file"),
    ],
)
def test_a_command_line_that_cannot_be_used(arguments: tuple[str, ...], says: str) -> None:
    ended = in_process("testbed", "run", *arguments)
    assert ended.status == 2
    assert says in ended.complaints


def test_evidence_without_a_protocol_is_refused(tmp_path: Path) -> None:
    ended = in_process("testbed", "evidence", "TF-09", "report", "--protocol", str(tmp_path))
    assert (ended.status, ended.output) == (2, "")
    assert "no test protocol is kept there" in ended.complaints


def test_two_commands_never_write_one_test_protocol(tmp_path: Path) -> None:
    second = protocols.alone(tmp_path)
    with protocols.alone(tmp_path), pytest.raises(Unusable, match="another command is writing"), second:
        pytest.fail("a second command was let in")
    with protocols.alone(tmp_path):
        assert protocols.load(tmp_path) is None
