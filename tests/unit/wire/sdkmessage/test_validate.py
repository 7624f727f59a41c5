"""The verdicts that content-specification prescribes, clause by clause, with their receipt codes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from samdrift.wire import xml
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.sdkmessage import MAX_BYTES, SdkMessage, build, parse, read, validate
from samdrift.wire.xml.schema import MAX_FINDINGS
from tests.official import DIGG, requires_digg
from tests.unit.wire.sdkmessage.samples import FULL, MESSAGE_ID, SMALL

HEADER = "/messagePayload/message/messageHeader"
BODY = "/messagePayload/message/messageBody"
STRUCTURE = (Reason.SCHEMA, Detail.STRUCTURE)
INVARIANT = (Reason.RULE, Detail.INVARIANT)


def _verdict(data: bytes) -> list[tuple[Reason, str, str]]:
    return [(finding.reason, finding.detail, finding.path) for finding in validate(data)]


def _with(place: str, value: str | None, message: SdkMessage = FULL) -> bytes:
    """Return the message with another text in the first element at ``place``, or without that element."""
    root = etree.fromstring(build(message))
    element = root.xpath("//" + "/".join(f"*[local-name()='{step}']" for step in place.split("/")))[0]
    if value is None:
        element.getparent().remove(element)
    else:
        element.text = value
    return etree.tostring(root, encoding="UTF-8")


@requires_digg
@pytest.mark.parametrize("file", ["examples/messageWithAttachments3.xml", "testdata/min.xml"])
def test_published_messages_are_valid(file: str) -> None:
    assert validate((DIGG / file).read_bytes()) == ()


@requires_digg
def test_case_2_4_1_a_time_stamp_that_is_none_comes_first() -> None:
    assert _verdict((DIGG / "testdata/TF2.4.1.xml").read_bytes()) == [
        (*STRUCTURE, f"{HEADER}/creationDateTime"),
        (*INVARIANT, f"{HEADER}/creationDateTime"),
        (*INVARIANT, f"{HEADER}/conversationId"),
    ]


def test_a_tree_has_the_same_verdict_as_its_bytes() -> None:
    data = _with("messageId", "x")
    assert validate(xml.parse(data)) == validate(data) != ()


@pytest.mark.parametrize(
    ("place", "value", "codes", "path"),
    [
        # 4.3.2 MessageHeaderType
        ("creationDateTime", "3 Sept. 2019", STRUCTURE, f"{HEADER}/creationDateTime"),
        ("creationDateTime", "2019-09-03T12:04:13.123", INVARIANT, f"{HEADER}/creationDateTime"),
        ("creationDateTime", "2018-09-12T15:06:00Z", INVARIANT, f"{HEADER}/creationDateTime"),
        ("messageId", "teststring", INVARIANT, f"{HEADER}/messageId"),
        ("conversationId", "teststring", INVARIANT, f"{HEADER}/conversationId"),
        ("conversationId", None, STRUCTURE, HEADER),
        ("conversationId", None, INVARIANT, HEADER),
        ("refToMessageId", "teststring", INVARIANT, f"{HEADER}/refToMessageId"),
        ("messageHeader/label", "x" * 257, (Reason.RULE, Detail.STRUCTURE), f"{HEADER}/label"),
        ("messageHeader/label", None, INVARIANT, HEADER),
        ("confidentiality", "ja", STRUCTURE, f"{HEADER}/confidentiality"),
        ("confidentiality", None, STRUCTURE, HEADER),
        ("messageHeader/recipient", None, STRUCTURE, HEADER),
        # 4.3.2.1 RecipientType
        ("recipientID/root", "teststring", INVARIANT, f"{HEADER}/recipient/recipientID/root"),
        ("recipientID/extension", "habo.se", INVARIANT, f"{HEADER}/recipient/recipientID/extension"),
        ("recipient/attention", None, STRUCTURE, f"{HEADER}/recipient"),
        # 4.3.2.2 SenderType
        ("senderID/root", "teststring", INVARIANT, f"{HEADER}/sender/senderID/root"),
        ("senderID/extension", "0203:", INVARIANT, f"{HEADER}/sender/senderID/extension"),
        # 4.3.2.3 AttentionDataType
        (
            "subOrganization/label",
            "x" * 257,
            STRUCTURE,
            f"{HEADER}/recipient/attention/subOrganization/label",
        ),
        (
            "subOrganization/organizationId/root",
            "teststring",
            INVARIANT,
            f"{HEADER}/recipient/attention/subOrganization/organizationId/root",
        ),
        ("person/label", "x" * 257, STRUCTURE, f"{HEADER}/sender/attention/person[1]/label"),
        (
            "referenceId/extension",
            "x" * 257,
            INVARIANT,
            f"{HEADER}/sender/attention/reference[1]/referenceId/extension",
        ),
        # 4.3.3 MessageBodyType
        ("documentID", None, STRUCTURE, f"{BODY}/documents[1]"),
        ("characterSequence", "", INVARIANT, f"{BODY}/documents[1]/ContentText[1]/characterSequence"),
        ("content", "JVBERi0\n", INVARIANT, f"{BODY}/documents[1]/ContentFiles[1]/content"),
        ("content", "JVBERi0", INVARIANT, f"{BODY}/documents[1]/ContentFiles[1]/content"),
    ],
)
def test_each_breach_has_its_codes_and_place(
    place: str, value: str | None, codes: tuple[Reason, Detail], path: str
) -> None:
    """Clauses: content-specification 4.3.2 answer 1, answer 2, sentence 3, answers 3-7, 4.3.2.1 sentence 2,
    answer 2, 4.3.2.2 sentence 4, answer 1, answer 3, 4.3.2.3 answer 1, answer 3, answer 5,
    4.3.3.3 sentence 6, 5.3 row 5; message-receipt 3.1 g.
    """
    assert (*codes, path) in _verdict(_with(place, value))


@pytest.mark.parametrize("party", ["recipient", "sender"])
@pytest.mark.parametrize("character", ["x", "ö", "😀"])
def test_labels_are_counted_in_characters(character: str, party: str) -> None:
    """Clauses: content-specification 4.3.2.1 answer 3, 4.3.2.2 answer 4."""
    labelled: dict[str, Any] = {party: replace(getattr(FULL, party), label="-")}
    message = replace(FULL, **labelled)
    assert _verdict(_with(f"{party}/label", character * 256, message)) == []
    found = _verdict(_with(f"{party}/label", character * 257, message))
    assert found == [(*STRUCTURE, f"{HEADER}/{party}/label")]


@pytest.mark.parametrize("data", [build(FULL), build(SMALL), _with("label", None), bytes(MAX_BYTES + 1)])
def test_reading_gives_the_verdict_and_the_message_when_it_is_valid(data: bytes) -> None:
    found = validate(data)
    assert read(data) == (found, None if found else parse(data))


def test_4_3_3_a_message_has_a_document() -> None:
    assert _verdict(_with("documents", None, SMALL)) == [(*STRUCTURE, BODY), (*INVARIANT, BODY)]


def test_4_3_3_1_a_document_holds_a_text_or_a_file() -> None:
    """Clauses: content-specification 4.3.3.1 sentence 1."""
    assert _verdict(_with("ContentText", None, SMALL)) == [(*INVARIANT, f"{BODY}/documents")]


def test_5_1_every_empty_element_is_named() -> None:
    extension = b'<f:x xmlns:f="urn:f"><f:y> </f:y></f:x></tns:sender>'
    assert _verdict(build(SMALL).replace(b"</tns:sender>", extension)) == [
        (*INVARIANT, f"{HEADER}/sender"),
        (*INVARIANT, f"{HEADER}/sender"),
    ]


def test_another_root_breaks_the_schema() -> None:
    assert _verdict(b"<other/>") == [(*STRUCTURE, "NA")]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", WireFault.NOT_XML),
        (b"hej", WireFault.NOT_XML),
        (b"<a><b></a>", WireFault.NOT_XML),
        (b"<!DOCTYPE a><a/>", WireFault.FORBIDDEN_XML),
        (b"<a>" * 100 + b"</a>" * 100, WireFault.TOO_DEEP),
        (b"<a>" + b"<b/>" * 250_000 + b"</a>", WireFault.TOO_LARGE),
    ],
)
def test_what_is_no_usable_xml_gets_no_verdict(data: bytes, fault: WireFault) -> None:
    with pytest.raises(WireError) as caught:
        validate(data)
    assert caught.value.fault is fault


@pytest.fixture(scope="module")
def largest() -> bytes:
    """Return a message of exactly 30 MB."""
    data = build(FULL)
    at = data.index(b">JVBER") + 1
    filler = b"QUJD" * ((MAX_BYTES - len(data)) // 4)
    padding = b" " * (MAX_BYTES - len(data) - len(filler))
    return data[:at] + filler + data[at:] + padding


def test_4_3_3_3_30_mb_are_accepted(largest: bytes) -> None:
    """Clauses: content-specification 4.3.3.3 sentence 7."""
    assert len(largest) == 30 * 1024 * 1024
    assert validate(largest) == ()


def test_4_3_3_3_more_are_not(largest: bytes) -> None:
    """Clauses: content-specification 4.3.3.3 answer 2, 5.3 row 4; message-receipt 3.1 g."""
    assert _verdict(largest + b" ") == [(Reason.RULE, Detail.TOO_LONG, "NA")]


def test_the_limit_can_be_set() -> None:
    assert [finding.detail for finding in validate(build(SMALL), max_bytes=100)] == [Detail.TOO_LONG]


def test_a_flood_of_findings_is_cut_off() -> None:
    empty = b"<tns:documents><tns:documentID/><tns:ContentText/></tns:documents>" * 1000
    assert (
        len(validate(build(SMALL).replace(b"</tns:messageBody>", empty + b"</tns:messageBody>")))
        == MAX_FINDINGS
    )


@given(st.data())
def test_texts_never_repeat_content(data: st.DataObject) -> None:
    """content-specification 4.3.2 label: content of a field must not be returned in the text.

    Clauses: content-specification 4.3.2 sentence 10.
    """
    root = etree.fromstring(build(FULL))
    element = data.draw(st.sampled_from(list(root.iter("*"))))
    element.text = "Hemlig uppgift"
    for finding in validate(etree.tostring(root)):
        assert "Hemlig" not in f"{finding.text} {finding.path}"
        assert MESSAGE_ID not in f"{finding.text} {finding.path}"


@settings(max_examples=300)
@given(st.data())
def test_any_bytes_give_a_verdict_or_a_typed_error(data: st.DataObject) -> None:
    message = build(FULL)
    start = data.draw(st.integers(0, len(message)))
    end = data.draw(st.integers(start, min(start + 40, len(message))))
    spoilt = message[:start] + data.draw(st.binary(max_size=10)) + message[end:]
    with suppress(WireError):
        validate(spoilt)
