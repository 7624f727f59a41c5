"""Settings of an organisation's mailboxes for the operator's commands, each logged with name and reason.

The organisation's own administrators and managers do the same on the pages. No command shows a message.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from samdrift.administration.appointing import MessageClients
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Purpose
from samdrift.installation.signin import used_services
from samdrift.messageclient.deleting import DeletionRule
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import HandlerRule, RecipientList, TextTemplate
from samdrift.messageclient.notices.manning import Manning
from samdrift.messageclient.permissions import claims_of
from samdrift.messageclient.presets import (
    add_rule,
    drop_preset,
    handler_rules,
    keep_list,
    keep_text,
    list_of,
    text_templates,
)
from samdrift.net.clock import system_clock
from samdrift.rights import Right
from samdrift.vault.maildeletion import BackupRecord, DeletionCounts, SoleReaderRecord
from samdrift.vault.maildisposal import DisposalRule
from samdrift.vault.mailpresets import PresetKind
from samdrift.vault.mailrecords import Content, MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.people import Identity

_AHEAD = timedelta(minutes=1)
"""Time that a backup may lie ahead, because two clocks may differ."""


@dataclass(frozen=True, slots=True)
class Deletions:
    """Deletion at the message service: the rule, and what it waits for."""

    rule: DeletionRule | None
    backup: BackupRecord | None
    mailboxes: tuple[MailboxRecord, ...]
    confirmed: Mapping[str, SoleReaderRecord]
    counts: DeletionCounts


@dataclass(frozen=True, slots=True)
class MailboxSettings:
    """Settings of one organisation's mailboxes, for a command run by one member of the operator's staff."""

    clients: MessageClients
    by: str
    reason: str

    # --- deletion at the message service ------------------------------------------------------------------

    async def verified_backup(self, taken_at: datetime) -> str:
        """Record that a backup of the vault and its objects from a given time was verified; return its id.

        From then on its messages may be deleted at the message service, if the organisation wants that.
        """
        now = system_clock()
        if taken_at > now + _AHEAD:
            raise Unusable("the time of a backup must not be in the future")
        async with self._opened() as vault:
            known = await vault.last_backup()
            backup = vault.note_backup(taken_at, {"by": self.by, "reason": self.reason}, now=now)
            before = known.taken_at.isoformat() if known else ""
            facts = {"backup": backup, "taken_at": taken_at.isoformat(), "before": before}
            vault.record(MKEvent.MK_BACKUP_VERIFIED, **facts, **self._facts)
        return backup

    async def deletions(self) -> Deletions:
        """Return the rule for deletion, and the conditions that it waits for."""
        config, gate = self.clients.installation.config, self.clients.installation.gate
        organisation = self.clients.organisation
        used = [one for one in used_services(config, gate) if one.organisation == organisation]
        async with self._opened() as vault:
            return Deletions(
                used[0].deletion if used else None,
                await vault.last_backup(),
                await vault.mailboxes(),
                await vault.sole_readers(),
                await vault.deletion_counts(),
            )

    # --- disposal -----------------------------------------------------------------------------------------

    async def set_disposal_rule(self, address: str, since: str, days: int, decision: str) -> None:
        """Set the disposal rule of a mailbox; its managers propose and approve each disposal."""
        async with self._mailbox(address) as (vault, box):
            content = {"decision": decision, "by": self.by}
            vault.keep_disposal_rule(DisposalRule(box.id, since, days, "", system_clock(), content))
            facts = {"since": since, "days": str(days), "decision": decision}
            vault.record(MKEvent.MK_DISPOSAL_RULED, mailbox=box.id, **facts, **self._facts)

    # --- notices ------------------------------------------------------------------------------------------

    async def manning(self, address: str) -> Manning:
        """Return the staffing hours of a mailbox, with its notices and automatic answer."""
        async with self._mailbox(address) as (vault, box):
            kept = (await vault.manning()).get(box.id)
        return Manning() if kept is None else Manning.read(kept)

    async def set_manning(self, address: str, changed: Callable[[Manning], Manning]) -> Manning:
        """Change a mailbox's staffing hours, the notices about unread messages, or its automatic answer."""
        async with self._mailbox(address) as (vault, box):
            kept = (await vault.manning()).get(box.id)
            manning = changed(Manning() if kept is None else Manning.read(kept))
            if (unfit := manning.unfit()) is not None:
                raise Unusable(unfit[1])
            vault.keep_manning(box.id, manning.content(), now=system_clock())
            vault.record(MKEvent.MK_MAILBOX_CHANGED, mailbox=box.id, action="manning", **self._facts)
        return manning

    async def notices(self) -> tuple[tuple[MailboxRecord, ...], Mapping[str, Content]]:
        """Return the mailboxes, and the mail notices that each person has chosen, by the person's id."""
        async with self._opened() as vault:
            return await vault.mailboxes(), await vault.notice_choices()

    async def stop_notices(self, person: str) -> None:
        """Stop notifying a person, and delete the mail address."""
        async with self._opened() as vault:
            if person not in await vault.notice_choices():
                raise Unusable("no person with that id gets notices: samdrift mailbox notices shows who does")
            vault.keep_notice_choice(person, {"address": "", "mailboxes": {}, "hour": 8})
            vault.record(MKEvent.MK_NOTICE_CHOSEN, person=person, mailboxes="", **self._facts)

    # --- text templates, rules, distribution lists --------------------------------------------------------

    async def texts(self, address: str) -> tuple[TextTemplate, ...]:
        """Return the text templates of a mailbox."""
        async with self._mailbox(address) as (vault, box):
            return await text_templates(vault, box.id)

    async def keep_text(self, address: str, template: TextTemplate) -> str:
        """Add a text template (one with an empty id) or change an existing one; return its id."""
        async with self._mailbox(address) as (vault, box):
            return await keep_text(vault, box.id, template, **self._facts)

    async def rules(self, address: str) -> tuple[HandlerRule, ...]:
        """Return the rules of a mailbox, in their order."""
        async with self._mailbox(address) as (vault, box):
            return await handler_rules(vault, box.id)

    async def add_rule(self, address: str, organisation: str, subject: str, handler: Identity) -> str:
        """Append a rule and return its id; the handler must have the right to write in the mailbox."""
        assigned = await self.clients.assigned()
        async with self._mailbox(address) as (vault, box):
            person = await vault.person(handler.issuer, handler.subject) or ""
            claims = {one.id: claims_of(one) for one in assigned.persons}
            if not assigned.allows(person, claims.get(person, frozenset()), Right.WRITE, box.id):
                raise Unusable("the handler must be a person who may write in the mailbox")
            return await add_rule(
                vault, box.id, HandlerRule("", organisation, subject, person), **self._facts
            )

    async def lists(self, address: str) -> tuple[RecipientList, ...]:
        """Return the distribution lists of a mailbox, without those of individual people."""
        async with self._mailbox(address) as (vault, box):
            return tuple(list_of(one, "") for one in await vault.presets(PresetKind.LIST, [box.id]))

    async def keep_list(self, address: str, kept: RecipientList) -> str:
        """Add a distribution list to a mailbox (one with an empty id) or change one; return its id."""
        async with self._mailbox(address) as (vault, box):
            return await keep_list(vault, box.id, replace(kept, mailbox=box.id), **self._facts)

    async def drop(self, address: str, kind: PresetKind, preset: str) -> None:
        """Remove a text template, a rule or a distribution list from a mailbox."""
        async with self._mailbox(address) as (vault, box):
            await drop_preset(vault, kind, preset, box.id, **self._facts)

    @property
    def _facts(self) -> Mapping[str, str]:
        return {"by": self.by, "reason": self.reason}

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[MessageClientVault]:
        async with self.clients.vaults.open(self.clients.organisation, Purpose.ADMINISTER) as vault:
            yield vault

    @asynccontextmanager
    async def _mailbox(self, address: str) -> AsyncIterator[tuple[MessageClientVault, MailboxRecord]]:
        async with self._opened() as vault:
            yield vault, _of(await vault.mailboxes(), address)


def _of(mailboxes: Sequence[MailboxRecord], address: str) -> MailboxRecord:
    for one in mailboxes:
        if one.address == address:
            return one
    raise Unusable("there is no mailbox with that address: samdrift mailbox list shows them")
