"""Presets of mailboxes and persons as the vault keeps them, and as pages show them."""

from __future__ import annotations

from samdrift.messageclient.mail import TextTemplate
from samdrift.vault.mailpresets import PresetKind
from samdrift.vault.messageclient import MessageClientVault


async def text_templates(vault: MessageClientVault, mailbox: str) -> tuple[TextTemplate, ...]:
    """Return the text templates of a mailbox, by title."""
    found = [
        TextTemplate(one.id, one.content["title"], one.content["text"])
        for one in await vault.presets(PresetKind.TEXT, [mailbox])
    ]
    return tuple(sorted(found, key=lambda one: (one.title.casefold(), one.id)))
