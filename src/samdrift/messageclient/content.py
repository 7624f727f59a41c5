"""Messages of interface D, converted to the form in which vaults store and pages show them; pure functions.

See api-mt-mk, Meddelanden.

Clauses: content-specification 4.2 sentence 1.

Another supplier's message service may send only the members that the published file makes mandatory: one
that is missing or of the wrong type reads as empty. Only a fault that makes a message impossible to show
raises :class:`Unreadable`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any

from samdrift.client.errors import Unreadable
from samdrift.contracts.messages import MessageStatus
from samdrift.messageclient.mail import DeliveryEvent, File, Identifier, Party, Recipient
from samdrift.vault.mailrecords import FileRecord, MailRecord
from samdrift.web.messagetext import message_text, plain_text

Json = Mapping[str, Any]

_MAX_LABEL = 10_000
"""Maximum number of characters kept of a subject or name; the specification allows 256."""
_MAX_IDENTIFIERS, _MAX_IDENTIFIER, _MAX_NAMED = 1_000, 1_000, 100_000
"""Maximum number of persons or references kept per side of a message, of characters in a part, and in total.

Every list that shows the message reads all of them. A message with more of them is kept as received.
"""
_MAX_EVENTS = 500
"""Maximum number of delivery steps kept for a message; the latest ones are kept."""
_MAX_TEXTS = 500
_MAX_CHARACTERS = 100_000
"""Maximum number of texts in a message, and of characters in them, for which markdown is rendered."""
_MAX_SHOWN = 1_000_000
"""Maximum number of characters shown of a message; one with longer texts is kept as received."""


@dataclass(frozen=True, slots=True)
class Head:
    """A message as it appears in a list of the message service."""

    remote_id: str
    message_id: str
    conversation_id: str
    refers_to: str | None
    status: str
    subject: str
    confidential: bool
    dated_at: datetime | None
    sender: Party
    recipient: Party
    events: tuple[DeliveryEvent, ...]

    def content(self) -> dict[str, Any]:
        """Return the content in the form that the vault stores."""
        return {
            "remote_id": self.remote_id,
            "message_id": self.message_id,
            "conversation_id": self.conversation_id,
            "refers_to": self.refers_to,
            "subject": self.subject,
            "sender": party_content(self.sender),
            "recipient": party_content(self.recipient),
        }


_LEFT = "left_at_service"


def left_at_service(mail: MailRecord) -> MailRecord:
    """Mark a message as too large to be fetched: its content exists only at the message service."""
    return replace(mail, content={**mail.content, _LEFT: True})


def is_left_at_service(mail: MailRecord) -> bool:
    """Return whether a message's content was too large to be fetched."""
    return bool(mail.content.get(_LEFT))


