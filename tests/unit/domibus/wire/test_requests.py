"""Requests to Domibus, to the letter of the plugin's contract."""

from __future__ import annotations

import pytest
from lxml import etree

from samdrift.domibus import wire as domibus
from samdrift.domibus.wire import OutgoingMessage
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import NO_PROCESS, SDK_MESSAGE_EXTENDED, ParticipantIdentifier
from tests.domibus import soap

MESSAGE = OutgoingMessage(
    message_id="3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9@meddelanden.example.se",
    conversation_id="c-1",
    party="AP0007-SDK-TEST",
    sender=ParticipantIdentifier("0203:habo.se"),
    recipient=ParticipantIdentifier("0203:mullsjo.se"),
    document=SDK_MESSAGE_EXTENDED,
    process=NO_PROCESS,
)
SUBMIT = """
<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"
    xmlns:eb="http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/"
    xmlns:ws="http://eu.domibus.wsplugin/">
  <soap:Header>
    <eb:Messaging><eb:UserMessage>
      <eb:MessageInfo>
        <eb:MessageId>3a94b4ed-a6d7-41e2-945d-b3fa91e8a6e9@meddelanden.example.se</eb:MessageId>
      </eb:MessageInfo>
      <eb:PartyInfo><eb:From>
        <eb:PartyId type="urn:fdc:digg.se:edelivery:transportprofile:as4:partytype:ap"
          >AP0007-SDK-TEST</eb:PartyId>
        <eb:Role>http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/initiator</eb:Role>
      </eb:From></eb:PartyInfo>
      <eb:CollaborationInfo>
        <eb:Service type="urn:fdc:digg.se:edelivery:process">bdx:noprocess</eb:Service>
        <eb:Action>ACTION</eb:Action>
        <eb:ConversationId>c-1</eb:ConversationId>
      </eb:CollaborationInfo>
      <eb:MessageProperties>
        <eb:Property name="originalSender" type="iso6523-actorid-upis">0203:habo.se</eb:Property>
        <eb:Property name="finalRecipient" type="iso6523-actorid-upis">0203:mullsjo.se</eb:Property>
      </eb:MessageProperties>
      <eb:PayloadInfo><eb:PartInfo href="cid:message"><eb:PartProperties>
        <eb:Property name="MimeType">text/xml</eb:Property>
      </eb:PartProperties></eb:PartInfo></eb:PayloadInfo>
    </eb:UserMessage></eb:Messaging>
  </soap:Header>
  <soap:Body><ws:submitRequest>
    <payload payloadId="cid:message" contentType="text/xml">
      <value><xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:message"/></value>
    </payload>
  </ws:submitRequest></soap:Body>
</soap:Envelope>
""".replace("ACTION", f"busdox-docid-qns::{SDK_MESSAGE_EXTENDED.value}")


def canonical(document: bytes | str) -> str:
    return etree.canonicalize(etree.fromstring(document), strip_text=True)


def test_a_message_is_submitted_with_the_header_of_the_profile() -> None:
    assert canonical(domibus.submit(MESSAGE)) == canonical(SUBMIT)


def asks(body: str) -> str:
    return f"""<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"
        xmlns:ws="http://eu.domibus.wsplugin/"><soap:Body>{body}</soap:Body></soap:Envelope>"""


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (
            domibus.list_pending(),
            "<ws:listPendingMessagesRequest></ws:listPendingMessagesRequest>",
        ),
        (
            domibus.list_pending("0203:habo.se"),
            "<ws:listPendingMessagesRequest><finalRecipient>0203:habo.se</finalRecipient>"
            "</ws:listPendingMessagesRequest>",
        ),
        (
            domibus.retrieve("m@d"),
            '<ws:retrieveMessageRequest markAsDownloaded="false"><messageID>m@d</messageID>'
            "</ws:retrieveMessageRequest>",
        ),
        (
            domibus.mark_downloaded("m@d"),
            "<ws:markMessageAsDownloadedRequest><messageID>m@d</messageID>"
            "</ws:markMessageAsDownloadedRequest>",
        ),
        (
            domibus.ask_status("m@d"),
            "<ws:statusRequestWithAccessPointRole><messageID>m@d</messageID>"
            "<accessPointRole>SENDING</accessPointRole></ws:statusRequestWithAccessPointRole>",
        ),
        (
            domibus.ask_errors("m@d"),
            "<ws:getErrorsRequest><messageID>m@d</messageID></ws:getErrorsRequest>",
        ),
        (
            domibus.ask_own_errors("m@d"),
            "<ws:getErrorsRequestWithAccessPointRole><messageID>m@d</messageID>"
            "<accessPointRole>SENDING</accessPointRole></ws:getErrorsRequestWithAccessPointRole>",
        ),
    ],
)
def test_each_operation_is_asked_for_as_the_contract_says(request_: bytes, body: str) -> None:
    assert canonical(request_) == canonical(asks(body))


def test_the_envelope_goes_beside_the_message_as_it_is() -> None:
    frame = domibus.framing(domibus.submit(MESSAGE), "a-boundary")
    envelope = b"<xhe/>\r\n--a-boundar\r\n\x00\xff"
    asked = soap.read(frame.content_type, frame.before + envelope + frame.after)
    assert asked.what == "submitRequest"
    assert asked.payload("cid:message") == envelope


def test_what_no_xml_can_hold_is_told() -> None:
    with pytest.raises(WireError, match="cannot hold"):
        domibus.ask_status("m\x00@d")
