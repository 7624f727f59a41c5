"""Management of an organisation's message client by its own people: mailboxes, figures, text templates.

An administrator manages every mailbox, a manager only their own; neither gains access to content. Every call
acts in the scope of one person, and raises :class:`NotHere` for anything that this person does not manage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from samdrift.contracts.principals import Purpose
from samdrift.messageclient.deleting import DeletionRule, Reading
from samdrift.messageclient.desk import NotHere
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import HandlerRule, Person, TextTemplate
from samdrift.messageclient.mailboxes import UnfitSetting, change_mailbox, make_mailbox
from samdrift.messageclient.presets import add_rule, drop_preset, handler_rules, keep_text, text_templates
from samdrift.messageclient.scope import Scope
from samdrift.rights import Right
from samdrift.vault.maildeletion import DeletionCounts
from samdrift.vault.mailpresets import PresetKind, WeekRecord
from samdrift.vault.mailrecords import Content, MailboxRecord
from samdrift.vault.messageclient import MessageClientVault

MAX_CONFIRMATION = 1_000
"""Maximum length of an administrator's confirmation that no other client reads an address."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A mailbox with what is known about other readers of its address, and the person who confirmed it."""

    mailbox: MailboxRecord
    state: Reading
    person: Person | None
    at: datetime | None
    text: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """State of deletion at the message service, for an administrator."""

    days: int
    backup_at: datetime | None
    """Time of the state that the latest verified backup contains."""
    mailboxes: tuple[Confirmation, ...]
    counts: DeletionCounts


