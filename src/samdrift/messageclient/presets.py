"""Presets of mailboxes and persons as the vault keeps them, and as pages show them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from samdrift.messageclient.content import recipient_content, recipient_of
from samdrift.messageclient.mail import HandlerRule, RecipientList, Selection, State, TextTemplate, View
from samdrift.messageclient.scope import Scope
from samdrift.rights import Right
from samdrift.vault.mailpresets import PresetKind, PresetRecord
from samdrift.vault.messageclient import MessageClientVault


async def text_templates(vault: MessageClientVault, mailbox: str) -> tuple[TextTemplate, ...]:
    """Return the text templates of a mailbox, by title."""
    found = [
        TextTemplate(one.id, one.content["title"], one.content["text"])
        for one in await vault.presets(PresetKind.TEXT, [mailbox])
    ]
    return tuple(sorted(found, key=lambda one: (one.title.casefold(), one.id)))


def selection_content(selection: Selection) -> dict[str, Any]:
    """Return a selection as the vault keeps it."""
    return asdict(selection)


def selection_of(content: Any) -> Selection:
    """Return the inverse of :func:`selection_content`."""
    return Selection(**{**content, "state": State(content["state"])})


def view_of(preset: PresetRecord, person: str) -> View:
    """Return a kept view."""
    mailbox = None if preset.owner == person else preset.owner
    return View(preset.id, preset.content["name"], selection_of(preset.content["selection"]), mailbox)


async def views_of(scope: Scope, vault: MessageClientVault) -> tuple[View, ...]:
    """Return the kept views that a person can use, by name; asked for once in a request."""
    if scope.views is None:
        person = scope.person.id
        mailboxes = [one.id for one in await scope.mailboxes(vault, Right.READ)]
        found = [view_of(one, person) for one in await vault.presets(PresetKind.VIEW, [person, *mailboxes])]
        scope.views = tuple(sorted(found, key=lambda one: (one.name.casefold(), one.id)))
    return scope.views


def list_content(kept: RecipientList) -> dict[str, Any]:
    """Return a distribution list as the vault keeps it."""
    return {"name": kept.name, "recipients": [recipient_content(one) for one in kept.recipients]}


def list_of(preset: PresetRecord, person: str) -> RecipientList:
    """Return the inverse of :func:`list_content`."""
    recipients = tuple(recipient_of(one) for one in preset.content["recipients"])
    mailbox = None if preset.owner == person else preset.owner
    return RecipientList(preset.id, preset.content["name"], recipients, mailbox)


async def handler_rules(vault: MessageClientVault, mailbox: str) -> tuple[HandlerRule, ...]:
    """Return the rules of a mailbox in the order in which they were made, which is that of their ids."""
    return tuple(
        HandlerRule(one.id, one.content["organisation"], one.content["subject"], one.content["handler"])
        for one in await vault.presets(PresetKind.RULE, [mailbox])
    )


def rule_content(rule: HandlerRule) -> dict[str, Any]:
    """Return a rule as the vault keeps it."""
    return {"organisation": rule.organisation, "subject": rule.subject, "handler": rule.handler}
