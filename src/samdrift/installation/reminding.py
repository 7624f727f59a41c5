"""Reminders of matters that wait for an organisation's people.

Each step is entered once in the organisation's log, mailed to the officers who chose to have mail, and
counted in metrics. Governance's process writes the log and counts. Mail is sent by the message client's
process, which knows the addresses: it reads the same statements in its own copy, and asks governance's
process for nothing. No mail states its subject matter. Steps that were already announced are read from the
log, so that a restart repeats nothing. A consent that has ended is summarised in the log, a few seconds after
its end. Governance's process also finds the deadlines of the operator's own incidents; their metrics alert
the operator.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from samdrift.audit.operations import unexpected
from samdrift.contracts import workers
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import NotServed, Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.consent import SETTLES, ConsentEvent, Opened
from samdrift.governance.incidents import from_log
from samdrift.governance.records import read_on
from samdrift.governance.reminders import HEARD_WITHIN, Matter, Pending, Step, pending
from samdrift.installation.cover import CoverKeeper
from samdrift.installation.events import RunEvent
from samdrift.installation.remindermetrics import ReminderRow
from samdrift.net.background import in_background
from samdrift.rights.consentfold import consents_of, moment_of, officers
from samdrift.rights.folds import FOLDS
from samdrift.rights.record import Broken, Record
from samdrift.scheduling.agenda import Agenda
from samdrift.vault.bodies import new_id
from samdrift.vault.coverkeeping import CoverKeeping
from samdrift.vault.gate import Gate
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.noticing import NoticeRecord
from samdrift.vault.officers import GovernanceVault
from samdrift.wire.identifiers import ParticipantIdentifier

NOTICE = "decision"
"""Kind of the notice that is mailed to officers."""
_TRIED = timedelta(hours=24)
_EVERY = timedelta(minutes=10)
"""Longest time between two rounds, each of which retries failed checks."""
_NET = timedelta(hours=2)
"""Time after which an organisation is checked although no step is due and nothing was stated."""
_SOON = timedelta(seconds=1)


@dataclass(slots=True)
class _Kept:
    """Matters of one organisation, as one role sees them."""

    record: Record
    pending: tuple[Pending, ...] = ()
    heard: set[str] = field(default_factory=set)
    """Steps that are already in the log."""
    summed: set[str] = field(default_factory=set)
    """Consents that have ended and are summarised in the log."""


class Reminders:
    """Checks for matters that wait in each organisation that is served here."""

    def __init__(
        self,
        gate: Gate,
        clock: Clock,
        roles: Collection[Role],
        cover: CoverKeeper,
        *,
        per_organisation: bool = False,
    ) -> None:
        """``roles`` are the roles whose vaults are read.

        They are governance, the message client where there is a mail server, or both. Metrics name
        organisations if ``per_organisation``.
        """
        self._gate = gate
        self._clock = clock
        self._roles = tuple(roles)
        self._cover = cover
        self._per_organisation = per_organisation
        self._kept: dict[tuple[ParticipantIdentifier, Role], _Kept] = {}
        self._next = Agenda[tuple[ParticipantIdentifier, Role], datetime]()
        """Time of the next check of each organisation and role."""
        self._looked: dict[tuple[ParticipantIdentifier, Role], datetime] = {}
        """Time of the last successful check of each organisation and role."""
        self._unexpected = unexpected("reminders")

    async def look(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Check one organisation, and announce each newly reached step to its people."""
        kept = self._kept.setdefault((organisation, role), _Kept(Record(organisation.value, FOLDS)))
        async with self._gate.open(workers.REMINDERS, organisation, role, Purpose.MAINTAIN) as vault:
            assert isinstance(vault, CoverKeeping)
            facts = await vault.cover_facts()
            if not await self._continue(organisation, kept, vault, facts.statements):
                return
            now = moment_of(kept.record, self._clock(), facts.witnessed)
            # Each role's cover keeper logs the end of cover; the message client needs it here for the mail.
            ends = self._cover.ends(organisation) if role is Role.MESSAGE_CLIENT else {}
            told = from_log(await vault.reported_incidents()) if isinstance(vault, GovernanceVault) else {}
            kept.pending = await asyncio.to_thread(pending, kept.record, ends, now, told.values())
            reached = [step for each in kept.pending if (step := each.reached(now)) is not None]
            new = [each for each in reached if each.name not in kept.heard]
            unheard = [each for each in new if not await vault.find_log(each.name)]
            for each in unheard:
                vault.record(RunEvent.MATTER_REMINDED, **each.facts())
            if isinstance(vault, MessageClientVault) and unheard:
                await _notify(vault, kept.record, unheard, now)
            over = await _sum_up(vault, kept, now) if isinstance(vault, GovernanceVault) else set()
        kept.heard = {each.name for each in reached}
        kept.summed |= over

    async def _continue(
        self, organisation: ParticipantIdentifier, kept: _Kept, vault: CoverKeeping, last: int
    ) -> bool:
        """Read new statements; return false for a copy that is invalid, which its role reports itself."""
        if last < kept.record.number:  # The database was restored from a backup.
            kept.record = Record(organisation.value, FOLDS)
        try:
            await read_on(kept.record, vault, last)
        except Broken:
            return False
        return kept.record.not_understood is None

    async def keep(self) -> None:
        """Check every organisation once, and again when a step is due, until cancelled.

        New statements are announced (:meth:`hear`), so that vaults are opened only when there is something to
        read.
        """
        version, now = (-1, -1), self._clock()
        while True:
            before, now = now, self._clock()
            if now < before:  # The clock was set back.
                for each in [*self._next.things()]:
                    self._next.put(each, now)
            if self._gate.registry.version != version:
                version = self._gate.registry.version
                self._follow()
            for each, _ in self._next.take(self._clock()):
                if each not in self._next:  # Otherwise, it has just been checked for another reason.
                    await self._see(*each)
            first = self._next.first()
            ahead = _EVERY if first is None else min(_EVERY, first - self._clock())
            await self._gate.leases.pause(max(ahead, _SOON).total_seconds())

    def _follow(self) -> None:
        """Schedule the organisations that this process now works for, and drop all others."""
        served = {(one, role) for role in self._roles for one in self._gate.registry.worked_for(role)}
        for gone in self._next.things() - served:
            self._next.drop(gone)
        for known in (self._kept, self._looked):
            for each in known.keys() - served:
                del known[each]
        for new in sorted(served - self._next.things(), key=str):
            self._next.put(new, self._clock())

    async def hear(self) -> None:
        """Check each organisation that has new statements, until cancelled."""
        async for organisation, role in self._gate.wakeups(statements=True):
            if role in self._roles and self._gate.registry.works_for(organisation, role):
                await self._see(organisation, role)

    async def go_along(self) -> None:
        """Check organisations while their vaults are in use anyway, until cancelled.

        An organisation is checked when half the time until its next regular check has passed.
        """
        async for each in self._gate.visits.listen():
            looked = self._looked.get(each)
            if looked is not None and self._clock() - looked >= _NET / 2:
                await self._see(*each)

    async def _see(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Check one organisation, and schedule the next check."""
        pause = _EVERY
        try:
            async with self._gate.leases.working(organisation, role):
                await self.look(organisation, role)
            matters = {each.matter for each in self._waiting(organisation, role)}
            # Entries that the operator adds to a log trigger no notification.
            pause = _EVERY if Matter.OPERATORS_INCIDENT in matters else _NET
            self._looked[organisation, role] = self._clock()
        except (Temporary, NotServed):
            pass  # Locked, suspended or unreachable: its deadlines run on; check again later.
        except Exception as error:
            self._unexpected(error)
        now = self._clock()
        kept = self._kept.get((organisation, role))
        waiting = self._waiting(organisation, role)
        moments = [moment for each in waiting for moment in (each.next_step(now), each.until) if moment]
        if kept is not None and role is Role.GOVERNANCE:
            moments += [over + SETTLES for each in consents_of(kept.record).all() if (over := each.over)]
        if self._gate.registry.works_for(organisation, role):
            next_look = min([now + pause, *(each for each in moments if each > now)])
            self._next.put((organisation, role), next_look)

    def _waiting(self, organisation: ParticipantIdentifier, role: Role) -> tuple[Pending, ...]:
        """Return the matters that waited at the last check."""
        kept = self._kept.get((organisation, role))
        return () if kept is None else kept.pending

    def rows(self) -> Iterator[ReminderRow]:
        """Yield the matters that wait according to governance's own record, for the metrics."""
        now = self._clock()
        for (organisation, role), kept in self._kept.items():
            if role is Role.GOVERNANCE:
                owner = organisation.value if self._per_organisation else "organisations"
                for each in kept.pending:
                    own = each.matter is not Matter.OPERATORS_INCIDENT
                    yield owner, each.matter.value, (each.until - now).total_seconds(), own


async def _sum_up(vault: GovernanceVault, kept: _Kept, now: datetime) -> set[str]:
    """Summarise each ended consent that has no summary yet; return the ids of those that have ended.

    After a restart, the log is searched for the summaries of consents that ended in the last days.
    """
    over = set[str]()
    for each in consents_of(kept.record).all():
        ended = each.over and each.over + SETTLES
        if ended is None or not now - HEARD_WITHIN <= ended <= now or each.id in kept.summed:
            continue
        opened = Opened.of(await vault.find_log(each.id))
        if not opened.summed:
            vault.record(ConsentEvent.SUMMED, **opened.summary(each, each.stage(now)))
        over.add(each.id)
    return over


async def _notify(vault: MessageClientVault, record: Record, steps: list[Step], now: datetime) -> None:
    """Queue one mail to each officer who has a mail address in the message client."""
    choices = await vault.notice_choices()
    until = (now + _TRIED).isoformat()
    for each in officers(record, now):
        if each.id in choices:
            content = {"to": choices[each.id]["address"], "until": until}
            vault.add_notice(NoticeRecord(new_id(), NOTICE, None, now, now, 0, None, None, content))


@contextlib.asynccontextmanager
async def reminded(reminders: Reminders) -> AsyncIterator[None]:
    """Check for reminders while the context lasts."""
    work = reminders.keep(), reminders.hear(), reminders.go_along()
    async with in_background(*work, on_failure=unexpected("reminders")):
        yield
