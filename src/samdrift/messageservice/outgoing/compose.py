"""Composition of SDK messages from the input of a person or a system, by pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from samdrift.wire.identifiers import FUNCTIONAL_ADDRESS_ROOT, PARTICIPANT_SCHEME, ParticipantIdentifier
from samdrift.wire.sdkmessage import (
    Attention,
    Document,
    File,
    Ii,
    Party,
    Reference,
    SdkMessage,
    file_from_bytes,
    new_timestamp,
)


@dataclass(frozen=True, slots=True)
class Address:
    """An organisation's functional address, with its names in the address book."""

    organisation: ParticipantIdentifier
    organisation_name: str
    functional_address: str
    functional_address_name: str
    references: tuple[Reference, ...] = ()
    """Case numbers and the like, which the recipient returns in a reply (content-specification 4.3.2.3)."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to send."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """Content of a message to compose: one text in markdown, with or without files."""

    label: str
    text: str
    attachments: tuple[Attachment, ...] = ()
    confidentiality: bool = True


def compose(
    draft: Draft, sender: Address, recipient: Address, *, message_id: str, at: datetime
) -> SdkMessage:
    """Return a message that opens a conversation, named by the message's own id.

    See content-specification 4.3.2.
    """
    return _message(
        draft, sender, recipient, message_id=message_id, conversation_id=message_id, refers_to=None, at=at
    )


def reply(
    draft: Draft, sender: Address, original: SdkMessage, *, message_id: str, at: datetime
) -> SdkMessage:
    """Return an answer in the same conversation, which returns the other party's references.

    Clauses: architecture-sad 4.3.7.1 sentence 1; content-specification 4.3.2 sentence 6, 4.3.2.3 sentence 4.
    """
    return _message(
        draft,
        sender,
        _address(original.sender),
        message_id=message_id,
        conversation_id=original.conversation_id,
        refers_to=original.message_id,
        at=at,
    )


def complete(
    draft: Draft, sender: Address, original: SdkMessage, *, message_id: str, at: datetime
) -> SdkMessage:
    """Return a supplement to a sent message, to the same recipient in the same conversation.

    There may be several. A completion refers to the message that it completes, as a reply does to the
    one that it answers (architecture-sad 5.3.7.7).

    Clauses: architecture-sad 4.3.7.1 sentence 1; content-specification 4.3.2 sentence 6.
    """
    return _message(
        draft,
        sender,
        _address(original.recipient),
        message_id=message_id,
        conversation_id=original.conversation_id,
        refers_to=original.message_id,
        at=at,
    )


def compose_each(
    draft: Draft, sender: Address, recipients: Sequence[Address], *, new_id: Callable[[], str], at: datetime
) -> tuple[SdkMessage, ...]:
    """Return messages with the same content to several recipients, one each (architecture-sad 5.3.7.8).

    Each opens a conversation of its own, although the content specification lets them share one, so that no
    recipient can see that there are others.
    """
    return tuple(compose(draft, sender, each, message_id=new_id(), at=at) for each in recipients)


def _message(
    draft: Draft,
    sender: Address,
    recipient: Address,
    *,
    message_id: str,
    conversation_id: str,
    refers_to: str | None,
    at: datetime,
) -> SdkMessage:
    files = _files(draft.attachments)
    return SdkMessage(
        created=new_timestamp(at),
        message_id=message_id,
        conversation_id=conversation_id,
        ref_to_message_id=refers_to,
        label=draft.label,
        confidentiality=draft.confidentiality,
        generating_system=None,
        recipient=_party(recipient),
        sender=_party(sender),
        documents=(
            Document(id="SDK-Meddelande", name=draft.label, index="1", files=files, texts=(draft.text,)),
        ),
    )


def _address(party: Party) -> Address:
    attention = party.attention
    if attention is None:
        raise ValueError("the original names no functional address to write to")
    return Address(
        ParticipantIdentifier.parse(party.id.extension),
        party.label or "",
        attention.sub_organisation.extension,
        attention.sub_organisation_label or "",
        attention.references,
    )


def _party(address: Address) -> Party:
    """Return an address as a party of a message.

    Clauses: architecture-sad 5.3.5 step 1.
    """
    return Party(
        id=Ii(PARTICIPANT_SCHEME, address.organisation.value),
        label=address.organisation_name or None,
        attention=Attention(
            sub_organisation=Ii(FUNCTIONAL_ADDRESS_ROOT, address.functional_address),
            sub_organisation_label=address.functional_address_name or None,
            persons=(),
            references=address.references,
        ),
    )


def _files(attachments: Sequence[Attachment]) -> tuple[File, ...]:
    return tuple(file_from_bytes(one.name, one.content_type, one.data) for one in attachments)
