"""Writing and reading SDK messages (content-specification 4.3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samdrift.wire import xml
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.sdkmessage import (
    MAX_BYTES,
    Document,
    File,
    Ii,
    SdkMessage,
    build,
    file_from_bytes,
    instant,
    new_timestamp,
    parse,
    prepare,
    validate,
)
from samdrift.wire.sdkmessage.parse import origin
from tests.official import DIGG, requires_digg, schema_errors, schematron_errors
from tests.unit.wire.sdkmessage.samples import FULL, MESSAGES, PDF, SENDER, SMALL


@pytest.mark.parametrize("message", [SMALL, FULL], ids=["small", "full"])
def test_what_is_built_is_read_back(message: SdkMessage) -> None:
    assert parse(build(message)) == message


@requires_digg
@given(MESSAGES)
def test_what_is_built_is_valid_to_all_or_not_built(message: SdkMessage) -> None:
    try:
        data = build(message)
    except WireError:
        return
    assert parse(data) == message
    assert validate(data) == ()
    assert schema_errors("sdk-message", data) == []
    assert schematron_errors("sdk-message", data) == []


@requires_digg
def test_the_published_example_is_read() -> None:
    message = parse((DIGG / "examples/messageWithAttachments3.xml").read_bytes())
    assert message.created == "2022-10-13T18:10:39.843Z"
    assert message.message_id == message.conversation_id == "7bc5576a-3f87-4cf5-a0c5-277da06fcacb"
    assert (message.label, message.confidentiality) == ("En rubrik", False)
    assert message.generating_system == Ii("un-encoded", "SDK Test MessageService")
    assert message.recipient.id.extension == "0203:testa.testbed.inera.se"
    assert message.recipient.attention is not None
    assert message.recipient.attention.sub_organisation.extension.startswith("sdk.testbed.")
    assert message.documents == (
        Document("SDK-Meddelande", "SDK-Meddelande", "1", (), ("Anslut till SDK!",)),
    )
    assert parse(build(message)) == message


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (replace(SMALL, label=" "), "/messagePayload/message/messageHeader/label"),
        (replace(SMALL, label="x" * 257), "/messagePayload/message/messageHeader/label"),
        (replace(SMALL, created="2024-02-29"), "/messagePayload/message/messageHeader/creationDateTime"),
        (replace(SMALL, message_id="x"), "/messagePayload/message/messageHeader/messageId"),
        (replace(SMALL, documents=()), "/messagePayload/message/messageBody"),
        (replace(SMALL, documents=(Document("1"),)), "/messagePayload/message/messageBody/documents"),
        (
            replace(SMALL, recipient=replace(SMALL.recipient, attention=None)),
            "/messagePayload/message/messageHeader/recipient",
        ),
        (
            replace(SMALL, documents=(Document("1", files=(File("a", "b", "QQ"),)),)),
            "/messagePayload/message/messageBody/documents/ContentFiles/content",
        ),
    ],
)
def test_what_would_break_a_rule_is_not_built(message: SdkMessage, where: str) -> None:
    with pytest.raises(WireError) as caught:
        build(message)
    assert (caught.value.fault, caught.value.where) == (WireFault.STRUCTURE, where)


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ufffe", "\ud800"])
def test_a_character_that_xml_does_not_allow_is_not_built(character: str) -> None:
    with pytest.raises(WireError, match="a character that XML does not allow"):
        build(replace(SMALL, label=f"a{character}"))


def test_4_3_2_2_a_sender_names_its_functional_address_though_receivers_forgive() -> None:
    nameless = replace(SMALL, sender=replace(SENDER, attention=None))
    with pytest.raises(WireError, match="attention must be set"):
        build(nameless)
    received = _without(build(SMALL), b"<tns:attention>", b"</tns:attention>", after=b"<tns:sender>")
    assert validate(received) == ()
    assert parse(received).sender.attention is None


@pytest.mark.parametrize("indexes", [(None, None), ("1", None), ("1", "b")])
def test_4_3_3_1_several_documents_are_sent_numbered_though_receivers_forgive(
    indexes: tuple[str | None, ...],
) -> None:
    """Clauses: content-specification 4.3.3.1 sentence 3, sentence 4."""
    documents = tuple(Document("d", index=index, texts=("x",)) for index in indexes)
    with pytest.raises(WireError, match="a number as index"):
        build(replace(SMALL, documents=documents))
    numbered = build(replace(SMALL, documents=tuple(replace(d, index="1") for d in documents)))
    assert validate(numbered.replace(b"<tns:index>1</tns:index>", b"")) == ()


def test_everything_that_keeps_a_message_from_being_sent_is_told_at_once() -> None:
    (one,) = SMALL.documents
    broken = replace(SMALL, label="å" * 257, message_id="1", documents=(replace(one, name="", texts=("",)),))
    told = {(found.reason, found.detail, found.path.rpartition("/")[2]) for found in prepare(broken).findings}
    assert told == {
        (Reason.RULE, Detail.STRUCTURE, "label"),
        (Reason.RULE, Detail.INVARIANT, "messageId"),
        (Reason.RULE, Detail.INVARIANT, "documentName"),
        (Reason.RULE, Detail.INVARIANT, "ContentText"),
        (Reason.RULE, Detail.INVARIANT, "characterSequence"),
    }


@pytest.mark.parametrize("message", [SMALL, FULL], ids=["small", "full"])
def test_what_may_be_sent_is_written_as_it_was_measured(message: SdkMessage) -> None:
    prepared = prepare(message)
    assert prepared.findings == ()
    assert prepared.write() == build(message)
    assert prepared.size == len(prepared.write())


@pytest.mark.parametrize(
    ("timestamp", "at"),
    [
        ("2019-08-22T07:27:15.433Z", datetime(2019, 8, 22, 7, 27, 15, 433_000, tzinfo=UTC)),
        ("2019-08-22T07:27:15.4Z", datetime(2019, 8, 22, 7, 27, 15, 400_000, tzinfo=UTC)),
        ("2019-08-31T24:00:00.0Z", datetime(2019, 9, 1, tzinfo=UTC)),
        ("9999-12-31T24:00:00.0Z", datetime(9999, 12, 31, tzinfo=UTC)),
    ],
)
def test_every_valid_time_stamp_names_a_time(timestamp: str, at: datetime) -> None:
    assert validate(build(replace(SMALL, created=timestamp))) == ()
    assert instant(timestamp) == at


def _without(data: bytes, start: bytes, end: bytes, after: bytes) -> bytes:
    first = data.index(start, data.index(after))
    return data[:first] + data[data.index(end, first) + len(end) :]


def test_contents_are_put_where_they_belong_whatever_stands_beside_them() -> None:
    texts = ("<tns:content>AAAA</tns:content>", "AAAA")
    files = (
        File("AAAA", "AAAA", "AAAA"),
        PDF,
        File("a", "b", "QUJD" * 1_000_000),
        File("a", "b", "AAAAAAAA"),
    )
    message = replace(
        SMALL, documents=(Document("1", "AAAA", "1", files, texts), Document("2", None, "2", files))
    )
    assert parse(build(message)) == message


def test_a_message_over_30_mb_is_not_built() -> None:
    """Clauses: content-specification 4.3.3.3 sentence 7."""
    file = File("a.pdf", "application/pdf", "QUJD" * (MAX_BYTES // 4))
    with pytest.raises(WireError) as caught:
        build(replace(SMALL, documents=(Document("1", files=(file,)),)))
    assert caught.value.fault is WireFault.TOO_LARGE


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"confidentiality>false", b"confidentiality>no"),
        lambda data: data.replace(b"message>", b"massage>"),
        lambda data: _without(data, b"<tns:sender>", b"</tns:sender>", after=b""),
        lambda data: _without(data, b"<tns:label>", b"</tns:label>", after=b"conversationId"),
        lambda data: b"<other/>",
    ],
)
def test_a_broken_structure_is_not_read(spoil: object) -> None:
    with pytest.raises(WireError) as caught:
        parse(spoil(build(SMALL)))  # type: ignore[operator]
    assert caught.value.fault is WireFault.STRUCTURE


def test_extensions_of_other_namespaces_are_passed_over() -> None:
    data = build(SMALL).replace(
        b"</tns:messageHeader>", b'<f:x xmlns:f="urn:f"><tns:label>no</tns:label></f:x></tns:messageHeader>'
    )
    assert parse(data) == SMALL


@given(st.binary(max_size=200))
def test_a_file_has_its_content_back(content: bytes) -> None:
    assert file_from_bytes("a", "b", content).data() == content


@pytest.mark.parametrize("content", ["QQ", "QQ=", "Q Q=", "QQ==\n", "åäö=", "QQ==QQ=="])
def test_4_3_3_3_a_file_that_is_not_base64_has_no_content(content: str) -> None:
    with pytest.raises(WireError):
        File("a", "b", content).data()


def test_content_does_not_show() -> None:
    assert "beslut" not in repr(PDF)
    assert "Karin" not in repr(FULL)


@given(st.datetimes(timezones=st.sampled_from((UTC, timezone(timedelta(hours=2))))))
def test_4_3_2_a_time_stamp_is_utc_with_three_digits(at: datetime) -> None:
    """Clauses: api-mt-mk message sentence 6; content-specification 4.3.2 sentence 1."""
    stamp = new_timestamp(at) if at.year not in (1, 9999) else "0001-01-01T00:00:00.000Z"
    assert len(stamp) == len("2024-02-29T12:00:00.123Z")
    if at.year not in (1, 9999):
        assert datetime.fromisoformat(stamp) == at.replace(microsecond=at.microsecond // 1000 * 1000)


def test_a_time_without_zone_is_no_time_stamp() -> None:
    with pytest.raises(ValueError, match="time zone"):
        new_timestamp(datetime(2024, 2, 29))


def test_a_message_that_xml_cannot_hold_has_no_bytes() -> None:
    unwritable = prepare(replace(SMALL, label="\x00"))
    assert unwritable.findings
    assert (unwritable.size, unwritable.markup, unwritable.contents) == (0, b"", ())


def test_the_origin_of_a_message_is_known_where_it_is_named_once() -> None:
    """A receipt of rejection is sent to the origin, even if nothing else in the message is valid."""
    data = build(SMALL)
    assert origin(xml.parse(data)) == (SMALL.message_id, SMALL.sender.id.extension)
    identifier = f"<tns:messageId>{SMALL.message_id}</tns:messageId>".encode()
    for other in (
        data.replace(identifier, b""),
        data.replace(identifier, identifier * 2),
        data.replace(b"messagePayload", b"anotherPayload"),
    ):
        assert other != data
        assert origin(xml.parse(other)) is None
