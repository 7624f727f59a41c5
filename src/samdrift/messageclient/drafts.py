"""Drafts in the forms that vaults store, pages show, and the message service receives; pure functions.

Obstacles to sending are found here, by the rules that the message service will apply, so that a person learns
of them while everything typed is still there (content-specification 4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from samdrift.contracts.messages import Direction
from samdrift.messageclient import content
from samdrift.messageclient.content import Json
from samdrift.messageclient.mail import (
    Draft,
    DraftContent,
    DraftKind,
    DraftStage,
    Identifier,
    Party,
    Problem,
    ProblemCode,
    Recipient,
)
from samdrift.messageclient.scope import People
from samdrift.vault.mailrecords import DraftRecord, FileRecord, MailRecord
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.sdkmessage import (
    MAX_BYTES,
    Ii,
    Person,
    Reference,
    file_size,
    person_size,
    reference_size,
    text_size,
)
from samdrift.wire.xml.schema import WHITESPACE

MAX_RECIPIENTS = 50
"""Maximum number of recipients of a draft; each gets a separate message."""
MAX_LABEL = 256
"""Maximum length of a label, in UTF-16 units, at every recipient (content-specification 4.3.2 sentence 9)."""
_ENVELOPE = 8 << 10
"""Maximum number of bytes of a message besides what its writer chose: markup, ids, the sender's address."""
CHANGEABLE = frozenset({DraftStage.OPEN, DraftStage.APPROVED})
"""Stages in which the writer may change a draft."""
DOCUMENT_NAME = "Meddelande"


def draft_content(typed: DraftContent, kind: DraftKind, declined: str = "") -> dict[str, Any]:
    """Return the typed text in the form that the vault stores, with the kind of draft that was started."""
    return {
        "kind": kind.value,
        "recipients": [
            [one.organisation, one.address, one.organisation_name, one.address_name]
            for one in typed.recipients
        ],
        "subject": typed.subject,
        "text": typed.text,
        "confidential": typed.confidential,
        "persons": content.identifiers_content(typed.persons),
        "references": content.identifiers_content(typed.references),
        "recipient_persons": content.identifiers_content(typed.recipient_persons),
        "recipient_references": content.identifiers_content(typed.recipient_references),
        "declined": declined,
    }


def typed(kept: Json) -> DraftContent:
    """Return what was typed from the result of :func:`draft_content`."""
    return DraftContent(
        recipients=tuple(Recipient(*each) for each in kept["recipients"]),
        subject=kept["subject"],
        text=kept["text"],
        confidential=kept["confidential"],
        persons=content.identifiers(kept["persons"]),
        references=content.identifiers(kept["references"]),
        recipient_persons=content.identifiers(kept["recipient_persons"]),
        recipient_references=content.identifiers(kept["recipient_references"]),
    )


def kind_of(record: DraftRecord) -> DraftKind:
    """Return the kind of a draft; older drafts without a stored kind are classified by what they refer to."""
    kept = record.content.get("kind")
    if kept is not None:
        return DraftKind(kept)
    return DraftKind.NEW if record.reply_to is None else DraftKind.ANSWER


def draft_shown(record: DraftRecord, files: Sequence[FileRecord], people: People) -> Draft:
    """Return a draft in the form that pages show."""
    shown = typed(record.content)
    return Draft(
        id=record.id,
        kind=kind_of(record),
        version=record.version,
        mailbox=record.mailbox,
        conversation=record.conversation,
        reply_to=record.reply_to,
        seen=record.seen,
        content=shown,
        files=tuple(content.file_of(one) for one in files),
        stage=DraftStage(record.stage),
        writer=people[record.writer],
        saved_at=record.saved_at,
        asked_by=people.get(record.asked_by),
        approved_by=people.get(record.approved_by),
        declined=record.content["declined"],
        size=message_size(shown, files),
        until=record.until,
    )


def message_size(typed: DraftContent, files: Sequence[FileRecord]) -> int:
    """Return the size in bytes that the message made from a draft has at most, with its files in Base64.

    Each recipient gets a separate message; this is the size of the largest.
    """
    text = typed.text if typed.text.strip() else ""
    persons = (*typed.persons, *typed.recipient_persons)
    references = (*typed.references, *typed.recipient_references)
    return (
        _ENVELOPE
        + text_size(typed.subject)
        + text_size(text)
        + max(map(_recipient_size, typed.recipients), default=0)
        + sum(person_size(Person(*_labelled(one))) for one in persons)
        + sum(reference_size(Reference(*_labelled(one))) for one in references)
        + sum(file_size(one.content["name"], one.content["type"], one.size) for one in files)
    )


def room_for(typed: DraftContent, files: Sequence[FileRecord], name: str, media_types: Sequence[str]) -> int:
    """Return the number of bytes of a file for which a draft has room; its type is one of those given."""
    rest = MAX_BYTES - message_size(typed, files) - max(file_size(name, each, 0) for each in media_types)
    return max(rest, 0) // 4 * 3


