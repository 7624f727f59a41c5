"""Forms of drafts: a draft as its form shows it, what a form makes of it, and what could not be saved."""

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
    """Everything that a person typed or chose in a form that could not be saved."""

    subject: str
    text: str
    beside: tuple[tuple[str, str], ...]
    """The rest, each with what it is."""


def typed_in(form: Form, shown: Shown) -> Typed:
    """Return what was typed in a form, in words."""
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
    """Return a form that could not be saved as one field, with which later forms of the draft keep it."""
    return urlencode([(name, value) for name, value in form.fields if name in _TYPED])


def earlier_forms(form: Form) -> tuple[Form, ...]:
    """Return the forms that :func:`kept_form` has put into a form, the latest first."""
    return tuple(Form(parse_qsl(each, keep_blank_values=True)) for each in form.all(EARLIER))


def typed_anywhere(form: Form, shown: Shown) -> Typed | None:
    """Return what was typed in a form of any page in free words; ``None`` where there is nothing."""
    if form["subject"].strip() or form["text"].strip():
        return typed_in(form, shown)
    words = "\n\n".join(form[name].strip() for name in _WORDS if form[name].strip())
    return Typed("", words, ()) if words else None


EARLIER = "earlier"
"""Field of a form for each one before it that could not be saved."""
_TYPED = frozenset(
    {
        *("subject", "text", "confidentiality", "reference-kind", "reference-value"),
        *("person-name", "person-kind", "person-value"),
    }
)
_WORDS = ("note", "reason", "why")
"""Fields of free words, in forms that are not a draft's."""


def key_of(recipient: Recipient) -> str:
    """Return the value that stands for a recipient in a form."""
    return f"{recipient.organisation} {recipient.address}"


def form_of(draft: Draft, looked_for: str = "") -> Form:
    """Return a draft as its form shows it."""
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
    """Return what a form makes of a draft's content."""
    removed = set(form.all("remove"))
    rows = zip_longest(form.all("reference-kind"), form.all("reference-value"), fillvalue="")
    return replace(
        before,
        recipients=tuple(each for each in before.recipients if key_of(each) not in removed),
        subject=form["subject"],
        text=form["text"],
        confidential=form["confidentiality"] != "no",
        persons=_persons(form, before),
        references=tuple(
            _labelled(Identifier(root, value.strip()), before.references)
            for root, value in rows
            if value.strip()
        ),
    )


def _persons(form: Form, before: DraftContent) -> tuple[Identifier, ...]:
    """Return the persons on our side; a form without those fields leaves them as they are."""
    names = form.all("person-name")
    if not names:
        return before.persons
    rows = zip_longest(form.all("person-kind"), form.all("person-value"), names, fillvalue="")
    return tuple(
        Identifier(root, value.strip(), name.strip())
        for root, value, name in rows
        if value.strip() or name.strip()
    )


def _labelled(one: Identifier, before: Sequence[Identifier]) -> Identifier:
    """Return a reference with the text that it had; a new one has its value as its text."""
    known = next((each for each in before if (each.root, each.extension) == (one.root, one.extension)), None)
    return known or replace(one, label=one.extension)
