"""Disposal at the desk of a mailbox's manager: a rule with its decision, a proposal, and a second person.

A mailbox's managers decide; the subject of a conversation is shown only to those who may also read it. The
second person is another manager of the mailbox; a sole manager confirms a second time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import Purpose
from samdrift.messageclient.desk import NotHere
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import Line, Person
from samdrift.messageclient.reading import lines_of
from samdrift.messageclient.scope import People, Scope, require_id
from samdrift.rights import Right
from samdrift.vault.bodies import new_id
from samdrift.vault.maildisposal import DisposalRecord, DisposalRule, DisposedRecord
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault

SHOWN = 100
"""Conversations of a proposal that are listed; all are counted."""
_PAGE = 500
MAX_DECISION = 300


class UnderWay(Explained):
    """A mailbox has a disposal under way already, or nothing to dispose of."""

    def __init__(self) -> None:
        super().__init__("nothing was proposed: a disposal of this mailbox is under way, or nothing is due")


class SecondPerson(Explained):
    """The person who proposed it cannot agree to it: another manager of the mailbox must."""

    def __init__(self) -> None:
        super().__init__("you proposed this; another manager of the mailbox has to agree")


class Decided(Explained):
    """A disposal that was decided about before."""

    def __init__(self) -> None:
        super().__init__("this disposal was decided about already; look at it again")


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of a mailbox."""

    since: str
    """``done`` or ``registered``."""
    days: int
    decision: str
    person: Person
    at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """Conversations that a rule would take now, or that a proposal has."""

    conversations: int
    messages: int
    files: int
    lines: tuple[Line, ...]
    """The oldest of them; empty for a person who may not read them."""


@dataclass(frozen=True, slots=True)
class Disposal:
    """A disposal as pages show it."""

    id: str
    mailbox: str
    stage: str
    decision: str
    since: str
    before: datetime
    proposed_by: Person
    proposed_at: datetime
    agreed_by: Person | None
    agreed_at: datetime | None
    done_at: datetime | None
    conversations: int
    gone: int
    kept: int
    messages: int
    files: int


@dataclass(frozen=True, slots=True)
class MailboxDisposal:
    """A mailbox with its rule and disposals, the latest first."""

    mailbox: MailboxRecord
    rule: Rule | None
    disposals: tuple[Disposal, ...]

    @property
    def under_way(self) -> Disposal | None:
        """The disposal that is proposed or being done, if any."""
        return next((each for each in self.disposals if each.stage in ("proposed", "agreed")), None)


