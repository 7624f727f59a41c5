"""Cover by agreements of the organisations that a process serves.

It is decided for each role from that role's own copy of the signed statements, and checked before a vault is
opened for the role and before a new message is sent. Each change of state, and each warning before an end, is
entered once in the log of the vault concerned and in the operator's log, whichever process sees it first. A
copy that cannot be read to its end might lack the end of an agreement: the role continues to receive, and
sends again once the copy is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from samdrift.audit.operations import unexpected
from samdrift.config.model import Config
from samdrift.config.toml import ConfigError
from samdrift.contracts import workers
from samdrift.contracts.clock import Clock
from samdrift.contracts.cover import Cover, Mode
from samdrift.contracts.errors import NotServed, Temporary
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.statements import RightsBehind
from samdrift.governance.coverage import WARNINGS, Basis, Past, Standing, standing
from samdrift.governance.duties.catalogue import Catalogue, shipped
from samdrift.governance.records import read_on
from samdrift.installation.covermetrics import CoverRow
from samdrift.installation.events import RunEvent
from samdrift.installation.health import Dependency, Note
from samdrift.net.background import in_background
from samdrift.rights.agreementfold import Agreements
from samdrift.rights.agreements import ROLES, Function, Party
from samdrift.rights.folds import FOLDS
from samdrift.rights.record import Broken, Record
from samdrift.vault.coverkeeping import CoverFacts, CoverKeeping
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

COVERED_ROLES = tuple(role for role in Role if role.value in set(ROLES))
"""Roles whose functions agreements cover."""
_FRESH = 1.0
"""Seconds for which an answer is valid: an end takes effect everywhere within this time."""
_EVERY = timedelta(minutes=10)
"""Longest time between two rounds, each of which retries failed examinations."""
_NET = timedelta(hours=2)
"""Time after which an organisation is examined even without a known change."""
_SOON = timedelta(seconds=1)
_INHERITED, _BEHIND = "inherited", "behind"
_CANARY = {"state": "canary"}


@dataclass(slots=True)
class _Kept:
    """The cover of one organisation in one role at the last examination."""

    record: Record
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    looked: float = 0.0
    """Moment of the last examination, by a monotonic clock."""
    moment: datetime | None = None
    """Moment for which the cover was decided."""
    turn: datetime | None = None
    """Moment of the next change that needs no new statement, such as the end of an agreement."""
    inherited: tuple[datetime, datetime] | None = None
    standing: Standing | None = None
    past: Past = field(default_factory=Past)
    cover: Cover | None = None
    failure: Temporary | None = None
    failed: float = 0.0
    """Moment of the last failure, by the same monotonic clock."""


class CoverKeeper:
    """Decides and caches the cover of every organisation that this process serves."""

    def __init__(
        self,
        gate: Gate,
        clock: Clock,
        roles: Collection[Role],
        note: Note = lambda *_: None,
        *,
        catalogues: Sequence[Catalogue] = (),
        per_organisation: bool = False,
        canaries: Collection[ParticipantIdentifier] = (),
        operator: Party | None = None,
    ) -> None:
        """``note`` is notified whether any functions lack cover.

        ``canaries`` are the operator's own organisations, which have no party to agree with: their functions
        are on, and their logs state why. ``operator`` is the party that agreements must lead to, where it is
        known. Metrics name organisations if ``per_organisation``.
        """
        self._gate = gate
        self._clock = clock
        self._roles = [role for role in COVERED_ROLES if role in roles]
        self._note = note
        self._catalogues = tuple(catalogues) or shipped()
        self._per_organisation = per_organisation
        self._canaries = frozenset(canaries)
        self._operator = operator
        self._kept: dict[tuple[ParticipantIdentifier, Role], _Kept] = {}
        self._lacking: set[tuple[ParticipantIdentifier, Role]] = set()
        """Functions that currently lack cover."""
        self._unexpected = unexpected("agreements")

    async def __call__(self, organisation: ParticipantIdentifier, role: Role) -> Cover:
        """Return the current cover of a function; raise a temporary error while its vault cannot be read."""
        kept = self._of(organisation, role)
        if (cover := self._known(kept)) is None:
            began = time.monotonic()
            async with kept.lock:
                # A check that failed while this caller waited for the lock answers it too: otherwise all
                # callers would wait for the outage one after the other.
                if kept.failure is not None and kept.failed >= began:
                    raise kept.failure
                cover = self._known(kept) or await self._noting(organisation, role, kept)
        return cover

    async def _again(self, organisation: ParticipantIdentifier, role: Role) -> Cover:
        """Decide the cover again although the cached answer is fresh: a statement may be newer."""
        kept = self._of(organisation, role)
        async with kept.lock:
            return await self._noting(organisation, role, kept)

    def _of(self, organisation: ParticipantIdentifier, role: Role) -> _Kept:
        kept = self._kept.get((organisation, role))
        if kept is None:
            kept = self._kept[organisation, role] = _Kept(Record(organisation.value, FOLDS))
        return kept

    async def _noting(self, organisation: ParticipantIdentifier, role: Role, kept: _Kept) -> Cover:
        """Examine the cover, and keep a failure for other callers that are waiting for the same answer."""
        try:
            return await self._look(organisation, role, kept)
        except Temporary as failure:
            kept.failure, kept.failed = failure, time.monotonic()
            raise

    def _known(self, kept: _Kept) -> Cover | None:
        """Return the cached answer while it is valid."""
        stale = time.monotonic() - kept.looked >= _FRESH
        turned = kept.turn is not None and self._clock() >= kept.turn
        return None if stale or turned else kept.cover

    async def _look(self, organisation: ParticipantIdentifier, role: Role, kept: _Kept) -> Cover:
        async with self._gate.open(workers.AGREEMENTS, organisation, role, Purpose.MAINTAIN) as vault:
            assert isinstance(vault, CoverKeeping)
            facts = await vault.cover_facts()
            before = kept.record.number
            behind = await self._continue(organisation, kept, vault, facts.statements)
            if kept.record.number > before:
                kept.past.forget(kept.record.entries[before].statement.at)
            now = self._now(kept.record, facts)
            over = kept.turn is not None and now >= kept.turn
            same = kept.record.number == before and kept.inherited == facts.inherited and not over
            if organisation in self._canaries:
                kept.standing, behind = Standing(Function(role.value), Mode.ON, None, None, False), None
            elif kept.standing is None or kept.moment is None or not same or now < kept.moment:
                # In a thread: many agreements take long to evaluate, and other organisations must not wait
                # for that.
                await asyncio.to_thread(self._decide, kept, role, facts, now)
            assert kept.standing is not None
            found = kept.standing
            kept.cover = Cover(found.mode, found.since, behind)
            self._count((organisation, role), kept)
            said = _CANARY if organisation in self._canaries else _said(found, now, behind)
            state = " ".join(f"{name}={value}" for name, value in said.items())
            told = facts.noted != state and await vault.note_cover(facts.noted, state)
            if told:
                vault.record(RunEvent.COVER_CHANGED, **said)
        if told:
            whose = {"organisation": organisation.value, "role": role.value}
            await self._gate.operator_log(RunEvent.COVER_CHANGED, **whose, **said)
        kept.looked = time.monotonic()
        self._notice()
        return kept.cover

    async def _continue(
        self, organisation: ParticipantIdentifier, kept: _Kept, vault: CoverKeeping, last: int
    ) -> RightsBehind | None:
        """Verify newer statements; return the fault of the copy, if any."""
        if last < kept.record.number:  # The database was restored from a backup.
            kept.record, kept.standing, kept.past = Record(organisation.value, FOLDS), None, Past()
        record = kept.record
        try:
            await read_on(record, vault, last)
        except Broken as broken:
            return RightsBehind(record.number, broken.number)
        if record.not_understood is not None:
            return RightsBehind(record.number, record.not_understood)
        return None

    def _now(self, record: Record, facts: CoverFacts) -> datetime:
        """Return the time to decide by, so that setting a clock back prolongs no agreement.

        It is not earlier than the last statement or the last time that witnesses confirmed for the log.
        """
        begun = facts.inherited[0] if facts.inherited is not None else None
        known = (self._clock(), record.last, facts.witnessed, begun)
        return max(each for each in known if each is not None)

    def _decide(self, kept: _Kept, role: Role, facts: CoverFacts, now: datetime) -> None:
        function = Function(role.value)
        agreements = next(each for each in kept.record.folds if isinstance(each, Agreements))
        basis = Basis(agreements, self._catalogues, {function: self._operator}, facts.inherited)
        if kept.inherited != facts.inherited:
            kept.past = Past()
        kept.standing = standing(basis, function, now, kept.past)
        kept.moment, kept.inherited = now, facts.inherited
        turns = agreements.moments() | basis.turns()
        if (until := kept.standing.until) is not None:
            turns |= {until, *(until - timedelta(days=days) for days in WARNINGS)}
        kept.turn = min((each for each in turns if each > now), default=None)

    def _count(self, function: tuple[ParticipantIdentifier, Role], kept: _Kept) -> None:
        """Record whether a function that is served here lacks cover."""
        self._lacking.discard(function)
        on = kept.cover is not None and kept.cover.mode is Mode.ON and kept.cover.behind is None
        if not on and self._kept.get(function) is kept:
            self._lacking.add(function)

    def _notice(self) -> None:
        """Report to health whether any function lacks cover, without naming organisations."""
        reason = f"{len(self._lacking)} functions of organisations are not covered: see samdrift doctor"
        self._note(Dependency.AGREEMENTS, "", reason if self._lacking else "")

    async def keep(self) -> None:
        """Examine every organisation once, and again when something is about to change, until cancelled.

        New statements are announced (:meth:`hear`), so that vaults are opened only when there is something to
        read.
        """
        while True:
            for role in self._roles:
                for organisation in self._gate.registry.organisations(role):
                    if self._is_due(organisation, role):
                        await self._see(self(organisation, role))
            self._forget()
            await asyncio.sleep(self._pause().total_seconds())

    async def hear(self) -> None:
        """Examine each organisation that has new statements, until cancelled."""
        async for organisation, role in self._gate.wakeups(statements=True):
            if role in self._roles:
                await self._see(self._again(organisation, role))

    async def go_along(self) -> None:
        """Examine organisations while their vaults are in use anyway, until cancelled.

        An organisation is examined when half the time until its next regular examination has passed.
        """
        async for organisation, role in self._gate.visits.listen():
            kept = self._kept.get((organisation, role))
            if kept is not None and time.monotonic() - kept.looked >= _NET.total_seconds() / 2:
                await self._see(self(organisation, role))

    async def _see(self, looking: Awaitable[Cover]) -> None:
        try:
            await looking
        except (Temporary, NotServed):
            pass  # Locked, suspended or unreachable: its deadlines run on; check again later.
        except Exception as error:
            self._unexpected(error)

    def _is_due(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        kept = self._kept.get((organisation, role))
        if kept is None or kept.cover is None or kept.failed > kept.looked:
            return True
        turned = kept.turn is not None and self._clock() >= kept.turn
        return turned or time.monotonic() - kept.looked >= _NET.total_seconds()

    def _forget(self) -> None:
        served = {(one, role) for role in self._roles for one in self._gate.registry.organisations(role)}
        for gone in self._kept.keys() - served:
            del self._kept[gone]
        self._lacking &= served
        self._notice()

    def _pause(self) -> timedelta:
        now = self._clock()
        turns = [one.turn - now for one in self._kept.values() if one.turn is not None]
        return max(min([_EVERY, *turns]), _SOON)

    def ends(self, organisation: ParticipantIdentifier) -> dict[str, datetime]:
        """Return when the cover of an organisation ends, by role, as far as it is known here."""
        kept = ((role, self._kept.get((organisation, role))) for role in COVERED_ROLES)
        known = ((role, one.standing) for role, one in kept if one is not None)
        return {
            role.value: one.until
            for role, one in known
            if one is not None and one.until is not None and one.mode is Mode.ON
        }

    def rows(self) -> Iterator[CoverRow]:
        """Yield the state of cover of each function, for the metrics."""
        now = self._clock()
        for (organisation, role), one in self._kept.items():
            if one.standing is None or one.cover is None or not self._gate.leases.holds(organisation, role):
                continue
            state = _INHERITED if one.standing.inherited else one.standing.mode.value
            until = one.standing.until
            yield CoverRow(
                organisation.value if self._per_organisation else "organisations",
                role.value,
                _BEHIND if one.cover.behind is not None else state,
                None if until is None else (until - now).total_seconds(),
            )


def _said(found: Standing, now: datetime, behind: RightsBehind | None) -> dict[str, str]:
    """Return the facts of a state for the log; a new entry is written when they change."""
    facts = {"state": _INHERITED if found.inherited else found.mode.value}
    if found.since is not None:
        facts["since"] = found.since.isoformat()
    if found.until is not None:
        facts["until"] = found.until.isoformat()
    if warning := found.warning(now):
        facts["within_days"] = str(warning)
    if behind is not None:
        facts["behind"] = str(behind.has)
    return facts


def canaries_of(config: Config) -> Collection[ParticipantIdentifier]:
    """Return the organisations that are the operator's own canaries."""
    return () if config.isolation_check is None else config.isolation_check.canaries


def operator_of(config: Config) -> Party | None:
    """Return the party that operates the roles; :class:`ConfigError` when its number is invalid."""
    try:
        return Party.parse(config.operator) if config.operator else None
    except ValueError:
        raise ConfigError("operator", "is a number without its check digit, or a person's") from None


@contextlib.asynccontextmanager
async def covered(keeper: CoverKeeper, gate: Gate) -> AsyncIterator[None]:
    """Connect the keeper to a gate and keep its cover up to date while the context lasts."""
    gate.covered_by(keeper)
    work = keeper.keep(), keeper.hear(), keeper.go_along()
    async with in_background(*work, on_failure=unexpected("agreements")):
        yield
