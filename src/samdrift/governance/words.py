"""Statements as text, for the person who is to sign one, and in lists of a record. Pure.

The statement itself is signed. Its text includes every member, so that nothing is signed unseen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from samdrift.rights.agreements import AGREEMENT_ACTS
from samdrift.rights.fields import Subject
from samdrift.rights.record import Record
from samdrift.rights.statements import Statement

_KINDS = {
    "grant": "gives a right",
    "ask": "asks for a right, which another must approve",
    "approve": "approves what was asked for",
    "review": "has reviewed a right",
    "object": "objects to a right, which is held back until the objection ends",
    "end": "ends something",
    "enrol": "asks to enrol a person's key, which another must approve",
    "party": "states who a party of agreements is",
    "agreement": "enters an agreement, which an officer must countersign",
    "notice": "gives notice of a sub-supplier, to which the organisation can object",
    "extend": "asks to extend an agreement, which another must approve",
    "release": "asks to drop a duty that the newest catalogue lacks; another must approve",
    "at-end": "chooses what happens to sending when cover by agreements ends",
    "consent": "asks to see what the operator does not see without consent; officers must approve it",
    "emergency": "states an emergency: metadata is seen for an hour without consent, once another signs it",
    "account": "gives an account of what was done in an emergency",
    "settle": "asks to end unsigned rights, so that they no longer count; another must approve",
    "review-open": "opens a review: what has no answer at its end is removed",
    "review-close": "closes a review: what has no answer is removed",
    "incident": "opens an incident, whose clocks run from when it was known",
    "incident-note": "adds a note to an incident",
    "incident-told": "records that an addressee was notified of an incident",
    "incident-close": "closes an incident",
    "members": "states who came to a group of a directory and who left it",
    "lose": "states that a key is lost: it signs nothing from now on",
}
_LABELS = {
    "to": "for",
    "for": "in place of",
    "of": "about",
    "from": "from",
    "until": "until",
    "scope": "where",
    "rights": "rights",
    "outcome": "outcome",
    "name": "name",
    "since": "lost since",
    "ground": "reason",
    "extent": "what is seen",
    "level": "how much of it",
    "minutes": "minutes, from the last approval on",
    "done": "what was done",
    "number": "unsigned statements",
    "listing": "SHA-256 of their list",
    "began": "began",
    "about": "about",
    "items": "statements that are reviewed",
    "reviewer": "reviewed by",
    "stand-in": "or in their place by",
    "aware": "known since",
    "clocks": "to be notified",
    "clock": "told",
    "told": "at",
    "file": "SHA-256 of a file",
    "group": "group",
    "server": "read from",
    "read": "read at",
    "joined": "came",
    "left": "left",
    "count": "people in it now",
}
_ABOUT_AGREEMENTS = frozenset(each.kind for each in AGREEMENT_ACTS)
_OF_AGREEMENTS = {
    "for": "for organisations",
    "form": "kind",
    "document": "SHA-256 of the paper",
    "notice": "days of notice",
    "countries": "data is processed in",
    "secrecy": "basis of secrecy",
    "window": "objections until",
    "sending": "sending",
}
_HEAD = frozenset({"version", "organisation", "kind", "by", "at", "why"})


def in_words(statement: Statement, record: Record) -> tuple[tuple[str, str], ...]:
    """Return a statement as pairs of label and value, with the names in the record."""
    fields: dict[str, Any] = json.loads(statement.content)
    names = names_of(record)
    pairs = [
        ("organisation", statement.organisation),
        ("by", _named(str(fields["by"]), names)),
        ("at", str(fields["at"])),
        ("what", _KINDS.get(statement.kind, statement.kind)),
    ]
    for name, value in fields.items():
        if name not in _HEAD:
            label = _OF_AGREEMENTS.get(name) if statement.kind in _ABOUT_AGREEMENTS else None
            pairs += _lines(label or _LABELS.get(name, name), value, names, record)
    return (*pairs, ("why", statement.why))


def names_of(record: Record) -> Mapping[str, str]:
    """Return people's names by subject.

    The name comes from a key that has been approved, if there is one. In this way a mere request for a
    key cannot change the name of another person.
    """
    asked = {str(each.act.to): each.act.name for each in record.keys.all()}
    had = {str(each.act.to): each.act.name for each in record.keys.all() if each.begins is not None}
    return asked | had


def named(subject: Subject, record: Record) -> str:
    """Return a subject with its name, if the record has one."""
    return _named(str(subject), names_of(record))


def _lines(label: str, value: Any, names: Mapping[str, str], record: Record) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _lines(f"{label} {name}", member, names, record)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for number, each in enumerate(value, 1):
            yield from _lines(f"{label} {number}", each, names, record)
    elif isinstance(value, list):
        yield label, ", ".join(map(str, value))
    elif label == _LABELS["of"]:
        yield label, _about(str(value), record)
    else:
        yield label, _named(str(value), names)


def _about(digest: str, record: Record) -> str:
    """Return a text for the statement that another one refers to: its number, kind, recipient and digest."""
    for entry in record.entries:
        if entry.statement.digest == digest:
            subject = getattr(entry.statement.act, "to", None) or _receiver(entry.statement)
            whom = "" if subject is None else f" for {named(subject, record)}"
            kind = entry.statement.kind
            return f"statement {entry.number}: {_KINDS.get(kind, kind)}{whom} ({digest})"
    return f"a statement that is not in the record ({digest})"


def _receiver(statement: Statement) -> Subject | None:
    what = getattr(statement.act, "what", None)
    return getattr(what, "subject", None)


def _named(text: str, names: Mapping[str, str]) -> str:
    return f"{text} ({names[text]})" if text in names else text


def table(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return the pairs as lines with aligned labels."""
    width = max((len(label) for label, _ in pairs), default=0)
    return [f"{label:{width}}  {value}" for label, value in pairs]