class DisposalDesk:
    """One person's scope for disposal, for one request; :class:`NotHere` for a mailbox that is not theirs."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def overview(self) -> tuple[MailboxDisposal, ...]:
        """Return the mailboxes that the person manages, by name."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            mailboxes = await self._scope.mailboxes(vault, Right.MANAGE)
            if not mailboxes:
                raise NotHere("disposal", "")
            found = [await self._of(vault, one) for one in mailboxes]
        return tuple(sorted(found, key=lambda one: (one.mailbox.name.casefold(), one.mailbox.id)))

    async def mailbox(self, mailbox: str) -> tuple[MailboxDisposal, Due | None]:
        """Return a mailbox, and what its rule would remove now, if it has one and no disposal is in
        progress."""
        scope = self._scope
        async with scope.open(Purpose.ADMINISTER) as vault:
            one = await self._of(vault, await self._one(vault, mailbox))
            if one.rule is None or one.under_way is not None:
                return one, None
            before = scope.now() - timedelta(days=one.rule.days)
            due = await self._due(vault, mailbox, await vault.disposable(mailbox, one.rule.since, before))
        return one, due

    async def set_rule(self, mailbox: str, since: str, days: int, decision: str) -> None:
        """Set the rule of a mailbox; the decision is the organisation's own, by its number or date."""
        scope = self._scope
        async with scope.open(Purpose.ADMINISTER) as vault:
            one = await self._one(vault, mailbox)
            content = {"decision": decision}
            vault.keep_disposal_rule(DisposalRule(one.id, since, days, scope.person.id, scope.now(), content))
            vault.record(
                MKEvent.MK_DISPOSAL_RULED, mailbox=one.id, since=since, days=str(days), decision=decision
            )

    async def propose(self, mailbox: str) -> str:
        """Propose to dispose of everything that the rule covers now; :class:`UnderWay`."""
        scope, disposal = self._scope, new_id()
        async with scope.open(Purpose.DISPOSE) as vault:
            one = await self._one(vault, mailbox)
            rule = (await vault.disposal_rules([one.id])).get(one.id)
            if rule is None:
                raise NotHere("disposal", mailbox)
            before = scope.now() - timedelta(days=rule.days)
            due = await vault.disposable(one.id, rule.since, before, 1)
            person = scope.person.id
            if not due or not await vault.propose_disposal(disposal, rule, before, person, now=scope.now()):
                raise UnderWay
            vault.record(
                MKEvent.MK_DISPOSAL_PROPOSED,
                mailbox=one.id,
                disposal=disposal,
                decision=rule.content["decision"],
            )
        return disposal

    async def disposal(self, mailbox: str, disposal: str) -> tuple[MailboxDisposal, Disposal, Due]:
        """Return a disposal with what of it waits."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            one = await self._of(vault, await self._one(vault, mailbox))
            found = self._disposal(one, disposal)
            items = await vault.disposal_items(found.id, "", SHOWN)
            lines = await self._lines(vault, mailbox, items)
        return one, found, Due(found.conversations, found.messages, found.files, lines)

    def needs_another(self, disposal: Disposal) -> bool:
        """Return whether another manager has to agree, since this person proposed it."""
        managers = self._scope.permissions.holders(Right.MANAGE, disposal.mailbox)
        return disposal.proposed_by.id == self._scope.person.id and set(managers) != {self._scope.person.id}

    async def decide(self, mailbox: str, disposal: str, *, agreed: bool) -> None:
        """Agree to a disposal, which then is done, or drop it; :class:`SecondPerson`, :class:`Decided`."""
        scope = self._scope
        async with scope.open(Purpose.DISPOSE) as vault:
            found = self._disposal(await self._of(vault, await self._one(vault, mailbox)), disposal)
            if agreed and self.needs_another(found):
                raise SecondPerson
            if not await vault.decide_disposal(found.id, scope.person.id, agreed=agreed, now=scope.now()):
                raise Decided
            vault.record(
                MKEvent.MK_DISPOSAL_AGREED if agreed else MKEvent.MK_DISPOSAL_DROPPED,
                mailbox=found.mailbox,
                disposal=found.id,
                conversations=str(found.conversations),
                messages=str(found.messages),
            )

    async def record(self, mailbox: str, disposal: str) -> AsyncIterator[DisposedRecord]:
        """Return the record of a disposal, to be read a page at a time."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            found = self._disposal(await self._of(vault, await self._one(vault, mailbox)), disposal)
            vault.record(MKEvent.MK_DISPOSAL_SHOWN, mailbox=found.mailbox, disposal=found.id)
            page = await vault.disposed(found.id, "", _PAGE)

        async def all_of_it() -> AsyncIterator[DisposedRecord]:
            records = page
            while records:
                for each in records:
                    yield each
                async with self._scope.open(Purpose.ADMINISTER) as vault:
                    records = await vault.disposed(found.id, records[-1].id, _PAGE)

        return all_of_it()

    async def _one(self, vault: MessageClientVault, mailbox: str) -> MailboxRecord:
        return await self._scope.mailbox(vault, mailbox, Right.MANAGE)

    async def _of(self, vault: MessageClientVault, one: MailboxRecord) -> MailboxDisposal:
        rule = (await vault.disposal_rules([one.id])).get(one.id)
        people = await self._scope.people(vault)
        disposals = tuple(_shown(each, people) for each in await vault.disposals([one.id]))
        return MailboxDisposal(one, None if rule is None else _rule(rule, people), disposals)

    def _disposal(self, one: MailboxDisposal, disposal: str) -> Disposal:
        require_id("disposal", disposal)
        for each in one.disposals:
            if each.id == disposal:
                return each
        raise NotHere("disposal", disposal)

    async def _due(
        self, vault: MessageClientVault, mailbox: str, found: tuple[tuple[str, int, int], ...]
    ) -> Due:
        lines = await self._lines(vault, mailbox, tuple(each for each, _, _ in found[:SHOWN]))
        return Due(len(found), sum(one[1] for one in found), sum(one[2] for one in found), lines)

    async def _lines(
        self, vault: MessageClientVault, mailbox: str, conversations: tuple[str, ...]
    ) -> tuple[Line, ...]:
        """Return conversations as lines; they are sights of content, for whoever may read the mailbox."""
        scope = self._scope
        if not conversations or not scope.may(Right.READ, mailbox):
            return ()
        found = await vault.conversations_by_id(list(conversations))
        lines = await lines_of(scope, vault, [one for one in found if one.mailbox == mailbox])
        vault.record(MKEvent.MK_READING_LIST, folder="disposal", mailbox=mailbox, lines=str(len(lines)))
        return tuple(sorted(lines, key=lambda line: line.at))


def _rule(rule: DisposalRule, people: People) -> Rule:
    person = people[rule.person] if rule.person else Person("", rule.content["by"])  # By the operator.
    return Rule(rule.since, rule.days, rule.content["decision"], person, rule.at)


def _shown(one: DisposalRecord, people: People) -> Disposal:
    return Disposal(
        id=one.id,
        mailbox=one.mailbox,
        stage=one.stage,
        decision=one.content["decision"],
        since=one.since,
        before=one.before,
        proposed_by=people[one.proposed_by],
        proposed_at=one.proposed_at,
        agreed_by=people.get(one.agreed_by),
        agreed_at=one.agreed_at,
        done_at=one.done_at,
        conversations=one.conversations,
        gone=one.gone,
        kept=one.kept,
        messages=one.messages,
        files=one.files,
    )
