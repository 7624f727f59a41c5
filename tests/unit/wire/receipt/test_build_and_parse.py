"""Writing and reading message receipts (message-receipt 2.2, 3.1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.wire.codes import Detail, Reason, ReceiptStatus
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.findings import Finding
from samdrift.wire.receipt import MessageReceipt, build, parse, validate
from tests.official import DIGG, requires_digg, schema_errors, schematron_errors
from tests.unit.wire.receipt.samples import ACCEPTED, REJECTED

_FINDINGS = st.builds(
    Finding, st.sampled_from(Reason), st.sampled_from((*Detail, "")), st.text(max_size=30), st.just("NA")
)


@pytest.mark.parametrize("receipt", [ACCEPTED, REJECTED], ids=["accepted", "rejected"])
def test_what_is_built_is_read_back(receipt: MessageReceipt) -> None:
    """Clauses: message-receipt 2.2 sentence 1."""
    assert parse(build(receipt)) == receipt


@requires_digg
@given(st.lists(_FINDINGS, min_size=1, max_size=3), st.datetimes(timezones=st.just(UTC)))
def test_what_is_built_is_valid_to_all_or_not_built(findings: list[Finding], issued: datetime) -> None:
    receipt = replace(REJECTED, findings=tuple(findings), issued=issued)
    try:
        data = build(receipt)
    except WireError:
        assert any(not _allowed(finding.text) for finding in findings)
        return
    assert validate(data) == ()
    assert schema_errors("receipt", data) == []
    assert schematron_errors("receipt", data) == []
    trimmed = tuple(replace(finding, text=finding.text.strip(" \t\r\n")) for finding in findings)
    assert parse(data) == replace(receipt, findings=trimmed, issued=issued.replace(microsecond=0))


def _allowed(text: str) -> bool:
    return bool(text.strip(" \t\r\n")) and all(
        character in "\t\r\n" or (character >= " " and character not in "\ufffe\uffff") for character in text
    )


@requires_digg
@pytest.mark.parametrize(
    ("file", "status", "findings"),
    [
        ("Kvittens_AP-Accepterat.xml", ReceiptStatus.ACCEPTED, []),
        (
            "Kvittens_RE-AnnatFel.xml",
            ReceiptStatus.REJECTED,
            [
                (Reason.RULE, "RegelID-123", "/Nyttolast/Typkod"),
                (Reason.RULE, "RegelID-111", "/Nyttolast/Referens"),
            ],
        ),
        ("Kvittens_RE-SIG.xml", ReceiptStatus.REJECTED, [(Reason.SIGNATURE, "", "NA")]),
    ],
)
def test_published_examples_are_read(
    file: str, status: ReceiptStatus, findings: list[tuple[Reason, str, str]]
) -> None:
    receipt = parse((DIGG / "examples" / file).read_bytes())
    assert (receipt.id, receipt.message_id, receipt.status) == ("KVT-1", "ID-FROM-XHE-12354689", status)
    assert (receipt.sender.value, receipt.receiver.value) == ("0203:myndigheta.org", "0203:myndighetb.org")
    assert receipt.issued == datetime(2021, 4, 15, 12, tzinfo=UTC)
    assert [(found.reason, found.detail, found.path) for found in receipt.findings] == findings


@pytest.mark.parametrize(
    ("date", "time", "issued"),
    [
        ("2021-03-24", "17:22:10+01:00", datetime(2021, 3, 24, 16, 22, 10, tzinfo=UTC)),
        ("2021-03-24+05:00", "17:22:10Z", datetime(2021, 3, 24, 17, 22, 10, tzinfo=UTC)),
        ("2021-03-24", "24:00:00Z", datetime(2021, 3, 25, tzinfo=UTC)),
        (" 2021-03-24\n", "17:22:10.1234567Z", datetime(2021, 3, 24, 17, 22, 10, 123456, tzinfo=UTC)),
    ],
)
def test_3_1_c_times_of_other_zones_and_forms_are_read(date: str, time: str, issued: datetime) -> None:
    """Clauses: message-receipt 3.1 c."""
    data = build(ACCEPTED).replace(b">2024-02-29<", f">{date}<".encode())
    assert parse(data.replace(b">12:00:01Z<", f">{time}<".encode())).issued == issued


def test_a_detail_code_in_other_letters_is_known() -> None:
    data = build(REJECTED).replace(b">too-long<", b"> Not-found <")
    assert parse(data).findings[1].detail is Detail.NOT_FOUND


@pytest.mark.parametrize(
    "receipt",
    [
        replace(ACCEPTED, findings=REJECTED.findings),
        replace(REJECTED, findings=()),
        replace(ACCEPTED, message_id=""),
        replace(ACCEPTED, id="\x00"),
        replace(REJECTED, findings=(Finding(Reason.RULE, Detail.INVARIANT, " "),)),
    ],
)
def test_what_would_break_a_rule_is_not_built(receipt: MessageReceipt) -> None:
    """Clauses: transport-model-base 2.9.3 b."""
    with pytest.raises(WireError) as caught:
        build(receipt)
    assert caught.value.fault is WireFault.STRUCTURE


def test_a_time_without_zone_is_not_built() -> None:
    with pytest.raises(ValueError, match="time zone"):
        build(replace(ACCEPTED, issued=datetime(2024, 2, 29)))


def test_another_zone_is_written_as_utc() -> None:
    local = datetime(2024, 3, 1, 0, 0, 1, tzinfo=timezone(timedelta(hours=12)))
    assert build(replace(ACCEPTED, issued=local)) == build(ACCEPTED)


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        (b">ACCEPTED<", b">MAYBE<", WireFault.STRUCTURE),
        (b">12:00:01Z<", b">12:00:01<", WireFault.STRUCTURE),
        (b">2024-02-29<", b">-2024-02-29<", WireFault.STRUCTURE),
        (b">0203:habo.se<", b">habo<", WireFault.IDENTIFIER),
        (b"iso6523-actorid-upis", b"GLN", WireFault.IDENTIFIER),
        (b"cbc:IssueTime", b"cbc:IssueTimes", WireFault.STRUCTURE),
    ],
)
def test_a_broken_receipt_is_not_read(before: bytes, after: bytes, fault: WireFault) -> None:
    with pytest.raises(WireError) as caught:
        parse(build(ACCEPTED).replace(before, after))
    assert caught.value.fault is fault
