"""Consents in force, as a line on every page while they last: who at the operator sees what, until when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from samdrift.messageclient.permissions import PersonPermissions
from samdrift.rights.consentfold import Consent
from samdrift.rights.consents import ExtentKind, Level
from samdrift.web.pages import Band
from samdrift.web.texts import Phrase

_TEXTS = {
    (ExtentKind.MESSAGE, Level.METADATA): Phrase(
        "%(who)s sees data about one message, but not what it says."
    ),
    (ExtentKind.MESSAGE, Level.CONTENT): Phrase("%(who)s sees one message and what it says."),
    (ExtentKind.MAILBOX, Level.METADATA): Phrase(
        "%(who)s sees data about the messages of one mailbox, but not what they say."
    ),
    (ExtentKind.MAILBOX, Level.CONTENT): Phrase(
        "%(who)s sees the messages of one mailbox and what they say."
    ),
    (ExtentKind.SPAN, Level.METADATA): Phrase(
        "%(who)s sees data about the messages of a span of time, but not what they say."
    ),
    (ExtentKind.SPAN, Level.CONTENT): Phrase(
        "%(who)s sees the messages of a span of time and what they say."
    ),
}


def bands(permissions: PersonPermissions) -> Iterator[Band]:
    """Yield a line for each consent or emergency that is in force in the person's organisation."""
    for consent, name in permissions.consents:
        assert consent.end is not None
        yield Band(_text(consent, name), _by(consent), consent.end)


def _text(consent: Consent, name: str) -> Phrase:
    return replace(_TEXTS[consent.act.extent.kind, consent.act.level], values={"who": name})


def _by(consent: Consent) -> Phrase:
    if consent.emergency:
        return Phrase("An emergency of the operator, without your organisation’s consent.")
    return Phrase("Your organisation has consented to it.")
