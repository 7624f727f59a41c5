"""The contract for a created message, as data, and the check of a document against it.

The contract is ``messageCreateAttributesDef`` of the OpenAPI file, with the further requirements of the text
of api-mt-mk and of the SDK message itself (docs/interface-d.md).

Clauses: api-mt-mk message sentence 1, sentence 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from samdrift.messageservice.interface_d.problems import MAX_ISSUES, NOTHING, Refused, broken
from samdrift.wire.findings import Finding

Value = Any


@dataclass(frozen=True, slots=True)
class Text:
    """A text with a maximum length; ``only`` is its sole permitted value, if there is one."""

    longest: int | None = None
    only: str | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """A value that is true or false."""


@dataclass(frozen=True, slots=True)
class Many:
    """A list of items of one shape."""

    each: Shape


@dataclass(frozen=True, slots=True)
class Members:
    """An object; a member that is ``null`` counts as absent."""

    known: Mapping[str, Shape]
    required: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    """Members that are accepted but ignored."""
    extensible: bool = False
    """True if unknown members are accepted too, as JSON:API allows for a document."""


Shape = Text | Flag | Many | Members

_TEXT = Text()
_EXTENSION = Text(longest=256)
_LABELLED = Members(
    {"root": _TEXT, "extension": _EXTENSION, "label": _TEXT},
    required=frozenset({"root", "extension", "label"}),
)
_ATTENTION = Members(
    {
        "subOrganization": Members(
            {"root": _TEXT, "extension": _EXTENSION, "label": _TEXT},
            required=frozenset({"root", "extension"}),
        ),
        "attentionPerson": Many(_LABELLED),
        "referenceId": Many(_LABELLED),
    },
    required=frozenset({"subOrganization"}),
)
_FILE = Members(
    {"fileName": _TEXT, "contentType": _TEXT, "content": _TEXT},
    required=frozenset({"fileName", "contentType", "content"}),
)
_DOCUMENT = Members(
    {
        "documentName": _TEXT,
        "documentId": _TEXT,
        "index": _TEXT,
        "contentTextBody": Many(_TEXT),
        "contentFiles": Many(_FILE),
    },
    required=frozenset({"documentId"}),
)
_ATTRIBUTES = Members(
    {
        "creationDateTime": _TEXT,
        "messageId": _TEXT,
        "conversationId": _TEXT,
        "refToMessageId": _TEXT,
        "confidentiality": Flag(),
        "generatingSystem": Members(
            {"root": _TEXT, "extension": _TEXT},
            required=frozenset({"root", "extension"}),
            ignored=frozenset({"label"}),  # occurs only in the specification's examples
        ),
        "recipientAttention": _ATTENTION,
        "senderAttention": _ATTENTION,
        "sender": _TEXT,
        "recipient": _TEXT,
        "label": _TEXT,
        "digitalDocument": Many(_DOCUMENT),
    },
    required=frozenset(
        {"confidentiality", "label", "sender", "recipient", "recipientAttention", "senderAttention"}
        | {"digitalDocument"}
    ),
    ignored=frozenset({"messageStatus", "events", "event"}),  # the message service sets them
)
CREATE = Members(
    {
        "data": Members(
            {"type": Text(only="messages"), "id": _TEXT, "attributes": _ATTRIBUTES},
            required=frozenset({"type", "attributes"}),
            extensible=True,
        )
    },
    required=frozenset({"data"}),
    extensible=True,
)


def check(document: Value) -> dict[str, Value]:
    """Return the document without ignored members; raise :class:`Refused` if it breaks the contract."""
    found = _Check()
    checked = found.value(document, CREATE, "")
    if found.findings:
        raise Refused(found.findings)
    assert isinstance(checked, dict)
    return checked


@dataclass(slots=True)
class _Check:
    findings: list[Finding] = field(default_factory=list)

    def value(self, value: Value, shape: Shape, where: str) -> Value:
        if isinstance(shape, Members):
            return self._members(value, shape, where)
        if isinstance(shape, Many):
            return self._many(value, shape, where)
        if isinstance(shape, Flag):
            return value if isinstance(value, bool) else self._report("is not true or false", where)
        return self._text(value, shape, where)

    def _members(self, value: Value, shape: Members, where: str) -> Value:
        if not isinstance(value, dict):
            return self._report("is not an object", where)
        present = {name: each for name, each in value.items() if each is not None}
        if not shape.extensible and present.keys() - shape.known.keys() - shape.ignored:
            self._report("has a member that the contract does not know", where)
        for name in sorted(shape.required - present.keys()):
            self._report("is missing", f"{where}/{name}")
        return {
            name: self.value(present[name], each, f"{where}/{name}")
            for name, each in shape.known.items()
            if name in present
        }

    def _many(self, value: Value, shape: Many, where: str) -> Value:
        if not isinstance(value, list):
            return self._report("is not a list", where)
        return [self.value(each, shape.each, f"{where}/{place}") for place, each in enumerate(value)]

    def _text(self, value: Value, shape: Text, where: str) -> Value:
        if not isinstance(value, str):
            return self._report("is not a text", where)
        if shape.only is not None and value != shape.only:
            return self._report(f"is not {shape.only}", where)
        if shape.longest is not None and len(value) > shape.longest:
            return self._report(f"is longer than {shape.longest} characters", where)
        return value

    def _report(self, text: str, where: str) -> None:
        if len(self.findings) == MAX_ISSUES:
            return
        name = where.rpartition("/")[2]
        subject = "The document" if not name else f"Item {name}" if name.isdecimal() else name
        self.findings.append(broken(f"{subject} {text}", where or NOTHING))
