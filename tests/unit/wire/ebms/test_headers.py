"""ebMS headers: built, read back, and refused if they break the schema (ebms3-core 5.2)."""

from __future__ import annotations

import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samdrift.wire.ebms import (
    EbmsError,
    EbmsErrorCode,
    ErrorSignalMessage,
    PartInfo,
    Property,
    ReceiptSignalMessage,
    Severity,
    SignalInfo,
    UserMessage,
    build_errors,
    build_receipt,
    build_user_message,
    format_time,
    message_id_of,
    parse_signal,
    parse_time,
    parse_user_message,
)
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import canonical, parse

_AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
_VALUE = (
    st.text(string.ascii_letters + "åäö<>&\"' :/#-_.", min_size=1, max_size=40).map(str.strip).filter(bool)
)
_OPTIONAL = st.none() | _VALUE
_PROPERTIES = st.lists(
    st.builds(Property, _VALUE, _VALUE, _OPTIONAL), max_size=4, unique_by=lambda entry: entry.name
).map(tuple)
_MESSAGES = st.builds(
    UserMessage,
    message_id=_VALUE,
    timestamp=st.datetimes(timezones=st.just(UTC)).map(
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
    ),
    from_party=_VALUE,
    from_party_type=_OPTIONAL,
    from_role=_VALUE,
    to_party=_VALUE,
    to_party_type=_OPTIONAL,
    to_role=_VALUE,
    service=_VALUE,
    service_type=_OPTIONAL,
    action=_VALUE,
    conversation_id=_VALUE,
    properties=_PROPERTIES,
    parts=st.lists(st.builds(PartInfo, _VALUE, _PROPERTIES), max_size=3).map(tuple),
    mpc=_OPTIONAL,
    ref_to_message_id=_OPTIONAL,
)


def _message() -> UserMessage:
    return UserMessage(
        message_id="m-1@ap.example",
        timestamp=_AT,
        from_party="A",
        from_party_type="t",
        from_role="r",
        to_party="B",
        to_party_type=None,
        to_role="r",
        service="s",
        service_type="st",
        action="a",
        conversation_id="c",
        properties=(
            Property("originalSender", "0203:a.example"),
            Property("finalRecipient", "0203:b.example", "x"),
        ),
        parts=(PartInfo("cid:message", (Property("MimeType", "text/xml"),)),),
    )


@settings(max_examples=150, deadline=None)
@given(_MESSAGES)
def test_a_user_message_is_read_as_it_was_built(message: UserMessage) -> None:
    markup = build_user_message(message, "id-1").encode()
    assert parse_user_message(parse(markup)) == message


@settings(max_examples=60, deadline=None)
@given(_MESSAGES)
def test_what_is_built_is_in_canonical_form(message: UserMessage) -> None:
    """The header is hashed exactly as it is sent."""
    markup = build_user_message(message, "id-1").encode()
    assert canonical(parse(markup), exclusive=True) == markup


