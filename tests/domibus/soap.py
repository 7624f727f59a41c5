"""SOAP as Apache CXF writes and reads it for the plugin: with another parser than the one under test."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from urllib.parse import quote
from uuid import uuid4

from lxml import etree

SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
EB = "{http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/}"
WS = "{http://eu.domibus.wsplugin/}"
XOP = "{http://www.w3.org/2004/08/xop/include}"
_NAMESPACES = (
    'xmlns:ns5="http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/" '
    'xmlns:ns4="http://eu.domibus.wsplugin/"'
)
_ROLE = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704"
_PARTY_TYPE = "urn:fdc:digg.se:edelivery:transportprofile:as4:partytype:ap"


@dataclass(frozen=True)
class Asked:
    """A request: its operation's element, the SOAP header, and the parts beside it by Content-ID."""

    request: etree._Element
    header: etree._Element | None
    parts: dict[str, bytes]

    @property
    def what(self) -> str:
        assert self.request.tag.startswith(WS), self.request.tag
        return self.request.tag.removeprefix(WS)

    def text(self, child: str) -> str:
        """The text of a child, which has no namespace."""
        return (self.request.findtext(child) or "").strip()

    def payload(self, href: str) -> bytes:
        """The payload with that id, from the message or from beside it."""
        (payload,) = [each for each in self.request.findall("payload") if each.get("payloadId") == href]
        include = payload.find(f"value/{XOP}Include")
        if include is None:
            return base64.b64decode(payload.findtext("value") or "")
        return self.parts[str(include.get("href")).removeprefix("cid:")]


def read(content_type: str, body: bytes) -> Asked:
    """What somebody asks for."""
    parts: dict[str, bytes] = {}
    if content_type.startswith("multipart/related"):
        boundary = content_type.partition('boundary="')[2].partition('"')[0].encode()
        assert 'type="application/xop+xml"' in content_type
        _, root, *others, end = (b"\r\n" + body).split(b"\r\n--" + boundary)
        assert end == b"--\r\n"
        for part in others:
            head, _, content = part.partition(b"\r\n\r\n")
            parts[head.decode().lower().partition("content-id: <")[2].partition(">")[0]] = content
        head, _, body = root.partition(b"\r\n\r\n")
        assert b"application/xop+xml" in head
    else:
        assert content_type.startswith("application/soap+xml"), content_type
    envelope = etree.fromstring(body, etree.XMLParser(huge_tree=True))
    assert envelope.tag == f"{SOAP}Envelope"
    (request,) = envelope.find(f"{SOAP}Body")
    return Asked(request, envelope.find(f"{SOAP}Header"), parts)


# --- answers --------------------------------------------------------------------------------------------


def envelope(body: str, header: str = "") -> str:
    head = f"<soap:Header>{header}</soap:Header>" if header else ""
    return (
        '<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope">'
        f"{head}<soap:Body>{body}</soap:Body></soap:Envelope>"
    )


def fault(reason: str, code: str = "", text: str = "") -> str:
    detail = (
        f'<soap:Detail><ns4:FaultDetail xmlns:ns4="http://eu.domibus.wsplugin/"><code>{code}</code>'
        f"<message>{escape(text)}</message></ns4:FaultDetail></soap:Detail>"
    )
    return envelope(
        "<soap:Fault><soap:Code><soap:Value>soap:Receiver</soap:Value></soap:Code>"
        f'<soap:Reason><soap:Text xml:lang="en">{escape(reason)}</soap:Text></soap:Reason>'
        f"{detail if code else ''}</soap:Fault>"
    )


def message_ids(element: str, ids: Iterable[str]) -> str:
    inside = "".join(f"<messageID>{escape(each)}</messageID>" for each in ids)
    return envelope(f"<ns4:{element} {_NAMESPACES}>{inside}</ns4:{element}>")


def status(value: str) -> str:
    return envelope(f"<ns4:getStatusResponse {_NAMESPACES}>{value}</ns4:getStatusResponse>")