def _recipient_size(one: Recipient) -> int:
    return sum(map(text_size, (one.organisation, one.address, one.address_name)))


def _labelled(one: Identifier) -> tuple[Ii, str]:
    return Ii(one.root, one.extension), one.label


def answer_to(mail: MailRecord) -> DraftContent:
    """Return the content for a reply: to the other side, with the persons and references of both sides.

    The sender's own are returned to it (content-specification 4.3.2).
    """
    here, there = _sides(mail)
    return DraftContent(
        recipients=(_recipient(there),),
        subject=mail.content["subject"],
        confidential=mail.confidential,
        persons=here.persons if mail.direction is Direction.OUT else (),
        references=_fit_references(here),
        recipient_persons=_fit_persons(there),
        recipient_references=_fit_references(there),
    )


def once_more(mail: MailRecord, texts: Sequence[str]) -> DraftContent:
    """Return the content for a new message that repeats a sent one."""
    here, there = _sides(mail)
    return DraftContent(
        recipients=(_recipient(there),),
        subject=mail.content["subject"],
        text="\n\n".join(texts),
        confidential=mail.confidential,
        persons=here.persons,
        references=_fit_references(here),
        recipient_persons=_fit_persons(there),
        recipient_references=_fit_references(there),
    )


def _fit_persons(party: Party) -> tuple[Identifier, ...]:
    """Return a side's persons without those that no message can have, which nobody could correct."""
    return tuple(filter(_is_person, party.persons))


def _fit_references(party: Party) -> tuple[Identifier, ...]:
    """Return a side's references without those that no message can have."""
    return tuple(filter(_is_reference, party.references))


def _sides(mail: MailRecord) -> tuple[Party, Party]:
    """Return our side of a message, and the other side."""
    here, there = ("recipient", "sender") if mail.direction is Direction.IN else ("sender", "recipient")
    return content.party(mail.content[here]), content.party(mail.content[there])


def _recipient(party: Party) -> Recipient:
    return Recipient(party.organisation, party.address, party.organisation_name, party.address_name)


def problems(draft: DraftContent, files: Sequence[FileRecord]) -> tuple[Problem, ...]:
    """Return the obstacles to sending, in the order of the fields."""
    return tuple(_problems(draft, files))


def _problems(draft: DraftContent, files: Sequence[FileRecord]) -> Iterator[Problem]:
    if not draft.recipients:
        yield Problem(ProblemCode.NO_RECIPIENT, "recipients")
    if len(draft.recipients) > MAX_RECIPIENTS:
        yield Problem(ProblemCode.TOO_MANY_RECIPIENTS, "recipients")
    if any(not one.address or not _is_participant(one.organisation) for one in draft.recipients):
        yield Problem(ProblemCode.UNKNOWN_RECIPIENT, "recipients")
    if not draft.subject.strip():
        yield Problem(ProblemCode.NO_SUBJECT, "subject")
    if _units(draft.subject) > MAX_LABEL:
        yield Problem(ProblemCode.SUBJECT_TOO_LONG, "subject")
    if not draft.text.strip() and not files:
        yield Problem(ProblemCode.EMPTY, "text")
    for field, is_fit in _NAMED.items():
        if not all(map(is_fit, getattr(draft, field))):
            yield Problem(ProblemCode.REFERENCE, field)
    for file in files:
        if not file.size:
            yield Problem(ProblemCode.EMPTY, "files", file.id)
    if message_size(draft, files) > MAX_BYTES:
        yield Problem(ProblemCode.TOO_LARGE, "files")


def _is_typed_person(one: Identifier) -> bool:
    """Return whether a person of ours is whole, or was named by name alone by another client."""
    whole = all(
        value.strip() and _units(value) <= MAX_LABEL for value in (one.root, one.extension, one.label)
    )
    return whole or _is_name_alone(one)


def _is_person(one: Identifier) -> bool:
    """Return whether the message service accepts a person (content-specification 4.3.2.3)."""
    return _is_name_alone(one) or _is_reference(one)


def _is_reference(one: Identifier) -> bool:
    """Return whether the message service accepts a reference, whose label may be left out."""
    return bool(one.root.strip(WHITESPACE)) and _is_label(one.extension) and _is_label(one.label or "-")


def _is_name_alone(one: Identifier) -> bool:
    return not one.root and not one.extension and _is_label(one.label)


def _is_label(value: str) -> bool:
    return bool(value.strip(WHITESPACE)) and len(value) <= MAX_LABEL


_NAMED: Mapping[str, Callable[[Identifier], bool]] = {
    "persons": _is_typed_person,
    "references": _is_reference,
    "recipient_persons": _is_person,
    "recipient_references": _is_reference,
}
"""Functions that return whether a person or reference may be in a field of a draft, by the field.

Persons on our side are typed, and must be whole. The others come from messages, which may leave out more.
"""


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _is_participant(text: str) -> bool:
    try:
        ParticipantIdentifier.parse(text)
    except ValueError:
        return False
    return True