def test_signals_are_built_in_canonical_form_and_read_back() -> None:
    info = SignalInfo("r-1", _AT, "m-1")
    reference = '<ds:Reference xmlns:ds="http://www.w3.org/2000/09/xmldsig#" URI="#x"></ds:Reference>'
    receipt = build_receipt(info, [reference, reference], "id-1").encode()
    error = EbmsError.of(EbmsErrorCode.OTHER, "a <detail>", "m-1")
    errors = build_errors(info, [error, replace(error, description='"why"')], "id-1").encode()
    for markup in (receipt, errors):
        assert canonical(parse(markup), exclusive=True) == markup
    read = parse_signal(parse(receipt))
    assert isinstance(read, ReceiptSignalMessage)
    assert (read.info, [entry.get("URI") for entry in read.proof]) == (info, ["#x", "#x"])
    failed = parse_signal(parse(errors))
    assert isinstance(failed, ErrorSignalMessage)
    assert failed == ErrorSignalMessage(info, (error, replace(error, description='"why"')))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<eb:MessageId>m-1@ap.example</eb:MessageId>", ""),
        ("<eb:MessageId>m-1@ap.example</eb:MessageId>", "<eb:MessageId> </eb:MessageId>"),
        ("m-1@ap.example", "x" * 2000),
        ("m-1@ap.example", "<x/>m-1"),
        ("2026-03-02T12:00:00.000Z", "yesterday"),
        ("<eb:From>", "<eb:From><eb:PartyId>C</eb:PartyId>"),
        ("<eb:Action>a</eb:Action>", "<eb:Action>a</eb:Action><eb:Action>b</eb:Action>"),
        ("<eb:Action>a</eb:Action>", ""),
        ("<eb:ConversationId>c</eb:ConversationId>", ""),
        ('name="finalRecipient"', 'name="originalSender"'),
        ('name="finalRecipient"', ""),
        ("</eb:UserMessage>", "</eb:UserMessage><eb:UserMessage/>"),
        ("</eb:UserMessage>", "<eb:Other/></eb:UserMessage>"),
        ("UserMessage", "SignalMessage"),
        ("<eb:PartyInfo>", "<x:y xmlns:x='urn:x'/><eb:PartyInfo>"),
    ],
)
def test_a_header_that_is_not_as_the_schema_says_is_refused(old: str, new: str) -> None:
    markup = build_user_message(_message(), "id-1")
    assert old in markup
    with pytest.raises(WireError) as caught:
        parse_user_message(parse(markup.replace(old, new).encode()))
    assert caught.value.fault is WireFault.STRUCTURE


def test_texts_of_refusals_hold_no_content() -> None:
    markup = build_user_message(_message(), "id-1").replace("2026-03-02T12:00:00.000Z", "0203:secret.example")
    with pytest.raises(WireError) as caught:
        parse_user_message(parse(markup.encode()))
    assert "secret" not in str(caught.value)


def test_the_id_of_a_broken_header_is_found() -> None:
    markup = build_user_message(_message(), "id-1")
    assert message_id_of(parse(markup.replace("<eb:Action>a</eb:Action>", "").encode())) == "m-1@ap.example"
    assert message_id_of(parse(markup.replace("m-1@ap.example", " ").encode())) is None
    assert message_id_of(parse(markup.replace("eb:MessageId>", "eb:Other>").encode())) is None


def test_properties_are_found_by_name() -> None:
    message = _message()
    assert message.property("finalRecipient") == "0203:b.example"
    assert message.property("other") is None
    assert message.parts[0].property("MimeType") == "text/xml"


def test_codes_are_those_of_the_standards() -> None:
    """ebms3-core 6.7, as4-profile 3: spot checks of the table."""
    assert EbmsErrorCode.INVALID_HEADER == "EBMS:0009"
    assert EbmsErrorCode.FAILED_AUTHENTICATION == "EBMS:0101"
    assert EbmsErrorCode.FAILED_DECRYPTION == "EBMS:0102"
    assert EbmsErrorCode.DECOMPRESSION_FAILURE == "EBMS:0303"
    assert EbmsErrorCode("EBMS:0004").severity is Severity.FAILURE  # type: ignore[call-arg]
    assert EbmsErrorCode.FEATURE_NOT_SUPPORTED.severity is Severity.WARNING
    assert len({str(code) for code in EbmsErrorCode}) == len(EbmsErrorCode)


def test_times_have_three_digits_and_z() -> None:
    """Domibus refuses any other number."""
    assert format_time(_AT) == "2026-03-02T12:00:00.000Z"
    assert format_time(_AT.replace(microsecond=987_654)) == "2026-03-02T12:00:00.987Z"
    assert format_time(_AT.astimezone(timezone(timedelta(hours=2)))) == "2026-03-02T12:00:00.000Z"


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        "2026-03-02",
        "2026-03-02 12:00:00Z",
        "2026-13-02T12:00:00Z",
        "2026-03-02T25:00:00Z",
        "20260302T120000Z",
        "2026-W10-1T12:00:00Z",
        "2026-03-02T12:00:00.Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "2026-03-02T12:00:00+25:00",
        "२०२६-03-02T12:00:00Z",
    ],
)
def test_what_is_no_time_is_none(spelling: str) -> None:
    assert parse_time(spelling) is None


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789-T:.Z+", max_size=32))
def test_any_time_is_read_or_none(spelling: str) -> None:
    at = parse_time(spelling)
    assert at is None or at.tzinfo is UTC
