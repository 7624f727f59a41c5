"""Conversion of a checked document to an SDK message, and of places in the message to places in the document.

The functions are pure. Each attribute is mapped to the content specification (api-mt-mk, Informationsobjekt,
Meddelanden).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import PARTICIPANT_SCHEME
from samdrift.wire.sdkmessage import Attention, Document, File, Ii, Party, Person, Reference, SdkMessage

Members = dict[str, Any]


def draft(data: Members, *, message_id: str, conversation_id: str, created: str) -> SdkMessage:
    """Return the message that ``data`` describes, with generated ids and time stamp where it has none.

    Clauses: api-mt-mk message sentence 7, sentence 8; content-specification 4.2 sentence 1, 4.3.2 sentence 7,
    sentence 9.
    """
    attributes: Members = data["attributes"]
    return SdkMessage(
        created=attributes.get("creationDateTime", created),
        message_id=message_id,
        conversation_id=attributes.get("conversationId", conversation_id),
        ref_to_message_id=attributes.get("refToMessageId"),
        label=attributes["label"],
        confidentiality=attributes["confidentiality"],
        generating_system=_ii(attributes["generatingSystem"]) if "generatingSystem" in attributes else None,
        recipient=_party(attributes["recipient"], attributes["recipientAttention"]),
        sender=_party(attributes["sender"], attributes["senderAttention"]),
        documents=tuple(map(_document, attributes["digitalDocument"])),
    )


def own_id(data: Members) -> str | None:
    """Return the id that the client gave the message; by default that of the resource.

    Clauses: api-mt-mk message sentence 2.
    """
    given: str | None = data["attributes"].get("messageId", data.get("id"))
    return given


def _party(identifier: str, attention: Members) -> Party:
    """Return a party of the message: the organisation, and the address and persons within it.

    Clauses: content-specification 4.3.2.3 sentence 3.
    """
    unit = attention["subOrganization"]
    return Party(
        id=Ii(PARTICIPANT_SCHEME, identifier),
        attention=Attention(
            _ii(unit),
            unit.get("label"),
            tuple(map(_person, attention.get("attentionPerson", ()))),
            tuple(map(_reference, attention.get("referenceId", ()))),
        ),
    )


def _ii(members: Members) -> Ii:
    return Ii(members["root"], members["extension"])


def _person(members: Members) -> Person:
    """Return a person, without values that are empty only because the contract requires the members.

    Clauses: architecture-sad 5.3.5 step 3; content-specification 4.3.2.3 sentence 1, sentence 2.
    """
    named = members["root"] or members["extension"]
    return Person(_ii(members) if named else None, members["label"] or None)


def _reference(members: Members) -> Reference:
    """Return a reference, without an empty label.

    Clauses: architecture-sad 5.3.5 step 4; content-specification 4.3.2.3 sentence 5, sentence 6.
    """
    return Reference(_ii(members), members["label"] or None)


def _document(members: Members) -> Document:
    """Return a document with its files and texts.

    Clauses: content-specification 4.3.3.1 sentence 2, 4.3.3.2 sentence 2.
    """
    return Document(
        id=members["documentId"],
        name=members.get("documentName"),
        index=members.get("index"),
        files=tuple(map(_file, members.get("contentFiles", ()))),
        texts=tuple(members.get("contentTextBody", ())),
    )


def _file(members: Members) -> File:
    return File(members["fileName"], members["contentType"], members["content"])


# --- places -------------------------------------------------------------------------------------------------

_ATTRIBUTES: Final = "/data/attributes"
_STEP = re.compile(r"([^/\[]+)(?:\[([0-9]+)\])?")
_NAMES: Final = {
    "recipient": "recipientAttention",
    "sender": "senderAttention",
    "person": "attentionPerson",
    "reference": "referenceId",
    "documents": "digitalDocument",
    "documentID": "documentId",
    "ContentFiles": "contentFiles",
    "ContentText": "contentTextBody",
}
_SEVERAL: Final = frozenset({"person", "reference", "documents", "ContentFiles", "ContentText"})
_WITHOUT: Final = frozenset(
    {"messagePayload", "message", "messageHeader", "messageBody", "attention", "personId", "organizationId"}
    | {"referenceId", "characterSequence"}
)
"""Elements of the message that have no level of their own in the API."""
_PARTIES: Final = {"recipientID": "recipient", "senderID": "sender"}


def pointer(path: str) -> str:
    """Return the JSON pointer for an XPath of element names in a message; ``NA`` is left unchanged."""
    if not path.startswith("/"):
        return path
    found = _ATTRIBUTES
    for name, position in _STEP.findall(path):
        if name in _PARTIES:
            return f"{_ATTRIBUTES}/{_PARTIES[name]}"
        if name not in _WITHOUT:
            found += f"/{_NAMES.get(name, name)}"
        if name in _SEVERAL:
            found += f"/{int(position or 1) - 1}"
    return found


def placed(finding: Finding) -> Finding:
    """Return a finding on a message with its place in the document that the client sent."""
    return replace(finding, path=pointer(finding.path))