def errors(entries: Iterable[tuple[str, str, str, str]]) -> str:
    """Each with code, detail, role and time."""
    items = "".join(
        f"<item><domibusErrorCode>{code}</domibusErrorCode><errorDetail>{escape(detail)}</errorDetail>"
        f"<messageInErrorId>m</messageInErrorId><mshRole>{role}</mshRole><timestamp>{at}</timestamp></item>"
        for code, detail, role, at in entries
    )
    return envelope(f"<ns4:getMessageErrorsResponse {_NAMESPACES}>{items}</ns4:getMessageErrorsResponse>")


def user_message(
    message_id: str, conversation_id: str, peer: str, party: str, action: str, properties: dict[str, str]
) -> str:
    """The header of a message that is retrieved."""
    told = "".join(
        f'<ns5:Property name="{key}" type="iso6523-actorid-upis">{escape(value)}</ns5:Property>'
        for key, value in properties.items()
    )
    return (
        f'<ns5:Messaging {_NAMESPACES}><ns5:UserMessage mpc="{_ROLE}/defaultMPC"><ns5:MessageInfo>'
        f"<ns5:Timestamp>2026-03-02T12:00:00.000</ns5:Timestamp><ns5:MessageId>{message_id}</ns5:MessageId>"
        "</ns5:MessageInfo><ns5:PartyInfo>"
        f'<ns5:From><ns5:PartyId type="{_PARTY_TYPE}">{peer}</ns5:PartyId>'
        f"<ns5:Role>{_ROLE}/initiator</ns5:Role></ns5:From>"
        f'<ns5:To><ns5:PartyId type="{_PARTY_TYPE}">{party}</ns5:PartyId>'
        f"<ns5:Role>{_ROLE}/responder</ns5:Role></ns5:To></ns5:PartyInfo><ns5:CollaborationInfo>"
        '<ns5:Service type="urn:fdc:digg.se:edelivery:process">bdx:noprocess</ns5:Service>'
        f"<ns5:Action>{escape(action)}</ns5:Action>"
        f"<ns5:ConversationId>{escape(conversation_id)}</ns5:ConversationId></ns5:CollaborationInfo>"
        f"<ns5:MessageProperties>{told}</ns5:MessageProperties>"
        '<ns5:PayloadInfo><ns5:PartInfo href="cid:message"><ns5:PartProperties>'
        '<ns5:Property name="MimeType">text/xml</ns5:Property></ns5:PartProperties></ns5:PartInfo>'
        "</ns5:PayloadInfo></ns5:UserMessage></ns5:Messaging>"
    )


def retrieved(header: str, value: str) -> str:
    payload = f'<payload payloadId="cid:message"><value>{value}</value></payload>'
    element = "ns4:retrieveMessageResponse"
    return envelope(f"<{element} {_NAMESPACES}>{payload}</{element}>", header)


def inline(payload: bytes) -> str:
    """The value of a payload in base64."""
    return base64.b64encode(payload).decode()


def mime(message: str, payload: bytes | None = None) -> tuple[str, bytes]:
    """Content type and body of any answer of CXF with MTOM; ``{payload}`` in it refers to the part."""
    boundary, part_id = f"uuid:{uuid4()}", f"{uuid4()}-1@http://eu.domibus/"
    include = (
        '<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" '
        f'href="cid:{quote(part_id, safe="")}"/>'
    )
    body = (
        f"\r\n--{boundary}\r\n"
        'Content-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
        "Content-Transfer-Encoding: binary\r\nContent-ID: <root.message@cxf.apache.org>\r\n\r\n"
        f"{message.replace('{payload}', include)}"
    ).encode()
    if payload is not None:
        body += (
            f"\r\n--{boundary}\r\nContent-Type: text/xml\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: <{part_id}>\r\n\r\n"
        ).encode() + payload
    content_type = (
        f'multipart/related; type="application/xop+xml"; boundary="{boundary}"; '
        'start="<root.message@cxf.apache.org>"; start-info="application/soap+xml"'
    )
    return content_type, body + f"\r\n--{boundary}--".encode()
