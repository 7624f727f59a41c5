"""Rules of a mailbox: a new conversation gets the handler of the first rule that matches.

A rule is skipped if its handler may no longer write in the mailbox.
"""

from __future__ import annotations

from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.finding import folded, words_of
from samdrift.messageclient.mail import HandlerRule, Party
from samdrift.messageclient.permissions import Assignments, claims_of
from samdrift.messageclient.presets import handler_rules
from samdrift.rights import Right
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier


class Rules:
    """The rules of one organisation's mailboxes."""

    def __init__(self, assignments: Assignments, organisation: ParticipantIdentifier) -> None:
        self._assignments = assignments
        self._organisation = organisation

    async def apply(self, vault: MessageClientVault, conversation: str, sender: Party, subject: str) -> None:
        """Assign the handler of a new conversation, in the transaction that stores its first message."""
        for found in await vault.conversations_by_id([conversation]):
            if found.messages > 1 or found.handler is not None:
                continue
            fitting = [
                rule for rule in await handler_rules(vault, found.mailbox) if _fits(rule, sender, subject)
            ]
            handler = await self._first(vault, fitting, found.mailbox) if fitting else None
            if handler is None:
                continue
            await vault.change_conversation(found, handler=handler, done=found.done, mailbox=found.mailbox)
            vault.record(
                MKEvent.MK_CONVERSATION_CHANGED,
                conversation=found.id,
                action="by-rule",
                mailbox=found.mailbox,
                handler=handler,
            )

    async def _first(self, vault: MessageClientVault, rules: list[HandlerRule], mailbox: str) -> str | None:
        """Return the first handler in the rules who may currently write in the mailbox."""
        assigned = await self._assignments.read(self._organisation, vault)
        writers = {
            each.id
            for each in assigned.persons
            if assigned.allows(each.id, claims_of(each), Right.WRITE, mailbox)
        }
        return next((rule.handler for rule in rules if rule.handler in writers), None)


def _fits(rule: HandlerRule, sender: Party, subject: str) -> bool:
    side = folded(
        " ".join((sender.organisation, sender.organisation_name, sender.address, sender.address_name))
    )
    about = folded(subject)
    return all(word in side for word in words_of(rule.organisation)) and all(
        word in about for word in words_of(rule.subject)
    )
