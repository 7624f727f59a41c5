"""Management of an organisation's message client by its own people: mailboxes, figures, text templates.

An administrator manages every mailbox, a manager the own ones; neither sees content by that. All of it goes
through the scope of one person, and what is not theirs to manage is :class:`NotHere` alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from samdrift.contracts.principals import Purpose
from samdrift.messageclient.desk import NotHere
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import HandlerRule, Person, TextTemplate
from samdrift.messageclient.mailboxes import UnfitSetting, change_mailbox, make_mailbox
from samdrift.messageclient.presets import handler_rules, rule_content, text_templates
from samdrift.messageclient.scope import Scope, require_id
from samdrift.rights import Right
from samdrift.vault.bodies import new_id
from samdrift.vault.mailpresets import PresetKind, PresetRecord, WeekRecord
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault

MAX_TITLE, MAX_TEXT = 100, 20_000
"""Characters of a text template."""
_MAX_TEXTS = 200


class Management:
    """The part of one organisation that one person manages, for one request."""

    def __init__(self, scope: Scope, addresses: Sequence[str]) -> None:
        """``addresses`` are the functional addresses that the organisation has by configuration."""
        self._scope = scope
        self._addresses = addresses

    # --- mailboxes ----------------------------------------------------------------------------------------

    async def mailboxes(self) -> tuple[MailboxRecord, ...]:
        """Return the mailboxes that the person manages, by name, those that have ended last."""
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
        """Return the organisation's addresses without a mailbox; for administrators."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            self._require_administrator()
            taken = {one.address for one in await vault.mailboxes()}
        return tuple(each for each in self._addresses if each not in taken)

    async def make(self, address: str, name: str) -> MailboxRecord:
        """Make a mailbox; :class:`UnfitSetting` for an address that is not the organisation's own."""
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
        """Change the settings of a mailbox; its name and address only administrators change."""
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
        """End a mailbox, in which nothing new is written from then on, or use it again; administrators."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            self._require_administrator()
            before = await self._one(vault, mailbox)
            await change_mailbox(vault, before, replace(before, retired=retired))

    @property
    def is_administrator(self) -> bool:
        """True when the person administers the whole organisation."""
        return self._scope.may(Right.ADMINISTRATOR)

    # --- figures ------------------------------------------------------------------------------------------

    async def figures(self, weeks: int) -> tuple[tuple[MailboxRecord, ...], tuple[WeekRecord, ...]]:
        """Return the mailboxes that the person manages, and counts of their messages in the last weeks."""
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
        """Add a text template, whose id is then empty, or change one."""
        if not 0 < len(template.title) <= MAX_TITLE:
            raise UnfitSetting("title", f"a template has a title of at most {MAX_TITLE} characters")
        if not len(template.text.strip()) > 0 or len(template.text) > MAX_TEXT:
            raise UnfitSetting("text", f"a template has a text of at most {MAX_TEXT} characters")
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            owner = (await self._one(vault, mailbox)).id
            known = {each.id for each in await vault.presets(PresetKind.TEXT, [owner])}
            if template.id and template.id not in known:
                raise NotHere("text", template.id)
            if not template.id and len(known) >= _MAX_TEXTS:
                raise UnfitSetting("title", f"a mailbox has at most {_MAX_TEXTS} templates: remove one first")
            content = {"title": template.title, "text": template.text}
            kept = PresetRecord(template.id or new_id(), PresetKind.TEXT, owner, content)
            await vault.keep_preset(kept)
            self._record(vault, PresetKind.TEXT, kept.id, owner, "kept")

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
        """Return the persons who may be a handler in a mailbox, by name."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            owner = (await self._one(vault, mailbox)).id
            people = await self._scope.people(vault)
        return people.sorted(self._scope.permissions.holders(Right.WRITE, owner))

    async def add_rule(self, mailbox: str, rule: HandlerRule) -> None:
        """Add a rule after the others; its id is made here."""
        if not (rule.organisation.strip() or rule.subject.strip()):
            raise UnfitSetting("organisation", "a rule is about an organisation, a subject, or both")
        if rule.handler not in {each.id for each in await self.handlers(mailbox)}:
            raise UnfitSetting("handler", "the handler is a person who may write in the mailbox")
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            owner = (await self._one(vault, mailbox)).id
            if len(await handler_rules(vault, owner)) >= _MAX_TEXTS:
                raise UnfitSetting("organisation", f"a mailbox has at most {_MAX_TEXTS} rules")
            added = replace(
                rule,
                id=new_id(),
                organisation=rule.organisation[:MAX_TITLE],
                subject=rule.subject[:MAX_TITLE],
            )
            await vault.keep_preset(PresetRecord(added.id, PresetKind.RULE, owner, rule_content(added)))
            self._record(vault, PresetKind.RULE, added.id, owner, "kept")

    async def drop_rule(self, mailbox: str, rule: str) -> None:
        """Remove a rule."""
        await self._drop(mailbox, rule, PresetKind.RULE)

    # --- rights -------------------------------------------------------------------------------------------

    async def _drop(self, mailbox: str, preset: str, kind: PresetKind) -> None:
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            owner = (await self._one(vault, mailbox)).id
            require_id(kind, preset)
            if not await vault.drop_preset(preset, kind, owner):
                raise NotHere(kind, preset)
            self._record(vault, kind, preset, owner, "removed")

    def _record(
        self, vault: MessageClientVault, kind: PresetKind, preset: str, mailbox: str, action: str
    ) -> None:
        vault.record(
            MKEvent.MK_PRESET_CHANGED, kind=kind.value, preset=preset, mailbox=mailbox, action=action
        )

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
