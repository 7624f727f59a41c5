"""Answers of Domibus by the plugin's contract; any other shape is reported."""

from __future__ import annotations

import pytest

from samdrift.domibus import wire as domibus
from samdrift.domibus.wire import ErrorEntry, IncomingMessage, MessageStatus, PluginFault
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED, ParticipantIdentifier
from samdrift.wire.xml import Element
from tests.domibus import soap
from tests.unit.domibus.wire.samples import HEADER, answered, inline, read


def header(document: str) -> Element:
    found = read(inline(b"", document))[0].find(f"{soap.SOAP}Header")
    assert found is not None
    return found


def test_a_fault_has_the_code_of_the_plugin() -> None:
    text = "No message with id [m@d] found"
    envelope = answered(soap.fault("Message not found, id [m@d]", "WS_PLUGIN:0009", text))
    assert domibus.fault(envelope) == PluginFault("WS_PLUGIN:0009", text)


@pytest.mark.parametrize(
    ("given", "code"), [("WS_PLUGIN_0005", "WS_PLUGIN:0005"), ("EBMS:0010", "EBMS:0010"), ("x", "x")]
)
def test_a_code_is_spelt_in_one_way(given: str, code: str) -> None:
    found = domibus.fault(answered(soap.fault("Invalid request", given, "t")))
    assert found is not None
    assert found.code == code


def test_a_fault_without_a_detail_has_its_reason() -> None:
    assert domibus.fault(answered(soap.fault("Bad credentials"))) == PluginFault("", "Bad credentials")


def test_texts_of_others_are_bounded_and_on_one_line() -> None:
    found = domibus.fault(answered(soap.fault("r", "EBMS:0004", "a\n\tb" + "x" * 5000)))
    assert found is not None
    assert found.text.startswith("a bx")
    assert len(found.text) == 500


def test_pending_messages_are_listed_in_their_order() -> None:
    assert domibus.pending(answered(soap.message_ids("listPendingMessagesResponse", ["b", "a"]))) == (
        "b",
        "a",
    )
    assert domibus.pending(answered(soap.message_ids("listPendingMessagesResponse", []))) == ()


@pytest.mark.parametrize("message_id", ["", " ", "a\nb", "x" * 256])
def test_a_list_with_something_else_than_ids_is_refused(message_id: str) -> None:
    with pytest.raises(WireError):
        domibus.pending(answered(soap.message_ids("listPendingMessagesResponse", [message_id])))


def test_a_message_is_marked() -> None:
    assert domibus.marked(answered(soap.message_ids("markMessageAsDownloadedResponse", ["m@d"]))) == "m@d"


def test_a_submission_has_one_id() -> None:
    assert domibus.submitted(answered(soap.message_ids("submitResponse", ["m@d"]))) == "m@d"
    for ids in ([], ["a", "b"]):
        with pytest.raises(WireError):
            domibus.submitted(answered(soap.message_ids("submitResponse", ids)))


@pytest.mark.parametrize("status", MessageStatus)
def test_every_status_is_known(status: MessageStatus) -> None:
    assert domibus.status(answered(soap.status(status.value))) is status


def test_another_status_is_refused() -> None:
    with pytest.raises(WireError, match="status"):
        domibus.status(answered(soap.status("SENT_BY_PIGEON")))


def test_errors_tell_who_met_them() -> None:
    told = [
        ("EBMS_0005", "Connection refused", "SENDING", "2026-03-02T12:00:00.000"),
        ("EBMS_0004", "NOT_SERVICED", "RECEIVING", "2026-03-02T12:05:00.000"),
    ]
    assert domibus.errors(answered(soap.errors(told))) == (
        ErrorEntry("EBMS:0005", "Connection refused", "2026-03-02T12:00:00.000", False),
        ErrorEntry("EBMS:0004", "NOT_SERVICED", "2026-03-02T12:05:00.000", True),
    )


@pytest.mark.parametrize(
    "document",
    [
        "<a/>",
        soap.envelope(""),
        soap.envelope("<a/><b/>"),
        soap.envelope("<submitResponse><messageID>m</messageID></submitResponse>"),
        soap.status("NOT_FOUND"),
        soap.message_ids("submitResponse", ["m"]).replace("2003/05", "2001/12"),
    ],
)
def test_the_answer_to_another_question_is_refused(document: str) -> None:
    with pytest.raises(WireError):
        domibus.submitted(answered(document))


def test_the_header_of_a_message_is_read() -> None:
    assert domibus.incoming_message(header(HEADER)) == IncomingMessage(
        message_id="m-1@peer.example",
        conversation_id="c-1",
        peer="AP0009-SDK-TEST",
        sender=ParticipantIdentifier("0203:mullsjo.se"),
        recipient=ParticipantIdentifier("0203:habo.se"),
        document=SDK_MESSAGE_EXTENDED,
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("finalRecipient", "finalReceiver"),
        ('name="originalSender"', 'name="finalRecipient"'),
        ("0203:habo.se", "habo"),
        ("busdox-docid-qns::", ""),
        (">c-1<", "><"),
        (">m-1@peer.example<", ">m-1\n@peer.example<"),
        ("ns5:UserMessage", "ns5:SignalMessage"),
        ("</ns5:PartInfo>", '</ns5:PartInfo><ns5:PartInfo href="cid:attachment"/>'),
        ("</ns5:Messaging>", "</ns5:Messaging><ns5:Messaging/>"),
        ("ns5:Action>", "ns5:Aktion>"),
    ],
)
def test_a_message_that_is_not_one_of_the_profile_is_refused(old: str, new: str) -> None:
    document = HEADER.replace(old, new)
    assert document != HEADER
    if "Messaging/>" in new:
        document = HEADER + HEADER
    with pytest.raises(WireError):
        domibus.incoming_message(header(document))
