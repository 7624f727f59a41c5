"""Disposal for the managers of a mailbox: a rule based on a decision, a proposal, and its approval.

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
"""Maximum number of conversations of a proposal that are listed; the counts include all of them."""
_PAGE = 500
MAX_DECISION = 300


class UnderWay(Explained):
    """Refusal of a proposal because a disposal of the mailbox is in progress, or nothing is due."""

    def __init__(self) -> None:
        super().__init__("nothing was proposed: a disposal of this mailbox is under way, or nothing is due")


class SecondPerson(Explained):
    """Refusal of an approval by the person who made the proposal: another manager must approve it."""

    def __init__(self) -> None:
        super().__init__("you proposed this; another manager of the mailbox has to agree")


class Decided(Explained):
    """Refusal of a decision about a disposal that has already been decided."""

    def __init__(self) -> None:
        super().__init__("this disposal has already been decided; look at it again")


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule for disposal of a mailbox."""

    since: str
    """Start of the period: ``done`` or ``registered``."""
    days: int
    decision: str
    person: Person
    at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """Conversations that a rule covers now, or that a proposal contains."""

    conversations: int
    messages: int
    files: int
    lines: tuple[Line, ...]
    """The oldest conversations; empty for a person who may not read them."""


@dataclass(frozen=True, slots=True)
class Disposal:
    """A disposal in the form that pages show."""

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
    """A mailbox with its rule and its disposals, the latest first."""

    mailbox: MailboxRecord
    rule: Rule | None
    disposals: tuple[Disposal, ...]

    @property
    def under_way(self) -> Disposal | None:
        """The disposal that has been proposed or is in progress, if any."""
        return next((each for each in self.disposals if each.stage in ("proposed", "agreed")), None)


class DisposalDesk:
    """A person's access to disposals, for one request; :class:`NotHere` for mailboxes they do not manage."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def overview(self) -> tuple[MailboxDisposal, ...]:
        """Return the mailboxes that the person manages, by name, with their disposals."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            mailboxes = await self._scope.mailboxes(vault, Right.MANAGE)
            if not mailboxes:
                raise NotHere("disposal", "")
            found = [await self._of(vault, one) for one in mailboxes]
        return tuple(sorted(found, key=lambda one: (one.mailbox.name.casefold(), one.mailbox.id)))

    async def mailbox(self, mailbox: str) -> tuple[MailboxDisposal, Due | None]:
        """Return a mailbox, and the conversations that its rule covers now.

        The latter is ``None`` without a rule, or while a disposal is in progress.
        """
        scope = self._scope
        async with scope.open(Purpose.ADMINISTER) as vault:
            one = await self._of(vault, await self._one(vault, mailbox))
            if one.rule is None or one.under_way is not None:
                return one, None
            before = scope.now() - timedelta(days=one.rule.days)
            due = await self._due(vault, mailbox, await vault.disposable(mailbox, one.rule.since, before))
        return one, due

    async def set_rule(self, mailbox: str, since: str, days: int, decision: str) -> None:
        """Set the rule of a mailbox; ``decision`` refers to the organisation's own, by number or date."""
        scope = self._scope
        async with scope.open(Purpose.ADMINISTER) as vault:
            one = await self._one(vault, mailbox)
            content = {"decision": decision}
            vault.keep_disposal_rule(DisposalRule(one.id, since, days, scope.person.id, scope.now(), content))
            vault.record(
                MKEvent.MK_DISPOSAL_RULED, mailbox=one.id, since=since, days=str(days), decision=decision
            )

    async def propose(self, mailbox: str) -> str:
        """Propose the disposal of everything that the rule covers now; raises :class:`UnderWay`."""
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
        """Return a disposal with its counts, and the first conversations that it still has to remove."""
        async with self._scope.open(Purpose.ADMINISTER) as vault:
            one = await self._of(vault, await self._one(vault, mailbox))
            found = self._disposal(one, disposal)
            items = await vault.disposal_items(found.id, "", SHOWN)
            lines = await self._lines(vault, mailbox, items)
        return one, found, Due(found.conversations, found.messages, found.files, lines)

    def needs_another(self, disposal: Disposal) -> bool:
        """Return whether another manager must approve, because this person made the proposal."""
        managers = self._scope.permissions.holders(Right.MANAGE, disposal.mailbox)
        return disposal.proposed_by.id == self._scope.person.id and set(managers) != {self._scope.person.id}

    async def decide(self, mailbox: str, disposal: str, *, agreed: bool) -> None:
        """Approve a disposal, which is then carried out, or drop it.

        Raises :class:`SecondPerson` or :class:`Decided`.
        """
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
        """Return the record of a disposal, which is read a page at a time."""
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
        """Return conversations as entries of a list, logged as reading; empty without the right to read."""
        scope = self._scope
        if not conversations or not scope.may(Right.READ, mailbox):
            return ()
        found = await vault.conversations_by_id(list(conversations))
        lines = await lines_of(scope, vault, [one for one in found if one.mailbox == mailbox])
        vault.record(MKEvent.MK_READING_LIST, folder="disposal", mailbox=mailbox, lines=str(len(lines)))
        return tuple(sorted(lines, key=lambda line: line.at))


def _rule(rule: DisposalRule, people: People) -> Rule:
    person = people[rule.person] if rule.person else Person("", rule.content["by"])  # Set by the operator.
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
