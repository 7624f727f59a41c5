"""Attributes of SDK messages, including functional addresses, in the form that interface D uses.

The functions are pure. Attributes are stored sealed with the record of a message, so that a list of messages
needs none of their bodies (api-mt-mk, Informationsobjekt, Meddelanden).
"""

from __future__ import annotations

import json
from typing import Any

from samdrift.vault.records import MessageRecord
from samdrift.wire.identifiers import FUNCTIONAL_ADDRESS_ROOT
from samdrift.wire.sdkmessage import Attention, Ii, Party, SdkMessage, new_timestamp

Members = dict[str, Any]


def attributes(message: SdkMessage) -> str:
    """Return the attributes of a message that never change, as a JSON object."""
    members: Members = {
        "creationDateTime": message.created,
        "messageId": message.message_id,
        "conversationId": message.conversation_id,
        "refToMessageId": message.ref_to_message_id,
        "confidentiality": message.confidentiality,
        "generatingSystem": _ii(message.generating_system),
        "recipientAttention": _attention(message.recipient.attention),
        "senderAttention": _attention(message.sender.attention),
        "sender": message.sender.id.extension,
        "recipient": message.recipient.id.extension,
        "label": message.label,
    }
    return _text(members)


def of_record(record: MessageRecord) -> str:
    """Return the attributes stored with a message or, if there are none, those known from its record."""
    if record.attributes:
        return record.attributes
    return _text(
        {
            "creationDateTime": new_timestamp(record.dated_at),
            "messageId": record.id,
            "conversationId": record.conversation_id,
            "refToMessageId": record.ref_to_message_id,
            "confidentiality": record.confidentiality,
            "recipientAttention": {"subOrganization": _address(record.recipient_address)},
            "senderAttention": {"subOrganization": _address(record.sender_address)},
            "sender": record.sender.value,
            "recipient": record.recipient.value,
            "label": record.label,
        }
    )


def _text(members: Members) -> str:
    present = {name: value for name, value in members.items() if value is not None}
    return json.dumps(present, ensure_ascii=False, separators=(",", ":"))


def _address(extension: str) -> Members:
    return {"root": FUNCTIONAL_ADDRESS_ROOT, "extension": extension}


def _attention(attention: Attention | None) -> Members | None:
    if attention is None:
        return None
    unit: Members = {
        "root": attention.sub_organisation.root,
        "extension": attention.sub_organisation.extension,
    }
    if attention.sub_organisation_label is not None:
        unit["label"] = attention.sub_organisation_label
    found: Members = {"subOrganization": unit}
    if attention.persons:
        found["attentionPerson"] = [_labelled(one.id, one.label) for one in attention.persons]
    if attention.references:
        found["referenceId"] = [_labelled(one.id, one.label) for one in attention.references]
    return found


def _labelled(identifier: Ii | None, label: str | None) -> Members:
    """Return a person or a reference; members that the API requires and the message lacks are empty."""
    return {
        "root": identifier.root if identifier else "",
        "extension": identifier.extension if identifier else "",
        "label": label or "",
    }


def _ii(identifier: Ii | None) -> Members | None:
    return None if identifier is None else {"root": identifier.root, "extension": identifier.extension}


def functional_address(party: Party) -> str:
    """Return the functional address that a message names for a party; empty if it names none.

    Clauses: architecture-sad 5.3.5 step 2.
    """
    return party.attention.sub_organisation.extension if party.attention else ""