@dataclass(frozen=True, slots=True)
class FileName:
    """The name and content type of a file, as given by the sender."""

    name: str
    content_type: str


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A document of a message without the content of its files."""

    name: str
    texts: tuple[str, ...]
    files: tuple[FileName, ...]


def head(resource: Json) -> Head:
    """Parse the head of a message, from a list or from a whole message."""
    attributes = _object(resource.get("attributes"))
    remote_id = _text(resource.get("id"))
    message_id = _text(attributes.get("messageId")) or remote_id
    return Head(
        remote_id=remote_id or message_id,
        message_id=message_id,
        conversation_id=_text(attributes.get("conversationId")) or message_id,
        refers_to=_text(attributes.get("refToMessageId")) or None,
        status=_text(attributes.get("messageStatus")).upper(),
        subject=_text(attributes.get("label")),
        confidential=attributes.get("confidentiality") is not False,
        dated_at=_time(attributes.get("creationDateTime")),
        sender=_party(attributes, "sender"),
        recipient=_party(attributes, "recipient"),
        events=events(attributes),
    )


def documents(resource: Json) -> tuple[DocumentText, ...]:
    """Parse the documents of a message; raises :class:`Unreadable` if they cannot be shown."""
    attributes = _object(resource.get("attributes"))
    if _names_too_many(attributes):
        raise Unreadable("the message names more persons or references of one side than are kept")
    found = attributes.get("digitalDocument")
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise Unreadable("the message has no documents (digitalDocument)")
    read = tuple(map(_document, found))
    if sum(len(text) for document in read for text in document.texts) > _MAX_SHOWN:
        raise Unreadable(f"the texts of the message have more than {_MAX_SHOWN} characters (contentTextBody)")
    return read


def _document(document: Json) -> DocumentText:
    texts, files = document.get("contentTextBody"), document.get("contentFiles")
    if isinstance(texts, str):
        texts = [texts]
    return DocumentText(
        name=_text(document.get("documentName")),
        texts=tuple(each for each in _list(texts) if isinstance(each, str)),
        files=tuple(
            FileName(_text(_object(each).get("fileName")), _text(_object(each).get("contentType")))
            for each in _list(files)
        ),
    )


def is_laborious(found: Sequence[DocumentText]) -> bool:
    """Return whether a message has too many or too long texts for rendering as markdown.

    Each text may be within the limit for one text, but a thousand of them would block everything for minutes.
    """
    lengths = [len(text) for document in found for text in document.texts]
    return len(lengths) > _MAX_TEXTS or sum(lengths) > _MAX_CHARACTERS


def document_content(document: DocumentText, files: Sequence[str], *, plain: bool = False) -> dict[str, Any]:
    """Return a document in the form that the vault stores, with its texts also as HTML for the pages.

    Clauses: content-specification 4.3.3.2 sentence 2.

    ``plain`` is for a message that :func:`is_laborious`.
    """
    shown = plain_text if plain else message_text
    return {
        "name": document.name,
        "texts": list(document.texts),
        "html": [str(shown(text)) for text in document.texts],
        "files": list(files),
    }


def document_content_bytes(documents: Sequence[Json]) -> bytes:
    """Return the documents of a message as the body that the vault stores."""
    return json.dumps({"documents": list(documents)}, ensure_ascii=False).encode("utf-8", "replace")


def thread_of(conversation_id: str, organisation: str) -> str:
    """Return the text that identifies a conversation: the federation's id and the other organisation.

    An organisation that learns the id of another one's conversation can only start a separate one with it
    (content-specification 4.3.2 sentence 5).
    """
    return f"{conversation_id} {organisation}"


def with_remote_id(read: Head, remote_id: str) -> Head:
    """Return the head of a message with the message service's id under which it was requested."""
    return replace(read, remote_id=remote_id, message_id=read.message_id or remote_id)


def events(attributes: Json) -> tuple[DeliveryEvent, ...]:
    """Parse the steps of a message, the oldest first (api-mt-mk, Felhantering, eventIssues)."""
    history = attributes.get("events", attributes.get("event"))
    issues = history if isinstance(history, list) else _list(_object(history).get("eventIssues"))
    found = [_event(_object(issue)) for issue in issues]
    in_order = sorted((each for each in found if each is not None), key=lambda each: each.at)
    return tuple(in_order[-_MAX_EVENTS:])


def _event(issue: Json) -> DeliveryEvent | None:
    at = _time(issue.get("dateTime", issue.get("datetime")))
    code, title, detail = (_text(issue.get(name)) for name in ("typeCode", "title", "detail"))
    if at is None or not (code or title):
        return None
    return DeliveryEvent(at, status_of(code) or status_of(title), code, title, detail)


def status_of(code: str) -> MessageStatus | None:
    """Return the status for a code; ``None`` if it is not in the code list."""
    try:
        return MessageStatus(code)
    except ValueError:
        return None


def delivery_content(status: str, steps: Sequence[DeliveryEvent], reason: str = "") -> dict[str, Any]:
    """Return the delivery of a message in the form that the vault stores."""
    kept = [[each.at.isoformat(), each.code, each.title, each.detail] for each in steps]
    return {"status": status, "reason": reason, "events": kept}