class Management:
    """Management of an organisation's message client by one person, for one request."""

    def __init__(self, scope: Scope, addresses: Sequence[str]) -> None:
        """``addresses`` are the functional addresses configured for the organisation."""
        self._scope = scope
        self._addresses = addresses

    # --- mailboxes ----------------------------------------------------------------------------------------

    async def mailboxes(self) -> tuple[MailboxRecord, ...]:
        """Return the mailboxes that the person manages, by name, with closed ones last."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            found = await self._managed(vault)
            if not found:
                self._require_administrator()
        return found

    async def mailbox(self, mailbox: str) -> MailboxRecord:
        """Return a mailbox that the person manages."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            return await self._one(vault, mailbox)

    async def free_addresses(self) -> tuple[str, ...]:
        """Return the organisation's addresses without a mailbox; only for administrators."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            self._require_administrator()
            taken = {one.address for one in await vault.mailboxes()}
        return tuple(each for each in self._addresses if each not in taken)

    async def make(self, address: str, name: str) -> MailboxRecord:
        """Create a mailbox; :class:`UnfitSetting` for an address that is not the organisation's own."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            self._require_administrator()
            self._require_own(address)
            return await make_mailbox(vault, address, name.strip())

    async def change(
        self,
        mailbox: str,
        *,
        needs_approval: bool,
        undo_seconds: int,
        asks_why: bool,
        name: str | None = None,
        address: str | None = None,
    ) -> None:
        """Change the settings of a mailbox; only administrators can change its name and address."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            before = await self._one(vault, mailbox)
            after = replace(
                before, needs_approval=needs_approval, undo_seconds=undo_seconds, asks_why=asks_why
            )
            if self.is_administrator:
                after = replace(
                    after,
                    name=before.name if name is None else name.strip(),
                    address=address or before.address,
                )
            if after.address != before.address:
                self._require_own(after.address)
            await change_mailbox(vault, before, after)

    async def set_retired(self, mailbox: str, *, retired: bool) -> None:
        """Close a mailbox to new messages, or reopen it; only for administrators."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            self._require_administrator()
            before = await self._one(vault, mailbox)
            await change_mailbox(vault, before, replace(before, retired=retired))

    @property
    def is_administrator(self) -> bool:
        """True if the person administers the whole organisation."""
        return self._scope.may(Right.ADMINISTRATOR)

    # --- figures ------------------------------------------------------------------------------------------

    async def figures(self, weeks: int) -> tuple[tuple[MailboxRecord, ...], tuple[WeekRecord, ...]]:
        """Return the mailboxes that the person manages, and weekly counts of their messages."""
        since = self._scope.now() - timedelta(weeks=weeks)
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            found = await self._managed(vault)
            if not found:
                self._require_administrator()
            return found, await vault.figures([one.id for one in found], since)

    # --- text templates -----------------------------------------------------------------------------------

    async def texts(self, mailbox: str) -> tuple[TextTemplate, ...]:
        """Return the text templates of a mailbox that the person manages, by title."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            return await text_templates(vault, (await self._one(vault, mailbox)).id)

    async def keep_text(self, mailbox: str, template: TextTemplate) -> None:
        """Change a text template, or add one if its id is empty."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            await keep_text(vault, (await self._one(vault, mailbox)).id, template)

    async def drop_text(self, mailbox: str, template: str) -> None:
        """Remove a text template."""
        await self._drop(mailbox, template, PresetKind.TEXT)

    # --- rules of mailboxes ---------------------------------------------------------------------------------

    async def rules(self, mailbox: str) -> tuple[tuple[HandlerRule, str], ...]:
        """Return the rules of a mailbox in their order, each with the name of its handler."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            owner = (await self._one(vault, mailbox)).id
            people = await self._scope.people(vault)
            return tuple((rule, people[rule.handler].name) for rule in await handler_rules(vault, owner))

    async def handlers(self, mailbox: str) -> tuple[Person, ...]:
        """Return the people who may become a handler in a mailbox, by name."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            owner = (await self._one(vault, mailbox)).id
            people = await self._scope.people(vault)
        return people.sorted(self._scope.permissions.holders(Right.WRITE, owner))

    async def add_rule(self, mailbox: str, rule: HandlerRule) -> None:
        """Add a rule after the existing ones; its id is assigned here."""
        if rule.handler not in {each.id for each in await self.handlers(mailbox)}:
            raise UnfitSetting("handler", "the handler must be a person who may write in the mailbox")
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            await add_rule(vault, (await self._one(vault, mailbox)).id, rule)

    async def drop_rule(self, mailbox: str, rule: str) -> None:
        """Remove a rule."""
        await self._drop(mailbox, rule, PresetKind.RULE)

    # --- deletion at the message service --------------------------------------------------------------------

    async def deletion(self, rule: DeletionRule) -> Deletion:
        """Return the state of deletion at the message service under a rule; only for administrators."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            self._require_administrator()
            backup, confirmed = await vault.last_backup(), await vault.sole_readers()
            found, counts = await self._managed(vault), await vault.deletion_counts()
            people = await self._scope.people(vault)
        mailboxes = []
        for one in found:
            known = confirmed.get(one.id)
            said = known if known is not None and known.content["interface"] == rule.interface else None
            person = people[said.person] if said else None
            mailboxes.append(
                Confirmation(
                    one,
                    rule.state(one, confirmed),
                    person,
                    said.at if said else None,
                    said.content["text"] if said else "",
                )
            )
        return Deletion(rule.after.days, backup.taken_at if backup else None, tuple(mailboxes), counts)

    async def confirm(self, mailbox: str, interface: str, text: str) -> None:
        """Store an administrator's confirmation that no other client reads the address of a mailbox."""
        said = text.strip()
        if not 0 < len(said) <= MAX_CONFIRMATION:
            raise UnfitSetting("text", f"a confirmation has 1 to {MAX_CONFIRMATION} characters")
        await self._keep_confirmation(mailbox, {"text": said, "interface": interface})

    async def take_back(self, mailbox: str) -> None:
        """Withdraw a confirmation, so that nothing more is deleted at the address; for administrators."""
        await self._keep_confirmation(mailbox, None)

    async def _keep_confirmation(self, mailbox: str, content: Content | None) -> None:
        scope = self._scope
        async with scope.open(Purpose.ADMINISTER) as vault:
            self._require_administrator()
            one = await self._one(vault, mailbox)
            vault.keep_sole_reader(one.id, scope.person.id, content, now=scope.now())
            action = "taken-back" if content is None else "confirmed"
            vault.record(MKEvent.MK_ADDRESS_CONFIRMED, mailbox=one.id, action=action)

    # --- rights -------------------------------------------------------------------------------------------

    async def _drop(self, mailbox: str, preset: str, kind: PresetKind) -> None:
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            await drop_preset(vault, kind, preset, (await self._one(vault, mailbox)).id)

    async def _managed(self, vault: MessageClientVault) -> tuple[MailboxRecord, ...]:
        found = [one for one in await vault.mailboxes() if self._manages(one.id)]
        return tuple(sorted(found, key=lambda one: (one.retired, one.name.casefold(), one.id)))

    async def _one(self, vault: MessageClientVault, mailbox: str) -> MailboxRecord:
        for one in await vault.mailboxes():
            if one.id == mailbox and self._manages(one.id):
                return one
        raise NotHere("mailbox", mailbox)

    def _manages(self, mailbox: str) -> bool:
        return self.is_administrator or self._scope.may(Right.MANAGE, mailbox)

    def _require_administrator(self) -> None:
        if not self.is_administrator:
            raise NotHere("administration", "")

    def _require_own(self, address: str) -> None:
        if address not in self._addresses:
            raise UnfitSetting("address", "it is not one of the organisation's functional addresses")
