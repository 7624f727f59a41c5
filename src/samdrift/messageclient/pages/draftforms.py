"""Forms of drafts: conversion between a draft and its form, and forms that could not be saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from urllib.parse import parse_qsl, urlencode

from samdrift.messageclient.mail import Draft, DraftContent, Identifier, Recipient
from samdrift.messageclient.pages.shown import Shown
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase


@dataclass(frozen=True, slots=True)
class Typed:
    """Everything that a person entered in a form that could not be saved."""

    subject: str
    text: str
    beside: tuple[tuple[str, str], ...]
    """The other fields, each with its label."""


def typed_in(form: Form, shown: Shown) -> Typed:
    """Return the content of a form as texts to show."""
    content = content_of(form, DraftContent())
    confidential = Phrase("Marked as confidential") if content.confidential else Phrase("Not confidential")
    rows = (
        (Phrase("Our references"), ", ".join(map(shown.reference, content.references))),
        (Phrase("Our contact person"), ", ".join(f"{one.label}, {one.extension}" for one in content.persons)),
        (Phrase("Confidentiality"), shown.say(confidential)),
    )
    beside = tuple((shown.say(label), value) for label, value in rows if value)
    return Typed(content.subject, content.text, beside)


def kept_form(form: Form) -> str:
    """Return an unsaved form, encoded as one field value, which later forms carry along."""
    return urlencode([(name, value) for name, value in form.fields if name in _TYPED])


def earlier_forms(form: Form) -> tuple[Form, ...]:
    """Return the unsaved forms that :func:`kept_form` put into a form, the latest first."""
    return tuple(Form(parse_qsl(each, keep_blank_values=True)) for each in form.all(EARLIER))


def typed_anywhere(form: Form, shown: Shown) -> Typed | None:
    """Return what was typed in a form of any page; ``None`` if nothing was."""
    if any(value.strip() for name in _OF_DRAFT for value in form.all(name)):
        return typed_in(form, shown)
    words = "\n\n".join(form[name].strip() for name in _WORDS if form[name].strip())
    return Typed("", words, ()) if words else None


MAX_ROWS = 50
"""Maximum number of references, and of persons, that a form has as fields: a form may only have so many."""
EARLIER = "earlier"
"""Form field that carries the earlier forms which could not be saved, one value for each."""
_TYPED = frozenset(
    {
        *("subject", "text", "confidentiality", "reference-kind", "reference-value"),
        *("person-name", "person-kind", "person-value"),
    }
)
_OF_DRAFT = ("subject", "text", "reference-value", "person-name", "person-value")
"""Fields of a draft's form that a person types in."""
_WORDS = ("note", "reason", "why")
"""Free-text fields of forms other than a draft's."""


def key_of(recipient: Recipient) -> str:
    """Return the value that identifies a recipient in a form."""
    return f"{recipient.organisation} {recipient.address}"


def form_of(draft: Draft, looked_for: str = "") -> Form:
    """Return the form that shows a draft."""
    content = draft.content
    return Form(
        (
            ("find", looked_for),
            ("subject", content.subject),
            ("text", content.text),
            ("confidentiality", "yes" if content.confidential else "no"),
        )
    )


def content_of(form: Form, before: DraftContent) -> DraftContent:
    """Return the draft content that results from a form, given the content before.

    The first references and persons, as many as the form was made without, stay as they are.
    """
    removed = set(form.all("remove"))
    rows = zip_longest(form.all("reference-kind"), form.all("reference-value"), fillvalue="")
    return replace(
        before,
        recipients=tuple(each for each in before.recipients if key_of(each) not in removed),
        subject=form["subject"],
        text=form["text"],
        confidential=form["confidentiality"] != "no",
        persons=_persons(form, before),
        references=(
            *before.references[: _number(form["references-beside"])],
            *(
                _labelled(Identifier(root, value.strip()), before.references)
                for root, value in rows
                if value.strip()
            ),
        ),
    )


def _persons(form: Form, before: DraftContent) -> tuple[Identifier, ...]:
    """Return the contact persons on our side; a form without those fields leaves them unchanged."""
    names = form.all("person-name")
    if not names:
        return before.persons
    rows = zip_longest(form.all("person-kind"), form.all("person-value"), names, fillvalue="")
    return (
        *before.persons[: _number(form["persons-beside"])],
        *(
            Identifier(root, value.strip(), name.strip())
            for root, value, name in rows
            if value.strip() or name.strip()
        ),
    )


def _number(digits: str) -> int:
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else 0


def beside(named: Sequence[Identifier]) -> int:
    """Return how many references or persons, the first ones, a form does not have as fields."""
    return max(len(named) - MAX_ROWS, 0)


def _labelled(one: Identifier, before: Sequence[Identifier]) -> Identifier:
    """Return a reference with the label that it had before; the label of a new one is its value."""
    known = next((each for each in before if (each.root, each.extension) == (one.root, one.extension)), None)
    return known or replace(one, label=one.extension)
