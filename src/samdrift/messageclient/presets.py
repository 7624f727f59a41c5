"""Presets of mailboxes and people, converted between the vault's form and that of the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from samdrift.messageclient.content import recipient_content, recipient_of
from samdrift.messageclient.desk import NotHere
from samdrift.messageclient.drafts import MAX_RECIPIENTS
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import HandlerRule, RecipientList, TextTemplate
from samdrift.messageclient.mailboxes import UnfitSetting
from samdrift.messageclient.scope import Scope, require_id
from samdrift.messageclient.selections import Selection, State, View
from samdrift.rights import Right
from samdrift.vault.bodies import new_id
from samdrift.vault.mailpresets import PresetKind, PresetRecord
from samdrift.vault.messageclient import MessageClientVault

MAX_TITLE, MAX_TEXT = 100, 20_000
"""Maximum lengths of a text template's title and text."""
MAX_NAME = 100
MAX_KEPT = 200
"""Maximum number of presets of one kind for a mailbox or a person."""


async def text_templates(vault: MessageClientVault, mailbox: str) -> tuple[TextTemplate, ...]:
    """Return the text templates of a mailbox, by title."""
    found = [
        TextTemplate(one.id, one.content["title"], one.content["text"])
        for one in await vault.presets(PresetKind.TEXT, [mailbox])
    ]
    return tuple(sorted(found, key=lambda one: (one.title.casefold(), one.id)))


def selection_content(selection: Selection) -> dict[str, Any]:
    """Return a selection in the form that the vault stores."""
    return asdict(selection)


def selection_of(content: Any) -> Selection:
    """Return a selection from the result of :func:`selection_content`."""
    return Selection(**{**content, "state": State(content["state"])})


def view_of(preset: PresetRecord, person: str) -> View:
    """Return a saved view from its preset."""
    mailbox = None if preset.owner == person else preset.owner
    return View(preset.id, preset.content["name"], selection_of(preset.content["selection"]), mailbox)


async def views_of(scope: Scope, vault: MessageClientVault) -> tuple[View, ...]:
    """Return the saved views that a person can use, by name; read once in a request."""
    if scope.views is None:
        person = scope.person.id
        mailboxes = [one.id for one in await scope.mailboxes(vault, Right.READ)]
        found = [view_of(one, person) for one in await vault.presets(PresetKind.VIEW, [person, *mailboxes])]
        scope.views = tuple(sorted(found, key=lambda one: (one.name.casefold(), one.id)))
    return scope.views


def list_content(kept: RecipientList) -> dict[str, Any]:
    """Return a distribution list in the form that the vault stores."""
    return {"name": kept.name, "recipients": [recipient_content(one) for one in kept.recipients]}


def list_of(preset: PresetRecord, person: str) -> RecipientList:
    """Return a distribution list from a preset with the result of :func:`list_content`."""
    recipients = tuple(recipient_of(one) for one in preset.content["recipients"])
    mailbox = None if preset.owner == person else preset.owner
    return RecipientList(preset.id, preset.content["name"], recipients, mailbox)


async def handler_rules(vault: MessageClientVault, mailbox: str) -> tuple[HandlerRule, ...]:
    """Return the rules of a mailbox in the order of their creation, which is that of their ids."""
    return tuple(
        HandlerRule(one.id, one.content["organisation"], one.content["subject"], one.content["handler"])
        for one in await vault.presets(PresetKind.RULE, [mailbox])
    )


def rule_content(rule: HandlerRule) -> dict[str, Any]:
    """Return a rule in the form that the vault stores."""
    return {"organisation": rule.organisation, "subject": rule.subject, "handler": rule.handler}


async def keep_text(vault: MessageClientVault, owner: str, template: TextTemplate, **facts: str) -> str:
    """Change a text template of a mailbox, or add one if its id is empty; returns its id.

    ``facts`` are added to the entry in the log, as in the functions below.
    """
    if not 0 < len(template.title) <= MAX_TITLE:
        raise UnfitSetting("title", f"a template has a title of at most {MAX_TITLE} characters")
    if not len(template.text.strip()) > 0 or len(template.text) > MAX_TEXT:
        raise UnfitSetting("text", f"a template has a text of at most {MAX_TEXT} characters")
    content = {"title": template.title, "text": template.text}
    return await _keep(vault, PresetKind.TEXT, owner, template.id, content, "title", facts)


async def add_rule(vault: MessageClientVault, owner: str, rule: HandlerRule, **facts: str) -> str:
    """Add a rule to a mailbox after the existing ones, and return its id; callers check the handler."""
    if not (rule.organisation.strip() or rule.subject.strip()):
        raise UnfitSetting("organisation", "a rule is about an organisation, a subject, or both")
    added = replace(rule, organisation=rule.organisation[:MAX_TITLE], subject=rule.subject[:MAX_TITLE])
    return await _keep(vault, PresetKind.RULE, owner, "", rule_content(added), "organisation", facts)


async def keep_list(vault: MessageClientVault, owner: str, kept: RecipientList, **facts: str) -> str:
    """Change a distribution list of a mailbox, or add one if its id is empty; returns its id."""
    if not 0 < len(kept.name) <= MAX_NAME:
        raise UnfitSetting("name", f"a distribution list has a name of at most {MAX_NAME} characters")
    if not 0 < len(kept.recipients) <= MAX_RECIPIENTS:
        raise UnfitSetting("recipients", f"a distribution list has 1 to {MAX_RECIPIENTS} recipients")
    return await _keep(vault, PresetKind.LIST, owner, kept.id, list_content(kept), "name", facts)


async def drop_preset(
    vault: MessageClientVault, kind: PresetKind, preset: str, owner: str, **facts: str
) -> None:
    """Remove a preset of a mailbox; :class:`NotHere` if it has none with that id."""
    require_id(kind, preset)
    if not await vault.drop_preset(preset, kind, owner):
        raise NotHere(kind, preset)
    _record(vault, kind, preset, owner, "removed", facts)


async def _keep(
    vault: MessageClientVault,
    kind: PresetKind,
    owner: str,
    preset: str,
    content: dict[str, Any],
    field: str,
    facts: Mapping[str, str],
) -> str:
    known = {each.id for each in await vault.presets(kind, [owner])}
    if preset and preset not in known:
        raise NotHere(kind, preset)
    if not preset and len(known) >= MAX_KEPT:
        raise UnfitSetting(field, f"a mailbox has at most {MAX_KEPT} of them: remove one first")
    kept = PresetRecord(preset or new_id(), kind, owner, content)
    await vault.keep_preset(kept)
    _record(vault, kind, kept.id, owner, "kept", facts)
    return kept.id


def _record(
    vault: MessageClientVault,
    kind: PresetKind,
    preset: str,
    mailbox: str,
    action: str,
    facts: Mapping[str, str],
) -> None:
    vault.record(
        MKEvent.MK_PRESET_CHANGED, kind=kind.value, preset=preset, mailbox=mailbox, action=action, **facts
    )
