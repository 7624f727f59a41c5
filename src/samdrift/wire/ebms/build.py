"""``eb:Messaging`` headers from frozen values (ebms3-core 5.2, 6.2; as4-profile 5.1.8).

They are text in exclusive canonical form, ready to be signed; ``wsu_id`` identifies them
for the signature.
"""

from __future__ import annotations

from collections.abc import Iterable

from samdrift.wire.ebms.errors import EbmsError
from samdrift.wire.ebms.types import PartInfo, Property, SignalInfo, UserMessage, format_time
from samdrift.wire.xml.writer import XMLNS_EB, XMLNS_EBBP, XMLNS_S12, XMLNS_WSU, attribute, quoted, text


def build_user_message(message: UserMessage, wsu_id: str) -> str:
    """``eb:Messaging`` with one user message.

    Clauses: transport-profile-as4 2.3.1 d.
    """
    info = SignalInfo(message.message_id, message.timestamp, message.ref_to_message_id)
    return _messaging(
        wsu_id,
        f"<eb:UserMessage{attribute('mpc', message.mpc)}>"
        f"{_message_info(info)}"
        "<eb:PartyInfo>"
        "<eb:From>"
        f"<eb:PartyId{attribute('type', message.from_party_type)}>{text(message.from_party)}</eb:PartyId>"
        f"<eb:Role>{text(message.from_role)}</eb:Role>"
        "</eb:From>"
        "<eb:To>"
        f"<eb:PartyId{attribute('type', message.to_party_type)}>{text(message.to_party)}</eb:PartyId>"
        f"<eb:Role>{text(message.to_role)}</eb:Role>"
        "</eb:To>"
        "</eb:PartyInfo>"
        "<eb:CollaborationInfo>"
        f"<eb:Service{attribute('type', message.service_type)}>{text(message.service)}</eb:Service>"
        f"<eb:Action>{text(message.action)}</eb:Action>"
        f"<eb:ConversationId>{text(message.conversation_id)}</eb:ConversationId>"
        "</eb:CollaborationInfo>"
        f"{_properties('MessageProperties', message.properties)}"
        f"<eb:PayloadInfo>{''.join(map(_part_info, message.parts))}</eb:PayloadInfo>"
        "</eb:UserMessage>",
    )


def build_receipt(info: SignalInfo, proof: Iterable[str], wsu_id: str) -> str:
    """``eb:Messaging`` with one receipt whose only child is NonRepudiationInformation.

    Exactly one child, since Domibus insists on it; each of ``proof`` is a ``ds:Reference``
    of the message that is acknowledged, in exclusive canonical form.
    """
    parts = "".join(
        f"<ebbp:MessagePartNRInformation>{reference}</ebbp:MessagePartNRInformation>" for reference in proof
    )
    return _messaging(
        wsu_id,
        "<eb:SignalMessage>"
        f"{_message_info(info)}"
        "<eb:Receipt>"
        f"<ebbp:NonRepudiationInformation {XMLNS_EBBP}>{parts}</ebbp:NonRepudiationInformation>"
        "</eb:Receipt>"
        "</eb:SignalMessage>",
    )


def build_errors(info: SignalInfo, errors: Iterable[EbmsError], wsu_id: str) -> str:
    """``eb:Messaging`` with an error signal (ebms3-core 6.2)."""
    return _messaging(
        wsu_id,
        f"<eb:SignalMessage>{_message_info(info)}{''.join(map(_error, errors))}</eb:SignalMessage>",
    )


def _messaging(wsu_id: str, content: str) -> str:
    return (
        f"<eb:Messaging {XMLNS_S12} {XMLNS_EB} {XMLNS_WSU}"
        f' wsu:Id="{quoted(wsu_id)}" S12:mustUnderstand="true">{content}</eb:Messaging>'
    )


def _message_info(info: SignalInfo) -> str:
    reference = info.ref_to_message_id
    refers = "" if reference is None else f"<eb:RefToMessageId>{text(reference)}</eb:RefToMessageId>"
    return (
        "<eb:MessageInfo>"
        f"<eb:Timestamp>{format_time(info.timestamp)}</eb:Timestamp>"
        f"<eb:MessageId>{text(info.message_id)}</eb:MessageId>{refers}"
        "</eb:MessageInfo>"
    )


def _properties(local: str, properties: tuple[Property, ...]) -> str:
    entries = "".join(
        f'<eb:Property name="{quoted(entry.name)}"{attribute("type", entry.type)}>'
        f"{text(entry.value)}</eb:Property>"
        for entry in properties
    )
    return f"<eb:{local}>{entries}</eb:{local}>" if entries else ""


def _part_info(part: PartInfo) -> str:
    properties = _properties("PartProperties", part.properties)
    return f'<eb:PartInfo href="{quoted(part.href)}">{properties}</eb:PartInfo>'


def _error(error: EbmsError) -> str:
    description = f'<eb:Description xml:lang="en">{text(error.description)}</eb:Description>'
    return (
        f"<eb:Error{attribute('category', error.category or None)}"
        f' errorCode="{quoted(error.code)}" origin="ebMS"'
        f"{attribute('refToMessageInError', error.ref_to_message_id)}"
        f' severity="{error.severity}"{attribute("shortDescription", error.short_description or None)}>'
        f"{description if error.description else ''}"
        f"<eb:ErrorDetail>{text(error.detail)}</eb:ErrorDetail>"
        "</eb:Error>"
    )