def delivery_events(content: Json) -> tuple[DeliveryEvent, ...]:
    """Return the steps from the result of :func:`delivery_content`."""
    return tuple(
        DeliveryEvent(datetime.fromisoformat(at), status_of(code) or status_of(title), code, title, detail)
        for at, code, title, detail in content.get("events", ())
    )


def file_of(file: FileRecord) -> File:
    """Return a file without its content."""
    return File(file.id, file.content["name"], file.content["type"], file.size)


def recipient_content(recipient: Recipient) -> dict[str, Any]:
    """Return an address in the form that the vault stores."""
    return {
        "organisation": recipient.organisation,
        "address": recipient.address,
        "organisation_name": recipient.organisation_name,
        "address_name": recipient.address_name,
    }


def recipient_of(content: Json) -> Recipient:
    """Return a recipient from the result of :func:`recipient_content`."""
    return Recipient(**content)


def address_key(recipient: Recipient) -> tuple[str, str]:
    """Return the key that identifies an address."""
    return recipient.organisation, recipient.address


def address_mark(recipient: Recipient) -> str:
    """Return the text from which the vault computes the mark of an address."""
    return " ".join(address_key(recipient))


def party_content(party: Party) -> dict[str, Any]:
    """Return an organisation and its address in the form that the vault stores."""
    return {
        "organisation": party.organisation,
        "address": party.address,
        "name": party.address_name,
        "organisation_name": party.organisation_name,
        "persons": identifiers_content(party.persons),
        "references": identifiers_content(party.references),
    }


def party(content: Json) -> Party:
    """Return a party from the result of :func:`party_content`."""
    return Party(
        organisation=content["organisation"],
        address=content["address"],
        organisation_name=content.get("organisation_name", ""),
        address_name=content["name"],
        persons=identifiers(content["persons"]),
        references=identifiers(content["references"]),
    )


def identifiers_content(found: Sequence[Identifier]) -> list[list[str]]:
    """Return persons or references in the form that the vault stores."""
    return [[each.root, each.extension, each.label] for each in found]


def identifiers(content: Sequence[Sequence[str]]) -> tuple[Identifier, ...]:
    """Return persons or references from the result of :func:`identifiers_content`."""
    return tuple(Identifier(*each) for each in content)


def _party(attributes: Json, side: str) -> Party:
    attention = _object(attributes.get(f"{side}Attention"))
    unit = _object(attention.get("subOrganization"))
    return Party(
        organisation=_text(attributes.get(side)),
        address=_text(unit.get("extension")),
        address_name=_text(unit.get("label")),
        persons=_identifiers(attention.get("attentionPerson")),
        references=_identifiers(attention.get("referenceId")),
    )


def _names_too_many(attributes: Json) -> bool:
    """Return whether a side of a message has more persons or references than are kept."""
    sides = (_object(attributes.get(f"{side}Attention")) for side in ("sender", "recipient"))
    named = (_list(side.get(kind)) for side in sides for kind in ("attentionPerson", "referenceId"))
    return any(len(_identifiers(each)) < len(each) for each in named)


def _identifiers(value: object) -> tuple[Identifier, ...]:
    """Return the persons or references, cut off at the limits for what is kept."""
    found, room = list[Identifier](), _MAX_NAMED
    for each in map(_object, _list(value)[:_MAX_IDENTIFIERS]):
        parts = [_text(each.get(name))[:_MAX_IDENTIFIER] for name in ("root", "extension", "label")]
        room -= sum(map(len, parts))
        if room < 0:
            break
        found.append(Identifier(*parts))
    return tuple(found)


def _object(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    """Return a text that can be stored: cut to the maximum length, and with NUL characters replaced."""
    return value[:_MAX_LABEL].replace("\0", "\ufffd") if isinstance(value, str) else ""


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        moment = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    # In the calendar's first and last year, conversion to another time zone may overflow.
    return moment if MINYEAR < moment.year < MAXYEAR else None
